"""Shipped weights → ONNX graphs beside them, which the CPU runs.

    python -m train.onnx notes-medium-8 chords-1

The graphs are made of the very network that torch runs, with every normalisation folded in; the manifest gets their
checksums.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import torch
from torch import Tensor, nn

from transcribe.engine.onnx_backend import INPUT, METADATA, OnnxNetwork
from transcribe.engine.task import WindowModel, WindowTask
from transcribe.engine.weights import load_model, weights_folder
from transcribe.engine.windows import WHOLE_FRAMES
from transcribe.registry import task_named


class _Activations(nn.Module):
    """A network up to its activations."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, log_mel: Tensor) -> tuple[Tensor, ...]:
        """(B, T, n_mels) -> activations."""
        return cast(tuple[Tensor, ...], self.network(log_mel).activations())


def to_onnx(model: WindowModel) -> bytes:
    """Make an ONNX graph of a model that torch runs.

    Returns
    -------
    bytes
        The same for the same model and versions of torch and its exporter.
    """
    import onnx

    assert isinstance(model.task, WindowTask)
    assert not isinstance(model.network, OnnxNetwork)
    network = model.network.to(memory_format=torch.contiguous_format)
    log_mel = torch.zeros(1, 25 * WHOLE_FRAMES, model.features.n_mels)
    steps = torch.export.Dim("steps", min=2, max=4096)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            _Activations(network).eval(),
            (log_mel,),
            input_names=[INPUT],
            dynamic_shapes={"log_mel": {1: WHOLE_FRAMES * steps}},
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    with TemporaryDirectory() as folder:
        program.save(path := Path(folder) / "graph.onnx", external_data=False)
        graph = onnx.load(path)
    stride = model.task.stride(network)
    onnx.helper.set_model_props(graph, {METADATA: json.dumps({"border": network.border, "stride": stride})})
    # What the exporter writes for debugging is as large as the weights.
    del graph.graph.value_info[:]
    for node in graph.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    return cast(bytes, graph.SerializeToString(deterministic=True))


def add_graph(folder: Path, name: str) -> None:
    """Write ``name.onnx`` beside ``name.safetensors``, and its checksum into the manifest."""
    manifest = folder / "manifest.json"
    lines = json.loads(manifest.read_text(encoding="utf-8"))
    task = task_named(lines[name]["task"])
    assert isinstance(task, WindowTask)
    graph = to_onnx(load_model(task, str(folder / lines[name]["file"])))
    (folder / f"{name}.onnx").write_bytes(graph)
    lines[name] |= {"graph": f"{name}.onnx", "graph_sha256": hashlib.sha256(graph).hexdigest()}
    manifest.write_text(json.dumps(lines, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def main() -> None:
    """Make the graphs of shipped weights."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+")
    parser.add_argument("--folder", type=Path, default=weights_folder(), help="with a manifest.json")
    options = parser.parse_args()
    for name in options.names:
        add_graph(options.folder, name)


if __name__ == "__main__":
    main()
