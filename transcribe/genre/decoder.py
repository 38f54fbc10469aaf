"""Probabilities of genres -> what is said of them; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from transcribe.events import Tag

# How many are named where none is sure.
SHOWN = 3


@dataclass(frozen=True)
class GenreDecodingConfig:
    """How a recording's excerpts become probabilities.

    ``threshold``: under it nothing is sure. ``temperature``: what the logits are divided by, so that probabilities
    are what they say. ``n_excerpts``: the most that are listened to.
    """

    threshold: float = 0.5
    temperature: float = 1.0
    n_excerpts: int = 4

    def __post_init__(self) -> None:
        """Raise a ValueError where a setting is out of its range."""
        if not 0 < self.threshold < 1:
            raise ValueError("threshold must lie between 0 and 1")
        if not (0 < self.temperature < 1000 and 1 <= self.n_excerpts <= 1000):
            raise ValueError("temperature must lie between 0 and 1000, n_excerpts between 1 and 1000")


def probabilities(logits: Sequence[np.ndarray], temperature: float) -> np.ndarray:
    """Mean over the excerpts of the probabilities that their logits (n_labels,) stand for."""
    scaled = np.array(logits, np.float64) / temperature
    shares = np.exp(scaled - scaled.max(1, keepdims=True))
    return np.asarray((shares / shares.sum(1, keepdims=True)).mean(0))


def ranked(labels: Sequence[str], shares: np.ndarray, duration: float) -> tuple[Tag, ...]:
    """Name the genres of a whole recording, the likeliest first."""
    order = np.argsort(-shares, kind="stable")
    return tuple(Tag(0.0, duration, labels[i], round(float(shares[i]), 4)) for i in order)


def verdict(genres: Sequence[Tag], settings: Mapping[str, object]) -> str:
    """Say it in a line: the genre, or that it is unsure, and what comes next; nothing for no genres.

    ``settings`` are a transcription's: the threshold that its genres come from stands there.
    """
    if not genres:
        return ""
    said = settings.get("genre")
    threshold = said.get("threshold") if isinstance(said, Mapping) else None
    if not isinstance(threshold, (int, float)):
        threshold = GenreDecodingConfig().threshold
    shown = [f"{tag.label} {tag.probability:.0%}" for tag in genres[:SHOWN]]
    return f"unsure: {', '.join(shown)}" if genres[0].probability < threshold else shown[0]
