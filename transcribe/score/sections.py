"""Bars → sections: where a sequence of chords returns, so does the section's name; pure.

The stretches that return are chosen one after the other, each time the one that saves most where a stretch is written
once, and a letter is written every time that it is played (as grammars of least description length are found,
Nevill-Manning & Witten 1997, with rules of one level).
"""

from __future__ import annotations

import string
from collections.abc import Sequence

import numpy as np

# Bars of a stretch that returns; beats that two playings must share; music of more bars isn't cut into sections.
_SHORTEST, _LONGEST, _ALIKE, _MOST_BARS = 4, 16, 0.8, 600


def sections_of(bars: Sequence[Sequence[str]]) -> list[tuple[str, int]]:
    """Cut bars into sections: the name of each (A, B, …), and how many bars it has.

    Parameters
    ----------
    bars
        What is compared of the chords, one a beat.

    Returns
    -------
    list of tuple
        One section without a name where nothing returns; none for no bars.
    """
    n = len(bars)
    number, begins = np.full(n, -1), np.zeros(n, bool)
    agreement = _agreement(bars) if n <= _MOST_BARS else {}
    for count in range(n):  # each takes some bars
        found = _best_repeat(agreement, number >= 0)
        if found is None:
            break
        length, starts = found
        for first in starts:
            number[first : first + length], begins[first] = count, True
    if not begins.any():
        return [("", n)] if n else []
    # What never returns is a section too, up to the next one.
    cuts = np.flatnonzero(begins | (np.diff(number, prepend=-2) != 0))
    letters: dict[int, str] = {}
    sections = []
    for start, end in zip(cuts, [*cuts[1:], n], strict=True):
        own = int(number[start]) if number[start] >= 0 else n + int(start)
        sections.append((letters.setdefault(own, _letter(len(letters))), int(end - start)))
    return sections


def _agreement(bars: Sequence[Sequence[str]]) -> dict[int, np.ndarray]:
    """Compare, for every length, all stretches of so many bars: the share of beats that agree, (n_starts, n_starts)."""
    n, lengths = len(bars), np.array([len(bar) for bar in bars])
    numbers: dict[str, int] = {}
    table = np.full((n, int(max(lengths, default=0))), -1)
    for row, bar in enumerate(bars):
        table[row, : len(bar)] = [numbers.setdefault(label, len(numbers)) for label in bar]
    shared = np.zeros((n, n), np.float32)
    for beat in table.T:
        shared += (beat[:, None] == beat[None, :]) & (beat >= 0)[:, None]
    single = np.where(lengths[:, None] == lengths[None, :], shared / lengths[:, None], 0)
    found = {}
    for length in range(_SHORTEST, min(_LONGEST, n // 2) + 1):
        starts = n - length + 1
        found[length] = np.mean([single[i : i + starts, i : i + starts] for i in range(length)], axis=0)
    return found


def _best_repeat(agreement: dict[int, np.ndarray], taken: np.ndarray) -> tuple[int, list[int]] | None:
    """Find the stretch whose repeats save most: its length and where it is played; None where nothing is saved."""
    most, best = 0.0, None
    for length, pairs in agreement.items():
        free = np.lib.stride_tricks.sliding_window_view(~taken, length).all(1)
        for start in np.flatnonzero(free):
            found = [int(start)]
            for other in np.flatnonzero((pairs[start] >= _ALIKE) & free):
                if other >= found[-1] + length:
                    found.append(int(other))
            saved = length * float(pairs[start][found[1:]].sum()) - len(found)
            if saved > most:
                most, best = saved, (length, found)
    return best


def _letter(number: int) -> str:
    """Name a section: A … Z, then AA, AB …."""
    more, last = divmod(number, len(string.ascii_uppercase))
    return (_letter(more - 1) if more else "") + string.ascii_uppercase[last]
