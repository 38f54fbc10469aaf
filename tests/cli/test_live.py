"""``pitchai live``: the command, its end by a signal, a machine that stands still."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.cli.conftest import PITCHAI, Call, one_line
from tests.signals import RATE, melody
from transcribe.events import Note
from transcribe.formats.table import read_transcription
from transcribe.matching import match_notes

TUNE = [Note(0.5 + 0.4 * k, pitch, 0.9 + 0.4 * k, 90) for k, pitch in enumerate((60, 64, 67, 72, 71, 67, 65, 62))]


@pytest.fixture
def tune(tmp_path: Path) -> Path:
    path = tmp_path / "tune.wav"
    soundfile.write(path, melody(TUNE, 4.5), RATE)
    return path


def test_a_file_is_heard_and_written(call: Call, tune: Path) -> None:
    out = tune.with_name("take.json")
    code, said, _ = call("live", "--input", tune, "--fast", "-o", out, "-o", out.with_suffix(".mid"))
    assert code == 0
    assert "notes" in said
    heard = read_transcription(out)
    assert len(match_notes(TUNE, heard.notes)) >= len(TUNE) - 1
    assert heard.models["notes"].startswith("live")
    assert heard.duration == pytest.approx(4.5)
    assert read_transcription(out.with_suffix(".mid")).notes


def test_events_are_printed_as_they_come(call: Call, tune: Path) -> None:
    code, said, _ = call("live", "--input", tune, "--events", "--latency", 200, "--seconds", 2)
    lines = [json.loads(line) for line in said.splitlines()]
    assert code == 0
    on, off = ([line["pitch"] for line in lines if line["event"] == f"note {word}"] for word in ("on", "off"))
    assert set(on) >= {60, 64, 67}
    assert sorted(on) == sorted(off)
    late = [line["told"] - line["time"] for line in lines if line["event"] == "note on"]
    assert 0.1 < np.median(late) < 1.0


def test_a_take_is_kept_and_heard_again(call: Call, tune: Path) -> None:
    out, kept = tune.with_name("take.json"), tune.with_name("kept.wav")
    code, *_ = call("live", "--input", tune, "--fast", "-q", "-o", out, "--record", kept, "--refine")
    assert code == 0
    assert read_transcription(out).models["notes"].startswith("notes-large")
    samples, rate = soundfile.read(kept, dtype="float32")
    np.testing.assert_allclose(samples, melody(TUNE, 4.5), atol=1e-4)
    assert rate == RATE


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ("--latency 100", 2, "--latency is one of 60, 120, 200, 500"),
        ("--fast", 2, "--fast goes with --input"),
        ("--device 1 --input song.wav", 2, "exclude each other"),
        ("--refine", 2, "--refine goes with -o"),
        ("--input nowhere.wav", 3, "nowhere.wav"),
        ("--input tune.wav -o tune.xyz", 2, "unknown format"),
        ("--input tune.wav -o tune.lab", 2, "notes and the pedal alone"),
        ("--input tune.wav -o tune.wav.mid --midi-out ./nowhere", 5, "can't be opened for MIDI"),
        ("--input tune.wav --record tune.wav", 5, "exists already"),
    ],
)
def test_what_cant_be_is_refused(
    call: Call, tune: Path, monkeypatch: pytest.MonkeyPatch, arguments: str, code: int, said: str
) -> None:
    monkeypatch.chdir(tune.parent)
    found, out, err = call("live", *arguments.split())
    assert (found, out) == (code, "")
    assert one_line(err)
    assert said in err
    assert [path.name for path in tune.parent.iterdir()] == ["tune.wav"]


def _started(tune: Path, *options: str) -> subprocess.Popen[str]:
    command = [*PITCHAI, "live", "--input", str(tune), "--events", *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _wait_for_a_note(take: subprocess.Popen[str]) -> None:
    assert take.stdout is not None
    assert any("note on" in line for line in take.stdout)


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's")
@pytest.mark.parametrize(("number", "expected"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_take_well(tune: Path, number: signal.Signals, expected: int) -> None:
    out, pipe = tune.with_name("take.mid"), tune.with_name("midi")
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with _started(tune, "-o", str(out), "--midi-out", str(pipe)) as take:
        _wait_for_a_note(take)
        take.send_signal(number)
        take.communicate(timeout=30)
    assert take.returncode == expected
    sent = os.read(reader, 4096)
    os.close(reader)
    messages = [sent[i : i + 3] for i in range(0, len(sent), 3)]
    on, off = ([m[1] for m in messages if m[0] == status] for status in (0x90, 0x80))
    assert on
    assert sorted(on) == sorted(off)
    assert messages[-1] == bytes([0xB0, 123, 0])
    assert read_transcription(out).notes


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's")
def test_a_machine_that_stands_still_is_told_of(tmp_path: Path) -> None:
    path = tmp_path / "tune.wav"
    later = [Note(note.onset + 4.0, note.pitch, note.offset + 4.0, note.velocity) for note in TUNE]
    soundfile.write(path, melody([*TUNE, *later], 8.5), RATE)
    out = tmp_path / "take.json"
    with _started(path, "-o", str(out)) as take:
        _wait_for_a_note(take)
        take.send_signal(signal.SIGSTOP)
        time.sleep(2.0)
        take.send_signal(signal.SIGCONT)
        _, said = take.communicate(timeout=60)
    assert take.returncode == 0
    assert "s of sound were lost: the machine was busy elsewhere" in said
    heard = read_transcription(out)
    assert heard.duration == pytest.approx(8.5, abs=0.3)
    assert len(match_notes(later[2:], heard.notes)) >= len(later[2:]) - 1
