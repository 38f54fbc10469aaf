"""Convolutions in int8: nearly the same values, and what must stay exact does."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from train.int8 import quantised
from transcribe.engine.onnx_backend import INPUT


def graph_of_two(rng: np.random.Generator) -> bytes:
    """Frames to what a convolution of the trunk says of them, and one of the drums."""
    weights = {
        f"network.{name}.weight": rng.normal(size=(4, 1, 3, 1)).astype(np.float32) for name in ("trunk", "drums")
    }
    shape = numpy_helper.from_array(np.array([1]), "axes")
    nodes = [helper.make_node("Unsqueeze", [INPUT, "axes"], ["x"]), helper.make_node("Abs", ["x"], ["y"])]
    for name, read in zip(weights, ("y", "x"), strict=True):
        nodes.append(helper.make_node("Conv", [read, name], [name.split(".")[1]], name=name, pads=[1, 0, 1, 0]))
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4, None, 8]) for name in ("trunk", "drums")]
    inputs = [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, [1, None, 8])]
    constants = [shape, *(numpy_helper.from_array(value, name) for name, value in weights.items())]
    graph = helper.make_graph(nodes, "two", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(model.SerializeToString())


def test_what_is_quantised_says_nearly_the_same_and_the_drums_exactly() -> None:
    rng = np.random.default_rng(5)
    exact = graph_of_two(rng)
    window = rng.normal(size=(1, 40, 8)).astype(np.float32)
    rough = quantised(exact, [window])
    assert rough == quantised(exact, [window])
    (trunk, drums), (near, same) = (
        onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"]).run(None, {INPUT: window})
        for graph in (exact, rough)
    )
    np.testing.assert_array_equal(drums, same)
    assert 0 < np.abs(trunk - near).max() < 0.03 * np.abs(trunk).max()
    names = [node.op_type for node in onnx.load_from_string(rough).graph.node]
    assert names.count("Conv") == 2
    assert names.count("QuantizeLinear") == 2  # what goes into the trunk's, and what comes out
