import base64
import io
import itertools
import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
from browser import chromium
from PIL import Image
from selenium.webdriver.support.ui import Select

from jaxst.report import Clip, figures, gallery
from jaxst.report.gallery import Column, Entry, Reference, render_gallery
from jaxst.report.table import number_text

MINUS = "\N{MINUS SIGN}"
TO = "\N{NO-BREAK SPACE}\N{EN DASH} "
NASTY = """</script><script>alert("x")</script><!-- & 'quotes' \u2028 \N{SNOWMAN} {{ x }}"""
COLUMNS = [
    Column("texture", "Texture distance", "low", "relative error", False),
    Column("chroma", "Chroma", "high", NASTY, True),
    Column("tempo", "Tempo", "", "says nothing", False),
]
# Neither the order of text nor that of numbers.
SETTINGS = [
    {"style_weight": weight, "method": method, "seed": seed}
    for weight, method, seed in itertools.product((10.0, 0.1, 1.0), ("gatys", NASTY), (0, 1))
]


def write_tone(path: Path, seconds: float, sample_rate: int = 8000) -> Path:
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    soundfile.write(path, 0.5 * np.sin(2 * np.pi * 1000 * time), sample_rate)
    return path


def seconds_of(index: int) -> float:
    """Every file has its own length, by which a player is recognized."""
    return 0.5 + 0.1 * index


def make_entries(folder: Path) -> list[Entry]:
    """12 runs in no order; numbers of all kinds, among them none."""
    rng = np.random.default_rng(0)
    texture: list[float | None] = list(rng.permutation(12) * 0.111 - 0.3)
    chroma: list[float | None] = [float(value) for value in rng.uniform(0.4, 0.9, 12)]
    texture[3], texture[8], chroma[5] = None, np.inf, np.nan
    return [
        Entry(
            name=NASTY if index == 4 else f"{index:03}",
            settings=settings,
            status="diverged" if index == 8 else "converged" if index % 2 else "complete",
            values={"texture": texture[index], "chroma": chroma[index], "tempo": 100.0 * index},
            losses=[10.0 ** -(index / 4 + step / 100) for step in range(251)],
            path=write_tone(folder / f"{index:03}.{'wav' if index % 2 else 'flac'}", seconds_of(index)),
            command=f"jaxst-transfer --seed={index} --content='{NASTY}'",
        )
        for index, settings in enumerate(SETTINGS)
    ]


def page(folder: Path, entries: list[Entry], **changes) -> str:
    arguments = {
        "title": "sweep",
        "columns": COLUMNS,
        "ranked_by": "texture",
        "config": {"steps": 250, "nested": {"rate": 0.1}},
        "facts": {"device": "cpu"},
        "command": "jaxst-sweep --vary seed=0,1",
    }
    return render_gallery(folder=folder, entries=entries, **(arguments | changes))


def data_of(html: str) -> dict:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def ranked(entries: list[Entry], key: str, better: str = "low") -> list[str]:
    """The best first; those without a number last, in their order."""
    good = [entry for entry in entries if entry.values[key] is not None and np.isfinite(entry.values[key])]
    good.sort(key=lambda entry: entry.values[key], reverse=better == "high")
    return [entry.name for entry in good] + [entry.name for entry in entries if entry not in good]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("gallery")


@pytest.fixture(scope="module")
def entries(folder) -> list[Entry]:
    return make_entries(folder)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """A browser whose pages may use the clipboard."""
    with chromium(tmp_path_factory.mktemp("browser") / "profile") as session:
        session.set_window_size(1400, 1000)
        session.execute_cdp_cmd(
            "Browser.grantPermissions", {"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}
        )
        yield session


@pytest.fixture
def opened(browser):
    """A function that shows a page, freshly; afterwards nothing may have gone wrong or been fetched but files.

    Its player runs at a sixteenth of the speed: half a second of sound outlasts every question about it.
    """

    def show(html: str, folder: Path):
        path = folder / "gallery.html"
        path.write_text(html, encoding="utf-8")
        browser.get(path.as_uri())
        browser.execute_script("document.querySelector('audio').defaultPlaybackRate = 1 / 16")
        return browser

    yield show
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
    addresses = browser.execute_script("return performance.getEntriesByType('resource').map(entry => entry.name)")
    assert [address for address in addresses if not address.startswith(("data:", "file:"))] == []


@pytest.fixture(scope="module")
def full_page(folder, entries) -> str:
    tone = np.sin(2 * np.pi * 440 * np.arange(4000) / 8000)[None].astype(np.float32)
    references = [
        Reference(NASTY, {"texture": 1.5, "chroma": None}, Clip("content", "in.wav", tone, 8000)),
        Reference("noise", {"texture": -0.25, "tempo": 120.0}, None),
    ]
    return page(folder, entries, title=NASTY, references=references, notes=[NASTY], config={NASTY: NASTY})


@pytest.fixture
def shown(opened, full_page, folder):
    return opened(full_page, folder)


def texts(session, selector: str) -> list[str]:
    return session.execute_script(
        "return [...document.querySelectorAll(arguments[0])].map(e => e.textContent.trim())", selector
    )


def names(session) -> list[str]:
    """Of the entries that the table shows, in its order."""
    return texts(session, "#entries tr:not([hidden]) .name > span > b")


def click(session, selector: str, index: int = 0) -> None:
    session.execute_script("document.querySelectorAll(arguments[0])[arguments[1]].click()", selector, index)


def header(session, name: str):
    buttons = session.find_elements("css selector", "#table [aria-sort] button")
    return next(button for button in buttons if button.text.removesuffix("*") == name)


def sorted_by(session) -> dict[str, str]:
    return session.execute_script("""return Object.fromEntries([...document.querySelectorAll("#table [aria-sort]")]
        .filter(e => e.ariaSort !== "none").map(e => [e.querySelector("button").textContent.trim(), e.ariaSort]))""")


# The table


def test_entries_are_ranked_at_first(shown, opened, folder, entries):
    assert names(shown) == ranked(entries, "texture")
    assert sorted_by(shown) == {"Texture distance": "ascending"}
    assert names(opened(page(folder, entries, ranked_by="chroma"), folder)) == ranked(entries, "chroma", "high")
    assert sorted_by(shown) == {"Chroma*": "descending"}


def test_rows_hold_settings_and_numbers(shown, entries):
    rows = shown.execute_script(
        "return [...document.querySelectorAll('#entries tr')].map(row => [...row.cells].slice(3, -1)"
        ".map(cell => cell.textContent.trim()))"
    )
    by_name = {entry.name: entry for entry in entries}
    for name, row in zip(names(shown), rows, strict=True):
        entry = by_name[name]
        assert row[:3] == [f"{entry.settings['style_weight']:g}", entry.settings["method"], str(entry.settings["seed"])]
        numbers = [entry.values[column.key] for column in COLUMNS]
        wanted = ["—" if n is None or not np.isfinite(n) else number_text(n).replace("-", MINUS) for n in numbers]
        assert row[3:] == wanted
    best = {c.key: ranked(entries, c.key, c.better)[0] for c in COLUMNS[:2]}
    marked = shown.execute_script("""return [...document.querySelectorAll("#entries .best")].map(cell =>
        [cell.cellIndex, cell.closest("tr").querySelector(".name b").textContent])""")
    assert sorted(marked) == [[6, best["texture"]], [7, best["chroma"]]]
    assert texts(shown, "#entries .status") == ["diverged"]
    assert "* part of the loss that the outputs were made with: no evidence" in texts(shown, "main p")


def test_a_click_reverses_the_order_and_what_is_missing_stays_last(shown, entries):
    *present, _, _ = order = ranked(entries, "texture")
    for direction, wanted in {"descending": [*present[::-1], *order[-2:]], "ascending": order}.items():
        header(shown, "Texture distance").click()
        assert names(shown) == wanted
        assert sorted_by(shown) == {"Texture distance": direction}


def test_every_column_sorts_its_own_way(shown, entries):
    header(shown, "Chroma").click()  # the best first
    assert names(shown) == ranked(entries, "chroma", "high")
    header(shown, "style_weight").click()
    weights = [float(row) for row in texts(shown, "#entries td:nth-child(4)")]
    assert weights == [0.1] * 4 + [1.0] * 4 + [10.0] * 4
    header(shown, "Entry").click()
    assert names(shown)[1:] == sorted(entry.name for entry in entries if entry.name != NASTY)
    header(shown, "Entry").send_keys("\ue007")  # the Enter key
    assert sorted_by(shown) == {"Entry": "descending"}


def test_text_filters_names_statuses_and_settings(shown, entries):
    search = shown.find_element("css selector", "#search")
    for typed, wanted in {
        "diverged": ["008"],
        "SEED=1 style_weight=0.1": ["005", "007"],
        "011": ["011"],
        "nothing of the kind": [],
    }.items():
        search.clear()
        search.send_keys(typed)
        assert sorted(names(shown)) == wanted
        assert texts(shown, "#count") == [f"{len(wanted)} of 12 shown"]
    shown.find_element("css selector", "#reset").click()
    assert len(names(shown)) == 12
    assert texts(shown, "#count") == ["12 shown"]
    assert not shown.find_element("css selector", "#reset").is_displayed()


def test_boxes_filter_by_setting(shown, entries):
    weight, method, seed = (Select(box) for box in shown.find_elements("css selector", "#selects select"))
    assert [option.text for option in weight.options] == ["any", "0.1", "1", "10"]
    weight.select_by_visible_text("0.1")
    seed.select_by_visible_text("1")
    assert sorted(names(shown)) == ["005", "007"]
    method.select_by_index(1)
    assert len(names(shown)) == 1
    weight.select_by_visible_text("any")
    assert len(names(shown)) == 3


# The heat map


def heat(session) -> tuple[list[str], list[str], list[list[str]]]:
    """Labels of rows and of columns, and the cells' text."""
    cells = session.execute_script("""return [...document.querySelectorAll("#heat tbody tr")]
        .map(row => [...row.cells].map(cell => cell.textContent))""")
    across = texts(session, "#heat thead th[scope=col]")
    return [row[0] for row in cells], across, [row[1:] for row in cells]


def mean_text(entries: list[Entry], key: str, **settings) -> str:
    numbers = [e.values[key] for e in entries if settings.items() <= e.settings.items()]
    found = [number for number in numbers if number is not None and np.isfinite(number)]
    return number_text(float(np.mean(found)) if found else None).replace("-", MINUS if found else "—")


def test_cells_are_means_over_the_other_settings(shown, entries):
    down, across, cells = heat(shown)
    assert (down, across) == (["0.1", "1", "10"], sorted([NASTY, "gatys"]))
    wanted = [
        [mean_text(entries, "texture", style_weight=w, method=m) for m in sorted([NASTY, "gatys"])]
        for w in (0.1, 1.0, 10.0)
    ]
    assert cells == wanted
    assert any(MINUS in text for row in cells for text in row)


def test_axes_and_number_can_be_chosen(shown, entries):
    rows, columns, number = (Select(shown.find_element("id", name)) for name in ("down", "across", "number"))
    number.select_by_visible_text("Chroma")
    columns.select_by_visible_text("seed")
    down, across, cells = heat(shown)
    assert (down, across) == (["0.1", "1", "10"], ["0", "1"])
    wanted = [[mean_text(entries, "chroma", style_weight=w, seed=s) for s in (0, 1)] for w in (0.1, 1.0, 10.0)]
    assert cells == wanted
    rows.select_by_visible_text("seed")  # the other axis takes what this one had
    down, across, cells = heat(shown)
    assert (down, across) == (["0", "1"], ["0.1", "1", "10"])
    assert cells == [list(column) for column in zip(*wanted, strict=True)]


@pytest.mark.parametrize(("number", "best"), [("Texture distance", min), ("Chroma", max), ("Tempo", max)])
def test_the_strongest_color_is_the_best(shown, number, best):
    Select(shown.find_element("id", "number")).select_by_visible_text(number)
    cells = shown.execute_script("""return [...document.querySelectorAll("#heat button")]
        .map(e => [Number(e.textContent.replace("\u2212", "-")), parseFloat(e.style.getPropertyValue("--shade"))])""")
    assert {shade for _, shade in cells} >= {0, 100}
    assert best(cells)[1] == 100
    shades = [shade for _, shade in sorted(cells, reverse=best is min)]
    assert shades == sorted(shades)
    assert texts(shown, "#best")[0].endswith("better") == (number != "Tempo")


def test_a_click_on_a_cell_filters_the_table_to_its_entries(shown, entries):
    shown.find_element("id", "search").send_keys("diverged")
    cells = shown.find_elements("css selector", "#heat button")
    cells[3].click()  # the second row is weight 1
    wanted = {e.name for e in entries if e.settings["style_weight"] == 1 and e.settings["method"] == "gatys"}
    assert set(names(shown)) == wanted
    assert [cell.get_attribute("aria-pressed") for cell in cells] == ["false"] * 3 + ["true"] + ["false"] * 2
    assert "2 entries" in str(cells[3].get_attribute("title"))
    cells[3].click()
    assert len(names(shown)) == 12


def test_many_values_are_gathered_in_ranges_of_equal_count(opened, tmp_path, entries):
    rng = np.random.default_rng(1)
    rates, weights, losses = rng.permutation(54) * 1e-3 + 1e-3, rng.lognormal(size=54), rng.uniform(1, 2, 54)
    many = [
        Entry(str(i), {"rate": r, "weight": w}, "complete", {"texture": v}, [], entries[0].path, "")
        for i, (r, w, v) in enumerate(zip(rates.tolist(), weights.tolist(), losses.tolist(), strict=True))
    ]
    session = opened(page(tmp_path, many), tmp_path)
    down, across, cells = heat(session)
    assert down == [f"0.001{TO}0.018", f"0.019{TO}0.036", f"0.037{TO}0.054"]
    assert len(across) == 3
    thirds = [np.array_split(np.argsort(values), 3) for values in (rates, weights)]
    for i, j in itertools.product(range(3), repeat=2):
        members = np.intersect1d(thirds[0][i], thirds[1][j])
        assert cells[i][j] == (number_text(float(losses[members].mean())) if members.size else "")
    members = np.intersect1d(thirds[0][1], thirds[1][1])
    session.execute_script("document.querySelector('#heat tbody').rows[1].cells[2].firstElementChild.click()")
    assert sorted(map(int, names(session))) == members.tolist()


def test_equal_values_share_a_range(opened, tmp_path, entries):
    values = [*range(30), *[30] * 30]
    many = [
        Entry(str(i), {"steps": v, "seed": i % 2}, "complete", {"texture": float(v)}, [], entries[0].path, "")
        for i, v in enumerate(values)
    ]
    down, _, cells = heat(opened(page(tmp_path, many), tmp_path))
    assert down == [f"0{TO}19", f"20{TO}30"]
    assert cells[0] == [number_text(9.0), number_text(10.0)]


def test_there_is_no_map_of_fewer_than_two_settings(opened, folder, entries):
    session = opened(page(folder, entries[:2]), folder)
    assert not session.find_element("id", "map").is_displayed()
    assert texts(session, "#selects label") == ["seed any01"]


# The players


def playing(session) -> tuple[float, float, bool]:
    """Duration in seconds, position and whether it is paused, once the player can play or has failed."""
    return session.execute_async_script("""
        const done = arguments[0], audio = document.querySelector("audio");
        const poll = () => audio.readyState >= 2 && audio.currentTime > 0 || audio.error
          ? done([audio.duration, audio.currentTime, audio.paused]) : setTimeout(poll, 20);
        poll();""")


def row_selector(session, name: str) -> str:
    return f"#entries tr:nth-child({names(session).index(name) + 1})"


def test_nothing_is_loaded_before_it_is_played(shown):
    players = shown.execute_script(
        "return [...document.querySelectorAll('audio')].map(e => [e.src, e.preload, e.networkState])"
    )
    assert players == [["", "none", 0]]
    assert not shown.find_element("id", "player").is_displayed()


@pytest.mark.parametrize("index", [0, 7])
def test_a_row_plays_its_own_file(shown, index, folder, entries):
    play = f"{row_selector(shown, entries[index].name)} .play"
    shown.find_element("css selector", play).send_keys("\ue007")  # the Enter key
    duration, _, paused = playing(shown)
    assert duration == pytest.approx(seconds_of(index), abs=0.01)
    assert not paused
    assert shown.find_element("css selector", play).get_attribute("aria-pressed") == "true"
    assert texts(shown, "#playing") == [entries[index].name]
    assert texts(shown, "tr.loaded .name b") == [entries[index].name]
    source = shown.execute_script("return document.querySelector('audio').src")
    assert base64.b64decode(source.partition(",")[2]) == entries[index].path.read_bytes()
    shown.find_element("css selector", play).click()
    assert playing(shown)[2]


def test_one_plays_at_a_time(shown, entries):
    for index in (9, 10):
        click(shown, f"{row_selector(shown, entries[index].name)} .play")
        assert playing(shown)[0] == pytest.approx(seconds_of(index), abs=0.01)
    assert texts(shown, ".play[aria-pressed=true] + span b") == [entries[10].name]
    click(shown, "tfoot .play")
    assert playing(shown)[0] == pytest.approx(0.5)
    assert texts(shown, ".play[aria-pressed=true] + span b") == [NASTY]


def test_a_click_on_a_spectrogram_plays_from_there(shown, entries):
    picture = shown.find_element("css selector", f"{row_selector(shown, entries[11].name)} .thumb")
    picture.click()  # in its middle
    duration, position, paused = playing(shown)
    assert (duration, paused) == (pytest.approx(seconds_of(11), abs=0.01), False)
    assert duration / 2 - 0.02 < position < duration / 2 + 0.3
    place = shown.execute_script("return parseFloat(document.querySelector('.loaded .playhead').style.left)")
    assert place > 48


def test_audio_that_is_not_there_is_said_so(opened, tmp_path, entries):
    broken, gone = tmp_path / "broken.flac", tmp_path / "gone.flac"
    broken.write_bytes(b"not audio")
    silent = [Entry(path.stem, SETTINGS[0], "complete", {}, [], path, "") for path in (broken, gone)]
    session = opened(page(tmp_path, [*silent, entries[2]]), tmp_path)
    reasons = dict(zip(names(session), texts(session, "#entries td:nth-child(2)"), strict=True))
    assert reasons["gone"] == "No audio: no such file; check the path"
    assert reasons["broken"].startswith("No audio: cannot be decoded")
    assert len(session.find_elements("css selector", ".play")) == 1


def test_large_pages_play_the_files_beside_them(opened, tmp_path, monkeypatch, entries):
    (tmp_path / "sub").mkdir()
    hostile = ("sub/plain.flac", "sub/a b#c?d%41.flac", "quote'\"ü:x.wav")
    paths = [write_tone(tmp_path / name, seconds_of(i)) for i, name in enumerate(hostile)]
    files = [Entry(str(i), {"seed": i}, "complete", {"texture": i}, [1.0], path, "") for i, path in enumerate(paths)]
    note = "The audio is not in this page: it plays 3 files beside it."
    assert note not in page(tmp_path, files)
    monkeypatch.setattr(gallery, "EMBEDDED_BYTES", sum(path.stat().st_size for path in paths) - 1)
    html = page(tmp_path, files)
    assert "data:audio" not in html
    session = opened(html, tmp_path)
    assert texts(session, ".note") == [note]
    for index in range(3):
        click(session, "#entries .play", index)
        assert playing(session)[0] == pytest.approx(seconds_of(index), abs=0.01)


def test_a_file_that_has_vanished_is_said_so(opened, tmp_path, monkeypatch, browser):
    monkeypatch.setattr(gallery, "EMBEDDED_BYTES", 0)
    entry = Entry("a", {}, "complete", {}, [], write_tone(tmp_path / "a.flac", 0.5), "")
    session = opened(page(tmp_path, [entry]), tmp_path)
    entry.path.unlink()
    click(session, "#entries .play")
    playing(session)
    assert texts(session, "#playing-settings") == ["cannot be played: is the file still beside this page?"]
    browser.get_log("browser")  # tells of the missing file


# Loss curves


def curves(session) -> list[str]:
    """Names in the legend."""
    return texts(session, "#legend b")


def test_the_best_five_curves_are_shown_at_first(shown, entries):
    assert curves(shown) == ranked(entries, "texture")[:5]
    assert len(shown.find_elements("css selector", ".loss path")) == 5
    boxes = shown.execute_script("return [...document.querySelectorAll('#entries input')].map(box => box.checked)")
    assert boxes == [True] * 5 + [False] * 7


def test_a_box_shows_and_hides_its_curve_in_a_color_of_its_own(shown, entries):
    order = ranked(entries, "texture")
    click(shown, "#entries input", 1)
    click(shown, "#entries input", 9)
    assert curves(shown) == [order[0], order[9], *order[2:5]]  # the color that became free
    for index in (1, 5, 6, 7):
        click(shown, "#entries input", index)
    strokes = shown.execute_script("""return [...document.querySelectorAll(".loss path")]
        .map(path => [path.getAttribute("stroke"), path.getAttribute("stroke-dasharray")].join(" "))""")
    assert len(strokes) == len(set(strokes)) == 9
    click(shown, "#no-curve")
    assert curves(shown) == []
    assert shown.find_element("id", "no-curves").text == "Tick entries in the table to see their curves."
    click(shown, "#best-curves")
    assert curves(shown) == order[:5]


def test_curves_lie_where_their_losses_are(opened, folder, entries):
    losses = {"a": [1.0, 0.1, 0.01], "b": [0.01, 0.01, np.nan, np.inf, 1.0]}
    files = [Entry(name, {}, "complete", {}, values, entries[0].path, "") for name, values in losses.items()]
    session = opened(page(folder, files), folder)
    paths = session.execute_script("return [...document.querySelectorAll('.loss path')].map(e => e.getAttribute('d'))")
    first, second = ([float(n) for n in re.findall(r"[\d.]+", path.replace("h0", " "))] for path in paths)
    (x0, top, x1, middle, x2, bottom), (_, low, _, low_again, x4, high) = first, second
    assert [x0, x1, x2, x4] == [0, 25, 50, 100]
    assert (low, low_again, high) == (bottom, bottom, top)
    assert middle == pytest.approx((top + bottom) / 2, abs=0.02)
    assert paths[1].count("M") == 2  # a gap
    assert texts(session, ".loss .y span") == ["0.01", "0.02", "0.05", "0.1", "0.2", "0.5", "1"]
    assert texts(session, ".loss .x span") == ["0", "1", "2", "3", "4"]
    assert texts(session, "#legend .value") == ["0.01", "1"]


def test_the_pointer_reads_values(shown, entries):
    area = shown.find_element("css selector", ".loss .area")
    move = """const box = arguments[0].getBoundingClientRect();
        arguments[0].dispatchEvent(new PointerEvent("pointermove", { bubbles: true,
          clientX: box.left + arguments[1] * box.width, clientY: box.bottom - 1 }));"""
    shown.execute_script(move, area, 0.0)
    by_name = {entry.name: entry for entry in entries}
    firsts = [float(text.replace(MINUS, "-")) for text in texts(shown, "#legend .value")]
    assert firsts == pytest.approx([by_name[name].losses[0] for name in curves(shown)], rel=1e-3)
    lowest = min(curves(shown), key=lambda name: by_name[name].losses[-1])
    assert texts(shown, "#legend .chosen b") == [lowest]


@pytest.mark.parametrize("count", [0, 1, 2, 99, 100, 101, 1000, 12345])
def test_curves_are_thinned(folder, entries, count):
    losses = np.linspace(2, 1, count)
    losses[3:5] = 0
    data = data_of(page(folder, [Entry("a", {}, "complete", {}, losses, entries[0].path, "")]))["entries"][0]["losses"]
    assert len(data["values"]) <= 100
    steps = [min(index * data["stride"], data["last"]) for index in range(len(data["values"]))]
    assert steps == sorted(set(steps))
    wanted = [None if loss == 0 else pytest.approx(loss, rel=5e-4) for loss in losses[steps]]
    assert data["values"] == wanted
    if count:
        assert (steps[0], steps[-1]) == (0, count - 1)


# Everything


def test_commands_are_copied(shown, entries):
    click(shown, f"{row_selector(shown, '007')} [data-copy]")
    read = "const done = arguments[0]; setTimeout(() => navigator.clipboard.readText().then(done), 50)"
    assert shown.execute_async_script(read) == entries[7].command
    assert texts(shown, f"{row_selector(shown, '007')} [data-copy]") == ["Copied"]
    shown.find_element("css selector", "#again + button").click()
    assert shown.execute_async_script(read) == "jaxst-sweep --vary seed=0,1"


def test_without_a_clipboard_the_command_is_shown(shown, entries):
    shown.execute_script("""Object.defineProperty(navigator, "clipboard", { value: undefined });
        window.prompt = (_, text) => { window.asked = text; };""")
    click(shown, f"{row_selector(shown, '007')} [data-copy]")
    assert shown.execute_script("return window.asked") == entries[7].command


def test_hostile_names_are_text(shown, full_page, entries):
    assert shown.title == NASTY
    assert shown.execute_script("return document.scripts.length") == 2
    for selector in ("h1", ".note", ".rows dt", ".rows dd", "tfoot .name b", ".meanings dd", "#entries .name b"):
        assert NASTY in texts(shown, selector), selector
    assert NASTY in texts(shown, "#heat th")
    assert NASTY in [entry["name"] for entry in data_of(full_page)["entries"]]


@pytest.mark.parametrize("count", [0, 1])
def test_pages_of_nothing_and_of_one(opened, folder, entries, count):
    session = opened(page(folder, entries[:count]), folder)
    assert len(names(session)) == count
    assert texts(session, "#count") == [f"{count} shown"]


def test_values_of_every_kind(opened, folder, entries):
    values = [None, True, np.float32(0.1), 2**60, 2**60 + 1, (1, 2), float("nan"), "text", 3]
    kinds = [Entry(str(i), {"value": value}, "complete", {}, [], entries[0].path, "") for i, value in enumerate(values)]
    session = opened(page(folder, kinds), folder)
    header(session, "value").click()
    order = ["0.1", "3", "1, 2", "1152921504606846976", "1152921504606846977", "nan", "text", "True", "—"]
    assert texts(session, "#entries td:nth-child(4)") == order
    assert texts(session, "#selects option") == ["any", *order]


def test_paths_are_shown_without_the_folders_that_they_share(opened, folder, entries):
    paths = {"a": "/data/in/water.wav", "b": "/data/in/fire/large.FLAC", "c": "/data/in/wind.wav"}
    files = [
        Entry(name, {"style": path, "mix": "1/2"}, "complete", {}, [], entries[0].path, "")
        for name, path in paths.items()
    ]
    session = opened(page(folder, files), folder)
    assert texts(session, "#entries td:nth-child(4)") == ["water.wav", "fire/large.FLAC", "wind.wav"]
    assert texts(session, "#entries td:nth-child(5)") == ["1/2"] * 3


def test_a_column_of_small_numbers_shows_three_digits(opened, folder, entries):
    losses = {"a": 0.01234, "b": 1.5e-7, "c": -0.0512, "d": 2.5e-7}
    files = [
        Entry(name, {"x": name < "c", "y": name in "bd"}, "complete", {"texture": loss}, [], entries[0].path, "")
        for name, loss in losses.items()
    ]
    session = opened(page(folder, files, references=[Reference("noise", {"texture": 2.0}, None)]), folder)
    wanted = [f"{MINUS}0.0512", f"1.5e{MINUS}7", f"2.5e{MINUS}7", "0.0123"]
    assert texts(session, "#entries .number:nth-child(6)") == wanted
    assert texts(session, "tfoot .number:nth-child(6)") == ["2"]
    assert texts(session, "#heat button") == [f"{MINUS}0.0512", f"2.5e{MINUS}7", "0.0123", f"1.5e{MINUS}7"]
    assert texts(session, "header .muted") == [f"4 entries, ranked by Texture distance: c is first with {wanted[0]}"]


def test_five_hundred_entries_are_a_page_of_bounded_size(opened, tmp_path):
    write_tone(tmp_path / "0.flac", 0.05)
    many = []
    for i in range(500):
        path = tmp_path / f"{i}.flac"
        if i:
            os.link(tmp_path / "0.flac", path)
        settings = {"seed": i, "method": "ab"[i % 2]}
        many.append(Entry(f"{i:03}", settings, "complete", {"texture": (i * 7919) % 500 / 500}, [1.0] * 500, path, "x"))
    html = page(tmp_path, many)
    assert len(html) < 500 * 12_000
    session = opened(html, tmp_path)
    assert len(session.find_elements("css selector", "audio")) == 1
    assert session.execute_script("return document.querySelector('audio').hasAttribute('src')") is False
    assert session.execute_script("return [...document.images].every(image => image.loading === 'lazy')")
    assert names(session) == ranked(many, "texture")
    header(session, "seed").click()
    assert names(session) == [f"{i:03}" for i in range(500)]
    click(session, "#entries .play", 499)
    assert playing(session)[0] == pytest.approx(0.05, abs=0.01)


def test_spectrograms_share_one_scale_of_colors_and_one_of_frequencies(tmp_path):
    time = np.arange(8000) / 16_000
    tone = np.sin(2 * np.pi * 1000 * time)
    for name, samples, rate in (("loud", tone, 16_000), ("quiet", tone / 10, 16_000), ("low", tone, 8000)):
        soundfile.write(tmp_path / f"{name}.flac", samples, rate)
    files = [Entry(n, {}, "complete", {}, [], tmp_path / f"{n}.flac", "") for n in ("loud", "quiet", "low")]
    sources = re.findall(r'src="data:image/png;base64,([^"]*)" alt="Spectrogram', page(tmp_path, files))
    loud, quiet, low = (
        np.asarray(Image.open(io.BytesIO(base64.b64decode(s))).convert("RGBA")).astype(int) for s in sources
    )
    assert loud.shape == (48, 144, 4)
    brightest = [np.argmax(picture[:, 72, :3].sum(axis=1)) for picture in (loud, quiet, low)]
    mel = [np.log10(1 + hertz / 700) for hertz in (1000, 500, 8000)]  # 500 Hz: at half the rate it sounds so
    assert brightest[0] == brightest[1]
    assert [47 - brightest[0], 47 - brightest[2]] == [int(48 * mel[0] / mel[2]), int(48 * mel[1] / mel[2])]
    assert loud[..., :3].max(axis=(0, 1)).sum() > quiet[..., :3].max(axis=(0, 1)).sum() + 60
    covered = 48 * np.log10(1 + 4000 / 700) / mel[2]
    assert (low[..., 3] > 0).any(axis=1).sum() == np.ceil(covered)
    assert (loud[..., 3] == 255).all()


def test_a_thumbnail_shows_levels_from_the_bottom_and_leaves_gaps_transparent():
    levels = np.array([[-80.0, 0.0], [-40.0, np.nan], [10.0, -200.0]])
    pixels = np.asarray(Image.open(io.BytesIO(figures.thumbnail(levels, (-80.0, 0.0)))).convert("RGBA"))
    dark, bright = (np.array(figures.COLOR_MAP(end, bytes=True)) for end in (0.0, 1.0))
    np.testing.assert_array_equal(pixels[2], [dark, bright])
    np.testing.assert_array_equal(pixels[0], [bright, dark])
    assert pixels[1, 1, 3] == 0
    assert dark[:3].sum() < pixels[1, 0, :3].sum() < bright[:3].sum()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_cell_can_be_read_in_light_and_dark(opened, full_page, folder, scheme):
    session = opened(full_page, folder)
    session.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    try:
        colors = session.execute_script("""
            const pixel = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
            const rgb = color => { pixel.fillStyle = color; pixel.fillRect(0, 0, 1, 1);
              return [...pixel.getImageData(0, 0, 1, 1).data].slice(0, 3); };
            const button = document.querySelector("#heat button"), found = [];
            for (let shade = 0; shade <= 100; shade += 5) {
              button.style.setProperty("--shade", `${shade}%`);
              const style = getComputedStyle(button);
              found.push([rgb(style.color), rgb(style.backgroundColor)]);
            }
            return [rgb(getComputedStyle(document.body).backgroundColor), found];""")
    finally:
        session.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    background, pairs = colors
    assert (sum(background) > 384) == (scheme == "light")

    def luminance(color):
        share = np.array(color) / 255
        return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]

    lights = np.sort([[luminance(text), luminance(cell)] for text, cell in pairs], axis=1)
    assert ((lights[:, 1] + 0.05) / (lights[:, 0] + 0.05)).min() > 4.5


def test_a_phone_scrolls_the_table_and_not_the_page(opened, full_page, folder):
    session = opened(full_page, folder)
    size = {"width": 400, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    session.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        assert session.execute_script("return document.documentElement.scrollWidth") <= 400
        panel = "document.querySelector('.panel')"
        assert session.execute_script(f"return {panel}.scrollWidth > {panel}.clientWidth")
        session.execute_script(f"{panel}.scrollLeft = 200")
        left = session.execute_script("return document.querySelector('#entries .play').getBoundingClientRect().left")
        assert 0 <= left < 60  # names and players stay
    finally:
        session.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_the_page_is_reproducible(folder, entries):
    assert page(folder, entries) == page(folder, entries)


def test_what_cannot_be_shown_is_refused(folder, entries):
    with pytest.raises(ValueError, match="unique names: '001' is there twice"):
        page(folder, [*entries[:2], entries[1]])
    with pytest.raises(ValueError, match="ranked_by='gram' must be one of texture, chroma, tempo"):
        page(folder, entries, ranked_by="gram")
    other = Entry("other", {"steps": 1}, "complete", {}, [], entries[0].path, "")
    with pytest.raises(ValueError, match=r"other: settings \['steps'\] must be \['style_weight', 'method', 'seed'\]"):
        page(folder, [entries[0], other])
