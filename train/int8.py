"""What an int8 graph of notes weights would give: figures and speed beside the float32 graph's. Nothing is shipped.

    python -m train.int8 notes-small-10 --calibrate data/renders-valid --data data/maps-real-dev --every 4

quantises the convolutions (ONNX Runtime, static, a scale a channel of the weights; ranges by the windows of some
recordings) and prints F1 over the pieces and processor seconds a minute of audio, of both.
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


def windows(pieces: Sequence[Piece], features: FeatureConfig) -> Iterator[np.ndarray]:
    """Give one window of features (1, n_frames, n_mels) a recording."""
    for piece in pieces:
        samples = load_audio(piece.audio, features.sample_rate).samples
        log_mel = np.concatenate([np.zeros((0, features.n_mels), np.float32), *in_tune([samples], features)])
        if len(log_mel) >= STEP_FRAMES:
            yield log_mel[None, :STEP_FRAMES].astype(np.float32)


def quantised(graph: bytes, inputs: Sequence[np.ndarray]) -> bytes:
    """Quantise the convolutions of a graph."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._left = iter(inputs)

        def get_next(self) -> dict[str, np.ndarray] | None:
            window = next(self._left, None)
            return None if window is None else {INPUT: window}

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
        model = load_model(NOTES, entry.name)
        graph = (weights_folder() / entry.graph).read_bytes()
        pieces = load_dataset("pairs", options.calibrate)
        inputs = list(itertools.islice(windows(pieces, model.features), _WINDOWS))
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
