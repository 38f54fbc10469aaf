"""Beats and bars that the chords' changes tell: of what a network hears that doesn't know them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest

from transcribe.beats.accents import Accents, changes_at
from transcribe.beats.activations import METRES, PERIODS
from transcribe.beats.bars import find_bars
from transcribe.beats.decoder import FoundBeats, Heard
from transcribe.beats.features import FRAME_RATE
from transcribe.beats.levels import levelled
from transcribe.events import Chord

LABELS = ("C:maj", "A:min", "F:maj", "G:maj")
HALF = 0.4
# A chord lasts a bar of four beats or half of one.
BARS = (8, 8, 8, 8, 4, 4, 8)


def chords_of(lengths: Sequence[int], step: float, first: float = 0.0) -> list[Chord]:
    """Chords that follow each other; each lasts so many steps."""
    edges = first + step * np.concatenate([[0], np.cumsum(lengths)])
    return [Chord(a, b, LABELS[i % 4]) for i, (a, b) in enumerate(pairwise(edges))]


def heard_of(places: np.ndarray, strong: np.ndarray) -> Heard:
    """What is heard of half beats, of which some are strong; any tempo is as probable as another."""
    n = int((places[-1] + 2) * FRAME_RATE)
    beat = np.full(n, 0.01)
    beat[np.round(places * FRAME_RATE).astype(int)] = np.where(strong, 0.9, 0.6)
    slow = -(-n // 5)
    tempo = np.full((slow, len(PERIODS)), 1 / len(PERIODS))
    return Heard(beat, np.full(n, 0.1), np.full(n, 0.1), tempo, np.full((slow, len(METRES)), 1 / len(METRES)))


def test_changes_by_hand() -> None:
    beats = np.arange(1, 9) * 0.5
    chords = [
        Chord(0.0, 1.0, "N"), Chord(1.0, 1.55, "C:maj"), Chord(1.55, 2.0, "C:7"), Chord(2.0, 2.9, "C:maj/3"),
        Chord(2.9, 3.6, "F:maj"), Chord(3.6, 9.0, "X"),
    ]  # fmt: skip
    found = changes_at(chords, beats)
    assert np.array_equal(found, [np.nan, 1, 0, 0, 0, 1, np.nan, np.nan], equal_nan=True)
    assert np.isnan(changes_at([], beats)).all()
    assert len(changes_at(chords, beats[:1])) == 1


def test_half_beats_are_no_beats_where_chords_last_for_bars_of_beats() -> None:
    places = 0.5 + HALF * np.arange(240)
    strong = np.arange(240) % 2 == 1
    heard = heard_of(places, strong)
    chords = chords_of(BARS * 5, HALF, float(places[1]))
    assert levelled(heard, places, chords) == pytest.approx(places[strong])
    # The same chords in half the time: the beats are beats.
    assert levelled(heard, places, chords_of(BARS * 5, HALF / 2, float(places[1]))) == pytest.approx(places)
    # Nothing is known of too few chords, and nothing is changed of the beats of one who slows down and hurries.
    assert levelled(heard, places, chords[:10]) is places
    free = 0.5 + np.cumsum(HALF * 2 ** (0.4 * np.sin(np.arange(240) / 9)))
    assert levelled(heard_of(free, strong), free, chords) is free


def test_beats_that_are_twice_as_fast_in_a_part_become_of_one_level() -> None:
    all_places = 0.5 + HALF * np.arange(241)
    strong = np.arange(241) % 2 == 0
    mixed = np.concatenate([all_places[:80:2], all_places[80:160], all_places[160::2]])
    heard = heard_of(all_places, strong)
    assert levelled(heard, mixed, chords_of(BARS * 5, HALF, 0.5)) == pytest.approx(all_places[strong])
    assert levelled(heard, mixed, chords_of(BARS * 10, HALF / 2, 0.5)) == pytest.approx(all_places)


def bars_of(changes: np.ndarray, downbeat: np.ndarray) -> np.ndarray:
    """Find which beats begin bars, where the network hears of each with which odds it does."""
    n = len(changes)
    metre = np.full((n, len(METRES)), 0.05)
    metre[:, METRES.index(4)] = metre[:, METRES.index(2)] = 0.4
    nothing = np.zeros(n)
    found = FoundBeats(0.5 * np.arange(n), np.full(n, 0.9), downbeat, np.full(n, 0.1), metre)
    return np.flatnonzero(find_bars(found, accents=Accents(nothing, nothing, nothing, changes)).place == 0)


def test_bars_begin_where_chords_do() -> None:
    n = 96
    # The first and the third beat may begin bars, says the network.
    downbeat = np.where(np.arange(n) % 2 == 0, 0.5, 0.05)
    changes = np.zeros(n)
    changes[2::4] = 1
    changes[4::16] = 1  # and sometimes in the middle
    assert bars_of(changes, downbeat).tolist() == list(range(2, n, 4))
    # One bar of two beats: what follows has moved.
    moved = np.zeros(n)
    moved[2:48:4] = moved[48::4] = 1
    assert bars_of(moved, downbeat).tolist() == [*range(2, 48, 4), *range(48, n, 4)]
    # Chords twice a bar make no bars of two beats.
    twice = np.where(np.arange(n) % 2 == 0, 1.0, 0.0)
    assert set(np.diff(bars_of(twice, downbeat))) == {4}
    # Without chords it is as before.
    assert len(bars_of(np.full(n, np.nan), downbeat)) in (24, 48)
