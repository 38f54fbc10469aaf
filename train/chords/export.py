"""A trained chords network → its search tuned on the validation set → weights file, manifest and model card.

    python -m train.chords.export --run runs/chords --name chords-1 --valid runs/songs-valid \
        --report "POP909, unheard sound font:runs/songs-test"

Nothing is chosen on what is only reported.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
from tqdm import tqdm

from train.notes.export import (
    UNKNOWN_TERMS,
    WEIGHTS,
    calibration_error,
    commit,
    fit_logistic,
    load_averaged,
    reliability_table,
    write_weights,
)
from train.onnx import add_graph
from transcribe.audio import AudioReader
from transcribe.chords.decoder import ChordActivations, ChordDecoder, ChordDecodingConfig, at, class_of
from transcribe.chords.metrics import (
    COMPARISONS,
    SEGMENTATIONS,
    ChordReport,
    ClipReport,
    evaluate_chords,
    evaluate_clips,
    mean_scores,
    read_reference,
    score_chords,
)
from transcribe.chords.network import ChordsConfig, ChordsNetwork
from transcribe.chords.task import CHORDS, ChordsModel
from transcribe.datasets import Piece
from transcribe.engine.features import FeatureConfig
from transcribe.engine.weights import header_of, parse_model, to_bytes
from transcribe.events import Chord
from transcribe.registry import load_dataset
from transcribe.theory.chords import parse
from transcribe.transcriber import Transcriber

EVIDENCE = (0.1, 0.2, 0.35, 0.6, 1.0)
STAY = (0.8, 0.9, 0.95, 0.98)
BASS_THRESHOLDS = (0.4, 0.5, 0.6, 0.7, 0.8)


@dataclass(frozen=True)
class Making:
    """What a weights file should tell of its making: terms and command."""

    licence: str
    command: str


def to_model(
    network: ChordsNetwork, features: FeatureConfig, decoding: ChordDecodingConfig | None = None
) -> ChordsModel:
    """Make what users load of a network in training: half precision, normalisation folded in."""
    header = header_of(CHORDS, network.config, decoding or ChordDecodingConfig(), features)
    return parse_model(CHORDS, to_bytes(network.state_dict(), header), "training")


@dataclass(frozen=True)
class Heard:
    """A piece with its true chords, and what the network heard in it."""

    reference: list[Chord]
    activations: list[ChordActivations]
    duration: float


def listen(recogniser: Transcriber, pieces: Sequence[Piece]) -> list[Heard]:
    """Listen to every piece once."""
    heard = []
    for piece in tqdm(pieces, desc="listening"):
        with AudioReader(piece.audio, recogniser.sample_rate) as reader:
            activations = list(recogniser.activations(reader.blocks()))
            steps = sum(len(block) * block.stride for block in activations)
            duration = reader.duration or float(recogniser.model.features.grid.frames_to_time(steps))
        heard.append(Heard(read_reference(piece, duration), activations, duration))
    return heard


def decode(recogniser: Transcriber, piece: Heard, decoding: ChordDecodingConfig) -> list[Chord]:
    """Search with other settings in what was heard."""
    decoder = ChordDecoder(recogniser.model.constants["changes"], decoding)
    for block in piece.activations:
        decoder.push(block)
    return decoder.finish(piece.duration)


def tune(recogniser: Transcriber, heard: Sequence[Heard]) -> ChordDecodingConfig:
    """Choose the search's settings: the best mean of root, majmin, sevenths and segmentation; then the bass's.

    The confidence is fitted on every other piece.
    """

    def mean(decoding: ChordDecodingConfig, names: Sequence[str]) -> float:
        scores = mean_scores([score_chords(piece.reference, decode(recogniser, piece, decoding)) for piece in heard])
        return float(np.mean([scores[name] for name in names]))

    start = ChordDecodingConfig()
    grid = [replace(start, evidence=evidence, stay=stay) for evidence, stay in product(EVIDENCE, STAY)]
    names = ("root", "majmin", "sevenths", "seg")
    best: ChordDecodingConfig = max(tqdm(grid, desc="search"), key=lambda decoding: mean(decoding, names))
    basses = [replace(best, bass_threshold=threshold) for threshold in BASS_THRESHOLDS]
    best = max(basses, key=lambda decoding: mean(decoding, ("majmin_inv",)))
    sure, right = judged(recogniser, heard[::2], best)
    sure = np.clip(sure, 1e-3, 1 - 1e-3)
    bias, weight = fit_logistic(np.log(sure / (1 - sure))[:, None], right)
    return replace(best, confidence=(float(bias), float(weight)))


def judged(
    recogniser: Transcriber, heard: Sequence[Heard], decoding: ChordDecodingConfig
) -> tuple[np.ndarray, np.ndarray]:
    """Say for every chord found how sure it is, and whether its root and quality are right in its middle (0 or 1)."""
    sure, right = [], []
    for piece in heard:
        for chord in decode(recogniser, piece, decoding):
            truth = at(piece.reference, (chord.onset + chord.offset) / 2)
            number = class_of(parse(truth.label)) if truth else None
            if number is not None:
                sure.append(chord.confidence)
                right.append(float(class_of(parse(chord.label)) == number))
    return np.array(sure), np.array(right)


def export(
    network: ChordsNetwork,
    features: FeatureConfig,
    name: str,
    making: Making,
    valid: Sequence[Piece],
    reports: Sequence[tuple[str, Sequence[Piece]]] = (),
    folder: Path = WEIGHTS,
    text: str = "",
) -> None:
    """Tune on ``valid``, then write weights, card and the line in the manifest; ``text`` opens the card."""
    recogniser = Transcriber(tasks=("chords",), model=to_model(network, features))
    heard = listen(recogniser, valid)
    decoding = tune(recogniser, heard)
    table = reliability_table(*judged(recogniser, heard[1::2], decoding))
    made = {"commit": commit(), "command": making.command}
    content = to_bytes(network.state_dict(), header_of(CHORDS, network.config, decoding, features, made=made))
    write_weights(folder, name, "chords", content, making.licence, default=True)
    add_graph(folder, name)
    final = Transcriber(tasks=("chords",), model=parse_model(CHORDS, content, name))
    figures = [("validation", evaluate(valid, final)), *((title, evaluate(pieces, final)) for title, pieces in reports)]
    (folder / f"{name}.md").write_text(_card(name, text, network, decoding, making, figures, table), encoding="utf-8")


def evaluate(pieces: Sequence[Piece], recogniser: Transcriber) -> ChordReport | ClipReport:
    """Score songs, or clips where a folder holds clips."""
    clips = all(piece.labels.is_dir() for piece in pieces)
    return evaluate_clips(pieces, recogniser) if clips else evaluate_chords(pieces, recogniser)


def _card(
    name: str,
    text: str,
    network: ChordsNetwork,
    decoding: ChordDecodingConfig,
    making: Making,
    figures: Sequence[tuple[str, ChordReport | ClipReport]],
    table: Sequence[tuple[float, float, int]],
) -> str:
    size = sum(parameter.numel() for parameter in network.parameters())
    lines = [f"# {name}", "", text.strip(), "", "## Terms and making", "", f"{making.licence}.", ""]
    lines += ["```", making.command, "```", "", f"at commit `{commit()}`.", "", "## Figures", ""]
    columns = [*COMPARISONS, *SEGMENTATIONS]
    lines += ["mir_eval.chord, weighted by duration over all pieces; segmentation: means over pieces.", ""]
    lines += [f"| data | pieces | {' | '.join(columns)} |", "|---" * (len(columns) + 2) + "|"]
    for title, report in figures:
        if isinstance(report, ChordReport):
            cells = [f"{report.means[column]:.3f}" for column in columns]
            lines.append(f"| {title} | {len(report.pieces)} | {' | '.join(cells)} |")
    clips = [(title, report) for title, report in figures if isinstance(report, ClipReport)]
    if clips:
        lines += ["", "| clips | root and quality right |", "|---|---|"]
        lines += [f"| {title} | {report.accuracy:.3f} |" for title, report in clips]
    lines += ["", f"{size:,} parameters: {network.config}.", "", "## Search, tuned on the validation set", ""]
    lines += [f"`{decoding}`", "", "## Confidence", ""]
    lines += [
        f"Fitted on one half of the validation pieces; on the other, in {len(table)} bins, the expected calibration"
    ]
    lines += [f"error is {calibration_error(table):.3f}. Right means root and quality in the middle of the chord.", ""]
    lines += ["| said | right | chords |", "|---|---|---|"]
    lines += [f"| {sure:.2f} | {right:.2f} | {count} |" for sure, right, count in table]
    return "\n".join(lines) + "\n"


def load_run(run: Path) -> ChordsNetwork:
    """Load the averaged network of a run's checkpoint."""
    config = json.loads((run / "config.json").read_text())
    tuples = {key: tuple(value) for key, value in config.items() if isinstance(value, list)}
    network = ChordsNetwork(FeatureConfig(), ChordsConfig(**config | tuples))
    load_averaged(network, run)
    return network


def _report(value: str) -> tuple[str, list[Piece]]:
    title, _, folder = value.rpartition(":")
    return title, load_dataset("chords", Path(folder))


def main() -> None:
    """Export the network of a run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--name", required=True, help="chords-1, …")
    parser.add_argument("--valid", type=Path, required=True, help="folder to tune on")
    parser.add_argument("--report", type=_report, nargs="*", default=[], help="title:folder, reported only")
    parser.add_argument("--licence", default=UNKNOWN_TERMS)
    parser.add_argument("--command", default="", help="the command that trained it, for the card")
    parser.add_argument("--card", type=Path, help="text to open the model card with")
    options = parser.parse_args()
    export(
        load_run(options.run),
        FeatureConfig(),
        options.name,
        Making(options.licence, options.command),
        load_dataset("chords", options.valid),
        options.report,
        text=options.card.read_text(encoding="utf-8") if options.card else "",
    )


if __name__ == "__main__":
    main()
