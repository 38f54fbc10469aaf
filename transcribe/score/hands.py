"""Notes → the hand that plays each; pure.

A search over the notes that begin together: whoever leads the voices well moves the hands little, stretches them
little, and doesn't cross them (the costs of piano fingering by hand position: Nakamura, Ono & Sagayama 2014).
"""

from __future__ import annotations

import operator
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
# What things cost; see :func:`_features`. Chosen on made-up pieces and 40 of ASAP's training pieces.
FEATURES = {
    "leap": 0.012,
    "stretch": 1.3,
    "impossible": 0.19,
    "spread": 0.031,
    "side": 0.064,
    "crossed": 0.073,
    "held": 0.475,
    "idle": 0.0175,
    "close": 0.035,
    "alternating": 0.05,
    "near_alternating": 0.05,
}
# Hands that alternate faster than in about so many seconds are costly.
_FAST = 0.25
_MIDDLE = 60
# What it costs to give a note to another hand than somebody said.
_DENIED = 100.0
# Whose music has two staves; so has that of who knows what.
_TWO_HANDED = {None, "piano", "keys", "organ", "mallet", "synth"}
# So many beginnings are followed at a time.
_BEAM = 24


@dataclass
class _Way:
    """A way to have played up to here: its cost, where the hands lie, the last each holds, the last division.

    ``struck`` is when each hand last played, ``last`` its notes then.
    """

    cost: float
    place: tuple[float, float] = _HOME
    held: tuple[tuple[float, int], tuple[float, int]] = ((-1.0, 0), (-1.0, 127))
    struck: tuple[float, float] = (-10.0, -10.0)
    division: int = 0
    before: _Way | None = field(default=None, repr=False)


def find_hands(notes: Sequence[Note]) -> np.ndarray:
    """Tell for each note whether the right hand plays it: booleans, (n_notes,).

    What somebody said of a note's hand is obeyed, and the notes beside it follow.
    The part of an instrument that isn't played with a hand a staff is one hand's.

    Parameters
    ----------
    notes
        Ordered by onset.
    """
    instruments = {note.instrument for note in notes}
    said = np.array([note.hand is not None for note in notes], bool)
    saying = np.array([note.hand == "right" for note in notes], bool)
    if len(instruments) == 1 and not instruments & _TWO_HANDED and not said.any():
        # A part, which has one staff: high or low.
        return np.full(len(notes), np.mean([note.pitch for note in notes]) >= _MIDDLE)
    weights = tuple(FEATURES.values())
    groups = struck_together(np.array([note.onset for note in notes]))
    ways = [_Way(0.0)]
    orders = []
    for group in groups:
        order = sorted(group, key=lambda i: notes[i].pitch)
        orders.append(order)
        struck = [notes[i] for i in order]
        found = [_followed(way, struck, division, weights) for way in ways for division in range(len(struck) + 1)]
        if said[group].any():
            for way in found:
                denied = [note.hand == "right" for note in struck[: way.division]]
                denied += [note.hand == "left" for note in struck[way.division :]]
                way.cost += _DENIED * sum(denied)
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
    return np.where(said, saying, right)


def struck_together(onsets: np.ndarray, within: float = TOGETHER) -> list[list[int]]:
    """Group the indices of notes that begin within so many seconds of the first of them; ``onsets`` (n,) in order."""
    groups: list[list[int]] = []
    for i, onset in enumerate(onsets):
        if groups and onset - onsets[groups[-1][0]] <= within:
            groups[-1].append(i)
        else:
            groups.append([i])
    return groups


def _followed(way: _Way, struck: Sequence[Note], division: int, weights: Sequence[float]) -> _Way:
    """Play notes, lowest first: ``division`` of them with the left hand, the others with the right."""
    features = _features(way, struck, division)
    cost = way.cost + sum(map(operator.mul, weights, features))
    place, held, last = list(way.place), list(way.held), list(way.struck)
    for hand, part in enumerate((struck[:division], struck[division:])):
        if part:
            place[hand] = (part[0].pitch + part[-1].pitch) / 2
            longest = max(part, key=lambda note: note.offset)
            held[hand] = (longest.offset, longest.pitch)
            last[hand] = part[0].onset
    return _Way(cost, (place[0], place[1]), (held[0], held[1]), (last[0], last[1]), division, way)


def _features(way: _Way, struck: Sequence[Note], division: int) -> tuple[float, ...]:
    """Measure what makes a division hard to play, in the order of :data:`FEATURES`.

    Of each hand: semitones it leaps; semitones between its outer notes beyond what is easy, beyond what is possible,
    and all; semitones beyond middle C; semitones it crosses what the other hand holds; semitones out of reach of what
    it holds itself; a hand that is left out. Between the hands: semitones that they are nearer to each other than an
    octave; that the hands alternate fast, and how near to each other they do.
    """
    time = struck[0].onset
    leap = stretch = impossible = spread = side = crossed = reach = idle = 0.0
    for hand, part in enumerate((struck[:division], struck[division:])):
        if not part:
            idle += 1
            continue
        low, high = part[0].pitch, part[-1].pitch
        width = high - low
        leap += abs((low + high) / 2 - way.place[hand])
        spread += width
        stretch += max(0, width - _EASY_REACH)
        impossible += max(0, width - _REACH)
        for note in part:
            side += max(0.0, (note.pitch - _MIDDLE) * (1 if hand == 0 else -1))
        # What the hand still holds has to be in reach, and what the other holds isn't to be crossed.
        end, pitch = way.held[hand]
        if end > time + TOGETHER:
            reach += max(0, max(high, pitch) - min(low, pitch) - _REACH)
        end, pitch = way.held[1 - hand]
        if end > time + TOGETHER:
            crossed += max(0, (high - pitch) if hand == 0 else (pitch - low))
    close = 0.0
    if 0 < division < len(struck):
        close = max(0, _EASY_REACH - (struck[division].pitch - struck[division - 1].pitch))
    alternating = near = 0.0
    if division in (0, len(struck)):
        hand = 0 if division else 1
        ago = time - way.struck[1 - hand]
        if way.struck[1 - hand] > way.struck[hand]:
            alternating = 1 / (1 + ago / _FAST)
            near = alternating * max(0.0, 1 - abs(struck[0].pitch - way.place[1 - hand]) / _EASY_REACH)
    return (leap, stretch, impossible, spread, side, crossed, reach, idle, close, alternating, near)
