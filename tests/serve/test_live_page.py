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

from tests.browser import LOOKS, check_everybody_can_use, chromium, opened, until
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
        assert run.stdout is not None
        ready, _, _ = select.select([run.stdout], [], [], 120)
        line = run.stdout.readline().decode() if ready else ""
        assert line.startswith("http"), f"the server doesn't start: {line}"
        yield Server(line.split()[0], folder)
        run.terminate()


@pytest.fixture
def window(browser: Any, server: Server) -> Iterator[Any]:
    page = opened(browser, server.address, permissions=["microphone"])
    page.evaluate(KEPT)
    yield page
    assert page.said == []
    page.context.close()


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
    until(window, "find('live-sounding').textContent.includes('C3')", seconds=30)
    until(window, "find('live-chord').textContent === 'C'")
    time.sleep(2.5)
    assert window.is_disabled("#latency")
    window.click("#live-keep")
    until(window, "location.hash.length > 10 && page.song?.notes.length > 6", seconds=120)
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
