"""The live part of the page in a browser whose microphone is a known recording."""

from __future__ import annotations

import json
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tests import browser as browsers
from tests.browser import LOOKS, check_everybody_can_use, chromium, opened
from tests.conftest import ROOT
from tests.signals import melody
from transcribe.events import Note
from transcribe.matching import match_notes

for package in ("starlette", "uvicorn", "websockets"):
    pytest.importorskip(package)
pytestmark = pytest.mark.slow

RATE = 48_000
# A melody over the chord of C, then the chord itself.
TUNE = [
    *(Note(1.0 + 0.4 * k, pitch, 1.4 + 0.4 * k, 90) for k, pitch in enumerate((60, 64, 67, 72, 71, 67, 65, 62))),
    *(Note(4.6, pitch, 6.2, 80) for pitch in (48, 55, 64, 72)),
]
SECONDS = 7.0
# What the page has drawn, told while it sounds: pitches with their onsets and ends.
KEPT = """(() => {
  window.heard = [];
  const happened = page.live.happened.bind(page.live);
  page.live.happened = (event) => { heard.push(event); happened(event); };
})()"""


@dataclass
class Server:
    """A server that runs, and its folder."""

    address: str
    folder: Path


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("microphone") / "tune.wav"
    soundfile.write(path, np.clip(melody(TUNE, SECONDS, RATE), -0.99, 0.99), RATE, "PCM_16")
    return path


@pytest.fixture(scope="module")
def browser(recording: Path) -> Iterator[Any]:
    with chromium(f"--use-file-for-fake-audio-capture={recording}%noloop") as running:
        yield running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("results")
    command = [sys.executable, "-m", "transcribe", "serve", str(folder), "--port", "0", "--no-browser"]
    with subprocess.Popen([*command, "--model", "small", "--threads", "1"], cwd=ROOT, stdout=subprocess.PIPE) as run:
        try:
            assert run.stdout is not None
            ready, _, _ = select.select([run.stdout], [], [], 120)
            line = run.stdout.readline().decode() if ready else ""
            assert line.startswith("http"), f"the server doesn't start: {line}"
            yield Server(line.split()[0], folder)
        finally:  # or it would be waited for without end
            run.terminate()


@pytest.fixture
def window(browser: Any, server: Server) -> Iterator[Any]:
    page = opened(browser, server.address, permissions=["microphone"])
    page.evaluate(KEPT)
    yield page
    assert page.said == []
    page.context.close()


def until(page: Any, condition: str, *, seconds: float = 60.0) -> None:
    """Wait for it, longer than elsewhere: browser, server and network share a machine that may be busy."""
    browsers.until(page, condition, seconds=seconds)


def notes_of(events: list[dict[str, Any]]) -> list[Note]:
    found, sounding = [], {}
    for event in events:
        if event["event"] == "note on":
            sounding[event["pitch"]] = event
        elif event["event"] == "note off":
            on = sounding.pop(event["pitch"])
            found.append(Note(on["time"], on["pitch"], max(event["time"], on["time"] + 1e-3), on["velocity"]))
    assert not sounding
    return sorted(found)


def moved(notes: list[Note], seconds: float) -> list[Note]:
    return [Note(note.onset + seconds, note.pitch, note.offset + seconds, note.velocity) for note in notes]


def test_what_is_played_is_shown_kept_and_heard_again(window: Any, server: Server) -> None:
    window.click("#listen")
    until(window, "page.live.state === 'running'")
    until(window, "page.live.song.notes.length > 2")
    # The picture shows the notes that sound on their keys.
    until(window, "find('live-sounding').textContent.includes('C3')")
    until(window, "find('live-chord').textContent === 'C'")
    time.sleep(2.5)
    assert window.is_disabled("#latency")
    window.click("#live-keep")
    until(window, "location.hash.length > 10 && page.song?.notes.length > 6", seconds=300)
    told = notes_of(window.evaluate("window.heard"))
    # When the browser began to hear is its own affair: by the first note.
    first = told[0].onset - TUNE[0].onset
    assert len(match_notes(moved(TUNE, first), told)) >= len(TUNE) - 2
    heard = [Note(n["onset"], n["pitch"], n["offset"], n["velocity"]) for n in window.evaluate("page.song.notes")]
    assert len(match_notes(moved(TUNE, first), heard)) >= len(TUNE) - 2
    assert window.evaluate("page.song.title").startswith("Live 20")
    kept = server.folder / window.evaluate("location.hash.slice(1)")
    result = json.loads((kept / "result.json").read_bytes())
    assert "small" in result["models"]["notes"]
    assert window.evaluate("page.player.recording.duration") == pytest.approx(result["duration"], abs=0.1)


def test_what_is_thrown_away_is_gone(window: Any, server: Server) -> None:
    before = sorted(server.folder.iterdir())
    window.click("#listen")
    until(window, "page.live.song.notes.length > 2")
    window.click("#live-drop")
    assert window.inner_text("#live-drop") == "Really throw away?"
    window.click("#live-drop")
    until(window, "page.live.state === 'idle' && find('said').textContent === 'Thrown away'")
    assert sorted(server.folder.iterdir()) == before
    # Another one begins with an empty roll, with another latency.
    window.select_option("#latency", "60")
    window.click("#live-start")
    until(window, "page.live.state === 'running' && page.live.song.notes.length > 0")
    assert window.evaluate("find('live-notes').textContent") in ("0", "1", "2", "3")
    window.click("#live-drop")
    window.click("#live-drop")
    until(window, "page.live.state === 'idle'")
    assert sorted(server.folder.iterdir()) == before


def test_who_goes_elsewhere_keeps_what_was_heard(window: Any, server: Server) -> None:
    n = len(list(server.folder.iterdir()))
    window.click("#listen")
    until(window, "page.live.song.notes.length > 2")
    window.click("#home")
    until(window, "page.live.state === 'idle'")  # the take opens as soon as it was heard
    assert len(list(server.folder.iterdir())) == n + 1
    assert window.evaluate("page.live.take.stream.getTracks().every((track) => track.readyState === 'ended')")
    assert window.evaluate("page.live.take.context.state") == "closed"
    until(window, "location.hash.length > 10 && page.song?.title.startsWith('Live')", seconds=300)


def test_a_closed_tab_lets_the_server_go_on(browser: Any, server: Server) -> None:
    before = sorted(server.folder.iterdir())
    tabs = []
    for _ in range(2):
        tabs.append(opened(browser, server.address, permissions=["microphone"]))
        tabs[-1].click("#listen")
        until(tabs[-1], "page.live.state === 'running'")
    third = opened(browser, server.address, permissions=["microphone"])
    third.click("#listen")
    until(third, "page.live.state === 'idle' && find('said').textContent.includes('2 takes')")
    assert third.locator("#said").is_visible()
    for tab in tabs:
        tab.context.close()
    third.wait_for_timeout(500)
    third.click("#live-start")
    until(third, "page.live.state === 'running'")
    third.click("#live-drop")
    third.click("#live-drop")
    until(third, "page.live.state === 'idle'")
    assert third.said == []
    third.context.close()
    assert len(list(server.folder.iterdir())) <= len(before) + 2  # those in which a note had been heard


def test_what_goes_wrong_is_said(window: Any) -> None:
    # No microphone.
    window.evaluate(
        "(() => { window.given = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);"
        "navigator.mediaDevices.getUserMedia = async () => { throw new Error('no'); }; })()"
    )
    window.click("#listen")
    until(window, "find('said').textContent === 'No microphone may be used here'")
    assert window.locator("#live-start").is_visible()
    # The microphone is unplugged: what was heard is kept.
    window.evaluate("(() => { navigator.mediaDevices.getUserMedia = given; })()")
    window.click("#live-start")
    until(window, "page.live.song.notes.length > 2")
    window.evaluate("page.live.take.stream.getTracks()[0].dispatchEvent(new Event('ended'))")
    until(window, "page.live.state === 'idle' && page.live.take.kept")
    # The connection breaks off.
    window.evaluate("location.hash = 'live'")
    until(window, "!find('live').hidden")
    window.click("#live-start")
    until(window, "page.live.state === 'running'")
    window.evaluate("page.live.take.socket.close()")
    until(window, "page.live.state === 'idle' && find('said').textContent.startsWith('The connection to the server')")


def test_what_the_network_does_not_take_is_counted(window: Any) -> None:
    window.click("#listen")
    until(window, "page.live.song.notes.length > 0")
    window.evaluate(
        "(() => { const { socket } = page.live.take, until = Date.now() + 1000;"
        "Object.defineProperty(socket, 'bufferedAmount', { get: () => (Date.now() < until ? 1e9 : 0) }); })()"
    )
    until(window, "/Lost: (0.9|1.0|1.1)/.test(find('live-faults').textContent)")
    assert window.inner_text("#live-word").endswith("of sound were lost: the machine was busy elsewhere")
    window.click("#live-drop")
    window.click("#live-drop")
    until(window, "page.live.state === 'idle'")


@pytest.mark.parametrize("look", LOOKS)
def test_everybody_can_use_it(browser: Any, server: Server, look: str) -> None:
    window = opened(browser, server.address, look, permissions=["microphone"])
    window.evaluate("location.hash = 'live'")
    until(window, "!find('live').hidden")
    check_everybody_can_use(window)
    window.click("#live-start")
    until(window, "page.live.song.notes.length > 1")
    check_everybody_can_use(window)
    # The keys are on the screen.
    assert window.evaluate("document.querySelector('#live-roll canvas').getBoundingClientRect().bottom <= innerHeight")
    assert window.evaluate("document.activeElement.id") == "live-keep"
    seen = {"live-keep"}
    for _ in range(12):
        window.keyboard.press("Tab")
        seen.add(window.evaluate("document.activeElement.id"))
    assert {"live-keep", "live-drop", "theme", "home"} <= seen
    window.click("#theme")
    check_everybody_can_use(window)
    window.click("#live-drop")
    window.click("#live-drop")
    until(window, "page.live.state === 'idle'")
    assert window.said == []
    window.context.close()


def test_those_who_want_no_motion_see_few_pictures(browser: Any, server: Server) -> None:
    counted = (
        "(() => { const { roll } = page.live, draw = roll.draw.bind(roll); window.n = 0;"
        "roll.draw = (...given) => { window.n++; draw(...given); }; })()"
    )
    shown = []
    for motion in ("reduce", "no-preference"):
        window = opened(browser, server.address, permissions=["microphone"], reduced_motion=motion)
        window.click("#listen")
        until(window, "page.live.state === 'running'")
        window.evaluate(counted)
        window.wait_for_timeout(2000)
        shown.append(window.evaluate("window.n"))
        window.click("#live-drop")
        window.click("#live-drop")
        until(window, "page.live.state === 'idle'")
        window.context.close()
    assert shown[0] <= 5 < 15 < shown[1]
