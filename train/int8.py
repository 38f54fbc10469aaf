"""Graphs in int8: half the time of float32 ones on a CPU; what one gives, in figures and speed beside the other.

    python -m train.int8 notes-small-10 --calibrate data/renders-valid --data data/maps-real-dev --every 4

quantises the convolutions (ONNX Runtime, static, a scale a channel of the weights; ranges by the windows of some
recordings) and prints F1 over the pieces and the time of a window, of both. ``python -m train.onnx --int8`` writes
such a graph. Weights have seven bits: with eight, processors without instructions for it would add up more than 16 bits
hold.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from train.onnx import to_onnx
from transcribe.audio.reader import load_audio
from transcribe.datasets import Piece
from transcribe.engine.features import FeatureConfig
from transcribe.engine.onnx_backend import INPUT, OnnxNetwork
from transcribe.engine.weights import load_model, manifest, weights_folder
from transcribe.engine.windows import STEP_FRAMES, in_tune
from transcribe.notes.metrics import evaluate
from transcribe.notes.task import NOTES
from transcribe.registry import load_dataset
from transcribe.transcriber import Transcriber

_WINDOWS = 12  # that ranges are taken from
# What stays in float32, by the names of its weights: what reads the bands themselves, whose range is wide, and the
# families, which are decided by little.
_EXACT = ("network.drums.", "network.family.", "network.trunk.stem.")


def windows(pieces: Sequence[Piece], features: FeatureConfig) -> Iterator[np.ndarray]:
    """Give one window of features (1, n_frames, n_mels) a recording."""
    for piece in pieces:
        samples = load_audio(piece.audio, features.sample_rate).samples
        log_mel = np.concatenate([np.zeros((0, features.n_mels), np.float32), *in_tune([samples], features)])
        if len(log_mel) >= STEP_FRAMES:
            yield log_mel[None, :STEP_FRAMES].astype(np.float32)


def ranging(folder: Path, features: FeatureConfig) -> list[np.ndarray]:
    """Take the windows that ranges are taken from, of recordings with labels all over a folder."""
    pieces = load_dataset("pairs", folder)
    return list(itertools.islice(windows(pieces[:: max(1, len(pieces) // _WINDOWS)], features), _WINDOWS))


def quantised(graph: bytes, inputs: Sequence[np.ndarray]) -> bytes:
    """Quantise the convolutions of a graph, but for those of ``_EXACT``.

    Parameters
    ----------
    graph
        The bytes of a float32 ONNX file.
    inputs
        Windows of features, (1, n_frames, n_mels) each, whose values say how far those inside reach.
    """
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._left = iter(inputs)

        def get_next(self) -> dict[str, np.ndarray] | None:
            window = next(self._left, None)
            return None if window is None else {INPUT: window}

    nodes = onnx.load_from_string(graph).graph.node
    exact = [node.name for node in nodes if node.op_type == "Conv" and node.input[1].startswith(_EXACT)]
    with TemporaryDirectory() as folder:
        first, prepared, last = (Path(folder) / f"{name}.onnx" for name in ("a", "b", "c"))
        first.write_bytes(graph)
        quant_pre_process(str(first), str(prepared), skip_symbolic_shape=True)
        quantize_static(
            str(prepared),
            str(last),
            Reader(),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv"],
            per_channel=True,
            reduce_range=True,
            nodes_to_exclude=exact,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        return last.read_bytes()


def main(arguments: list[str] | None = None) -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+")
    parser.add_argument("--calibrate", type=Path, required=True, help="folder of recordings with labels")
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="folders of recordings with labels")
    parser.add_argument("--every", type=int, default=1, help="take every so many pieces only")
    options = parser.parse_args(arguments)
    print("| weights | graph | MB | ms a window | data | note (onset) | note + offset | note + velocity |")
    print("|---|---|---|---|---|---|---|---|")
    for name in options.names:
        entry = next(entry for entry in manifest().values() if name in (entry.name, entry.size))
        model = load_model(NOTES, str(weights_folder() / entry.file))
        graph = to_onnx(model)
        inputs = ranging(options.calibrate, model.features)
        for kind, content in (("float32", graph), ("int8", quantised(graph, inputs))):
            network = OnnxNetwork(content)
            network(inputs[0][0])
            started = time.process_time()
            for window in inputs[:4]:
                network(window[0])
            pace = (time.process_time() - started) / len(inputs[:4])
            for folder in options.data:
                some = load_dataset("pairs", folder)[:: options.every]
                means = evaluate(
                    "pairs", some, Transcriber(tasks=("notes",), model=replace(model, network=network), threads=1)
                ).means
                shown = ("note", "note_offset", "note_velocity")
                cells = [f"{means[metric].f1:.3f}" if metric in means else "–" for metric in shown]
                size, about = f"{len(content) / 1e6:.1f}", f"{folder.name}, {len(some)} pieces"
                print(
                    f"| {entry.name} | {kind} | {size} | {1000 * pace:.0f} | {about} | {' | '.join(cells)} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
