"""The instruments network: log-mel in, logits of families and instruments out. No files, no decoding.

Timbre stands in how the partials lie to each other and how a note begins, wherever it is pitched: small squares of the
spectrogram, seen coarser and coarser, then what lies around in time.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from transcribe.engine.features import FeatureConfig
from transcribe.engine.trunk import fold_all
from transcribe.instruments.decoder import FAMILIES, INSTRUMENTS
from transcribe.instruments.joined import COLUMNS, LOWEST, N_INPUTS, N_LABELS
from transcribe.theory.families import FAMILIES as OF_NOTES

STRIDE = 8
# Stride in time and in frequency of each stage after the stem, whose own is (2, 2).
_STAGES = ((2, 2), (2, 2), (1, 2), (1, 2))
_DILATIONS = (1, 2, 4)


@dataclass(frozen=True)
class InstrumentsConfig:
    """Size of an :class:`InstrumentsNetwork`: ``channels`` of the stem and of four stages, ``width`` of the heads."""

    channels: tuple[int, ...] = (32, 48, 64, 96, 128)
    width: int = 160

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises
        ------
        ValueError
            If a size is no whole number between 1 and 1024, or there are not five channels.
        """
        sizes = (*self.channels, self.width)
        if not all(isinstance(size, int) and 1 <= size <= 1024 for size in sizes):
            raise ValueError("channels and width must be whole numbers between 1 and 1024")
        if len(self.channels) != 1 + len(_STAGES):
            raise ValueError(f"channels must be {1 + len(_STAGES)} numbers")

    @property
    def stride(self) -> int:
        """Frames a step of the output."""
        return STRIDE


@dataclass(frozen=True)
class InstrumentsLogits:
    """What an :class:`InstrumentsNetwork` returns: (batch, n_steps, 12) and (batch, n_steps, 25)."""

    families: Tensor
    instruments: Tensor

    def activations(self) -> tuple[Tensor, ...]:
        """Probabilities of families and of instruments."""
        return self.families.float().sigmoid(), self.instruments.float().sigmoid()


class _Stage(nn.Module):
    """Two convolutions of 3 x 3, the first with a stride, the second around a shortcut."""

    def __init__(self, n_in: int, n_out: int, stride: tuple[int, int]) -> None:
        super().__init__()
        self.down = nn.Conv2d(n_in, n_out, 3, stride, padding=1, bias=False)
        self.down_norm = nn.BatchNorm2d(n_out)
        self.again = nn.Conv2d(n_out, n_out, 3, padding=1, bias=False)
        self.again_norm = nn.BatchNorm2d(n_out)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T, F) -> (B, C', T', F')."""
        x = torch.relu_(self.down_norm(self.down(x)))
        return torch.relu_(x + self.again_norm(self.again(x)))


class InstrumentsNetwork(nn.Module):
    """Which families and instruments sound, step by step.

    Parameters
    ----------
    features
        The front end it reads.
    config
        Its size.
    """

    def __init__(self, features: FeatureConfig, config: InstrumentsConfig) -> None:
        super().__init__()
        self.config = config
        stem, width = config.channels[0], config.width
        self.stem = nn.Conv2d(1, stem, 5, 2, padding=2, bias=False)
        self.stem_norm = nn.BatchNorm2d(stem)
        self.stages = nn.ModuleList(
            _Stage(n_in, n_out, stride)
            for n_in, n_out, stride in zip(config.channels, config.channels[1:], _STAGES, strict=False)
        )
        n_bands = -(-features.n_mels // 2)
        for _, stride in _STAGES:
            n_bands = -(-n_bands // stride)
        self.bands = nn.Conv2d(config.channels[-1], width, (1, n_bands), bias=False)
        self.bands_norm = nn.BatchNorm2d(width)
        self.context = nn.ModuleList(
            nn.Conv2d(width, width, (5, 1), padding=(2 * dilation, 0), dilation=(dilation, 1))
            for dilation in _DILATIONS
        )
        self.heads = nn.Conv2d(width, len(FAMILIES) + len(INSTRUMENTS), 1)

    @property
    def border(self) -> int:
        """Frames at each end of a window that see past it; a multiple of the stride."""
        reach, scale = 2, 2
        for stride, _ in _STAGES:
            reach += scale + scale * stride
            scale *= stride
        reach += 2 * sum(_DILATIONS) * scale
        return -(-reach // STRIDE) * STRIDE

    def fused(self) -> InstrumentsNetwork:
        """Fold every normalisation into the convolution before it, for inference; the weights are moved, not copied."""
        if self.training:
            raise ValueError("only a network in evaluation mode can be fused")
        with torch.no_grad():
            fold_all(self)
        return self

    def forward(self, log_mel: Tensor) -> InstrumentsLogits:
        """(B, T, n_mels) -> logits of T / 8 steps; T is a multiple of 8."""
        if log_mel.shape[1] % STRIDE:
            raise ValueError(f"the number of frames must be a multiple of the stride, {STRIDE}")
        x = torch.relu_(self.stem_norm(self.stem(log_mel.unsqueeze(1))))
        for stage in self.stages:
            x = stage(x)
        x = torch.relu_(self.bands_norm(self.bands(x)))
        for convolution in self.context:
            x = x + torch.relu_(convolution(x))
        heads = self.heads(x).squeeze(-1).transpose(1, 2)
        families, instruments = heads.split([len(FAMILIES), len(INSTRUMENTS)], dim=-1)
        return InstrumentsLogits(families, instruments)


# What NSynth's families are called where notes have them.
_OF_NOTES = {"keyboard": ("piano", "keys"), "string": ("strings",), "synth lead": ("synth",), "vocal": ("voice",)}
# Where logarithms of what sounds begin.
_FAINT, _FEW = 0.01, 0.05


@dataclass(frozen=True)
class JoinedConfig:
    """Size of a :class:`JoinedNetwork`: ``width`` of its layers, their dilations in time (``reach``).

    ``listener`` is the name of the network of the spectrum that it reads.
    """

    width: int = 64
    reach: tuple[int, ...] = (1, 3)
    listener: str = "instruments-3"

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises
        ------
        ValueError
            If a size is no whole number between 1 and 1024, or nobody is named.
        """
        if not all(isinstance(size, int) and 1 <= size <= 1024 for size in (self.width, *self.reach)):
            raise ValueError("width and reach must be whole numbers between 1 and 1024")
        if not isinstance(self.listener, str) or not self.listener:
            raise ValueError("listener must be the name of a network")

    @property
    def stride(self) -> int:
        """Frames a step of the output."""
        return STRIDE


@dataclass(frozen=True)
class JoinedLogits(InstrumentsLogits):
    """What a :class:`JoinedNetwork` returns: logits, and what sounds of each family, 0-1 (batch, n_steps, 12)."""

    playing: Tensor

    def activations(self) -> tuple[Tensor, ...]:
        """Probabilities of families and of instruments, and what sounds of families."""
        return (*super().activations(), self.playing)


class JoinedNetwork(nn.Module):
    """Who plays, from what a network of the spectrum says and what one of any instruments hears of notes.

    The logits of the first, mended by convolutions in time over all that both say.

    Parameters
    ----------
    config
        Its size.
    """

    sums: Tensor  # (families of notes, families)

    def __init__(self, config: JoinedConfig) -> None:
        super().__init__()
        width = config.width
        self.config = config
        self.norm = nn.BatchNorm1d(N_INPUTS)
        self.begin = nn.Conv2d(N_INPUTS, width, 1)
        self.context = nn.ModuleList(
            nn.Conv2d(width, width, (3, 1), padding=(d, 0), dilation=(d, 1)) for d in config.reach
        )
        self.end = nn.Conv2d(width, N_LABELS, 1)
        self.scale = nn.Parameter(torch.ones(N_LABELS))
        nn.init.zeros_(self.end.weight)
        assert self.end.bias is not None
        nn.init.zeros_(self.end.bias)
        self.drop_inputs, self.drop = nn.Dropout(0.15), nn.Dropout(0.4)
        names = [_OF_NOTES.get(family, (family,)) for family in FAMILIES]
        sums = torch.tensor([[float(family in own) for own in names] for family in OF_NOTES])
        self.register_buffer("sums", sums, persistent=False)

    @property
    def n_inputs(self) -> int:
        """How many numbers a frame of the input has."""
        return N_INPUTS

    @property
    def border(self) -> int:
        """Frames at each end of a window that see past it; a multiple of the stride."""
        return sum(self.config.reach) * STRIDE

    def fused(self) -> JoinedNetwork:
        """Give itself: there is hardly anything to fold."""
        return self

    def forward(self, rows: Tensor) -> JoinedLogits:
        """(B, T, N_INPUTS) -> logits of T / 8 steps; T is a multiple of 8, the rows of a step are alike."""
        return self.told(rows[:, ::STRIDE])

    def told(self, steps: Tensor) -> JoinedLogits:
        """(B, T, N_INPUTS) -> logits of T steps, of each of which there is one row."""
        parts = torch.split(steps, list(COLUMNS.values()), dim=-1)
        above, sounding, surest, beginning, keys, amount, *others = parts
        logits = above + LOWEST
        faint = [torch.log(each + _FAINT) for each in (sounding, surest, beginning)]
        x = torch.cat([logits, *faint, keys, torch.log(amount + _FEW), *others], dim=-1).transpose(1, 2)
        x = torch.relu(self.begin(self.drop_inputs(self.norm(x)).unsqueeze(-1)))
        for layer in self.context:
            x = x + torch.relu(layer(self.drop(x)))
        mended = self.end(self.drop(x)).squeeze(-1).transpose(1, 2)
        families, instruments = (self.scale * logits + mended).split([len(FAMILIES), len(INSTRUMENTS)], dim=-1)
        # Of drums strokes are heard; they are the last family.
        drums = others[-2].amax(-1, keepdim=True)
        playing = torch.cat([(sounding @ self.sums)[..., :-1], drums], dim=-1).clamp(0, 1)
        return JoinedLogits(families, instruments, playing)
