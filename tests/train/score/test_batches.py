from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from train.score.batches import Batches, example, excerpt, varied
from train.score.corpus import TICKS, Performed, load, save, split_of
from train.score.inventions import invent
from train.score.losses import losses, validate
from transcribe.score.features import LENGTHS, N_FEATURES, PHASES, bars_of
from transcribe.score.network import ScoreConfig, ScoreNetwork

BEATS = [0.5 * k for k in range(65)]
SMALL = ScoreConfig(8, (1, 2), 0.0)


def eighths() -> Performed:
    """Two hands in eighths, exactly played, without a triplet."""
    rows, place, staff = [], [], []
    for k in range(120):
        for pitch, own in ((40 + k % 3, 2), (70 + k % 5, 1)):
            rows.append((0.25 * k, 0.25 * k + 0.2, pitch, 64))
            place.append(k * TICKS // 2)
            staff.append(own)
    n = len(rows)
    bars = bars_of(BEATS, BEATS[::4], ())
    return Performed(
        "a__b", "train", np.array(rows, float), np.array(place), np.full(n, TICKS // 2), np.array(staff), bars
    )


def test_targets_are_what_the_score_says() -> None:
    features, phase, length, staff = example(eighths())
    assert features.shape == (240, N_FEATURES)
    assert [PHASES[i] for i in phase[:6]] == [0, 0, 0.5, 0.5, 0, 0]
    assert {LENGTHS[i] for i in length} == {0.5}
    assert staff[:4].tolist() == [0, 1, 0, 1]


def test_what_is_not_known_is_no_target() -> None:
    piece = eighths()
    unknown = replace(piece, place=np.full(240, -1), length=np.full(240, -1), staff=np.zeros(240, int))
    assert all((told == -1).all() for told in example(unknown)[1:])


@pytest.mark.parametrize("seed", range(12))
def test_excerpts_and_other_levels_keep_places_near_where_they_are_played(seed: int) -> None:
    rng = np.random.default_rng(seed)
    piece = varied(excerpt(eighths(), 64, rng), rng)
    at = np.interp(piece.notes[:, 0], piece.bars.beats, np.arange(len(piece.bars.beats)))
    known = piece.place >= 0
    assert known.mean() > 0.8
    assert np.abs(at - piece.place / TICKS)[known].max() < 0.35


def test_made_up_music_is_written_as_it_is_played() -> None:
    for seed in range(8):
        piece = invent(np.random.default_rng(seed))
        at = np.interp(piece.notes[:, 0], piece.bars.beats, np.arange(len(piece.bars.beats)))
        assert np.abs(at - piece.place / TICKS).max() < 0.4
        assert set(piece.staff.tolist()) == {1, 2}
        assert piece.notes[piece.staff == 1, 2].mean() > piece.notes[piece.staff == 2, 2].mean()


def test_a_step_is_the_same_again_and_another_one_differs() -> None:
    batches = Batches([eighths()], 3, 48, 7, torch.device("cpu"))
    first, again, other = batches(4, 0), batches(4, 0), batches(5, 0)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], other[0])
    assert set(losses(ScoreNetwork(SMALL), first)) == {"phase", "length", "right"}


def test_a_corpus_comes_back(tmp_path: Path) -> None:
    piece = replace(eighths(), split=split_of("a"))
    save(tmp_path / "corpus.npz", [piece])
    (back,) = load(tmp_path / "corpus.npz")
    assert (back.name, back.split) == (piece.name, piece.split)
    np.testing.assert_array_equal(back.place, piece.place)
    np.testing.assert_array_equal(back.bars.number, piece.bars.number)


def test_shares_are_counted_where_something_is_known() -> None:
    figures = validate(ScoreNetwork(SMALL).eval(), [eighths()])
    assert set(figures) == {"phase", "length", "hand"}
    assert all(0 <= value <= 1 for value in figures.values())
