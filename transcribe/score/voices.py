"""Notes of one hand → voices; pure.

At most two voices a staff: a note held while others move is the other voice's. A search over the notes that begin
together weighs how much of a held note would be lost against how much a second voice complicates the page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property

N_VOICES = 2
# What things cost: a beat of a held note lost to the next one of its voice, a beat by which notes of a chord differ
# (each up to two beats), notes in the second voice, a rest before them, a semitone of a leap, voices that cross. Chosen
# on made-up pieces.
_LOST, _UNEQUAL, _SECOND, _REST, _LEAP, _CROSSED = 3.0, 1.0, 0.5, 0.25, 0.01, 2.0
_MOST = 2.0
# Hands let go a little late: so much of a note's length isn't missed, nor so many beats.
_LATE, _LATE_BEATS = 0.3, 0.12
_BEAM = 24


@dataclass(frozen=True)
class Struck:
    """Notes of one hand that begin together, lowest first: where, in beats; their pitches, ends in beats, indices."""

    place: Fraction
    pitches: tuple[int, ...]
    ends: tuple[float, ...]
    indices: tuple[int, ...]

    def part(self, begin: int, end: int) -> Struck:
        """Take some of the notes."""
        return Struck(self.place, self.pitches[begin:end], self.ends[begin:end], self.indices[begin:end])

    @cached_property
    def at(self) -> float:
        """Where they begin, in beats."""
        return float(self.place)

    @cached_property
    def end(self) -> float:
        """The middle of the ends."""
        ordered = sorted(self.ends)
        return (ordered[len(ordered) // 2] + ordered[(len(ordered) - 1) // 2]) / 2

    @cached_property
    def unequal(self) -> float:
        """By how many beats they differ, each by two at the most."""
        return sum(min(abs(end - self.end), _MOST) for end in self.ends)


@dataclass
class _Way:
    """A way to have divided the notes up to here: what it costs, the last chord of each voice, the last division."""

    cost: float = 0.0
    last: tuple[Struck | None, ...] = (None,) * N_VOICES
    division: int = 0
    before: _Way | None = field(default=None, repr=False)


def find_voices(struck: Sequence[Struck]) -> tuple[list[Struck], list[Struck]]:
    """Divide a hand's notes into an upper voice and a lower one; where one is enough it is the upper."""
    ways = [_Way()]
    for group in struck:
        n_notes = len(group.pitches)
        parts = [(group.part(division, n_notes), group.part(0, division)) for division in range(n_notes + 1)]
        found = [_followed(way, *own, division) for way in ways for division, own in enumerate(parts)]
        best: dict[tuple[int, ...], _Way] = {}
        for way in sorted(found, key=lambda way: way.cost):
            best.setdefault(tuple(-1 if last is None else last.indices[0] for last in way.last), way)
            if len(best) == _BEAM:
                break
        ways = list(best.values())
    upper, lower = [], []
    chosen: _Way | None = ways[0]
    for group in reversed(struck):
        assert chosen is not None
        if chosen.division < len(group.pitches):
            upper.append(group.part(chosen.division, len(group.pitches)))
        if chosen.division:
            lower.append(group.part(0, chosen.division))
        chosen = chosen.before
    return upper[::-1], lower[::-1]


def _followed(way: _Way, upper: Struck, lower: Struck, division: int) -> _Way:
    """Give the lowest ``division`` notes to the lower voice, the others to the upper."""
    cost, last = way.cost, list(way.last)
    place = upper.at
    for voice, part in enumerate((upper, lower)):
        other = way.last[1 - voice]
        if not part.pitches:
            continue
        cost += _UNEQUAL * part.unequal
        cost += _SECOND * voice
        before = way.last[voice]
        if before is not None:
            lost = before.end - place - max(_LATE_BEATS, _LATE * (before.end - before.at))
            cost += _LOST * min(max(lost, 0.0), _MOST)
            cost += _LEAP * abs(before.pitches[-1 if voice == 0 else 0] - part.pitches[-1 if voice == 0 else 0])
        if voice == 1 and (before is None or before.end < place - 0.5):
            cost += _REST
        # A voice doesn't move over what the other one holds.
        if other is not None and other.end > place + _LATE_BEATS and other.at < place:
            over = part.pitches[0] < other.pitches[-1] if voice == 0 else part.pitches[-1] > other.pitches[0]
            cost += _CROSSED * over
        last[voice] = part
    return _Way(cost, tuple(last), division, way)
