from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import soundfile

from tests.conftest import FIVE_NOTES
from tests.signals import RATE, melody
from transcribe.chords.datasets import read_chords
from transcribe.errors import InputError, UsageError
from transcribe.events import Note, Pedal, Transcription
from transcribe.formats.midi import to_midi
from transcribe.notes.datasets import extend_by_pedal, read_labels, with_labels_from
from transcribe.registry import load_dataset


def write_recording(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, melody(FIVE_NOTES, 3.0), RATE)


def make_maestro(folder: Path, as_json: bool = False) -> Path:
    rows = []
    for k, split in enumerate(("train", "train", "validation", "test")):
        name = f"2004/piece{k}"
        write_recording(folder / f"{name}.wav")
        (folder / f"{name}.midi").write_bytes(to_midi(Transcription(notes=tuple(FIVE_NOTES))))
        rows.append(
            {
                "canonical_composer": "A, B",
                "canonical_title": f"Piece {k}",
                "split": split,
                "year": "2004",
                "midi_filename": f"{name}.midi",
                "audio_filename": f"{name}.wav",
                "duration": "3.0",
            }
        )
    if as_json:
        columns = {key: {str(i): row[key] for i, row in enumerate(rows)} for key in rows[0]}
        (folder / "maestro-v3.0.0.json").write_text(json.dumps(columns))
    else:
        with (folder / "maestro-v3.0.0.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
    return folder


def make_maps(folder: Path) -> Path:
    """Three pianos; every composition of the test and of the validation piano is on the training piano too."""
    played = {"AkPnBcht": ("alb_se3", "bk_xmas1", "mz_331_2"), "AkPnBsdf": ("bk_xmas1",), "ENSTDkCl": ("alb_se3",)}
    for piano, pieces in played.items():
        names = [("MUS", f"MAPS_MUS-{piece}_{piano}") for piece in pieces]
        for kind, name in [*names, ("ISOL/NO", f"MAPS_ISOL_NO_F_S0_M21_{piano}")]:
            write_recording(folder / piano / kind / f"{name}.wav")
            lines = [f"{n.onset:.6f}\t{n.offset:.6f}\t{n.pitch}" for n in FIVE_NOTES]
            text = "\n".join(["OnsetTime\tOffsetTime\tMidiPitch", *lines])
            (folder / piano / kind / f"{name}.txt").write_text(text + "\n")
    return folder


@pytest.mark.parametrize("as_json", [False, True])
def test_maestro_by_its_own_table(tmp_path: Path, as_json: bool) -> None:
    make_maestro(tmp_path, as_json)
    assert [p.name for p in load_dataset("maestro", tmp_path)] == ["piece3"]
    assert [p.name for p in load_dataset("maestro", tmp_path, "train")] == ["piece0", "piece1"]
    assert len(load_dataset("maestro", tmp_path, "all")) == 4
    with pytest.raises(InputError, match="it has test, train, validation"):
        load_dataset("maestro", tmp_path, "holdout")


def test_maps_takes_the_music_and_tests_on_the_real_piano(tmp_path: Path) -> None:
    make_maps(tmp_path)
    (test,) = load_dataset("maps", tmp_path)
    assert test.name == "MAPS_MUS-alb_se3_ENSTDkCl"
    assert [p.name for p in load_dataset("maps", tmp_path, "validation")] == ["MAPS_MUS-bk_xmas1_AkPnBsdf"]
    assert [p.name for p in load_dataset("maps", tmp_path, "train")] == ["MAPS_MUS-mz_331_2_AkPnBcht"]
    assert [n.pitch for n in read_labels(test.labels).notes] == [60, 64, 67, 60, 72]


def test_pairs_are_found_at_any_depth(tmp_path: Path) -> None:
    write_recording(tmp_path / "a" / "one.flac")
    write_recording(tmp_path / "two.wav")
    write_recording(tmp_path / "unlabelled.wav")
    (tmp_path / "a" / "one.mid").write_bytes(to_midi(Transcription(notes=tuple(FIVE_NOTES))))
    (tmp_path / "two.tsv").write_text("# onset\toffset\tpitch\tvelocity\n0.5\t1.0\t60.0\t80.0\n")
    assert [p.name for p in load_dataset("pairs", tmp_path)] == ["one", "two"]
    assert read_labels(tmp_path / "two.tsv").notes == (Note(0.5, 60, 1.0, 80),)


def test_where_data_are_sought(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PITCHAI_DATA", raising=False)
    with pytest.raises(UsageError, match=r"--data DIR or set PITCHAI_DATA.*magenta"):
        load_dataset("maestro")
    monkeypatch.setenv("PITCHAI_DATA", str(tmp_path))
    with pytest.raises(InputError, match="no such folder"):
        load_dataset("maestro")
    (tmp_path / "maestro").mkdir()
    make_maestro(tmp_path / "maestro")
    assert len(load_dataset("maestro")) == 1
    with pytest.raises(UsageError, match="choose one of"):
        load_dataset("nothing")


def test_damaged_tables_are_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="maestro-v"):
        load_dataset("maestro", tmp_path)
    for name, text in (("maestro-v3.0.0.csv", "a,b\n1,2\n"), ("maestro-v3.0.0.json", "{")):
        (tmp_path / name).write_text(text)
        with pytest.raises(InputError, match="damaged") as caught:
            load_dataset("maestro", tmp_path)
        assert "\n" not in str(caught.value)
        (tmp_path / name).unlink()
    with pytest.raises(InputError, match="no recordings"):
        load_dataset("pairs", tmp_path)
    with pytest.raises(InputError, match="no such file"):
        read_labels(tmp_path / "missing.txt")


@pytest.mark.parametrize(
    "row",
    [
        *("0.5 x 60", "0 1", "-1 0.5 60 80", "0 nan 60 80", "nan 1 60", "0 1 inf 80", "0 1 -5 1", "0 1 60 -4"),
        *("0 1e12 60", "2 1 60 80", "0 1 128 80", "0 1 1e300 80"),
    ],
)
def test_labels_that_make_no_sense_are_refused(tmp_path: Path, row: str) -> None:
    (tmp_path / "a.tsv").write_text(f"# onset offset pitch velocity\n0.5 1.0 60 80\n{row}\n")
    with pytest.raises(InputError) as caught:
        read_labels(tmp_path / "a.tsv")
    assert "\n" not in str(caught.value)


def test_other_labels_for_the_same_recordings(tmp_path: Path) -> None:
    pieces = load_dataset("maps", make_maps(tmp_path))
    mended = tmp_path / "mended"
    mended.mkdir()
    with pytest.raises(InputError, match="no labels"):
        with_labels_from(pieces, mended)
    (mended / f"{pieces[0].name}.txt").write_text("OnsetTime OffsetTime MidiPitch\n0.1 0.2 60\n")
    assert read_labels(with_labels_from(pieces, mended)[0].labels).notes == (Note(0.1, 60, 0.2, 0),)


def test_pedal_extends_to_its_end_or_the_next_onset() -> None:
    notes = (Note(0.0, 60, 0.5, 64), Note(0.0, 64, 0.5, 64), Note(1.0, 60, 1.2, 64), Note(3.0, 60, 3.2, 64))
    extended = extend_by_pedal(notes, (Pedal(0.4, 2.0),))
    assert [(n.onset, n.pitch, n.offset) for n in extended] == [
        (0.0, 60, 1.0),
        (0.0, 64, 2.0),
        (1.0, 60, 2.0),
        (3.0, 60, 3.2),
    ]


def test_layouts_of_chords(tmp_path: Path) -> None:
    for name in (
        "beside/one.wav", "audio/The Beatles/two.flac", "audio/0003.wav", "0004/audio.mp3", "clips/A#_maj/1.ogg",
        "clips/other/2.ogg",
    ):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    labs = ("beside/one.lab", "chordlab/The Beatles/two.lab", "annotations/0003/full.lab", "0004/full.lab")
    for name in labs:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("0 1 C:maj/3\n")
    pieces = {piece.name: piece.labels for piece in load_dataset("chords", tmp_path)}
    assert pieces == {
        "beside/one": tmp_path / labs[0],
        "audio/The Beatles/two": tmp_path / labs[1],
        "audio/0003": tmp_path / labs[2],
        "0004/audio": tmp_path / labs[3],
        "clips/A#_maj/1": tmp_path / "clips" / "A#_maj",
    }
    assert [chord.label for chord in read_chords(pieces["audio/0003"])] == ["C:maj/3"]
    assert [chord.label for chord in read_chords(pieces["clips/A#_maj/1"])] == ["Bb:maj"]
    (tmp_path / "0004" / "full.lab").write_text("rubbish")
    with pytest.raises(InputError, match=r"not a \.lab file"):
        read_chords(pieces["0004/audio"])


def test_chords_of_records_with_the_same_titles(tmp_path: Path) -> None:
    for name in ("audio/A/01.wav", "audio/B/01.wav", "Help/Help.wav", "Help/Other.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    for name in ("chordlab/A/01.lab", "chordlab/B/01.lab", "Help/Help.lab"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("0 1 C\n")
    found = {piece.name: piece.labels.relative_to(tmp_path).as_posix() for piece in load_dataset("chords", tmp_path)}
    assert found == {
        "audio/A/01": "chordlab/A/01.lab", "audio/B/01": "chordlab/B/01.lab", "Help/Help": "Help/Help.lab"
    }  # fmt: skip
    (tmp_path / "more" / "A").mkdir(parents=True)
    (tmp_path / "more" / "A" / "01.lab").write_text("0 1 C\n")
    with pytest.raises(InputError, match="keep one of them"):
        load_dataset("chords", tmp_path)
