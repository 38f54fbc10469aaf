"""The layers that networks share: features in, what every pitch says out. No files, no decoding.

Arrays inside are (batch, channels, frames, pitches), written (B, C, T, P) on the lines where it matters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from transcribe.engine.features import LOWEST_PITCH, N_PITCHES, FeatureConfig

BINS_PER_SEMITONE = 3
HARMONICS = (0.5, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12)
# Where the partials of other notes meet this one's, as (semitones apart, how many times to either side): neighbours;
# octaves up to three; the twelfth; two octaves and a third; two octaves and a fifth.
HARMONIC_STEPS = ((1, 1), (12, 3), (19, 1), (28, 1), (31, 1))
# In steps of the trunk, one a convolution: the receptive field of the pooled context is half a second around.
CONTEXT_DILATIONS = (1, 2)
# The harmonics, filled up to what processors compute at once.
_CHANNELS_WITHOUT_RISE = 16


@dataclass(frozen=True)
class TrunkConfig:
    """Size of a :class:`Trunk`.

    ``channels`` a pitch in the trunk, ``stem_channels`` before it, ``mix_channels`` seen at the harmonically related
    pitches; ``dilations`` in time, one a residual block; ``stride``: frames that the trunk takes in one step (its
    heads tell them apart again).
    """

    channels: int = 64
    stem_channels: int = 32
    mix_channels: int = 16
    dilations: tuple[int, ...] = (1, 2, 4, 8)
    stride: int = 2

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises
        ------
        ValueError
            If a size is no whole number between 1 and 1024, or the stride is none of 1, 2 and 4.
        """
        sizes = (self.channels, self.stem_channels, self.mix_channels, *self.dilations)
        if not all(isinstance(size, int) and 1 <= size <= 1024 for size in sizes):
            raise ValueError("channels and dilations must be whole numbers between 1 and 1024")
        if self.stride not in (1, 2, 4):
            raise ValueError("stride must be 1, 2 or 4")


class HarmonicStack(nn.Module):
    """Show every pitch its own partials.

    The log-mel bands are interpolated to a logarithmic axis of three bins a semitone (one fixed matrix), where
    the partials of a note lie at fixed distances, so that stacking them is a matter of slicing. One network
    can then read all pitches with the same weights (the idea of HPPNet and basic-pitch).
    """

    interpolation: Tensor  # (n_mels, n_bins on the logarithmic axis)

    def __init__(self, features: FeatureConfig) -> None:
        super().__init__()
        per_octave = 12 * BINS_PER_SEMITONE
        self.n_bins = N_PITCHES * BINS_PER_SEMITONE
        shifts = [round(per_octave * float(np.log2(h / HARMONICS[0]))) for h in HARMONICS]
        # The middle one of a pitch's three bins stands on its fundamental.
        semitones = np.arange(self.n_bins + shifts[-1]) / BINS_PER_SEMITONE - 1 / BINS_PER_SEMITONE
        frequencies = 440.0 * 2.0 ** ((LOWEST_PITCH - 69 + semitones) / 12) * HARMONICS[0]
        self.starts = shifts
        self.with_rise = True
        self.register_buffer("interpolation", _interpolation(features.mel_frequencies(), frequencies), persistent=False)

    def forward(self, log_mel: Tensor) -> Tensor:
        """(B, T, n_mels) -> (B, 2 * harmonics, T, 264): the spectrum and its rise since the frame before.

        Without the rise (B, 16, T, 264); the spare channels weigh nothing.
        """
        spectrum = log_mel @ self.interpolation
        if not self.with_rise:
            starts = self.starts + self.starts[:1] * (_CHANNELS_WITHOUT_RISE - len(self.starts))
            return torch.stack([spectrum[..., start : start + self.n_bins] for start in starts], dim=1)
        rise = torch.diff(spectrum, dim=1, prepend=spectrum[:, :1])
        both = torch.stack([spectrum, rise], dim=1)
        slices = [both[..., start : start + self.n_bins] for start in self.starts]
        return torch.cat(slices, dim=1)


def _interpolation(mel: np.ndarray, frequencies: np.ndarray) -> Tensor:
    """Linear interpolation as a matrix (n_mels, n_frequencies); zero above the highest band."""
    position = np.interp(frequencies, mel, np.arange(len(mel)))
    low = np.minimum(position.astype(int), len(mel) - 2)
    matrix = np.zeros((len(mel), len(frequencies)), np.float32)
    columns = np.arange(len(frequencies))
    matrix[low, columns] = 1 - (position - low)
    matrix[low + 1, columns] += position - low
    matrix[:, frequencies > mel[-1]] = 0
    return torch.from_numpy(matrix)


class HarmonicBlock(nn.Module):
    """A residual block: a dilated look along time, then a look at the harmonically related pitches."""

    def __init__(self, config: TrunkConfig, dilation: int) -> None:
        super().__init__()
        channels = config.channels
        self.time = nn.Conv2d(channels, channels, (5, 1), padding=(2 * dilation, 0), dilation=(dilation, 1), bias=False)
        self.time_norm = nn.BatchNorm2d(channels)
        self.squeeze = nn.Conv2d(channels, config.mix_channels, 1)
        # One convolution for each step, dilated by it: quicker than gathering the pitches for a single one.
        self.mix = nn.ModuleList(
            nn.Conv2d(
                config.mix_channels,
                channels,
                (1, 2 * reach + 1),
                padding=(0, step * reach),
                dilation=(1, step),
                bias=False,
            )
            for step, reach in HARMONIC_STEPS
        )
        self.mix_norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T, P) -> (B, C, T, P)."""
        return self.across_pitch(x, self.time(x))

    def across_pitch(self, x: Tensor, along_time: Tensor) -> Tensor:
        """Look at the related pitches in what was seen along time, and add what is found to ``x``."""
        y = self.squeeze(torch.relu_(self.time_norm(along_time)))
        mixed: Tensor = self.mix[0](y)
        for convolution in self.mix[1:]:
            mixed += convolution(y)
        return x + torch.relu_(self.mix_norm(mixed))

    def fuse(self) -> None:
        """Fold both normalisations into the convolutions before them."""
        fold(self, "time", "time_norm")
        scale = self.mix_norm.weight * torch.rsqrt(cast(Tensor, self.mix_norm.running_var) + self.mix_norm.eps)
        for convolution in self.mix[1:]:
            cast(nn.Conv2d, convolution).weight.mul_(scale[:, None, None, None])
        self.mix[0] = fuse_conv_bn_eval(cast(nn.Conv2d, self.mix[0]), self.mix_norm)
        setattr(self, "mix_norm", nn.Identity())  # noqa: B010 - a plain assignment would change the declared type


def fold(module: nn.Module, convolution: str, norm: str) -> None:
    """Replace a convolution and the normalisation after it, named as children of a module, by one convolution."""
    setattr(module, convolution, fuse_conv_bn_eval(getattr(module, convolution), getattr(module, norm)))
    setattr(module, norm, nn.Identity())


def fold_all(module: nn.Module) -> None:
    """Fold every normalisation below a module that is named ``NAME_norm`` into the convolution ``NAME`` beside it."""
    for parent in module.modules():
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.BatchNorm2d) and name.endswith("_norm"):
                fold(parent, name.removesuffix("_norm"), name)


class PitchContext(nn.Module):
    """What all pitches together say, along time: pooled over pitch, normalised, then dilated convolutions."""

    def __init__(self, channels: int, out_channels: int, dilations: tuple[int, ...]) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(2 * channels)
        layers: list[nn.Module] = []
        for i, dilation in enumerate(dilations):
            n_in = channels if i else 2 * channels
            # In two dimensions: the CPU has no fast path for a dilated convolution in one.
            convolution = nn.Conv2d(n_in, channels, (5, 1), padding=(2 * dilation, 0), dilation=(dilation, 1))
            layers += [convolution, nn.ReLU()]
        self.time = nn.Sequential(*layers, nn.Conv2d(channels, out_channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T, P) -> (B, out_channels, T, 1)."""
        y: Tensor = self.time(self.pooled(x))
        return y

    def pooled(self, x: Tensor) -> Tensor:
        """(B, C, T, P) -> (B, 2 * C, T, 1), normalised."""
        over_pitch = (1, N_PITCHES)
        pooled = [nn.functional.avg_pool2d(x, over_pitch), nn.functional.max_pool2d(x, over_pitch)]
        normalised: Tensor = self.norm(torch.cat(pooled, dim=1))
        return normalised


class Trunk(nn.Module):
    """What all networks hear with: every pitch's partials, then blocks that look along time and the harmonics.

    Parameters
    ----------
    features
        The front end it reads.
    config
        Its size.
    """

    def __init__(self, features: FeatureConfig, config: TrunkConfig) -> None:
        super().__init__()
        stem, channels, stride = config.stem_channels, config.channels, config.stride
        self.config = config
        self.harmonics = HarmonicStack(features)
        self.stem = nn.Sequential(
            nn.Conv2d(2 * len(HARMONICS), stem, (3, 5), stride=(1, BINS_PER_SEMITONE), padding=(1, 1), bias=False),
            nn.BatchNorm2d(stem),
            nn.ReLU(),
            nn.Conv2d(stem, channels, (stride + 2, 3), stride=(stride, 1), padding=1, bias=False),
            nn.BatchNorm2d(channels),
        )
        self.pitch_offset = nn.Parameter(torch.zeros(channels, 1, N_PITCHES))
        self.blocks = nn.ModuleList(HarmonicBlock(config, dilation) for dilation in config.dilations)
        self.context = PitchContext(channels, channels, CONTEXT_DILATIONS)

    @property
    def border(self) -> int:
        """Frames at each end of a window that see past it; a multiple of the stride.

        The context reaches further and meets zeros there, as it did in training.
        """
        stride = self.config.stride
        return (2 * sum(self.config.dilations) + 1) * stride + max(4, 2 * stride)

    def fuse(self) -> None:
        """Fold every normalisation into the convolution before it, and the rise into the stem."""
        fold(self.stem, "0", "1")
        fold(self.stem, "3", "4")
        self._take_in_the_rise()
        for block in self.blocks:
            cast(HarmonicBlock, block).fuse()

    def _take_in_the_rise(self) -> None:
        """Let the stem's first convolution see one frame more instead of the rise: a third of its work is saved."""
        before = cast(nn.Conv2d, self.stem[0])
        spectrum, rise = before.weight[:, 0::2], before.weight[:, 1::2]
        after = nn.Conv2d(_CHANNELS_WITHOUT_RISE, before.out_channels, (4, 5), (1, BINS_PER_SEMITONE))
        after.weight.zero_()
        after.weight[:, : len(HARMONICS), 1:] = spectrum + rise
        after.weight[:, : len(HARMONICS), :-1] -= rise
        after.bias = before.bias
        self.stem[0] = nn.Sequential(nn.ZeroPad2d((1, 1, 2, 1)), after)
        self.harmonics.with_rise = False

    def forward(self, log_mel: Tensor) -> Tensor:
        """(B, T, n_mels) -> (B, channels, T / stride, P); T is a multiple of the stride."""
        stride = self.config.stride
        if log_mel.shape[1] % stride:
            raise ValueError(f"the number of frames must be a multiple of the stride, {stride}")
        x = self.stem(self.harmonics(log_mel))
        x = torch.relu_(x + self.pitch_offset.to(x.dtype))  # in half precision what follows stays there
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i == (len(self.blocks) - 1) // 2:
                x = x + self.context(x)
        return cast(Tensor, x)
