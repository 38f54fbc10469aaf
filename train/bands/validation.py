"""Figures of notes of any instruments: found, sounding, by the right family, and drums by class."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from transcribe.datasets import Piece
from transcribe.events import Transcription
from transcribe.notes.datasets import read_labels
from transcribe.notes.ensemble_metrics import Counts, count_families, count_strokes, named, total
from transcribe.notes.metrics import score
from transcribe.theory.families import DRUMS, FAMILIES
from transcribe.transcriber import Transcriber


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
        wanted, found = (named(notes) for notes in (reference.notes, estimate.notes))
        families = count_families(wanted, found)
        for name, count in (families | count_strokes(reference.drums, estimate.drums)).items():
            counts[str(name)] += count
        if reference.notes:
            scores = score("", reference, estimate).scores
            means["note"].append(scores["note"].f1)
            means["frame"].append(scores["frame"].f1)
            means["note with family"].append(total(families.values()).figures[2])
    found_figures = {name: float(np.mean(values)) for name, values in means.items()}
    known = ((name, Counts(*counts[name].tolist())) for name in (*FAMILIES, *DRUMS) if name in counts)
    found_figures |= {name: count.figures[2] for name, count in known if count.n_reference}
    main = [found_figures[drum] for drum in DRUMS[:3] if drum in found_figures]
    return found_figures | ({"drums": float(np.mean(main))} if main else {})


def measure(transcriber: Transcriber, pieces: Sequence[Piece]) -> dict[str, float]:
    """Transcribe recordings with labels and score what is found; see :func:`figures`."""
    return figures((read_labels(piece.labels), transcriber.transcribe_file(piece.audio)) for piece in pieces)
