"""The network of any instruments: notes as the piano's network hears them, a family for each, and drums.

Which family plays a key is told in one of three ways (:class:`EnsembleConfig`): from what the trunk says of the key
around that time; from that and from what the whole window says of sounds like it; or by a second, narrower trunk,
which is told the notes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor, nn

from transcribe.engine.features import FeatureConfig
from transcribe.engine.trunk import HarmonicBlock, TrunkConfig, fold_all
from transcribe.notes.network import NotesLogits, NotesNetwork
from transcribe.theory.families import DRUMS, FAMILIES

FAMILY_HEADS = ("softmax", "clustered", "staged")
# Kinds of sound that a window is sorted into; more than families, as one has several.
_CLUSTERS = 16
# Dilations of the second trunk's blocks, in steps: a timbre shows over half a second.
_STAGE_DILATIONS = (1, 4, 8)
_DRUM_DILATIONS = (1, 2, 4)


@dataclass(frozen=True)
class EnsembleConfig(TrunkConfig):
    """Size of an :class:`EnsembleNetwork`: that of its trunk and of what it has more than the piano's.

    ``family`` is one of ``FAMILY_HEADS``, ``family_channels`` its width; ``drum_channels`` that of the drums' layers.
    """

    family: str = "softmax"
    family_channels: int = 32
    drum_channels: int = 64

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises
        ------
        ValueError
            If a size is no whole number between 1 and 1024, or there is no such head.
        """
        super().__post_init__()
        sizes = (self.family_channels, self.drum_channels)
        if not all(isinstance(size, int) and 1 <= size <= 1024 for size in sizes):
            raise ValueError("family_channels and drum_channels must be whole numbers between 1 and 1024")
        if self.family not in FAMILY_HEADS:
            raise ValueError(f"family must be one of {', '.join(FAMILY_HEADS)}")


@dataclass(frozen=True)
class EnsembleLogits(NotesLogits):
    """What an :class:`EnsembleNetwork` returns.

    Beside the logits of notes: ``family`` (batch, n_frames / stride, 88, 12), ``drum`` and ``drum_velocity`` (batch,
    n_frames, 5).
    """

    family: Tensor
    drum: Tensor
    drum_velocity: Tensor

    def activations(self) -> tuple[Tensor, ...]:
        """Give what they say, in 0-1, in the order of the fields, with as many frames each."""
        stride = self.onset.shape[1] // self.family.shape[1]
        family = self.family.float().softmax(-1)
        family = family.unsqueeze(2).expand(-1, -1, stride, -1, -1).flatten(1, 2)
        drums = (head.float().sigmoid() for head in (self.drum, self.drum_velocity))
        return (*super().activations(), family, *drums)


class SoftmaxFamily(nn.Module):
    """A family for each key and step, from the trunk around it."""

    reach = 2  # steps to each side

    def __init__(self, config: EnsembleConfig) -> None:
        super().__init__()
        width = config.family_channels
        self.layers = nn.Sequential(
            nn.Conv2d(config.channels, width, 1),
            nn.ReLU(),
            nn.Conv2d(width, width, (5, 1), padding=(2, 0)),
            nn.ReLU(),
            nn.Conv2d(width, len(FAMILIES), 1),
        )

    def forward(self, x: Tensor, notes: NotesLogits) -> Tensor:
        """(B, C, T, P) -> (B, 12, T, P)."""
        return cast(Tensor, self.layers(x))


class ClusteredFamily(nn.Module):
    """A family from a key's own embedding and from the mean of those like it in the window.

    Every embedding is sorted softly into a few kinds; a kind's mean, weighed by whether something sounds, comes back to
    all that belong to it: a note that is hard to tell follows from clear ones by the same instrument.
    """

    reach = 2

    def __init__(self, config: EnsembleConfig) -> None:
        super().__init__()
        width = config.family_channels
        self.embed = nn.Sequential(
            nn.Conv2d(config.channels, width, 1), nn.ReLU(), nn.Conv2d(width, width, (5, 1), padding=(2, 0))
        )
        self.sort = nn.Conv2d(width, _CLUSTERS, 1)
        self.tell = nn.Sequential(nn.Conv2d(2 * width, width, 1), nn.ReLU(), nn.Conv2d(width, len(FAMILIES), 1))

    def forward(self, x: Tensor, notes: NotesLogits) -> Tensor:
        """(B, C, T, P) -> (B, 12, T, P)."""
        embedding = self.embed(x)
        belongs = self.sort(embedding).softmax(1)
        sounding = _steps(notes.frame, x.shape[2]).mean(1, keepdim=True).detach()
        weight = (belongs * sounding.to(belongs.dtype)).flatten(2)
        means = weight @ embedding.flatten(2).transpose(1, 2) / (weight.sum(2, keepdim=True) + 1.0)
        returned = (means.transpose(1, 2) @ belongs.flatten(2)).view_as(embedding)
        return cast(Tensor, self.tell(torch.relu(torch.cat([embedding, returned], 1))))


class StagedFamily(nn.Module):
    """A second, narrower trunk for the families, which is told onsets and frames."""

    reach = 2 * sum(_STAGE_DILATIONS)

    def __init__(self, config: EnsembleConfig) -> None:
        super().__init__()
        width = config.family_channels
        size = replace(config, channels=width, mix_channels=max(1, width // 4))
        self.begin = nn.Conv2d(config.channels + 2 * config.stride, width, 1)
        self.blocks = nn.ModuleList(HarmonicBlock(size, dilation) for dilation in _STAGE_DILATIONS)
        self.end = nn.Conv2d(width, len(FAMILIES), 1)

    def forward(self, x: Tensor, notes: NotesLogits) -> Tensor:
        """(B, C, T, P) -> (B, 12, T, P)."""
        told = [_steps(head, x.shape[2]).detach().to(x.dtype) for head in (notes.onset, notes.frame)]
        y = torch.relu(self.begin(torch.cat([x, *told], 1)))
        for block in self.blocks:
            y = block(y)
        return cast(Tensor, self.end(y))


def _steps(logits: Tensor, n_steps: int) -> Tensor:
    """(B, T, P) -> probabilities (B, stride, T / stride, P)."""
    n_batch, n_frames, n_pitches = logits.shape
    return logits.sigmoid().view(n_batch, n_steps, n_frames // n_steps, n_pitches).transpose(1, 2)


class DrumHead(nn.Module):
    """Onsets and velocities of drums from the bands themselves: a stroke has no pitch, and lasts some frames."""

    reach = 2 + 2 * sum(_DRUM_DILATIONS)  # frames to each side

    def __init__(self, features: FeatureConfig, channels: int) -> None:
        super().__init__()
        # In two dimensions: the CPU has no fast path for a dilated convolution in one.
        self.begin = nn.Conv2d(features.n_mels, channels, (5, 1), padding=(2, 0), bias=False)
        self.begin_norm = nn.BatchNorm2d(channels)
        self.layers = nn.ModuleList(
            nn.ModuleDict(
                {
                    "time": nn.Conv2d(channels, channels, (5, 1), padding=(2 * d, 0), dilation=(d, 1), bias=False),
                    "time_norm": nn.BatchNorm2d(channels),
                }
            )
            for d in _DRUM_DILATIONS
        )
        self.end = nn.Conv2d(channels, 2 * len(DRUMS), 1)

    def forward(self, log_mel: Tensor) -> Tensor:
        """(B, T, n_mels) -> (B, T, 2, 5): logits of onsets and of velocities."""
        y = torch.relu(self.begin_norm(self.begin(log_mel.transpose(1, 2).unsqueeze(-1))))
        for layer in self.layers:
            stage = cast(nn.ModuleDict, layer)
            y = y + torch.relu(stage["time_norm"](stage["time"](y)))
        heads: Tensor = self.end(y).squeeze(-1).transpose(1, 2)
        return heads.view(*heads.shape[:2], 2, len(DRUMS))


class EnsembleNetwork(NotesNetwork):
    """Notes of any instruments, the family that plays each, and drums.

    Parameters
    ----------
    features
        The front end it reads.
    config
        Its size, and how it tells the families.
    """

    config: EnsembleConfig

    def __init__(self, features: FeatureConfig, config: EnsembleConfig) -> None:
        super().__init__(features, config)
        heads = {"softmax": SoftmaxFamily, "clustered": ClusteredFamily, "staged": StagedFamily}
        self.family = heads[config.family](config)
        self.drums = DrumHead(features, config.drum_channels)

    @property
    def border(self) -> int:
        """Frames at each end of a window that see past it; see :class:`NotesNetwork`."""
        stride = self.config.stride
        deeper = super().border + cast(int, self.family.reach) * stride
        return max(deeper, -(-DrumHead.reach // stride) * stride)

    def fused(self) -> EnsembleNetwork:
        """Fold every normalisation into the convolution before it; see :class:`NotesNetwork`."""
        super().fused()
        with torch.no_grad():
            fold_all(self.drums)
            for module in self.family.modules():
                if isinstance(module, HarmonicBlock):
                    module.fuse()
        return self

    def forward(self, log_mel: Tensor) -> EnsembleLogits:
        """(B, T, n_mels) -> logits; T is a multiple of the stride."""
        x = self.trunk(log_mel)
        notes = self.read(x)
        family = self.family(x, notes).permute(0, 2, 3, 1)
        drum, drum_velocity = self.drums(log_mel).unbind(2)
        return EnsembleLogits(**vars(notes), family=family, drum=drum, drum_velocity=drum_velocity)
