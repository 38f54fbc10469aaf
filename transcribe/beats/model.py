"""The beat network as it is shipped: found in the manifest, checked, and ready to be given windows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from transcribe.beats.windows import Network
from transcribe.engine.onnx_backend import OnnxNetwork
from transcribe.engine.weights import FORMAT, REINSTALL, build, default_name, manifest, read_header, verified_bytes
from transcribe.errors import UsageError, WeightsError

TASK = "beats"


@dataclass(frozen=True)
class BeatsModel:
    """A beat network with its name; ``network`` is given one window (:mod:`transcribe.beats.windows`)."""

    name: str
    network: Network


def load_beats_model(name: str | None = None) -> BeatsModel:
    """Load a beat network by its name in the manifest, or from the path of a weights file.

    Parameters
    ----------
    name
        The default model where None. A path ends in ``.safetensors``; its checksum isn't checked, and torch runs it.

    Raises
    ------
    WeightsError
        If the file is missing, damaged, or doesn't fit the network.
    UsageError
        If there is no model of that name.
    """
    if name is not None and name.endswith(".safetensors"):
        try:
            return parse_beats_model(Path(name).read_bytes(), Path(name).stem)
        except OSError as error:
            raise WeightsError(f"{name}: can't be read: {error.strerror}") from None
    entries = {entry.name: entry for entry in manifest().values() if entry.task == TASK}
    entry = entries.get(name or default_name(TASK))
    if entry is None:
        raise UsageError(f"there is no {TASK} model {name!r}; choose one of {', '.join(sorted(entries))}")
    if not entry.graph:
        return parse_beats_model(verified_bytes(entry.file, entry.sha256), entry.name)
    graph = verified_bytes(entry.graph, entry.graph_sha256)
    try:
        return BeatsModel(entry.name, OnnxNetwork(graph))
    except ValueError as error:
        raise WeightsError(f"{entry.graph}: {error}; {REINSTALL}") from None


def parse_beats_model(content: bytes, name: str) -> BeatsModel:
    """Build the network that a weights file describes, fill it, and let torch run it.

    Raises
    ------
    WeightsError
        If the file is damaged or doesn't fit the network.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load

    from transcribe.beats.network import BeatsConfig, BeatsNetwork

    try:
        header = read_header(content)
        if header["format"] != FORMAT or header["task"] != TASK:
            raise ValueError(f"made for another version or task of pitchai than {TASK}; update pitchai")
        network = BeatsNetwork(build(BeatsConfig, header["network"]))
        tensors = {key: v.float() if v.is_floating_point() else v for key, v in load(content).items()}
        network.load_state_dict(tensors, strict=True)
        if not all(bool(torch.isfinite(value).all()) for value in network.state_dict().values()):
            raise ValueError("a weight is no finite number")
    except (SafetensorError, RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise WeightsError(f"{name}: weights that don't fit: {reason}; {REINSTALL}") from None
    network.eval().requires_grad_(False)

    def run(features: np.ndarray) -> tuple[np.ndarray, ...]:
        with torch.inference_mode():
            parts = network(torch.from_numpy(features)[None]).activations()
        return tuple(part[0].numpy() for part in parts)

    return BeatsModel(name, run)
