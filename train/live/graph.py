"""A trained live network → the ONNX graph that hears a frame at a time, its memories among the inputs and outputs."""

from __future__ import annotations

import copy
import json
import warnings
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import torch
from torch import Tensor, nn

from transcribe.engine.features import FeatureConfig
from transcribe.engine.onnx_backend import METADATA
from transcribe.live.network import LiveNetwork, LiveStep
from transcribe.live.tracker import TrackerConfig


class _Flat(nn.Module):
    """A step whose memories are arguments, and results beside the activations."""

    def __init__(self, step: LiveStep) -> None:
        super().__init__()
        self.step = step

    def forward(self, log_mel: Tensor, *remembered: Tensor) -> tuple[Tensor, ...]:
        """(n_mels,) and (n_taps, ...) each -> activations, then the rows to remember."""
        said, rows = self.step(log_mel, remembered)
        return (*said, *rows)


def halved(network: LiveNetwork) -> LiveNetwork:
    """Copy a network with its weights rounded to half precision, as they are shipped, and fused."""
    rounded = copy.deepcopy(network).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    state = {key: v.half().float() if v.is_floating_point() else v for key, v in rounded.state_dict().items()}
    rounded.load_state_dict(state)
    fused: LiveNetwork = rounded.eval().requires_grad_(False).fused()
    return fused


def step_graph(network: LiveNetwork, features: FeatureConfig, decoding: Mapping[str, TrackerConfig]) -> bytes:
    """Make the graph of a network; what it needs beside a frame, and its trackers, stand in its metadata."""
    import onnx

    step = LiveStep(halved(network), features)
    example = (
        torch.zeros(features.n_mels),
        *(torch.zeros(len(memory.taps), *memory.shape) for memory in step.memories),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(_Flat(step).eval(), example, dynamo=True, verbose=False)
    assert program is not None
    with TemporaryDirectory() as folder:
        program.save(path := Path(folder) / "graph.onnx", external_data=False)
        graph = onnx.load(path)
    described = {
        "features": asdict(features),
        "heard": network.config.heard,
        "told": network.config.told,
        "memories": [asdict(memory) for memory in step.memories],
        "decoding": {latency: asdict(config) for latency, config in decoding.items()},
    }
    onnx.helper.set_model_props(graph, {METADATA: json.dumps(described, sort_keys=True)})
    del graph.graph.value_info[:]
    for node in graph.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    return cast(bytes, graph.SerializeToString(deterministic=True))
