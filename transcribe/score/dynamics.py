"""Velocities → dynamics of a score: p, mf, f at the bars where they change, hairpins where they lead there; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from transcribe.events import Note
from transcribe.score.bars import Notation

# Velocities of the marks: those that MuseScore plays.
MARKS = {"pp": 33, "p": 49, "mp": 64, "mf": 80, "f": 96, "ff": 112}
# A bar is as loud as this share of its notes isn't: melodies are louder than what accompanies them.
_LOUDNESS = 75
# What a change costs, in velocities of a bar: a mark that is one farther has to be right for three bars.
_CHANGE = 45.0
# A hairpin leads over so many bars, each at least so much louder or softer than the one before.
_FEWEST, _MOST, _STEP = 2, 4, 2.0
# Velocities that differ by less say nothing of dynamics.
_LEAST_SPREAD = 4.0


@dataclass(frozen=True)
class Dynamic:
    """A mark from a place on, in quarters."""

    place: Fraction
    mark: str


@dataclass(frozen=True)
class Hairpin:
    """A span in quarters in which it becomes louder, or softer."""

    start: Fraction
    end: Fraction
    louder: bool


def find_dynamics(notes: Sequence[Note], notation: Notation) -> tuple[list[Dynamic], list[Hairpin]]:
    """Mark a score as it was played: few marks, each for phrases, not for notes.

    Parameters
    ----------
    notes
        Those that the notation was made of.

    Returns
    -------
    list of Dynamic, list of Hairpin
        None where all notes are equally loud.
    """
    bars = notation.bars
    loudness = _of_bars(notes, notation)
    heard = np.flatnonzero(~np.isnan(loudness))
    if not len(heard) or np.ptp([note.velocity for note in notes]) < _LEAST_SPREAD:
        return [], []
    loudness = np.interp(np.arange(len(bars)), heard, loudness[heard])
    levels = _levels(loudness)
    names = list(MARKS)
    marks, hairpins = [Dynamic(bars[int(heard[0])].start, names[levels[int(heard[0])]])], []
    for number in range(int(heard[0]) + 1, len(bars)):
        if levels[number] == levels[number - 1]:
            continue
        marks.append(Dynamic(bars[number].start, names[levels[number]]))
        louder = bool(levels[number] > levels[number - 1])
        first = number
        while first > 0 and number - first < _MOST:
            if (loudness[first] - loudness[first - 1]) * (1 if louder else -1) < _STEP:
                break
            first -= 1
        if number - first >= _FEWEST:
            hairpins.append(Hairpin(bars[first].start, bars[number].start, louder))
    return marks, hairpins


def _of_bars(notes: Sequence[Note], notation: Notation) -> np.ndarray:
    """Tell how loud each bar is, (n_bars,); NaN where nothing begins."""
    starts = [float(bar.start) for bar in notation.bars]
    chords = [chord for hand in notation.hands for voice in hand for chord in voice]
    numbers = np.searchsorted(starts, [float(chord.start) for chord in chords], side="right") - 1
    velocities: list[list[int]] = [[] for _ in starts]
    for number, chord in zip(numbers, chords, strict=True):
        velocities[max(0, int(number))] += [notes[i].velocity for i in chord.indices]
    return np.array([np.percentile(own, _LOUDNESS) if own else np.nan for own in velocities])


def _levels(loudness: np.ndarray) -> np.ndarray:
    """Choose a mark for every bar, by its number: near to its loudness, and with few changes."""
    misfits = np.abs(loudness[:, None] - np.array(list(MARKS.values()))[None, :])
    change = _CHANGE * (1 - np.eye(len(MARKS)))
    totals = misfits[0]
    before = np.zeros(misfits.shape, int)
    for number in range(1, len(misfits)):
        steps = totals[:, None] + change
        before[number] = steps.argmin(0)
        totals = steps.min(0) + misfits[number]
    path = np.zeros(len(misfits), int)
    path[-1] = totals.argmin()
    for number in range(len(misfits) - 1, 0, -1):
        path[number - 1] = before[number, path[number]]
    return path
