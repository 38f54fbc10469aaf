"""Shipped weights → ONNX graphs beside them, which the CPU runs.

    python -m train.onnx notes-medium-8 chords-1
    python -m train.onnx any-3 --int8 runs/bands-valid

The graphs are made of the very network that torch runs, with every normalisation folded in; the manifest gets their
checksums. With ``--int8`` their convolutions are in int8 (:mod:`train.int8`), and differ a little from torch.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import torch
from torch import Tensor, nn

from transcribe.engine.onnx_backend import INPUT, METADATA, OnnxNetwork
from transcribe.engine.task import FollowingTask, WindowModel, WindowTask
from transcribe.engine.weights import load_model, weights_folder
from transcribe.engine.windows import WHOLE_FRAMES
from transcribe.registry import task_named

# What a graph calls its input that reads what another hears.
FOLLOWED = "heard"


class _Activations(nn.Module):
    """A network up to its activations."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, window: Tensor) -> tuple[Tensor, ...]:
        """(B, T, n_features) -> activations."""
        return cast(tuple[Tensor, ...], self.network(window).activations())


def to_onnx(model: WindowModel) -> bytes:
    """Make an ONNX graph of a model that torch runs.

    Returns
    -------
    bytes
        The same for the same model and versions of torch and its exporter.
    """
    assert isinstance(model.task, WindowTask)
    assert not isinstance(model.network, OnnxNetwork)
    network = model.network.to(memory_format=torch.contiguous_format)
    follows = isinstance(model.task, FollowingTask) and bool(model.task.follows(model.header))
    name, width = (FOLLOWED, network.n_inputs) if follows else (INPUT, model.features.n_mels)
    window = torch.zeros(1, 25 * WHOLE_FRAMES, width)
    steps = torch.export.Dim("steps", min=2, max=4096)
    shapes = {"window": {1: WHOLE_FRAMES * steps}}
    return graph_of(network, window, name, network.border, model.task.stride(network), shapes)


def graph_of(
    network: nn.Module, window: Tensor, name: str, border: int, stride: int, shapes: dict[str, Any] | None = None
) -> bytes:
    """Make an ONNX graph of a network up to its activations.

    Parameters
    ----------
    network
        Gives logits that have ``activations``.
    window
        An example of its input, (1, n_frames, n_features).
    name
        What the graph calls its input.
    border, stride
        Frames at each end that see past it, and frames a step of the output.
    shapes
        The sizes that may differ from the example's, as :func:`torch.export.export` wants them.
    """
    import onnx

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            _Activations(network).eval(),
            (window,),
            input_names=[name],
            dynamic_shapes=shapes,
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    with TemporaryDirectory() as folder:
        program.save(path := Path(folder) / "graph.onnx", external_data=False)
        graph = onnx.load(path)
    onnx.helper.set_model_props(graph, {METADATA: json.dumps({"border": border, "stride": stride})})
    # What the exporter writes for debugging is as large as the weights.
    del graph.graph.value_info[:]
    for node in graph.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    return cast(bytes, graph.SerializeToString(deterministic=True))


def add_graph(folder: Path, name: str, ranging: Path | None = None) -> None:
    """Write ``name.onnx`` beside ``name.safetensors``, and its checksum into the manifest.

    In int8 where a folder of recordings is given, by which the ranges are chosen (:func:`train.int8.quantised`).
    """
    line = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))[name]
    task = task_named(line["task"])
    assert isinstance(task, WindowTask)
    model = load_model(task, str(folder / line["file"]))
    graph = to_onnx(model)
    if ranging is not None:
        from train import int8

        graph = int8.quantised(graph, int8.ranging(ranging, model.features))
    write_graph(folder, name, graph)


def write_graph(folder: Path, name: str, graph: bytes) -> None:
    """Write a graph beside its weights, and its checksum into the manifest."""
    manifest = folder / "manifest.json"
    lines = json.loads(manifest.read_text(encoding="utf-8"))
    (folder / f"{name}.onnx").write_bytes(graph)
    lines[name] |= {"graph": f"{name}.onnx", "graph_sha256": hashlib.sha256(graph).hexdigest()}
    manifest.write_text(json.dumps(lines, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def main() -> None:
    """Make the graphs of shipped weights."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+")
    parser.add_argument("--folder", type=Path, default=weights_folder(), help="with a manifest.json")
    parser.add_argument("--int8", type=Path, help="quantise; folder of recordings with labels that ranges are taken of")
    options = parser.parse_args()
    for name in options.names:
        add_graph(options.folder, name, options.int8)


if __name__ == "__main__":
    main()
