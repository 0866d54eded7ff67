"""A headless Chromium for tests of pages: Debian's `chromium` and `chromium-driver`, through selenium."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--mute-audio",
    "--autoplay-policy=no-user-gesture-required",
)


@contextmanager
def chromium(profile: Path) -> Iterator[webdriver.Chrome]:
    """Start a browser with the empty folder `profile` as user data. Without a browser, skip, or in CI fail."""
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if browser is None or driver is None:
        missing = "the report was not opened in a browser: install chromium and chromedriver"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    # The driver's path is given, or selenium would look for one on the network.
    session = webdriver.Chrome(options=options, service=Service(driver))
    try:
        session.set_script_timeout(10)
        yield session
    finally:
        session.quit()


def ready_players(session: webdriver.Chrome) -> list[tuple[int, float, str | None]]:
    """Each player's readyState, duration in seconds and error message, once it can play or has failed."""
    return session.execute_async_script("""
        const done = arguments[0], players = [...document.querySelectorAll("audio")];
        const poll = () => players.every(p => p.readyState >= 2 || p.error)
          ? done(players.map(p => [p.readyState, p.duration, p.error && p.error.message])) : setTimeout(poll, 20);
        poll();""")


def play(session: webdriver.Chrome, index: int) -> list[tuple[bool, float]]:
    """Play one player for 0.15 s; then whether each is paused, and its position in seconds."""
    return session.execute_async_script(
        """
        const [index, done] = arguments, players = [...document.querySelectorAll("audio")];
        players[index].play();
        const poll = () => players[index].currentTime > 0.15
          ? done(players.map(p => [p.paused, p.currentTime])) : setTimeout(poll, 20);
        poll();""",
        index,
    )
