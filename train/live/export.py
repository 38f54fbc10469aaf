"""Tune a trained live network's trackers, one for each latency; write its weights, graph, manifest and card."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch

from train.cache import prepare
from train.calibration import fit_logistic
from train.card import Making, table, write_card, write_weights
from train.live.graph import step_graph
from train.notes.task import read_labels as labels_of
from train.onnx import write_graph
from transcribe.datasets import Piece
from transcribe.engine.features import FeatureConfig
from transcribe.engine.weights import to_bytes
from transcribe.events import Note, Transcription
from transcribe.live.delays import LATENCIES, MEASURED, delay_of
from transcribe.live.model import TASK
from transcribe.live.network import LiveNetwork
from transcribe.live.tracker import NoteTracker, Said, Score, TrackerConfig, track
from transcribe.matching import match_notes
from transcribe.notes.datasets import read_labels
from transcribe.notes.metrics import score_pedals

# A difference in F1 that doesn't matter.
_FLAT = 0.002


@dataclass(frozen=True)
class Heard:
    """What a network says of a recording, (n_frames, n_heads, 88) each; and what is true of it."""

    reference: Transcription
    heads: tuple[np.ndarray, ...]

    def said(self, n_more: int) -> Iterator[Said]:
        """Yield what is said at each frame, and in ``n_more`` silent frames after the last."""
        for row in zip(*self.heads, strict=True):
            yield Said(*row)
        for _ in range(n_more):
            yield Said(*(np.zeros(head.shape[1:], np.float32) for head in self.heads))


def hear(network: LiveNetwork, pieces: Sequence[Piece], features: FeatureConfig, cache: Path) -> Iterator[Heard]:
    """Run a network over recordings, in tune, as it would hear them live."""
    prepare(pieces, cache, labels_of, features)
    for piece in pieces:
        found = prepare([piece], cache, labels_of, features)
        if not found:
            continue
        (prepared,) = found
        log_mel = torch.from_numpy(prepared.span(0, prepared.n_frames)).float()[None]
        with torch.inference_mode():
            heads = network.every_frame(log_mel).activations()
        yield Heard(read_labels(piece.labels), tuple(head[0].numpy() for head in heads))


def validate(network: LiveNetwork, pieces: Sequence[Piece], cache: Path) -> dict[str, float]:
    """Onset F1 with every latency that may be chosen, thresholds as they are before they are tuned."""
    found: dict[str, list[float]] = {}
    for heard in hear(network, pieces, FeatureConfig(), cache):
        if heard.reference.notes:
            for latency in LATENCIES:
                notes = follow(network, heard, latency, TrackerConfig()).sorted_notes()
                found.setdefault(f"valid/{latency}", []).append(f1(heard.reference.notes, notes))
    return {name: float(np.mean(values)) for name, values in found.items()}


def follow(network: LiveNetwork, heard: Heard, latency: int, config: TrackerConfig) -> Score:
    """Track the notes of a recording with one latency."""
    delay = delay_of(latency)
    sizes = network.config
    tracker = NoteTracker(config, delay, sizes.heard, sizes.told, FeatureConfig().grid)
    return track(tracker, heard.said(max(delay + 2, 2)))


def f1(reference: Sequence[Note], estimate: Sequence[Note], offset_ratio: float | None = None) -> float:
    """Score notes; 1 where there are none and none are found."""
    if not reference and not estimate:
        return 1.0
    return 2 * len(match_notes(tuple(reference), tuple(estimate), offset_ratio)) / (len(reference) + len(estimate))


def tune(network: LiveNetwork, recordings: Sequence[Heard], latency: int) -> TrackerConfig:
    """Choose the thresholds of one latency on the validation set, as :func:`train.notes.export.tune` does."""
    sounding = [heard for heard in recordings if heard.reference.notes]

    def mean_f1(config: TrackerConfig, offset_ratio: float | None = None) -> float:
        scores = []
        for heard in sounding:
            notes = follow(network, heard, latency, config).sorted_notes()
            scores.append(f1(heard.reference.notes, notes, offset_ratio))
        return float(np.mean(scores)) if scores else 0.0

    config = TrackerConfig()
    late, logits, right = [], [], []
    for heard in sounding:
        notes = follow(network, heard, latency, config).sorted_notes()
        pairs = match_notes(heard.reference.notes, notes)
        late += [notes[j].onset - heard.reference.notes[i].onset for i, j in pairs]
        hits = {j for _, j in pairs}
        logits += [_logit(note.confidence) for note in notes]  # its weights are 0 and 1
        right += [j in hits for j in range(len(notes))]
    if logits:
        weights = fit_logistic(np.array(logits)[:, None], np.array(right, float))
        config = replace(config, confidence=(float(weights[0]), float(weights[1])))
        config = replace(config, onset_shift=-round(float(np.median(late)), 4) if late else 0.0)
    thresholds = np.arange(0.25, 0.56, 0.05).round(2).tolist()
    f1_of = {t: mean_f1(replace(config, onset_threshold=t)) for t in thresholds}
    best = max(threshold for threshold, value in f1_of.items() if value >= max(f1_of.values()) - _FLAT)
    config = replace(config, onset_threshold=best)
    pairs_of = itertools.product((0.2, 0.3, 0.4, 0.5), (0.3, 1.0))
    frame, offset = max(
        pairs_of, key=lambda p: mean_f1(replace(config, frame_threshold=p[0], offset_threshold=p[1]), 0.2)
    )
    config = replace(config, frame_threshold=frame, offset_threshold=offset)
    return replace(config, pedal_threshold=_best_pedal(network, sounding, latency, config))


def _best_pedal(network: LiveNetwork, recordings: Sequence[Heard], latency: int, config: TrackerConfig) -> float:
    pedalled = [heard for heard in recordings if heard.reference.pedals]
    silent = replace(config, onset_threshold=1.0)

    def mean_f1(threshold: float) -> float:
        found = [follow(network, heard, latency, replace(silent, pedal_threshold=threshold)) for heard in pedalled]
        scores = [score_pedals(h.reference.pedals, s.pedals).f1 for h, s in zip(pedalled, found, strict=True)]
        return float(np.mean(scores)) if scores else 0.0

    thresholds = (0.25, 0.4, 0.55)
    return float(max(thresholds, key=mean_f1)) if pedalled else config.pedal_threshold


def _logit(probability: float) -> float:
    clipped = min(max(probability, 1e-4), 1 - 1e-4)
    return float(np.log(clipped / (1 - clipped)))


def export(
    network: LiveNetwork,
    features: FeatureConfig,
    making: Making,
    valid: Sequence[Piece],
    reports: Sequence[tuple[str, Sequence[Piece]]],
    cache: Path,
) -> None:
    """Tune every latency on ``valid``, then write weights, graph, card and the line in the manifest."""
    network = network.cpu().eval()
    recordings = list(hear(network, valid, features, cache))
    # A quarter of the pieces is enough for thresholds, at a quarter of the time.
    decoding = {str(latency): tune(network, recordings[::4], latency) for latency in MEASURED}
    header = {
        "task": TASK,
        "features": asdict(features),
        "network": asdict(network.config),
        "decoding": {latency: asdict(config) for latency, config in decoding.items()},
        "trained_on": dict(making.trained_on),
        "made": making.header(),
    }
    write_weights(to_bytes(network.state_dict(), header), TASK, making)
    rows = list(_rows(network, decoding, "validation", recordings))
    for title, pieces in reports:
        rows += _rows(network, decoding, title, hear(network, pieces, features, cache))
    columns = ("data", "pieces", "latency (ms)", "note (onset)", "note + offset", "precision", "recall")
    lines = ["Onsets within 50 ms, offsets within 50 ms or 20 %; means over pieces; offsets are key releases.", ""]
    sections = {"Trackers, tuned on the validation set": [f"- {ms} ms: `{config}`" for ms, config in decoding.items()]}
    write_card(making, network, [*lines, *table(columns, rows)], sections)
    write_graph(making.folder, making.name, step_graph(network, features, decoding))


def _rows(
    network: LiveNetwork, decoding: Mapping[str, TrackerConfig], title: str, recordings: Iterator[Heard] | list[Heard]
) -> Iterator[tuple[str, ...]]:
    figures: dict[int, list[tuple[float, ...]]] = {latency: [] for latency in MEASURED}
    for heard in recordings:
        reference = heard.reference.notes
        if not reference:
            continue
        for latency in MEASURED:
            notes = follow(network, heard, latency, decoding[str(latency)]).sorted_notes()
            hits = len(match_notes(reference, notes))
            precision, recall = hits / max(len(notes), 1), hits / len(reference)
            figures[latency].append((f1(reference, notes), f1(reference, notes, 0.2), precision, recall))
    for latency, found in figures.items():
        if found:
            yield (title, str(len(found)), str(latency), *(f"{value:.3f}" for value in np.mean(found, axis=0)))
