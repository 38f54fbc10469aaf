"""When notes end: by thresholds as soon as one is passed, or where what sounds and what is let go fit best together.

Both read frames block by block and say the same however they are cut.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from transcribe.engine.features import N_PITCHES

# (array with context, shift) -> the frames to decide, that many later
Shifted = Callable[[np.ndarray, int], np.ndarray]

# All in seconds. Onsets of one pitch are at least so far apart, plus a frame.
_PEAK_REACH = 0.04
# After the onset, that whose mean activation says how sure the note is.
_SUSTAIN = 0.08
# After the onset, that in which a note can't end by itself: the network's frames begin a little late at times; and how
# long frames must stay low to end one.
_SHORTEST = 0.04
# A note is over when so much, in logits, would have to come back for a better end: a second of silence takes five
# times as much.
_OVER = 100.0
# Ends are as good as the same so near each other, in seconds or as a share of the note's length: as metrics have it.
_NEAR, _NEAR_SHARE = 0.05, 0.2
# Ends less likely than the likeliest don't count where the logarithm of the ratio is below this: a thousandth.
_LEAST = -7.0


@dataclass(frozen=True)
class Reach:
    """How far decisions reach, in frames.

    To either side of a ``peak``, through the ``sustain`` after an onset, and to the end of the ``shortest`` note.
    """

    peak: int
    sustain: int
    shortest: int

    @classmethod
    def of(cls, frames_per_second: float) -> Reach:
        """Count the frames, each at least one."""
        spans = (_PEAK_REACH, _SUSTAIN, _SHORTEST)
        return cls(*(max(1, round(seconds * frames_per_second)) for seconds in spans))

    @property
    def before(self) -> int:
        """How many frames before it a decision about a frame needs to see."""
        return self.peak

    @property
    def after(self) -> int:
        """How many frames after it."""
        return max(self.peak, self.sustain, self.shortest) + 1


class ThresholdEnds:
    """A note ends when its frames have stayed low for a while, or its offset peaks.

    Parameters
    ----------
    frame_threshold, offset_threshold
        0-1; an ``offset_threshold`` of 1 is never passed.
    shortest
        Frames of the shortest note, and that stay low to end one.
    """

    def __init__(self, frame_threshold: float, offset_threshold: float, shortest: int) -> None:
        self._shortest = shortest
        self._frame_threshold, self._offset_threshold = frame_threshold, offset_threshold

    def read(self, frame: np.ndarray, offset: np.ndarray, at: Shifted, first: int) -> None:
        """Read the frames to decide, whose first has the number ``first``."""
        self._above, self._below, self._first = at(frame, -1), at(frame, 0), first
        low = frame < self._frame_threshold
        ends = np.logical_and.reduce([at(low, shift) for shift in range(self._shortest)])
        if self._offset_threshold < 1:
            centre = at(offset, 0)
            ends |= (
                (centre >= self._offset_threshold)
                & (centre > at(offset, -1))
                & (centre >= at(offset, 1))
                & (at(frame, 1) < at(frame, -1))
            )
        n = len(ends)
        # The first frame from each on at which a note ends, n if it goes on.
        ends = np.where(ends, np.arange(n, dtype=np.int32)[:, None], np.int32(n))
        self._ends = np.minimum.accumulate(ends[::-1])[::-1]

    def find(
        self, time: np.ndarray, pitch: np.ndarray, struck_frame: np.ndarray, struck: np.ndarray, begin: bool
    ) -> np.ndarray:
        """Tell when notes of different keys or different times end, in frames of the recording; infinite: they go on.

        Parameters
        ----------
        time
            The frames at which they began, from the first that was read on.
        pitch
            Their keys, from 0 on.
        struck_frame, struck
            When the key is struck again: the frame as ``time``, beyond all that was read where it isn't, and the
            moment itself in frames of the recording.
        begin
            Whether they began among these frames; otherwise they are those that went on.
        """
        n = len(self._ends)
        earliest = np.maximum(time + self._shortest, 0)
        nearest = np.where(earliest < n, self._ends[np.minimum(earliest, n - 1), pitch], n)
        # Where between frames the activation crosses the threshold.
        row = np.minimum(nearest, n - 1)
        above, below = self._above[row, pitch], self._below[row, pitch]
        fall = np.maximum(above - below, 1e-6)
        back = np.clip((self._frame_threshold - below) / fall, 0, 1)
        back = np.where(above >= self._frame_threshold, back, 0)
        ended = np.where(nearest < n, self._first + nearest - back, np.inf)
        return np.where(struck_frame < nearest, struck, ended)

    def last(self, pitch: np.ndarray, n_frames: int) -> np.ndarray:
        """Tell when the notes of ``pitch`` that went on end in a recording of so many frames."""
        return np.full(len(pitch), float(n_frames))


class SegmentedEnds:
    """A note ends where the frames before speak most for it and the offset most for an end.

    That is where the sum of what its frames' logits lie above that of ``frame_threshold``, a frame of 20 ms counting as
    one, plus ``offset_weight`` times the logarithm of the offset's activation, is greatest; at the next onset of its
    pitch at the latest. With a ``doubt`` above 0 that sum, divided by it, is the logarithm of how likely an end is, and
    the end is chosen that has most of what is likely near it.
    """

    def __init__(
        self, frame_threshold: float, offset_weight: float, doubt: float, shortest: int, frames_per_second: float
    ) -> None:
        self._shortest, self._length = shortest, 50 / frames_per_second
        self._doubt, self._near = doubt, _NEAR * frames_per_second
        # Of the notes that go on, by key: the frame at which they began; the sums at all ends so far, part by part.
        self._parts: dict[int, tuple[int, list[np.ndarray]]] = {}
        self._bias = float(logit(np.array(frame_threshold)))
        self._weight = offset_weight
        # Of all frames so far; of the notes that go on, the best end and how good it is. Added one after the other in
        # double precision, the sums don't depend on how the frames are cut.
        self._sum = np.zeros(N_PITCHES)
        self._best = np.full(N_PITCHES, -np.inf)
        self._end = np.zeros(N_PITCHES)

    def read(self, frame: np.ndarray, offset: np.ndarray, at: Shifted, first: int) -> None:
        """See :meth:`ThresholdEnds.read`."""
        self._first = first
        self._before, self._offset, self._after = (at(offset, shift) for shift in (-1, 0, 1))
        sums = np.add.accumulate(np.concatenate([self._sum[None], self._length * (logit(at(frame, 0)) - self._bias)]))
        self._sums, self._sum = sums[:-1], sums[-1]
        # Pitch by pitch, as they are read.
        self._sums = np.asfortranarray(self._sums)
        self._gains = np.asfortranarray(self._sums + self._weight * np.log(np.maximum(self._offset, 1e-4)))

    def find(
        self, time: np.ndarray, pitch: np.ndarray, struck_frame: np.ndarray, struck: np.ndarray, begin: bool
    ) -> np.ndarray:
        """See :meth:`ThresholdEnds.find`."""
        n = len(self._gains)
        likeliest: dict[int, float] = {}
        if begin:
            best, ends = np.full(len(time), -np.inf), np.zeros(len(time))
        else:
            best, ends = self._best[pitch], self._end[pitch]
        over = struck_frame < n
        rows = np.full(len(time), -1)  # of better ends among these frames
        firsts, lasts = np.maximum(time + self._shortest, 0).tolist(), (np.minimum(struck_frame, n - 1) + 1).tolist()
        for i, (key, since, until) in enumerate(zip(pitch.tolist(), firsts, lasts, strict=True)):
            gains = self._gains[since:until, key]
            if len(gains):
                lost = self._sums[since:until, key] < np.maximum(np.maximum.accumulate(gains), best[i]) - _OVER
                last = int(lost.argmax())
                if lost[last]:
                    over[i] = True
                    gains = gains[: last + 1]
                place = int(gains.argmax())
                if gains[place] > best[i]:
                    best[i], rows[i] = gains[place], since + place
            if self._doubt:
                began, parts = (self._first + int(time[i]), []) if begin else self._parts.pop(key)
                parts.append(gains.copy())
                if not over[i]:
                    self._parts[key] = began, parts
                elif np.isfinite(best[i]):
                    likeliest[i] = began + self._likeliest(np.concatenate(parts))
        better = rows >= 0
        row, key = rows[better], pitch[better]
        beside = sub_frame(self._before[row, key], self._offset[row, key], self._after[row, key])
        ends[better] = self._first + row + beside
        ends[list(likeliest)] = list(likeliest.values())
        going = ~over
        self._best[pitch[going]], self._end[pitch[going]] = best[going], ends[going]
        return np.where(over, np.minimum(ends, struck), np.inf)

    def _likeliest(self, gains: np.ndarray) -> int:
        """Choose the end, in frames from the onset, that most of what is likely is near; ``gains`` are of all ends."""
        best = int(gains.argmax())
        (ends,) = (gains > gains[best] + self._doubt * _LEAST).nonzero()
        if ends[-1] - ends[0] <= max(self._near, _NEAR_SHARE * (int(ends[0]) + self._shortest)):
            return self._shortest + best  # all are near each other
        likely = np.exp((gains[ends] - gains[best]) / self._doubt)
        near = np.maximum(self._near, _NEAR_SHARE * (ends + self._shortest))
        firsts = np.maximum(np.ceil(ends - near), 0).astype(int)
        lasts = np.minimum(np.floor(ends + near).astype(int) + 1, len(gains))
        about = np.cumsum(np.bincount(firsts, likely, len(gains) + 1) - np.bincount(lasts, likely, len(gains) + 1))
        about[ends] += 1e-6 * likely  # of ends with the same around them the likeliest
        return self._shortest + int(about[:-1].argmax())

    def last(self, pitch: np.ndarray, n_frames: int) -> np.ndarray:
        """See :meth:`ThresholdEnds.last`: the recording's end is as good as any that is heard."""
        ends = self._end[pitch]
        for i, key in enumerate(pitch.tolist()):
            began, parts = self._parts.get(key, (0, []))
            if parts and np.isfinite(self._best[key]):
                ends[i] = began + self._likeliest(np.concatenate(parts))
        return np.where(self._best[pitch] > self._sum[pitch], ends, float(n_frames))


def logit(probability: np.ndarray) -> np.ndarray:
    """Give the logarithm of the odds, between those of 1e-4 and of 1 - 1e-4."""
    clipped = np.clip(probability, 1e-4, 1 - 1e-4)
    return np.asarray(np.log(clipped / (1 - clipped)))


def sub_frame(before: np.ndarray, peak: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Tell how far beside its frame a peak lies, by the activations around it: between -0.5 and 0.5 frames."""
    rise = np.maximum(2 * (peak - np.minimum(before, after)), 1e-6)
    return np.asarray(np.clip((after - before) / rise, -0.5, 0.5))
