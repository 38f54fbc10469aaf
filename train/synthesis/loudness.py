"""How loud the keys of recordings are beside each other: whether renders are like the recordings they stand for.

    python -m train.synthesis.loudness maps:data/maps pairs:runs/renders-7

prints, for each data set, dB an octave and an octave squared (beside middle C) by which what an onset adds changes with
the key, at the same velocity, and dB for each doubling of the velocity; of onsets that are alone.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np

from train import fit
from train.progress import Progress
from transcribe.audio.reader import load_audio
from transcribe.datasets import Piece
from transcribe.events import Note
from transcribe.notes.datasets import DATASETS, read_labels
from transcribe.registry import load_dataset

_RATE = 16000
# Seconds around an onset in which no other may lie, before and after it, and what is compared: before and after.
_ALONE = 0.09
_BEFORE, _AFTER = (-0.06, -0.01), (0.0, 0.08)


def rises(samples: np.ndarray, notes: Sequence[Note]) -> np.ndarray:
    """Measure what onsets that are alone add: rows of octaves above middle C, log2 of the velocity, dB."""
    onsets = np.array([note.onset for note in notes])
    energy = np.concatenate([[0.0], np.cumsum(samples.astype(float) ** 2)])

    def mean(first: float, last: float) -> float:
        i, j = (int(np.clip(moment * _RATE, 0, len(samples))) for moment in (first, last))
        return float(energy[j] - energy[i]) / max(1, j - i)

    rows = []
    for place, note in enumerate(notes):
        near = np.abs(np.delete(onsets[max(0, place - 20) : place + 20], min(place, 20)) - note.onset)
        if note.velocity == 0 or (len(near) and near.min() < _ALONE):
            continue
        before, after = (mean(note.onset + first, note.onset + last) for first, last in (_BEFORE, _AFTER))
        if after > 2 * before:  # it stands out
            rows.append(((note.pitch - 60) / 12, np.log2(note.velocity), 10 * np.log10(after - before)))
    return np.array(rows).reshape(-1, 3)


def slopes(pieces: Sequence[Piece]) -> tuple[float, float, float, int]:
    """Fit dB an octave, an octave squared and a doubling of the velocity, and count onsets; pieces differ in level."""
    left, right = [], []
    for piece in Progress(pieces, "recording", len(pieces)):
        found = rises(load_audio(piece.audio, _RATE).samples, read_labels(piece.labels).notes)
        if len(found) >= 10:
            columns = np.column_stack([found[:, 0], found[:, 0] ** 2, found[:, 1]])
            left.append(columns - columns.mean(0))
            right.append(found[:, 2] - found[:, 2].mean())
    if not left:
        return 0.0, 0.0, 0.0, 0
    fitted = np.linalg.lstsq(np.concatenate(left), np.concatenate(right), rcond=None)[0]
    return float(fitted[0]), float(fitted[1]), float(fitted[2]), sum(map(len, right))


def main(arguments: list[str] | None = None) -> None:
    """Print a line for each data set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=fit.dataset(*DATASETS), nargs="+", help="name:folder")
    parser.add_argument("--every", type=int, default=1, help="take every so many pieces only")
    options = parser.parse_args(arguments)
    for layout, folder in options.data:
        pieces = load_dataset(layout, folder, "all")[:: options.every]
        linear, square, doubling, count = slopes(pieces)
        said = f"{linear:+.2f} dB an octave, {square:+.2f} an octave², {doubling:+.2f} a doubling of the velocity"
        print(f"{folder}: {said}; {count} onsets")


if __name__ == "__main__":
    main()
