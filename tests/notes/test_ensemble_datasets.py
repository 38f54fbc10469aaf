"""The public sets' own trees, tiny."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from transcribe.errors import InputError
from transcribe.events import Drum, Note, Transcription
from transcribe.formats.midi import to_midi
from transcribe.notes.ensemble_datasets import DATASETS, read_enst, read_table
from transcribe.registry import load_dataset


def sound(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.zeros(800), 8000)


def text(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def truth(name: str, folder: Path, split: str | None = None) -> Transcription:
    """Load the only piece there is."""
    (piece,) = load_dataset(name, folder, split)
    assert piece.audio.is_file()
    assert piece.read is not None
    return piece.read(piece.labels)


def told(t: Transcription) -> list[tuple[float, float, int, str | None]]:
    return [(round(n.onset, 3), round(n.offset, 3), n.pitch, n.instrument) for n in t.notes]


SLAKH = """UUID: 1a
audio_dir: stems
stems:
  S00:
    audio_rendered: true
    inst_class: Bass
    is_drum: false
    program_num: 33
  S01:
    audio_rendered: true
    inst_class: Drums
    is_drum: true
    program_num: 128
  S02:
    audio_rendered: true
    is_drum: false
    program_num: 125
  S03:
    audio_rendered: false
    is_drum: false
    program_num: 0
target_peak: -1.0
"""


def test_slakh_takes_programs_from_its_metadata(tmp_path: Path) -> None:
    for split, track in (("train", "Track00001"), ("test", "Track01876")):
        folder = tmp_path / split / track
        sound(folder / "mix.flac")
        text(folder / "metadata.yaml", SLAKH)
        (folder / "MIDI").mkdir()
        for stem, notes, drums in (
            ("S00", (Note(0.0, 40, 0.5, 90),), ()),
            ("S01", (Note(0.5, 38, 0.6, 80), Note(0.5, 56, 0.6, 80)), (Drum(0.0, "bass drum", 100),)),
            ("S02", (Note(0.0, 60, 0.5, 90),), ()),
            ("S03", (Note(0.0, 70, 0.5, 90),), ()),
        ):
            (folder / "MIDI" / f"{stem}.mid").write_bytes(to_midi(Transcription(notes=notes, drums=drums)))
    assert [(p.name, p.split) for p in load_dataset("slakh", tmp_path, "all")] == [
        ("Track01876", "test"), ("Track00001", "train")
    ]  # fmt: skip
    found = truth("slakh", tmp_path, "test")
    assert told(found) == [(0.0, 0.5, 40, "bass")]
    assert [(d.onset, d.label) for d in found.drums] == [(0.0, "bass drum"), (0.5, "snare drum")]


def test_musicnet_counts_samples_and_programs_from_one(tmp_path: Path) -> None:
    for split, number in (("train", "1727"), ("test", "1759")):
        sound(tmp_path / f"{split}_data" / f"{number}.wav")
        text(
            tmp_path / f"{split}_labels" / f"{number}.csv",
            "start_time,end_time,instrument,note,start_beat,end_beat,note_value\n"
            "44100,88200,41,67,0.0,1.0,Quarter\n22050,44100,1,60,0.0,1.0,Quarter\n",
        )
    assert told(truth("musicnet", tmp_path)) == [(0.5, 1.0, 60, "piano"), (1.0, 2.0, 67, "strings")]
    assert len(load_dataset("musicnet", tmp_path, "all")) == 2


def test_urmp_has_frequencies_and_a_file_for_each_player(tmp_path: Path) -> None:
    folder = tmp_path / "01_Jupiter_vn_sax"
    sound(folder / "AuMix_01_Jupiter_vn_sax.wav")
    text(folder / "Notes_1_vn_01_Jupiter.txt", "0.500\t\t440.000\t\t0.250\n")
    text(folder / "Notes_2_sax_01_Jupiter.txt", "0.250\t\t263.000\t\t0.500\n")
    assert told(truth("urmp", tmp_path)) == [(0.25, 0.75, 60, "reed"), (0.5, 0.75, 69, "strings")]


def test_guitarset_has_six_strings(tmp_path: Path) -> None:
    name = "00_BN1-129-Eb_comp"
    sound(tmp_path / "audio_mono-mic" / f"{name}_mic.wav")
    sound(tmp_path / "audio_mono-pickup_mix" / f"{name}_mix.wav")
    strings = [
        {"namespace": "note_midi", "data": [{"time": t, "duration": 0.5, "value": v, "confidence": None}]}
        for t, v in ((0.5, 44.1), (0.25, 50.9))
    ]
    text(
        tmp_path / "annotation" / f"{name}.jams",
        json.dumps({"annotations": [*strings, {"namespace": "chord", "data": []}]}),
    )
    assert told(truth("guitarset", tmp_path)) == [(0.25, 0.75, 51, "guitar"), (0.5, 1.0, 44, "guitar")]
    (piece,) = load_dataset("guitarset", tmp_path)
    assert piece.audio.name.endswith("_mic.wav")


def test_bach10_tables_name_the_instruments(tmp_path: Path) -> None:
    sound(tmp_path / "mix" / "01.wav")
    sound(tmp_path / "stems" / "01_violin.wav")
    text(tmp_path / "mix" / "01.tsv", "# onset_s\toffset_s\tpitch_midi\tinstrument\n0.04\t0.37\t46\tbassoon\n"
         "0.5\t0.9\t70\tviolin\n1\t2\t72\n")  # fmt: skip
    assert told(truth("bach10", tmp_path)) == [
        (0.04, 0.37, 46, "reed"), (0.5, 0.9, 70, "strings"), (1.0, 2.0, 72, None)
    ]  # fmt: skip


def test_what_is_sung_is_a_voice(tmp_path: Path) -> None:
    sound(tmp_path / "1.wav")
    text(tmp_path / "1.tsv", "0.5\t1.0\t60.2\n")
    assert told(truth("mir-st500", tmp_path)) == [(0.5, 1.0, 60, "voice")]


@pytest.mark.parametrize("own", [True, False])
def test_mdb_drums_in_either_tree(tmp_path: Path, own: bool) -> None:
    if own:
        sound(tmp_path / "audio" / "full_mix" / "MusicDelta_Rock_MIX.wav")
        labels = tmp_path / "annotations" / "class" / "MusicDelta_Rock_class.txt"
    else:
        sound(tmp_path / "mix" / "Rock.wav")
        labels = tmp_path / "labels" / "Rock.drums.tsv"
    text(labels, "0.500\tKD\n0.250 \t HH\n0.75\tOT\n")
    found = truth("mdb-drums", tmp_path)
    assert [(d.onset, d.label) for d in found.drums] == [(0.25, "hi-hat"), (0.5, "bass drum")]


def test_enst_is_three_drummers_and_many_strokes(tmp_path: Path) -> None:
    for drummer in ("drummer_1", "drummer_2"):
        sound(tmp_path / drummer / "audio" / "wet_mix" / "036_phrase_disco.wav")
        text(tmp_path / drummer / "annotation" / "036_phrase_disco.txt", "0.1 bd\n0.2 rc2\n0.3 cb\n")
    pieces = load_dataset("enst", tmp_path)
    assert [p.name for p in pieces] == ["drummer_1/036_phrase_disco", "drummer_2/036_phrase_disco"]
    assert [d.label for d in read_enst(pieces[0].labels).drums] == ["bass drum", "cymbals"]


@pytest.mark.parametrize(
    ("stroke", "label"),
    [("sd-", "snare drum"), ("cs", "snare drum"), ("ohh", "hi-hat"), ("lft", "toms"), ("ch5", "cymbals"),
     ("c4", "cymbals"), ("sticks", None)],
)  # fmt: skip
def test_strokes_of_enst(tmp_path: Path, stroke: str, label: str | None) -> None:
    text(tmp_path / "a.txt", f"0.1 {stroke}\n")
    assert [d.label for d in read_enst(tmp_path / "a.txt").drums] == ([] if label is None else [label])


@pytest.mark.parametrize(
    ("name", "file", "content"),
    [
        ("slakh", "Track00001/metadata.yaml", "stems:\n  S00:\n    inst_class: Bass\n"),
        ("musicnet", "test_labels/1.csv", "a,b\n1,2\n"),
        ("urmp", "01/Notes_1_kazoo_01.txt", "0 440 1\n"),
        ("urmp", "01/Notes_1_vn_01.txt", "0 440\n"),
        ("guitarset", "a/1.jams", "[]"),
        ("bach10", "1.tsv", "0\t1\t60\tkazoo\n"),
        ("mdb-drums", "labels/1.drums.tsv", "soon\tKD\n"),
        ("enst", "drummer_1/annotation/1.txt", "0.5\n"),
    ],
)
def test_damaged_labels_are_refused_in_a_line(tmp_path: Path, name: str, file: str, content: str) -> None:
    for audio in ("Track00001/mix.wav", "test_data/1.wav", "01/AuMix_1.wav", "a/1.wav", "1.wav", "mix/1.wav",
                  "drummer_1/audio/wet_mix/1.wav"):  # fmt: skip
        sound(tmp_path / audio)
    text(tmp_path / file, content)
    with pytest.raises(InputError) as caught:
        truth(name, tmp_path, "all")
    assert "\n" not in str(caught.value)


def test_a_folder_with_nothing_of_the_kind_says_how_it_should_look(tmp_path: Path) -> None:
    for name in DATASETS:
        with pytest.raises(InputError, match="it should look like"):
            load_dataset(name, tmp_path)


def test_a_table_of_pitches_alone_names_nobody(tmp_path: Path) -> None:
    text(tmp_path / "a.tsv", "0.5\t1.0\t59.6\n")
    assert told(read_table(tmp_path / "a.tsv")) == [(0.5, 1.0, 60, None)]
