"""What figures of a few recordings are worth: intervals, comparisons piece by piece, and how true a confidence is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

# How often pieces are drawn anew.
_DRAWS = 2000


@dataclass(frozen=True)
class Difference:
    """How much a figure of one system is above that of another, on the same pieces.

    ``mean`` over the pieces, and the ``low`` and ``high`` between which it would lie 19 times of 20 on others of the
    kind; ``better`` and ``worse`` count pieces.
    """

    mean: float
    low: float
    high: float
    better: int
    worse: int


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Find where the mean of as many recordings would lie, 19 times of 20: by drawing them with replacement."""
    drawn = np.array(values)[_drawn(len(values))].mean(1)
    low, high = np.percentile(drawn, (2.5, 97.5))
    return float(low), float(high)


def paired(ours: Mapping[str, float], theirs: Mapping[str, float]) -> Difference | None:
    """Compare the figures of two systems by the pieces that both have; None where there are none."""
    names = sorted(ours.keys() & theirs.keys())
    if not names:
        return None
    differences = np.array([ours[name] - theirs[name] for name in names])
    low, high = interval(differences.tolist())
    return Difference(float(differences.mean()), low, high, int((differences > 0).sum()), int((differences < 0).sum()))


def _drawn(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, count, (_DRAWS, count))


def reliability_table(confidence: np.ndarray, truth: np.ndarray, bins: int = 10) -> list[tuple[float, float, int]]:
    """Tabulate (mean confidence, share that is right, how many) for each bin of confidence that holds any."""
    which = np.minimum((confidence * bins).astype(int), bins - 1)
    return [
        (float(confidence[which == b].mean()), float(truth[which == b].mean()), int((which == b).sum()))
        for b in range(bins)
        if (which == b).any()
    ]


def calibration_error(table: Sequence[tuple[float, float, int]]) -> float:
    """Compute the expected calibration error of a reliability table: 0 is perfect."""
    total = sum(count for _, _, count in table)
    return sum(abs(confidence - right) * count for confidence, right, count in table) / max(total, 1)
