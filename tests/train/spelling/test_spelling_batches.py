from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from train.score.corpus import TICKS, UNSPELLED, Performed
from train.spelling.batches import Batches, example, losses, validate
from transcribe.score.features import bars_of
from transcribe.score.network import ScoreConfig
from transcribe.score.spelling import N_FEATURES, PLACES
from transcribe.score.spelling_network import SpellingNetwork
from transcribe.theory.fifths import place_of

SMALL = ScoreConfig(8, (1, 2), 0.0)
BEATS = [0.5 * k for k in range(65)]


def scale() -> Performed:
    """D major up and down, as it is spelled."""
    steps = [(62, "D"), (64, "E"), (66, "F#"), (67, "G"), (69, "A"), (71, "B"), (73, "C#"), (74, "D")]
    notes = [*steps, *steps[-2:0:-1]] * 4
    rows = np.array([(0.5 * k, 0.5 * k + 0.4, pitch, 64) for k, (pitch, _) in enumerate(notes)], float)
    n = len(rows)
    names = np.array([place_of(name) for _, name in notes])
    bars = bars_of(BEATS, BEATS[::4], ())
    return Performed("a__b", "train", rows, np.arange(n) * TICKS, np.full(n, TICKS), np.ones(n, int), bars, names, 2)


def test_targets_are_the_names_as_far_from_the_key() -> None:
    features, can, names = example(scale(), 2)
    assert features.shape == (56, N_FEATURES)
    assert [int(PLACES[i]) + 2 for i in names[:3]] == [place_of(name) for name in ("D", "E", "F#")]
    assert can[np.arange(56), names].all()
    again = example(scale(), -1)[2]
    assert (again - names == 3).all()


def test_a_name_of_another_pitch_is_no_target() -> None:
    piece = scale()
    wrong = replace(piece, spelled=np.where(np.arange(56) % 2, UNSPELLED, piece.spelled + 1))
    assert (example(wrong, 2)[2] == -1).all()


def test_a_step_is_the_same_again_and_another_one_differs() -> None:
    batches = Batches([scale()], 3, 32, 7, torch.device("cpu"))
    first, again, other = batches(4, 0), batches(4, 0), batches(5, 0)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], other[0])
    assert set(losses(SpellingNetwork(SMALL), first)) == {"name"}


def test_a_few_steps_learn_a_scale() -> None:
    torch.manual_seed(1)
    network, batches = SpellingNetwork(SMALL), Batches([scale()], 4, 48, 7, torch.device("cpu"))
    optimizer = torch.optim.AdamW(network.parameters(), 0.02)
    for step in range(30):
        loss = losses(network, batches(step, 0))["name"]
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert validate(network.eval(), [scale()])["name"] > 0.95
