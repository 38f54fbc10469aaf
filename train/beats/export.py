"""A trained beat network → weights, ONNX graph, manifest and model card."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from train.card import Making, table
from train.in_memory import write_network
from train.onnx import graph_of
from transcribe.beats.features import N_FEATURES
from transcribe.beats.model import TASK
from transcribe.beats.network import BeatsNetwork
from transcribe.beats.windows import BORDER_FRAMES, WINDOW_FRAMES

INPUT = "notes"
COLUMNS = ("beats", "downbeats", "tempo", "metre", "triple")


def to_onnx(network: BeatsNetwork) -> bytes:
    """Make the graph that a CPU runs, for windows of one length."""
    return graph_of(network, torch.zeros(1, WINDOW_FRAMES, N_FEATURES), INPUT, BORDER_FRAMES, 1)


def export(network: BeatsNetwork, making: Making, figures: Mapping[str, float]) -> None:
    """Write weights, graph, their line in the manifest, and the card with the figures of validation."""
    write_network(TASK, network, to_onnx, making, figures_lines(figures))


def figures_lines(figures: Mapping[str, float]) -> list[str]:
    """Lay out the figures of validation, a row for each source."""
    rows = [
        [source, *(f"{figures[f'{source}/{c}']:.3f}" if f"{source}/{c}" in figures else "–" for c in COLUMNS)]
        for source in sorted({key.split("/")[0] for key in figures})
    ]
    return [
        "Plain peaks above 0.4, without the search; the first 180 s of pieces that training never had; beats within",
        "70 ms, the first 5 s left out; tempo within 8 %, metre and division at every beat; means over pieces.",
        "",
        *table(("data", *COLUMNS), rows),
    ]
