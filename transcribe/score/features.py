"""Notes and beats → what the score network is given of each note, and what its answers mean; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np

from transcribe.events import Metre, Note
from transcribe.score.beats import BeatGrid
from transcribe.theory import metres as names

F = Fraction
# Where in a beat a note may lie, and how many beats it may last.
PHASES = tuple(sorted({F(k, n) for n in (5, 8, 9, 12, 16) for k in range(n)}))
LENGTHS = (
    F(1, 16), F(1, 12), F(1, 9), F(1, 8), F(1, 6), F(3, 16), F(2, 9), F(1, 4), F(1, 3), F(3, 8), F(1, 2), F(2, 3),
    F(3, 4), F(5, 6), F(7, 8), F(1), F(7, 6), F(5, 4), F(4, 3), F(3, 2), F(5, 3), F(7, 4), F(2), F(7, 3), F(5, 2),
    F(8, 3), F(3), F(7, 2), F(4), F(5), F(6), F(8),
)  # fmt: skip
# Notes are struck together within so many seconds; so many notes before and after one are looked at.
_TOGETHER, _AROUND = 0.035, 24
# Of a beat's waves so many periods show where in it a note begins, and ends.
_BEGINNING, _ENDING = (1, 2, 3, 4, 6, 8, 12), (1, 2, 3, 4)
# Bars of these lengths are told apart.
_BARS = (2, 3, 4, 6)
# What is never found lies so many seconds away.
_NEVER = 8.0
_SHORTEST = 0.01
# Nothing is more, whatever times a file has.
_MOST = 16.0
# Times of the same beat differ by less, in seconds.
_SAME_TIME = 1e-3


@dataclass(frozen=True)
class Bars:
    """What is known of every beat, (n_beats,).

    Attributes
    ----------
    beats
        Seconds.
    number, count
        Which beat of its bar it is, from 0, and how many its bar has; 0 and 0 where nobody knows.
    quarters
        How many it lasts.
    compound
        Whether it divides in three.
    """

    beats: np.ndarray
    number: np.ndarray
    count: np.ndarray
    quarters: np.ndarray
    compound: np.ndarray


def bars_of(
    beats: Sequence[float], downbeats: Sequence[float], metres: Sequence[Metre], compound: bool = False
) -> Bars:
    """Describe beats; ``compound`` says how they divide where there are no metres."""
    times = np.array(beats, float)
    starts = sorted({int(i) for i in np.searchsorted(times, np.array(downbeats) - 1e-6) if i < len(times)})
    number, count = np.zeros(len(times), int), np.zeros(len(times), int)
    for first, last in pairwise(starts):
        number[first:last], count[first:last] = np.arange(last - first), last - first
    if len(starts) > 1:  # the first and the last bar are as their neighbours
        before, after = count[starts[0]], count[starts[-2]]
        number[: starts[0]] = np.arange(-starts[0], 0) % before
        number[starts[-1] :] = np.arange(len(times) - starts[-1]) % after
        count[: starts[0]], count[starts[-1] :] = before, after
    quarters, threes = np.ones(len(times)), np.full(len(times), compound)
    if metres:
        sections = np.searchsorted([metre.onset for metre in metres], times + _SAME_TIME) - 1
        labels = [metre.label for metre in metres]
        own = np.array([float(names.beat_length(label)) for label in labels])
        three = np.array([names.is_compound(label) for label in labels])
        quarters, threes = own[np.maximum(sections, 0)], three[np.maximum(sections, 0)]
    return Bars(times, number, count, quarters, threes)


def note_rows(notes: Sequence[Note]) -> np.ndarray:
    """Onset, offset, pitch and velocity of every note, (n, 4)."""
    return np.array([(n.onset, n.offset, n.pitch, n.velocity) for n in notes], float).reshape(-1, 4)


def note_features(rows: np.ndarray, bars: Bars) -> np.ndarray:
    """Describe notes to the network.

    Parameters
    ----------
    rows
        Onset s, offset s, pitch, velocity, (n, 4), ordered by onset.
    bars
        Of the beats.

    Returns
    -------
    np.ndarray
        float32, (n, N_FEATURES).
    """
    onset, offset, pitch, velocity = rows.T
    grid = BeatGrid(bars.beats.tolist())
    begin, end = grid.to_beats(onset), grid.to_beats(offset)
    cell = np.clip(np.floor(begin).astype(int), 0, len(bars.beats) - 1)
    length = np.maximum(grid.to_seconds(np.floor(begin) + 1) - grid.to_seconds(np.floor(begin)), _SHORTEST)
    columns = []
    for places, waves in ((begin, _BEGINNING), (end, _ENDING)):
        for wave in waves:
            angle = 2 * np.pi * wave * (places % 1)
            columns += [np.cos(angle), np.sin(angle)]
    count = bars.count[cell]
    angle = 2 * np.pi * (bars.number[cell] + begin % 1) / np.maximum(count, 1)
    columns += [np.cos(angle) * (count > 1), np.sin(angle) * (count > 1), bars.number[cell] == 0]
    columns += [count == bar for bar in _BARS]
    columns += [np.log2(length), bars.compound[cell], np.log2(bars.quarters[cell])]
    held = np.maximum(offset - onset, _SHORTEST)
    columns += [np.log2(held), np.log2(held / length), (pitch - 60) / 24, velocity / 64 - 1]
    columns += _around(onset, offset, pitch, length)
    return np.asarray(np.clip(np.stack(columns, 1), -_MOST, _MOST), np.float32)


def _around(onset: np.ndarray, offset: np.ndarray, pitch: np.ndarray, length: np.ndarray) -> list[np.ndarray]:
    """Describe the notes before, with and after each one."""
    n = len(onset)
    after = {name: np.full(n, _NEVER) for name in ("any", "near", "octave", "above", "below", "same")}
    before = {name: np.full(n, _NEVER) for name in ("any", "near", "octave")}
    step_up, step_down = np.full(n, 24.0), np.full(n, 24.0)  # to the nearest that is struck together or still held
    high, low, held_high, held_low = np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n)
    early = np.zeros(n)
    for k in range(1, min(_AROUND, n - 1) + 1):
        earlier, later = slice(None, -k), slice(k, None)
        gap = onset[later] - onset[earlier]
        step = pitch[later] - pitch[earlier]
        together = gap <= _TOGETHER
        for found, here, forward in ((after, earlier, True), (before, later, False)):
            kinds = {
                "any": ~together,
                "near": ~together & (np.abs(step) <= 5),
                "octave": ~together & (np.abs(step) <= 12),
            }
            if forward:
                kinds |= {"above": ~together & (step >= 0), "below": ~together & (step <= 0)}
                kinds["same"] = ~together & (step == 0)
            for name, which in kinds.items():
                found[name][here] = np.where(which, np.minimum(found[name][here], gap), found[name][here])
        sounding = offset[earlier] > onset[later] + _TOGETHER
        high[earlier] += together & (step > 0)
        low[earlier] += together & (step <= 0)
        high[later] += together & (step < 0)
        low[later] += together & (step >= 0)
        held_high[later] += ~together & sounding & (step < 0)
        held_low[later] += ~together & sounding & (step > 0)
        early[later] = np.where(together, np.maximum(early[later], gap), early[later])
        for here, own, which in ((earlier, step, together), (later, -step, together | sounding)):
            step_up[here] = np.where(which & (own > 0), np.minimum(step_up[here], own), step_up[here])
            step_down[here] = np.where(which & (own < 0), np.minimum(step_down[here], -own), step_down[here])
    columns = []
    for gaps in (*after.values(), *before.values()):
        columns += [np.log2(gaps), np.log2(gaps / length) / 2]
    columns += [step_up / 12, step_down / 12, early / _TOGETHER]
    columns += [np.minimum(counted, 4) / 2 for counted in (high, low, held_high, held_low)]
    return columns


N_FEATURES = note_features(np.array([[0.0, 0.5, 60.0, 64.0]]), bars_of((0.0, 1.0), (), ())).shape[1]
