"""What is known of the music already, and what beats and downbeats say of its metre; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

from transcribe.score.beats import Beats
from transcribe.theory.keys import signature
from transcribe.theory.metres import parse_metre

LEVELS = ("half", "double")
MIN_TEMPO, MAX_TEMPO = 10.0, 600.0


@dataclass(frozen=True)
class Timing:
    """What is known of the rhythm and the key; whether, how far and onto what notes are moved.

    Attributes
    ----------
    tempo
        Beats a minute, the same from the first to the last.
    beats
        All of them.
    quantize
        Whether notes are moved onto the beats and their parts.
    detail
        How fine rhythms are, in scores too: above 1 finer, below simpler.
    metre
        Of the whole piece: ``3/4``, ``6/8``.
    pickup
        How many beats precede the first bar line, from the first note on; 0 where it begins with a bar.
    level
        ``half``: every second of the beats that would be found; ``double``: as many between them.
    key
        Of the whole piece: ``E minor``.
    strength
        How far quantised notes are moved: 1 all the way.
    grid
        Of quantised notes, in quarters; without it they lie where a score shows them.
    snap
        Whether chords that are heard change on the beats, where one is near.

    Raises
    ------
    ValueError
        If a metre, a level or a key isn't one, or a number is out of its range.
    """

    tempo: float | None = None
    beats: Beats | None = None
    quantize: bool = False
    detail: float = 1.0
    metre: str | None = None
    pickup: float | None = None
    level: str | None = None
    key: str | None = None
    strength: float = 1.0
    grid: Fraction | None = None
    snap: bool = True

    def __post_init__(self) -> None:
        if self.tempo is not None and not MIN_TEMPO <= self.tempo <= MAX_TEMPO:
            raise ValueError(f"the tempo lies between {MIN_TEMPO:.0f} and {MAX_TEMPO:.0f} beats a minute")
        if self.metre is not None:
            parse_metre(self.metre)
        if self.key is not None:
            signature(self.key)
        if self.level not in (None, *LEVELS):
            raise ValueError(f"the beats' level is {' or '.join(LEVELS)}")
        if self.pickup is not None and not 0 <= self.pickup < 64:
            raise ValueError("a pick-up has between 0 and 64 beats")
        if not 0 <= self.strength <= 1 or (self.grid is not None and not 0 < self.grid <= 4):
            raise ValueError("the strength lies between 0 and 1, the grid between 0 and 4 quarters")
        if self.level is not None and (self.tempo is not None or self.beats is not None):
            raise ValueError("half or double go with beats that are found, not with a tempo or beats that are known")

    @property
    def tells_bars(self) -> bool:
        """Whether something is known of the bars."""
        return self.metre is not None or self.pickup is not None

    @property
    def tells_beats(self) -> bool:
        """Whether something is known of the beats or the bars."""
        return self.tempo is not None or self.beats is not None or self.level is not None or self.tells_bars

    @property
    def settings(self) -> dict[str, Any]:
        """What of it a result depends on, for its ``settings``; nothing where nothing is known."""
        names = ("tempo", "metre", "pickup", "level", "key")
        given = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        if self.beats is not None:
            given["beats"] = "given"
        if not self.quantize:
            return given
        grid = {} if self.grid is None else {"grid": str(self.grid / 4)}
        strength = {} if self.strength == 1.0 else {"strength": self.strength}
        return {**given, "quantize": True, "detail": self.detail, **strength, **grid}


def metre(beats: Sequence[float], downbeats: Sequence[float]) -> int:
    """Count the beats of most bars; 0 where there are no two downbeats."""
    if len(downbeats) < 2:
        return 0
    first = set(downbeats)
    places = [i for i, beat in enumerate(beats) if beat in first]
    lengths = [b - a for a, b in pairwise(places)]
    return max(set(lengths), key=lengths.count) if lengths else 0
