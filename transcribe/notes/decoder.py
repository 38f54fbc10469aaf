"""Activations to notes and pedal: NumPy only, pure but for the state that a decoder carries from block to block.

A note begins at a local maximum of the onset activation above ``onset_threshold``, at a time between frames. It
lasts at least two frames, and no longer than until the same pitch is struck again: to where frames and offset together
speak most for an end, or until the first threshold is passed (:mod:`transcribe.notes.ends`).
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from transcribe.engine.features import LOWEST_PITCH, N_PITCHES, FrameGrid
from transcribe.events import Forecast, Note, Pedal
from transcribe.notes.ends import Reach, SegmentedEnds, Shifted, ThresholdEnds, logit, sub_frame
from transcribe.notes.forecast import FEWEST, N_COEFFICIENTS, features, foretell, moved
from transcribe.notes.pedals import PedalDecoder

# No note is shorter, in seconds, however soon its pitch is struck again.
_SHORTEST = 1e-3
_MIDDLE_C = 60
_COLUMNS = 8  # of a note as numbers: pitch, frame, onset, velocity, onset activation, sustain, source, offset
NO_SOURCE = -1.0  # of a note whose model doesn't tell the source


@dataclass(frozen=True)
class Activations:
    """What the network hears, each value 0-1.

    ``onset``, ``frame``, ``offset`` and ``velocity`` are float32 (n_frames, 88) from pitch 21 up, ``pedal`` is
    (n_frames,). For long audio they come block by block.
    """

    onset: np.ndarray
    frame: np.ndarray
    offset: np.ndarray
    velocity: np.ndarray
    pedal: np.ndarray
    grid: FrameGrid

    def __len__(self) -> int:
        """Count the frames."""
        return len(self.onset)

    @property
    def seconds(self) -> float:
        """How much of the recording the frames cover."""
        return len(self) / self.grid.frames_per_second


@dataclass(frozen=True)
class DecodingConfig:
    """Thresholds (0-1) and times (s) of the decoder; the tuned ones are stored in the weights file.

    Where ``offset_weight`` is 0, notes end by ``offset_threshold``, else by that weight and the ``offset_doubt``;
    ``frame_threshold`` counts for both (:mod:`transcribe.notes.ends`). ``onset_shift`` is added to every onset
    (calibrated on renders, whose truth is exact); ``velocity_curve`` to every velocity: a polynomial in the key, in
    octaves above middle C, without a constant, the linear factor first, in 0-1. ``confidence`` are the coefficients of
    a logistic regression on 1, the logit of the onset's activation and that of the mean frame activation after it.
    ``forecast`` are those of :mod:`transcribe.notes.forecast`, none where nothing is foretold: the mean confidence is
    moved to what it says.
    """

    #: Whether what is decoded has instruments.
    tells_instruments: ClassVar[bool] = False
    #: What older weights don't say: for them it is as if it weren't there.
    added: ClassVar[frozenset[str]] = frozenset({"offset_weight", "offset_doubt", "velocity_curve", "forecast"})

    onset_threshold: float = 0.5
    frame_threshold: float = 0.4
    offset_threshold: float = 1.0
    pedal_threshold: float = 0.5
    min_note_length: float = 0.0
    min_pitch: int = LOWEST_PITCH
    max_pitch: int = LOWEST_PITCH + N_PITCHES - 1
    onset_shift: float = 0.0
    confidence: tuple[float, float, float] = (0.0, 1.0, 0.0)
    offset_weight: float = 0.0
    offset_doubt: float = 0.0
    velocity_curve: tuple[float, ...] = ()
    forecast: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises
        ------
        ValueError
            If a threshold lies outside 0-1, a length is negative, or no pitch is left.
        """
        for name in ("onset_threshold", "frame_threshold", "offset_threshold", "pedal_threshold"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must lie between 0 and 1")
        if not 0 <= self.min_note_length < math.inf:
            raise ValueError("min_note_length must be a finite number of seconds, not negative")
        if not all(math.isfinite(value) for value in (self.onset_shift, *self.confidence)) or len(self.confidence) != 3:
            raise ValueError("onset_shift and the three numbers of confidence must be finite")
        if not (0 <= self.offset_weight < math.inf and 0 <= self.offset_doubt < math.inf):
            raise ValueError("offset_weight and offset_doubt must be finite and not negative")
        if not all(map(math.isfinite, self.velocity_curve)):
            raise ValueError("velocity_curve must be finite")
        if len(self.forecast) not in (0, N_COEFFICIENTS) or not all(map(math.isfinite, self.forecast)):
            raise ValueError(f"forecast must be {N_COEFFICIENTS} finite numbers, or none")
        if not 0 <= self.min_pitch <= self.max_pitch <= 127:
            raise ValueError("min_pitch and max_pitch must be MIDI numbers, the lower first")


def decode(activations: Activations, config: DecodingConfig | None = None) -> tuple[list[Note], list[Pedal]]:
    """Decode activations that are all there.

    Returns
    -------
    tuple of list
        Notes sorted by (onset, pitch), those of one pitch never overlapping, and the spans of the pedal; both
        empty for silence.

    Raises
    ------
    ValueError
        If the arrays differ in shape.
    """
    return decode_blocks([activations], config)


def decode_blocks(
    blocks: Iterable[Activations], config: DecodingConfig | None = None
) -> tuple[list[Note], list[Pedal]]:
    """Decode activations that come block by block; how they are cut doesn't change the result."""
    decoder = NoteDecoder(config or DecodingConfig())
    for block in blocks:
        decoder.push(block)
    return decoder.finish()


class NoteDecoder:
    """Decode a stream of activations: :meth:`push` every block, then :meth:`finish`.

    Holds the notes found so far as numbers, the few frames that are not decided yet, and the notes that sound.
    """

    def __init__(self, config: DecodingConfig) -> None:
        self.config = config
        self._grid: FrameGrid | None = None
        self._shift = 0.0
        # For every pitch the sounding note: the columns from the frame to the source, NaN for none.
        self._open = np.full((N_PITCHES, _COLUMNS - 2), np.nan)
        #: What is foretold of the recording, once it is finished.
        self.forecast: Forecast | None = None
        self._pedal = PedalDecoder(config.pedal_threshold)
        # Finished notes, row by row: an array that grows without fragments.
        self._notes = array("d")

    def push(self, block: Activations) -> None:
        """Decode as far as this block allows."""
        n_frames = len(block.onset)
        arrays = (block.onset, block.frame, block.offset, block.velocity)
        if any(a.shape != (n_frames, N_PITCHES) for a in arrays) or block.pedal.shape != (n_frames,):
            raise ValueError(f"activations must all be (n_frames, {N_PITCHES}), the pedal's (n_frames,)")
        if self._grid is None:
            self._begin(block.grid)
        self._shift = self.config.onset_shift * block.grid.frames_per_second
        self._pedal.push(block.pedal)
        self._decode_notes(np.stack(arrays, axis=1))

    def _begin(self, grid: FrameGrid) -> None:
        """Get ready for the first frame."""
        self._grid, config, rate = grid, self.config, grid.frames_per_second
        self._reach = Reach.of(rate)
        # Undecided frames with the context before them: (n, 4, 88); the frame number of the first.
        self._pending = np.zeros((self._reach.before, 4, N_PITCHES), np.float32)
        self._first = -self._reach.before
        self._ends = (
            SegmentedEnds(config.frame_threshold, config.offset_weight, config.offset_doubt, self._reach.shortest, rate)
            if config.offset_weight
            else ThresholdEnds(config.frame_threshold, config.offset_threshold, self._reach.shortest)
        )

    def finish(self) -> tuple[list[Note], list[Pedal]]:
        """End what still sounds and return the notes and the pedal."""
        if self._grid is None:
            return [], []
        n_frames = self._first + len(self._pending)
        self._decode_notes(np.zeros((self._reach.after, 4, N_PITCHES), np.float32))
        sounding = np.flatnonzero(~np.isnan(self._open[:, 0]))
        self._close(sounding, self._ends.last(sounding, n_frames))
        notes = self._to_notes(n_frames)
        return notes, self._pedal.finish(self._grid, notes)

    def fields(self, _: float) -> dict[str, object]:
        """End the decoding: fields of a transcription."""
        notes, pedals = self.finish()
        return {"notes": tuple(notes), "pedals": tuple(pedals), "forecast": self.forecast}

    def _decode_notes(self, arrays: np.ndarray) -> None:
        pending = np.concatenate([self._pending, arrays])
        context, sustained = self._reach.before, range(1, self._reach.sustain + 1)
        n = len(pending) - context - self._reach.after
        if n <= 0:
            self._pending = pending
            return
        onset, frame, offset, velocity = (pending[:, i] for i in range(4))
        first = self._first + context  # the frame number of row 0 in what follows

        def at(array: np.ndarray, shift: int) -> np.ndarray:
            return array[context + shift : context + shift + n]

        self._ends.read(frame, offset, at, first)

        time, pitch = np.nonzero(self._begins(onset, frame, at).T)[::-1]  # sorted by pitch, then time
        row = time + context
        before, peak, after = onset[row - 1, pitch], onset[row, pitch], onset[row + 1, pitch]
        start = first + time + sub_frame(before, peak, after) + self._shift
        sustain = np.mean([frame[row + k, pitch] for k in sustained], axis=0)
        source = self._sources(first + time, pitch)
        found = np.stack([first + time, start, velocity[row, pitch], peak, sustain, source], axis=1).astype(float)

        # Notes that sounded before this block end at the first end in it, unless their pitch is struck again before.
        sounding = np.flatnonzero(~np.isnan(self._open[:, 0]))
        struck_frame, struck = np.full(N_PITCHES, n), np.full(N_PITCHES, np.inf)
        struck_frame[pitch[::-1]], struck[pitch[::-1]] = time[::-1], start[::-1]  # the first of each pitch
        began = self._open[sounding, 0].astype(int) - first
        ended = self._ends.find(began, sounding, struck_frame[sounding], struck[sounding], begin=False)
        done = np.isfinite(ended)
        self._close(sounding[done], ended[done])

        # New notes likewise.
        same = np.append(pitch[1:] == pitch[:-1], False)[: len(pitch)]
        struck_frame = np.where(same, np.append(time[1:], n)[: len(pitch)], n)
        struck = np.where(same, np.append(start[1:], np.inf)[: len(pitch)], np.inf)
        ended = self._ends.find(time, pitch, struck_frame, struck, begin=True)
        done = np.isfinite(ended)
        self._store(pitch[done], found[done], ended[done])
        self._open[pitch[~done]] = found[~done]
        self._pending = pending[n:]
        self._first += n

    def _begins(self, onset: np.ndarray, frame: np.ndarray, at: Shifted) -> np.ndarray:
        config = self.config
        begins = self._onsets(onset, frame, at)
        begins[:, : max(0, config.min_pitch - LOWEST_PITCH)] = False
        begins[:, max(0, config.max_pitch - LOWEST_PITCH + 1) :] = False
        return begins

    def _onsets(self, onset: np.ndarray, frame: np.ndarray, at: Shifted) -> np.ndarray:
        """Mark where notes begin."""
        return peaks(onset, at, max(self.config.onset_threshold, 1e-6), self._reach.peak)

    def _sources(self, frame: np.ndarray, pitch: np.ndarray) -> np.ndarray:
        """Keep what is known of who plays the notes that begin at frames (n,) of the recording; a number for each."""
        return np.full(len(frame), NO_SOURCE)

    def _instruments(self, source: np.ndarray) -> list[str | None]:
        """Name who plays notes, given what :meth:`_sources` returned for them; None where it isn't known."""
        return [None] * len(source)

    def _close(self, pitch: np.ndarray, ended: np.ndarray) -> None:
        self._store(pitch, self._open[pitch], ended)
        self._open[pitch] = np.nan

    def _store(self, pitch: np.ndarray, found: np.ndarray, ended: np.ndarray) -> None:
        self._notes.frombytes(np.column_stack([pitch, found, ended]).astype(float).tobytes())

    def _to_notes(self, n_frames: int) -> list[Note]:
        assert self._grid is not None
        config = self.config
        found = np.frombuffer(self._notes, float).reshape(-1, _COLUMNS)
        found = found[np.lexsort(found.T[1::-1])]  # by pitch, then time
        pitch, _, start, velocity, peak, sustain, source, end = found.T
        end[:-1] = np.where(pitch[1:] == pitch[:-1], np.minimum(end[:-1], start[1:]), end[:-1])
        last = float(self._grid.frames_to_time(n_frames))
        onsets = np.clip(self._grid.frames_to_time(start), 0, last)
        offsets = np.maximum(self._grid.frames_to_time(end), onsets + _SHORTEST)
        weight = config.confidence
        odds = weight[0] + weight[1] * logit(peak) + weight[2] * logit(sustain)
        if config.forecast and len(found) >= FEWEST:
            self.forecast = Forecast(*foretell(config.forecast, features(peak, sustain, last)))
            odds = moved(odds, self.forecast.precision)
        confidence = 1 / (1 + np.exp(-odds))
        octaves = (pitch + LOWEST_PITCH - _MIDDLE_C) / 12
        velocity = velocity + sum(factor * octaves**power for power, factor in enumerate(config.velocity_curve, 1))
        velocities = np.clip(np.round(velocity * 127), 1, 127)
        order = np.lexsort([pitch, onsets])
        kept = order[(offsets - onsets)[order] >= config.min_note_length]
        columns = (onsets, pitch + LOWEST_PITCH, offsets, velocities, confidence)
        rows = zip(*(column[kept].tolist() for column in columns), self._instruments(source[kept]), strict=True)
        return [Note(onset, int(key), offset, int(touch), sure, who) for onset, key, offset, touch, sure, who in rows]


def peaks(onset: np.ndarray, at: Shifted, threshold: float | np.ndarray, reach: int) -> np.ndarray:
    """Mark local maxima in time, ``reach`` frames to each side, among the frames that ``at`` gives.

    They have at least ``threshold``, which is above 0.
    """
    centre = at(onset, 0)
    is_peak = centre >= threshold
    for shift in range(1, reach + 1):
        is_peak &= centre > at(onset, -shift)
        is_peak &= centre >= at(onset, shift)
    return np.asarray(is_peak)
