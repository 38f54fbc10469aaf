"""The genre networks: an excerpt in, a logit a genre out. No files, no decoding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from transcribe.genre.features import COLUMNS, FRONTS

# Figures further than this from the mean, in standard deviations, say no more.
OUTERMOST = 5.0


@dataclass(frozen=True)
class GenreConfig:
    """What a genre network is.

    ``network``: table, cnn or resnet; ``front``: table, mel or cqt; ``labels``: the genres; ``channels`` of the stages.
    """

    network: str
    front: str
    labels: tuple[str, ...]
    channels: tuple[int, ...] = (32, 48, 64, 96)

    def __post_init__(self) -> None:
        """Check what it may be.

        Raises
        ------
        ValueError
            If the network or the front is unknown, they don't belong together, or a label or a size makes no sense.
        """
        if self.network not in NETWORKS or self.front not in FRONTS:
            raise ValueError(f"networks are {', '.join(NETWORKS)}, fronts are {', '.join(FRONTS)}")
        if (self.network == "table") != (self.front == "table"):
            raise ValueError("a table's figures belong to the table's network")
        if not all(isinstance(label, str) and label for label in self.labels) or len(self.labels) < 2:
            raise ValueError("labels must be at least two names")
        if not 1 <= len(self.channels) <= 6 or not all(isinstance(n, int) and 1 <= n <= 1024 for n in self.channels):
            raise ValueError("channels must be up to six whole numbers between 1 and 1024")


class TableNetwork(nn.Module):
    """Figures made normal by a power each (Yeo & Johnson 2000), brought to one scale, and weighted.

    Weights and biases are those of a linear discriminant analysis with a shrunken covariance
    (``train/genre/table.py``).
    """

    exponents: Tensor
    means: Tensor
    scales: Tensor

    def __init__(self, config: GenreConfig) -> None:
        super().__init__()
        for name in ("exponents", "means", "scales"):
            self.register_buffer(name, torch.ones(len(COLUMNS)))
        self.heads = nn.Linear(len(COLUMNS), len(config.labels))

    def forward(self, rows: Tensor) -> Tensor:
        """(B, 57) -> logits (B, n_labels)."""
        # In double precision: some exponents are in the hundreds. What no recording has counts as the outermost has.
        normal = (yeo_johnson(rows.double(), self.exponents.double()) - self.means) / self.scales
        outermost = torch.nan_to_num(normal, 0.0, OUTERMOST, -OUTERMOST).clamp(-OUTERMOST, OUTERMOST)
        return cast(Tensor, self.heads(outermost.to(self.heads.weight.dtype)))


def yeo_johnson(values: Tensor, exponents: Tensor) -> Tensor:
    """Transform by the power of Yeo & Johnson (2000), column by column."""
    above, below = values.clamp(min=0), values.clamp(max=0)
    other = 2 - exponents
    up = torch.where(exponents.abs() < 1e-6, above.log1p(), ((above + 1).pow(exponents) - 1) / _nonzero(exponents))
    down = torch.where(other.abs() < 1e-6, -(-below).log1p(), -((1 - below).pow(other) - 1) / _nonzero(other))
    return up + down


def _nonzero(values: Tensor) -> Tensor:
    return torch.where(values.abs() < 1e-6, torch.ones_like(values), values)


class PlainCnn(nn.Module):
    """A convolution of 3 x 3 and a pooling a stage, then the mean over time and frequency."""

    def __init__(self, config: GenreConfig) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for n_in, n_out in zip((1, *config.channels), config.channels, strict=False):
            layers += [nn.Conv2d(n_in, n_out, 3, padding=1, bias=False), nn.BatchNorm2d(n_out), nn.ReLU()]
            layers += [nn.MaxPool2d(2, ceil_mode=True)]
        self.stages = nn.Sequential(*layers)
        self.heads = nn.Linear(config.channels[-1], len(config.labels))

    def forward(self, features: Tensor) -> Tensor:
        """(B, T, n_bands) -> logits (B, n_labels)."""
        pooled = self.stages(features.unsqueeze(1)).mean((2, 3))
        return cast(Tensor, self.heads(nn.functional.dropout(pooled, 0.3, self.training)))


class _Residual(nn.Module):
    """Two convolutions around a shortcut, half as fine at its end."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(n_in, n_out, 3, 2, padding=1, bias=False),
            nn.BatchNorm2d(n_out),
            nn.ReLU(),
            nn.Conv2d(n_out, n_out, 3, padding=1, bias=False),
            nn.BatchNorm2d(n_out),
        )
        self.shortcut = nn.Sequential(nn.Conv2d(n_in, n_out, 1, 2, bias=False), nn.BatchNorm2d(n_out))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T, F) -> (B, C', T', F')."""
        return torch.relu(self.layers(x) + self.shortcut(x))


class SmallResNet(nn.Module):
    """Residual blocks (He et al. 2016), then the mean over time and frequency."""

    def __init__(self, config: GenreConfig) -> None:
        super().__init__()
        pairs = zip((1, *config.channels), config.channels, strict=False)
        self.blocks = nn.Sequential(*(_Residual(n_in, n_out) for n_in, n_out in pairs))
        self.heads = nn.Linear(config.channels[-1], len(config.labels))

    def forward(self, features: Tensor) -> Tensor:
        """(B, T, n_bands) -> logits (B, n_labels)."""
        pooled = self.blocks(features.unsqueeze(1)).mean((2, 3))
        return cast(Tensor, self.heads(nn.functional.dropout(pooled, 0.3, self.training)))


NETWORKS: dict[str, type[nn.Module]] = {"table": TableNetwork, "cnn": PlainCnn, "resnet": SmallResNet}


class GenreNetwork(nn.Module):
    """The network that a configuration describes, untrained."""

    def __init__(self, config: GenreConfig) -> None:
        super().__init__()
        self.config = config
        self.judge = NETWORKS[config.network](config)

    def forward(self, features: Tensor) -> Tensor:
        """(B, n_columns) or (B, T, n_bands), as the front gives them -> logits (B, n_labels)."""
        return cast(Tensor, self.judge(features))

    def fused(self) -> GenreNetwork:
        """Return itself: next to its features the network costs nothing."""
        return self
