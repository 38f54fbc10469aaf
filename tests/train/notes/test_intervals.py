from __future__ import annotations

import numpy as np
import pytest
import torch

from train.notes.excerpts import targets
from train.notes.intervals import interval_loss

RATE = 50.0
N_FRAMES = 200
#: Onset s, offset s, pitch, velocity: the second is struck again, the last goes on beyond the excerpt.
NOTES = np.array([[0.5, 1.5, 60, 80], [1.0, 1.6, 64, 80], [2.0, 2.8, 64, 80], [3.5, 6.0, 67, 80]])


def drawn(notes: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(targets({"notes": notes}, 0, N_FRAMES, RATE))[None]


def logits(notes: np.ndarray, sure: float) -> tuple[torch.Tensor, torch.Tensor]:
    """What a network says that hears exactly these notes."""
    target = drawn(notes)
    return sure * (2 * target[:, 1] - 1), sure * (2 * target[:, 2] - 1)


def test_true_ends_are_no_surprise_and_others_are() -> None:
    target = drawn(NOTES)
    assert float(interval_loss(*logits(NOTES, 6.0), target, RATE)) < 0.01
    late = NOTES + np.array([0, 0.5, 0, 0])
    late[1, 1] = 1.9
    assert float(interval_loss(*logits(late, 6.0), target, RATE)) > 20
    near = NOTES + np.array([0, 0.04, 0, 0])
    assert float(interval_loss(*logits(near, 6.0), target, RATE)) < 0.5


def test_who_knows_nothing_is_surprised_by_the_share_of_right_ends() -> None:
    nothing = torch.zeros(1, N_FRAMES, 88)
    one = NOTES[2:3]  # from frame 100 on; ends within 8 of frame 140 are right, of those from 102 to 199
    assert float(interval_loss(nothing, nothing, drawn(one), RATE)) == pytest.approx(np.log(98 / 17), abs=1e-5)
    struck = np.array([[2.0, 2.8, 64, 80], [3.0, 9.0, 64, 80]])  # no end after frame 150
    assert float(interval_loss(nothing, nothing, drawn(struck), RATE)) == pytest.approx(np.log(49 / 17), abs=1e-5)


def test_the_score_is_the_decoders() -> None:
    rng = torch.Generator().manual_seed(0)
    frame, offset = torch.randn(2, 1, N_FRAMES, 88, generator=rng)
    (key,) = NOTES[2:3, 2].astype(int) - 21
    gains = [
        float(frame[0, 100:end, key].sum() + 9 * torch.nn.functional.logsigmoid(offset[0, end, key]))
        for end in range(102, N_FRAMES)
    ]
    chances = np.exp(np.array(gains) - np.logaddexp.reduce(gains))
    right = chances[132 - 102 : 148 - 102 + 1].sum()
    assert float(interval_loss(frame, offset, drawn(NOTES[2:3]), RATE)) == pytest.approx(-np.log(right), abs=1e-3)


def test_without_notes_there_is_nothing_to_lose() -> None:
    frame = torch.zeros(1, N_FRAMES, 88, requires_grad=True)
    loss = interval_loss(frame, torch.zeros(1, N_FRAMES, 88), drawn(NOTES[:0]), RATE)
    loss.backward()  # type: ignore[no-untyped-call]
    assert float(loss.detach()) == 0
    assert frame.grad is not None
    assert not frame.grad.any()
    # Of the note that goes on nothing is known.
    assert float(interval_loss(frame, torch.zeros(1, N_FRAMES, 88), drawn(NOTES[3:]), RATE).detach()) == 0


def test_gradients_move_the_end_to_where_it_is() -> None:
    frame, offset = (values.clone().requires_grad_(True) for values in logits(NOTES - [0, 0.3, 0, 0], 2.0))
    target = drawn(NOTES)
    before = interval_loss(frame, offset, target, RATE)
    before.backward()  # type: ignore[no-untyped-call]
    assert frame.grad is not None
    assert offset.grad is not None
    with torch.no_grad():
        after = interval_loss(frame - 3 * frame.grad, offset - 3 * offset.grad, target, RATE)
    assert float(after) < 0.7 * float(before.detach())
