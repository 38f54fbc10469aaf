"""Tune the decoders of shipped notes weights anew: the networks stay as they are, to the bit.

    python -m train.notes.retune --names notes-small-10 --valid pairs:runs/renders-valid --report REAL:data/REAL

tunes what :func:`train.notes.export.tune_further` tunes, or with ``--doubt-alone`` only how sure it is where notes end,
writes the header of the weights anew, their line in the
manifest, and what the card says of decoding, confidence and figures. Thresholds of onsets and pedal stay. With
``--activations`` what the networks hear is kept in a folder, so that a second call takes minutes. The same data give
the same bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import load

from train import fit
from train.calibration import Predicted
from train.card import WEIGHTS
from train.notes.export import PredictedNotes, card_figures, card_reliability, read_reference, tune_doubt, tune_further
from train.progress import Progress
from transcribe.datasets import Piece
from transcribe.engine.features import FrameGrid
from transcribe.engine.task import Header
from transcribe.engine.weights import build, parse_model, read_header, to_bytes
from transcribe.events import Transcription
from transcribe.notes.datasets import DATASETS
from transcribe.notes.decoder import Activations, DecodingConfig
from transcribe.notes.metrics import evaluate
from transcribe.notes.task import NOTES, NotesModel
from transcribe.registry import load_dataset
from transcribe.transcriber import Transcriber

_HEADS = ("onset", "frame", "offset", "velocity", "pedal")


class Heard(Transcriber):
    """A transcriber that keeps in a folder what its network hears, in half precision, and reads it from there."""

    def __init__(self, model: NotesModel, folder: Path | None) -> None:
        super().__init__(tasks=("notes",), model=model)
        self._folder = folder

    def activations_of(self, path: str | Path) -> Iterator[Activations]:
        """Hear a recording, or find what was heard of it."""
        if self._folder is None:
            yield from super().activations_of(path)
            return
        path = Path(path)
        kept = self._folder / f"{path.parent.name}-{path.stem}.npz"
        if not kept.exists():
            blocks = list(super().activations_of(path))
            heads = {name: np.concatenate([getattr(block, name) for block in blocks]) for name in _HEADS}
            halves: dict[str, Any] = {name: values.astype(np.float16) for name, values in heads.items()}
            self._folder.mkdir(parents=True, exist_ok=True)
            np.savez(kept, rate=blocks[0].grid.sample_rate, hop=blocks[0].grid.hop_length, **halves)
        with np.load(kept, allow_pickle=False) as archive:
            grid = FrameGrid(int(archive["rate"]), int(archive["hop"]))
            onset, frame, offset, velocity, pedal = (archive[name].astype(np.float32) for name in _HEADS)
        yield Activations(onset, frame, offset, velocity, pedal, grid)


def predict(hearing: Heard, pieces: Sequence[Piece]) -> list[PredictedNotes]:
    """Hear every piece."""
    found = []
    for piece in Progress(pieces, "predicting", len(pieces)):
        blocks = list(hearing.activations_of(piece.audio))
        duration = sum(block.seconds for block in blocks)
        found.append(Predicted[Transcription](piece.name, read_reference(piece, duration), blocks, duration))
    return found


def retune(
    name: str,
    folder: Path,
    valid: Sequence[Piece],
    reports: Sequence[tuple[str, Sequence[Piece]]],
    activations: Path | None = None,
    tuning: Callable[[Sequence[PredictedNotes], DecodingConfig], DecodingConfig] = tune_further,
) -> DecodingConfig:
    """Tune one file of weights, and write it, its line in the manifest and its card."""
    path = folder / f"{name}.safetensors"
    content = path.read_bytes()
    header = read_header(content)
    before = build(DecodingConfig, header["decoding"])

    def hearing(decoding: DecodingConfig, data: str) -> Heard:
        model: NotesModel = parse_model(NOTES, content, name, graph=_graph(folder, name))
        model = replace(model, decoding=decoding, header={**header, "decoding": asdict(decoding)})
        return Heard(model, None if activations is None else activations / name / data)

    predicted = predict(hearing(before, "validation"), valid)
    decoding = tuning(predicted, before)
    path.write_bytes(to_bytes(load(content), _new_header(header, decoding), half=False))
    _write_manifest(folder, name)
    sets = [("validation", valid), *reports]
    figures = [(title, evaluate("pairs", pieces, hearing(decoding, title), reliability=True)) for title, pieces in sets]
    card = folder / f"{name}.md"
    if card.exists():
        text = card.read_text(encoding="utf-8")
        sections = {
            "Figures": [*card_figures(figures), "", _size_line(text)],
            "Decoding, tuned on the validation set": [f"`{decoding}`"],
            "Confidence": card_reliability(figures),
        }
        card.write_text(with_sections(text, sections), encoding="utf-8")
    for title, report in figures:
        print(title, {metric: round(score.f1, 4) for metric, score in report.means.items()})
    return decoding


def with_sections(card: str, sections: dict[str, list[str]]) -> str:
    """Put sections in the place of those of the same titles in a model card."""
    for title, lines in sections.items():
        pattern = re.compile(rf"^## {re.escape(title)}\n.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)
        if not pattern.search(card):
            raise ValueError(f"the card has no section {title!r}")
        text = "\n".join([f"## {title}", "", *lines, "", ""])
        card = pattern.sub(lambda _, text=text: text, card)  # type: ignore[misc]
    return card.rstrip("\n") + "\n"


def _size_line(card: str) -> str:
    """Find what a card says of the network's size."""
    found = re.search(r"^[\d,]+ parameters: .*$", card, re.MULTILINE)
    return found.group() if found else ""


def _new_header(header: Header, decoding: DecodingConfig) -> Header:
    return {key: value for key, value in header.items() if key != "format"} | {"decoding": asdict(decoding)}


def _graph(folder: Path, name: str) -> bytes | None:
    path = folder / f"{name}.onnx"
    return path.read_bytes() if path.exists() else None


def _write_manifest(folder: Path, name: str) -> None:
    path = folder / "manifest.json"
    lines = json.loads(path.read_text(encoding="utf-8"))
    lines[name]["sha256"] = hashlib.sha256((folder / f"{name}.safetensors").read_bytes()).hexdigest()
    path.write_text(json.dumps(lines, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def main(arguments: list[str] | None = None) -> None:
    """Tune the weights that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--names", nargs="+", required=True, help="of weights, such as notes-small-10")
    add("--valid", type=fit.dataset(*DATASETS), nargs="+", required=True, help="data sets, name:folder")
    add("--report", type=fit.titled, nargs="*", default=[], help="title:folder of pairs, reported in the card only")
    add("--weights", type=Path, default=WEIGHTS, help="their folder")
    add("--activations", type=Path, help="folder to keep what the networks hear in")
    add("--doubt-alone", action="store_true", help="tune that, and leave all else as it is")
    options = parser.parse_args(arguments)
    tuning = tune_doubt if options.doubt_alone else tune_further
    valid = [piece for layout, folder in options.valid for piece in load_dataset(layout, folder, "all")]
    reports = [(title, load_dataset("pairs", Path(folder))) for title, folder in options.report]
    for name in options.names:
        print(name, retune(name, options.weights, valid, reports, options.activations, tuning))


if __name__ == "__main__":
    main()
