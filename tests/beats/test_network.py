"""The beat network and its windows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from transcribe.beats.activations import METRES, N_TEMPI, PERIODS
from transcribe.beats.features import N_FEATURES
from transcribe.beats.network import BOTTOMS, STEMS, BeatsConfig, BeatsNetwork
from transcribe.beats.windows import (
    BORDER_FRAMES,
    STEP_FRAMES,
    WINDOW_FRAMES,
    predict,
    predict_blocks,
    spans,
)

SMALL: dict[str, Any] = {"widths": (8, 8, 16), "blocks": (2, 1), "layers": 1, "heads": 2}


@pytest.mark.parametrize("stem", STEMS)
@pytest.mark.parametrize("bottom", BOTTOMS)
def test_every_design_gives_probabilities_of_every_frame(stem: str, bottom: str) -> None:
    network = BeatsNetwork(BeatsConfig(stem=stem, bottom=bottom, **SMALL)).eval()
    answers = network(torch.rand(2, 80, N_FEATURES)).activations()
    shapes = [tuple(answer.shape) for answer in answers]
    assert shapes == [(2, 80), (2, 80), (2, 80), (2, 80, N_TEMPI), (2, 80, len(METRES))]
    assert all(((answer >= 0) & (answer <= 1)).all() for answer in answers)
    torch.testing.assert_close(answers[3].sum(-1), torch.ones(2, 80))


def test_the_default_is_below_a_million_parameters() -> None:
    assert sum(p.numel() for p in BeatsNetwork(BeatsConfig()).parameters()) <= 1_000_000


@pytest.mark.parametrize("change", [{"bottom": "x"}, {"stem": "x"}, {"widths": (8, 8)}, {"layers": 0}, {"heads": 3}])
def test_sizes_that_make_no_sense_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        BeatsConfig(**{**SMALL, **change})


def test_tempi_go_from_slow_to_fast_in_even_steps() -> None:
    assert 60 / PERIODS[0] == pytest.approx(25)
    assert 60 / PERIODS[-1] == pytest.approx(240)
    steps = PERIODS[:-1] / PERIODS[1:]
    np.testing.assert_allclose(steps, steps[0])


@pytest.mark.parametrize("n_frames", [1, WINDOW_FRAMES, WINDOW_FRAMES + 1, WINDOW_FRAMES + STEP_FRAMES, 10_000])
def test_windows_answer_for_every_frame_once_and_see_past_it(n_frames: int) -> None:
    answered: list[int] = []
    for first, start, stop in spans(n_frames):
        answered += range(start, stop)
        assert first == 0 or start - first == BORDER_FRAMES
        assert stop == n_frames or first + WINDOW_FRAMES - stop == BORDER_FRAMES
        assert stop <= first + WINDOW_FRAMES
    assert answered == list(range(n_frames))


def echo(features: np.ndarray) -> tuple[np.ndarray, ...]:
    """Tell at each frame how many notes begin there."""
    onsets = features[:, :88].sum(1)
    return onsets, onsets, onsets, np.zeros((len(onsets), N_TEMPI)), np.zeros((len(onsets), len(METRES)))


def test_predictions_lie_where_the_notes_do() -> None:
    onsets = np.arange(0.5, 130.0, 0.5)
    notes = np.stack([onsets, onsets + 0.1, np.full(len(onsets), 60.0), np.full(len(onsets), 127.0)], 1)
    said = predict(notes, echo)
    assert len(said) == round(131.5 * 50) + 1
    np.testing.assert_allclose(said.times[said.beat > 0.5], onsets)
    assert sum(len(block) for block in predict_blocks(notes, echo)) == len(said)


def test_nothing_is_predicted_of_no_notes() -> None:
    said = predict(np.zeros((0, 4)), echo)
    assert len(said) == 0
    assert said.tempo.shape == (0, N_TEMPI)
