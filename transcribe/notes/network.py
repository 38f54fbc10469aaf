"""The notes network: features in, logits of notes and the pedal out. No files, no decoding."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from transcribe.engine.features import N_PITCHES, FeatureConfig
from transcribe.engine.trunk import PitchContext, Trunk, TrunkConfig

# In steps of the trunk, one a convolution: wider than the context's, since a pedal is held for long.
PEDAL_DILATIONS = (1, 4, 8)


@dataclass(frozen=True)
class NotesLogits:
    """What a :class:`NotesNetwork` returns; each (batch, n_frames, 88), the pedal (batch, n_frames)."""

    onset: Tensor
    frame: Tensor
    offset: Tensor
    velocity: Tensor
    pedal: Tensor

    def activations(self) -> tuple[Tensor, ...]:
        """Give what they say, in 0-1, in the order of the fields."""
        heads = (self.onset, self.frame, self.offset, self.velocity, self.pedal)
        return tuple(head.float().sigmoid() for head in heads)


class NotesNetwork(nn.Module):
    """88-way CNN over a log-mel spectrogram, its weights shared over pitch.

    Parameters
    ----------
    features
        The front end it reads.
    config
        The size of its trunk.
    """

    def __init__(self, features: FeatureConfig, config: TrunkConfig) -> None:
        super().__init__()
        channels, stride = config.channels, config.stride
        self.config = config
        self.trunk = Trunk(features, config)
        self.head = nn.Sequential(
            nn.Conv2d(channels, channels, 1), nn.ReLU(), nn.Conv2d(channels, 4 * stride, (3, 1), padding=(1, 0))
        )
        self.pedal = PitchContext(channels, stride, PEDAL_DILATIONS)

    @property
    def border(self) -> int:
        """Frames at each end of a window that see past it in the trunk; the pedal's context meets zeros there."""
        return self.trunk.border

    def fused(self) -> NotesNetwork:
        """Fold every normalisation into the convolution before it, for inference; the weights are moved, not copied."""
        if self.training:
            raise ValueError("only a network in evaluation mode can be fused")
        with torch.no_grad():
            self.trunk.fuse()
        return self

    def forward(self, log_mel: Tensor) -> NotesLogits:
        """(B, T, n_mels) -> logits of as many frames; T is a multiple of the stride."""
        return self.read(self.trunk(log_mel))

    def read(self, x: Tensor) -> NotesLogits:
        """Read notes and pedal from what the trunk says, (B, channels, T / stride, P)."""
        stride = self.config.stride
        heads = self.head(x)  # (B, 4 * stride, T / stride, P): the frames of a step lie side by side
        n_batch, _, n_steps, _ = heads.shape
        heads = heads.view(n_batch, 4, stride, n_steps, N_PITCHES).transpose(2, 3).flatten(2, 3)
        onset, frame, offset, velocity = heads.unbind(1)
        pedal = self.pedal(x).squeeze(-1).transpose(1, 2).flatten(1)
        return NotesLogits(onset, frame, offset, velocity, pedal)
