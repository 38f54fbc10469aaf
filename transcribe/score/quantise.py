"""Performed times → places on a grid of beats; pure.

Every beat is divided as finely as its notes need and no finer: a search over all beats weighs how far notes are moved
against how complicated the rhythm becomes (Cemgil, Desain & Kappen 2000 put it as a likelihood and a prior).
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from transcribe.score.beats import BeatGrid
from transcribe.score.hands import struck_together

# Into how many parts a beat may be divided, and what that costs; and where beats are of three parts, as in six eight.
DIVISIONS = {1: 0.0, 2: 0.7, 3: 2.6, 4: 1.8, 6: 6.0, 8: 7.0}
COMPOUND_DIVISIONS = {1: 0.0, 2: 4.0, 3: 0.7, 4: 5.0, 6: 2.5, 12: 6.0}
# In such music at least so many beats are divided by three.
_FEWEST = 8
# What going from twos to threes, or back, costs.
_CHANGE = 0.5
# How much hands vary, in seconds, and at least in beats; beyond so many of these deviations it doesn't get worse.
_DEVIATION, _LEAST, _WORST = 0.025, 0.02, 4.0
# Two notes that begin at least so far apart, in seconds, are not one chord: to make them one costs.
_APART, _MERGED = 0.06, 6.0
# So near before a beat, in beats, a note is on it: what rounding does.
_EDGE = 1e-9


def quantize(
    seconds: Sequence[float] | np.ndarray, beats: Sequence[float], detail: float = 1.0, compound: bool = False
) -> tuple[list[Fraction], dict[int, int]]:
    """Move times onto the simplest grid that they fit.

    Parameters
    ----------
    seconds
        Onsets, (n,), in order.
    beats
        Seconds, as :func:`transcribe.score.beats.is_grid` wants them.
    detail
        Above 1 rhythms become finer, below simpler.
    compound
        Whether beats are of three parts.

    Returns
    -------
    list of Fraction, dict
        Where each onset lies, in beats from the first one; and into how many parts each beat is divided, for beats
        in which something begins.
    """
    if not len(seconds):
        return [], {}
    divided, _ = _divide(seconds, beats, detail, COMPOUND_DIVISIONS if compound else DIVISIONS)
    positions = BeatGrid(beats).to_beats(np.asarray(seconds, float))
    cells = np.floor(positions + _EDGE).astype(int).tolist()
    places = [
        cell + Fraction(round(float(position - cell) * divided[cell]), divided[cell])
        for position, cell in zip(positions, cells, strict=True)
    ]
    return places, divided


def _divide(
    seconds: Sequence[float] | np.ndarray, beats: Sequence[float], detail: float, divisions: dict[int, float]
) -> tuple[dict[int, int], float]:
    """Find into how many parts each beat is divided in which something begins, and what that costs in all."""
    grid = BeatGrid(beats)
    positions = grid.to_beats(np.asarray(seconds, float))
    cells = np.floor(positions + _EDGE).astype(int)
    numbers = sorted(set(cells.tolist()))
    lengths = np.diff(grid.to_seconds(np.array([numbers, [number + 1 for number in numbers]], float)), axis=0)[0]
    kinds = list(divisions)
    totals = np.zeros((len(numbers), len(kinds)))
    before = np.zeros((len(numbers), len(kinds)), int)
    threes = np.array([kind % 3 == 0 for kind in kinds])
    for row, number in enumerate(numbers):
        own = positions[cells == number] - number
        costs = np.array([_misfit(own, kind, float(lengths[row])) + cost / detail for kind, cost in divisions.items()])
        if row:
            near = number - numbers[row - 1] == 1
            steps = totals[row - 1][None, :] + _CHANGE * near / detail * (threes[:, None] != threes[None, :])
            before[row] = steps.argmin(1)
            costs = costs + steps.min(1)
        totals[row] = costs
    choice = int(totals[-1].argmin())
    divided: dict[int, int] = {}
    for row in range(len(numbers) - 1, -1, -1):
        divided[numbers[row]] = kinds[choice]
        choice = int(before[row, choice])
    return divided, float(totals[-1].min())


def is_compound(seconds: Sequence[float] | np.ndarray, beats: Sequence[float], detail: float = 1.0) -> bool:
    """Tell whether beats are of three parts: whether that is simpler; the arguments are :func:`quantize`'s."""
    if not len(seconds):
        return False
    # A chord is one beginning, however its notes stray.
    onsets = np.asarray(seconds, float)
    together = np.array([onsets[group].mean() for group in struck_together(onsets)])
    simple, compound = (_divide(together, beats, detail, table) for table in (DIVISIONS, COMPOUND_DIVISIONS))
    threes = sum(parts % 3 == 0 for parts in compound[0].values())
    return threes >= _FEWEST and compound[1] < simple[1]


def _misfit(positions: np.ndarray, parts: int, length: float) -> float:
    """Say how badly onsets within a beat of ``length`` seconds, (n,) in 0-1, fit a division into parts."""
    nearest = np.round(positions * parts)
    deviation = max(_DEVIATION, _LEAST * length)
    off = np.minimum(np.abs(positions - nearest / parts) * length / deviation, _WORST)
    apart = np.diff(positions) * length > _APART
    merged = np.count_nonzero(apart & (np.diff(nearest) == 0))
    return float(0.5 * (off**2).sum() + _MERGED * merged)
