"""A trained spelling network → weights, ONNX graph, manifest and model card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

import torch

from train.beats.export import halved
from train.card import Making, table, write_card, write_weights
from train.onnx import graph_of, write_graph
from transcribe.engine.weights import to_bytes
from transcribe.score.spelling import N_FEATURES, TASK
from transcribe.score.spelling_network import SpellingNetwork

INPUT = "notes"


def to_onnx(network: SpellingNetwork) -> bytes:
    """Make the graph that a CPU runs, for any number of notes."""
    shapes = {"window": {1: torch.export.Dim("notes", min=2, max=1 << 20)}}
    return graph_of(network, torch.zeros(1, 100, N_FEATURES), INPUT, network.border, 1, shapes)


def export(network: SpellingNetwork, making: Making, figures: Mapping[str, float]) -> None:
    """Write weights, graph, their line in the manifest, and the card with the figures of validation."""
    header = {"task": TASK, "network": asdict(network.config), "made": making.header()}
    write_weights(to_bytes(network.state_dict(), header), TASK, making)
    write_graph(making.folder, making.name, to_onnx(halved(network)))
    lines = [
        "Share of the notes of pieces that training never had whose name is right; one performance a piece, the mean",
        "over pieces.",
        "",
        *table(tuple(figures), [[f"{value:.3f}" for value in figures.values()]]),
    ]
    write_card(making, network, lines, {})
