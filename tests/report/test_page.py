"""The page: what is in it, and what it does in a browser (Chromium, where there is one)."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from tests.conftest import ROOT
from tests.strategies import transcriptions
from transcribe.events import Chord, Note, Pedal, Transcription
from transcribe.report import page as report
from transcribe.report.roll import Scene

NASTY = '</script><script>alert("1")</script> & "Für Elise" \N{MUSICAL SYMBOL G CLEF}'
SONG = Transcription(
    notes=(Note(0.5, 60, 1.0, 80, 0.9), Note(1.0, 64, 2.0, 40, 0.3), Note(1.5, 67, 3.0, 110)),
    pedals=(Pedal(0.4, 1.2),),
    chords=(Chord(0.0, 2.0, "C:maj"), Chord(2.0, 4.0, "A:min7/b3")),
    duration=4.0,
    warnings=(NASTY,),
    models={"notes": NASTY},
)


class Scripts(HTMLParser):
    """The texts of the page's script elements by their id."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.found: dict[str, str] = {}
        self.text = ""
        self._id: str | None = None
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "script":
            self._id = dict(attrs).get("id") or "code"
            assert self._id not in self.found, "a script more than there should be"
            self.found[self._id] = ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "script":
            self._id = None

    def handle_data(self, data: str) -> None:
        if self._id is None:
            self.text += data
        else:
            self.found[self._id] += data


def test_the_rows_by_hand() -> None:
    data = report.roll_data(SONG)
    assert data["notes"] == [500, 500, 60, 80, 90, 0, 1000, 1000, 64, 40, 30, 0, 1500, 1500, 67, 110, 100, 0]
    assert data["pedals"] == [400, 1200]
    assert data["chords"] == [[0.0, 2.0, "C"], [2.0, 4.0, "Am7/C"]]
    reference = Transcription(notes=(Note(0.52, 60, 1.0, 80), Note(2.0, 72, 2.5, 80)), duration=5.0)
    compared = report.roll_data(SONG, reference)
    assert compared["duration"] == 5.0
    rows = np.reshape(np.asarray(compared["notes"]), (-1, 6))
    assert rows[:, [2, 5]].tolist() == [
        [60, 1],
        [64, 3],
        [67, 3],
        [72, 2],
    ]


@given(transcriptions())
def test_every_note_is_in_the_page(song: Transcription) -> None:
    page = Scripts(report.to_html(song, Scene(sound=False)))
    assert set(page.found) == {"data", "code"}
    rows = np.reshape(json.loads(page.found["data"])["notes"], (-1, 6))
    assert sorted(zip(rows[:, 0], rows[:, 2], rows[:, 3], strict=True)) == sorted(
        (round(1000 * note.onset), note.pitch, note.velocity) for note in song.notes
    )


def test_names_from_files_are_escaped() -> None:
    page = report.to_html(SONG, Scene(title=NASTY, sound=False))
    parsed = Scripts(page)
    assert set(parsed.found) == {"data", "code"}
    assert parsed.text.count(NASTY) == 4  # title, heading, warning, model
    compared = Scripts(report.compared(NASTY, [(NASTY, NASTY)], [(NASTY, NASTY, SONG, SONG)]))
    assert set(compared.found) == {"piece-0", "code"}
    assert report.to_html(SONG, Scene(title="b\udcffd", sound=False))


def test_the_page_asks_nobody() -> None:
    page = report.to_html(SONG, Scene(title="song")).decode()
    assert "default-src 'none'" in page
    assert not re.findall(r"https?:|//[a-z]+\.|src=|href=|@import", page)


def test_sound_is_put_in() -> None:
    recording = [np.zeros(8000, np.float32), np.zeros(100, np.float32)]
    both = Scripts(report.to_html(SONG, Scene(recording=recording, sample_rate=24_000))).found
    assert set(both) == {"data", "code", "sound-recording", "sound-transcription"}
    assert set(Scripts(report.to_html(Transcription())).found) == {"data", "code"}
    assert set(Scripts(report.to_html(SONG, Scene(recording=recording, sound=False))).found) == {"data", "code"}


def an_hour() -> Transcription:
    rng = np.random.default_rng(0)
    onsets = np.sort(rng.uniform(0, 3590, 36_000))
    notes = tuple(
        Note(float(t), int(rng.integers(30, 95)), float(t + rng.uniform(0.05, 3)), int(rng.integers(10, 120)), 0.8)
        for t in onsets
    )
    chords = tuple(Chord(2.0 * i, 2.0 * i + 2, "C:maj") for i in range(1800))
    pedals = tuple(Pedal(2.0 * i, 2.0 * i + 1.5) for i in range(1800))
    return Transcription(notes=notes, chords=chords, pedals=pedals, duration=3600.0)


def test_an_hour_is_under_five_megabytes() -> None:
    assert len(report.to_html(an_hour(), Scene(sound=False))) < 5e6


# In a browser ------------------------------------------------------------------------------------

AXE = [Path(os.environ.get("PITCHAI_AXE", "none")), ROOT / "node_modules/axe-core/axe.min.js"]
LOOKS: dict[str, dict[str, Any]] = {
    "light": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 800}, "color_scheme": "light", "has_touch": True},
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        pytest.skip("no Chromium is installed")
    with api.sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
        running = playwright.chromium.launch(executable_path=program, args=arguments)
        yield running
        running.close()


def opened(browser: Any, content: bytes, path: Path, look: str = "light") -> Any:
    """The page in a window of its own; whatever it says to the console fails the test at the end."""
    path.write_bytes(content)
    page = browser.new_context(**LOOKS[look]).new_page()
    page.said = []
    page.on("console", lambda message: page.said.append(message.text))
    page.on("pageerror", lambda error: page.said.append(str(error)))
    page.goto(path.as_uri())
    return page


def until(page: Any, condition: str) -> None:
    """Wait for it; the page's own policy forbids Playwright's way."""
    for _ in range(100):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"not within five seconds: {condition}")


def tone(seconds: float) -> list[np.ndarray]:
    return [0.1 * np.sin(2 * np.pi * 440 * np.arange(int(24_000 * seconds)) / 24_000).astype(np.float32)]


@pytest.fixture
def player(browser: Any, tmp_path: Path) -> Iterator[Any]:
    content = report.to_html(SONG, Scene("song", recording=tone(4.0), sample_rate=24_000))
    page = opened(browser, content, tmp_path / "song.html")
    yield page
    assert page.said == []
    page.context.close()


@pytest.mark.slow
def test_it_plays_seeks_and_switches(player: Any) -> None:
    player.click("#play")
    until(player, "player.position > 0.2 && document.querySelector('#play').textContent === 'Pause'")
    before = player.evaluate("player.position")
    player.check("input[value=transcription]")
    until(player, f"player.sound === player.sounds.transcription && player.position > {before} + 0.1")
    assert player.evaluate("player.position") < before + 2
    assert player.evaluate("player.sounds.recording.paused")
    player.click("#play")
    box = player.locator("#roll").bounding_box()
    at = player.evaluate("player.roll.x(2.1)")
    player.mouse.click(box["x"] + at, box["y"] + 40)
    assert player.evaluate("player.position") == pytest.approx(2.1, abs=0.02)
    assert player.evaluate("player.sound.currentTime") == pytest.approx(2.1, abs=0.02)
    assert player.inner_text("#clock") == "0:02 / 0:04"
    player.focus("#roll")
    for key, position in (("Home", 0), ("Shift+ArrowRight", 1), ("End", 4), ("ArrowLeft", 0), ("PageDown", 4)):
        player.keyboard.press(key)
        assert player.evaluate("player.position") == pytest.approx(position, abs=0.02), key
    assert player.get_attribute("#roll", "aria-valuetext") == "0:04"
    player.keyboard.press(" ")  # from the end it begins anew
    until(player, "player.playing && player.position < 2")
    player.keyboard.press("s")
    assert player.evaluate("player.sound === player.sounds.recording")


@pytest.mark.slow
def test_zoom_themes_and_text(player: Any) -> None:
    span = player.evaluate("player.roll.span")
    player.click("#zoom-in")
    assert player.evaluate("player.roll.span") == pytest.approx(span / 1.5)
    player.focus("#roll")
    player.keyboard.press("-")
    assert player.evaluate("player.roll.span") == pytest.approx(span)
    colour = player.evaluate("getComputedStyle(document.body).backgroundColor")
    player.click("#theme")
    assert player.evaluate("getComputedStyle(document.body).backgroundColor") != colour
    player.click("#notes summary")
    until(player, "document.querySelectorAll('#notes tbody tr').length === 3")
    assert "C4" in player.inner_text("#notes tbody")


def pixels(page: Any, pitch: int, seconds: float) -> list[int]:
    """The colour in the roll at a pitch and a time."""
    script = """([pitch, seconds]) => { const r = player.roll, k = devicePixelRatio;
        const x = r.x(seconds) * k, y = (r.y(pitch) + r.rowHeight / 2) * k;
        const copy = new OffscreenCanvas(1, 1).getContext('2d', {willReadFrequently: true});
        copy.drawImage(r.canvas, -Math.floor(x), -Math.floor(y));
        return [...copy.getImageData(0, 0, 1, 1).data].slice(0, 3); }"""
    found: list[int] = page.evaluate(script, [pitch, seconds])
    return found


@pytest.mark.slow
def test_notes_stand_where_they_sound(player: Any) -> None:
    empty = pixels(player, 60, 3.3)
    assert pixels(player, 60, 0.75) != empty
    assert pixels(player, 67, 2.9) != empty
    assert pixels(player, 64, 1.3) == empty  # hollow: less than half sure
    assert sum(pixels(player, 67, 2.2)) < sum(pixels(player, 60, 0.75))  # louder is darker


@pytest.mark.slow
@pytest.mark.parametrize("look", LOOKS)
def test_everybody_can_use_it(browser: Any, tmp_path: Path, look: str) -> None:
    axe = next((path for path in AXE if path.is_file()), None)
    if axe is None:
        pytest.skip("axe-core is not installed: npm install --no-save axe-core")
    content = report.to_html(SONG, Scene("song", recording=tone(1.0), sample_rate=24_000))
    compared = report.compared("set", [("note", "0.9")], [("piece", "0.9", SONG, SONG)])
    for page in (
        opened(browser, content, tmp_path / "song.html", look),
        opened(browser, compared, tmp_path / "set.html", look),
    ):
        for summary in page.locator("summary").all():
            summary.click()
        # The page's own policy would keep a stranger's script out of an element.
        page.evaluate(axe.read_text(encoding="utf-8"))
        violations = page.evaluate("axe.run().then((found) => found.violations)")
        assert [(v["id"], [node["html"] for node in v["nodes"]]) for v in violations] == []
        width = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert width <= 0, "the page can be scrolled sideways"
        assert page.said == []
        page.context.close()


@pytest.mark.slow
def test_an_hour_scrolls_smoothly(browser: Any, tmp_path: Path) -> None:
    page = opened(browser, report.to_html(an_hour(), Scene(sound=False)), tmp_path / "hour.html")
    script = """([view, speed]) => new Promise((done) => {
        const times = [], roll = player.roll;
        roll.zoom(view / roll.span);
        const frame = (now) => { times.push(now); roll.scrollTo(100 + times.length * speed);
          if (times.length < 120) requestAnimationFrame(frame);
          else done(times.slice(1).map((t, i) => t - times[i]).sort((a, b) => a - b)); };
        requestAnimationFrame(frame); })"""
    for view, speed in ((20, 0.5), (180, 20)):
        # A machine at work on other things drops frames of its own.
        slowest = min(page.evaluate(script, [view, speed])[int(0.95 * 119)] for _ in range(3))
        assert slowest <= 33.5, f"{slowest:.0f} ms a frame with {view} s in view"
    assert page.said == []
    page.context.close()
