"""Beats as a grid: seconds ↔ beats; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from transcribe.events import Metre

# So many beats at the least, that stray from even ones by so little (in seconds, root mean square and the worst), are
# even; a tempo is a whole number of beats a minute if that moves no beat by more.
_EVEN_BEATS, _EVEN, _EVEN_WORST, _WHOLE = 16, 0.012, 0.045, 0.004
# Beats of 6 to 600 a minute, in seconds.
MIN_GAP, MAX_GAP = 0.1, 10.0


@dataclass(frozen=True)
class Beats:
    """Times of the ``beats`` and of the ``downbeats`` among them, in seconds; ``metre``: beats in most bars, or 0.

    ``confidence`` (0-1) is the probability that a beat is right, on the average; ``confidences`` are those of every
    beat, or empty where they aren't known. ``metres`` are those of the sections.
    """

    beats: tuple[float, ...] = ()
    downbeats: tuple[float, ...] = ()
    metre: int = 0
    confidence: float = 0.0
    confidences: tuple[float, ...] = ()
    metres: tuple[Metre, ...] = ()

    @property
    def tempo(self) -> float | None:
        """Beats a minute, None for fewer than two."""
        return 60 / float(np.median(np.diff(self.beats))) if len(self.beats) > 1 else None


class BeatGrid:
    """Seconds ↔ beats, numbered from 0: evenly between two beats, and at the nearest ones' tempo outside of them.

    Parameters
    ----------
    beats
        Seconds, as :func:`is_grid` wants them.
    """

    def __init__(self, beats: Sequence[float]) -> None:
        inner = np.array(beats, float)
        # So far away that interpolation leads to every time there is.
        far = 1e6
        self._numbers = np.concatenate([[-far], np.arange(len(inner)), [len(inner) - 1 + far]])
        self._seconds = np.concatenate(
            [[inner[0] - far * (inner[1] - inner[0])], inner, [inner[-1] + far * (inner[-1] - inner[-2])]]
        )

    def to_beats(self, seconds: np.ndarray) -> np.ndarray:
        """Convert seconds to beats; as many come back."""
        return np.asarray(np.interp(seconds, self._seconds, self._numbers))

    def to_seconds(self, beats: np.ndarray) -> np.ndarray:
        """Convert beats to seconds; as many come back."""
        return np.asarray(np.interp(beats, self._numbers, self._seconds))


def is_grid(beats: Sequence[float]) -> bool:
    """Whether beats can carry notes: two at least, in order, 0.1 to 10 s apart."""
    gaps = np.diff(np.array(beats, float))
    return len(gaps) > 0 and bool(gaps.min() >= MIN_GAP and gaps.max() <= MAX_GAP)


def steadied(beats: Sequence[float]) -> np.ndarray:
    """Put beats that are evenly spaced, but for what hands and frames stray, exactly even; (n,) seconds.

    Stretches in which the tempo moves stay as they are. A tempo that may be a whole number of beats a minute is one.
    """
    times = np.array(beats, float)
    first = 0
    while first + _EVEN_BEATS <= len(times):
        n_beats = _n_even(times[first:])
        if n_beats:
            start, slope = _line(times[first : first + n_beats])
            whole = 60 / max(1, round(60 / slope))
            wanted = whole_microseconds(whole if abs(whole - slope) * n_beats / 2 < _WHOLE else slope)
            start, slope = start + (slope - wanted) * (n_beats - 1) / 2, wanted
            times[first : first + n_beats] = start + slope * np.arange(n_beats)
        first += n_beats or 1
    return times


def whole_microseconds(period: float) -> float:
    """Round to what MIDI can say: whole microseconds a quarter, also where a beat has one and a half of them."""
    return round(period * 1e6 / 3) * 3e-6


def _n_even(times: np.ndarray) -> int:
    """Count the beats from the first one on that are even; 0 where they are too few."""
    if not _is_even(times[:_EVEN_BEATS]):
        return 0
    good, bad = _EVEN_BEATS, 2 * _EVEN_BEATS
    while bad <= len(times) and _is_even(times[:bad]):
        good, bad = bad, 2 * bad
    bad = min(bad, len(times) + 1)
    while bad - good > 1:
        middle = (good + bad) // 2
        good, bad = (middle, bad) if _is_even(times[:middle]) else (good, middle)
    return good


def _is_even(times: np.ndarray) -> bool:
    start, slope = _line(times)
    off = times - start - slope * np.arange(len(times))
    return bool(off @ off < len(times) * _EVEN**2 and np.abs(off).max() < _EVEN_WORST)


def _line(times: np.ndarray) -> tuple[float, float]:
    """Fit a line by least squares: its first value, and its slope."""
    number = np.arange(len(times)) - (len(times) - 1) / 2
    slope = float(number @ times / (number @ number))
    return float(times.mean()) + slope * float(number[0]), slope
