"""What the network of any instruments minimises."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from train.bands.excerpts import NOBODY
from train.cache import Prepared
from train.notes.task import note_losses
from transcribe.notes.ensemble_network import EnsembleLogits
from transcribe.theory.families import FAMILIES

# Beside the notes' losses, by which they were set to about the size of the onsets'; the family's was chosen among 0.25
# and 1 (README).
_FAMILY, _DRUM, _DRUM_VELOCITY = 1.0, 1.0, 1.5


def rarity(pieces: Sequence[Prepared]) -> Tensor:
    """Weigh families by one over the root of their share of all notes, 1 in the mean over the notes: float32 (12,).

    Without it the rare ones, keys, brass, reed and synth, are never named.
    """
    counts = sum(np.bincount(piece.labels["families"], minlength=len(FAMILIES)) for piece in pieces)
    shares = counts / max(1, np.sum(counts))
    weights = np.maximum(shares, 1e-3) ** -0.5
    return torch.tensor(weights / (shares * weights).sum(), dtype=torch.float32)


class BandLosses:
    """The losses of notes, families and drums.

    Parameters
    ----------
    families
        Weight of each family (12,), see :func:`rarity`.
    """

    def __init__(self, families: Tensor) -> None:
        self.families = families

    def __call__(self, network: nn.Module, batch: tuple[Tensor, ...]) -> dict[str, Tensor]:
        """Compute them.

        Parameters
        ----------
        network
            An :class:`~transcribe.notes.ensemble_network.EnsembleNetwork`, or what wraps one.
        batch
            Features (B, T, n_mels), notes (B, 6, T, 88), families (B, T, 88), drums (B, 3, T, 5).

        Returns
        -------
        dict
            Losses by name: sums over pitches, families and drums, means over time and excerpts. A family counts where
            its key sounds, three times as much at onsets, where decoders ask.
        """
        log_mel, target, families, drums = batch
        logits = cast(EnsembleLogits, network(log_mel))
        n_slices = target.shape[0] * target.shape[2]
        entropy = _family_entropy(logits.family, families, target[:, 0], self.families)
        return {
            **note_losses(logits, target),
            "family": _FAMILY * entropy / n_slices,
            **_drum_losses(logits, drums, n_slices),
        }


def _family_entropy(logits: Tensor, families: Tensor, onset: Tensor, weights: Tensor) -> Tensor:
    """Sum the cross-entropy over all frames; a step of the trunk answers for its first frame's."""
    stride = families.shape[1] // logits.shape[1]
    wanted = families[:, ::stride].long()
    weight = 1 + 2 * onset.view(len(onset), -1, stride, onset.shape[2]).amax(2)
    wanted = torch.where(wanted == NOBODY, -1, wanted)
    entropy = nn.functional.cross_entropy(
        logits.float().flatten(0, 2), wanted.flatten(), weights, ignore_index=-1, reduction="none"
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
