"""Performances aligned with their scores → one file of notes, with where each stands in its score.

    python -m train.score.corpus --performances asap-performances --annotations asap-scores --written scores
        --out runs/scores.npz

Pieces are split by their name: all performances of one are on one side. Scores that nobody plays (``--written``) are
for training alone.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from fractions import Fraction
from pathlib import Path

import numpy as np

from transcribe.beats.datasets import load_scores, read_beats, score_files
from transcribe.beats.score_metrics import nearest_notes, passable, read_alignment
from transcribe.datasets import Piece
from transcribe.errors import InputError
from transcribe.events import Note
from transcribe.formats.musicxml_reader import FAULTS, read_part, read_root, read_score_notes
from transcribe.formats.reading import read_bytes
from transcribe.formats.table import read_transcription
from transcribe.score.beats import BeatGrid
from transcribe.score.features import Bars, bars_of, note_rows
from transcribe.theory import metres
from transcribe.theory.fifths import place_of
from transcribe.theory.keys import find_key, signature

# Places are counted in so many parts of a beat, lengths in as many of a quarter: all phases and lengths are whole.
TICKS = 1440
# Of so many pieces one is kept out of training.
_HELD_OUT = 4
# The split of scores that nobody plays.
WRITTEN = "written"
# What stands for a spelling that isn't known: no name lies there on the line of fifths.
UNSPELLED = -100
# Scores that nobody plays have so many quarters a minute.
_QUARTERS_A_MINUTE = 80


@dataclass
class Performed:
    """A performance: ``notes`` (n, 4) as :func:`note_rows`; where each stands in the score, and its beats.

    Attributes
    ----------
    place
        In ticks from the first beat on, -1 where it isn't known.
    length
        In ticks of a quarter, -1 where it isn't known or is none.
    staff
        1 upper, 2 lower, 0 unknown.
    bars
        The beats.
    spelled
        The place of its name on the line of fifths; :data:`UNSPELLED` where it isn't known.
    sharps
        Of the signature of the key that is found in the whole; flats are less than 0.
    """

    name: str
    split: str
    notes: np.ndarray
    place: np.ndarray
    length: np.ndarray
    staff: np.ndarray
    bars: Bars
    spelled: np.ndarray
    sharps: int


# What is told of every note, beside the notes themselves.
TOLD = ("place", "length", "staff", "spelled")


def split_of(title: str) -> str:
    """Say on which side a piece is: ``train`` or ``valid``."""
    return "valid" if int(hashlib.sha256(title.encode()).hexdigest(), 16) % _HELD_OUT == 0 else "train"


def performed(piece: Piece) -> Performed:
    """Read a performance and what its score says of every note.

    Raises
    ------
    InputError
        If a file can't be read.
    """
    beats_file, score_file = score_files(piece)
    known = passable(read_beats(beats_file, even=False))
    bars = bars_of(known.beats, known.downbeats, known.metres)
    notes = read_transcription(piece.audio).notes
    rows = note_rows(notes)
    score = {note.id: note for note in read_score_notes(score_file)}
    aligned = read_alignment(piece.labels)
    place, length = np.full(len(rows), -1), np.full(len(rows), -1)
    staff, spelled = np.zeros(len(rows), int), np.full(len(rows), UNSPELLED)
    played = BeatGrid(known.beats).to_beats(rows[:, 0])
    for one, index in zip(aligned, nearest_notes(notes, aligned), strict=True):
        true = score.get(one.name)
        if true is None or index is None:
            continue
        staff[index] = true.staff if true.staff in (1, 2) else 0
        spelled[index] = place_of(true.name)
        if not true.length:
            continue
        length[index] = round(true.length * TICKS)
        cell = int(np.clip(np.floor(played[index]), 0, len(bars.beats) - 1))
        if bars.count[cell]:
            within = true.place / Fraction(bars.quarters[cell])
            place[index] = round((within + round(played[index] - float(within))) * TICKS)
    name = piece.audio.stem
    title = name.rpartition("__")[0]
    return Performed(name, split_of(title), rows, place, length, staff, bars, spelled, sharps_of(notes))


def sharps_of(notes: Sequence[Note]) -> int:
    """Count the sharps of the key that is found in notes; flats are less than 0."""
    return signature(find_key(notes) or "C major")[0]


def written(path: Path) -> Performed | None:
    """Read a score's part of two staves as if a machine played it; None where it has no such part, or no metre.

    Raises
    ------
    InputError
        If it can't be read.
    """
    try:
        parts = [read_part(part) for part in read_root(read_bytes(path)).iter("part")]
    except FAULTS as error:
        raise InputError(f"{path}: no score in MusicXML: {error}") from None
    scored, bars = next(((n, b) for n, b in parts if any(note.staff == 2 for note in n)), ([], []))
    # Every beat: where it lies, in quarters; which of its bar it is, and of how many; its metre.
    beats = [
        (bar.start + k * metres.beat_length(bar.metre), k, metres.beats_in_bar(bar.metre), bar.metre)
        for bar in bars
        if bar.metre
        for k in range(metres.beats_in_bar(bar.metre))
        if bar.start + k * metres.beat_length(bar.metre) < bar.end
    ]
    beats = [beat for i, beat in enumerate(beats) if not i or beat[0] > beats[i - 1][0]]
    if len(beats) < 2:
        return None
    starts = np.array([float(beat[0]) for beat in beats])
    known = [
        (float(bars[note.bar].start + note.place), note)
        for note in scored
        if note.length and note.staff in (1, 2) and bars[note.bar].start + note.place >= beats[0][0]
    ]
    known = sorted({(at, note.pitch): (at, note) for at, note in known}.values(), key=lambda n: (n[0], n[1].pitch))
    if not known:
        return None
    second = 60 / _QUARTERS_A_MINUTE
    notes = [Note(at * second, n.pitch, (at + float(n.length)) * second, 64) for at, n in known]
    at = np.array([at for at, _ in known])
    grid = BeatGrid(starts.tolist())
    labels = [beat[3] for beat in beats]
    told = Bars(
        starts * second,
        np.array([beat[1] for beat in beats]),
        np.array([beat[2] for beat in beats]),
        np.array([float(metres.beat_length(label)) for label in labels]),
        np.array([metres.is_compound(label) for label in labels]),
    )
    return Performed(
        f"{WRITTEN}__{path.stem}__0",
        WRITTEN,
        note_rows(notes),
        np.round(grid.to_beats(at) * TICKS).astype(int),
        np.array([round(note.length * TICKS) for _, note in known]),
        np.array([note.staff for _, note in known]),
        told,
        np.array([place_of(note.name) for _, note in known]),
        sharps_of(notes),
    )


def save(path: Path, pieces: Sequence[Performed]) -> None:
    """Write a corpus."""
    arrays: dict[str, np.ndarray] = {
        "names": np.array([p.name for p in pieces]),
        "splits": np.array([p.split for p in pieces]),
        "sharps": np.array([p.sharps for p in pieces]),
    }
    for i, piece in enumerate(pieces):
        arrays |= {f"{i}/{name}": getattr(piece, name) for name in ("notes", *TOLD)}
        arrays |= {f"{i}/{field.name}": getattr(piece.bars, field.name) for field in fields(Bars)}
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **arrays)  # type: ignore[arg-type]


def load(path: Path) -> list[Performed]:
    """Read a corpus."""
    with np.load(path) as arrays:
        found = []
        titles = zip(*(arrays[part].tolist() for part in ("names", "splits", "sharps")), strict=True)
        for i, (name, split, sharps) in enumerate(titles):
            bars = Bars(*(arrays[f"{i}/{field.name}"] for field in fields(Bars)))
            told = {part: arrays[f"{i}/{part}"] for part in TOLD}
            found.append(Performed(name, split, arrays[f"{i}/notes"], bars=bars, sharps=sharps, **told))
        return found


def main() -> None:
    """Make a corpus."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--performances", type=Path, required=True, help="PIECE__NAME.mid")
    parser.add_argument("--annotations", type=Path, required=True, help="a folder a piece, with score and alignments")
    parser.add_argument("--written", type=Path, help="a folder of scores in MusicXML that nobody plays")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    pieces = []
    for piece in load_scores(options.performances, options.annotations):
        if piece.split != "notes":
            continue
        try:
            pieces.append(performed(piece))
        except InputError as error:
            print(error)
    for path in sorted(options.written.rglob("*.mxl")) if options.written else ():
        try:
            pieces += [piece for piece in [written(path)] if piece is not None]
        except InputError as error:
            print(error)
    save(options.out, pieces)
    counted = {split: sum(len(p.notes) for p in pieces if p.split == split) for split in ("train", "valid", WRITTEN)}
    print(f"{len(pieces)} performances, notes: {counted}")


if __name__ == "__main__":
    main()
