"""The spelling network: features of notes in, logits of their names out. No files, no decoding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from torch import Tensor, nn
from torch.nn import functional

from transcribe.score.network import Block, ScoreConfig
from transcribe.score.spelling import N_FEATURES, PLACES


@dataclass(frozen=True)
class SpellingLogits:
    """What a :class:`SpellingNetwork` returns: (B, n, PLACES)."""

    places: Tensor

    def activations(self) -> tuple[Tensor, ...]:
        """Logarithms of probabilities."""
        return (self.places.float().log_softmax(-1),)


class SpellingNetwork(nn.Module):
    """Names of notes, by the dilated convolutions of :mod:`transcribe.score.network`.

    Parameters
    ----------
    config
        Its size.
    """

    def __init__(self, config: ScoreConfig) -> None:
        super().__init__()
        self.config = config
        self.stem = nn.Conv1d(N_FEATURES, config.channels, 1)
        self.blocks = nn.ModuleList(Block(config.channels, d, config.dropout) for d in config.dilations)
        self.norm = nn.BatchNorm1d(config.channels)
        self.head = nn.Conv1d(config.channels, len(PLACES), 1)

    @property
    def border(self) -> int:
        """How many notes on either side an answer depends on."""
        return sum(self.config.dilations)

    def forward(self, features: Tensor) -> SpellingLogits:
        """(B, n, N_FEATURES) -> logits."""
        x = self.stem(features.transpose(1, 2))
        for block in self.blocks:
            x = block(x)
        return SpellingLogits(cast(Tensor, self.head(functional.gelu(self.norm(x))).transpose(1, 2)))
