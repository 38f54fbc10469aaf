"""How well instruments are told apart, and drums heard: figures beside those of notes.

With instruments, a note is right where onset, pitch and family are: notes are matched within each family. With offsets
too it is the Multi-instrument F1 of MT3 (Gardner et al. 2022), whose classes are those of General MIDI's. A stroke is
right within 50 ms of one of its class.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from transcribe.events import Drum, Note
from transcribe.matching import match_notes
from transcribe.theory.families import DRUMS

DRUM_TOLERANCE = 0.05
# Precision, recall, F1.
Figures = tuple[float, float, float]


def score_families(reference: Sequence[Note], estimate: Sequence[Note], offset_ratio: float | None = None) -> Figures:
    """Compare notes, each within its family; those whose instrument isn't known are a family of their own."""
    hits = 0
    for family in {note.instrument for note in reference}:
        ours, theirs = ([n for n in notes if n.instrument == family] for notes in (reference, estimate))
        hits += len(match_notes(ours, theirs, offset_ratio))
    return _figures(hits, len(reference), len(estimate))


def score_drums(reference: Sequence[Drum], estimate: Sequence[Drum]) -> dict[str, Figures]:
    """Compare strokes: all under ``drums``, and those of each class that the reference has."""
    from mir_eval.util import match_events

    found, total = {}, 0
    for label in DRUMS:
        ours, theirs = (
            np.array([drum.onset for drum in drums if drum.label == label]) for drums in (reference, estimate)
        )
        hits = len(match_events(ours, theirs, DRUM_TOLERANCE)) if len(ours) and len(theirs) else 0
        total += hits
        if len(ours):
            found[label] = _figures(hits, len(ours), len(theirs))
    return {"drums": _figures(total, len(reference), len(estimate)), **found}


def _figures(hits: int, n_reference: int, n_estimate: int) -> Figures:
    if not n_reference and not n_estimate:
        return 1.0, 1.0, 1.0
    return (
        hits / n_estimate if n_estimate else 0.0,
        hits / n_reference if n_reference else 0.0,
        2 * hits / (n_reference + n_estimate),
    )
