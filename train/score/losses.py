"""What the score network learns from, and how right it is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from train.score.batches import example
from train.score.corpus import Performed

WEIGHTS = {"phase": 1.0, "length": 0.7, "right": 1.0}


def losses(network: nn.Module, batch: tuple[Tensor, ...]) -> dict[str, Tensor]:
    """Losses by name, weighted; of a batch of :class:`train.score.batches.Batches`."""
    features, phase, length, staff = batch
    said = network(features)
    known = staff >= 0
    hand = functional.binary_cross_entropy_with_logits(said.right, staff.float(), reduction="none")
    parts = {
        "phase": functional.cross_entropy(said.phase.transpose(1, 2), phase, ignore_index=-1, label_smoothing=0.02),
        "length": functional.cross_entropy(said.length.transpose(1, 2), length, ignore_index=-1, label_smoothing=0.02),
        "right": (hand * known).sum() / known.sum().clamp(min=1),
    }
    return {name: WEIGHTS[name] * value for name, value in parts.items()}


def validate(network: nn.Module, pieces: Sequence[Performed]) -> dict[str, float]:
    """Shares of the notes whose likeliest phase, length and hand are right; means over performances."""
    scores: dict[str, list[float]] = {"phase": [], "length": [], "hand": []}
    for piece in pieces:
        features, *told = example(piece)
        with torch.inference_mode():
            said = network(torch.from_numpy(features)[None])
        guesses = (said.phase[0].argmax(-1), said.length[0].argmax(-1), (said.right[0] > 0).long())
        for name, guess, true in zip(scores, guesses, told, strict=True):
            if (true >= 0).any():
                scores[name].append(float(np.mean((guess.numpy() == true)[true >= 0])))
    return {name: float(np.mean(values)) for name, values in scores.items()}
