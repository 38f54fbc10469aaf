"""Which beats one taps in steady music: all of a level alike, and the level that the chords' changes fit; pure.

Steady beats may be found in one part of a song and every half beat in another. Chords begin with bars of four beats,
sometimes in their middle, hardly ever between beats: so they tell which of the two the beats are.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from transcribe.beats.accents import changes_at
from transcribe.beats.activations import PERIODS
from transcribe.beats.bars import FIRST, MIDDLE, OTHER
from transcribe.beats.decoder import Heard, logit
from transcribe.events import Chord
from transcribe.score.beats import BeatGrid

# Beats are steady if so many of them are as long as the others or half as long, but for so much (of an octave).
_STEADY, _STRAY = 0.9, 0.12
# As many beats of the shorter kind, of all, make a part of its own.
_MIXED = 0.03
# How often a chord begins between two beats; what another phase costs, in bars and among half beats.
_BETWEEN, _TURN, _SLIP = 0.01, 8.0, 6.0
# What the chords count, a half beat, beside the logarithm of the tempo's probability. Chosen on songs of POP909 that
# are for validation.
_CHORDS = 20.0
# How much has to speak against beats that are all of one level.
_UNIFORM = 1.8
# Fewer changes tell nothing.
_FEWEST = 16


def levelled(heard: Heard, places: np.ndarray, chords: Sequence[Chord]) -> np.ndarray:
    """Give steady beats one level, and leave out every second one where the chords say so.

    Parameters
    ----------
    heard
        What the network heard.
    places
        The beats, in seconds, (n,).
    chords
        Ordered by onset.

    Returns
    -------
    np.ndarray
        The beats; as they are where they aren't steady, or where hardly any chords are known.
    """
    if len(places) < 2 or np.nansum(changes_at(chords, places)) < _FEWEST:
        return places
    octaves = np.log2(np.diff(places))
    octaves -= np.sort(octaves)[len(octaves) // 2]
    steps = np.round(octaves).astype(int)
    strays = np.abs(octaves - steps) > _STRAY
    if len(set(steps[~strays].tolist()) - {-1, 0, 1}) or strays.mean() > 1 - _STEADY:
        return places
    # Of two levels the longer beats are cut in two.
    shortest = min(step for step in (-1, 0, 1) if np.mean(steps == step) > _MIXED)
    if shortest == 1 or np.mean(steps > shortest + 1) > _MIXED:
        return places
    middles = (places[:-1] + places[1:])[steps > shortest] / 2
    fine = np.sort(np.concatenate([places, middles]))
    changes = changes_at(chords, BeatGrid(fine.tolist()).to_seconds(np.arange(2 * len(fine) - 1) / 2))
    gain = (_fit(changes, 16) - _fit(changes, 8)) / len(fine)
    period = float(np.median(np.log(np.diff(fine))))
    likelier = _tempo(heard, period + np.log(2)) - _tempo(heard, period)
    enough = 0.0 if len(middles) else _UNIFORM
    return _every_second(heard, fine) if likelier + _CHORDS * gain > enough else fine


def _fit(changes: np.ndarray, n_steps: int) -> float:
    """Say how well the changes of chords fit bars of four beats and so many steps: the logarithm of a probability."""
    often = np.full(n_steps, _BETWEEN)
    often[:: n_steps // 4] = OTHER
    often[[0, n_steps // 2]] = FIRST, MIDDLE
    fits = np.log(np.where(changes[:, None] > 0, often, 1 - often))
    fits[np.isnan(changes)] = 0.0
    values = fits[0]
    for row in fits[1:]:
        ahead = np.roll(values, 1)
        ahead[0] = max(ahead[0], values.max() - _TURN)
        values = ahead + row
    return float(values.max())


def _tempo(heard: Heard, log_period: float) -> float:
    """Say how probable the network finds beats of a length, over all: a logarithm."""
    near = np.abs(np.log(PERIODS) - log_period) < _STRAY / 2
    return float(np.log(max(float(heard.tempo.mean(0, dtype=float)[near].sum()), 1e-3)))


def _every_second(heard: Heard, places: np.ndarray) -> np.ndarray:
    """Leave out every second beat: of two neighbours the one that is less of a beat, mostly in the same phase."""
    worth = logit(heard.at(places).beat)
    values, before = np.array([worth[0], 0.0]), []
    for one in worth[1:]:
        # State 0 is a beat, state 1 none; two beats may follow each other, or two that are none, at a cost.
        stay = values - _SLIP
        other = values[::-1]
        before.append(np.where(other >= stay, [1, 0], [0, 1]))
        values = np.maximum(other, stay) + np.array([one, 0.0])
    state = int(values.argmax())
    kept = [state == 0]
    for row in reversed(before):
        state = int(row[state])
        kept.append(state == 0)
    return np.asarray(places[np.array(kept[::-1])])
