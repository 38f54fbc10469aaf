"""Tune the decoders of notes, families and drums on the validation set; write weights, graph, manifest and card."""

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
from transcribe.matching import match_notes
from transcribe.notes.ensemble import (
    DrumDecoder,
    EnsembleActivations,
    EnsembleDecoder,
    EnsembleDecodingConfig,
    drummed,
    prominent,
)
from transcribe.notes.ensemble_metrics import Counts, count_strokes, match_strokes, named
from transcribe.notes.ensemble_network import EnsembleNetwork
from transcribe.notes.task import NOTES
from transcribe.theory.families import DRUMS, FAMILIES
from transcribe.transcriber import Transcriber

# Where decoders begin to be tuned, and what validates on the way.
START = EnsembleDecodingConfig(onset_threshold=0.4, drum_thresholds=(0.4,) * len(DRUMS))


# Of thresholds and shares that are tried; a share is taken where it brings so much more F1 than none.
_THRESHOLDS = np.arange(0.15, 0.76, 0.05).round(2).tolist()
_SHARES, _WORTH = (0.0, 0.4, 0.5, 0.6, 0.7, 0.8), 0.01
_FEW = 20  # notes are added to those of each family


def _strokes(piece: Predicted[Transcription], threshold: float, shift: float) -> list[Drum]:
    decoder = DrumDecoder((threshold,) * len(DRUMS), shift)
    for block in piece.activations:
        heard = cast(EnsembleActivations, block)
        decoder.push(heard.drum, heard.drum_velocity, heard.grid)
    return decoder.finish()


def tune_drums(predicted: Sequence[Predicted[Transcription]], config: EnsembleDecodingConfig) -> EnsembleDecodingConfig:
    """Choose the shift of drums by their median lateness, each one's threshold and share by its F1 over all pieces.

    A class that the validation set has not keeps its own.
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
    counts = np.zeros((len(_SHARES), len(_THRESHOLDS), len(DRUMS), 3), int)
    for piece in predicted:
        strokes = _strokes(piece, _THRESHOLDS[0], shift)
        for i, j in np.ndindex(counts.shape[:2]):
            sure = [stroke for stroke in strokes if stroke.confidence >= _THRESHOLDS[j]]
            estimate = drummed(prominent(sure, (_SHARES[i],) * len(DRUMS)))
            counts[i, j] += list(count_strokes(piece.reference.drums, estimate).values())
    thresholds, shares = list(config.drum_thresholds), list(config.drum_shares)
    for k in range(len(DRUMS)):
        scores = np.array([[Counts(*cell.tolist()).figures[2] for cell in row] for row in counts[:, :, k]])
        if counts[0, 0, k, 1]:
            scores[0] += _WORTH
            i, j = np.unravel_index(scores.argmax(), scores.shape)
            shares[k], thresholds[k] = _SHARES[i], _THRESHOLDS[j]
    return replace(config, drum_shift=shift, drum_thresholds=tuple(thresholds), drum_shares=tuple(shares))


def tune_families(
    predicted: Sequence[Predicted[Transcription]], config: EnsembleDecodingConfig
) -> EnsembleDecodingConfig:
    """Weigh each family by how often it plays the notes that are found, beside how often it is said to.

    Rare families count for more in training, and are heard too often after it.
    """
    plays, said = np.full((2, len(FAMILIES)), float(_FEW))
    for piece in predicted:
        decoder = EnsembleDecoder(config)
        for block in piece.activations:
            decoder.push(block)
        found, _ = decoder.finish()
        for i, j in match_notes(wanted := named(piece.reference.notes), found):
            plays[FAMILIES.index(str(wanted[i].instrument))] += 1
            said += decoder.told[j]
    weights = plays / said
    weights /= np.exp(np.log(weights).mean())
    return replace(config, family_weights=tuple(weights.round(3).tolist()))


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
    decoding = tune_families(predicted, decoding)
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
