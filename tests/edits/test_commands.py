from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.batch.stand_in import worker
from tests.edits.test_replay import FIRST, SONG
from transcribe import load, replayed, save
from transcribe.batch.plan import Job, Recording
from transcribe.batch.work import Work
from transcribe.cli.main import main
from transcribe.errors import InputError
from transcribe.events import Transcription
from transcribe.formats.table import FORMATS

EDITED = replace(SONG, edits=({"op": "delete", "note": FIRST}, {"op": "key", "key": "E minor"}))


def test_convert_and_show_do_the_edits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "song.json"
    save(EDITED, source)
    midi, copy = tmp_path / "song.mid", tmp_path / "copy.json"
    assert main(["convert", str(source), str(midi), str(copy)]) == 0
    assert len(load(midi).notes) == 4
    assert load(copy).edits == EDITED.edits  # beside what was heard
    assert len(load(copy).notes) == 5
    assert main(["convert", str(source), str(tmp_path / "up.json"), "--transpose", "2"]) == 0
    assert load(tmp_path / "up.json").edits == ()
    assert len(load(tmp_path / "up.json").notes) == 4
    capsys.readouterr()
    assert main(["show", str(source)]) == 0
    assert "E minor" in capsys.readouterr().out


def test_the_library_does_them_too(tmp_path: Path) -> None:
    save(EDITED, tmp_path / "song.csv")
    assert len((tmp_path / "song.csv").read_text().splitlines()) == 5
    save(EDITED, tmp_path / "song.json")
    assert len(replayed(load(tmp_path / "song.json")).notes) == 4


def test_edits_that_cannot_be_done_are_refused_in_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(replace(SONG, edits=({"op": "delete", "note": {"pitch": 1, "onset": 0.0}},)), tmp_path / "song.json")
    assert main(["convert", str(tmp_path / "song.json"), str(tmp_path / "song.mid")]) == 3
    said = capsys.readouterr().err.strip()
    assert said.endswith("edit 1: there is no note of pitch 1 at 0.0000 s")
    assert "\n" not in said
    with pytest.raises(InputError):
        replayed(load(tmp_path / "song.json"))


def test_another_run_keeps_them(tmp_path: Path) -> None:
    recording, target, midi = tmp_path / "song.wav", tmp_path / "song.json", tmp_path / "song.mid"
    recording.write_bytes(b"sound")
    save(EDITED, target)
    again = replace(SONG, notes=tuple(replace(note, onset=note.onset + 0.02) for note in SONG.notes))

    def run(heard: Transcription) -> Transcription:
        work = Work(worker(lambda path: heard).work.open, overwrite=True)
        job = Job(Recording(str(recording), tmp_path), ((str(target), FORMATS["json"]), (str(midi), FORMATS["midi"])))
        return work.begin()(job).result

    run(again)
    kept = load(target)
    assert [edit["op"] for edit in kept.edits] == ["delete", "key"]
    assert kept.edits[0]["note"] == {"pitch": 60, "onset": 0.52}
    assert len(kept.notes) == 5
    assert len(load(midi).notes) == 4
    assert "1 of 2 edits of song.json" in run(replace(again, notes=again.notes[1:])).warnings[-1]
    assert [edit["op"] for edit in load(target).edits] == ["key"]
