"""Beats → bars: which beats begin one, and in which metre; pure.

A hidden Markov model over the beats: every state is a metre and a place within its bar. Bars follow each other in one
metre; another metre begins at a bar line, and a bar that is cut short or too long is the exception that costs most.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np

from transcribe.beats.accents import Accents
from transcribe.beats.activations import METRES
from transcribe.beats.decoder import FoundBeats, logit

# A metre that the network doesn't think of at all is as probable as this: training has few of the rare ones.
_LEAST_METRE = 0.05
# How often a chord of another root begins on the first beat of a bar, in the middle of one of four beats or more, and
# on another beat: counted in songs of POP909. In bars of two beats it does less often.
FIRST, MIDDLE, OTHER = 0.78, 0.36, 0.07
_OF_TWO = 0.35
# What it costs to cut bars whose metre is known; and that no bar begins where the user says that one does.
_KNOWN, _DENIED = 200.0, 1000.0


@dataclass(frozen=True)
class BarDecodingConfig:
    """Weights of the search, in natural logarithms of probabilities.

    Attributes
    ----------
    downbeat
        What a beat's odds count that it begins a bar.
    metre
        What the logarithm of a metre's probability counts, for a beat.
    change
        What a change of the metre costs, at a bar line.
    cut, sure_cut
        What it costs that a bar ends too soon; and where chords are known, which tell bars too.
    triple, usual_triple
        What a beat's odds count that it divides in three; where they are even: the network was trained on few such.
    weight, turn, thirds
        What the notes' accents count: see :class:`transcribe.beats.accents.Accents`.
    chord
        What the logarithm of the probability counts that a chord begins on a beat, or doesn't.
    begin
        What it counts that the first beat begins a bar: most music does not begin with a pick-up.
    prior
        How usual bars of so many beats are, where a metre begins; other bars aren't looked for.
    nine, twelve
        How usual 9/8 and 12/8 are besides: rarer than 3/4; and bars of 6/8 come in pairs, as all bars do, but are
        written apart.
    """

    downbeat: float = 1.5
    metre: float = 0.2
    change: float = 10.0
    cut: float = 4.0
    sure_cut: float = 8.0
    triple: float = 0.5
    usual_triple: float = 0.25
    weight: float = 0.4
    turn: float = 0.6
    thirds: float = 4.0
    chord: float = 1.0
    begin: float = 2.0
    prior: Mapping[int, float] = field(
        default_factory=lambda: {2: -3.0, 3: 0.0, 4: 0.0, 5: -4.0, 6: -3.0, 7: -4.0, 9: -5.0, 12: -5.0}
    )

    nine: float = -5.0
    twelve: float = -8.0

    def __post_init__(self) -> None:
        if set(self.prior) - set(METRES):
            raise ValueError(f"bars have {', '.join(map(str, METRES))} beats")


@dataclass(frozen=True)
class FoundBars:
    """What is known of every beat.

    Attributes
    ----------
    place
        Its place in the bar, from 0, (n,).
    length
        How many beats its bar has by its metre, (n,).
    triple
        Whether its metre divides beats in three, (n,).
    """

    place: np.ndarray
    length: np.ndarray
    triple: np.ndarray


class _States:
    """The states of the model: every place of every kind of bar, simple and compound."""

    def __init__(self, kinds: list[tuple[int, bool]]) -> None:
        self.kinds = kinds
        lengths = np.array([length for length, _ in kinds])
        self.kind = np.repeat(np.arange(len(kinds)), lengths)
        self.first = np.concatenate([[0], np.cumsum(lengths)[:-1]])
        self.last = self.first + lengths - 1
        self.place = np.arange(lengths.sum()) - self.first[self.kind]
        self.length = lengths[self.kind]
        self.triple = np.array([triple for _, triple in kinds])[self.kind]


def find_bars(
    found: FoundBeats,
    config: BarDecodingConfig = BarDecodingConfig(),
    accents: Accents | None = None,
    metre: tuple[int, bool] | None = None,
    first: int | None = None,
    anchors: Collection[int] = (),
    lengths: Collection[int] = (),
) -> FoundBars:
    """Find the bars of beats.

    Parameters
    ----------
    found
        Beats, and what the network says of them.
    accents
        What the notes and the chords say of them; nothing where None.
    metre
        How many beats a bar has and whether they divide in three, where that is known.
    first
        The first beat that begins a bar, where that is known.
    anchors
        Further beats that begin bars, where that is known; what makes a bar short.
    lengths
        How many beats bars have, where that is known and the metre isn't.

    Returns
    -------
    FoundBars
        Of no beats for no beats.
    """
    n_beats = len(found)
    kinds = [metre] if metre is not None else [(n, triple) for n in lengths or config.prior for triple in (False, True)]
    states = _States(kinds)
    if not n_beats:
        return FoundBars(np.zeros(0, int), np.zeros(0, int), np.zeros(0, bool))
    seen = _observed(found, accents, config, states)
    if first is not None:
        at_start = -first % states.length
        seen[0] = np.where(states.place == at_start, seen[0], -np.inf)
    for anchor in anchors:
        seen[anchor] += np.where(states.place == 0, 0.0, -_DENIED)
    # A step is one of: to the next place, to a bar of the same kind, to one of another kind, out of an unfinished bar.
    # A metre that is known is obeyed; where bar lines are known too, there are bars that are cut at times.
    sure = accents is not None and not np.isnan(accents.change).all()
    cost_of_cut = (config.sure_cut if sure else config.cut) if metre is None or anchors else np.inf
    compound = {(3, True): config.nine, (4, True): config.twelve}
    prior = np.array([config.prior.get(n, 0.0) + compound.get((n, triple), 0.0) for n, triple in kinds])
    changes = np.full((len(kinds), len(kinds)), -(_KNOWN if len(lengths) == 1 else config.change)) + prior
    np.fill_diagonal(changes, 0.0)
    values = seen[0] + prior[states.kind] + config.begin * (states.place == 0)
    before = np.zeros((n_beats, len(states.place)), np.int32)
    everywhere = np.arange(len(states.place))
    for beat in range(1, n_beats):
        previous = np.maximum(everywhere - 1, 0)
        step = values[previous]
        # The best place to leave each kind of bar at: its end, or another, at a cost.
        places = states.last.copy()
        left = values[places]
        for kind in range(len(kinds)) if np.isfinite(cost_of_cut) else ():
            inside = values[states.first[kind] : states.last[kind] + 1]
            if inside.max() - cost_of_cut > left[kind]:
                left[kind], places[kind] = inside.max() - cost_of_cut, states.first[kind] + int(inside.argmax())
        ends = left[:, None] + changes
        step[states.first] = ends.max(0)
        previous[states.first] = places[ends.argmax(0)]
        before[beat] = previous
        values = step + seen[beat]
    path = np.zeros(n_beats, int)
    path[-1] = int(values.argmax())
    for beat in range(n_beats - 1, 0, -1):
        path[beat - 1] = before[beat, path[beat]]
    return FoundBars(states.place[path], states.length[path], states.triple[path])


def _observed(found: FoundBeats, accents: Accents | None, config: BarDecodingConfig, states: _States) -> np.ndarray:
    """Say how well each beat fits each state, (n_beats, n_states)."""
    share = np.clip(found.downbeat / np.maximum(found.beat, 0.1), 0, 1)
    odds = config.downbeat * logit(share)
    likely = np.log(np.maximum(found.metre, _LEAST_METRE))
    three = config.triple * (logit(found.triple) - logit(np.array(config.usual_triple)))
    if accents is not None:
        odds = odds + config.weight * accents.weight + config.turn * accents.turn
        three = three + config.thirds * accents.thirds
    told = len({length for length, _ in states.kinds}) > 1 and all(length in METRES for length, _ in states.kinds)
    columns = [METRES.index(length) for length in states.length] if told else []
    begins = states.place == 0
    seen = odds[:, None] * (begins - 0.5) + three[:, None] * (states.triple - 0.5)
    if accents is not None:
        seen += config.chord * _changes(accents.change, states)
    return np.asarray(seen + config.metre * likely[:, columns] if columns else seen)


def _changes(change: np.ndarray, states: _States) -> np.ndarray:
    """Say how well the changes of chords fit each state, (n_beats, n_states): 0 where no chord is known."""
    middle = (states.length >= 4) & (2 * states.place == states.length)
    first = np.where(states.length == 2, _OF_TWO, FIRST)
    often = np.where(states.place == 0, first, np.where(middle, MIDDLE, OTHER))
    fits = np.log(np.where(change[:, None] > 0, often, 1 - often))
    return np.where(np.isnan(change)[:, None], 0.0, fits)
