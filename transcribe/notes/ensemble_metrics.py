"""How well instruments are told apart, and drums heard: figures beside those of notes.

With instruments, a note is right where onset, pitch and family are: notes are matched within each family. A stroke is
right within 50 ms of one of its class. Notes with offsets and strokes together are the Multi-instrument F1 of MT3
(Gardner et al. 2022: "onset + offset + program"), with families where MT3 has General MIDI's classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from transcribe.events import Drum, Note
from transcribe.matching import match_notes
from transcribe.theory.families import DRUMS

DRUM_TOLERANCE = 0.05
ONSET_TOLERANCE = 0.05
# Within which an offset is right where it counts: this share of the note's length, or 50 ms.
OFFSET_RATIO = 0.2
# Precision, recall, F1.
Figures = tuple[float, float, float]


class Counts(NamedTuple):
    """How many are right, how many there are, and how many were found."""

    hits: int
    n_reference: int
    n_estimate: int

    @property
    def figures(self) -> Figures:
        """Precision, recall and F1; all 1 where there is nothing on either side."""
        if not self.n_reference and not self.n_estimate:
            return 1.0, 1.0, 1.0
        return (
            self.hits / self.n_estimate if self.n_estimate else 0.0,
            self.hits / self.n_reference if self.n_reference else 0.0,
            2 * self.hits / (self.n_reference + self.n_estimate),
        )


def total(counts: Iterable[Counts]) -> Counts:
    """Add them up."""
    return Counts(*(sum(column) for column in zip(Counts(0, 0, 0), *counts, strict=True)))


def named(notes: Iterable[Note]) -> list[Note]:
    """Give the notes of which no instrument is known to the piano: so are the labels of pianos."""
    return [note if note.instrument else replace(note, instrument="piano") for note in notes]


def match_strokes(reference: Sequence[float], estimate: Sequence[float]) -> list[tuple[int, int]]:
    """Match onsets within 50 ms, each once: places in both; empty where either is."""
    from mir_eval.util import match_events

    if not len(reference) or not len(estimate):
        return []
    found: list[tuple[int, int]] = match_events(np.asarray(reference), np.asarray(estimate), DRUM_TOLERANCE)
    return found


def count_families(
    reference: Sequence[Note],
    estimate: Sequence[Note],
    offset_ratio: float | None = None,
    onset_tolerance: float = ONSET_TOLERANCE,
) -> dict[str | None, Counts]:
    """Count the notes of each family on either side; those whose instrument isn't known are a family of their own."""
    counts = {}
    for family in sorted({note.instrument for note in (*reference, *estimate)}, key=str):
        ours, theirs = ([n for n in notes if n.instrument == family] for notes in (reference, estimate))
        counts[family] = Counts(len(match_notes(ours, theirs, offset_ratio, onset_tolerance)), len(ours), len(theirs))
    return counts


def count_strokes(reference: Sequence[Drum], estimate: Sequence[Drum]) -> dict[str, Counts]:
    """Count the strokes of each class of drums."""
    counts = {}
    for label in DRUMS:
        ours, theirs = ([drum.onset for drum in drums if drum.label == label] for drums in (reference, estimate))
        counts[label] = Counts(len(match_strokes(ours, theirs)), len(ours), len(theirs))
    return counts


def score_families(
    reference: Sequence[Note],
    estimate: Sequence[Note],
    offset_ratio: float | None = None,
    onset_tolerance: float = ONSET_TOLERANCE,
) -> Figures:
    """Compare notes, each within its family."""
    return total(count_families(reference, estimate, offset_ratio, onset_tolerance).values()).figures


def score_drums(reference: Sequence[Drum], estimate: Sequence[Drum]) -> dict[str, Figures]:
    """Compare strokes: all under ``drums``, and those of each class that the reference has."""
    counts = count_strokes(reference, estimate)
    each = {label: count.figures for label, count in counts.items() if count.n_reference}
    return {"drums": total(counts.values()).figures, **each}


def score_together(
    reference: tuple[Sequence[Note], Sequence[Drum]],
    estimate: tuple[Sequence[Note], Sequence[Drum]],
    onset_tolerance: float = ONSET_TOLERANCE,
) -> Figures:
    """Compare notes with offsets and families, and strokes by class, all of them together."""
    notes = count_families(reference[0], estimate[0], OFFSET_RATIO, onset_tolerance)
    strokes = count_strokes(reference[1], estimate[1])
    return total([*notes.values(), *strokes.values()]).figures
