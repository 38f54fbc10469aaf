"""Tune the decoders of notes and drums on the validation set; write weights, graph, manifest and card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import numpy as np

from train.bands.validation import measure
from train.calibration import Predicted, predict
from train.card import Making, held_out_reliability, table, write_card, write_weights
from train.notes import export as notes
from train.onnx import add_graph
from transcribe.datasets import Piece
from transcribe.engine.features import FeatureConfig
from transcribe.engine.weights import header_of, parse_model, to_bytes
from transcribe.events import Drum, Transcription
from transcribe.notes.ensemble import DrumDecoder, EnsembleActivations, EnsembleDecodingConfig
from transcribe.notes.ensemble_metrics import Counts, count_strokes, match_strokes
from transcribe.notes.ensemble_network import EnsembleNetwork
from transcribe.notes.task import NOTES
from transcribe.theory.families import DRUMS
from transcribe.transcriber import Transcriber

# Where decoders begin to be tuned, and what validates on the way.
START = EnsembleDecodingConfig(onset_threshold=0.4, drum_thresholds=(0.4,) * len(DRUMS))


def _strokes(piece: Predicted[Transcription], threshold: float, shift: float) -> list[Drum]:
    decoder = DrumDecoder((threshold,) * len(DRUMS), shift)
    for block in piece.activations:
        heard = cast(EnsembleActivations, block)
        decoder.push(heard.drum, heard.drum_velocity, heard.grid)
    return decoder.finish()


def tune_drums(predicted: Sequence[Predicted[Transcription]], config: EnsembleDecodingConfig) -> EnsembleDecodingConfig:
    """Choose the shift of drums by their median lateness, and each one's threshold by its F1 over all pieces.

    A class that the validation set has not keeps its threshold.
    """
    late = []
    for piece in predicted:
        estimate = _strokes(piece, config.drum_thresholds[0], 0.0)
        for drum in DRUMS:
            wanted, found = (
                [stroke.onset for stroke in strokes if stroke.label == drum]
                for strokes in (piece.reference.drums, estimate)
            )
            late += [found[j] - wanted[i] for i, j in match_strokes(wanted, found)]
    shift = -round(float(np.median(late)), 4) if late else 0.0
    candidates = np.arange(0.15, 0.76, 0.05).round(2).tolist()
    counts = np.zeros((len(candidates), len(DRUMS), 3), int)
    for row, threshold in zip(counts, candidates, strict=True):
        for piece in predicted:
            estimate = _strokes(piece, threshold, shift)
            row += list(count_strokes(piece.reference.drums, estimate).values())
    thresholds = []
    for k, before in enumerate(config.drum_thresholds):
        scores = [Counts(*row[k].tolist()).figures[2] for row in counts]
        thresholds.append(candidates[int(np.argmax(scores))] if counts[0, k, 1] else before)
    return replace(config, drum_shift=shift, drum_thresholds=tuple(thresholds))


def export(
    network: EnsembleNetwork,
    features: FeatureConfig,
    making: Making,
    valid: Sequence[Piece],
    reports: Sequence[tuple[str, Sequence[Piece]]] = (),
) -> None:
    """Tune on ``valid``, then write weights, graph, card and the line in the manifest; ``reports`` go into the card."""
    hearing = Transcriber(tasks=("notes",), model=notes.to_model(network, features, START))
    predicted = predict(hearing, valid, notes.read_reference)
    decoding = tune_drums(predicted, cast(EnsembleDecodingConfig, notes.tune(predicted, START)))
    more = {"trained_on": dict(making.trained_on), "made": making.header()}
    content = to_bytes(network.state_dict(), header_of(NOTES, network.config, decoding, features, **more))
    write_weights(content, "notes", making)
    add_graph(making.folder, making.name)
    final = Transcriber(tasks=("notes",), model=parse_model(NOTES, content, making.name))
    measured = [(title, measure(final, pieces)) for title, pieces in (("validation", valid), *reports)]
    names = list(dict.fromkeys(name for _, figures in measured for name in figures))
    rows = [(name, *(f"{figures[name]:.3f}" if name in figures else "–" for _, figures in measured)) for name in names]
    confidence = held_out_reliability(notes.reliability(predicted[1::2], decoding), "notes")
    sections = {"Decoding, tuned on the validation set": [f"`{decoding}`"], "Confidence": confidence}
    write_card(making, network, table(("F1", *(title for title, _ in measured)), rows), sections)
