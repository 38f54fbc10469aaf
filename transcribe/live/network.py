"""The network that hears notes while they sound: the notes network turned so that it looks back, never ahead.

It is the small network of :mod:`transcribe.notes.network` with every convolution along time moved into the past. What
it says of a frame it says several times, each time having heard more: its heads answer for the frame so many *delays*
ago. So one network serves every latency, and no frame is computed twice.

Inside, a *step* is ``stride`` frames: the dilations count steps. In training the network is run at every fourth frame;
live at every frame (:class:`LiveStep`), each of the four interleaved sequences with a past of its own in one memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from transcribe.engine.features import N_PITCHES, FeatureConfig
from transcribe.engine.trunk import (
    BINS_PER_SEMITONE,
    CONTEXT_DILATIONS,
    HARMONICS,
    HarmonicBlock,
    HarmonicStack,
    PitchContext,
    TrunkConfig,
    fold,
)
from transcribe.live.delays import HEARD, TOLD

PEDAL_DILATIONS = (1, 4, 8)
# Frames that the stem's first convolution sees, and that its second does.
STEM_TAPS, SECOND_TAPS = 3, 6
TAPS = 5
HEAD_TAPS = 2
# Frame, offset and velocity.
N_TOLD = 3


@dataclass(frozen=True)
class LiveConfig(TrunkConfig):
    """The size of a :class:`LiveNetwork`, and the delays in frames that its heads answer for.

    ``heard`` are those of the onset's head, ``told`` those of all other heads; negative ones are guesses at a frame
    half of whose window hasn't sounded.
    """

    channels: int = 32
    stem_channels: int = 16
    mix_channels: int = 8
    dilations: tuple[int, ...] = (1, 2, 4)
    stride: int = 4
    heard: tuple[int, ...] = HEARD
    told: tuple[int, ...] = TOLD

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises
        ------
        ValueError
            If a size makes no sense, or a delay is none of a few seconds.
        """
        super().__post_init__()
        if self.stride != SECOND_TAPS - 2:
            raise ValueError(f"a live network's stride is {SECOND_TAPS - 2}")
        for delays in (self.heard, self.told):
            known = all(isinstance(delay, int) and -8 <= delay <= 256 for delay in delays)
            if not known or not delays or list(delays) != sorted(set(delays)):
                raise ValueError("delays must be whole numbers of frames, the lowest first")


@dataclass(frozen=True)
class LiveLogits:
    """What a :class:`LiveNetwork` says at every step of the frames before it.

    ``onset`` is (batch, n_steps, n_heard, 88); ``frame``, ``offset`` and ``velocity`` are (batch, n_steps, n_told, 88);
    ``pedal`` is (batch, n_steps, n_told).
    """

    onset: Tensor
    frame: Tensor
    offset: Tensor
    velocity: Tensor
    pedal: Tensor

    def activations(self) -> tuple[Tensor, ...]:
        """Give what they say, in 0-1, in the order of the fields."""
        heads = (self.onset, self.frame, self.offset, self.velocity, self.pedal)
        return tuple(head.float().sigmoid() for head in heads)


class Past(nn.Conv2d):
    """A convolution along time that sees its own row and rows before it, ``dilation`` apart; zeros before the first."""

    def __init__(self, n_in: int, n_out: int, taps: int, dilation: int = 1, bias: bool = True) -> None:
        super().__init__(n_in, n_out, (taps, 1), dilation=(dilation, 1), bias=bias)
        self.reach = (taps - 1) * dilation

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T, P) -> (B, C', T, P)."""
        return super().forward(nn.functional.pad(x, (0, 0, self.reach, 0)))


class PastBlock(HarmonicBlock):
    """A residual block that looks back along time, then at the harmonically related pitches."""

    def __init__(self, config: TrunkConfig, dilation: int) -> None:
        super().__init__(config, dilation)
        self.time = Past(config.channels, config.channels, TAPS, dilation, bias=False)


class PastContext(PitchContext):
    """What all pitches together say, and have said."""

    def __init__(self, channels: int, out_channels: int, dilations: tuple[int, ...]) -> None:
        super().__init__(channels, out_channels, dilations)
        layers: list[nn.Module] = []
        for i, dilation in enumerate(dilations):
            layers += [Past(channels if i else 2 * channels, channels, TAPS, dilation), nn.ReLU()]
        self.time = nn.Sequential(*layers, nn.Conv2d(channels, out_channels, 1))


class LiveNetwork(nn.Module):
    """Log-mel in, what is heard by now out.

    Parameters
    ----------
    features
        The front end it reads.
    config
        Its size and delays.
    """

    def __init__(self, features: FeatureConfig, config: LiveConfig) -> None:
        super().__init__()
        channels, stem = config.channels, config.stem_channels
        self.config = config
        self.harmonics = HarmonicStack(features)
        self.stem = nn.Sequential(
            nn.Conv2d(
                2 * len(HARMONICS), stem, (STEM_TAPS, 5), stride=(1, BINS_PER_SEMITONE), padding=(0, 1), bias=False
            ),
            nn.BatchNorm2d(stem),
            nn.ReLU(),
            nn.Conv2d(stem, channels, (SECOND_TAPS, 3), stride=(config.stride, 1), padding=(0, 1), bias=False),
            nn.BatchNorm2d(channels),
        )
        self.pitch_offset = nn.Parameter(torch.zeros(channels, 1, N_PITCHES))
        self.blocks = nn.ModuleList(PastBlock(config, dilation) for dilation in config.dilations)
        self.context = PastContext(channels, channels, CONTEXT_DILATIONS)
        n_heads = len(config.heard) + N_TOLD * len(config.told)
        self.head = nn.Sequential(nn.Conv2d(channels, channels, 1), nn.ReLU(), Past(channels, n_heads, HEAD_TAPS))
        self.pedal = PastContext(channels, len(config.told), PEDAL_DILATIONS)

    @property
    def context_place(self) -> int:
        """After which block the context is added."""
        return (len(self.blocks) - 1) // 2

    def fused(self) -> LiveNetwork:
        """Fold every normalisation into the convolution before it; the weights are moved, not copied."""
        if self.training:
            raise ValueError("only a network in evaluation mode can be fused")
        with torch.no_grad():
            fold(self.stem, "0", "1")
            fold(self.stem, "3", "4")
            for block in self.blocks:
                cast(PastBlock, block).fuse()
        return self

    def forward(self, log_mel: Tensor) -> LiveLogits:
        """(B, T, n_mels) -> what is said at every ``stride``-th frame, the last of them first at ``stride - 1``.

        T is a multiple of the stride. Before the first frame there are others like it.
        """
        # The rise sees one frame more, the second convolution as many as it has taps beyond a step's.
        n_before = 1 + STEM_TAPS - 1 + SECOND_TAPS - self.config.stride
        before = log_mel[:, :1].expand(-1, n_before, -1)
        x = self.stem(self.harmonics(torch.cat([before, log_mel], dim=1))[:, :, 1:])
        x = torch.relu_(x + self.pitch_offset.to(x.dtype))
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i == self.context_place:
                x = x + self.context(x)
        return self.read(self.head(x), self.pedal(x))

    def every_frame(self, log_mel: Tensor) -> LiveLogits:
        """(1, T, n_mels) -> what is said at every frame: ``stride`` sequences of steps, interleaved."""
        stride, n_frames = self.config.stride, log_mel.shape[1]
        rows = -(-n_frames // stride) * stride
        padded = nn.functional.pad(log_mel, (0, 0, 0, rows + stride - n_frames))
        before = log_mel[:, :1]
        phases = [
            torch.cat([before.expand(-1, stride - 1 - phase, -1), padded[:, : rows - stride + 1 + phase]], dim=1)
            for phase in range(stride)
        ]
        found = self(torch.cat(phases))

        def interleaved(head: Tensor) -> Tensor:
            return head.transpose(0, 1).flatten(0, 1)[None, :n_frames]

        return LiveLogits(*map(interleaved, (found.onset, found.frame, found.offset, found.velocity, found.pedal)))

    def read(self, heads: Tensor, pedal: Tensor) -> LiveLogits:
        """(B, n_heads, T, P) and (B, n_told, T, 1) -> logits."""
        n_heard, n_told = len(self.config.heard), len(self.config.told)
        onset, frame, offset, velocity = torch.split(heads.transpose(1, 2), [n_heard, n_told, n_told, n_told], dim=2)
        return LiveLogits(onset, frame, offset, velocity, pedal.squeeze(-1).transpose(1, 2))


@dataclass(frozen=True)
class Memory:
    """What a convolution along time must remember: rows of ``shape``, those ``taps`` frames ago, the oldest first."""

    name: str
    shape: tuple[int, ...]
    taps: tuple[int, ...]


class LiveStep(nn.Module):
    """A live network that is given one frame at a time, and what it must remember beside it.

    Parameters
    ----------
    network
        Trained and fused; it is used, not copied.
    """

    def __init__(self, network: LiveNetwork, features: FeatureConfig) -> None:
        super().__init__()
        self.network = network
        stride, stem = network.config.stride, network.config.stem_channels
        found = [
            Memory("log_mel", (features.n_mels,), tuple(range(STEM_TAPS, 0, -1))),
            Memory("stem", (stem, N_PITCHES), tuple(range(SECOND_TAPS - 1, 0, -1))),
        ]
        self._layers: list[tuple[str, Past]] = [
            *((f"block {i}", cast(Past, cast(PastBlock, block).time)) for i, block in enumerate(network.blocks)),
            *((f"context {i}", layer) for i, layer in enumerate(_pasts(network.context.time))),
            ("head", cast(Past, network.head[2])),
            *((f"pedal {i}", layer) for i, layer in enumerate(_pasts(network.pedal.time))),
        ]
        for name, layer in self._layers:
            width = 1 if name.startswith(("context", "pedal")) else N_PITCHES
            dilation = stride * layer.dilation[0]
            taps = tuple(dilation * k for k in range(layer.kernel_size[0] - 1, 0, -1))
            found.append(Memory(name, (layer.in_channels, width), taps))
        #: What it must be given beside a frame, in this order.
        self.memories = tuple(found)

    def forward(self, log_mel: Tensor, remembered: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Hear a frame.

        Parameters
        ----------
        log_mel
            (n_mels,).
        remembered
            For each of the memories (n_taps, …), as its shape goes on.

        Returns
        -------
        list of Tensor
            Activations, as :class:`LiveLogits` without batch and steps.
        list of Tensor
            For each memory the row to remember, (its shape).
        """
        network, given = self.network, dict(zip((m.name for m in self.memories), remembered, strict=True))
        rows: dict[str, Tensor] = {"log_mel": log_mel}

        def along_time(name: str, layer: Past, x: Tensor) -> Tensor:
            """(1, C, 1, P) -> (1, C', 1, P)."""
            rows[name] = x[0, :, 0]
            seen = torch.cat([given[name].transpose(0, 1)[None], x], dim=2)
            return nn.functional.conv2d(seen, layer.weight, layer.bias)

        layers = dict(self._layers)
        x = network.harmonics(torch.cat([given["log_mel"], log_mel[None]])[None])[:, :, 1:]
        x = network.stem[2](network.stem[1](network.stem[0](x)))
        rows["stem"] = x[0, :, 0]
        x = torch.cat([given["stem"].transpose(0, 1)[None], x], dim=2)
        x = torch.relu(network.stem[4](network.stem[3](x)) + network.pitch_offset)
        for i, module in enumerate(network.blocks):
            block = cast(PastBlock, module)
            x = block.across_pitch(x, along_time(f"block {i}", layers[f"block {i}"], x))
            if i == network.context_place:
                x = x + self._over_pitch(network.context, "context", x, along_time)
        y = network.head[1](network.head[0](x))
        heads = along_time("head", layers["head"], y)
        said = network.read(heads, self._over_pitch(network.pedal, "pedal", x, along_time))
        return [head[0, 0] for head in said.activations()], [rows[memory.name] for memory in self.memories]

    def _over_pitch(self, context: PitchContext, name: str, x: Tensor, along_time: _AlongTime) -> Tensor:
        y = context.pooled(x)
        for i, layer in enumerate(_pasts(context.time)):
            y = torch.relu(along_time(f"{name} {i}", layer, y))
        last: Tensor = context.time[-1](y)
        return last


_AlongTime = Callable[[str, Past, Tensor], Tensor]


def _pasts(layers: nn.Sequential) -> list[Past]:
    return [layer for layer in layers if isinstance(layer, Past)]
