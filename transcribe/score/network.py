"""The score network: features of notes and beats in, logits of place, length and hand out. No files, no decoding.

Dilated convolutions along the notes in order: what a figure is, is seen from the notes around. Arrays inside are
(batch, channels, notes).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from torch import Tensor, nn
from torch.nn import functional

from transcribe.score.features import LENGTHS, N_FEATURES, PHASES


@dataclass(frozen=True)
class ScoreConfig:
    """Size of a :class:`ScoreNetwork`: channels; how far apart the notes are that each block's filter sees."""

    channels: int = 64
    dilations: tuple[int, ...] = (1, 2, 4, 8, 16, 1, 2, 4, 8, 16)
    dropout: float = 0.1

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises
        ------
        ValueError
            If a size makes no sense.
        """
        if not all(isinstance(size, int) and 1 <= size <= 1024 for size in (self.channels, *self.dilations)):
            raise ValueError("channels and dilations must be whole numbers between 1 and 1024")


@dataclass(frozen=True)
class ScoreLogits:
    """What a :class:`ScoreNetwork` returns: (B, n, PHASES), (B, n, LENGTHS), and (B, n) for the right hand."""

    phase: Tensor
    length: Tensor
    right: Tensor

    def activations(self) -> tuple[Tensor, ...]:
        """Logarithms of probabilities of phases and lengths; the probability of the right hand."""
        return self.phase.float().log_softmax(-1), self.length.float().log_softmax(-1), self.right.float().sigmoid()


class Block(nn.Module):
    """A residual block along the notes."""

    def __init__(self, channels: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.conv = nn.Conv1d(channels, channels, 3, padding=dilation, dilation=dilation, bias=False)
        self.norm = nn.BatchNorm1d(channels)
        self.mix = nn.Conv1d(channels, channels, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, n) -> (B, C, n)."""
        return cast(Tensor, x + self.dropout(self.mix(functional.gelu(self.norm(self.conv(x))))))


class ScoreNetwork(nn.Module):
    """Place, length and hand of notes.

    Parameters
    ----------
    config
        Its size.
    """

    def __init__(self, config: ScoreConfig) -> None:
        super().__init__()
        self.config = config
        self.before = nn.BatchNorm1d(N_FEATURES)
        self.stem = nn.Conv1d(N_FEATURES, config.channels, 1)
        self.blocks = nn.ModuleList(Block(config.channels, d, config.dropout) for d in config.dilations)
        self.norm = nn.BatchNorm1d(config.channels)
        self.head = nn.Conv1d(config.channels, len(PHASES) + len(LENGTHS) + 1, 1)

    @property
    def border(self) -> int:
        """How many notes on either side an answer depends on."""
        return sum(self.config.dilations)

    def forward(self, features: Tensor) -> ScoreLogits:
        """(B, n, N_FEATURES) -> logits."""
        x = self.stem(self.before(features.transpose(1, 2)))
        for block in self.blocks:
            x = block(x)
        told = self.head(functional.gelu(self.norm(x))).transpose(1, 2)
        phase, length, right = told.split([len(PHASES), len(LENGTHS), 1], -1)
        return ScoreLogits(phase, length, right[..., 0])
