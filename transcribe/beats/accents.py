"""What notes and chords say of bars: low, long and loud notes, new harmonies, and how beats are divided; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from transcribe.events import Chord
from transcribe.score.beats import BeatGrid
from transcribe.theory.chords import parse

# Notes lower than this are a bass.
_BASS = 52
# No note counts for longer, in seconds.
_LONGEST = 2.0
# Harmonies are compared over so many beats before and after.
_HARMONY = 2
# An onset lies on a third, or on a half or a quarter, of a beat within so much of it.
_NEAR = 0.07
# No accent is stronger, in standard deviations: a last chord says no more than others.
_MOST = 2.0
# Rows of notes: onset s, offset s, pitch, velocity.
_ONSET, _OFFSET, _PITCH, _VELOCITY = range(4)


@dataclass(frozen=True)
class Accents:
    """What the notes say at n beats.

    Attributes
    ----------
    weight
        How low, long and loud what begins there is; in standard deviations from the mean, (n,).
    turn
        How new the harmony is; likewise.
    thirds
        Onsets on thirds of the beat less those on halves and quarters, from -1 to 1, (n,).
    change
        Whether a chord of another root begins there: 1, or 0; NaN where no chord is known, (n,).
    """

    weight: np.ndarray
    turn: np.ndarray
    thirds: np.ndarray
    change: np.ndarray


def accents_of(notes: np.ndarray, times: np.ndarray, chords: Sequence[Chord] = ()) -> Accents:
    """Weigh the notes at beats, and the changes of chords.

    Parameters
    ----------
    notes
        Shape (n_notes, 4): onset s, offset s, pitch, velocity.
    times
        The beats, in seconds and in order, (n,).
    chords
        Ordered by onset; none where they aren't known.
    """
    n_beats = len(times)
    nothing = np.zeros(n_beats)
    change = changes_at(chords, times)
    if n_beats < 2 or not len(notes):
        return Accents(nothing, nothing, nothing, change)
    places = np.interp(notes[:, _ONSET], times, np.arange(n_beats), left=-1.0, right=float(n_beats))
    nearest = np.clip(np.round(places).astype(int), 0, n_beats - 1)
    lengths = np.minimum(notes[:, _OFFSET] - notes[:, _ONSET], _LONGEST)
    on = np.abs(places - nearest) < 0.25
    strength = (notes[:, _VELOCITY] / 127) ** 2 * lengths * np.where(notes[:, _PITCH] < _BASS, 2.0, 0.5)
    weight = np.bincount(nearest[on], strength[on], n_beats)
    classes = np.zeros((n_beats, 12))
    np.add.at(classes, (nearest, notes[:, _PITCH].astype(int) % 12), lengths)
    within = places - np.floor(places)
    thirds, halves = (
        np.any([np.abs(within - part) < _NEAR for part in parts], axis=0)
        for parts in ((1 / 3, 2 / 3), (1 / 4, 1 / 2, 3 / 4))
    )
    cells = np.clip(np.floor(places).astype(int), 0, n_beats - 1)
    divided = np.bincount(cells, thirds.astype(float) - halves, n_beats)
    return Accents(_standard(np.sqrt(weight)), _standard(_turns(classes)), np.clip(divided, -1, 1), change)


def changes_at(chords: Sequence[Chord], times: np.ndarray) -> np.ndarray:
    """Say at which beats a chord of another root begins, (n,): 1 there, 0 while it lasts, NaN elsewhere."""
    found = np.full(len(times), np.nan)
    if len(times) < 2:
        return found
    before = None
    edges = np.array([(chord.onset, chord.offset) for chord in chords]).reshape(-1, 2)
    for chord, (first, end) in zip(chords, np.round(BeatGrid(times.tolist()).to_beats(edges)).astype(int), strict=True):
        root = parse(chord.label).root
        if root is not None:
            found[max(first, 0) : max(end, 0)] = 0.0
            if root != before and 0 <= first < len(times):
                found[first] = 1.0
        before = root
    return found


def _turns(classes: np.ndarray) -> np.ndarray:
    """Say how unlike the pitch classes before each beat are to those from it on, (n,)."""
    total = np.concatenate([np.zeros((1, 12)), np.cumsum(classes, 0)])
    n_beats = len(classes)
    number = np.arange(n_beats)
    old = total[number] - total[np.maximum(number - _HARMONY, 0)]
    new = total[np.minimum(number + _HARMONY, n_beats)] - total[number]
    norms = np.linalg.norm(old, axis=1) * np.linalg.norm(new, axis=1)
    alike = (old * new).sum(1) / np.maximum(norms, 1e-9)
    return np.where(norms > 0, 1 - alike, 0.0)


def _standard(values: np.ndarray) -> np.ndarray:
    spread = float(values.std())
    return np.clip((values - values.mean()) / spread, -_MOST, _MOST) if spread > 0 else np.zeros(len(values))
