"""Beats as others write them down."""

from __future__ import annotations

from pathlib import Path

import pytest

from transcribe.beats.datasets import DATASETS, read_beats, read_keys
from transcribe.beats.metrics import score_rhythm
from transcribe.errors import InputError
from transcribe.events import Key, Metre, Transcription

ASAP = "0.5\t0.5\tb,,-3\n1.0\t1.0\tdb,3/4\n1.5\t1.5\tbR\n2.0\t2.0\tb\n2.5\t2.5\tdb\n3.0\t3.0\tb,6/8,2\n4.0\t4.0\tb\n"
AMAPS = "# time_s\tkind\n0.0\tdb\t1/4\t-2\n0.522\tdb\t6/8\t\n1.38\tb\t\t\n2.241\tdb\n"


def test_annotations_of_asap(tmp_path: Path) -> None:
    path = tmp_path / "a_annotations.txt"
    path.write_text(ASAP)
    found = read_beats(path)
    assert found.beats == (0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0)
    assert found.downbeats == (1.0, 2.5)
    assert found.metres == (Metre(1.0, 3.0, "3/4"), Metre(3.0, 4.0, "6/8"))
    assert read_keys(path) == (Key(0.5, 3.0, "Eb major"), Key(3.0, 4.0, "D major"))


def test_tables_of_amaps(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text(AMAPS)
    found = read_beats(path)
    assert found.downbeats == (0.0, 0.522, 2.241)
    assert [metre.label for metre in found.metres] == ["1/4", "6/8"]
    assert [key.label for key in read_keys(path)] == ["Bb major"]


@pytest.mark.parametrize("text", ["0,5\t1\n1,5\t2\n2,5\t3\n", "0,5;1\n1,5;2\n2,5;3\n"])
def test_decimal_commas_are_read_where_they_can_be_nothing_else(text: str, tmp_path: Path) -> None:
    path = tmp_path / "a.beats"
    path.write_text(text)
    found = read_beats(path)
    assert found.beats == (0.5, 1.5, 2.5)
    assert found.downbeats == (0.5,)


def test_decimal_commas_that_may_part_columns_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.beats"
    path.write_text("0,5\n1,5\n2,5\n")
    with pytest.raises(InputError, match="comma"):
        read_beats(path)
    path.write_text("0.5,1\n1.5,2\n")
    assert read_beats(path).beats == (0.5, 1.5)


def test_folders_of_performances_and_of_recordings(tmp_path: Path) -> None:
    folder = tmp_path / "Bach" / "Fugue"
    folder.mkdir(parents=True)
    for name in ("P01.mid", "P01_annotations.txt", "P01.wav", "midi_score.mid", "midi_score_annotations.txt"):
        (folder / name).write_text("")
    assert [(p.name, p.audio.name) for p in DATASETS["asap"].pieces(tmp_path)] == [("Bach/Fugue/P01", "P01.mid")]
    assert [p.audio.name for p in DATASETS["asap"].pieces(tmp_path, "audio")] == ["P01.wav"]
    audio, labels = tmp_path / "maps", tmp_path / "labels"
    for where, name in ((audio, "MAPS_MUS-a_ENSTDkCl.ogg"), (labels, "MAPS_MUS-a_ENSTDkCl.tsv"), (audio, "x.ogg")):
        where.mkdir(exist_ok=True)
        (where / name).write_text("")
    (piece,) = DATASETS["a-maps"].pieces(audio, None, labels)
    assert piece.labels == labels / "MAPS_MUS-a_ENSTDkCl.tsv"


def test_metre_tempo_and_continuity_by_hand() -> None:
    beats = tuple(0.5 * k for k in range(60))
    truth = Transcription(
        beats=beats, downbeats=beats[::2], metres=(Metre(0.0, 30.0, "6/8"),), keys=(Key(0, 30, "F major"),)
    )
    same = Transcription(beats=beats, downbeats=beats[::2], metres=truth.metres, key="D minor")
    assert score_rhythm(truth, same) == {
        "cmlt": 1.0,
        "amlt": 1.0,
        "tempo": 1.0,
        "tempo_octaves": 1.0,
        "metre": 1.0,
        "metre_class": 1.0,
        "signature": 1.0,
    }
    # Half as many beats, in simple time, in another key: the tempo is right but for its octave.
    half = Transcription(beats=beats[::2], downbeats=beats[::4], metres=(Metre(0.0, 30.0, "2/4"),), key="D major")
    scores = score_rhythm(truth, half)
    assert scores["amlt"] == 1.0
    assert (scores["cmlt"], scores["tempo"], scores["tempo_octaves"]) == (0.0, 0.0, 1.0)
    assert (scores["metre"], scores["metre_class"], scores["signature"]) == (0.0, 0.0, 0.0)
    assert score_rhythm(truth, Transcription())["cmlt"] == 0.0
