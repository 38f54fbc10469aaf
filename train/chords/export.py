"""Tune the decoder of a trained chords network on the validation set; write its weights, graph, manifest and card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np

from train.cache import prepare
from train.calibration import Predicted, fit_logistic, predict
from train.card import Making, held_out_reliability, table, write_card, write_weights
from train.chords.heard import Heard, rows_heard
from train.chords.labels import read_labels
from train.onnx import add_graph
from train.progress import Progress
from transcribe.chords.decoder import ChordDecoder, ChordDecodingConfig, at, class_of
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
from transcribe.chords.network import ChordsNetwork
from transcribe.chords.task import CHORDS, ChordsModel
from transcribe.datasets import Piece
from transcribe.engine.features import FeatureConfig
from transcribe.engine.inference import follow
from transcribe.engine.weights import header_of, parse_model, to_bytes
from transcribe.events import Chord
from transcribe.report.statistics import reliability_table
from transcribe.theory.chords import parse
from transcribe.transcriber import Transcriber

EVIDENCE = (0.1, 0.2, 0.35, 0.6, 1.0)
STAY = (0.8, 0.9, 0.95, 0.98)
BASS_THRESHOLDS = (0.4, 0.5, 0.6, 0.7, 0.8)

PredictedChords = Predicted[list[Chord]]


def to_model(
    network: ChordsNetwork, features: FeatureConfig, decoding: ChordDecodingConfig | None = None, device: str = "cpu"
) -> ChordsModel:
    """Make what users load of a network in training: half precision, normalisation folded in."""
    header = header_of(CHORDS, network.config, decoding or ChordDecodingConfig(), features)
    return parse_model(CHORDS, to_bytes(network.state_dict(), header), "in training", device)


def predict_heard(model: ChordsModel, pieces: Sequence[Piece], hearer: Heard, cache: Path) -> list[PredictedChords]:
    """Run a network over what a notes network hears of every piece, from the cache where it is there."""
    predicted = []
    prepare(pieces, cache, read_labels, model.features, hearer)
    for piece in pieces:
        for found in prepare([piece], cache, read_labels, model.features, hearer):
            heard = rows_heard(found.span(0, found.n_frames).astype(np.float32), model.features.grid)
            duration = found.n_frames / model.features.grid.frames_per_second
            reference = read_reference(piece, duration)
            name = f"{piece.name} {hearer.__qualname__}"
            predicted.append(Predicted(name, reference, list(follow([[heard]], model)), duration))
    return predicted


def decode(transcriber: Transcriber, piece: PredictedChords, decoding: ChordDecodingConfig) -> list[Chord]:
    """Search with other settings in what was predicted."""
    decoder = ChordDecoder(transcriber.model.constants["changes"], decoding)
    for block in piece.activations:
        decoder.push(block)
    return decoder.finish(piece.duration)


def tune(transcriber: Transcriber, predicted: Sequence[PredictedChords]) -> ChordDecodingConfig:
    """Choose the search's settings: the best mean of root, majmin, sevenths and segmentation; then the bass's.

    The confidence is fitted on every other piece.
    """

    def mean(decoding: ChordDecodingConfig, names: Sequence[str]) -> float:
        scores = mean_scores(
            [score_chords(piece.reference, decode(transcriber, piece, decoding)) for piece in predicted]
        )
        return float(np.mean([scores[name] for name in names]))

    start = ChordDecodingConfig()
    grid = [replace(start, evidence=evidence, stay=stay) for evidence, stay in product(EVIDENCE, STAY)]
    names = ("root", "majmin", "sevenths", "seg")
    best: ChordDecodingConfig = max(Progress(grid, "search", len(grid)), key=lambda decoding: mean(decoding, names))
    basses = [replace(best, bass_threshold=threshold) for threshold in BASS_THRESHOLDS]
    best = max(basses, key=lambda decoding: mean(decoding, ("majmin_inv",)))
    confidence, right = judged(transcriber, predicted[::2], best)
    confidence = np.clip(confidence, 1e-3, 1 - 1e-3)
    bias, weight = fit_logistic(np.log(confidence / (1 - confidence))[:, None], right)
    return replace(best, confidence=(float(bias), float(weight)))


def judged(
    transcriber: Transcriber, predicted: Sequence[PredictedChords], decoding: ChordDecodingConfig
) -> tuple[np.ndarray, np.ndarray]:
    """Say for every chord found its confidence, and whether its root and quality are right in its middle (0 or 1)."""
    confidence, right = [], []
    for piece in predicted:
        for chord in decode(transcriber, piece, decoding):
            truth = at(piece.reference, (chord.onset + chord.offset) / 2)
            number = class_of(parse(truth.label)) if truth else None
            if number is not None:
                confidence.append(chord.confidence)
                right.append(float(class_of(parse(chord.label)) == number))
    return np.array(confidence), np.array(right)


def export(
    network: ChordsNetwork,
    features: FeatureConfig,
    making: Making,
    valid: Sequence[Piece],
    reports: Sequence[tuple[str, Sequence[Piece]]] = (),
    heard: Sequence[Heard] = (),
    cache: Path = Path("runs/features"),
) -> None:
    """Tune on ``valid``, then write weights, graph, card and the line in the manifest; ``reports`` go into the card.

    What follows a notes network is tuned on what each of ``heard`` hears of ``valid``, which may lie in the cache.
    """
    transcriber = Transcriber(tasks=("chords",), model=to_model(network, features))
    predicted: list[PredictedChords] = []
    for hearer in heard:
        predicted += predict_heard(transcriber.model, valid, hearer, cache)
    if not heard:
        predicted = predict(transcriber, valid, read_reference)
    decoding = tune(transcriber, predicted)
    bins = reliability_table(*judged(transcriber, predicted[1::2], decoding))
    content = to_bytes(
        network.state_dict(), header_of(CHORDS, network.config, decoding, features, made=making.header())
    )
    write_weights(content, "chords", making)
    add_graph(making.folder, making.name)
    final = Transcriber(tasks=("chords",), model=parse_model(CHORDS, content, making.name))
    if all(piece.labels.is_dir() for piece in valid):
        figures = [("validation", evaluate(valid, final))]
    else:
        scores = [score_chords(piece.reference, decode(final, piece, decoding)) for piece in predicted]
        figures = [("validation", ChordReport({piece.name: {} for piece in predicted}, mean_scores(scores)))]
    figures += [(title, evaluate(pieces, final)) for title, pieces in reports]
    right = "Right means root and quality in the middle of the chord."
    sections = {
        "Search, tuned on the validation set": [f"`{decoding}`"],
        "Confidence": held_out_reliability(bins, "chords", right),
    }
    write_card(making, network, _figures(figures), sections)


def evaluate(pieces: Sequence[Piece], transcriber: Transcriber) -> ChordReport | ClipReport:
    """Score songs, or clips where a folder holds clips."""
    clips = all(piece.labels.is_dir() for piece in pieces)
    return evaluate_clips(pieces, transcriber) if clips else evaluate_chords(pieces, transcriber)


def _figures(figures: Sequence[tuple[str, ChordReport | ClipReport]]) -> list[str]:
    columns = [*COMPARISONS, *SEGMENTATIONS]
    rows = [
        (title, str(len(report.pieces)), *(f"{report.means[column]:.3f}" for column in columns))
        for title, report in figures
        if isinstance(report, ChordReport)
    ]
    lines = ["mir_eval.chord, weighted by duration over all pieces; segmentation: means over pieces.", ""]
    lines += table(("data", "pieces", *columns), rows)
    clips = [(title, f"{report.accuracy:.3f}") for title, report in figures if isinstance(report, ClipReport)]
    if clips:
        lines += ["", *table(("clips", "root and quality right"), clips)]
    return lines
