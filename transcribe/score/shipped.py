"""The networks over notes as they are shipped, and how they read a piece of any length."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from transcribe.engine.onnx_backend import OnnxNetwork
from transcribe.engine.weights import REINSTALL, default_name, manifest, verified_bytes
from transcribe.errors import WeightsError

# float32 (n, n_features) -> what the network says of every note: arrays of n rows
Network = Callable[[np.ndarray], tuple[np.ndarray, ...]]
# So many notes are read at a time, and so many more on either side.
_BLOCK, _BORDER = 4096, 128


@cache
def default_network(task: str) -> Network:
    """Load the network of a task that the manifest names.

    Raises
    ------
    WeightsError
        If the file is missing or damaged.
    """
    entry = manifest()[default_name(task)]
    try:
        return OnnxNetwork(verified_bytes(entry.graph, entry.graph_sha256))
    except ValueError as error:
        raise WeightsError(f"{entry.graph}: {error}; {REINSTALL}") from None


def read(network: Network, features: np.ndarray) -> tuple[np.ndarray, ...]:
    """Read notes, at least one, in blocks that join: what the network says of them, arrays of n rows."""
    blocks = []
    for first in range(0, len(features), _BLOCK):
        low = max(0, first - _BORDER)
        answers = network(features[low : first + _BLOCK + _BORDER])
        blocks.append([answer[first - low : first - low + _BLOCK] for answer in answers])
    return tuple(np.concatenate(parts) for parts in zip(*blocks, strict=True))
