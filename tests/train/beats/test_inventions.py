"""Music made up by rule: its beats are where its notes are."""

from __future__ import annotations

import numpy as np
import pytest

from train.beats.inventions import invent
from transcribe.beats.activations import METRES
from transcribe.beats.features import N_DRUMS


@pytest.mark.parametrize("seed", range(30))
def test_what_is_made_up_is_whole(seed: int) -> None:
    piece = invent(np.random.default_rng(seed))
    onsets, ends, pitches, velocities = piece.notes.T
    assert (np.diff(onsets) >= 0).all()
    assert (ends > onsets).all()
    assert onsets[0] >= 0
    assert 21 <= pitches.min() <= pitches.max() <= 108
    assert 1 <= velocities.min() <= velocities.max() <= 127
    assert len(piece.beats) == len(piece.downbeat) == len(piece.metre) == len(piece.triple) > 16
    assert (np.diff(piece.beats) > 0).all()
    assert set(piece.metre.tolist()) <= set(METRES)
    assert set(np.diff(np.flatnonzero(piece.downbeat)).tolist()) == {int(piece.metre[0])}
    assert (np.diff(piece.drums[:, 0]) >= 0).all()
    assert set(piece.drums[:, 1].tolist()) <= set(range(N_DRUMS))


@pytest.mark.parametrize("seed", range(10))
def test_most_beats_have_a_note(seed: int) -> None:
    piece = invent(np.random.default_rng(seed))
    near = np.abs(piece.beats[:, None] - piece.notes[None, :, 0]).min(1)
    assert np.mean(near < 0.05) > 0.5


def test_the_same_seed_makes_the_same_piece() -> None:
    first, second = (invent(np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(first.notes, second.notes)
    np.testing.assert_array_equal(first.beats, second.beats)


def test_every_metre_comes() -> None:
    pieces = [invent(np.random.default_rng(seed)) for seed in range(150)]
    kinds = {(int(piece.metre[0]), bool(piece.triple[0])) for piece in pieces}
    assert {(4, False), (3, False), (2, True), (5, False), (7, False), (3, True)} <= kinds
