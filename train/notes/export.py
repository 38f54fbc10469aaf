"""Tune the decoder of a trained notes network on the validation set; write its weights, graph, manifest and card."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from train.calibration import Predicted, fit_logistic, predict
from train.card import Making, held_out_reliability, table, write_card, write_weights
from train.onnx import add_graph
from transcribe.datasets import Piece
from transcribe.engine.features import FeatureConfig
from transcribe.engine.weights import header_of, parse_model, to_bytes
from transcribe.events import Note, Transcription
from transcribe.matching import match_notes
from transcribe.notes.datasets import read_labels
from transcribe.notes.decoder import DecodingConfig, decode_blocks
from transcribe.notes.metrics import METRICS, NotesReport, evaluate, score_pedals
from transcribe.notes.network import NotesNetwork
from transcribe.notes.task import NOTES, NotesModel
from transcribe.report.statistics import reliability_table
from transcribe.transcriber import Transcriber

# A difference in validation F1 that doesn't matter: the mean of 60 pieces has an error of several times that.
_FLAT = 0.002

# Its reference has notes, and pedals where they are known.
PredictedNotes = Predicted[Transcription]


def to_model(
    network: NotesNetwork, features: FeatureConfig, decoding: DecodingConfig, device: str = "cpu"
) -> NotesModel:
    """Make what users load of a network in training: half precision, normalisation folded in."""
    content = to_bytes(network.state_dict(), header_of(NOTES, network.config, decoding, features, trained_on={}))
    return parse_model(NOTES, content, "in training", device)


def read_reference(piece: Piece, duration: float) -> Transcription:
    """Read the true notes and pedals of a piece."""
    return read_labels(piece.labels)


def tune(predicted: Sequence[PredictedNotes], start: DecodingConfig) -> DecodingConfig:
    """Choose the decoder's settings on the validation set, one after the other, by what each is for.

    Onset threshold and shift by note F1, the more cautious threshold where there is hardly a difference; frame and
    offset thresholds by note + offset F1; the pedal's by its F1 where there is a pedal; the coefficients of the
    confidence by maximum likelihood of a note's being right. F1 is that of pieces with notes: one without is all right
    or all wrong, and would outweigh the rest (what is found where there is nothing is
    measured on the sets of ``train/synthesis/trials.py``).
    """

    def mean_f1(candidate: DecodingConfig, offset_ratio: float | None = None) -> float:
        scores = []
        for piece in predicted:
            if not piece.reference.notes:
                continue
            estimate = _decode(piece, candidate)
            hits = len(match_notes(piece.reference.notes, estimate, offset_ratio))
            scores.append(2 * hits / (len(piece.reference.notes) + len(estimate)))
        return float(np.mean(scores)) if scores else 0.0

    config = replace(start, onset_shift=-_median_lateness(predicted, start))
    thresholds = np.arange(0.2, 0.71, 0.05)
    f1_of = {t: mean_f1(replace(config, onset_threshold=t)) for t in thresholds.round(2).tolist()}
    # Around its maximum F1 hardly changes. The highest of the thresholds there: a note that nobody played disturbs more
    # than a missing soft one.
    best = max(threshold for threshold, f1 in f1_of.items() if f1 >= max(f1_of.values()) - _FLAT)
    config = replace(config, onset_threshold=best)
    pairs = itertools.product((0.2, 0.3, 0.4, 0.5), (0.3, 0.5, 1.0))
    frame, offset = max(pairs, key=lambda p: mean_f1(replace(config, frame_threshold=p[0], offset_threshold=p[1]), 0.2))
    config = replace(config, frame_threshold=frame, offset_threshold=offset)
    config = replace(config, pedal_threshold=_best_pedal_threshold(predicted, config))
    # Every other piece only: the rest shows how well it is calibrated.
    return replace(config, confidence=_fit_confidence(predicted[::2], config))


def _best_pedal_threshold(predicted: Sequence[PredictedNotes], config: DecodingConfig) -> float:
    """Choose by mean F1 over the pieces with a pedal; what ``config`` has where there is none.

    The lowest where there is hardly a difference: notes that a pedal held end too soon without it.
    """

    def mean_f1(threshold: float) -> float:
        # Hardly a peak passes an onset threshold of 1: the notes needn't be decoded for this.
        candidate = replace(config, pedal_threshold=threshold, onset_threshold=1.0)
        pedalled = [piece for piece in predicted if piece.reference.pedals]
        found = [score_pedals(p.reference.pedals, decode_blocks(p.activations, candidate)[1]).f1 for p in pedalled]
        return float(np.mean(found)) if found else 0.0

    thresholds: list[float] = np.arange(0.1, 0.61, 0.05).round(2).tolist()
    f1_of = {threshold: mean_f1(threshold) for threshold in thresholds}
    if not any(f1_of.values()):
        return config.pedal_threshold
    return min(threshold for threshold, f1 in f1_of.items() if f1 >= max(f1_of.values()) - _FLAT)


def _decode(piece: PredictedNotes, config: DecodingConfig) -> tuple[Note, ...]:
    return tuple(decode_blocks(piece.activations, config)[0])


def _median_lateness(predicted: Sequence[PredictedNotes], config: DecodingConfig) -> float:
    late = []
    for piece in predicted:
        estimate = _decode(piece, config)
        late += [
            estimate[j].onset - piece.reference.notes[i].onset for i, j in match_notes(piece.reference.notes, estimate)
        ]
    return round(float(np.median(late)), 4) if late else 0.0


def _fit_confidence(predicted: Sequence[PredictedNotes], config: DecodingConfig) -> tuple[float, float, float]:
    # With the coefficients (0, 1, 0) and (0, 0, 1) a confidence is one of the two features itself.
    columns, right = [], []
    for piece in predicted:
        by_peak = _decode(piece, replace(config, confidence=(0.0, 1.0, 0.0)))
        by_sustain = _decode(piece, replace(config, confidence=(0.0, 0.0, 1.0)))
        hits = {j for _, j in match_notes(piece.reference.notes, by_peak)}
        columns += [(a.confidence, b.confidence) for a, b in zip(by_peak, by_sustain, strict=True)]
        right += [j in hits for j in range(len(by_peak))]
    if not columns:
        return config.confidence
    probability = np.clip(np.array(columns), 1e-4, 1 - 1e-4)
    weights = fit_logistic(np.log(probability / (1 - probability)), np.array(right, float))
    return float(weights[0]), float(weights[1]), float(weights[2])


def reliability(
    predicted: Sequence[PredictedNotes], config: DecodingConfig, bins: int = 10
) -> list[tuple[float, float, int]]:
    """Compare the confidence of notes with the truth."""
    confidence, right = [], []
    for piece in predicted:
        estimate = _decode(piece, config)
        hits = {j for _, j in match_notes(piece.reference.notes, estimate)}
        confidence += [note.confidence for note in estimate]
        right += [j in hits for j in range(len(estimate))]
    return reliability_table(np.array(confidence), np.array(right, float), bins)


def export(
    network: NotesNetwork,
    features: FeatureConfig,
    making: Making,
    valid: Sequence[Piece],
    reports: Sequence[tuple[str, Sequence[Piece]]] = (),
) -> None:
    """Tune on ``valid``, then write weights, graph, card and the line in the manifest; ``reports`` go into the card."""
    start = DecodingConfig(onset_threshold=0.4)
    predicted = predict(Transcriber(tasks=("notes",), model=to_model(network, features, start)), valid, read_reference)
    decoding = tune(predicted, start)
    more = {"trained_on": dict(making.trained_on), "made": making.header()}
    header = header_of(NOTES, network.config, decoding, features, **more)
    content = to_bytes(network.state_dict(), header)
    write_weights(content, "notes", making)
    add_graph(making.folder, making.name)
    final = Transcriber(tasks=("notes",), model=parse_model(NOTES, content, making.name))
    figures = [("validation", evaluate("pairs", valid, final))]
    figures += [(title, evaluate(title, pieces, final)) for title, pieces in reports]
    confidence = held_out_reliability(reliability(predicted[1::2], decoding), "notes")
    sections = {"Decoding, tuned on the validation set": [f"`{decoding}`"], "Confidence": confidence}
    write_card(making, network, _figures(figures), sections)


def _figures(figures: Sequence[tuple[str, NotesReport]]) -> list[str]:
    rows = []
    for title, report in figures:
        means = report.means
        cells = [f"{means[metric].f1:.3f}" if metric in means else "–" for metric in METRICS]
        rows.append((title, str(len(report.pieces)), *cells, f"{report.exact_slices:.3f}"))
    columns = ("data", "pieces", *METRICS.values(), "exact slices")
    return [f"Conventions: {figures[0][1].conventions}.", "", *table(columns, rows)]
