"""The page as a file: what is in it, and what it does in a browser (Chromium, where there is one)."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from tests.benchmark.frames import FOLLOW, an_hour
from tests.browser import LOOKS, check_everybody_can_use, chromium, opened, until
from tests.formats.test_parts import BAND
from tests.strategies import transcriptions
from transcribe.events import Chord, Metre, Note, Pedal, Transcription
from transcribe.formats import page as with_score
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
# Two bars of three, a scale in the right hand over a bass.
IN_BARS = Transcription(
    notes=tuple(
        sorted(
            (
                *(Note(0.5 + 0.5 * i, 72 + [0, 2, 4, 5, 7, 9][i], 0.95 + 0.5 * i, 90) for i in range(6)),
                Note(0.5, 48, 1.9, 70),
                Note(2.0, 43, 3.4, 70),
            )
        )
    ),
    beats=tuple(0.5 + 0.5 * i for i in range(7)),
    downbeats=(0.5, 2.0, 3.5),
    metres=(Metre(0.0, 4.0, "3/4"),),
    chords=(Chord(0.5, 2.0, "C:maj"), Chord(2.0, 4.0, "G:7")),
    key="C major",
    tempo=120.0,
    duration=4.0,
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


def test_rows_of_a_comparison_by_hand() -> None:
    reference = Transcription(notes=(Note(0.52, 60, 1.0, 80), Note(2.0, 72, 2.5, 80)), duration=5.0)
    data = report.roll_data(SONG, reference)
    assert data["duration"] == 5.0
    assert data["pedals"] == [400, 1200]
    assert data["chords"] == [[0.0, 2.0, "C"], [2.0, 4.0, "Am7/C"]]
    rows = np.reshape(np.asarray(data["notes"]), (-1, 6))
    assert rows[:, [2, 5]].tolist() == [[60, 1], [64, 3], [67, 3], [72, 2]]
    assert rows[0].tolist() == [500, 500, 60, 80, 90, 1]


@given(transcriptions())
def test_every_note_is_in_the_page(song: Transcription) -> None:
    page = Scripts(report.to_html(song, Scene(sound=False)))
    assert set(page.found) == {"data", "config", "code"}
    notes = json.loads(page.found["data"])["transcription"]["notes"]
    assert sorted((note["onset"], note["pitch"], note["velocity"]) for note in notes) == sorted(
        (round(note.onset, 4), note.pitch, note.velocity) for note in song.notes
    )


def test_names_from_files_are_escaped() -> None:
    page = report.to_html(SONG, Scene(title=NASTY, sound=False))
    parsed = Scripts(page)
    assert set(parsed.found) == {"data", "config", "code"}
    assert parsed.text.count(NASTY) == 4  # title, heading, warning, model
    compared = Scripts(report.compared(NASTY, [(NASTY, NASTY)], [(NASTY, NASTY, SONG, SONG)]))
    assert set(compared.found) == {"piece-0", "config", "code"}
    assert report.to_html(SONG, Scene(title="b\udcffd", sound=False))


def test_the_page_asks_nobody_and_runs_one_script() -> None:
    page = report.to_html(SONG, Scene(title="song"))
    text = page.decode()
    assert "default-src 'none'" in text
    assert not re.findall(r'https?:|//[a-z]+\.|src="|href="[^#]|@import', text)
    digest = base64.b64encode(hashlib.sha256(Scripts(page).found["code"].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}';" in text


def test_a_server_gives_a_page_without_inline_script() -> None:
    text = report.served(["midi", "json"]).decode()
    assert re.findall(r"<script(?! src=| type=\"application/json\")", text) == []
    assert not re.findall(r"\son[a-z]+=", text)
    assert re.findall(r'src="/assets/([^"]+)"', text) == list(report.SCRIPTS)
    assert json.loads(Scripts(text.replace(' src="/assets/', ' id="').encode()).found["config"])["served"] is True


def test_every_format_has_a_name_and_every_word_is_said() -> None:
    from transcribe.formats.table import FORMATS

    words = json.loads((report.ASSETS / "strings.json").read_text())
    assert {f"format_{name}" for name in FORMATS} <= set(words)
    said = set()
    for name in report.SCRIPTS:
        said |= set(re.findall(r'say\("(\w+)"', (report.ASSETS / name).read_text()))
    assert said <= set(words)


def test_sound_is_put_in() -> None:
    recording = [np.zeros(8000, np.float32), np.zeros(100, np.float32)]
    both = Scripts(report.to_html(SONG, Scene(recording=recording, sample_rate=24_000))).found
    assert set(both) == {"data", "config", "code", "sound-recording", "samples"}
    assert set(Scripts(report.to_html(Transcription())).found) == {"data", "config", "code"}
    silent = report.to_html(SONG, Scene(recording=recording, sound=False))
    assert set(Scripts(silent).found) == {"data", "config", "code"}


def test_the_score_is_put_in_where_it_can_be_engraved() -> None:
    pytest.importorskip("verovio")
    found = Scripts(with_score.to_html(IN_BARS, Scene(sound=False))).found
    score = json.loads(found["score-data"])
    assert len(score["svg"]) == score["places"]["pages"] == 1
    assert {note["id"] for note in score["places"]["notes"]} == set(range(8))
    assert [measure["number"] for measure in score["places"]["measures"]] == [1, 2]
    beside = Scene(sound=False, reference=IN_BARS)
    assert "score-data" not in Scripts(with_score.to_html(IN_BARS, beside)).found


def test_an_hour_is_under_five_megabytes() -> None:
    assert len(with_score.to_html(replace(an_hour(), beats=(), downbeats=()), Scene(sound=False))) < 5e6


# In a browser ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as running:
        yield running


def shown(browser: Any, content: bytes, path: Path, look: str = "light") -> Any:
    path.write_bytes(content)
    return opened(browser, path.as_uri(), look)


def tone(seconds: float) -> list[np.ndarray]:
    return [0.1 * np.sin(2 * np.pi * 440 * np.arange(int(24_000 * seconds)) / 24_000).astype(np.float32)]


@pytest.fixture
def window(browser: Any, tmp_path: Path) -> Iterator[Any]:
    content = report.to_html(SONG, Scene("song", recording=tone(4.0), sample_rate=24_000))
    page = shown(browser, content, tmp_path / "song.html")
    yield page
    assert page.said == []
    page.context.close()


@pytest.mark.slow
def test_it_plays_seeks_and_switches(window: Any) -> None:
    window.click("#play")
    until(window, "page.player.position > 0.2 && find('play').textContent === 'Pause'")
    assert window.evaluate("page.player.volumes.transcription") == 0
    window.keyboard.press("s")
    assert window.evaluate("page.player.recording.volume") == 0
    until(window, "page.player.sampler.voices.size > 0")
    window.click("#play")
    until(window, "!page.player.playing && page.player.recording.paused")
    box = window.locator("#roll").bounding_box()
    window.mouse.click(box["x"] + window.evaluate("page.roll.x(2.1)"), box["y"] + 10)
    assert window.evaluate("page.player.position") == pytest.approx(2.1, abs=0.02)
    assert window.evaluate("page.player.recording.currentTime") == pytest.approx(2.1, abs=0.02)
    assert window.inner_text("#clock") == "0:02 / 0:04"
    window.focus("#roll")
    for key, position in (("Home", 0), ("Shift+ArrowRight", 1), ("End", 4), ("ArrowLeft", 0), ("PageDown", 4)):
        window.keyboard.press(key)
        assert window.evaluate("page.player.position") == pytest.approx(position, abs=0.02), key
    assert window.get_attribute("#roll", "aria-valuetext") == "0:04"
    window.keyboard.press(" ")  # from the end it begins anew
    until(window, "page.player.playing && page.player.position > 0 && page.player.position < 2")


@pytest.mark.slow
def test_speed_keeps_the_pitch_and_parts_can_be_muted(window: Any) -> None:
    window.fill("#speed", "50")
    assert window.inner_text("#speed-now") == "50 %"
    assert window.evaluate("[page.player.recording.playbackRate, page.player.recording.preservesPitch]") == [0.5, True]
    window.fill("#transpose", "3")
    window.keyboard.press("Enter")
    window.keyboard.press("s")
    window.keyboard.press(" ")
    until(window, "page.player.shifter && page.player.position > 0.3")
    window.keyboard.press(" ")
    right = window.locator("[data-part=right]")
    right.click()
    assert right.get_attribute("aria-pressed") == "true"
    heard = "page.song.notes.map((note) => page.player.audible(note))"
    assert window.evaluate(heard) == [
        hand != "right" for hand in window.evaluate("page.song.notes.map((note) => note.hand)")
    ]


@pytest.mark.slow
def test_zoom_themes_and_text(window: Any) -> None:
    window.evaluate("page.roll.zoom(0.5)")
    span = window.evaluate("page.roll.span")
    window.click("#zoom-in")
    assert window.evaluate("page.roll.span") == pytest.approx(max(span / 1.5, 1))
    window.focus("#roll")
    window.keyboard.press("-")
    assert window.evaluate("page.roll.span") == pytest.approx(span)
    colour = window.evaluate("getComputedStyle(document.body).backgroundColor")
    window.click("#theme")
    assert window.evaluate("getComputedStyle(document.body).backgroundColor") != colour
    window.click("#notes summary")
    until(window, "document.querySelectorAll('#notes tbody tr').length === 3")
    assert "C4" in window.inner_text("#notes tbody")


def pixels(window: Any, pitch: int, seconds: float) -> list[int]:
    """The colour in the roll at a pitch and a time."""
    script = """([pitch, seconds]) => { const r = page.roll, k = devicePixelRatio;
        r.surface.now();
        const x = r.x(seconds) * k, y = (r.y(pitch) + r.rowHeight / 2) * k;
        const copy = new OffscreenCanvas(1, 1).getContext('2d', {willReadFrequently: true});
        copy.drawImage(r.canvas, -Math.floor(x), -Math.floor(y));
        return [...copy.getImageData(0, 0, 1, 1).data].slice(0, 3); }"""
    found: list[int] = window.evaluate(script, [pitch, seconds])
    return found


@pytest.mark.slow
def test_notes_stand_where_they_sound(window: Any) -> None:
    window.select_option("#colours", "loudness")
    empty = pixels(window, 60, 3.3)
    assert pixels(window, 60, 0.75) != empty
    assert pixels(window, 67, 2.9) != empty
    faint = pixels(window, 64, 1.3)  # less than half sure
    assert sum(pixels(window, 67, 2.2)) < sum(pixels(window, 60, 0.75)) < sum(faint) < sum(empty)  # louder is darker


@pytest.mark.slow
def test_the_score_follows(browser: Any, tmp_path: Path) -> None:
    pytest.importorskip("verovio")
    window = shown(browser, with_score.to_html(IN_BARS, Scene("song")), tmp_path / "score.html")
    until(window, "document.querySelector('.page img')?.naturalWidth > 0")
    window.evaluate("page.player.seek(2.7)")
    assert window.evaluate("page.score.current.number") == 2
    assert window.inner_text("#place") == "Bar 2, beat 2"
    assert window.locator(".sounding").count() == 2
    page = window.locator(".page").bounding_box()
    place = window.evaluate("page.score.notes.get(page.song.notes.find((n) => n.pitch === 74).id)[0]")
    window.mouse.click(
        page["x"] + page["width"] * (place["x"] + place["w"] / 2),
        page["y"] + page["height"] * (place["y"] + place["h"] / 2),
    )
    assert window.evaluate("page.player.position") == pytest.approx(1.0, abs=1e-3)
    for view in ("score", "falling", "practice", "roll", "both"):
        window.check(f"input[name=view][value={view}]")
        visible = [part for part in ("score", "falling", "roll") if window.locator(f"#{part}").is_visible()]
        assert visible == {"both": ["score", "roll"], "practice": ["score", "falling"]}.get(view, [view])
    assert window.said == []
    window.context.close()


@pytest.mark.slow
def test_instruments_are_told_by_colour_and_muted(browser: Any, tmp_path: Path) -> None:
    window = shown(browser, report.to_html(BAND, Scene("band")), tmp_path / "band.html")
    assert window.input_value("#colours") == "instruments"
    names = window.locator("#parts .name").all_inner_texts()
    assert [name for name in names if "hand" not in name] == ["piano", "bass", "voice"]
    window.click("[data-part=bass]")
    heard = window.evaluate("page.song.notes.filter((n) => page.player.audible(n)).map((n) => n.instrument)")
    assert heard == ["piano", "voice"]
    window.keyboard.press(" ")
    until(window, "page.player.sampler?.voices.size > 0")
    assert window.said == []
    window.context.close()


@pytest.mark.slow
def test_loops_count_ins_and_clicks(browser: Any, tmp_path: Path) -> None:
    window = shown(browser, report.to_html(IN_BARS, Scene("song")), tmp_path / "loop.html")
    window.evaluate("page.player.seek(2.2)")
    window.keyboard.press("[")
    window.keyboard.press("]")
    assert window.evaluate("page.player.loop") == {"from": 2.0, "to": 3.5}
    window.keyboard.press("m")
    window.click("#count-in")
    window.fill("#speed", "150")
    window.keyboard.press(" ")
    until(window, "page.player.counting > 0")
    until(window, "!page.player.counting && page.player.position > 3")
    until(window, "page.player.position < 2.6")  # back at the beginning of the loop
    window.keyboard.press("l")
    until(window, "page.player.loop === null && !page.player.playing")  # on to the end
    assert window.said == []
    window.context.close()


@pytest.mark.slow
@pytest.mark.parametrize("look", LOOKS)
def test_everybody_can_use_it(browser: Any, tmp_path: Path, look: str) -> None:
    content = report.to_html(SONG, Scene("song", recording=tone(1.0), sample_rate=24_000))
    compared = report.compared("set", [("note", "0.9")], [("piece", "0.9", SONG, SONG)])
    for window in (
        shown(browser, content, tmp_path / "song.html", look),
        shown(browser, compared, tmp_path / "set.html", look),
    ):
        window.evaluate("for (const details of document.querySelectorAll('details')) details.open = true")
        check_everybody_can_use(window)
        assert window.said == []
        window.context.close()


@pytest.mark.slow
def test_who_wants_little_motion_gets_pages(browser: Any, tmp_path: Path) -> None:
    content = report.to_html(an_hour(), Scene(sound=False))
    path = tmp_path / "hour.html"
    path.write_bytes(content)
    for motion, moves in (("no-preference", True), ("reduce", False)):
        window = opened(browser, path.as_uri(), reduced_motion=motion)
        window.evaluate("page.roll.scrollTo(100), page.roll.follow(105, true)")
        before = window.evaluate("page.roll.start")
        window.evaluate("page.roll.follow(106, true)")
        assert (window.evaluate("page.roll.start") != before) == moves
        window.context.close()


@pytest.mark.slow
def test_an_hour_is_followed_smoothly(browser: Any, tmp_path: Path) -> None:
    window = shown(browser, report.to_html(an_hour(), Scene(sound=False)), tmp_path / "hour.html")
    for view in ("roll", "falling"):
        window.evaluate("(name) => page.view(name)", view)
        # A machine at work on other things drops frames of its own; tests.benchmark.frames has the 95th percentile.
        runs = [window.evaluate(FOLLOW, [2, 1.0]) for _ in range(3)]
        between, drawing = (min(float(np.median(run[i])) for run in runs) for i in (0, 1))
        assert between <= 34, f"{between:.0f} ms a frame of {view}"
        assert drawing <= 5, f"{drawing:.1f} ms to draw {view}"
    assert window.said == []
    window.context.close()
