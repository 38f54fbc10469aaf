"""What the live network says, frame by frame, to events: a note begins, a note ends, the pedal goes down and up.

The rules are those of :mod:`transcribe.notes.decoder`, but that all which a decision needs was said by now: whether an
onset is a peak is seen in what the network says *at this moment* of the frames around it. A note that begins is told at
once and only once; every note that has begun ends.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from transcribe.engine.features import LOWEST_PITCH, N_PITCHES, FrameGrid
from transcribe.events import Note, Pedal
from transcribe.live.delays import NEWER, OLDER

# Onsets of one pitch are more than so many frames apart; in fewer after its onset no note ends by itself.
REACH, MIN_FRAMES = 2, 2
# Frames of one mind before the pedal is believed: no foot is quicker.
_PEDAL_FRAMES = 3
_SHORTEST = 1e-3


class Kind(Enum):
    """What happens."""

    NOTE_ON = "note on"
    NOTE_OFF = "note off"
    PEDAL_DOWN = "pedal down"
    PEDAL_UP = "pedal up"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that has just been heard, and when it happened: ``time`` in seconds of the sound."""

    kind: Kind
    time: float
    pitch: int = 0
    velocity: int = 0
    confidence: float = 1.0

    def values(self, told: float) -> dict[str, object]:
        """Give what is told of it as plain values, and when that was, in seconds of the sound."""
        found: dict[str, object] = {"event": self.kind.value, "time": round(self.time, 4), "told": round(told, 4)}
        if self.pitch:
            found["pitch"] = self.pitch
        if self.velocity:
            found |= {"velocity": self.velocity, "confidence": round(self.confidence, 3)}
        return found


@dataclass(frozen=True)
class Said:
    """What the network says at one frame: 0-1, as :class:`transcribe.live.network.LiveLogits` for one step.

    ``onset`` (n_heard, 88); ``frame``, ``offset`` and ``velocity`` (n_told, 88); ``pedal`` (n_told,).
    """

    onset: np.ndarray
    frame: np.ndarray
    offset: np.ndarray
    velocity: np.ndarray
    pedal: np.ndarray


@dataclass(frozen=True)
class TrackerConfig:
    """Thresholds (0-1) of one delay; ``onset_shift`` in seconds; ``confidence`` weighs 1 and the onset's logit."""

    onset_threshold: float = 0.4
    frame_threshold: float = 0.4
    offset_threshold: float = 0.3
    pedal_threshold: float = 0.4
    onset_shift: float = 0.0
    confidence: tuple[float, float] = (0.0, 1.0)

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises
        ------
        ValueError
            If a threshold lies outside 0-1, or a number is none.
        """
        for name in ("onset_threshold", "frame_threshold", "offset_threshold", "pedal_threshold"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must lie between 0 and 1")
        if not all(map(math.isfinite, (self.onset_shift, *self.confidence))) or len(self.confidence) != 2:
            raise ValueError("onset_shift and the two numbers of confidence must be finite")


class NoteTracker:
    """Follow one delay: push what is said at each frame, in order, and take the events.

    Parameters
    ----------
    config
        Its thresholds.
    delay
        In frames; the heads for it and for the frames around must be there.
    heard, told
        The delays of the network's heads.
    grid
        The time base.
    """

    def __init__(
        self, config: TrackerConfig, delay: int, heard: Sequence[int], told: Sequence[int], grid: FrameGrid
    ) -> None:
        self.config, self.delay, self.grid = config, delay, grid
        self._around = [heard.index(delay + k) for k in range(-NEWER, OLDER + 1)]
        self._told = told.index(delay)
        self._newest = -1
        self._onset = np.full(N_PITCHES, -np.inf)  # the frame at which the last note of each pitch began
        self._sounding = np.zeros(N_PITCHES, bool)
        # Of the last frames, the newest last.
        self._frame, self._offset, self._velocity = np.zeros((3, 4, N_PITCHES), np.float32)
        self._pedal_down, self._pedal_other = False, 0

    @property
    def time(self) -> float:
        """Up to where it has decided, in seconds of the sound."""
        return self._time(self._newest - self.delay)

    def push(self, said: Said) -> list[Event]:
        """Take in what is said at the next frame; return what is known by it, the earliest first."""
        self._newest += 1
        frame = self._newest - self.delay  # which is decided now
        for memory, row in ((self._frame, said.frame), (self._offset, said.offset), (self._velocity, said.velocity)):
            memory[:-1] = memory[1:]
            memory[-1] = row[self._told]
        if frame < 0:
            return []
        events = self._ends(frame)
        events += self._onsets(frame, said.onset[self._around])
        events += self._pedal(frame, float(said.pedal[self._told]))
        return events

    def finish(self) -> list[Event]:
        """End what still sounds, where the sound ends."""
        time = self._time(max(self._newest - self.delay, 0))
        events = [Event(Kind.NOTE_OFF, time, LOWEST_PITCH + int(row)) for row in np.flatnonzero(self._sounding)]
        self._sounding[:] = False
        if self._pedal_down:
            self._pedal_down = False
            events.append(Event(Kind.PEDAL_UP, time))
        return events

    def release(self, pitch: int) -> list[Event]:
        """End a note that was withdrawn; nothing where none sounds."""
        row = pitch - LOWEST_PITCH
        if not self._sounding[row]:
            return []
        self._sounding[row] = False
        return [Event(Kind.NOTE_OFF, self._time(self._newest - self.delay), pitch)]

    def _time(self, frame: float) -> float:
        return max(float(self.grid.frames_to_time(frame)), 0.0)

    def _onsets(self, frame: int, around: np.ndarray) -> list[Event]:
        newer, now, before, oldest = around
        least = max(self.config.onset_threshold, 1e-6)
        peak = (now >= least) & (now >= newer) & (now > before)
        # A peak that the frame before this one turns out to have been.
        late = (before >= least) & (before >= now) & (before > oldest) & ~peak
        free = frame - self._onset > REACH
        peak &= free
        late &= free & (frame - 1 - self._onset > REACH)
        if frame < 1:
            late[:] = False
        events = []
        for row in np.flatnonzero(peak | late).tolist():
            back = 1 if late[row] else 0
            low, high, after = (before, now, newer) if peak[row] else (oldest, before, now)
            rise = max(2 * float(high[row] - min(low[row], after[row])), 1e-6)
            beside = min(max(float(after[row] - low[row]) / rise, -0.5), 0.5)
            time = self._time(frame - back + beside) + self.config.onset_shift
            if self._sounding[row]:
                events.append(Event(Kind.NOTE_OFF, max(time, 0.0), LOWEST_PITCH + row))
            self._sounding[row] = True
            self._onset[row] = frame - back
            velocity = min(max(round(float(self._velocity[-1 - back, row]) * 127), 1), 127)
            sure = self._confidence(float(high[row]))
            events.append(Event(Kind.NOTE_ON, max(time, 0.0), LOWEST_PITCH + row, velocity, sure))
        return events

    def _confidence(self, activation: float) -> float:
        clipped = min(max(activation, 1e-4), 1 - 1e-4)
        constant, slope = self.config.confidence
        return 1 / (1 + math.exp(-(constant + slope * math.log(clipped / (1 - clipped)))))

    def _ends(self, frame: int) -> list[Event]:
        sounding = self._sounding & (frame - 1 - self._onset >= MIN_FRAMES)
        if not sounding.any():
            return []
        config = self.config
        before, last, now = self._frame[-3:]
        low = (last < config.frame_threshold) & (now < config.frame_threshold)
        peaked = np.zeros(N_PITCHES, bool)
        if config.offset_threshold < 1:
            earlier, centre, later = self._offset[-3:]
            peaked = (centre >= config.offset_threshold) & (centre > earlier) & (centre >= later) & (now < before)
        events = []
        for row in np.flatnonzero(sounding & (low | peaked)).tolist():
            above, below = float(before[row]), float(last[row])
            back = 0.0
            if above >= config.frame_threshold > below:
                back = (config.frame_threshold - below) / max(above - below, 1e-6)
            self._sounding[row] = False
            time = max(self._time(frame - 1 - back), self._time(self._onset[row]) + _SHORTEST)
            events.append(Event(Kind.NOTE_OFF, time, LOWEST_PITCH + row))
        return events

    def _pedal(self, frame: int, activation: float) -> list[Event]:
        down = activation >= self.config.pedal_threshold
        self._pedal_other = self._pedal_other + 1 if down != self._pedal_down else 0
        if self._pedal_other < _PEDAL_FRAMES:
            return []
        self._pedal_down, self._pedal_other = down, 0
        # Half a frame before the first that is of the other mind.
        return [Event(Kind.PEDAL_DOWN if down else Kind.PEDAL_UP, self._time(frame - _PEDAL_FRAMES + 0.5))]


class Score:
    """Events to notes and pedals, as they end; what begins and never ends is closed by :meth:`close`."""

    def __init__(self) -> None:
        self.notes: list[Note] = []
        self.pedals: list[Pedal] = []
        self._open: dict[int, Event] = {}
        self._pedal: float | None = None

    def add(self, events: Iterable[Event]) -> None:
        """Take in events in their order."""
        for event in events:
            if event.kind is Kind.NOTE_ON:
                self._end(event.pitch, event.time)
                self._open[event.pitch] = event
            elif event.kind is Kind.NOTE_OFF:
                self._end(event.pitch, event.time)
            elif event.kind is Kind.PEDAL_DOWN:
                self._pedal = event.time
            elif self._pedal is not None:
                self.pedals.append(Pedal(self._pedal, max(event.time, self._pedal + _SHORTEST)))
                self._pedal = None

    @property
    def sounding(self) -> dict[int, Event]:
        """The notes that sound, by pitch: how they began."""
        return self._open

    @property
    def pedal_down(self) -> bool:
        """Whether the pedal is held."""
        return self._pedal is not None

    def close(self, time: float) -> None:
        """End all that sounds."""
        for pitch in list(self._open):
            self._end(pitch, time)
        if self._pedal is not None:
            self.add([Event(Kind.PEDAL_UP, time)])

    def sorted_notes(self) -> tuple[Note, ...]:
        """Give the notes by onset."""
        return tuple(sorted(self.notes))

    def _end(self, pitch: int, time: float) -> None:
        began = self._open.pop(pitch, None)
        if began is not None:
            offset = max(time, began.time + _SHORTEST)
            self.notes.append(Note(began.time, pitch, offset, began.velocity, began.confidence))


def track(tracker: NoteTracker, frames: Iterator[Said] | Iterable[Said]) -> Score:
    """Track what was said from the beginning to the end of a recording."""
    score = Score()
    for said in frames:
        score.add(tracker.push(said))
    score.add(tracker.finish())
    score.close(math.inf)
    return score
