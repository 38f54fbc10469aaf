"""Onsets to tempo; pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from transcribe.events import Note

MIN_BPM, MAX_BPM = 40.0, 220.0
# A listener's favourite tempo and how far, in octaves, it reaches: Ellis, see below.
PREFERRED_BPM, SPREAD_OCTAVES = 120.0, 0.9
_STEP = 0.01
# Fewer onsets than this say nothing about a tempo.
_MIN_ONSETS = 8


def estimate_tempo(notes: Sequence[Note]) -> float | None:
    """Guess the tempo from the autocorrelation of the onsets.

    Returns
    -------
    float or None
        Beats a minute, between 40 and 220; None for too few notes to tell.

    References
    ----------
    Ellis, "Beat tracking by dynamic programming", Journal of New Music Research 2007, section 3.2.
    """
    # Ten minutes say as much as ten hours.
    onsets = np.array([note.onset for note in notes[:6000]])
    if len(onsets) < _MIN_ONSETS:
        return None
    onsets = onsets - onsets[0]
    strength = np.zeros(int(min(onsets[-1], 600.0) / _STEP) + 1)
    inside = onsets < len(strength) * _STEP - _STEP
    velocities = np.array([note.velocity for note in notes[:6000]], float)
    np.add.at(strength, np.round(onsets[inside] / _STEP).astype(int), velocities[inside])
    strength = np.convolve(np.sqrt(strength), np.hanning(9), mode="same")
    strength -= strength.mean()
    size = 1 << (2 * len(strength)).bit_length()
    correlation = np.fft.irfft(np.abs(np.fft.rfft(strength, size)) ** 2)
    lags = np.arange(int(60 / MAX_BPM / _STEP), min(int(60 / MIN_BPM / _STEP), len(strength)))
    if not len(lags):
        return None
    tempi = 60 / (lags * _STEP)
    favour = np.exp(-0.5 * (np.log2(tempi / PREFERRED_BPM) / SPREAD_OCTAVES) ** 2)
    best = int(np.argmax(correlation[lags] * favour))
    lag = float(lags[best])
    if 0 < best < len(lags) - 1:
        before, peak, after = correlation[lags[best] - 1 : lags[best] + 2]
        curvature = before - 2 * peak + after
        if curvature < 0:
            lag += float(np.clip(0.5 * (before - after) / curvature, -0.5, 0.5))
    return 60 / (lag * _STEP)
