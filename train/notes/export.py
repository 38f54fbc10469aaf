"""Tune the decoder of a trained notes network on the validation set; write its weights, graph, manifest and card."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from train.calibration import Predicted, fit_logistic, fit_shares, predict
from train.card import Making, held_out_reliability, reliability_lines, table, write_card, write_weights
from train.onnx import add_graph
from transcribe.datasets import Piece
from transcribe.engine.features import FeatureConfig
from transcribe.engine.weights import header_of, parse_model, to_bytes
from transcribe.events import Note, Pedal, Transcription
from transcribe.matching import match_notes
from transcribe.notes.datasets import read_labels
from transcribe.notes.decoder import DecodingConfig, decode_blocks
from transcribe.notes.ends import logit
from transcribe.notes.forecast import FEWEST, N_COEFFICIENTS, features
from transcribe.notes.metrics import METRICS, NotesReport, evaluate, score_pedals
from transcribe.notes.network import NotesNetwork
from transcribe.notes.pedals import PedalDecoder
from transcribe.notes.task import NOTES, NotesModel
from transcribe.report.statistics import calibration_error, reliability_table
from transcribe.transcriber import Transcriber

# A difference in validation F1 that doesn't matter: the mean of 60 pieces has an error of several times that.
_FLAT = 0.002
_FLAT_ENDS, _FLAT_WEIGHTS = 0.003, 0.001
# What is tried for the ends of notes.
_FRAME_THRESHOLDS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
_OFFSET_WEIGHTS = (5.0, 9.0, 14.0, 20.0, 30.0, 45.0, 70.0)
_DOUBTS = (0.0, 2.0, 4.0, 8.0, 16.0)
# The degree of the polynomial by which velocities are corrected.
_CURVE = 3

# Its reference has notes, and pedals where they are known.
PredictedNotes = Predicted[Transcription]


def to_model(network: NotesNetwork, front: FeatureConfig, decoding: DecodingConfig, device: str = "cpu") -> NotesModel:
    """Make what users load of a network in training: half precision, normalisation folded in."""
    content = to_bytes(network.state_dict(), header_of(NOTES, network.config, decoding, front, trained_on={}))
    return parse_model(NOTES, content, "in training", device)


def read_reference(piece: Piece, duration: float) -> Transcription:
    """Read the true notes and pedals of a piece."""
    return read_labels(piece.labels)


def tune(predicted: Sequence[PredictedNotes], start: DecodingConfig) -> DecodingConfig:
    """Choose the decoder's settings on the validation set, one after the other, by what each is for.

    Onset threshold and shift by note F1, the more cautious threshold where there is hardly a difference; then as
    :func:`tune_further`. F1 is that of pieces with notes: one without is all right or all wrong, and would outweigh the
    rest (what is found where there is nothing is measured on the sets of ``train/synthesis/trials.py``).
    """

    def mean_f1(candidate: DecodingConfig) -> float:
        scores = []
        for piece in predicted:
            if not piece.reference.notes:
                continue
            estimate = _decode(piece, candidate)
            hits = len(match_notes(piece.reference.notes, estimate))
            scores.append(2 * hits / (len(piece.reference.notes) + len(estimate)))
        return float(np.mean(scores)) if scores else 0.0

    config = replace(start, onset_shift=-_median_lateness(predicted, start))
    thresholds = np.arange(0.2, 0.86, 0.05)
    f1_of = {t: mean_f1(replace(config, onset_threshold=t)) for t in thresholds.round(2).tolist()}
    # Around its maximum F1 hardly changes. The highest of the thresholds there: a note that nobody played disturbs more
    # than a missing soft one.
    best = max(threshold for threshold, f1 in f1_of.items() if f1 >= max(f1_of.values()) - _FLAT)
    config = replace(config, onset_threshold=best)
    config = replace(config, pedal_threshold=_best_pedal_threshold(predicted, config))
    return tune_further(predicted, config)


def tune_further(predicted: Sequence[PredictedNotes], config: DecodingConfig) -> DecodingConfig:
    """Choose what doesn't say which notes there are.

    Where notes end by note + offset F1; the correction of velocities by least squares; the coefficients of the
    confidence by maximum likelihood of a note's being right, on every other piece (the rest shows how well it is
    calibrated); those of the forecast, of pianos, by the precision and recall of all pieces.
    """
    config = replace(config, velocity_curve=(), forecast=(), offset_doubt=0.0)
    config = tune_doubt(predicted, _with_ends(predicted, config))
    config = replace(config, confidence=_fit_confidence(predicted[::2], config))
    forecast = () if config.tells_instruments else _fit_forecast(predicted, config)
    return replace(config, velocity_curve=_fit_velocities(predicted, config), forecast=forecast)


def _with_ends(predicted: Sequence[PredictedNotes], config: DecodingConfig) -> DecodingConfig:
    """Choose the offset weight, then the frame threshold, on every other piece.

    Where there is hardly a difference, the least weight and the lowest threshold: renders, whose dampers fall within a
    tenth of a second, tell little there, and real pianos let a note ring on.
    """
    mean_f1 = _f1_of_ends(predicted[::2], config)
    by_weight = {weight: mean_f1(frame_threshold=0.5, offset_weight=weight) for weight in _OFFSET_WEIGHTS}
    offset = min(weight for weight, f1 in by_weight.items() if f1 >= max(by_weight.values()) - _FLAT_WEIGHTS)
    by_threshold = {frame: mean_f1(frame_threshold=frame, offset_weight=offset) for frame in _FRAME_THRESHOLDS}
    frame = min(threshold for threshold, f1 in by_threshold.items() if f1 >= max(by_threshold.values()) - _FLAT_ENDS)
    return replace(config, frame_threshold=frame, offset_weight=offset)


def tune_doubt(predicted: Sequence[PredictedNotes], config: DecodingConfig) -> DecodingConfig:
    """Choose the doubt about where notes end, by note + offset F1 on every other piece; nothing else changes.

    Where there is hardly a difference, the greatest: it costs least where the network errs.
    """
    mean_f1 = _f1_of_ends(predicted[::2], config)
    by_doubt = {doubt: mean_f1(offset_doubt=doubt) for doubt in _DOUBTS}
    doubt = max(doubt for doubt, f1 in by_doubt.items() if f1 >= max(by_doubt.values()) - _FLAT_WEIGHTS)
    return replace(config, offset_doubt=doubt)


def _f1_of_ends(predicted: Sequence[PredictedNotes], config: DecodingConfig) -> Callable[..., float]:
    """Make what gives the mean note + offset F1 with other settings of the ends, which change no onset."""
    matched = [match_notes(piece.reference.notes, _decode(piece, config)) for piece in predicted]

    def mean_f1(**settings: float) -> float:
        changed: Any = settings
        scores = []
        for piece, pairs in zip(predicted, matched, strict=True):
            truth = piece.reference.notes
            if not truth:
                continue
            found = _decode(piece, replace(config, **changed))
            hits = sum(
                abs(truth[i].offset - found[j].offset) <= max(0.05, 0.2 * (truth[i].offset - truth[i].onset))
                for i, j in pairs
            )
            scores.append(2 * hits / (len(truth) + len(found)))
        return float(np.mean(scores)) if scores else 0.0

    return mean_f1


def _fit_velocities(predicted: Sequence[PredictedNotes], config: DecodingConfig) -> tuple[float, ...]:
    """Fit the polynomial in the key that brings velocities nearest to the true ones.

    Each piece counts by the root of its notes, and may have a scale of its own: nobody knows how loud a recording was.
    """
    left, right = [], []
    for piece in predicted:
        truth, found = piece.reference.notes, _decode(piece, config)
        pairs = [(truth[i], found[j]) for i, j in match_notes(truth, found) if truth[i].velocity]
        if len(pairs) < 20:
            continue
        octaves = np.array([(note.pitch - 60) / 12 for note, _ in pairs])
        heard = np.array([note.velocity / 127 for _, note in pairs])
        missing = np.array([note.velocity / 127 for note, _ in pairs]) - heard
        powers = np.column_stack([octaves**power for power in range(1, _CURVE + 1)])
        scale = np.column_stack([np.ones(len(heard)), heard])
        weight = len(pairs) ** -0.5
        left.append(weight * (powers - scale @ np.linalg.lstsq(scale, powers, rcond=None)[0]))
        right.append(weight * (missing - scale @ np.linalg.lstsq(scale, missing, rcond=None)[0]))
    if not left:
        return ()
    factors = np.linalg.lstsq(np.concatenate(left), np.concatenate(right), rcond=None)[0]
    return tuple(round(float(factor), 5) for factor in factors)


def _fit_forecast(predicted: Sequence[PredictedNotes], config: DecodingConfig) -> tuple[float, ...]:
    """Fit logistic regressions of precision and recall, onsets within 100 ms, on what was heard of a piece."""
    described, shares, weights = [], [], []
    for piece in predicted:
        found, columns = _columns(piece, config)
        n_true = len(piece.reference.notes)
        if len(found) < FEWEST or not n_true:
            continue
        hits = len(match_notes(piece.reference.notes, found, onset_tolerance=0.1))
        described.append(features(columns[:, 0], columns[:, 1], piece.duration))
        shares.append((hits / len(found), hits / n_true))
        weights.append(min(n_true, 500) / 50)
    if len(described) < 2 * N_COEFFICIENTS:
        return ()
    rows = [fit_shares(np.array(described), np.array(share), np.array(weights)) for share in zip(*shares, strict=True)]
    return tuple(round(float(value), 5) for row in rows for value in row)


def _best_pedal_threshold(predicted: Sequence[PredictedNotes], config: DecodingConfig) -> float:
    """Choose by mean F1 over the pieces with a pedal; what ``config`` has where there is none.

    The lowest where there is hardly a difference: notes that a pedal held end too soon without it.
    """

    def mean_f1(threshold: float) -> float:
        scores = []
        for piece in predicted:
            if not piece.reference.pedals:
                continue
            decoder = PedalDecoder(threshold)
            for block in piece.activations:
                decoder.push(block.pedal)
            found = [Pedal(*span) for span in decoder.spans(piece.activations[0].grid).tolist()]
            scores.append(score_pedals(piece.reference.pedals, found).f1)
        return float(np.mean(scores)) if scores else 0.0

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


def _columns(piece: PredictedNotes, config: DecodingConfig) -> tuple[tuple[Note, ...], np.ndarray]:
    """Decode a piece; with its notes, the onset activation and the mean frame activation after it, (n, 2)."""
    # With the coefficients (0, 1, 0) and (0, 0, 1) a confidence is one of the two itself.
    bare = replace(config, forecast=())
    by_peak = _decode(piece, replace(bare, confidence=(0.0, 1.0, 0.0)))
    by_sustain = _decode(piece, replace(bare, confidence=(0.0, 0.0, 1.0)))
    columns = [(a.confidence, b.confidence) for a, b in zip(by_peak, by_sustain, strict=True)]
    return by_peak, np.array(columns).reshape(-1, 2)


def _fit_confidence(predicted: Sequence[PredictedNotes], config: DecodingConfig) -> tuple[float, float, float]:
    columns, right = [], []
    for piece in predicted:
        found, own = _columns(piece, config)
        hits = {j for _, j in match_notes(piece.reference.notes, found)}
        columns.append(own)
        right += [j in hits for j in range(len(found))]
    if not right:
        return config.confidence
    weights = fit_logistic(logit(np.concatenate(columns)), np.array(right, float))
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
    front: FeatureConfig,
    making: Making,
    valid: Sequence[Piece],
    reports: Sequence[tuple[str, Sequence[Piece]]] = (),
) -> None:
    """Tune on ``valid``, then write weights, graph, card and the line in the manifest; ``reports`` go into the card."""
    start = DecodingConfig(onset_threshold=0.4)
    predicted = predict(Transcriber(tasks=("notes",), model=to_model(network, front, start)), valid, read_reference)
    decoding = tune(predicted, start)
    more = {"trained_on": dict(making.trained_on), "made": making.header()}
    header = header_of(NOTES, network.config, decoding, front, **more)
    content = to_bytes(network.state_dict(), header)
    write_weights(content, "notes", making)
    add_graph(making.folder, making.name)
    final = Transcriber(tasks=("notes",), model=parse_model(NOTES, content, making.name))
    sets = [("validation", valid), *reports]
    figures = [(title, evaluate("pairs", pieces, final, reliability=True)) for title, pieces in sets]
    held_out = held_out_reliability(reliability(predicted[1::2], decoding), "notes")
    sections = {
        "Decoding, tuned on the validation set": [f"`{decoding}`"],
        "Confidence": [*held_out, "", *card_reliability(figures)],
    }
    write_card(making, network, card_figures(figures), sections)


def card_figures(figures: Sequence[tuple[str, NotesReport]]) -> list[str]:
    """Give the lines of a card with the figures of several sets."""
    shown = [metric for metric in METRICS if any(metric in report.means for _, report in figures)]
    rows = []
    for title, report in figures:
        means, n_pieces = report.means, len(report.pieces) - len(report.silent)
        cells = [f"{means[metric].f1:.3f}" if metric in means else "–" for metric in shown]
        rows.append((title, str(n_pieces), *cells, f"{report.exact_slices:.3f}"))
    columns = ("data", "pieces", *(METRICS[metric] for metric in shown), "exact slices")
    return [f"Conventions: {figures[0][1].conventions}.", "", *table(columns, rows)]


def card_reliability(figures: Sequence[tuple[str, NotesReport]]) -> list[str]:
    """Give the lines of a card about how true confidence and forecast are on several sets."""
    lines = [
        "Notes are right as often as their confidence says, up to an expected calibration error (in ten bins) of:",
        "",
    ]
    rows, errors = [], []
    for title, report in figures:
        tables = {within: bins for within, bins in report.reliability.items() if bins}
        rows.append((title, *(f"{calibration_error(bins):.3f}" for bins in tables.values())))
        told = [(p.forecast, p.wide) for p in report.pieces if p.forecast is not None and p.wide is not None]
        if len(told) > 2:
            (precision, recall), (right, found) = (np.array(side).T for side in zip(*told, strict=True))
            errors.append(
                (
                    title,
                    str(len(told)),
                    *(f"{100 * np.abs(a - b).mean():.1f}" for a, b in ((precision, right), (recall, found))),
                    *(f"{np.corrcoef(a, b)[0, 1]:.2f}" for a, b in ((precision, right), (recall, found))),
                )
            )
    lines += table(("data", "onsets within 50 ms", "within 100 ms"), rows)
    if errors:
        columns = (
            "data",
            "pieces",
            "precision off by",
            "recall off by",
            "correlation, precision",
            "correlation, recall",
        )
        lines += ["", "The forecast by piece, in points, onsets within 100 ms:", "", *table(columns, errors)]
    for title, report in figures[1:]:  # but of the validation set
        for within, bins in report.reliability.items():
            lines += ["", f"{title}, onsets within {1000 * within:.0f} ms:", "", *reliability_lines(bins, "notes")]
    return lines
