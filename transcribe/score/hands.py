"""Notes → the hand that plays each; pure.

A search over the notes that begin together: whoever leads the voices well moves the hands little, stretches them
little, and doesn't cross them (the costs of piano fingering by hand position: Nakamura, Ono & Sagayama 2014).
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass

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
# What it costs to give a note to another hand than the user said.
_DENIED = 100.0
# Whose music has two staves; so has that of who knows what.
_TWO_HANDED = {None, "piano", "keys", "organ", "mallet", "synth"}
# So many beginnings are followed at a time.
_BEAM = 24
# How much counts what is told of each note, beside what is hard to play; nothing is told for certain.
TOLD, _LEAST = 0.5, 0.001


@dataclass(frozen=True)
class _Ways:
    """Ways to have played up to here, cheapest first, and their ``cost``, (n_ways,).

    ``hands``: of the left hand and the right, (4, n_ways, 2): where it lies; when what it holds longest ends, and the
    pitch of that; when it last played.
    """

    cost: np.ndarray
    hands: np.ndarray


_START = _Ways(np.zeros(1), np.array([[_HOME], [(-1.0, -1.0)], [(0.0, 127.0)], [(-10.0, -10.0)]]))


@dataclass(frozen=True)
class _Struck:
    """Notes struck together with every division between the hands, so many of the lowest being the left one's.

    ``time`` of the first, the lowest ``pitch``; ``alone``, what a division costs whatever was before, (n_divisions,);
    of the left hand and the right, (2, n_divisions): whether it plays (``played``), its ``low`` and ``high``
    pitches; and what :class:`_Ways` has of ``hands``, (4, n_divisions, 2).
    """

    time: float
    pitch: float
    alone: np.ndarray
    played: np.ndarray
    low: np.ndarray
    high: np.ndarray
    hands: np.ndarray


def find_hands(notes: Sequence[Note], right_handed: np.ndarray | None = None) -> np.ndarray:
    """Tell for each note whether the right hand plays it: booleans, (n_notes,).

    What the user said of a note's hand is obeyed, and the notes beside it follow.
    The part of an instrument that isn't played with a hand a staff is one hand's.

    Parameters
    ----------
    notes
        Ordered by onset.
    right_handed
        How likely it is that the right hand plays each, (n_notes,), by the notes around; None where nobody says.
    """
    instruments = {note.instrument for note in notes}
    said = np.array([note.hand is not None for note in notes], bool)
    saying = np.array([note.hand == "right" for note in notes], bool)
    if len(instruments) == 1 and not instruments & _TWO_HANDED and not said.any():
        # A part, which has one staff: high or low.
        return np.full(len(notes), np.mean([note.pitch for note in notes]) >= _MIDDLE)
    groups = struck_together(np.array([note.onset for note in notes]))
    # Of the left hand, and of the right, what it costs to play each note.
    doubts = [
        np.asarray(cost) + _DENIED * (said & (saying == right))
        for cost, right in zip(_doubts(right_handed, len(notes)), (True, False), strict=True)
    ]
    ways, steps = _START, []
    for group in groups:
        order = sorted(group, key=lambda i: notes[i].pitch)
        left, right = doubts[0][order], doubts[1][order]
        told = np.array([left[:n].sum() + right[n:].sum() for n in range(len(order) + 1)])
        ways, came, division = _followed(ways, _described([notes[i] for i in order], told))
        steps.append((order, came, division))
    played = np.zeros(len(notes), bool)
    way = 0
    for order, came, division in reversed(steps):
        played[order[division[way] :]] = True
        way = came[way]
    return np.where(said, saying, played)


def _doubts(right_handed: np.ndarray | None, n_notes: int) -> np.ndarray:
    """Tell what it costs to give each note to the left hand, and to the right, (2, n_notes)."""
    if right_handed is None:
        return np.zeros((2, n_notes))
    sure = np.clip(right_handed.astype(float), _LEAST, 1 - _LEAST)
    return np.asarray(-TOLD * np.log(np.stack([1 - sure, sure])))


def struck_together(onsets: np.ndarray, within: float = TOGETHER) -> list[list[int]]:
    """Group the indices of notes that begin within so many seconds of the first of them; ``onsets`` (n,) in order."""
    groups: list[list[int]] = []
    for i, onset in enumerate(onsets):
        if groups and onset - onsets[groups[-1][0]] <= within:
            groups[-1].append(i)
        else:
            groups.append([i])
    return groups


def _described(struck: Sequence[Note], told: np.ndarray) -> _Struck:
    """Describe notes, lowest first; ``told`` is what divisions cost besides, (n_divisions,).

    Of each hand cost: semitones between its outer notes beyond what is easy, beyond what is possible, and all;
    semitones beyond middle C; a hand that is left out. Between the hands: semitones that they are nearer to each other
    than an octave.
    """
    n_notes, w = len(struck), FEATURES
    alone = told.tolist()
    rows: tuple[list[list[float]], ...] = ([], [])
    for division in range(n_notes + 1):
        for hand, part in enumerate((struck[:division], struck[division:])):
            if not part:
                alone[division] += w["idle"]
                rows[hand].append([0.0] * 7)
                continue
            low, high = part[0].pitch, part[-1].pitch
            longest = max(part, key=operator.attrgetter("offset"))
            rows[hand].append([1.0, low, high, (low + high) / 2, longest.offset, longest.pitch, part[0].onset])
            width = high - low
            beyond = sum(max(0, (note.pitch - _MIDDLE) * (1 if hand == 0 else -1)) for note in part)
            stretch, impossible = max(0, width - _EASY_REACH), max(0, width - _REACH)
            alone[division] += w["stretch"] * stretch + w["impossible"] * impossible
            alone[division] += w["spread"] * width + w["side"] * beyond
        if 0 < division < n_notes:
            alone[division] += w["close"] * max(0, _EASY_REACH - (struck[division].pitch - struck[division - 1].pitch))
    columns = np.array(rows).transpose(2, 0, 1)
    hands = columns[3:].transpose(0, 2, 1)
    return _Struck(struck[0].onset, struck[0].pitch, np.array(alone), columns[0] > 0, columns[1], columns[2], hands)


def _followed(ways: _Ways, struck: _Struck) -> tuple[_Ways, list[int], list[int]]:
    """Play notes with every division.

    Returns
    -------
    tuple
        The cheapest ways, one of those that leave the hands in one place; which way each goes on, and its division.
    """
    n_divisions = len(struck.alone)
    flat = _costs(ways, struck).ravel()
    rounded = np.rint(np.where(struck.played, struck.hands[0].T, ways.hands[0][:, :, None]))
    keys = (rounded[:, 0] * 256 + rounded[:, 1]).ravel().tolist()
    kept: dict[float, int] = {}
    for i in flat.argsort(kind="stable").tolist():
        if keys[i] not in kept:
            kept[keys[i]] = i
            if len(kept) == _BEAM:
                break
    chosen = np.array(list(kept.values()))
    came, division = np.divmod(chosen, n_divisions)
    hands = np.where(struck.played.T[division], struck.hands[:, division], ways.hands[:, came])
    return _Ways(flat[chosen], hands), came.tolist(), division.tolist()


def _costs(ways: _Ways, struck: _Struck) -> np.ndarray:
    """Sum what makes divisions hard to play after ways, (n_ways, n_divisions).

    Of each hand cost: semitones it leaps; semitones it crosses what the other hand holds; semitones out of reach of
    what it holds itself. Between the hands: that they alternate fast, and how near to each other they do.
    """
    w = FEATURES
    place, end, held, last = ways.hands
    own = w["leap"] * np.abs(struck.hands[0].T - place[:, :, None])
    holds = end > struck.time + TOGETHER
    if holds.any():
        # What the hand still holds has to be in reach, and what the other holds isn't to be crossed.
        pitch = held[:, :, None]
        far = np.maximum(np.maximum(struck.high, pitch) - np.minimum(struck.low, pitch) - _REACH, 0)
        own += w["held"] * holds[:, :, None] * far
        own[:, 0] += w["crossed"] * holds[:, 1, None] * np.maximum(struck.high[0] - pitch[:, 1], 0)
        own[:, 1] += w["crossed"] * holds[:, 0, None] * np.maximum(pitch[:, 0] - struck.low[1], 0)
    own *= struck.played
    total = own[:, 0] + own[:, 1] + (ways.cost[:, None] + struck.alone)
    other = last[:, ::-1]
    alternating = (other > last) / (1 + (struck.time - other) / _FAST)
    near = np.maximum(1 - np.abs(struck.pitch - place[:, ::-1]) / _EASY_REACH, 0)
    fast = alternating * (w["alternating"] + w["near_alternating"] * near)
    total[:, 0] += fast[:, 1]
    total[:, -1] += fast[:, 0]
    return np.asarray(total)
