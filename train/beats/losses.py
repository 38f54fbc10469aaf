"""What the beat network learns from."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

# A beat may be found this many frames from where it was annotated.
TOLERANCE = 2
# How much more a beat counts than a frame without one, and a downbeat.
_BEAT, _DOWNBEAT = 5.0, 8.0
_SMOOTHING = 0.02
WEIGHTS = {"beat": 1.0, "downbeat": 1.0, "triple": 0.2, "tempo": 0.1, "metre": 0.2}


def shift_tolerant(logits: Tensor, target: Tensor, weight: Tensor, positive: float) -> Tensor:
    """Binary cross-entropy that lets a beat lie a little off (the idea of Beat This!, Foscarin et al. 2024).

    The highest logit within ``TOLERANCE`` frames answers for an annotated beat; frames near one but not on it count
    nothing.

    Parameters
    ----------
    logits, target, weight
        Shape (B, T).
    positive
        The weight of annotated frames.
    """
    near = functional.max_pool1d(logits[:, None], 2 * TOLERANCE + 1, 1, TOLERANCE)[:, 0]
    around = functional.max_pool1d(target[:, None], 4 * TOLERANCE + 1, 1, 2 * TOLERANCE)[:, 0]
    counted = weight * (target * positive + (1 - around))
    loss = functional.binary_cross_entropy_with_logits(near, target * (1 - _SMOOTHING), reduction="none")
    return (loss * counted).sum() / counted.sum().clamp(min=1)


def losses(network: nn.Module, batch: tuple[Tensor, ...]) -> dict[str, Tensor]:
    """Losses by name, weighted; of a batch of :class:`train.beats.batches.Batches`."""
    features, beat, beat_weight, downbeat, downbeat_weight, triple, triple_weight, tempo, metre = batch
    said = network(features)
    with torch.autocast(features.device.type, enabled=False):
        parts = {
            "beat": shift_tolerant(said.beat.float(), beat, beat_weight, _BEAT),
            "downbeat": shift_tolerant(said.downbeat.float(), downbeat, downbeat_weight, _DOWNBEAT),
        }
        # Slow outputs are the same for eight frames: one of them is enough.
        slow = slice(4, None, 8)
        unsure = functional.binary_cross_entropy_with_logits(
            said.triple[:, slow].float(), triple[:, slow], reduction="none"
        )
        weight = triple_weight[:, slow]
        parts["triple"] = (unsure * weight).sum() / weight.sum().clamp(min=1)
        told = said.tempo[:, slow].float().log_softmax(-1)
        wanted = tempo[:, slow]
        parts["tempo"] = -(wanted * told).sum() / wanted.sum().clamp(min=1)
        parts["metre"] = functional.cross_entropy(
            said.metre[:, slow].float().transpose(1, 2), metre[:, slow], ignore_index=-1, label_smoothing=0.05
        ).nan_to_num()
    return {name: WEIGHTS[name] * value for name, value in parts.items()}
