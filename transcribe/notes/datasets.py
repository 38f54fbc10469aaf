"""Recordings with true notes: MAESTRO v3, MAPS, and any folder in which a recording and its labels share a name.

Labels are read by :func:`read_labels`.
"""

from __future__ import annotations

import bisect
import csv
import json
import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from transcribe.datasets import Dataset, Piece, recordings
from transcribe.errors import InputError
from transcribe.events import Note, Pedal, Transcription
from transcribe.formats.format import checked
from transcribe.formats.reading import Numbers, read_bytes, rows
from transcribe.formats.table import FORMATS, read_transcription
from transcribe.notes.ensemble_datasets import DATASETS as ENSEMBLES

LABEL_SUFFIXES = (".mid", ".midi", ".tsv", ".txt")


def load_maestro(folder: Path) -> list[Piece]:
    """Read MAESTRO v3's own folder."""
    tables = sorted(folder.glob("maestro-v*.csv")) + sorted(folder.glob("maestro-v*.json"))
    if not tables:
        raise InputError(f"{folder}: there is no maestro-v*.csv or .json; give MAESTRO's own folder")
    table = _read_table(tables[0])
    try:
        return [
            Piece(
                Path(row["audio_filename"]).stem,
                folder / row["audio_filename"],
                folder / row["midi_filename"],
                str(row["split"]),
            )
            for row in table
        ]
    except (KeyError, TypeError, ValueError):
        raise InputError(
            f"{tables[0]}: damaged: it has no columns audio_filename, midi_filename and split; unpack it again"
        ) from None


def _read_table(path: Path) -> list[dict[str, str]]:
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".csv":
            return list(csv.DictReader(text.splitlines()))
        columns = json.loads(text)
        return [{key: columns[key][row] for key in columns} for row in columns["audio_filename"]]
    except (OSError, ValueError, LookupError, TypeError, csv.Error, RecursionError) as error:
        raise InputError(f"{path}: damaged: {error}; unpack it again") from None


def load_maps(folder: Path) -> list[Piece]:
    """Read MAPS' own tree, or a flat folder of its recordings."""
    # The field's split (Hawthorne et al., 2018): the real recordings are the test set, and no composition of theirs
    # is trained on. Of the software pianos one is kept for validation, with its compositions.
    pieces = [piece for piece in load_pairs(folder) if piece.name.startswith("MAPS_MUS")]
    found: list[Piece] = []
    for split, pianos in (("test", ("ENSTDkAm", "ENSTDkCl")), ("validation", ("AkPnBsdf",)), ("train", ())):
        taken = {_maps_composition(piece.name) for piece in found}
        ours = [p for p in pieces if p.name.endswith(pianos or "") and _maps_composition(p.name) not in taken]
        found += [replace(piece, split=split) for piece in ours]
    return sorted(found, key=lambda piece: piece.name)


def _maps_composition(name: str) -> str:
    """``MAPS_MUS-alb_se3_AkPnBcht`` is ``alb_se3`` on the piano ``AkPnBcht``."""
    return name.removeprefix("MAPS_MUS-").rpartition("_")[0]


def load_pairs(folder: Path) -> list[Piece]:
    """Read any folder in which a recording and its labels share a name."""
    pieces = []
    for audio in recordings(folder):
        labels = [audio.with_suffix(suffix) for suffix in LABEL_SUFFIXES]
        found = next((path for path in labels if path.is_file()), None)
        if found is not None:
            pieces.append(Piece(audio.stem, audio, found, "test"))
    return pieces


def with_labels_from(pieces: list[Piece], folder: Path) -> list[Piece]:
    """Take the labels of each piece from another folder, where they have the same name.

    Pieces without a file there are left out.

    Raises
    ------
    InputError
        If there are labels for none of them.
    """
    found = []
    for piece in pieces:
        candidates = [folder / f"{piece.name}{suffix}" for suffix in LABEL_SUFFIXES]
        labels = next((path for path in candidates if os.path.isfile(path)), None)
        if labels is not None:
            found.append(replace(piece, labels=labels, read=None))
    if not found:
        raise InputError(f"{folder}: no labels for any of the {len(pieces)} pieces, such as {pieces[0].name}.txt")
    return found


def _load(load: Callable[[Path], list[Piece]], folder: Path, labels: Path | None) -> list[Piece]:
    pieces = load(folder)
    return with_labels_from(pieces, labels) if pieces and labels is not None else pieces


def _dataset(name: str, load: Callable[[Path], list[Piece]], source: str, layout: str, split: str | None) -> Dataset:
    return Dataset(name, partial(_load, load), source, layout, split, other_labels=True)


_DATASETS = (
    _dataset(
        "maestro",
        load_maestro,
        "MAESTRO v3 is to be had at magenta.withgoogle.com/datasets/maestro (CC BY-NC-SA 4.0)",
        "maestro-v3.0.0.csv beside the folders 2004 … 2018",
        "test",
    ),
    _dataset(
        "maps",
        load_maps,
        "MAPS is to be had from its authors at Télécom Paris (CC BY-NC-SA)",
        "its own tree, or MAPS_MUS-*.wav|flac|ogg beside .mid, .tsv or .txt",
        "test",
    ),
    _dataset(
        "pairs",
        load_pairs,
        "any recordings with labels will do",
        "song.wav beside song.mid, song.tsv or song.txt, in any folders",
        None,
    ),
)
DATASETS = {**{dataset.name: dataset for dataset in _DATASETS}, **ENSEMBLES}


def read_labels(path: Path) -> Transcription:
    """Read the true notes of a piece from MIDI, our own JSON or CSV, or a table of numbers.

    A table (``.tsv``, ``.txt``) has onset s, offset s, pitch and perhaps velocity in its columns; lines that begin
    with ``#`` or ``Onset`` are headings. Velocity is 0 where the labels don't tell it.

    Raises
    ------
    InputError
        If it can't be read.
    """
    if path.suffix.lower() in {suffix for form in FORMATS.values() if form.read for suffix in form.suffixes}:
        return read_transcription(path)
    notes, number = [], Numbers()
    content = read_bytes(path)
    try:
        for _, words in rows(content):
            if words[0].lower().startswith("onset"):
                continue
            onset, offset, pitch, *rest = map(number, words)
            if rest and not rest[0].is_integer():
                raise ValueError(f"the velocity {words[3]} is no whole number from 0 to 127")
            notes.append(Note(onset, round(pitch), offset, int(rest[0]) if rest else 0))
        duration = max((note.offset for note in notes), default=0.0)
        return checked(Transcription(notes=tuple(sorted(notes)), duration=duration))
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except (ValueError, OverflowError) as error:
        raise InputError(f"{path}: not a table of onset, offset, pitch, velocity: {error}") from None


def extend_by_pedal(notes: tuple[Note, ...], pedals: tuple[Pedal, ...]) -> tuple[Note, ...]:
    """Let notes sound while the pedal is down, at most to the next onset of their pitch.

    The convention of MAESTRO's published figures and of MAPS': an offset is when the sound stops.
    """
    following: dict[int, float] = {}
    extended = []
    spans = sorted(pedals)
    onsets = [pedal.onset for pedal in spans]
    for note in sorted(notes, reverse=True):
        last = bisect.bisect_right(onsets, note.offset) - 1
        held = spans[last].offset if last >= 0 else note.offset
        offset = min(max(note.offset, held), following.get(note.pitch, float("inf")))
        following[note.pitch] = note.onset
        extended.append(replace(note, offset=max(offset, note.onset + 1e-3)))
    return tuple(sorted(extended))
