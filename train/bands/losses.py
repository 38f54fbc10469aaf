"""What the network of any instruments minimises."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from train.bands.excerpts import NOBODY
from train.notes.task import note_losses
from transcribe.notes.ensemble_network import EnsembleLogits

# Beside the notes' losses, by which they were set to about the size of the onsets'; not tuned.
_FAMILY, _DRUM, _DRUM_VELOCITY = 0.25, 1.0, 1.5


def losses(network: nn.Module, batch: tuple[Tensor, ...]) -> dict[str, Tensor]:
    """Compute the losses of notes, families and drums.

    Parameters
    ----------
    network
        An :class:`~transcribe.notes.ensemble_network.EnsembleNetwork`, or what wraps one.
    batch
        Features (B, T, n_mels), notes (B, 6, T, 88), families (B, T, 88), drums (B, 3, T, 5).

    Returns
    -------
    dict
        Losses by name: sums over pitches, families and drums, means over time and excerpts. A family counts where its
        key sounds, three times as much at onsets, where decoders ask.
    """
    log_mel, target, families, drums = batch
    logits = cast(EnsembleLogits, network(log_mel))
    n_slices = target.shape[0] * target.shape[2]
    return {
        **note_losses(logits, target),
        "family": _FAMILY * _family_entropy(logits.family, families, target[:, 0]) / n_slices,
        **_drum_losses(logits, drums, n_slices),
    }


def _family_entropy(logits: Tensor, families: Tensor, onset: Tensor) -> Tensor:
    """Sum the cross-entropy over all frames; a step of the trunk answers for its first frame's."""
    stride = families.shape[1] // logits.shape[1]
    wanted = families[:, ::stride].long()
    weight = 1 + 2 * onset.view(len(onset), -1, stride, onset.shape[2]).amax(2)
    wanted = torch.where(wanted == NOBODY, -1, wanted)
    entropy = nn.functional.cross_entropy(
        logits.float().flatten(0, 2), wanted.flatten(), ignore_index=-1, reduction="none"
    )
    total: Tensor = stride * (entropy * weight.flatten()).sum()
    return total


def _drum_losses(logits: EnsembleLogits, drums: Tensor, n_slices: int) -> dict[str, Tensor]:
    onset, velocity, known = drums.unbind(1)

    def entropy(values: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
        return nn.functional.binary_cross_entropy_with_logits(values.float(), truth, weight, reduction="sum")

    return {
        "drum": _DRUM * entropy(logits.drum, onset, 1 + 2 * onset) / n_slices,
        "drum velocity": _DRUM_VELOCITY * entropy(logits.drum_velocity, velocity, known) / known.sum().clamp(min=1),
    }
