"""A trained spelling network → weights, ONNX graph, manifest and model card."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from train.card import Making, table
from train.in_memory import write_network
from train.onnx import graph_of
from transcribe.score.spelling import N_FEATURES, TASK
from transcribe.score.spelling_network import SpellingNetwork

INPUT = "notes"


def to_onnx(network: SpellingNetwork) -> bytes:
    """Make the graph that a CPU runs, for any number of notes."""
    shapes = {"window": {1: torch.export.Dim("notes", min=2, max=1 << 20)}}
    return graph_of(network, torch.zeros(1, 100, N_FEATURES), INPUT, network.border, 1, shapes)


def export(network: SpellingNetwork, making: Making, figures: Mapping[str, float]) -> None:
    """Write weights, graph, their line in the manifest, and the card with the figures of validation."""
    lines = [
        "Share of the notes of pieces that training never had whose name is right; one performance a piece, the mean",
        "over pieces.",
        "",
        *table(tuple(figures), [[f"{value:.3f}" for value in figures.values()]]),
    ]
    write_network(TASK, network, to_onnx, making, lines)
