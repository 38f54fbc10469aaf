"""Figures of notes of any instruments: found, sounding, by the right family, and drums by class."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from transcribe.datasets import Piece
from transcribe.events import Transcription
from transcribe.matching import match_notes
from transcribe.notes.datasets import read_labels
from transcribe.notes.metrics import score
from transcribe.theory.families import DRUMS, FAMILIES
from transcribe.transcriber import Transcriber

# Seconds within which a stroke must be found.
_WINDOW = 0.05


def f1(hits: int, n_reference: int, n_estimate: int) -> float:
    """Compute F1; 0 where there is nothing on either side."""
    return 2 * hits / max(1, n_reference + n_estimate)


def match_strokes(reference: Sequence[float], estimate: Sequence[float]) -> list[tuple[int, int]]:
    """Match onsets within 50 ms, each once: places in both; empty where either is."""
    from mir_eval.util import match_events

    if not len(reference) or not len(estimate):
        return []
    found: list[tuple[int, int]] = match_events(np.asarray(reference), np.asarray(estimate), _WINDOW)
    return found


def figures(pairs: Iterable[tuple[Transcription, Transcription]]) -> dict[str, float]:
    """Score estimates against references, each pair a reference and an estimate.

    Returns
    -------
    dict
        ``note`` and ``frame`` F1, and ``note with family``, where a note must be its own family's, as means over the
        pieces that have notes; F1 of each family's notes and of each drum's strokes over all pieces together, of
        those that occur, and ``drums``, the mean of bass drum, snare drum and hi-hat.
    """
    means: dict[str, list[float]] = defaultdict(list)
    counts: dict[str, np.ndarray] = defaultdict(lambda: np.zeros(3, int))
    for reference, estimate in pairs:
        hits = 0
        for family in FAMILIES:
            wanted, found = (
                [note for note in notes if (note.instrument or "piano") == family]
                for notes in (reference.notes, estimate.notes)
            )
            right = len(match_notes(wanted, found))
            counts[family] += right, len(wanted), len(found)
            hits += right
        for drum in DRUMS:
            wanted_at, found_at = (
                [stroke.onset for stroke in strokes if stroke.label == drum]
                for strokes in (reference.drums, estimate.drums)
            )
            counts[drum] += len(match_strokes(wanted_at, found_at)), len(wanted_at), len(found_at)
        if reference.notes:
            scores = score("", reference, estimate).scores
            means["note"].append(scores["note"].f1)
            means["frame"].append(scores["frame"].f1)
            means["note with family"].append(f1(hits, len(reference.notes), len(estimate.notes)))
    found_figures = {name: float(np.mean(values)) for name, values in means.items()}
    found_figures |= {name: f1(*map(int, count)) for name, count in counts.items() if count[1]}
    main = [found_figures[drum] for drum in DRUMS[:3] if drum in found_figures]
    return found_figures | ({"drums": float(np.mean(main))} if main else {})


def measure(transcriber: Transcriber, pieces: Sequence[Piece]) -> dict[str, float]:
    """Transcribe recordings with labels and score what is found; see :func:`figures`."""
    return figures((read_labels(piece.labels), transcriber.transcribe_file(piece.audio)) for piece in pieces)
