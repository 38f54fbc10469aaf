"""How good the chords are: mir_eval's chord metrics over songs, accuracy and confusions over clips.

Conventions: mir_eval's comparisons (MIREX 2013), each weighted by duration over all pieces together, so that a long
song counts more than a short one; the segmentation's figures are means over pieces.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from transcribe.datasets import Piece, read_chords
from transcribe.errors import InputError
from transcribe.events import Chord
from transcribe.harte import Label, parse
from transcribe.pipeline import ChordRecogniser, Progress

COMPARISONS = ("root", "majmin", "majmin_inv", "thirds", "triads", "sevenths", "tetrads", "mirex")
SEGMENTATIONS = ("overseg", "underseg", "seg")


@dataclass(frozen=True)
class ChordReport:
    """Figures of songs: by piece, and ``means`` over them all, by the names in COMPARISONS and SEGMENTATIONS."""

    pieces: dict[str, dict[str, float]]
    means: dict[str, float]


@dataclass(frozen=True)
class ClipReport:
    """Figures of clips with one chord each: ``confusion`` counts, for every true label, what it was called."""

    accuracy: float
    confusion: dict[str, dict[str, int]] = field(default_factory=dict)


def score_chords(reference: Sequence[Chord], estimate: Sequence[Chord]) -> dict[str, tuple[float, float]]:
    """Compare two sequences of chords.

    Returns
    -------
    dict
        For every comparison its score (0-1) and the seconds that it is about: chords outside its vocabulary are left
        out. Segmentation scores weigh 1.

    Raises
    ------
    InputError
        If the reference holds no chords.
    """
    from mir_eval import chord

    if not reference:
        raise InputError("the reference holds no chords")
    end = max(c.offset for c in reference)
    reference_intervals, reference_labels = _arrays(reference)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of comparisons without any chord of their vocabulary
        intervals, labels = _fitted(*_arrays(estimate), reference_intervals[0, 0], end)
        merged, ours, theirs = chord.util.merge_labeled_intervals(
            reference_intervals, reference_labels, intervals, labels
        )
        durations = chord.util.intervals_to_durations(merged)
        scores = {}
        for name in COMPARISONS:
            compared = getattr(chord, name)(ours, theirs)
            seconds = float(durations[compared >= 0].sum())
            scores[name] = (float(chord.weighted_accuracy(compared, durations)) if seconds else 0.0, seconds)
        for name in SEGMENTATIONS:
            scores[name] = (float(getattr(chord, name)(reference_intervals, intervals)), 1.0)
    return scores


def _arrays(chords: Sequence[Chord]) -> tuple[np.ndarray, list[str]]:
    kept = [c for c in sorted(chords) if c.offset > c.onset]
    return np.array([(c.onset, c.offset) for c in kept], float).reshape(-1, 2), [c.label for c in kept]


def _fitted(intervals: np.ndarray, labels: list[str], start: float, end: float) -> tuple[np.ndarray, list[str]]:
    from mir_eval.util import adjust_intervals

    if not len(intervals):
        return np.array([[start, end]]), ["N"]
    fitted, named = adjust_intervals(intervals, labels, start, end, "N", "N")
    return fitted, list(named)


def evaluate_chords(
    pieces: Sequence[Piece], recogniser: ChordRecogniser, progress: Progress | None = None
) -> ChordReport:
    """Recognise the chords of every piece and score them.

    Raises
    ------
    InputError
        If a recording or its labels can't be read.
    """
    found = {}
    seconds = 0.0
    for piece in pieces:
        estimate = recogniser.recognise_file(piece.audio)
        reference = [c for c in read_chords(piece.labels) if c.onset < estimate.duration]
        found[piece.name] = score_chords(reference, estimate.chords)
        seconds += estimate.duration
        if progress is not None:
            progress(seconds, None)
    means = {}
    for name in (*COMPARISONS, *SEGMENTATIONS):
        weights = [scores[name][1] for scores in found.values()]
        total = sum(weights)
        means[name] = sum(scores[name][0] * w for scores, w in zip(found.values(), weights, strict=True)) / (total or 1)
    return ChordReport({n: {k: v for k, (v, _) in scores.items()} for n, scores in found.items()}, means)


def evaluate_clips(
    pieces: Sequence[Piece],
    recogniser: ChordRecogniser,
    labels: Sequence[Label] = (),
    progress: Progress | None = None,
) -> ClipReport:
    """Recognise the one chord of every clip, and count which are right in root and quality.

    The clip's chord is the one heard most, ``N`` only where no other is. Where ``labels`` are given, no others are
    possible; a clip whose label is a triad has a triad for an answer.
    """
    confusion: dict[str, dict[str, int]] = {}
    right = 0
    for number, piece in enumerate(pieces, 1):
        truth = parse(read_chords(piece.labels)[0].label)
        vocabulary = "triads" if len(truth.intervals) == 3 else "full"
        answer = recogniser.recognise_clip(piece.audio, labels, vocabulary)
        called = confusion.setdefault(str(truth), {})
        called[str(answer)] = called.get(str(answer), 0) + 1
        right += answer == truth
        if progress is not None:
            progress(number, len(pieces))
    return ClipReport(right / max(1, len(pieces)), confusion)
