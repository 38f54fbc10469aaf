"""The beat network: features of notes in, logits of beats, downbeats, tempo and metre out. No files, no decoding.

It is narrow where time is fine and wide where it is coarse: 25 steps a second for where exactly a beat lies, 6.25 for
tempo and metre, which are heard over the whole window by attention. Arrays inside are (batch, channels, steps).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from transcribe.beats.activations import METRES, N_TEMPI
from transcribe.beats.features import N_FEATURES, N_PITCHES

# Frames of a window are a multiple of this: 8 frames are a step of the coarsest level.
WHOLE_FRAMES = 8
STEMS = ("linear", "pitch")
BOTTOMS = ("attention", "gru", "convolutions")


@dataclass(frozen=True)
class BeatsConfig:
    """Size of a :class:`BeatsNetwork`.

    ``widths``: channels at 25, 12.5 and 6.25 steps a second; ``blocks``: residual blocks at the first two levels on the
    way down, half of them again on the way up; ``layers`` and ``heads`` of the ``bottom``; ``stem``: ``linear`` or
    ``pitch``, whose first filters are the same for all pitches; ``lags``: products of each step with so many steps
    before it, of ``salience`` channels, show tempo and metre; 0 for none.
    """

    widths: tuple[int, int, int] = (64, 96, 160)
    blocks: tuple[int, int] = (3, 2)
    layers: int = 2
    heads: int = 5
    bottom: str = "attention"
    stem: str = "linear"
    dropout: float = 0.1
    lags: int = 60
    salience: int = 4

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises
        ------
        ValueError
            If a size or a name makes no sense.
        """
        sizes = (*self.widths, *self.blocks, self.layers, self.heads)
        if not all(isinstance(size, int) and 1 <= size <= 1024 for size in sizes) or len(self.widths) != 3:
            raise ValueError("widths, blocks, layers and heads must be whole numbers between 1 and 1024")
        if self.bottom not in BOTTOMS or self.stem not in STEMS:
            raise ValueError(f"bottom must be one of {BOTTOMS}, stem one of {STEMS}")
        if self.bottom == "attention" and self.widths[2] % (4 * self.heads):
            raise ValueError("the last width must be a multiple of four times the heads")


@dataclass(frozen=True)
class BeatsLogits:
    """What a :class:`BeatsNetwork` returns: (B, T) for beat, downbeat and triple, (B, T, n) for tempo and metre."""

    beat: Tensor
    downbeat: Tensor
    triple: Tensor
    tempo: Tensor
    metre: Tensor

    def activations(self) -> tuple[Tensor, ...]:
        """Probabilities, in the order of :class:`transcribe.beats.activations.BeatActivations`."""
        return (
            self.beat.float().sigmoid(),
            self.downbeat.float().sigmoid(),
            self.triple.float().sigmoid(),
            self.tempo.float().softmax(-1),
            self.metre.float().softmax(-1),
        )


class LinearStem(nn.Module):
    """All features of six frames to the channels of one step."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(N_FEATURES, width, 6, stride=2, padding=2, bias=False)
        self.norm = nn.BatchNorm1d(width)

    def forward(self, features: Tensor) -> Tensor:
        """(B, T, N_FEATURES) -> (B, width, T / 2)."""
        return functional.gelu(cast(Tensor, self.norm(self.conv(features.transpose(1, 2)))))


class PitchStem(nn.Module):
    """Filters over time and an octave of pitches, the same everywhere, then all pitches to the channels of a step."""

    def __init__(self, width: int, filters: int = 12) -> None:
        super().__init__()
        self.filters = nn.Conv2d(2, filters, (6, 13), stride=(2, 4), padding=(2, 6), bias=False)
        self.filters_norm = nn.BatchNorm2d(filters)
        self.join = nn.Conv1d(filters * N_PITCHES // 4, width, 1, bias=False)
        self.norm = nn.BatchNorm1d(width)

    def forward(self, features: Tensor) -> Tensor:
        """(B, T, N_FEATURES) -> (B, width, T / 2)."""
        n_batch, n_frames, _ = features.shape
        x = features[..., : 2 * N_PITCHES].view(n_batch, n_frames, 2, N_PITCHES).transpose(1, 2)
        x = functional.gelu(self.filters_norm(self.filters(x)))
        return functional.gelu(self.norm(self.join(x.transpose(2, 3).flatten(1, 2))))


class Block(nn.Module):
    """A residual block along time."""

    def __init__(self, width: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.conv = nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation, bias=False)
        self.norm = nn.BatchNorm1d(width)
        self.mix = nn.Conv1d(width, width, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(B, W, T) -> (B, W, T)."""
        return cast(Tensor, x + self.dropout(self.mix(functional.gelu(self.norm(self.conv(x))))))


class Attention(nn.Module):
    """Attention over all steps of a window, by how far apart they are (rotary positions), and a feed-forward layer."""

    rates: Tensor

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.before = nn.LayerNorm(width)
        self.read = nn.Linear(width, 3 * width)
        self.write = nn.Linear(width, width)
        self.between = nn.LayerNorm(width)
        self.wide = nn.Linear(width, 2 * width)
        self.narrow = nn.Linear(2 * width, width)
        self.dropout = nn.Dropout(dropout)
        half = width // heads // 2
        # Wavelengths from two steps to a whole window.
        self.register_buffer("rates", torch.pi * 300 ** -(torch.arange(half) / half), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, W) -> (B, T, W)."""
        n_batch, n_steps, width = x.shape
        q, k, v = self.read(self.before(x)).view(n_batch, n_steps, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        angles = torch.arange(n_steps, device=x.device)[:, None] * self.rates
        cos, sin = angles.cos(), angles.sin()
        seen = functional.scaled_dot_product_attention(_turned(q, cos, sin), _turned(k, cos, sin), v)
        x = x + self.dropout(self.write(seen.transpose(1, 2).reshape(n_batch, n_steps, width)))
        return cast(Tensor, x + self.dropout(self.narrow(functional.gelu(self.wide(self.between(x))))))


def _turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], -1).to(x.dtype)


class Lags(nn.Module):
    """Autocorrelation of learned strengths: how alike music is to itself some steps earlier, over some seconds."""

    def __init__(self, fine: int, coarse: int, lags: int, salience: int) -> None:
        super().__init__()
        self.lags = lags
        self.salience = nn.Conv1d(fine, salience, 1)
        self.norm = nn.BatchNorm1d(salience)
        # Of four steps, then of 4 s: two short sums are quicker than a long one.
        self.pool = nn.Sequential(nn.AvgPool1d(4), nn.AvgPool1d(25, stride=1, padding=12))
        self.scale = nn.BatchNorm1d(salience * lags)
        self.write = nn.Conv1d(salience * lags, coarse, 1)

    def forward(self, fine: Tensor) -> Tensor:
        """(B, W, T) at 25 steps a second -> (B, coarse, T / 4)."""
        strength = self.norm(self.salience(fine))
        n_steps = strength.shape[-1]
        padded = functional.pad(strength, (self.lags, 0))
        starts = range(self.lags - 1, -1, -1)
        earlier = torch.stack([padded[..., start : start + n_steps] for start in starts], 2)
        alike = self.pool((earlier * strength[:, :, None]).flatten(1, 2))
        return cast(Tensor, self.write(self.scale(alike)))


class Bottom(nn.Module):
    """Tempo and metre over a whole window: attention, a recurrent network both ways, or dilated convolutions."""

    def __init__(self, config: BeatsConfig) -> None:
        super().__init__()
        width = config.widths[2]
        self.kind = config.bottom
        if config.bottom == "attention":
            self.layers = nn.ModuleList(Attention(width, config.heads, config.dropout) for _ in range(config.layers))
        elif config.bottom == "gru":
            self.layers = nn.ModuleList(
                [nn.GRU(width, width // 2, config.layers, batch_first=True, bidirectional=True)]
            )
        else:
            self.layers = nn.ModuleList(
                Block(width, 2**i, config.dropout) for _ in range(config.layers // 2 or 1) for i in range(6)
            )

    def forward(self, x: Tensor) -> Tensor:
        """(B, W, T) -> (B, W, T)."""
        if self.kind == "convolutions":
            for layer in self.layers:
                x = layer(x)
            return x
        x = x.transpose(1, 2)
        for layer in self.layers:
            x = x + layer(x)[0] if self.kind == "gru" else layer(x)
        return x.transpose(1, 2)


class BeatsNetwork(nn.Module):
    """Beats from notes.

    Every step may depend on the whole window, so windows overlap; training's were of the same length.

    Parameters
    ----------
    config
        Its size.
    """

    def __init__(self, config: BeatsConfig) -> None:
        super().__init__()
        self.config = config
        fine, middle, coarse = config.widths
        self.stem = LinearStem(fine) if config.stem == "linear" else PitchStem(fine)

        def blocks(width: int, count: int) -> nn.Sequential:
            return nn.Sequential(*(Block(width, 2**i, config.dropout) for i in range(count)))

        self.down = nn.ModuleList([blocks(fine, config.blocks[0]), blocks(middle, config.blocks[1])])
        self.coarser = nn.ModuleList(
            nn.Conv1d(a, b, 4, stride=2, padding=1) for a, b in ((fine, middle), (middle, coarse))
        )
        self.lags = Lags(fine, coarse, config.lags, config.salience) if config.lags else None
        self.bottom = Bottom(config)
        self.finer = nn.ModuleList(nn.Conv1d(b, 2 * a, 1) for a, b in ((middle, coarse), (fine, middle)))
        self.up = nn.ModuleList([blocks(middle, -(-config.blocks[1] // 2)), blocks(fine, -(-config.blocks[0] // 2))])
        self.norm = nn.BatchNorm1d(coarse)
        # Beat and downbeat of two frames.
        self.fine_head = nn.Conv1d(fine, 4, 1)
        self.coarse_head = nn.Conv1d(coarse, 1 + N_TEMPI + len(METRES), 1)

    def forward(self, features: Tensor) -> BeatsLogits:
        """(B, T, N_FEATURES) -> logits; T a multiple of ``WHOLE_FRAMES``."""
        fine = self.down[0](self.stem(features))
        middle = self.down[1](self.coarser[0](fine))
        coarse = self.coarser[1](middle)
        if self.lags is not None:
            coarse = coarse + self.lags(fine)
        coarse = self.norm(self.bottom(coarse))
        middle = self.up[0](middle + _interleaved(self.finer[0](coarse)))
        fine = self.up[1](fine + _interleaved(self.finer[1](middle)))
        beats = _interleaved(self.fine_head(fine))
        slow = self.coarse_head(coarse).transpose(1, 2).repeat_interleave(WHOLE_FRAMES, 1)
        return BeatsLogits(beats[:, 0], beats[:, 1], slow[..., 0], slow[..., 1 : 1 + N_TEMPI], slow[..., 1 + N_TEMPI :])


def _interleaved(x: Tensor) -> Tensor:
    """(B, 2 C, T) -> (B, C, 2 T)."""
    n_batch, width, n_steps = x.shape
    return x.view(n_batch, 2, width // 2, n_steps).permute(0, 2, 3, 1).reshape(n_batch, width // 2, 2 * n_steps)
