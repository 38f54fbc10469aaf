from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.conftest import FIVE_NOTES
from tests.formats.test_midi_reader import midi, off, on, track
from transcribe.cli.main import main
from transcribe.events import Transcription, Tuning
from transcribe.formats.json import to_json
from transcribe.formats.midi import from_midi, to_midi
from transcribe.registry import summary as rows

HEARD = Transcription(tuple(FIVE_NOTES), duration=3.0, tempo=120.0, key="C major", models={"notes": "notes-small"})


def test_confidence_is_said_of_notes_that_were_heard_on_a_piano() -> None:
    assert dict(rows(HEARD))["confidence"] == "99% of the notes are expected to be right"
    assert "expected to be right" in dict(rows(replace(HEARD, novelty=0.2)))["confidence"]


def test_no_confidence_is_said_of_notes_that_nobody_heard_or_of_other_instruments() -> None:
    assert "confidence" not in dict(rows(replace(HEARD, novelty=0.9)))
    assert "confidence" not in dict(rows(from_midi(to_midi(HEARD))))
    assert "confidence" not in dict(rows(replace(HEARD, models={})))


def test_the_tuning_is_told_where_it_is_known() -> None:
    assert "tuning" not in dict(rows(HEARD))
    assert dict(rows(replace(HEARD, tuning=0)))["tuning"] == "A = 440 Hz"
    assert dict(rows(replace(HEARD, tuning=-35)))["tuning"] == "35 cents below A = 440 Hz: A = 431 Hz"
    changes = (Tuning(0.0, 1.0, 30), Tuning(1.0, 3.0, -35))
    told = dict(rows(replace(HEARD, tuning=-35, tunings=changes)))["tuning"]
    assert told == "it changes, from -35 to +30 cents beside A = 440 Hz"


def test_what_stands_in_a_file_is_no_guess() -> None:
    assert dict(rows(HEARD))["tempo"].endswith("(a guess)")
    assert dict(rows(replace(HEARD, models={})))["tempo"] == "120 beats a minute"
    assert dict(rows(replace(HEARD, models={})))["key"] == "C major"


def test_what_was_odd_is_said_by_show_convert_and_eval(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bell = midi(track((0, on(56, channel=9)), (0, on(60)), (480, off(60)), (0, off(56, 9))))
    path, heard = str(tmp_path / "a.mid"), str(tmp_path / "b.json")
    (tmp_path / "a.mid").write_bytes(bell)
    (tmp_path / "b.json").write_bytes(to_json(replace(HEARD, warnings=("the recording is silent",))))
    assert main(["show", path]) == 0
    assert main(["convert", path, str(tmp_path / "c.mid")]) == 0
    assert main(["eval", "--reference", path, "--estimate", heard]) == 0
    said = capsys.readouterr().err.splitlines()
    left_out = "percussion that is no drum or cymbal of a kit (channel 10) is left out"
    assert said.count(f"pitchai: a.mid: {left_out}") == 3
    assert said[-1] == "pitchai: b.json: the recording is silent"
    assert main(["convert", path, str(tmp_path / "d.mid"), "--quiet"]) == 0
    assert capsys.readouterr().err == ""
