"""Recordings of several instruments, or of drums, with true notes: where the public sets keep them and how.

Instruments become families, percussion the five classes of drums; what belongs to none is left out.
"""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from transcribe.datasets import Dataset, Piece, recordings
from transcribe.errors import InputError
from transcribe.events import Drum, Note, Transcription
from transcribe.formats.format import checked
from transcribe.formats.midi import from_midi
from transcribe.formats.reading import Numbers, read_bytes, rows
from transcribe.theory.families import DRUM_OF_KEY, FAMILIES, FAMILY_OF_PROGRAM

_MUSICNET_RATE = 44_100
# A velocity that isn't known.
_UNKNOWN = 0
_INSTRUMENTS = {
    "violin": "strings", "viola": "strings", "cello": "strings", "double bass": "strings", "clarinet": "reed",
    "saxophone": "reed", "bassoon": "reed", "oboe": "reed", "flute": "flute", "trumpet": "brass", "horn": "brass",
    "trombone": "brass", "tuba": "brass", "voice": "voice", "acoustic guitar": "guitar", "electric guitar": "guitar",
    **{family: family for family in FAMILIES},
}  # fmt: skip
_URMP = {
    "vn": "strings", "va": "strings", "vc": "strings", "db": "strings", "fl": "flute", "ob": "reed", "cl": "reed",
    "sax": "reed", "bn": "reed", "tpt": "brass", "hn": "brass", "tbn": "brass", "tba": "brass",
}  # fmt: skip
_MDB = {"KD": "bass drum", "SD": "snare drum", "HH": "hi-hat", "TT": "toms", "CY": "cymbals"}
# Strokes as ENST-Drums names them, without the numbers of cymbals: snare, rim shot, cross stick, brushes; toms by
# height, with a rim; crash, Chinese, splash, ride and other cymbals. Cowbell and sticks are no class.
_ENST = {
    "bd": "bass drum", "chh": "hi-hat", "ohh": "hi-hat",
    **dict.fromkeys(("sd", "rs", "cs", "sweep"), "snare drum"),
    **dict.fromkeys(("ht", "mt", "lmt", "lt", "lft", "mtr", "ltr"), "toms"),
    **dict.fromkeys(("cr", "ch", "spl", "rc", "c"), "cymbals"),
}  # fmt: skip

Read = Callable[[Path], Transcription]


def load_slakh(folder: Path, _: Path | None = None) -> list[Piece]:
    """Read Slakh2100 or BabySlakh: ``TrackNNNNN`` folders, in folders of splits or in one."""
    pieces = []
    for metadata in sorted(folder.rglob("Track*/metadata.yaml")):
        track = metadata.parent
        mix = next((path for path in (track / "mix.flac", track / "mix.wav") if path.is_file()), None)
        if mix is not None:
            split = track.parent.name if track.parent.name in ("train", "validation", "test") else ""
            pieces.append(Piece(track.name, mix, metadata, split, read=read_slakh))
    return pieces


def read_slakh(metadata: Path) -> Transcription:
    """Read the stems of a track: their programs from ``metadata.yaml``, their notes from ``MIDI/Sxx.mid``."""
    notes: list[Note] = []
    drums: list[Drum] = []
    for name, stem in _stems(metadata).items():
        path = metadata.parent / "MIDI" / f"{name}.mid"
        if stem.get("audio_rendered", "true") != "true" or not path.is_file():
            continue
        played = from_midi(read_bytes(path))
        if stem["is_drum"] == "true":
            drums += played.drums
            # Some stand on another channel than the tenth.
            found = ((note, DRUM_OF_KEY.get(note.pitch)) for note in played.notes)
            drums += [Drum(note.onset, label, note.velocity) for note, label in found if label is not None]
        elif (family := FAMILY_OF_PROGRAM[int(stem["program_num"]) % 128]) is not None:
            notes += [replace(note, instrument=family) for note in played.notes]
    return _transcription(notes, drums)


def _stems(metadata: Path) -> dict[str, dict[str, str]]:
    """Read the table of stems: ``  S00:`` and under it ``    program_num: 33``."""
    stems: dict[str, dict[str, str]] = {}
    inside, name = False, ""
    for line in read_bytes(metadata).decode("utf-8", "replace").splitlines():
        if not line.startswith(" "):
            inside = line.startswith("stems:")
        elif inside and (begun := re.fullmatch(r"  (\w+):\s*", line)):
            name = begun[1]
            stems[name] = {}
        elif inside and name and (entry := re.fullmatch(r"    (\w+): *(.*?)\s*", line)):
            stems[name][entry[1]] = entry[2]
    if not stems or not all(stem.keys() >= {"is_drum", "program_num"} for stem in stems.values()):
        raise InputError(f"{metadata}: not Slakh's metadata: its stems have no is_drum and program_num")
    return stems


def load_musicnet(folder: Path, _: Path | None = None) -> list[Piece]:
    """Read MusicNet: ``train_data`` and ``test_data`` beside ``train_labels`` and ``test_labels``."""
    return [
        Piece(audio.stem, audio, labels, split, read=read_musicnet)
        for split in ("train", "test")
        for audio in recordings(folder / f"{split}_data")
        if (labels := folder / f"{split}_labels" / f"{audio.stem}.csv").is_file()
    ]


def read_musicnet(path: Path) -> Transcription:
    """Read a table of MusicNet: times in samples, instruments as General MIDI counts them from 1."""
    try:
        table = csv.DictReader(read_bytes(path).decode("utf-8-sig").splitlines())
        notes = [
            Note(
                int(row["start_time"]) / _MUSICNET_RATE,
                int(row["note"]),
                int(row["end_time"]) / _MUSICNET_RATE,
                _UNKNOWN,
                instrument=FAMILY_OF_PROGRAM[int(row["instrument"]) - 1],
            )
            for row in table
        ]
    except (ValueError, KeyError, IndexError, TypeError, csv.Error) as error:
        raise InputError(f"{path}: not a table of MusicNet: {error!r}") from None
    return _transcription(notes)


def load_urmp(folder: Path, _: Path | None = None) -> list[Piece]:
    """Read URMP: a folder a piece, with ``AuMix_*.wav`` and ``Notes_*.txt``, one for each player."""
    return [
        Piece(mix.parent.name, mix, mix.parent, "", read=read_urmp)
        for mix in sorted(folder.rglob("AuMix_*.wav"))
        if any(mix.parent.glob("Notes_*.txt"))
    ]


def read_urmp(folder: Path) -> Transcription:
    """Read the notes of all players: onset s, frequency Hz, length s; ``Notes_1_vn_…`` is a violin's."""
    notes = []
    for path in sorted(folder.glob("Notes_*.txt")):
        code = path.name.split("_")[2]
        if code not in _URMP:
            raise InputError(f"{path}: {code!r} is none of URMP's instruments")
        for onset, frequency, length in _numbers(path, 3):
            if frequency <= 0:
                raise InputError(f"{path}: {frequency} is no frequency")
            pitch = round(69 + 12 * math.log2(frequency / 440))
            notes.append(Note(onset, pitch, onset + length, _UNKNOWN, instrument=_URMP[code]))
    return _transcription(notes)


def load_guitarset(folder: Path, _: Path | None = None) -> list[Piece]:
    """Read GuitarSet: ``annotation/*.jams`` beside folders of recordings, the microphone's where it is there."""
    audio = {path.stem: path for path in reversed(recordings(folder))}
    pieces = []
    for labels in sorted(folder.rglob("*.jams")):
        found = next((audio[labels.stem + end] for end in ("_mic", "_mix", "") if labels.stem + end in audio), None)
        if found is not None:
            pieces.append(Piece(labels.stem, found, labels, "", read=read_guitarset))
    return pieces


def read_guitarset(path: Path) -> Transcription:
    """Read the notes of all six strings from a JAMS file."""
    notes = []
    try:
        for annotation in json.loads(read_bytes(path))["annotations"]:
            if annotation["namespace"] == "note_midi":
                for note in annotation["data"]:
                    onset = float(note["time"])
                    end = onset + float(note["duration"])
                    notes.append(Note(onset, round(float(note["value"])), end, _UNKNOWN, instrument="guitar"))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{path}: not a JAMS file with notes: {error!r}") from None
    return _transcription(notes)


def load_bach10(folder: Path, _: Path | None = None) -> list[Piece]:
    """Read recordings beside ``.tsv`` tables of notes with instruments; see :func:`read_table`."""
    return _pairs(folder, read_table)


def load_singing(folder: Path, _: Path | None = None) -> list[Piece]:
    """Read recordings beside ``.tsv`` tables of the notes that are sung."""
    return _pairs(folder, _read_voice)


def _read_voice(path: Path) -> Transcription:
    return _transcription(replace(note, instrument="voice") for note in read_table(path).notes)


def read_table(path: Path) -> Transcription:
    """Read notes: onset s, offset s, pitch as a MIDI number, perhaps with cents; perhaps an instrument or a family."""
    notes, number = [], Numbers()
    content = read_bytes(path)
    try:
        for _, words in rows(content):
            name = " ".join(words[3:]).lower()
            if name and name not in _INSTRUMENTS:
                raise ValueError(f"{name!r} is none of the instruments")
            onset, offset, pitch = map(number, words[:3])
            notes.append(Note(onset, round(pitch), offset, _UNKNOWN, instrument=_INSTRUMENTS.get(name)))
    except (ValueError, OverflowError) as error:
        raise InputError(f"{path}: not a table of onset, offset, pitch and instrument: {error}") from None
    return _transcription(notes)


def load_mdb_drums(folder: Path, _: Path | None = None) -> list[Piece]:
    """Read MDB Drums: ``annotations/class/*_class.txt`` beside ``audio/full_mix``, or ``labels`` beside ``mix``."""
    own = {path.name.removesuffix("_class.txt"): path for path in folder.rglob("class/*_class.txt")}
    own |= {path.name.removesuffix(".drums.tsv"): path for path in folder.rglob("labels/*.drums.tsv")}
    mixes = [*recordings(folder / "audio" / "full_mix"), *recordings(folder / "mix")]
    named = {path.stem.removesuffix("_MIX"): path for path in mixes}
    return [Piece(name, named[name], own[name], "", read=read_mdb_drums) for name in sorted(own) if name in named]


def read_mdb_drums(path: Path) -> Transcription:
    """Read strokes: seconds, and the class as MDB Drums names it."""
    return _strokes(path, lambda label: _MDB.get(label))


def load_enst(folder: Path, _: Path | None = None) -> list[Piece]:
    """Read ENST-Drums: ``drummer_N/annotation/*.txt`` beside ``drummer_N/audio/wet_mix``."""
    pieces = []
    for labels in sorted(folder.rglob("annotation/*.txt")):
        drummer = labels.parent.parent
        for audio in recordings(drummer / "audio" / "wet_mix"):
            if audio.stem == labels.stem:
                pieces.append(Piece(f"{drummer.name}/{labels.stem}", audio, labels, "", read=read_enst))
    return pieces


def read_enst(path: Path) -> Transcription:
    """Read strokes: seconds, and the stroke as ENST-Drums names it."""
    return _strokes(path, lambda label: _ENST.get(label.rstrip("-0123456789")))


def _strokes(path: Path, class_of: Callable[[str], str | None]) -> Transcription:
    drums, number = [], Numbers()
    content = read_bytes(path)
    try:
        for _, words in rows(content):
            if (label := class_of(words[1])) is not None:
                drums.append(Drum(number(words[0]), label, _UNKNOWN))
    except (ValueError, IndexError) as error:
        raise InputError(f"{path}: not a table of times and strokes: {error}") from None
    return _transcription((), drums)


def _pairs(folder: Path, read: Read) -> list[Piece]:
    return [
        Piece(audio.stem, audio, labels, "", read=read)
        for audio in recordings(folder)
        if (labels := audio.with_suffix(".tsv")).is_file()
    ]


def _numbers(path: Path, n_columns: int) -> list[list[float]]:
    number = Numbers()
    content = read_bytes(path)
    try:
        found = [[number(word) for word in words] for _, words in rows(content)]
    except ValueError as error:
        raise InputError(f"{path}: not a table of numbers: {error}") from None
    if any(len(row) != n_columns for row in found):
        raise InputError(f"{path}: its lines should have {n_columns} numbers")
    return found


def _transcription(notes: Iterable[Note], drums: Iterable[Drum] = ()) -> Transcription:
    notes, drums = tuple(sorted(notes)), tuple(sorted(drums))
    duration = max([0.0, *(note.offset for note in notes), *(drum.onset for drum in drums)])
    return checked(Transcription(notes=notes, drums=drums, duration=duration))


_DATASETS = (
    Dataset(
        "slakh", load_slakh, "Slakh2100 and BabySlakh are to be had at zenodo.org (CC BY 4.0)",
        "TrackNNNNN/mix.flac, metadata.yaml, MIDI/S00.mid …, perhaps in train, validation and test",
    ),
    Dataset(
        "musicnet", load_musicnet, "MusicNet is to be had at zenodo.org (CC BY 4.0)",
        "train_data, train_labels, test_data, test_labels", "test",
    ),
    Dataset(
        "urmp", load_urmp, "URMP is to be had from the University of Rochester",
        "a folder a piece: AuMix_*.wav and Notes_1_vn_*.txt …",
    ),
    Dataset(
        "guitarset", load_guitarset, "GuitarSet is to be had at zenodo.org (CC BY 4.0)",
        "annotation/*.jams beside audio_mono-mic/*_mic.wav",
    ),
    Dataset(
        "bach10", load_bach10, "", "recordings beside .tsv tables of onset s, offset s, pitch and instrument",
    ),
    Dataset("mir-st500", load_singing, "", "songs beside .tsv tables of onset s, offset s and pitch of what is sung"),
    Dataset(
        "mdb-drums", load_mdb_drums, "MDB Drums is to be had at github.com/CarlSouthall/MDBDrums (CC BY-NC-SA 4.0)",
        "annotations/class/*_class.txt beside audio/full_mix/*_MIX.wav",
    ),
    Dataset(
        "enst", load_enst, "ENST-Drums is to be had from its authors at Télécom Paris",
        "drummer_1/annotation/*.txt beside drummer_1/audio/wet_mix/*.wav, and so on",
    ),
)  # fmt: skip
DATASETS: Mapping[str, Dataset] = {dataset.name: dataset for dataset in _DATASETS}
