"""A live network that begins with what the small notes network has learned."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from transcribe.engine.features import FeatureConfig
from transcribe.live.network import TAPS, LiveConfig, LiveNetwork
from transcribe.notes.network import NotesNetwork

# Steps by which the first block's taps are moved into the past, so that it keeps one of the two that look ahead; the
# others lose both. What the heads then answer for lies so many frames behind the newest.
_MOVED = 1
_NEWEST = 5


@torch.no_grad()
def begin(network: NotesNetwork, features: FeatureConfig, config: LiveConfig) -> LiveNetwork:
    """Take over a notes network without the taps that look further ahead than a step.

    Raises
    ------
    ValueError
        If its sizes are others.
    """
    old = network.config
    sizes = ("channels", "stem_channels", "mix_channels", "dilations", "stride")
    if any(getattr(old, size) != getattr(config, size) for size in sizes):
        raise ValueError(f"{config} can't begin with what {old} has learned")
    live = LiveNetwork(features, config)
    new = live.state_dict()
    for name, value in network.state_dict().items():
        name = name.removeprefix("trunk.")
        if name.startswith("head.2") or name in ("pedal.time.6.weight", "pedal.time.6.bias"):
            continue
        if value.ndim == 4 and value.shape[2:] == (TAPS, 1):
            moved = _MOVED if name.startswith("blocks.0.") else 0
            value = _past(value, TAPS // 2 + moved)
        new[name].copy_(value)
    stride, middle = old.stride, _NEWEST + _MOVED * old.stride
    lasts = (network.head[2], live.head[2]), (network.pedal.time[-1], live.pedal.time[-1])
    for source, target in cast(tuple[tuple[nn.Conv2d, nn.Conv2d], ...], lasts):
        assert source.bias is not None
        assert target.bias is not None
        weights = source.weight.view(-1, stride, *source.weight.shape[1:])
        biases = source.bias.view(-1, stride)
        onset_delays, others = (config.heard, [config.told] * 3) if len(weights) > 1 else (config.told, [])
        rows = [(kind, middle - delay) for kind, delays in enumerate([onset_delays, *others]) for delay in delays]
        for row, (kind, frame) in enumerate(rows):
            frame = min(max(frame, 0), stride - 1)
            target.weight[row].copy_(weights[kind, frame][:, : target.weight.shape[2]])
            target.bias[row].copy_(biases[kind, frame])
    live.load_state_dict(new)
    return live


def _past(weight: Tensor, n_kept: int) -> Tensor:
    """Keep the first taps of a convolution, and put zeros before them."""
    n_kept = min(n_kept + 1, TAPS)
    kept = torch.zeros_like(weight)
    kept[:, :, TAPS - n_kept :] = weight[:, :, :n_kept]
    return kept
