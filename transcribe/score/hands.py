"""Notes → the hand that plays each; pure.

A search over the notes that begin together: whoever leads the voices well moves the hands little, stretches them
little, and doesn't cross them (the costs of piano fingering by hand position: Nakamura, Ono & Sagayama 2014).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from transcribe.events import Note

# Notes that begin within so many seconds are struck together.
TOGETHER = 0.035
# A hand reaches so many semitones with ease, and so many at all.
_EASY_REACH, _REACH = 12, 16
# Where the hands lie when nothing has been played, as MIDI numbers.
_HOME = (48.0, 72.0)
# What things cost: a semitone of a leap, of a stretch beyond what is easy, beyond what is possible; of being on the
# other hand's side of middle C; of reaching over the other hand; a hand that is left out; a semitone between a hand's
# outer notes, and one that the hands are nearer to each other than an octave. Chosen on made-up pieces.
_LEAP, _STRETCH, _IMPOSSIBLE, _SIDE, _CROSSED, _IDLE = 0.012, 1.3, 0.19, 0.064, 0.073, 0.007
_SPREAD, _CLOSE = 0.031, 0.035
_MIDDLE = 60
# Whose music has two staves; so has that of who knows what.
_TWO_HANDED = {None, "piano", "keys", "organ", "mallet", "synth"}
# So many beginnings are followed at a time.
_BEAM = 48


@dataclass
class _Way:
    """A way to have played up to here: its cost, where the hands lie, the last each holds, the last division."""

    cost: float
    place: tuple[float, float] = _HOME
    held: tuple[tuple[float, int], tuple[float, int]] = ((-1.0, 0), (-1.0, 127))
    division: int = 0
    before: _Way | None = field(default=None, repr=False)


def find_hands(notes: Sequence[Note]) -> np.ndarray:
    """Tell for each note whether the right hand plays it: booleans, (n_notes,).

    The part of an instrument that isn't played with a hand a staff is one hand's.

    Parameters
    ----------
    notes
        Ordered by onset.
    """
    instruments = {note.instrument for note in notes}
    if len(instruments) == 1 and not instruments & _TWO_HANDED:  # a part, which has one staff: high or low
        return np.full(len(notes), np.mean([note.pitch for note in notes]) >= _MIDDLE)
    groups = struck_together(np.array([note.onset for note in notes]))
    ways = [_Way(0.0)]
    orders = []
    for group in groups:
        order = sorted(group, key=lambda i: notes[i].pitch)
        orders.append(order)
        struck = [notes[i] for i in order]
        found = [_followed(way, struck, division) for way in ways for division in range(len(struck) + 1)]
        # Of ways that leave the hands in one place the cheapest is enough.
        best: dict[tuple[int, int], _Way] = {}
        for way in sorted(found, key=lambda way: way.cost):
            best.setdefault((round(way.place[0]), round(way.place[1])), way)
            if len(best) == _BEAM:
                break
        ways = list(best.values())
    right = np.zeros(len(notes), bool)
    chosen: _Way | None = ways[0]
    for order in reversed(orders):
        assert chosen is not None
        right[order[chosen.division :]] = True
        chosen = chosen.before
    return right


def struck_together(onsets: np.ndarray, within: float = TOGETHER) -> list[list[int]]:
    """Group the indices of notes that begin within so many seconds of the first of them; ``onsets`` (n,) in order."""
    groups: list[list[int]] = []
    for i, onset in enumerate(onsets):
        if groups and onset - onsets[groups[-1][0]] <= within:
            groups[-1].append(i)
        else:
            groups.append([i])
    return groups


def _followed(way: _Way, struck: Sequence[Note], division: int) -> _Way:
    """Play notes, lowest first: ``division`` of them with the left hand, the others with the right."""
    cost = way.cost
    place, held = list(way.place), list(way.held)
    time = struck[0].onset
    if 0 < division < len(struck):
        cost += _CLOSE * max(0, _EASY_REACH - (struck[division].pitch - struck[division - 1].pitch))
    for hand, part in enumerate((struck[:division], struck[division:])):
        if not part:
            cost += _IDLE
            continue
        low, high = part[0].pitch, part[-1].pitch
        stretch = high - low
        cost += _SPREAD * stretch + _STRETCH * max(0, stretch - _EASY_REACH) + _IMPOSSIBLE * max(0, stretch - _REACH)
        centre = (low + high) / 2
        cost += _LEAP * abs(centre - place[hand])
        cost += sum(_SIDE * max(0.0, (note.pitch - _MIDDLE) * (1 if hand == 0 else -1)) for note in part)
        # What the hand still holds has to be in reach, and what the other holds isn't to be crossed.
        end, pitch = held[hand]
        if end > time + TOGETHER:
            reach = max(high, pitch) - min(low, pitch)
            cost += _IMPOSSIBLE * max(0, reach - _REACH)
        end, pitch = way.held[1 - hand]
        if end > time + TOGETHER:
            cost += _CROSSED * max(0, (high - pitch) if hand == 0 else (pitch - low))
        place[hand] = centre
        last = max(part, key=lambda note: note.offset)
        held[hand] = (last.offset, last.pitch)
    return _Way(cost, (place[0], place[1]), (held[0], held[1]), division, way)
