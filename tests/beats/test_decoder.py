"""The search on activations whose beats are known: every kind of metre and of tempo."""

from __future__ import annotations

import time
from itertools import pairwise

import mir_eval.beat
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.beats.heard import heard
from transcribe.beats.activations import METRES, N_TEMPI, BeatActivations
from transcribe.beats.bars import find_bars
from transcribe.beats.decoder import BeatDecoder, FoundBeats, find_beats, find_beats_of_blocks


def f_measure(reference: np.ndarray, estimate: np.ndarray) -> float:
    return float(mir_eval.beat.f_measure(reference, estimate)) if len(estimate) else 0.0


def check(beats: np.ndarray, first: int, n_beats: int, triple: bool, rng: np.random.Generator) -> FoundBeats:
    """Find beats and bars: nearly all are right."""
    downbeats = beats[first::n_beats]
    found = find_beats(heard(beats, downbeats, n_beats, triple, rng))
    assert f_measure(beats, found.times) > 0.97
    bars = find_bars(found)
    assert f_measure(downbeats, found.times[bars.place == 0]) > 0.95
    assert np.mean(bars.length == n_beats) > 0.95
    assert np.mean(bars.triple == triple) > 0.95
    return found


@pytest.mark.parametrize(
    ("n_beats", "triple"),
    [(2, False), (3, False), (4, False), (5, False), (7, False), (2, True), (3, True), (4, True)],
    ids=["2/4", "3/4", "4/4", "5/4", "7/8", "6/8", "9/8", "12/8"],
)
def test_metres(n_beats: int, triple: bool, rng: np.random.Generator) -> None:
    check(0.5 + 0.5 * np.arange(30 * n_beats), 0, n_beats, triple, rng)


@pytest.mark.parametrize("pick_up", [1, 2, 3])
def test_pick_ups_of_any_length(pick_up: int, rng: np.random.Generator) -> None:
    check(0.3 + 0.6 * np.arange(80), pick_up, 4, False, rng)


@pytest.mark.parametrize("bpm", [28, 45, 90, 180, 230])
def test_slow_and_fast(bpm: float, rng: np.random.Generator) -> None:
    check(1.0 + 60 / bpm * np.arange(64), 0, 4, False, rng)


def test_an_accelerando(rng: np.random.Generator) -> None:
    check(0.5 + np.cumsum(np.geomspace(1.0, 0.4, 96)), 0, 4, False, rng)


def test_rubato(rng: np.random.Generator) -> None:
    phrase = 0.6 * np.exp(0.25 * np.sin(np.arange(96) / 16 * 2 * np.pi) + rng.normal(0, 0.04, 96))
    check(0.5 + np.cumsum(phrase), 0, 3, False, rng)


def test_a_fermata(rng: np.random.Generator) -> None:
    gaps = np.full(64, 0.5)
    gaps[31] = 2.2
    found = check(0.5 + np.cumsum(gaps), 0, 4, False, rng)
    # The beat that is held isn't cut into several.
    assert np.diff(found.times).max() > 1.5


def test_swing(rng: np.random.Generator) -> None:
    beats = 0.5 + 0.45 * np.arange(80)
    swung = heard(beats, beats[::4], 4, False, rng)
    for time_ in beats[:-1] + 0.3:
        swung.beat[round(time_ * 50)] = 0.3
    assert f_measure(beats, find_beats(swung).times) > 0.97


def test_two_tempi_one_after_the_other(rng: np.random.Generator) -> None:
    slow = 0.5 + 60 / 66 * np.arange(48)
    fast = slow[-1] + 60 / 66 + 60 / 104 * np.arange(80)
    beats = np.concatenate([slow, fast])
    found = find_beats(heard(beats, beats[::4], 4, False, rng))
    assert f_measure(slow, found.times[found.times < fast[0] - 0.1]) > 0.95
    assert f_measure(fast, found.times[found.times > fast[0] - 0.1]) > 0.95


def test_metres_that_change(rng: np.random.Generator) -> None:
    beats = 0.5 + 0.5 * np.arange(104)
    downbeats = np.concatenate([beats[:32:4], beats[32:80:3], beats[80::4]])
    activations = heard(beats, downbeats, 4, False, rng)
    activations.metre[:] = 1 / len(METRES)
    found = find_beats(activations)
    bars = find_bars(found)
    assert f_measure(downbeats, found.times[bars.place == 0]) > 0.95
    assert [int(bars.length[int(i)]) for i in (10, 50, 95)] == [4, 3, 4]


def test_beats_that_are_not_played_lie_between_others(rng: np.random.Generator) -> None:
    beats = 0.5 + 0.5 * np.arange(60)
    activations = heard(beats, beats[::4], 4, False, rng)
    activations.beat[round(beats[20] * 50) + 10 : round(beats[24] * 50) - 10] = 0.01
    found = find_beats(activations)
    assert f_measure(beats, found.times) > 0.97


def test_a_rest_of_a_minute_has_beats(rng: np.random.Generator) -> None:
    beats = np.concatenate([0.5 + 0.5 * np.arange(40), 80.0 + 0.5 * np.arange(40)])
    activations = heard(beats, beats[::4], 4, False, rng)
    found = find_beats(activations)
    assert np.diff(found.times).max() <= 6.0
    assert f_measure(beats[40:], found.times[found.times > 79.8]) > 0.97


def test_nothing_has_no_beats() -> None:
    nothing = np.zeros(500, np.float32)
    flat = np.full((500, N_TEMPI), 1 / N_TEMPI, np.float32), np.full((500, len(METRES)), 1 / len(METRES), np.float32)
    assert len(find_beats(BeatActivations(nothing, nothing, nothing, *flat))) == 0
    assert len(BeatDecoder().finish()) == 0
    assert len(find_bars(BeatDecoder().finish()).place) == 0


@settings(max_examples=20, deadline=None)
@given(cuts=st.lists(st.integers(1, 1500), max_size=6))
def test_blocks_may_be_cut_anywhere(cuts: list[int]) -> None:
    beats = 0.5 + 0.5 * np.arange(60)
    whole = heard(beats, beats[::4], 4, False, np.random.default_rng(1))
    edges = [0, *sorted(set(cuts)), len(whole)]
    names = ("beat", "downbeat", "triple", "tempo", "metre")
    blocks = [BeatActivations(*(getattr(whole, name)[a:b] for name in names)) for a, b in pairwise(edges)]
    found, wanted = find_beats_of_blocks(blocks), find_beats(whole)
    np.testing.assert_array_equal(found.times, wanted.times)
    np.testing.assert_array_equal(found.metre, wanted.metre)


def test_a_metre_and_a_first_bar_that_are_known(rng: np.random.Generator) -> None:
    beats = 0.5 + 0.5 * np.arange(60)
    found = find_beats(heard(beats, beats[::4], 4, False, rng))
    bars = find_bars(found, metre=(3, False), first=2)
    assert np.flatnonzero(bars.place == 0)[:3].tolist() == [2, 5, 8]
    assert set(bars.length.tolist()) == {3}


@pytest.mark.slow
def test_an_hour_is_quick(rng: np.random.Generator) -> None:
    beats = 0.5 + 0.5 * np.arange(1200)
    activations = heard(beats, beats[::4], 4, False, rng)
    began = time.process_time()
    find_bars(find_beats(activations))
    assert time.process_time() - began < 0.05 * 10
