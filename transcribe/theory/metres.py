"""Metres: their names, their beats, their units.

A metre is named as it is written: ``3/4``, ``6/8``. Its beat is what musicians count: the dotted note in compound
metres (6/8, 9/8, 12/8, and those in sixteenths), the denominator's note in all others.
"""

from __future__ import annotations

import re
from fractions import Fraction

_WRITTEN = re.compile(r"(\d{1,3})/(\d{1,3})")
_UNITS = (1, 2, 4, 8, 16, 32, 64)
_MOST = 255  # what a byte of a MIDI file holds
# Simple beats are eighths where there are more of them a minute, for bars of an odd number of beats: three quarters of
# the performances of ASAP (Foscarin et al. 2020) that are in 3/4 are slower, and most of those in 3/8 faster.
_EIGHTHS_FROM = 210.0


def parse_metre(metre: str) -> tuple[int, int]:
    """Read a metre: its numerator and its denominator.

    Raises
    ------
    ValueError
        If it isn't written as ``3/4`` is.
    """
    written = _WRITTEN.fullmatch(metre)
    if written is None or not 0 < int(written[1]) <= _MOST or int(written[2]) not in _UNITS:
        raise ValueError(f"{metre!r} is no metre such as 3/4 or 6/8")
    return int(written[1]), int(written[2])


def is_compound(metre: str) -> bool:
    """Tell whether beats divide in three: in 6/8, 9/8, 12/8, and the like in sixteenths; not in 3/8."""
    numerator, unit = parse_metre(metre)
    return unit >= 8 and numerator > 3 and numerator % 3 == 0


def beats_in_bar(metre: str) -> int:
    """Count the beats of a bar: three in 3/4, two in 6/8."""
    numerator, _ = parse_metre(metre)
    return numerator // 3 if is_compound(metre) else numerator


def beat_length(metre: str) -> Fraction:
    """Give the length of a beat in quarters: 1 in 3/4, 3/2 in 6/8, 1/2 in 7/8."""
    return Fraction(4 * (3 if is_compound(metre) else 1), parse_metre(metre)[1])


def bar_length(metre: str) -> Fraction:
    """Give the length of a bar in quarters: 3 in 3/4 and in 6/8."""
    numerator, unit = parse_metre(metre)
    return Fraction(4 * numerator, unit)


def name_metre(n_beats: int, triple: bool, tempo: float) -> str:
    """Name the metre of bars that are heard: of so many beats, which divide in three or not, at so many a minute."""
    if triple:
        return f"{3 * n_beats}/8"
    return f"{n_beats}/{8 if n_beats % 2 and tempo > _EIGHTHS_FROM else 4}"
