"""Notes with their instruments, and drums: what a network of any instruments hears, to events.

Pitched notes are decoded as a piano's are (:mod:`transcribe.notes.decoder`); they may begin softly too, where a key
begins to sound and an onset is half heard. Each belongs to the family that is likeliest in its first frames and in the
company that plays; what is sung begins a little later. A stroke on a drum is a peak of its onset activation where
others are sure. Two instruments that play the same pitch at once are one note.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from transcribe.engine.features import N_PITCHES, FrameGrid
from transcribe.events import Drum, Note
from transcribe.notes.decoder import (
    Activations,
    DecodingConfig,
    NoteDecoder,
    peaks,
)
from transcribe.notes.ends import Reach, Shifted, sub_frame
from transcribe.theory.families import DRUMS, FAMILIES

# Who has a sustain pedal.
_PEDALLED = frozenset({"piano", "keys"})
# What the share of a family in the recording counts, as a power: of the notes that any-3 finds in 30 recordings of the
# validation set 0 names 0.598 rightly, 0.2 0.599, 0.5 0.595 (any-1: 0 0.457, 0.5 0.490). Then rounds of
# estimating it; no share is less than the last.
_COMPANY, _ROUNDS, _LEAST_SHARE = 0.2, 8, 1e-3
# A key sounds whose frames have so much; where it begins to, an onset is enough whose odds are this share of the
# threshold's. In these recordings notes and frames are then 0.821 and 0.794, not 0.822 and 0.791; of an earlier network
# 0.791 and 0.782, not 0.787 and 0.772.
_SOUNDS, _SOFT = 0.5, 1 / 3
# Whoever labels singing, writes where the pitch is reached. In renders of singers whose vowels begin at the label, pYIN
# finds it 48 ms later in the median; half of it, in seconds, is far from neither. It is for what sounds more like a
# voice than like all else: a font's wind that is hardly taken for one begins at once.
_SUNG, _SUNG_LATER = 0.5, 0.024
_VOICE = FAMILIES.index("voice")
# Where drums play, some strokes are sure: so many with such an onset activation within so many seconds. In the
# validation set of any-1 drums are then 0.531 instead of 0.526, and 62 strokes instead of 308 where nobody drums.
_SURE, _NEAR, _FEWEST = 0.6, 8.0, 2
_DRUM_COLUMNS = 4  # of a stroke as numbers: class, onset, velocity, onset activation


@dataclass(frozen=True)
class EnsembleActivations(Activations):
    """What the network hears of any instruments, each value 0-1.

    Beside the activations of notes: ``family`` float32 (n_frames, 88, 12), the probability of each of
    :data:`~transcribe.theory.families.FAMILIES` for what sounds at a pitch; ``drum`` and ``drum_velocity``
    (n_frames, 5), onsets of :data:`~transcribe.theory.families.DRUMS` and their velocities.
    """

    family: np.ndarray
    drum: np.ndarray
    drum_velocity: np.ndarray


@dataclass(frozen=True)
class EnsembleDecodingConfig(DecodingConfig):
    """The settings of :class:`~transcribe.notes.decoder.DecodingConfig`, and those of drums.

    ``drum_thresholds`` (0-1) of the onset activations, one for each of the five classes; ``drum_shift`` (s) is added to
    the onsets of drums. ``drum_shares`` (0-1): strokes of a class have at least so much of what is usual for it in the
    recording (:func:`prominent`). The probabilities of a note's families are multiplied by ``family_weights``.
    """

    tells_instruments: ClassVar[bool] = True
    added: ClassVar[frozenset[str]] = DecodingConfig.added | {"drum_shares", "family_weights"}

    drum_thresholds: tuple[float, ...] = (0.5,) * len(DRUMS)
    drum_shift: float = 0.0
    drum_shares: tuple[float, ...] = (0.0,) * len(DRUMS)
    family_weights: tuple[float, ...] = (1.0,) * len(FAMILIES)

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises
        ------
        ValueError
            If a setting is out of its range, or there isn't one threshold and one share for each class of drums, and
            one weight for each family.
        """
        super().__post_init__()
        for name in ("drum_thresholds", "drum_shares"):
            values = getattr(self, name)
            if len(values) != len(DRUMS) or not all(0 <= value <= 1 for value in values):
                raise ValueError(f"{name} must be {len(DRUMS)} numbers between 0 and 1")
        weights = self.family_weights
        if len(weights) != len(FAMILIES) or not all(0 < weight < math.inf for weight in weights):
            raise ValueError(f"family_weights must be {len(FAMILIES)} finite numbers above 0")
        if not math.isfinite(self.drum_shift):
            raise ValueError("drum_shift must be finite")


class EnsembleDecoder(NoteDecoder):
    """Decode a stream of activations: push every block, then :meth:`fields`.

    Of the families no more is held than the frames in which notes may still begin.
    """

    config: EnsembleDecodingConfig

    def __init__(self, config: EnsembleDecodingConfig) -> None:
        super().__init__(config)
        self._drums = DrumDecoder(config.drum_thresholds, config.drum_shift)
        self._family = np.zeros((0, N_PITCHES, len(FAMILIES)), np.float32)
        self._family_first = 0
        self._told = array("f")  # the families of each note that began, 12 numbers a note
        #: What each note that is given back sounds like: probabilities of families, float32 (n, 12).
        self.told = np.zeros((0, len(FAMILIES)), np.float32)

    def push(self, block: Activations) -> None:
        """Decode as far as this block allows."""
        assert isinstance(block, EnsembleActivations)
        if block.family.shape != (len(block), N_PITCHES, len(FAMILIES)):
            raise ValueError(f"the families must be (n_frames, {N_PITCHES}, {len(FAMILIES)})")
        self._drums.push(block.drum, block.drum_velocity, block.grid)
        self._family = np.concatenate([self._family, block.family])
        super().push(block)
        n_decided = self._first + self._reach.before - self._family_first
        self._family, self._family_first = self._family[n_decided:].copy(), self._family_first + n_decided

    def fields(self, duration: float) -> dict[str, object]:
        """End the decoding: fields of a transcription."""
        notes, pedals = self.finish()
        sung = self.told[:, _VOICE] >= _SUNG
        notes = sorted(_later(note) if late else note for note, late in zip(notes, sung.tolist(), strict=True))
        if not any(note.instrument in _PEDALLED for note in notes):
            pedals = []  # of whom?
        drums = drummed(prominent(self._drums.finish(), self.config.drum_shares))
        return {"notes": tuple(notes), "pedals": tuple(pedals), "drums": tuple(drums)}

    def _onsets(self, onset: np.ndarray, frame: np.ndarray, at: Shifted) -> np.ndarray:
        """Mark peaks of the onset, and where frames rise and stay while the onset is half heard."""
        sounds, reach = frame >= _SOUNDS, self._reach
        rises = np.logical_and.reduce([at(sounds, shift) for shift in range(reach.sustain + 1)])
        rises &= ~np.logical_or.reduce([at(sounds, -shift) for shift in range(1, reach.before + 1)])
        near = np.maximum.reduce([at(onset, shift) for shift in range(-reach.before, reach.after + 1)])
        threshold = self.config.onset_threshold
        enough = _SOFT * threshold / (_SOFT * threshold + 1 - threshold)
        rises &= (near >= enough) & (near < threshold)
        return np.asarray(super()._onsets(onset, frame, at) | rises)

    def _sources(self, frame: np.ndarray, pitch: np.ndarray) -> np.ndarray:
        """Keep the probabilities of families in the mean over the first frames of each note; their rows."""
        rows = frame[:, None] - self._family_first + np.arange(self._reach.sustain + 1)
        rows = np.clip(rows, 0, len(self._family) - 1)  # after the end of the recording there is nothing
        first = len(self._told) // len(FAMILIES)
        self._told.frombytes(self._family[rows, pitch[:, None]].mean(1).astype(np.float32).tobytes())
        return np.arange(first, first + len(frame), dtype=float)

    def _instruments(self, source: np.ndarray) -> list[str | None]:
        self.told = np.frombuffer(self._told, np.float32).reshape(-1, len(FAMILIES))[source.astype(int)]
        return [FAMILIES[i] for i in who_plays(self.told * self.config.family_weights).tolist()]


def _later(note: Note) -> Note:
    onset = note.onset + _SUNG_LATER
    return replace(note, onset=onset, offset=max(note.offset, onset + _SUNG_LATER))


def who_plays(probabilities: np.ndarray) -> np.ndarray:
    """Choose a family for each note: what it sounds like by itself, and whom the whole recording has.

    A family's share of the notes is estimated with them (expectation maximisation), and its root weighs the
    probabilities: of two families that a note may be, it is the one that plays elsewhere too.

    Parameters
    ----------
    probabilities
        Of each of :data:`~transcribe.theory.families.FAMILIES` for each note (n, 12), or what is proportional to them.

    Returns
    -------
    np.ndarray
        Places in ``FAMILIES``, int (n,).
    """
    shares = np.ones(probabilities.shape[1])
    for _ in range(_ROUNDS):
        weighed = probabilities * shares**_COMPANY
        weighed = weighed / np.maximum(weighed.sum(1, keepdims=True), 1e-9)
        shares = weighed.sum(0) / max(1, len(weighed)) + _LEAST_SHARE
    return np.asarray((probabilities * shares**_COMPANY).argmax(1))


def prominent(strokes: Sequence[Drum], shares: Sequence[float]) -> list[Drum]:
    """Leave out strokes that are much less sure than the others of their class in the recording.

    How sure those are is their mean confidence, in which each counts by its square: what is hardly heard moves it
    little. A stroke has at least so much of it as ``shares`` says of its class.
    """
    least = {}
    for label, share in zip(DRUMS, shares, strict=True):
        sure = np.array([stroke.confidence for stroke in strokes if stroke.label == label])
        least[label] = share * float((sure**3).sum() / max((sure**2).sum(), 1e-9))
    return [stroke for stroke in strokes if stroke.confidence >= least[stroke.label]]


def drummed(strokes: Sequence[Drum]) -> list[Drum]:
    """Leave out strokes where too few that are sure are near: a singer's consonants are no drums."""
    onsets = np.array([stroke.onset for stroke in strokes])
    sure = onsets[[stroke.confidence >= _SURE for stroke in strokes]] if strokes else onsets
    around = np.searchsorted(sure, onsets + _NEAR, "right") - np.searchsorted(sure, onsets - _NEAR)
    return [stroke for stroke, n in zip(strokes, around.tolist(), strict=True) if n >= _FEWEST]


class DrumDecoder:
    """Activations of drums, block by block, to strokes.

    Parameters
    ----------
    thresholds
        Of the onset activations, one a class.
    shift
        Seconds that are added to onsets.
    """

    def __init__(self, thresholds: tuple[float, ...], shift: float = 0.0) -> None:
        self._thresholds, self._shift = np.maximum(thresholds, 1e-6), shift
        self._strokes = array("d")
        self._grid: FrameGrid | None = None

    def push(self, onset: np.ndarray, velocity: np.ndarray, grid: FrameGrid) -> None:
        """Take in the frames that follow, (n_frames, 5) each."""
        if onset.shape != velocity.shape or onset.shape[1:] != (len(DRUMS),):
            raise ValueError(f"activations of drums must be (n_frames, {len(DRUMS)})")
        if self._grid is None:
            self._grid, self._reach = grid, Reach.of(grid.frames_per_second)
            # Undecided frames and the context before them, onset and velocity (n, 2, 5); the number of the first.
            self._pending = np.zeros((self._reach.before, 2, len(DRUMS)), np.float32)
            self._first = -self._reach.before
        self._decode(np.stack([onset, velocity], axis=1))

    def finish(self) -> list[Drum]:
        """List the strokes, ordered by onset; their confidence is the onset's activation."""
        if self._grid is None:
            return []
        last = float(self._grid.frames_to_time(self._first + len(self._pending)))
        self._decode(np.zeros((self._reach.after, 2, len(DRUMS)), np.float32))
        kind, start, velocity, peak = np.frombuffer(self._strokes, float).reshape(-1, _DRUM_COLUMNS).T
        onsets = np.clip(self._grid.frames_to_time(start) + self._shift, 0, last)
        velocities = np.clip(np.round(velocity * 127), 1, 127)
        rows = zip(onsets.tolist(), kind.tolist(), velocities.tolist(), peak.tolist(), strict=True)
        return sorted(Drum(onset, DRUMS[int(i)], int(loudness), sure) for onset, i, loudness, sure in rows)

    def _decode(self, arrays: np.ndarray) -> None:
        pending = np.concatenate([self._pending, arrays])
        context = self._reach.before
        n = len(pending) - context - self._reach.after
        if n > 0:
            onset, velocity = pending[:, 0], pending[:, 1]
            is_peak = peaks(onset, lambda a, shift: a[context + shift :][:n], self._thresholds, self._reach.peak)
            time, kind = np.nonzero(is_peak)
            row = time + context
            before, peak, after = (onset[row + shift, kind] for shift in (-1, 0, 1))
            start = self._first + row + sub_frame(before, peak, after)
            found = np.column_stack([kind, start, velocity[row, kind], peak])
            self._strokes.frombytes(found.astype(float).tobytes())
            pending = pending[n:]
            self._first += n
        self._pending = pending
