"""Figures of a beat network on pieces that training never had, by a plain choice of peaks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from train.beats.corpus import Rhythm
from transcribe.beats.activations import METRES, PERIODS, BeatActivations
from transcribe.beats.features import FRAME_RATE
from transcribe.beats.windows import Network, predict

TOLERANCE = 0.07  # seconds
# Beats nearer than this to each other are one.
_APART = 4  # frames on either side


def runner(network: nn.Module) -> Network:
    """Let a network in torch be given one window at a time."""
    device = next(network.parameters()).device

    def run(features: np.ndarray) -> tuple[np.ndarray, ...]:
        with torch.inference_mode():
            logits = network(torch.from_numpy(features)[None].to(device))
            return tuple(part[0].float().cpu().numpy() for part in logits.activations())

    return run


def peaks(activation: np.ndarray, threshold: float) -> np.ndarray:
    """Seconds of the frames that are the highest of their neighbours and above the threshold."""
    padded = np.pad(activation, _APART, constant_values=-1)
    highest = np.lib.stride_tricks.sliding_window_view(padded, 2 * _APART + 1).max(-1)
    frames = np.flatnonzero((activation >= highest) & (activation >= threshold))
    frames = frames[np.concatenate([[True], np.diff(frames) > 1])] if len(frames) else frames
    return np.asarray(frames / FRAME_RATE)


def f_measure(reference: np.ndarray, estimate: np.ndarray) -> float:
    """F1 of beats within 70 ms, each matched once; the first five seconds left out, as mir_eval does."""
    import mir_eval.beat

    reference, estimate = mir_eval.beat.trim_beats(reference), mir_eval.beat.trim_beats(np.sort(estimate))
    return float(mir_eval.beat.f_measure(reference, estimate)) if len(estimate) and len(reference) else 0.0


def figures_of(piece: Rhythm, said: BeatActivations, threshold: float = 0.4) -> dict[str, float]:
    """Beat and downbeat F; the share of beats where tempo (within 4 %), metre and division are right."""
    scores = {"beats": f_measure(piece.beats, peaks(said.beat, threshold))}
    if piece.downbeat.any():
        scores["downbeats"] = f_measure(piece.beats[piece.downbeat], peaks(said.downbeat, threshold))
    frames = np.clip(np.round(piece.beats * FRAME_RATE).astype(int), 0, len(said) - 1)[:-1]
    gaps = np.diff(piece.beats)
    local = np.array([np.median(gaps[max(0, i - 2) : i + 3]) for i in range(len(gaps))])
    told = PERIODS[said.tempo[frames].argmax(-1)]
    scores["tempo"] = float(np.mean(np.abs(np.log(told / local)) < np.log(1.08)))
    metre = np.array(METRES)[said.metre[frames].argmax(-1)]
    known = piece.metre[:-1] > 0
    if known.any():
        scores["metre"] = float(np.mean((metre == piece.metre[:-1])[known]))
    divided = piece.triple[:-1] >= 0
    if divided.any():
        scores["triple"] = float(np.mean(((said.triple[frames] > 0.5) == (piece.triple[:-1] == 1))[divided]))
    return scores


def validate(network: nn.Module, pieces: Sequence[Rhythm], seconds: float = 180.0) -> dict[str, float]:
    """Means over pieces, by source: ``asap/beats`` and so on."""
    run = runner(network)
    scores: dict[str, list[float]] = {}
    for piece in pieces:
        part = first(piece, seconds)
        for name, value in figures_of(part, predict(part.notes.astype(float), run, part.drums.astype(float))).items():
            scores.setdefault(f"{piece.source}/{name}", []).append(value)
    return {name: float(np.mean(values)) for name, values in sorted(scores.items())}


def first(piece: Rhythm, seconds: float) -> Rhythm:
    """Keep the beginning of a piece."""
    keep = piece.beats < seconds
    return Rhythm(
        piece.name, piece.source, piece.split, piece.notes[piece.notes[:, 0] < seconds], piece.beats[keep],
        piece.downbeat[keep], piece.metre[keep], piece.triple[keep], drums=piece.drums[piece.drums[:, 0] < seconds],
    )  # fmt: skip


def chosen(pieces: Sequence[Rhythm], most: int = 30) -> list[Rhythm]:
    """Choose pieces of real playing and of songs: at most two performances of a piece and ``most`` of a source."""
    kept: list[Rhythm] = []
    counts: dict[str, int] = {}
    for source in ("asap", "pop909", "maps", "groove"):
        own = [p for p in pieces if p.source == source and p.split == "valid" and len(p.beats) >= 16]
        taken = 0
        for piece in own:
            title = piece.name.rsplit("__" if source == "asap" else "_", 1)[0]
            counts[title] = counts.get(title, 0) + 1
            if (source != "asap" or counts[title] <= 2) and taken < most:
                kept.append(piece)
                taken += 1
    return kept
