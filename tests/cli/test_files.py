from __future__ import annotations

import json
import re
from pathlib import Path

import mido
import pytest

from tests.cli.conftest import Call, one_line
from tests.conftest import FIVE_NOTES
from transcribe.events import Chord, Note, Transcription
from transcribe.formats.midi import to_midi
from transcribe.formats.table import FORMATS, read_transcription


def test_show_and_schema(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "five.mid"
    path.write_bytes(to_midi(Transcription(notes=tuple(sorted(FIVE_NOTES)), duration=3.0)))
    code, out, err = call("show", path, "--width", 30)
    assert (code, err) == (0, "")
    rows = {line.split()[0]: line[5:] for line in out.splitlines() if line[:4].strip() and line[5:6] in " ▄▀█"}
    # C4 sounds from 0.5 to 1 s and from 2 s to the end, at 2.9 s: some ten columns a second.
    assert rows["C4"] == " " * 5 + "▄" * 5 + " " * 10 + "▄" * 10
    code, out, err = call("show", tmp_path / "none.mid")
    assert (code, out) == (3, "")
    assert one_line(err)
    code, out, err = call("schema")
    assert (code, err) == (0, "")
    assert json.loads(out)["title"] == "pitchai transcription"


def test_show_reads_what_convert_reads_and_fits_the_terminal(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = Transcription(notes=tuple(sorted(FIVE_NOTES)), beats=(0.5, 1.0, 1.5, 2.0), downbeats=(0.5, 2.0))
    for name in ("mid", "json", "csv", "jams", "beats"):
        path = tmp_path / f"a.{name}"
        path.write_bytes(FORMATS[name if name != "mid" else "midi"].write(notes))
        code, out, err = call("show", path)
        assert (code, err) == (0, "")
        assert "C4" in out or "beats a minute" in out
        assert call("convert", path, "-o", tmp_path / f"{name}-again.mid", "-q")[0] == 0
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "50")
    shown = re.sub(r"\x1b\[[\d;]*m", "", call("show", tmp_path / "a.mid")[1])
    assert max(map(len, shown.splitlines())) <= 50
    for command in (("show",), ("convert", tmp_path / "x.mid")):
        path = tmp_path / "song.wav"
        code, out, err = call(command[0], path, *command[1:])
        assert (code, out, one_line(err)) == (3, "", True)
        assert "pitchai song.wav -o song.json" in err


def test_convert_takes_outputs_as_other_commands_do(call: Call, tmp_path: Path) -> None:
    source, sound, table = (tmp_path / f"a.{suffix}" for suffix in ("mid", "wav", "csv"))
    source.write_bytes(to_midi(Transcription(notes=tuple(sorted(FIVE_NOTES)))))
    assert call("convert", source, table, "-o", sound)[:2] == (0, f"{table}\n{sound}\n")
    assert sound.read_bytes()[:4] == b"RIFF"
    code, out, err = call("convert", source)
    assert (code, out, one_line(err)) == (2, "", True)
    assert "pitchai convert a.mid a.pdf" in err


def test_pictures_beside_the_truth(call: Call, tmp_path: Path) -> None:
    truth, heard = tmp_path / "truth.mid", tmp_path / "heard.mid"
    truth.write_bytes(to_midi(Transcription(notes=tuple(sorted(FIVE_NOTES)))))
    heard.write_bytes(to_midi(Transcription(notes=tuple(sorted(FIVE_NOTES[:4])))))
    assert call("convert", heard, tmp_path / "roll.svg", "--plot-reference", truth)[0] == 0
    assert "missed" in (tmp_path / "roll.svg").read_text()
    assert call("convert", heard, tmp_path / "plain.svg")[0] == 0
    assert "missed" not in (tmp_path / "plain.svg").read_text()
    code, _, err = call("convert", heard, tmp_path / "x.json", "--plot-reference", truth)
    assert code == 2
    assert one_line(err)
    assert not (tmp_path / "x.json").exists()


def test_results_that_make_no_sense_are_refused_in_a_line(call: Call, tmp_path: Path) -> None:
    good = json.loads(FORMATS["json"].write(Transcription(chords=(Chord(0.0, 1.0, "C:maj"),), duration=1.0)))
    path = tmp_path / "song.json"
    for changes in (
        {"chords": [{"onset": 0.0, "offset": 1.0, "label": "H", "confidence": 1.0}]},
        {"chords": [{"onset": 0.0, "offset": 1.0, "label": 5, "confidence": 1.0}]},
        {"chords": [{"onset": -5.0, "offset": -4.0, "label": "C:maj", "confidence": 1.0}]},
        {"chords": [{"onset": 0.0, "offset": 1.0, "label": "C:maj", "confidence": 7}]},
        {"duration": "x"},
        {"tempo": "fast"},
        {"models": [1]},
        {"beats": ["a"]},
        {"warnings": [1]},
        {"key": 3},
    ):
        path.write_text(json.dumps({**good, **changes}))
        for command in (("show", path), ("convert", path, tmp_path / "x.lab")):
            code, out, err = call(*command)
            assert (code, out) == (3, ""), changes
            assert one_line(err)
    assert not (tmp_path / "x.lab").exists()


def test_chords_are_shown_and_converted(call: Call, tmp_path: Path) -> None:
    lab, table = tmp_path / "song.lab", tmp_path / "song.csv"
    lab.write_text("0 59.998 C\n59.998 70 A:min7/b7\n")
    code, out, err = call("show", lab)
    assert (code, err) == (0, "")
    assert "| C | Am7/G |" in out
    assert "1:00.00" in out
    assert call("convert", lab, table, tmp_path / "song.mid")[0] == 0
    assert call("convert", lab, tmp_path / "song.png")[0] == 0
    assert "A:min7/b7" in table.read_text()
    assert call("convert", table, tmp_path / "again.lab")[0] == 0
    assert len(read_transcription(tmp_path / "song.mid").notes) == 4 + 5
    notes = tmp_path / "notes.mid"
    notes.write_bytes(to_midi(Transcription(notes=tuple(sorted(FIVE_NOTES)))))
    for arguments in (
        ("convert", notes, tmp_path / "x.lab"),
        ("eval", "--reference", lab, "--estimate", notes),
        ("eval", "--dataset", "chords", "--data", tmp_path, "--sweep"),
    ):
        code, out, err = call(*arguments)
        assert (code, out) == (2, "")
        assert one_line(err)


@pytest.mark.parametrize("impossible", ["x.npz", "x.lab", "x.xyz", "new/a.mid", "../song/a.mid"])
def test_convert_writes_all_or_nothing(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, impossible: str
) -> None:
    folder = tmp_path / "song"
    folder.mkdir()
    monkeypatch.chdir(folder)
    Path("five.json").write_bytes(FORMATS["json"].write(Transcription(notes=tuple(sorted(FIVE_NOTES)))))
    Path("new").write_text("no folder")
    code, out, err = call("convert", "five.json", "a.mid", impossible)
    assert (code, out) == (5 if impossible == "new/a.mid" else 2, "")
    assert one_line(err)
    assert sorted(path.name for path in folder.iterdir()) == ["five.json", "new"]
    assert call("convert", "five.json", "a.mid", "b.csv")[:2] == (0, "a.mid\nb.csv\n")


def test_convert_makes_pages(call: Call, tmp_path: Path) -> None:
    pytest.importorskip("music21")
    source = tmp_path / "Waltz.mid"
    notes = [Note(0.5 * k, 72 + k % 5, 0.5 * k + 0.45, 70) for k in range(16)]
    notes += [Note(2.0 * k + 0.02, 48, 2.0 * k + 1.9, 60) for k in range(4)]
    source.write_bytes(to_midi(Transcription(tuple(sorted(notes)), key="C major", duration=8.0)))
    page, midi = tmp_path / "a.musicxml", tmp_path / "a.mid"
    options = ("--tempo", 120, "--composer", "N. N.", "--transpose", 2, "--overwrite")
    assert call("convert", source, page, midi, *options)[0] == 0
    content = page.read_text()
    assert "<work-title>Waltz</work-title>" in content
    assert "N. N." in content
    # D major: the signature, the notes and the MIDI alike.
    assert "<fifths>2</fifths>" in content
    moved = read_transcription(midi)
    assert {note.pitch for note in moved.notes if note.pitch > 60} == {74, 75, 76, 77, 78}
    assert call("convert", source, page, "--title", "", "--lead-sheet", "--tempo", 120, "--overwrite")[0] == 0
    assert "title" not in page.read_text()
    assert "<staves>" not in page.read_text()
    assert call("convert", source, midi, "--simplify", "--tempo", 120, "--overwrite")[0] == 0
    assert len([n for n in read_transcription(midi).notes if n.pitch < 70]) >= 12
    # MIDI says no more than it was told.
    assert mido.MidiFile(midi).tracks[0].name == ""
    assert call("convert", source, midi, "--title", "Wälzer", "--overwrite")[0] == 0
    assert mido.MidiFile(midi, charset="utf-8").tracks[0].name == "Wälzer"
    assert read_transcription(midi) == read_transcription(source)


@pytest.mark.parametrize("option", ["--composer=x", "--lead-sheet", "--no-repeats", "--show-confidence", "--one-track"])
def test_options_of_pages_need_one(call: Call, tmp_path: Path, option: str) -> None:
    source = tmp_path / "a.mid"
    source.write_bytes(to_midi(Transcription(notes=tuple(sorted(FIVE_NOTES)))))
    code, _, err = call("convert", source, tmp_path / "b.json", option)
    assert (code, one_line(err)) == (2, True)
    assert option.partition("=")[0] in err
    assert not (tmp_path / "b.json").exists()
