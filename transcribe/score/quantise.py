"""Performed times → places on a grid of beats; pure.

Every beat is divided as finely as its notes need and no finer: a search over all notes weighs how far they are moved,
and how far the time between them is stretched, against how complicated the rhythm becomes (Cemgil, Desain & Kappen
2000 put it as a likelihood and a prior). What the beats around are divided into is likelier than anything else, so
that a figure that returns is written in one way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from transcribe.score.beats import BeatGrid
from transcribe.score.features import PHASES
from transcribe.score.hands import struck_together

# Into how many parts a beat may be divided, and what that costs; and where beats are of three parts, as in six eight.
DIVISIONS = {1: 0.0, 2: 0.7, 3: 2.6, 4: 1.8, 6: 4.5, 8: 5.0, 12: 9.0}
COMPOUND_DIVISIONS = {1: 0.0, 2: 4.0, 3: 0.7, 4: 5.0, 6: 2.5, 9: 9.0, 12: 5.0}
# In such music at least so many beats are divided by three.
_FEWEST = 8
# So near before a beat, in beats, a note is on it: what rounding does.
_EDGE = 1e-9
# Places are counted in so many parts of a beat: all divisions are whole there.
_TICKS = 144
# The network's phases that are a whole number of ticks, and how many.
_WHOLE_PHASES = [i for i, phase in enumerate(PHASES) if (phase * _TICKS).denominator == 1]
_PHASE_TICKS = [int(PHASES[i] * _TICKS) for i in _WHOLE_PHASES]
# Beats of no length at all, where times are beyond all measure, are so long, in seconds.
_SHORTEST = 1e-3
# Habits reach over so many times the distance in which they fade; what was never seen counts as often as this.
_REACHES, _UNSEEN = 4, 0.3


@dataclass(frozen=True)
class Weights:
    """What things cost in the search.

    Attributes
    ----------
    change
        Going from twos to threes, or back, from a beat to the next one.
    deviation, share
        How far onsets stray: in seconds, and in beats.
    stretch, stretch_share
        How far the times between them do: in seconds, and of the time itself.
    worst
        Beyond so many deviations it doesn't get worse.
    apart, merged
        Notes so far apart, in seconds, are not one chord: to make them one costs.
    fast, fastest
        What parts of a beat cost that are shorter than so many seconds, by the logarithm.
    habit
        How much what the beats around are divided into counts, by the logarithm of its share.
    together
        What it costs to write notes apart that the two hands strike together.
    reach
        In how many beats the habit fades.
    told, unlikely
        How much what the network tells of places counts; a place is at most so unlikely, as a logarithm.
    divisions, compound
        The divisions of beats of two parts and of three, with what they cost.
    """

    change: float = 0.5
    deviation: float = 0.02
    share: float = 0.06
    stretch: float = 0.02
    stretch_share: float = 0.25
    worst: float = 4.0
    apart: float = 0.06
    merged: float = 6.0
    fast: float = 3.0
    fastest: float = 0.08
    habit: float = 1.0
    together: float = 2.0
    reach: float = 8.0
    told: float = 1.0
    unlikely: float = 8.0
    divisions: dict[int, float] = field(default_factory=lambda: DIVISIONS)
    compound: dict[int, float] = field(default_factory=lambda: COMPOUND_DIVISIONS)


WEIGHTS = Weights()
# With what the network tells notes may lie farther off. Chosen on 36 pieces of ASAP that the network never had.
TOLD_WEIGHTS = Weights(deviation=0.03, share=0.1, stretch=0.03, stretch_share=0.4, habit=0.5, told=2.0)


@dataclass(frozen=True)
class _Groups:
    """Notes struck together: where, in beats; the beats' lengths there in seconds; what is told of each, by tick."""

    places: np.ndarray
    lengths: np.ndarray
    members: list[list[int]]
    told: np.ndarray | None = None


# Of every beat into how many parts it is divided, by its number.
Divided = dict[int, int]


def quantize(
    seconds: Sequence[float] | np.ndarray,
    beats: Sequence[float],
    detail: float = 1.0,
    compound: bool | Sequence[bool] = False,
) -> tuple[list[Fraction], Divided]:
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
        Whether beats are of three parts: all of them, or each.

    Returns
    -------
    list of Fraction, dict
        Where each onset lies, in beats from the first one; and into how many parts each beat is divided, for beats
        in which something begins.
    """
    return quantize_hands([seconds], beats, detail, compound)[0]


def quantize_hands(
    hands: Sequence[Sequence[float] | np.ndarray],
    beats: Sequence[float],
    detail: float = 1.0,
    compound: bool | Sequence[bool] = False,
    weights: Weights | None = None,
    told: Sequence[np.ndarray] | None = None,
) -> list[tuple[list[Fraction], Divided]]:
    """Move the onsets of several hands onto one grid; arguments and results are :func:`quantize`'s, hand by hand.

    Every hand is searched alone, and then once more with what was found in all of them. ``told`` are the phases of
    :class:`transcribe.score.model.Told`, hand by hand.
    """
    grid = BeatGrid(beats)
    weights = weights or (WEIGHTS if told is None else TOLD_WEIGHTS)
    groups = [
        _grouped(np.asarray(seconds, float), grid, None if told is None else told[hand] / max(detail, 1.0), weights)
        for hand, seconds in enumerate(hands)
    ]
    kinds = _Kinds(compound, len(beats), detail, weights)
    first = [_search(own, kinds, weights) for own in groups]
    habits = _habits([divided for _, divided, _ in first], kinds, weights)
    found = []
    for number, own in enumerate(groups):
        others = [(groups[i], first[i][0]) for i in range(len(groups)) if i != number]
        ticks, divided, _ = _search(own, kinds, weights, habits, _meeting(own, others))
        places = [Fraction(0)] * sum(len(members) for members in own.members)
        for tick, members in zip(ticks.tolist(), own.members, strict=True):
            for i in members:
                places[i] = Fraction(tick, _TICKS)
        found.append((places, divided))
    return found


def _grouped(
    seconds: np.ndarray, grid: BeatGrid, told: np.ndarray | None = None, weights: Weights = WEIGHTS
) -> _Groups:
    members = struck_together(seconds)
    places = grid.to_beats(np.array([seconds[group].mean() for group in members]))
    cells = np.floor(places + _EDGE)
    lengths = grid.to_seconds(cells + 1) - grid.to_seconds(cells)
    if told is None or not len(members):
        return _Groups(places, lengths, members)
    # Places that the network knows nothing of are as unlikely as can be.
    by_tick = np.full((len(members), _TICKS), weights.unlikely)
    own = np.stack([told[group].mean(0) for group in members])
    by_tick[:, _PHASE_TICKS] = np.minimum(-own[:, _WHOLE_PHASES], weights.unlikely)
    return _Groups(places, lengths, members, weights.told * by_tick)


class _Kinds:
    """The divisions there are, and what they cost in a beat."""

    def __init__(self, compound: bool | Sequence[bool], n_beats: int, detail: float, weights: Weights) -> None:
        self.detail = detail
        self.parts = np.array(sorted({*weights.divisions, *weights.compound}))
        tables = [[table.get(int(p), np.inf) for p in self.parts] for table in (weights.divisions, weights.compound)]
        self._costs = np.array(tables) / detail
        given = np.full(n_beats, compound) if isinstance(compound, bool) else np.asarray(compound)
        self._compound = given.astype(int)
        self.threes = self.parts % 3 == 0
        # The places within a beat of every division, as ticks, and of which division each is.
        self.kind = np.repeat(np.arange(len(self.parts)), self.parts)
        steps = [
            np.arange(p) * (_TICKS // p) if _TICKS % p == 0 else np.round(np.arange(p) * _TICKS / p) for p in self.parts
        ]
        self.ticks = np.concatenate(steps).astype(int)

    def costs(self, beats: np.ndarray) -> np.ndarray:
        """Costs of the divisions in beats of these numbers, (n_beats, n_kinds)."""
        return np.asarray(self._costs[self._compound[np.clip(beats, 0, len(self._compound) - 1)]])


def _habits(divided: Sequence[Divided], kinds: _Kinds, weights: Weights) -> dict[int, np.ndarray]:
    """Tell what each division costs in a beat for being unlike what the beats around it are divided into."""
    numbers = sorted({number for own in divided for number in own})
    if not numbers:
        return {}
    index = {int(p): i for i, p in enumerate(kinds.parts)}
    row = {number: i for i, number in enumerate(numbers)}
    counts = np.zeros((len(numbers), len(kinds.parts)))
    for own in divided:
        for number, parts in own.items():
            if parts > 1:
                counts[row[number], index[parts]] += 1
    places = np.array(numbers)
    reach = _REACHES * weights.reach
    firsts, lasts = np.searchsorted(places, places - reach), np.searchsorted(places, places + reach, "right")
    found = {}
    for i, number in enumerate(numbers):
        near = slice(int(firsts[i]), int(lasts[i]))
        own_counts = np.exp(-np.abs(places[near] - number) / weights.reach) @ counts[near]
        shares = (own_counts + _UNSEEN) / (own_counts + _UNSEEN).max()
        found[number] = np.where(kinds.parts > 1, -weights.habit * np.log(shares) / kinds.detail, 0.0)
    return found


def _meeting(own: _Groups, others: Sequence[tuple[_Groups, np.ndarray]]) -> np.ndarray:
    """Find for each group where the other hand's notes were put that are struck with it, in ticks; -1 for none."""
    found = np.full(len(own.places), -1)
    for other, ticks in others:
        if not len(other.places):
            continue
        at = np.clip(np.searchsorted(other.places, own.places), 1, max(1, len(other.places) - 1))
        for side in (at - 1, np.minimum(at, len(other.places) - 1)):
            near = np.abs(other.places[side] - own.places) * own.lengths < 0.035
            found[near] = ticks[side[near]]
    return found


def _search(
    groups: _Groups,
    kinds: _Kinds,
    weights: Weights,
    habits: dict[int, np.ndarray] | None = None,
    meeting: np.ndarray | None = None,
) -> tuple[np.ndarray, Divided, float]:
    """Find the cheapest place of every group, in ticks; into how many parts beats are divided; what it costs."""
    n = len(groups.places)
    if not n:
        return np.zeros(0, int), {}, 0.0
    w = weights
    base = np.floor(groups.places + _EDGE).astype(int)
    all_ticks = np.concatenate([kinds.ticks - _TICKS, kinds.ticks, kinds.ticks + _TICKS])
    all_kind = np.tile(kinds.kind, 3)
    all_beat = np.repeat([-1, 0, 1], len(kinds.kind))
    back: list[np.ndarray] = []
    states: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    total = np.zeros(0)
    last: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None
    for i in range(n):
        x, length = groups.places[i] * _TICKS, groups.lengths[i]
        near = np.abs(all_ticks + base[i] * _TICKS - x) <= 0.5 * _TICKS
        ticks, kind, beat = all_ticks[near] + base[i] * _TICKS, all_kind[near], all_beat[near] + base[i]
        numbers = np.array([base[i] - 1, base[i], base[i] + 1])
        table = kinds.costs(numbers)
        if habits is not None:
            table = table + np.array([habits.get(number, np.zeros(len(kinds.parts))) for number in numbers.tolist()])
        part = max(length, _SHORTEST) / kinds.parts
        table = table + w.fast * np.maximum(0, np.log(w.fastest / part)) * (kinds.parts > 1)
        division = table[beat - base[i] + 1, kind]
        usable = np.isfinite(division)
        ticks, kind, beat, division = ticks[usable], kind[usable], beat[usable], division[usable]
        off = np.abs(ticks - x) / _TICKS * length / np.hypot(w.deviation, w.share * length)
        own = 0.5 * np.minimum(off, w.worst) ** 2
        if groups.told is not None:
            own = own + groups.told[i, ticks % _TICKS]
        if meeting is not None and meeting[i] >= 0:
            own = own + w.together * (ticks != meeting[i])
        if last is None:
            total = own + division
            back.append(np.zeros(len(ticks), int))
        else:
            before, kind_before, beat_before = last
            gap = groups.places[i] - groups.places[i - 1]
            moved = (ticks[:, None] - before[None, :]) / _TICKS
            spread = np.hypot(w.stretch, w.stretch_share * np.minimum(gap, 1.0) * length)
            steps = 0.5 * np.minimum(np.abs(moved - gap) * length / spread, w.worst) ** 2 if gap < 1.5 else 0 * moved
            same = beat[:, None] == beat_before[None, :]
            other_kind = kind[:, None] != kind_before[None, :]
            steps = np.where(same, np.where(other_kind, np.inf, steps), steps + division[:, None])
            follows = beat[:, None] == beat_before[None, :] + 1
            turned = kinds.threes[kind][:, None] != kinds.threes[kind_before][None, :]
            divided = (kinds.parts[kind] > 1)[:, None] & (kinds.parts[kind_before] > 1)[None, :]
            steps = steps + w.change / kinds.detail * (follows & turned & divided)
            steps = steps + np.where(moved == 0, w.merged if gap * length > w.apart else w.merged / 4, 0.0)
            steps[moved < 0] = np.inf
            steps = steps + total[None, :]
            choice = steps.argmin(1)
            back.append(choice)
            total = steps[np.arange(len(ticks)), choice] + own
        states.append((ticks, kind, beat))
        last = (ticks, kind, beat)
    least = float(total.min())
    choice = int(total.argmin())
    found = np.zeros(n, int)
    divided_into: Divided = {}
    for i in range(n - 1, -1, -1):
        ticks, kind, beat = states[i]
        found[i] = ticks[choice]
        divided_into[int(beat[choice])] = int(kinds.parts[kind[choice]])
        choice = int(back[i][choice])
    return found, divided_into, least


def is_compound(seconds: Sequence[float] | np.ndarray, beats: Sequence[float], detail: float = 1.0) -> bool:
    """Tell whether beats are of three parts: whether that is simpler; the arguments are :func:`quantize`'s."""
    if not len(seconds):
        return False
    # A chord is one beginning, however its notes stray.
    groups = _grouped(np.asarray(seconds, float), BeatGrid(beats))
    simple, compound = (_search(groups, _Kinds(kind, len(beats), detail, WEIGHTS), WEIGHTS) for kind in (False, True))
    threes = sum(parts % 3 == 0 for parts in compound[1].values())
    return threes >= _FEWEST and compound[2] < simple[2]
