"""Which notes of an estimate are which of a reference: mir_eval's matching, of pitches and onsets within 50 ms."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from transcribe.events import Note

# mir_eval wants positive lengths, in seconds.
_SHORTEST = 1e-4


def to_arrays(notes: Sequence[Note]) -> tuple[np.ndarray, np.ndarray]:
    """Give intervals (n, 2) in seconds, of positive length, and frequencies (n,) in Hz, as mir_eval takes them."""
    from mir_eval.util import midi_to_hz

    intervals = np.array([(note.onset, max(note.offset, note.onset + _SHORTEST)) for note in notes], float)
    return intervals.reshape(-1, 2), midi_to_hz(np.array([note.pitch for note in notes], float))


def match_notes(
    reference: Sequence[Note],
    estimate: Sequence[Note],
    offset_ratio: float | None = None,
    onset_tolerance: float = 0.05,
) -> list[tuple[int, int]]:
    """Match as many notes as can be, each once.

    Parameters
    ----------
    reference, estimate
        Notes in any order.
    offset_ratio
        With one, offsets must be within 50 ms or this share of the reference's length, whichever is more.
    onset_tolerance
        Within which onsets are the same, in seconds.

    Returns
    -------
    list of tuple
        Places in ``reference`` and ``estimate``; empty where either is.
    """
    from mir_eval import transcription

    if not reference or not estimate:
        return []
    found: list[tuple[int, int]] = transcription.match_notes(
        *to_arrays(reference), *to_arrays(estimate), onset_tolerance=onset_tolerance, offset_ratio=offset_ratio
    )
    return found
