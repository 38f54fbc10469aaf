"""A trained beat network → weights, ONNX graph, manifest and model card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TypeVar

import torch
from torch import nn

from train.card import Making, table, write_card, write_weights
from train.onnx import graph_of, write_graph
from transcribe.beats.features import N_FEATURES
from transcribe.beats.model import TASK
from transcribe.beats.network import BeatsNetwork
from transcribe.beats.windows import BORDER_FRAMES, WINDOW_FRAMES
from transcribe.engine.weights import to_bytes

INPUT = "notes"
N = TypeVar("N", bound=nn.Module)
COLUMNS = ("beats", "downbeats", "tempo", "metre", "triple")


def halved(network: N) -> N:
    """Round the weights to half precision, as they are shipped."""
    state = {key: v.half().float() if v.is_floating_point() else v for key, v in network.state_dict().items()}
    network.load_state_dict(state)
    return network


def to_onnx(network: BeatsNetwork) -> bytes:
    """Make the graph that a CPU runs, for windows of one length."""
    return graph_of(network, torch.zeros(1, WINDOW_FRAMES, N_FEATURES), INPUT, BORDER_FRAMES, 1)


def export(network: BeatsNetwork, making: Making, figures: Mapping[str, float]) -> None:
    """Write weights, graph, their line in the manifest, and the card with the figures of validation."""
    header = {"task": TASK, "network": asdict(network.config), "made": making.header()}
    write_weights(to_bytes(network.state_dict(), header), TASK, making)
    write_graph(making.folder, making.name, to_onnx(halved(network)))
    write_card(making, network, figures_lines(figures), {})


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
