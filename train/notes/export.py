"""A trained notes network → thresholds tuned on the validation set → weights file, manifest and model card.

    python -m train.notes.export --run runs/notes --name notes-medium-8 --valid pairs:renders-valid --report real:REAL

Nothing is chosen on what is only reported.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import itertools
import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from train.onnx import add_graph
from transcribe.datasets import Piece
from transcribe.engine.features import FeatureConfig
from transcribe.engine.trunk import TrunkConfig
from transcribe.engine.weights import build, header_of, parse_model, to_bytes
from transcribe.events import Note, Pedal
from transcribe.matching import match_notes
from transcribe.notes.datasets import DATASETS, read_labels
from transcribe.notes.decoder import Activations, DecodingConfig, decode_blocks
from transcribe.notes.metrics import METRICS, NotesReport, evaluate, score_pedals
from transcribe.notes.network import NotesNetwork
from transcribe.notes.task import NOTES, NotesModel
from transcribe.registry import load_dataset
from transcribe.transcriber import Transcriber

WEIGHTS = Path(__file__).parents[2] / "weights"
UNKNOWN_TERMS = "terms unknown: those of the data it was trained on"
# A difference in validation F1 that doesn't matter: the mean of 60 pieces has an error of several times that.
_FLAT = 0.002


@dataclass(frozen=True)
class Heard:
    """A piece with its true notes and pedal (none where nobody knows it), and what the network heard in it."""

    name: str
    reference: tuple[Note, ...]
    activations: list[Activations]
    pedals: tuple[Pedal, ...] = ()


@dataclass(frozen=True)
class Training:
    """What a weights file should tell of its making: data sets and splits, terms, and the command."""

    trained_on: dict[str, list[str]]
    licence: str
    command: str


def to_model(
    network: NotesNetwork, features: FeatureConfig, decoding: DecodingConfig, device: str = "cpu"
) -> NotesModel:
    """Make what users load of a network in training: half precision, normalisation folded in."""
    content = to_bytes(network.state_dict(), header_of(NOTES, network.config, decoding, features, trained_on={}))
    return parse_model(NOTES, content, "in training", device)


def listen(transcriber: Transcriber, pieces: Sequence[Piece]) -> list[Heard]:
    """Run the network once over every piece."""
    heard = []
    for piece in tqdm(pieces, desc="listening"):
        activations = list(transcriber.activations_of(piece.audio))
        labels = read_labels(piece.labels)
        heard.append(Heard(piece.name, labels.notes, activations, labels.pedals))
    return heard


def tune(heard: Sequence[Heard], start: DecodingConfig) -> DecodingConfig:
    """Choose the decoder's settings on the validation set, one after the other, by what each is for.

    Onset threshold and shift by note F1, the more cautious threshold where there is hardly a difference; frame and
    offset thresholds by note + offset F1; the pedal's by its F1 where there is a pedal; the coefficients of the
    confidence by maximum likelihood of a note's being right. F1 is that of pieces with notes: one without is all right
    or all wrong, and would outweigh the rest (how much is heard where there is nothing,
    ``train/synthesis/trials.py`` tells).
    """

    def mean_f1(candidate: DecodingConfig, offset_ratio: float | None = None) -> float:
        scores = []
        for piece in heard:
            if not piece.reference:
                continue
            estimate = _decode(piece, candidate)
            hits = len(match_notes(piece.reference, estimate, offset_ratio))
            scores.append(2 * hits / (len(piece.reference) + len(estimate)))
        return float(np.mean(scores)) if scores else 0.0

    config = replace(start, onset_shift=-_median_lateness(heard, start))
    thresholds = np.arange(0.2, 0.71, 0.05)
    f1_of = {t: mean_f1(replace(config, onset_threshold=t)) for t in thresholds.round(2).tolist()}
    # Around its maximum F1 hardly changes. The highest of the thresholds there: a note that nobody played disturbs more
    # than a missing soft one.
    best = max(threshold for threshold, f1 in f1_of.items() if f1 >= max(f1_of.values()) - _FLAT)
    config = replace(config, onset_threshold=best)
    pairs = itertools.product((0.2, 0.3, 0.4, 0.5), (0.3, 0.5, 1.0))
    frame, offset = max(pairs, key=lambda p: mean_f1(replace(config, frame_threshold=p[0], offset_threshold=p[1]), 0.2))
    config = replace(config, frame_threshold=frame, offset_threshold=offset)
    config = replace(config, pedal_threshold=_best_pedal_threshold(heard, config))
    # Every other piece only: the rest shows how well it is calibrated.
    return replace(config, confidence=_fit_confidence(heard[::2], config))


def _best_pedal_threshold(heard: Sequence[Heard], config: DecodingConfig) -> float:
    """Choose by mean F1 over the pieces with a pedal; what ``config`` has where there is none.

    The lowest where there is hardly a difference: notes that a pedal held end too soon without it.
    """

    def mean_f1(threshold: float) -> float:
        # Hardly a peak passes an onset threshold of 1: the notes needn't be decoded for this.
        candidate = replace(config, pedal_threshold=threshold, onset_threshold=1.0)
        pedalled = [piece for piece in heard if piece.pedals]
        found = [score_pedals(p.pedals, decode_blocks(p.activations, candidate)[1]).f1 for p in pedalled]
        return float(np.mean(found)) if found else 0.0

    thresholds: list[float] = np.arange(0.1, 0.61, 0.05).round(2).tolist()
    f1_of = {threshold: mean_f1(threshold) for threshold in thresholds}
    if not any(f1_of.values()):
        return config.pedal_threshold
    return min(threshold for threshold, f1 in f1_of.items() if f1 >= max(f1_of.values()) - _FLAT)


def _decode(heard: Heard, config: DecodingConfig) -> tuple[Note, ...]:
    return tuple(decode_blocks(heard.activations, config)[0])


def _median_lateness(heard: Sequence[Heard], config: DecodingConfig) -> float:
    late = []
    for piece in heard:
        estimate = _decode(piece, config)
        late += [estimate[j].onset - piece.reference[i].onset for i, j in match_notes(piece.reference, estimate)]
    return round(float(np.median(late)), 4) if late else 0.0


def _fit_confidence(heard: Sequence[Heard], config: DecodingConfig) -> tuple[float, float, float]:
    # With the coefficients (0, 1, 0) and (0, 0, 1) a confidence is one of the two features itself.
    columns, right = [], []
    for piece in heard:
        by_peak = _decode(piece, replace(config, confidence=(0.0, 1.0, 0.0)))
        by_sustain = _decode(piece, replace(config, confidence=(0.0, 0.0, 1.0)))
        hits = {j for _, j in match_notes(piece.reference, by_peak)}
        columns += [(a.confidence, b.confidence) for a, b in zip(by_peak, by_sustain, strict=True)]
        right += [j in hits for j in range(len(by_peak))]
    if not columns:
        return config.confidence
    probability = np.clip(np.array(columns), 1e-4, 1 - 1e-4)
    weights = fit_logistic(np.log(probability / (1 - probability)), np.array(right, float))
    return float(weights[0]), float(weights[1]), float(weights[2])


def fit_logistic(features: np.ndarray, truth: np.ndarray, ridge: float = 1e-3) -> np.ndarray:
    """Fit a logistic regression by Newton's method.

    Parameters
    ----------
    features
        Shape (n, k).
    truth
        0 or 1, shape (n,).

    Returns
    -------
    np.ndarray
        The bias and the k coefficients.
    """
    x = np.column_stack([np.ones(len(features)), features])
    weights = np.zeros(x.shape[1])
    for _ in range(50):
        probability = 1 / (1 + np.exp(-np.clip(x @ weights, -30, 30)))
        gradient = x.T @ (probability - truth) + ridge * weights
        hessian = (x * (probability * (1 - probability))[:, None]).T @ x + ridge * np.eye(len(weights))
        weights -= np.linalg.solve(hessian, gradient)
    return weights


def reliability(heard: Sequence[Heard], transcriber: Transcriber, bins: int = 10) -> list[tuple[float, float, int]]:
    """Compare the confidence of notes with the truth."""
    sure, right = [], []
    for piece in heard:
        estimate = _decode(piece, transcriber.decoding)
        hits = {j for _, j in match_notes(piece.reference, estimate)}
        sure += [note.confidence for note in estimate]
        right += [j in hits for j in range(len(estimate))]
    return reliability_table(np.array(sure), np.array(right, float), bins)


def reliability_table(confidence: np.ndarray, truth: np.ndarray, bins: int = 10) -> list[tuple[float, float, int]]:
    """Tabulate (mean confidence, share that is right, how many) for each bin of confidence that holds any."""
    which = np.minimum((confidence * bins).astype(int), bins - 1)
    return [
        (float(confidence[which == b].mean()), float(truth[which == b].mean()), int((which == b).sum()))
        for b in range(bins)
        if (which == b).any()
    ]


def calibration_error(table: Sequence[tuple[float, float, int]]) -> float:
    """Compute the expected calibration error of a reliability table: 0 is perfect."""
    total = sum(count for _, _, count in table)
    return sum(abs(sure - right) * count for sure, right, count in table) / max(total, 1)


def export(
    network: NotesNetwork,
    features: FeatureConfig,
    name: str,
    training: Training,
    valid: Sequence[Piece],
    reports: Sequence[tuple[str, Sequence[Piece]]] = (),
    folder: Path = WEIGHTS,
    default: bool = False,
    size: str = "",
    text: str = "",
) -> None:
    """Tune on ``valid``, then write ``name.safetensors``, its graph, its model card and its line in the manifest.

    ``reports`` are only reported; ``text`` opens the card; ``size`` is another name for it, taken from older weights;
    a ``default`` model is what ``pitchai`` uses unless told otherwise.
    """
    start = DecodingConfig(onset_threshold=0.4)
    heard = listen(Transcriber(tasks=("notes",), model=to_model(network, features, start)), valid)
    decoding = tune(heard, start)
    header = header_of(
        NOTES,
        network.config,
        decoding,
        features,
        trained_on=training.trained_on,
        made={"commit": commit(), "command": training.command},
    )
    content = to_bytes(network.state_dict(), header)
    write_weights(folder, name, "notes", content, training.licence, size, default)
    add_graph(folder, name)
    final = Transcriber(tasks=("notes",), model=parse_model(NOTES, content, name))
    figures = [("validation", evaluate("pairs", valid, final))]
    figures += [(title, evaluate(title, pieces, final)) for title, pieces in reports]
    table = reliability(heard[1::2], final)
    card = _card(name, text, network, decoding, training, figures, table)
    (folder / f"{name}.md").write_text(card, encoding="utf-8")


def write_weights(
    folder: Path, name: str, task: str, content: bytes, licence: str, size: str = "", default: bool = False
) -> None:
    """Write a weights file and its line in the manifest; the size and the default are taken from older weights."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.safetensors").write_bytes(content)
    manifest = folder / "manifest.json"
    lines = json.loads(manifest.read_text(encoding="utf-8")) if manifest.exists() else {}
    lines[name] = {
        "task": task,
        "file": f"{name}.safetensors",
        "sha256": hashlib.sha256(content).hexdigest(),
        "licence": licence,
        "size": size,
        "default": default,
    }
    for other, line in lines.items():
        if other != name and line["task"] == task:
            line["default"] = line["default"] and not default
            line["size"] = "" if line["size"] == size else line["size"]
    manifest.write_text(json.dumps(lines, indent=2, sort_keys=True) + "\n", encoding="utf-8")


@functools.cache  # a card and its file say the same
def commit() -> str:
    """Name the commit of the program, ``unknown`` outside a repository."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _card(
    name: str,
    text: str,
    network: NotesNetwork,
    decoding: DecodingConfig,
    training: Training,
    figures: Sequence[tuple[str, NotesReport]],
    table: Sequence[tuple[float, float, int]],
) -> str:
    size = sum(parameter.numel() for parameter in network.parameters())
    lines = [f"# {name}", "", text.strip(), "", "## Terms and making", "", f"{training.licence}.", ""]
    lines += ["```", training.command, "```", "", f"at commit `{commit()}`.", "", "## Figures", ""]
    lines += [f"Conventions: {figures[0][1].conventions}.", ""]
    lines += [
        "| data | pieces | " + " | ".join(METRICS.values()) + " | exact slices |",
        "|---" * (len(METRICS) + 3) + "|",
    ]
    for title, report in figures:
        means = report.means
        cells = [f"{means[metric].f1:.3f}" if metric in means else "–" for metric in METRICS]
        lines.append(f"| {title} | {len(report.pieces)} | " + " | ".join(cells) + f" | {report.exact_slices:.3f} |")
    lines += ["", f"{size:,} parameters: {network.config}.", "", "## Decoding, tuned on the validation set", ""]
    lines += [f"`{decoding}`", "", "## Confidence", ""]
    lines += [f"Fitted on one half of the validation pieces; on the other half, in {len(table)} bins, the expected"]
    lines += [f"calibration error is {calibration_error(table):.3f}.", ""]
    lines += ["| said | right | notes |", "|---|---|---|"]
    lines += [f"| {sure:.2f} | {right:.2f} | {count} |" for sure, right, count in table]
    return "\n".join(lines) + "\n"


def load_run(run: Path) -> NotesNetwork:
    """Load the averaged network of a run's checkpoint."""
    config = json.loads((run / "config.json").read_text())
    network = NotesNetwork(FeatureConfig(), build(TrunkConfig, config))
    load_averaged(network, run)
    return network


def load_averaged(network: torch.nn.Module, run: Path) -> None:
    """Fill a network with the averaged weights of a run's checkpoint, for evaluation."""
    averaged = torch.load(run / "checkpoint.pt", map_location="cpu", weights_only=True)["averaged"]
    tensors = {key.removeprefix("module."): value for key, value in averaged.items() if key.startswith("module.")}
    network.load_state_dict(tensors, strict=True)
    network.eval()


def load(name: str, folder: Path, split: str) -> list[Piece]:
    """Find the pieces of a split; ``pairs`` has none and gives all of it."""
    return load_dataset(name, folder, "all" if name == "pairs" else split)


def dataset(value: str) -> tuple[str, Path]:
    """Read ``name:folder`` from the command line."""
    name, _, folder = value.partition(":")
    if name not in DATASETS or not folder:
        raise argparse.ArgumentTypeError(f"{value!r} is not name:folder with a name of {', '.join(DATASETS)}")
    return name, Path(folder)


def _titled(value: str) -> tuple[str, Path]:
    title, _, folder = value.partition(":")
    return title, Path(folder)


def main() -> None:
    """Export the network of a run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--name", required=True, help="notes-medium-8, …")
    parser.add_argument("--valid", type=dataset, required=True, help="data set to tune on, name:folder")
    parser.add_argument("--report", type=_titled, nargs="*", default=[], help="title:folder, reported only")
    parser.add_argument("--licence", default=UNKNOWN_TERMS)
    parser.add_argument("--default", action="store_true", help="make it the model that is used unless told otherwise")
    parser.add_argument("--size", default="", help="small, medium or large: what --model calls it")
    parser.add_argument("--command", default="", help="the command that trained it, for the card")
    parser.add_argument("--trained-on", nargs="*", default=[], help="data sets whose train split was used")
    parser.add_argument("--card", type=Path, help="text to open the model card with")
    options = parser.parse_args()
    export(
        load_run(options.run),
        FeatureConfig(),
        options.name,
        Training({name: ["train"] for name in options.trained_on}, options.licence, options.command),
        load(options.valid[0], options.valid[1], "validation"),
        [(title, load_dataset("pairs", folder)) for title, folder in options.report],
        default=options.default,
        size=options.size,
        text=options.card.read_text(encoding="utf-8") if options.card else "",
    )


if __name__ == "__main__":
    main()
