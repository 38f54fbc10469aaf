"""Performances aligned with their scores → one file of notes, with where each stands in its score.

    python -m train.score.corpus --performances asap-performances --annotations asap-scores --out runs/scores.npz

Pieces are split by their name: all performances of one are on one side.
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
from transcribe.formats.musicxml_reader import read_score_notes
from transcribe.formats.table import read_transcription
from transcribe.score.beats import BeatGrid
from transcribe.score.features import Bars, bars_of, note_rows

# Places are counted in so many parts of a beat, lengths in as many of a quarter: all phases and lengths are whole.
TICKS = 1440
# Of so many pieces one is kept out of training.
_HELD_OUT = 4


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
    """

    name: str
    split: str
    notes: np.ndarray
    place: np.ndarray
    length: np.ndarray
    staff: np.ndarray
    bars: Bars


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
    staff = np.zeros(len(rows), int)
    played = BeatGrid(known.beats).to_beats(rows[:, 0])
    for one, index in zip(aligned, nearest_notes(notes, aligned), strict=True):
        true = score.get(one.name)
        if true is None or index is None:
            continue
        staff[index] = true.staff if true.staff in (1, 2) else 0
        if not true.length:
            continue
        length[index] = round(true.length * TICKS)
        cell = int(np.clip(np.floor(played[index]), 0, len(bars.beats) - 1))
        if bars.count[cell]:
            within = true.place / Fraction(bars.quarters[cell])
            place[index] = round((within + round(played[index] - float(within))) * TICKS)
    name = piece.audio.stem
    return Performed(name, split_of(name.rpartition("__")[0]), rows, place, length, staff, bars)


def save(path: Path, pieces: Sequence[Performed]) -> None:
    """Write a corpus."""
    arrays: dict[str, np.ndarray] = {"names": np.array([p.name for p in pieces])}
    for i, piece in enumerate(pieces):
        arrays |= {f"{i}/{name}": getattr(piece, name) for name in ("notes", "place", "length", "staff")}
        arrays |= {f"{i}/{field.name}": getattr(piece.bars, field.name) for field in fields(Bars)}
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **arrays)  # type: ignore[arg-type]


def load(path: Path) -> list[Performed]:
    """Read a corpus."""
    with np.load(path) as arrays:
        found = []
        for i, name in enumerate(arrays["names"].tolist()):
            bars = Bars(*(arrays[f"{i}/{field.name}"] for field in fields(Bars)))
            notes, place, length, staff = (arrays[f"{i}/{part}"] for part in ("notes", "place", "length", "staff"))
            found.append(Performed(name, split_of(name.rpartition("__")[0]), notes, place, length, staff, bars))
        return found


def main() -> None:
    """Make a corpus."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--performances", type=Path, required=True, help="PIECE__NAME.mid")
    parser.add_argument("--annotations", type=Path, required=True, help="a folder a piece, with score and alignments")
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
    save(options.out, pieces)
    counted = {split: sum(len(p.notes) for p in pieces if p.split == split) for split in ("train", "valid")}
    print(f"{len(pieces)} performances, notes: {counted}")


if __name__ == "__main__":
    main()
