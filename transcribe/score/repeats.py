"""Bars → what is written once, between repeat signs, since it returns unchanged at once; pure."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

# Bars that are worth a repeat, and that are worth two endings; of what they hold so much is the same, in every bar, and
# on the average.
_FEWEST, _FEWEST_WITH_ENDINGS = 4, 8
_ALIKE, _ALIKE_ON_AVERAGE = 0.75, 0.95
# At least so many bars are the very same.
_SAME = 0.6

# What a bar holds: what has to be the same, and the notes, of which a few may differ.
Content = tuple[Hashable, frozenset[Hashable]]


@dataclass(frozen=True)
class Repeat:
    """Bars that are played twice.

    Attributes
    ----------
    first, n_bars
        The first of them when they are played first, and how many they are: as many follow that aren't written.
    n_ending
        How many of the last of them differ: they are written for both times, as two endings.
    """

    first: int
    n_bars: int
    n_ending: int = 0

    @property
    def second_ending(self) -> int:
        """The bar after the last that isn't written: of the second ending the first, where there is one."""
        return self.first + 2 * self.n_bars - self.n_ending


def find_repeats(bars: Sequence[Content], tied: Sequence[bool]) -> list[Repeat]:
    """Find what returns at once, the longest first; repeats don't overlap.

    Parameters
    ----------
    bars
        What they hold.
    tied
        Whether a note of the bar before is held into each of them: there no repeat begins or ends.
    """
    n = len(bars)
    numbers: dict[Content, int] = {}
    same = np.array([numbers.setdefault(bar, len(numbers)) for bar in bars])
    sounding = np.array([bool(notes) for _, notes in bars])
    free = np.ones(n, bool)
    found = []
    for length in range(n // 2, _FEWEST - 1, -1):
        agree = np.concatenate([[0], np.cumsum(same[: n - length] == same[length:])])
        shares = (agree[length:] - agree[:-length]) / length
        for first in np.flatnonzero(shares >= _SAME).tolist():
            whole = slice(first, first + 2 * length)
            edges = [first, first + length, *([first + 2 * length] if first + 2 * length < n else [])]
            if not free[whole].all() or not sounding[whole].any() or any(tied[edge] for edge in edges):
                continue
            n_ending = _ending(bars, first, length)
            if n_ending is not None:
                found.append(Repeat(first, length, n_ending))
                free[whole] = False
    return sorted(found, key=lambda repeat: repeat.first)


def _ending(bars: Sequence[Content], first: int, length: int) -> int | None:
    """Tell how many bars at the end differ, 0 or 1; None where more than that does."""
    alike = [_alike(bars[i], bars[i + length]) for i in range(first, first + length)]
    for n_ending in (0, 1):
        own = alike[: length - n_ending]
        enough = length >= (_FEWEST_WITH_ENDINGS if n_ending else _FEWEST)
        if enough and min(own) >= _ALIKE and sum(own) / len(own) >= _ALIKE_ON_AVERAGE:
            return n_ending
    return None


def _alike(one: Content, other: Content) -> float:
    """Compare two bars: the share of their notes that they have in common."""
    if one[0] != other[0]:
        return 0.0
    n_notes = len(one[1]) + len(other[1])
    return 2 * len(one[1] & other[1]) / n_notes if n_notes else 1.0
