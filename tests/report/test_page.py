import base64
import io
from html.parser import HTMLParser

import jax.numpy as jnp
import numpy as np
import pytest
import soundfile
from browser import chromium, play, ready_players
from PIL import Image

from jaxst.report import Clip, Measure, Table, Tracks
from jaxst.report.page import render_page
from jaxst.report.table import TableGroup, TableRow

MINUS = "\N{MINUS SIGN}"
NASTY = """<script>alert("x")</script> & 'quotes' </style>.flac"""


def tone(seconds: float, sample_rate: int, *, channels: int = 1, amplitude: float = 0.5) -> np.ndarray:
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    frequencies = 440.0 * np.arange(1, channels + 1)[:, None]
    return (amplitude * np.sin(2 * np.pi * frequencies * time)).astype(np.float32)


def clips() -> list[Clip]:
    return [
        Clip("content", NASTY, tone(2.0, 44_100, channels=2), 44_100),
        Clip("style 1 of 2", "short.wav", tone(0.1, 48_000), 48_000),
        Clip("style 2 of 2", "silence.wav", np.zeros((2, 16_000), np.float32), 16_000),
        Clip("output", "out.wav", tone(1.5, 22_050, amplitude=1.2), 22_050),
    ]


def traced_clip() -> Clip:
    """A clip whose two channels have one and two partials."""
    frequency = np.zeros((2, 3, 201))
    frequency[:, 0], frequency[1, 1] = 440, 880
    return Clip("input", "in.wav", tone(2.0, 16_000), 16_000, Tracks(frequency, 0.5 * (frequency > 0), 100.0))


def page(**changes) -> str:
    arguments = {
        "title": "content in the style of style",
        "clips": [],
        "history": {"total": np.array([1.0, 0.5, 0.1]), "style": np.array([0.0, 0.5, np.nan])},
        "config": {"steps": 2},
        "facts": {"device": "cpu"},
        "timings": {"optimize": 1.0},
    }
    return render_page(**(arguments | changes))


class Document(HTMLParser):
    """The page's tags as (name, attributes), and its text without scripts and styles."""

    def __init__(self, html: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        if self.tags and self.tags[-1][0] not in ("script", "style") and data.strip():
            self.texts.append(" ".join(data.split()))

    def all(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == name]


@pytest.fixture(scope="module")
def full_page() -> str:
    return page(
        title=NASTY,
        clips=clips(),
        config={NASTY: NASTY},
        facts={"note": NASTY},
        timings={NASTY: 1.0},
        history={"total": np.array([1.0, 0.5]), NASTY: np.array([0.2])},
        notes=[NASTY],
        tables=[
            Table(NASTY, ["output", *["other half"] * 4], [TableGroup("", [TableRow(NASTY, "low", NASTY, ["1"] * 5)])])
        ],
        command=f"jaxst-transfer --content {NASTY}",
    )


def test_names_are_text_and_never_markup(full_page):
    document = Document(full_page)
    assert len(document.all("script")) == len(document.all("style")) - 1 == 1  # the other style is the loss plot's
    # Title, heading, banner, clip, loss term, configuration (2), fact, timing
    assert document.texts.count(NASTY) >= 9
    assert f"jaxst-transfer --content {NASTY}" in document.texts
    assert document.all("audio")[0]["aria-label"] == f"content: {NASTY}"


def test_the_page_refers_to_nothing_outside_itself(full_page):
    for tag, attributes in Document(full_page).tags:
        for name in ("src", "href", "xlink:href", "srcset", "poster", "action"):
            assert (attributes.get(name) or "data:").startswith("data:"), (tag, name)
    assert "url(" not in full_page
    assert "@import" not in full_page


def test_players_hold_the_samples_in_16_bits(full_page):
    players = Document(full_page).all("audio")
    assert len(players) == len(clips())
    for player, clip in zip(players, clips(), strict=True):
        media_type, _, content = str(player["src"]).partition(";base64,")
        assert media_type == "data:audio/flac"
        samples, sample_rate = soundfile.read(io.BytesIO(base64.b64decode(content)), always_2d=True)
        assert sample_rate == clip.sample_rate
        np.testing.assert_allclose(samples.T, np.clip(clip.samples, -1, 1), atol=2**-15)


def test_every_picture_has_a_description(full_page):
    images = Document(full_page).all("img")
    assert len(images) == len(clips())
    assert all(clip.name in str(image["alt"]) for image, clip in zip(images, clips(), strict=True))


def test_all_spectrograms_share_one_color_scale():
    samples = tone(1.0, 16_000)
    html = page(clips=[Clip("content", "loud.wav", samples, 16_000), Clip("output", "quiet.wav", samples / 10, 16_000)])
    sources = [str(image["src"]).removeprefix("data:image/png;base64,") for image in Document(html).all("img")]
    pictures = [Image.open(io.BytesIO(base64.b64decode(source))).convert("RGBA") for source in sources]
    loud, quiet = (np.asarray(picture.convert("L")).astype(int) for picture in pictures)
    assert loud.max() > quiet.max() + 40  # 20 dB darker; on scales of their own they would be the same
    assert np.argmax(loud[:, 600]) == np.argmax(quiet[:, 600])


def test_clips_are_described():
    texts = Document(page(clips=clips())).texts
    levels = [f"{MINUS}9.0 dBFS RMS", f"{MINUS}6.0 dBFS", f"{MINUS}\N{INFINITY} dBFS", "1.6 dBFS"]
    for text in ("2.00 s", "44.1 kHz, stereo", "100 ms", "48 kHz, mono", *levels):
        assert text in texts
    assert texts.count("its own, enlarged") == 1  # the clip of 0.1 s beside one of 2 s


def test_tables_show_values_as_one_would_type_them():
    config = {"rate": jnp.float32(0.1), "n_fft": (1024, 512), "none": None, "flag": True, "weights": {"style": 1e-5}}
    texts = Document(page(config=config, timings={"a": 0.0125, "b": 83.456, "c": 125.0, "d": 3671.0})).texts
    for name, value in {
        "rate": "0.1",
        "n_fft": "1024, 512",
        "none": "—",
        "flag": "True",
        "weights.style": "1e-05",
    }.items():
        assert texts[texts.index(name) + 1] == value
    for text in ("12.5 ms", "83.46 s", "2 min 05 s", "1 h 01 min 11 s"):
        assert text in texts


def test_measures_are_a_table():
    measures = [
        Measure("snr", -3.1234567, "Signal-to-noise ratio", "dB", "more is better"),
        Measure("convergence", 0.5, NASTY, "", "less is better"),
    ]
    texts = Document(page(measures=measures)).texts
    for row in (["Signal-to-noise ratio", f"{MINUS}3.123 dB", "more is better"], [NASTY, "0.5", "less is better"]):
        start = texts.index(row[0])
        assert texts[start : start + 3] == row
    assert "How close it is" not in Document(page()).texts


def test_tables_are_shown_with_what_they_mean():
    row = TableRow(NASTY, "low", "meaning", ["-1.5", "-"])
    table = Table(NASTY, ["output", NASTY], [TableGroup("group", [row])], lead=["first"], notes=["last"])
    html = page(tables=[table, Table("Empty", (), (), lead=["not evaluated: too short"])])
    document = Document(html)
    assert len(document.all("script")) == 1
    order = ["first", "output", NASTY, "group", NASTY, "low is better", "meaning", f"{MINUS}1.5", "\N{EM DASH}", "last"]
    start = document.texts.index("first")
    assert document.texts[start : start + len(order)] == order
    assert "not evaluated: too short" in document.texts
    assert [attributes["class"] for attributes in document.all("table") if "class" in attributes] == [
        "numbers of-output"
    ]


def test_the_curves_have_the_heading_they_are_given():
    texts = Document(page(curves="Convergence")).texts
    assert "Convergence" in texts
    assert "Loss over the steps" not in texts


def test_tracks_lie_over_their_own_clip():
    document = Document(page(clips=[traced_clip(), *clips()]))
    assert [image["alt"] for image in document.all("img")[:2]] == [
        "Spectrogram of in.wav (input)",
        "Partials of in.wav",
    ]
    assert len(document.all("img")) == 2 + len(clips())
    assert document.all("input") == [{"type": "checkbox", "checked": None}]
    assert "2 partials at most at once" in document.texts
    picture = str(document.all("img")[1]["src"]).removeprefix("data:image/png;base64,")
    alpha = np.asarray(Image.open(io.BytesIO(base64.b64decode(picture))).convert("RGBA"))[..., 3]
    assert alpha.shape == (640, 1200)
    drawn = np.nonzero(alpha[:, 100])[0]
    for hertz in (440, 880):
        place = 640 * (1 - np.log10(1 + hertz / 700) / np.log10(1 + 22_050 / 700))  # of 22.05 kHz, like another clip
        assert np.abs(drawn - place).min() < 3
    assert 4 <= len(drawn) <= 10


def test_notes_are_banners():
    assert {"class": "note", "role": "note"} not in Document(page()).all("p")
    document = Document(page(notes=["interrupted after 37 of 200 steps", "second"]))
    assert document.all("p").count({"class": "note", "role": "note"}) == 2
    assert "interrupted after 37 of 200 steps" in document.texts


@pytest.mark.parametrize(
    ("history", "texts"),
    [
        ({}, []),
        ({"total": []}, ["There is no positive value to draw.", "—"]),
        ({"total": [0.5]}, ["0.5", "0.0%"]),
        ({"total": [np.nan, -1.0, 0.0]}, ["There is no positive value to draw.", "nan", "0", "—"]),
        ({"style": [4.0, 1.0], "total": [1.0, 5.0]}, [f"{MINUS}75.0%", "\N{MULTIPLICATION SIGN} 5"]),
    ],
)
def test_histories_of_every_kind(history, texts):
    document = Document(page(history={name: np.array(values) for name, values in history.items()}))
    for text in texts:
        assert text in document.texts
    assert ("Loss over the steps" in document.texts) == bool(history)
    assert len(document.all("svg")) == bool(texts and texts[0] != "There is no positive value to draw.")


def test_a_run_with_nothing_to_tell_is_a_page():
    document = Document(page(title="empty", history={}, config={}, facts={}, timings={}))
    assert document.all("html") == [{"lang": "en"}]
    assert document.texts.count("empty") == 2


def test_the_page_is_reproducible():
    assert page(clips=clips()[:2]) == page(clips=clips()[:2])


def test_three_stereo_clips_of_10_seconds_take_less_than_5_mb():
    hiss = 0.002 * np.random.default_rng(0).standard_normal((2, 441_000)).astype(np.float32)
    samples = hiss + tone(10, 44_100)  # as hard to compress as a quiet recording
    assert len(page(clips=[Clip(role, role, samples, 44_100) for role in ("content", "style", "output")])) < 5e6


@pytest.mark.parametrize("samples", [np.zeros(100), np.zeros((1, 0)), np.zeros((0, 100)), np.array([[0.0, np.nan]])])
def test_a_clip_that_cannot_be_played_is_refused(samples):
    with pytest.raises(ValueError, match=r"^bad\.wav: samples"):
        Clip("output", "bad.wav", samples, 16_000)


@pytest.fixture(scope="module")
def browser(tmp_path_factory, full_page):
    """A browser that shows the page, as large as a laptop's."""
    folder = tmp_path_factory.mktemp("browser")
    path = folder / "report.html"
    path.write_text(full_page, encoding="utf-8")
    with chromium(folder / "profile") as session:
        session.set_window_size(1280, 900)
        session.get(path.as_uri())
        yield session


def test_chromium_decodes_every_player(browser):
    for (ready, duration, error), clip in zip(ready_players(browser), clips(), strict=True):
        assert error is None
        assert ready >= 2
        assert duration == pytest.approx(clip.seconds, abs=0.05)


def test_playing_advances_and_pauses_the_others(browser):
    states = play(browser, 0)
    assert [paused for paused, _ in states] == [False, True, True, True]
    states = play(browser, 3)
    assert [paused for paused, _ in states] == [True, True, True, False]
    assert states[0][1] > 0.15
    assert browser.execute_script("return parseFloat(document.querySelectorAll('.playhead')[3].style.left)") > 5


def test_a_click_on_a_spectrogram_moves_the_player(browser):
    areas = browser.find_elements("css selector", ".spectrogram .area")
    areas[0].click()  # in its middle
    position = "return document.querySelectorAll('audio')[0].currentTime"
    assert browser.execute_script(position) == pytest.approx(1.0, abs=0.02)


def test_pictures_are_drawn(browser):
    widths = browser.execute_script("return [...document.images].map(image => image.naturalWidth)")
    assert widths == [1200] * len(clips())
    assert browser.execute_script("return document.querySelector('.loss svg').getBoundingClientRect().width") > 800


def test_nothing_is_fetched_from_elsewhere(browser):
    names = browser.execute_script("return performance.getEntriesByType('resource').map(entry => entry.name)")
    assert [name for name in names if not name.startswith("data:")] == []


def test_tracks_can_be_hidden(browser, tmp_path):
    path = tmp_path / "traced.html"
    path.write_text(page(clips=[traced_clip()]), encoding="utf-8")
    first = browser.current_window_handle
    browser.switch_to.new_window("tab")
    try:
        browser.get(path.as_uri())
        overlay, box = (browser.find_element("css selector", name) for name in (".tracks", ".toggle input"))
        assert overlay.size == browser.find_element("css selector", ".spectrogram img").size
        assert (overlay.is_displayed(), box.is_selected()) == (True, True)
        box.click()
        assert (overlay.is_displayed(), box.is_selected()) == (False, False)
    finally:
        browser.close()
        browser.switch_to.window(first)


def test_a_phone_shows_it_without_sideways_scrolling(browser):
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 400, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    )
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 400


def test_the_console_has_no_errors(browser):
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
