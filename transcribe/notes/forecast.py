"""How many of a recording's notes will prove right, and how many are missed, before anybody has looked.

Told from three things about what was heard: how often the network is unsure of an onset, how often hardly anything
sounds after one, and how dense the notes are. A note is right whose onset is true within a tenth of a second: labels of
real recordings seldom tell more.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

# From fewer notes nothing is told.
FEWEST = 30
# Coefficients of a forecast: a constant, and one for each of the features, of precision, then of recall.
N_COEFFICIENTS = 8
# An onset is unsure below this activation; hardly anything sounds below this mean of the frames after it.
_SURE, _SOUNDING = 0.8, 0.5
# Notes a second that count as none.
_SPARSE = 0.5


def features(peak: np.ndarray, sustain: np.ndarray, seconds: float) -> np.ndarray:
    """Describe a recording by the onset activations of its notes and the means of the frames after them, each (n,).

    Returns
    -------
    np.ndarray
        Shape (3,): shares of the notes that are unsure and that hardly sound; the logarithm of the notes a second.
    """
    density = np.log(len(peak) / max(seconds, 1e-9) + _SPARSE)
    return np.array([np.mean(peak < _SURE), np.mean(sustain < _SOUNDING), density])


def foretell(coefficients: Sequence[float], described: np.ndarray) -> tuple[float, float]:
    """Tell precision and recall, 0-1, of a recording that :func:`features` describes."""
    rows = np.array(coefficients).reshape(2, -1)
    precision, recall = 1 / (1 + np.exp(-(rows[:, 0] + rows[:, 1:] @ described)))
    return float(precision), float(recall)


def moved(logits: np.ndarray, mean: float) -> np.ndarray:
    """Add to logits (n,) the number with which their probabilities have this mean, by bisection."""
    low, high = -8.0, 8.0
    for _ in range(40):
        middle = (low + high) / 2
        if np.mean(1 / (1 + np.exp(-(logits + middle)))) < mean:
            low = middle
        else:
            high = middle
    return np.asarray(logits + (low + high) / 2)
