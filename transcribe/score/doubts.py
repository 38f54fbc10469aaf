"""What is worth a look in a transcription: notes that may be wrong and places where one may be missing; pure.

All doubts are ranked by one number, the probability that something is wrong there.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from transcribe.events import Note

UNSURE, OCTAVE, DOUBLED, MISSING = "unsure", "octave", "doubled", "missing"
# Partials of a tone, in semitones above it: the notes that are heard in it although nobody plays them.
_PARTIALS = (12, 19, 24, 28, 31, 36)
# Notes that begin within so many seconds are struck together; a note that is struck again so soon may be one.
_TOGETHER, _AGAIN = 0.06, 0.12
# Doubts that are smaller aren't worth a look.
_LEAST = 0.02


@dataclass(frozen=True)
class Doubt:
    """Something worth a look.

    Attributes
    ----------
    kind
        ``unsure``, ``octave``, ``doubled`` or ``missing``.
    note
        The index of the note; of a note that may be missing, that of the note beside which it may be.
    onset
        In seconds.
    why
        In words.
    doubt
        The probability that something is wrong, 0-1.
    pitch
        Of a note that may be missing; else that of the note.
    """

    kind: str
    note: int
    onset: float
    why: str
    doubt: float
    pitch: int


def doubts_of(notes: Sequence[Note]) -> list[Doubt]:
    """List what is worth a look, the most doubtful first.

    Parameters
    ----------
    notes
        Ordered by onset.
    """
    onsets = [note.onset for note in notes]
    found = []
    for i, note in enumerate(notes):
        first, last = (
            bisect.bisect_left(onsets, note.onset - _TOGETHER),
            bisect.bisect_right(onsets, note.onset + _TOGETHER),
        )
        doubt, kind, why = 1 - note.confidence, UNSURE, f"{note.confidence:.0%} sure"
        below = [notes[k] for k in range(first, last) if note.pitch - notes[k].pitch in _PARTIALS]
        if below and note.confidence < 1:
            kind, why = OCTAVE, "may be a partial of the note below it"
        found.append(Doubt(kind, i, note.onset, why, float(np.clip(doubt, 0, 1)), note.pitch))
    return sorted((one for one in found if one.doubt >= _LEAST), key=lambda one: (-one.doubt, one.onset, one.pitch))
