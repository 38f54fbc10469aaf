"""How far a recording is out of tune: old pianos, tapes that run slow, orchestras at 443 Hz.

Where the peaks of the spectrum lie between the semitones of A = 440 Hz, averaged round the circle that a semitone is,
weighted by the root of their magnitude (the idea behind librosa's ``estimate_tuning``, without its histogram). What is
half a semitone off and more counts from the next semitone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

import numpy as np

# So much of the beginning of a recording is listened to.
SECONDS = 60.0
_WINDOW, _HOP = 0.5, 0.25
# Below lie thuds and hum, above the stretched partials of a piano, in Hz.
_LOWEST, _HIGHEST = 100.0, 2000.0
# Peaks so far below the loudest of their frame, in dB, don't count.
_RANGE = 30.0
# Agreement of the peaks, 0-1, below which nothing is said: noise, speech and drums stay under 0.04, music reaches 0.2
# to 0.9, and no less than 0.1 in a piano's fast repeats or in white noise at 10 dB.
_SURE = 0.06
# The networks don't mind less.
_CENTS = 8


def find_tuning(samples: np.ndarray, sample_rate: int) -> int:
    """Find how many cents a recording lies above A = 440 Hz, below where negative.

    Parameters
    ----------
    samples
        float32, shape (n_samples,), mono.
    sample_rate
        In Hz.

    Returns
    -------
    int
        -50 … 50; 0 where it is less than 8, or where nothing can be said: of noise, of half a second, of sample rates
        under 8 kHz.
    """
    if sample_rate < 4 * _HIGHEST:
        return 0
    n_fft = 1 << round(np.log2(_WINDOW * sample_rate))
    if len(samples) < n_fft:
        return 0
    frames = np.lib.stride_tricks.sliding_window_view(samples, n_fft)[:: round(_HOP * sample_rate)]
    first, last = (round(frequency * n_fft / sample_rate) for frequency in (_LOWEST, _HIGHEST))
    spectrum = np.fft.rfft(frames * np.hanning(n_fft).astype(np.float32))[:, first - 1 : last + 1]
    levels = np.log(np.abs(spectrum) + 1e-9)
    before, here, after = levels[:, :-2], levels[:, 1:-1], levels[:, 2:]
    loud = here.max(axis=1, keepdims=True) - np.log(10) * _RANGE / 20
    frame, peak = np.nonzero((here > before) & (here >= after) & (here > loud))
    if not len(peak):
        return 0
    # The vertex of the parabola through three points.
    low, middle, high = (level[frame, peak].astype(np.float64) for level in (before, here, after))
    vertex = np.clip(0.5 * (low - high) / np.minimum(low - 2 * middle + high, -1e-9), -0.5, 0.5)
    frequencies = (first + peak + vertex) * sample_rate / n_fft
    mean = np.average(np.exp(2j * np.pi * 12 * np.log2(frequencies / 440.0)), weights=np.exp(0.5 * middle))
    cents = round(float(np.angle(mean)) / (2 * np.pi) * 100)
    return cents if abs(mean) >= _SURE and abs(cents) >= _CENTS else 0


def tuned(blocks: Iterable[np.ndarray], sample_rate: int) -> tuple[int, Iterator[np.ndarray]]:
    """Find the tuning from the first minute of a stream; return it with the whole stream, in other blocks."""
    blocks = iter(blocks)
    held: list[np.ndarray] = []
    wanted = round(SECONDS * sample_rate)
    for block in blocks:
        held.append(block)
        wanted -= len(block)
        if wanted <= 0:
            break
    if not held:
        return 0, blocks
    beginning = held[0] if len(held) == 1 else np.concatenate(held)
    return find_tuning(beginning[: round(SECONDS * sample_rate)], sample_rate), chain([beginning], blocks)
