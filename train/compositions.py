"""Which recordings are of one composition, by their notes: names don't tell.

    python -m train.compositions --of data/maps-real-dev --among data/asap data/maps

prints every labelled recording or MIDI file among some folders that plays what one of others does, in whatever key and
tempo. What is judged by one of them must not have been trained on the other: MAPS' ``chpn-e01`` is Chopin's op. 10
no. 1, which ASAP calls ``Etudes_op_10``.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from train.progress import Progress
from transcribe.errors import PitchaiError
from transcribe.events import Note
from transcribe.notes.datasets import LABEL_SUFFIXES, read_labels

# Notes whose onsets follow each other by less, in seconds, are one chord, in the order of their pitches.
_CHORD = 0.05
# Steps of a phrase, and how many of the shorter piece's phrases must be in the other.
_PHRASE = 8
_SHARED = 0.12


def phrases(notes: Sequence[Note]) -> frozenset[bytes]:
    """List what is played in a row: intervals in semitones, ``_PHRASE`` at a time, whatever key and tempo."""
    ordered = sorted(notes)
    chord, rows, before = 0, [], -1.0
    for note in ordered:
        chord += note.onset - before > _CHORD
        before = note.onset
        rows.append((chord, note.pitch))
    steps = np.diff([pitch for _, pitch in sorted(rows)]).astype(np.int8)
    return frozenset(steps[i : i + _PHRASE].tobytes() for i in range(len(steps) - _PHRASE + 1))


def shared(ours: frozenset[bytes], theirs: frozenset[bytes]) -> float:
    """Give the share of the phrases of the piece that has fewer which the other has too; 0 where it has none."""
    fewer = min(len(ours), len(theirs))
    return len(ours & theirs) / fewer if fewer else 0.0


def is_same(ours: frozenset[bytes], theirs: frozenset[bytes]) -> bool:
    """Whether two pieces are of one composition, by their :func:`phrases`."""
    return shared(ours, theirs) >= _SHARED


def found_in(folders: Iterable[Path]) -> list[Path]:
    """List the labels in folders."""
    return sorted(p for folder in folders for p in folder.rglob("*") if p.suffix.lower() in LABEL_SUFFIXES)


def main(arguments: list[str] | None = None) -> None:
    """Print who plays the same."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--of", type=Path, nargs="+", required=True, help="folders with labels or MIDI files")
    parser.add_argument("--among", type=Path, nargs="+", required=True)
    options = parser.parse_args(arguments)
    known = {}
    for path in found_in(options.of):
        known[path] = phrases(read_labels(path).notes)
    others = found_in(options.among)
    for path in Progress(others, "piece", len(others)):
        try:
            theirs = phrases(read_labels(path).notes)
        except PitchaiError:  # beats, chords: other labels than of notes
            continue
        for ours, own in known.items():
            if ours != path and is_same(own, theirs):
                print(f"{ours.name}\t{path.name}\t{shared(own, theirs):.2f}", flush=True)


if __name__ == "__main__":
    main()
