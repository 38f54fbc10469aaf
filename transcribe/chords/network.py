"""The chords network: what the notes network hears in, or features; logits of chords and basses out. No files.

Arrays inside are (batch, channels, steps, pitches or pitch classes), written (B, C, T, P) and (B, W, T, 12).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from transcribe.chords.decoder import N_CLASSES, QUALITIES
from transcribe.engine.features import LOWEST_PITCH, N_PITCHES, FeatureConfig
from transcribe.engine.trunk import BINS_PER_SEMITONE, HARMONICS, HarmonicStack, Trunk, TrunkConfig, fold_all

# A quality is a triad with or without a fourth note, so that rare chords borrow from common ones.
TRIADS = ("maj", "min", "dim", "aug", "sus2", "sus4")
_FOURTHS = (None, 9, 10, 11)
_PARTS = {
    "7": ("maj", 10), "maj7": ("maj", 11), "min7": ("min", 10), "minmaj7": ("min", 11), "hdim7": ("dim", 10),
    "dim7": ("dim", 9), "maj6": ("maj", 9), "min6": ("min", 9), "sus4(b7)": ("sus4", 10),
}  # fmt: skip
_OCTAVES = 9  # from C0, so that the keyboard begins at its tenth semitone
# What it reads of a frame of the notes: the onset and the frame activation of every key.
N_INPUTS = 2 * N_PITCHES
# What is made of them for a key: both, the frame's on a logarithmic axis, how likely no lower key sounds.
_READINGS = 4
_FAINTEST = 1e-3  # where the logarithmic axis begins
FRONTS = ("mel", "chroma", "notes")


@dataclass(frozen=True)
class ChordsConfig(TrunkConfig):
    """Size of a :class:`ChordsNetwork`: its trunk's, then ``width`` channels a pitch class.

    ``reach``: dilations in time, one a block over the pitch classes. ``front``: ``mel`` for the trunk, ``chroma`` for
    the spectrum folded to pitch classes and nothing else, ``notes`` for what the notes network hears; these two have no
    trunk. ``normalised``: every frame's mean level is taken away.
    """

    channels: int = 32
    stem_channels: int = 16
    mix_channels: int = 8
    dilations: tuple[int, ...] = (1, 2, 4)
    stride: int = 4
    width: int = 48
    reach: tuple[int, ...] = (1, 2, 4, 8)
    front: str = "mel"
    normalised: bool = False

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises
        ------
        ValueError
            If a size or the front makes no sense.
        """
        super().__post_init__()
        if not all(isinstance(size, int) and 1 <= size <= 1024 for size in (self.width, *self.reach)):
            raise ValueError("width and reach must be whole numbers between 1 and 1024")
        if self.front not in FRONTS or not isinstance(self.normalised, bool):
            raise ValueError(f"front must be one of {', '.join(FRONTS)}, normalised true or false")


@dataclass(frozen=True)
class ChordsLogits:
    """What a :class:`ChordsNetwork` returns: (batch, n_steps, N_CLASSES) and the bass (batch, n_steps, 12)."""

    chord: Tensor
    bass: Tensor

    def activations(self) -> tuple[Tensor, ...]:
        """Probabilities of chords and of basses."""
        return self.chord.float().softmax(-1), self.bass.float().softmax(-1)


class PitchClassBlock(nn.Module):
    """A residual block over pitch classes: a dilated look along time, then one round the circle."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.time = nn.Conv2d(width, width, (5, 1), padding=(2 * dilation, 0), dilation=(dilation, 1), bias=False)
        self.time_norm = nn.BatchNorm2d(width)
        self.circle = nn.Conv2d(width, width, (1, 12), bias=False)
        self.circle_norm = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, W, T, 12) -> (B, W, T, 12)."""
        y = torch.relu_(self.time_norm(self.time(x)))
        y = torch.cat([y, y[..., :11]], dim=-1)
        return x + torch.relu_(self.circle_norm(self.circle(y)))


class ChordsNetwork(nn.Module):
    """Chords from what is heard of every pitch, folded to pitch classes, the same for every root.

    Parameters
    ----------
    features
        The front end it reads.
    config
        Its size.
    """

    changes: Tensor  # (N_CLASSES, N_CLASSES) log-probabilities of changes, from the labels

    def __init__(self, features: FeatureConfig, config: ChordsConfig) -> None:
        super().__init__()
        width = config.width
        self.config, self.n_mels = config, features.n_mels
        if config.front == "mel":
            self.trunk = Trunk(features, config)
            self.fold = nn.Conv2d(config.channels * _OCTAVES, width, 1, bias=False)
        elif config.front == "notes":
            step = (config.stride, 1)
            self.fold = nn.Conv2d(_READINGS * _OCTAVES, width, step, stride=step, bias=False)
        else:
            self.harmonics = HarmonicStack(features)
            self.fold = nn.Conv2d(_OCTAVES, width, 1, bias=False)
        self.fold_norm = nn.BatchNorm2d(width)
        self.blocks = nn.ModuleList(PitchClassBlock(width, dilation) for dilation in config.reach)
        self.parts = nn.Conv2d(width, 1 + len(TRIADS) + len(_FOURTHS), 1)  # root, triad, fourth note
        self.quality_bias = nn.Parameter(torch.zeros(len(QUALITIES)))
        self.bass = nn.Conv2d(width, 1, 1)
        self.none = nn.Linear(2 * width, 1)
        self.register_buffer("changes", torch.zeros(N_CLASSES, N_CLASSES))
        parts = [_PARTS.get(quality, (quality, None)) for quality in QUALITIES]
        self._triads = [TRIADS.index(triad) for triad, _ in parts]
        self._fourths = [_FOURTHS.index(fourth) for _, fourth in parts]

    @property
    def n_inputs(self) -> int:
        """How many numbers a frame of the input has."""
        return N_INPUTS if self.config.front == "notes" else self.n_mels

    @property
    def border(self) -> int:
        """Frames at each end of a window that see past it; a multiple of the stride."""
        trunk = self.trunk.border if self.config.front == "mel" else 0
        return trunk + 2 * sum(self.config.reach) * self.config.stride

    def fused(self) -> ChordsNetwork:
        """Fold every normalisation into the convolution before it, for inference; the weights are moved, not copied."""
        if self.training:
            raise ValueError("only a network in evaluation mode can be fused")
        with torch.no_grad():
            if self.config.front == "mel":
                self.trunk.fuse()
            fold_all(self)
        return self

    def forward(self, frames: Tensor) -> ChordsLogits:
        """(B, T, n_inputs) -> logits of T / stride steps; T is a multiple of the stride."""
        if self.config.normalised:
            frames = frames - frames.mean(dim=-1, keepdim=True)
        x = self._folded(self._heard(frames))
        for block in self.blocks:
            x = block(x)
        parts = self.parts(x).transpose(1, 2)  # (B, T, parts, 12)
        root, triad, fourth = parts.split([1, len(TRIADS), len(_FOURTHS)], dim=2)
        chord = root + triad[:, :, self._triads] + fourth[:, :, self._fourths] + self.quality_bias[:, None]
        none = self.none(torch.cat([x.mean(-1), x.amax(-1)], dim=1).transpose(1, 2))
        return ChordsLogits(torch.cat([chord.transpose(2, 3).flatten(2), none], dim=-1), self.bass(x).squeeze(1))

    def _heard(self, frames: Tensor) -> Tensor:
        """(B, T, n_inputs) -> (B, C, T, P)."""
        if self.config.front == "notes":
            return self._keys(frames)
        return cast(Tensor, self.trunk(frames)) if self.config.front == "mel" else self._spectrum(frames)

    def _spectrum(self, log_mel: Tensor) -> Tensor:
        """(B, T, n_mels) -> (B, 1, T / stride, P): the fundamental's bin of every pitch."""
        start = self.harmonics.starts[HARMONICS.index(1)]
        spectrum = (log_mel @ self.harmonics.interpolation)[..., start : start + self.harmonics.n_bins]
        pitches = spectrum.reshape(*spectrum.shape[:2], N_PITCHES, BINS_PER_SEMITONE).amax(-1)
        return nn.functional.avg_pool2d(pitches.unsqueeze(1), (self.config.stride, 1))

    def _keys(self, heard: Tensor) -> Tensor:
        """(B, T, 176) -> (B, 4, T, P): what is heard of the keys, and which of them is the lowest."""
        onset, frame = heard[..., :N_PITCHES], heard[..., N_PITCHES:]
        faint = 1 - torch.log10(frame.clamp(min=_FAINTEST)) / math.log10(_FAINTEST)
        silent = torch.log1p(-frame.clamp(max=0.999))
        lowest = frame * torch.exp(torch.cumsum(silent, dim=-1) - silent)
        return torch.stack([onset, frame, faint, lowest], dim=1)

    def _folded(self, x: Tensor) -> Tensor:
        """(B, C, T, P) -> (B, width, T, 12): every octave has its own weights, every pitch class the same."""
        below = LOWEST_PITCH - 12
        padded = nn.functional.pad(x, (below, 12 * _OCTAVES - below - N_PITCHES))
        octaves = padded.reshape(*x.shape[:3], _OCTAVES, 12)
        return torch.relu_(self.fold_norm(self.fold(octaves.permute(0, 1, 3, 2, 4).flatten(1, 2))))
