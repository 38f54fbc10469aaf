"""How far a recording is out of tune: old pianos, tapes that run slow, orchestras at 443 Hz.

Where the peaks of the spectrum lie between the semitones of A = 440 Hz, averaged round the circle that a semitone is,
weighted by the root of their magnitude (the idea behind librosa's ``estimate_tuning``, without its histogram). Strings
slacken and pianos sink: what is a quarter-tone flat is flat, though it be measured a little more; what is as far above
counts from the next semitone.

A recording may start late, and may change. So the tuning is decided on a fixed grid of segments of the file's own time:
the first minute with a pitch decides, and what is clearly elsewhere for 20 s decides anew.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby, islice

import numpy as np

from transcribe.events import Tuning

# Seconds of a segment, which has one tuning.
SEGMENT = 5.0
# So many segments decide at first.
_AT_FIRST = 12
# So many decide that it has changed, and no fewer than two: the last note of a piece rings on with few partials.
_AHEAD = 4
# Seconds of a frame of the spectrum, and from one to the next: fewer will do once the tuning is known.
_WINDOW, _HOP, _HOP_LATER = 0.5, 0.25, 0.5
# Below lie thuds and hum, above the stretched partials of a piano, in Hz.
_LOWEST, _HIGHEST = 100.0, 2000.0
# Peaks so far below the loudest of their frame, in dB, don't count.
_RANGE = 30.0
# Agreement of the peaks, 0-1, below which nothing is said: noise, speech and drums stay under 0.04, music reaches 0.2
# to 0.9, and no less than 0.1 in a piano's fast repeats or in white noise at 10 dB.
_KNOWN = 0.06
# The networks don't mind less, in cents.
_CENTS = 8
# The sharpest that counts from the semitone below, in cents: 3 less than half a semitone, the error of a measurement.
_SHARPEST = 47
# A change must be larger, in cents, and its peaks must agree better: singers and strings wander within a piece.
_CHANGE, _AGREED = 15, 0.2


@dataclass(frozen=True)
class _Evidence:
    """A sum over peaks of the spectrum: unit vectors that point to where in its semitone a peak lies, weighted."""

    vector: complex = 0j
    weight: float = 0.0

    def __add__(self, other: _Evidence) -> _Evidence:
        return _Evidence(self.vector + other.vector, self.weight + other.weight)

    @property
    def agreement(self) -> float:
        """How well the peaks agree, 0-1; 0 where there are none."""
        return abs(self.vector) / self.weight if self.weight else 0.0

    @property
    def direction(self) -> float:
        """Cents above a semitone, -53 … 47, whether known or not."""
        cents = float(np.angle(self.vector)) / (2 * np.pi) * 100
        return cents - 100 if cents > _SHARPEST else cents

    @property
    def cents(self) -> int | None:
        """Whole cents above A = 440 Hz; 0 where it is close, None where it can't be told."""
        if self.agreement < _KNOWN:
            return None
        cents = round(self.direction)
        return cents if abs(cents) >= _CENTS else 0


@dataclass
class Tunings:
    """The tuning of a recording, segment by segment; it grows while the recording is read.

    ``cents`` above A = 440 Hz, one a segment of ``SEGMENT`` seconds; 0 where it is close; None where nothing is known
    yet. What is known holds until something else is.
    """

    cents: list[int | None] = field(default_factory=list)

    def of_frames(self, first: int, n_frames: int, sample_rate: int, hop_length: int) -> Iterator[tuple[int, int]]:
        """Yield (number of frames, cents) for frames in a row, from ``first`` on; 0 cents where nothing is known."""
        last = len(self.cents) - 1
        segments = (frame * hop_length // round(SEGMENT * sample_rate) for frame in range(first, first + n_frames))
        cents = (self.cents[min(max(segment, 0), last)] or 0 if self.cents else 0 for segment in segments)
        for value, run in groupby(cents):
            yield len(list(run)), value

    def sections(self, duration: float) -> tuple[Tuning, ...]:
        """Name the spans with one known tuning, up to ``duration`` seconds."""
        found, segment = [], 0
        for cents, run in groupby(self.cents):
            onset, segment = segment * SEGMENT, segment + len(list(run))
            if cents is not None:
                found.append(Tuning(onset, min(segment * SEGMENT, duration), cents))
        return tuple(found)


def main_tuning(sections: Iterable[Tuning]) -> int | None:
    """Tell the tuning that lasts longest in all; None where none is known."""
    lengths: dict[int, float] = {}
    for section in sections:
        lengths[section.cents] = lengths.get(section.cents, 0.0) + section.offset - section.onset
    return max(lengths, key=lambda cents: lengths[cents]) if lengths else None


def find_tuning(samples: np.ndarray, sample_rate: int) -> int | None:
    """Find how many cents a recording lies above A = 440 Hz, below where negative, as a whole.

    Parameters
    ----------
    samples
        float32, shape (n_samples,), mono.
    sample_rate
        In Hz.

    Returns
    -------
    int or None
        -53 … 47; 0 where it is less than 8; None where nothing can be said: of noise, of half a second, of sample
        rates under 8 kHz.
    """
    return _evidence(samples, sample_rate).cents


class RunningTuning:
    """The tuning of a stream by what has sounded so far: nothing is known of what comes.

    ``cents`` above A = 440 Hz, 0 where it is close or not known yet; decided anew every ``SEGMENT`` seconds.
    """

    def __init__(self, sample_rate: int) -> None:
        self.cents = 0
        self._sample_rate = sample_rate
        self._held: list[np.ndarray] = []
        self._n_held = 0
        self._past: deque[_Evidence] = deque(maxlen=_AT_FIRST)
        self._known = False

    def push(self, samples: np.ndarray) -> None:
        """Take in what has sounded, float32 (n_samples,)."""
        self._held.append(samples)
        self._n_held += len(samples)
        if self._n_held < round(SEGMENT * self._sample_rate):
            return
        # As in what is known for longer than a minute: half as many frames.
        self._past.append(_evidence(np.concatenate(self._held), self._sample_rate, round(3600 * self._sample_rate)))
        self._held, self._n_held = [], 0
        late = sum(list(self._past)[-_AHEAD:], _Evidence())
        found = sum(self._past, _Evidence()).cents
        if not self._known:
            self._known, self.cents = found is not None, found or 0
        elif late.cents is not None and late.agreement >= _AGREED and _apart(late.direction, self.cents) >= _CHANGE:
            self.cents = late.cents


def tuned(blocks: Iterable[np.ndarray], sample_rate: int) -> tuple[Tunings, Iterator[np.ndarray]]:
    """Follow the tuning of a stream; return it with the whole stream, in other blocks.

    A segment's tuning is known when the block that holds its last sample comes. A minute is read ahead.
    """
    tunings = Tunings()
    return tunings, _followed(blocks, sample_rate, tunings.cents)


def _followed(blocks: Iterable[np.ndarray], sample_rate: int, decided: list[int | None]) -> Iterator[np.ndarray]:
    """Yield the segments of a stream once their tuning is decided."""
    before = np.zeros(0, np.float32)
    ahead: deque[tuple[np.ndarray, _Evidence]] = deque()
    segments = _segments(blocks, round(SEGMENT * sample_rate))
    overlap = _n_fft(sample_rate) - 1
    current: int | None = None
    n_read = 0
    while True:
        for segment in islice(segments, _AT_FIRST - len(ahead)):
            # A frame of the spectrum counts where it ends.
            seen = np.concatenate([before, segment])
            ahead.append((segment, _evidence(seen, sample_rate, n_read - len(before))))
            n_read += len(segment)
            before = seen[-overlap:]
        if not ahead:
            return
        current = _decided(current, [evidence for _, evidence in ahead])
        decided.append(current)
        yield ahead.popleft()[0]


def _decided(current: int | None, evidence: Sequence[_Evidence]) -> int | None:
    """Decide the tuning of a segment from what came before it, from what is in it, and from what follows."""
    own, soon = evidence[0], sum(evidence[:_AHEAD], _Evidence())
    least = _CHANGE
    if current is None:
        # A minute that changes is neither of its tunings.
        least = _CENTS
        current = sum(evidence, _Evidence()).cents
        if current is None:
            current = soon.cents
    if current is None or len(evidence) < 2 or soon.agreement < _AGREED or _apart(soon.direction, current) < least:
        return current
    # It changes with the first segment that is nearer to what follows.
    return soon.cents if _apart(own.direction, soon.direction) < _apart(own.direction, current) else current


def _apart(a: float, b: float) -> float:
    """Cents from one tuning to another: half a semitone above is half a semitone below."""
    return abs((a - b + 50) % 100 - 50)


def _segments(blocks: Iterable[np.ndarray], length: int) -> Iterator[np.ndarray]:
    """Cut a stream into segments of ``length`` samples; the last may be shorter."""
    held: list[np.ndarray] = []
    n_held = 0
    for block in blocks:
        held.append(block)
        n_held += len(block)
        if n_held < length:
            continue
        samples = np.concatenate(held)
        n_whole = n_held - n_held % length
        yield from np.split(samples[:n_whole], n_whole // length)
        held, n_held = [samples[n_whole:]], n_held - n_whole
    if n_held:
        yield np.concatenate(held)


def _n_fft(sample_rate: int) -> int:
    return 1 << round(math.log2(_WINDOW * sample_rate))


def _evidence(samples: np.ndarray, sample_rate: int, first_sample: int = 0) -> _Evidence:
    """Look at the peaks of all frames on the recording's grid, of which ``samples`` are those from a first one on."""
    n_fft = _n_fft(sample_rate)
    at_first = first_sample < (_AT_FIRST * SEGMENT - 2 * _WINDOW) * sample_rate
    hop = round((_HOP if at_first else _HOP_LATER) * sample_rate)
    samples = samples[-first_sample % hop :]
    if sample_rate < 4 * _HIGHEST or len(samples) < n_fft:
        return _Evidence()
    frames = np.lib.stride_tricks.sliding_window_view(samples, n_fft)[::hop]
    first, last = (round(frequency * n_fft / sample_rate) for frequency in (_LOWEST, _HIGHEST))
    spectrum = np.fft.rfft(frames * np.hanning(n_fft).astype(np.float32))[:, first - 1 : last + 1]
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    before, here, after = power[:, :-2], power[:, 1:-1], power[:, 2:]
    loud = here.max(axis=1, keepdims=True) * np.float32(10 ** (-_RANGE / 10))
    frame, peak = np.nonzero((here > before) & (here >= after) & (here > loud))
    # The vertex of the parabola through three points, in logarithms of the magnitude.
    levels = (0.5 * np.log(level[frame, peak] + 1e-18) for level in (before, here, after))
    low, middle, high = (level.astype(np.float64) for level in levels)
    vertex = np.clip(0.5 * (low - high) / np.minimum(low - 2 * middle + high, -1e-9), -0.5, 0.5)
    frequencies = (first + peak + vertex) * sample_rate / n_fft
    weights = np.exp(0.5 * middle)
    vector = np.sum(weights * np.exp(2j * np.pi * 12 * np.log2(frequencies / 440.0)))
    return _Evidence(complex(vector), float(weights.sum()))
