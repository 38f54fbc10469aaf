"""Train the spelling network on a corpus of :mod:`train.score.corpus`.

    python -m train.spelling recipes/spelling.toml
    python -m train.spelling --corpus runs/scores.npz --run runs/spelling --export spelling-1

A run that was stopped goes on where it was when the same command is called again. ``--export`` writes weights, graph
and model card, with the figures of the validation pieces.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from train import fit, loop
from train.card import Making
from train.in_memory import InMemoryTask
from train.score.corpus import load
from train.score.task import first_performances
from train.spelling.batches import Batches, losses, validate
from train.spelling.export import export
from transcribe.engine.weights import build
from transcribe.score.network import ScoreConfig
from transcribe.score.spelling_network import SpellingNetwork


class Training(InMemoryTask[SpellingNetwork]):
    """The spelling network; a task of :mod:`train.fit`."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._config = ScoreConfig(options.channels, tuple(options.dilations), options.dropout)
        torch.set_num_threads(options.threads)
        pieces = load(options.corpus)
        self._pieces = [piece for piece in pieces if piece.split != "valid"]
        self._held_out = first_performances([piece for piece in pieces if piece.split == "valid"])

    def network(self) -> SpellingNetwork:
        """Make the network, from nothing."""
        return SpellingNetwork(self._config)

    def batches(self, network: SpellingNetwork, device: torch.device) -> Batches:
        """Draw excerpts, and play them otherwise."""
        return Batches(self._pieces, self._options.batch, self._options.notes, self._options.seed, device)

    def losses(self, device: torch.device) -> loop.Losses:
        """Minimise :func:`train.spelling.batches.losses`."""
        return losses

    def measure(self, network: nn.Module) -> dict[str, float]:
        """Measure how many notes are right, on pieces held out."""
        return validate(network, self._held_out)

    def build(self, config: dict[str, Any]) -> SpellingNetwork:
        """Make the bare network of a run."""
        return SpellingNetwork(build(ScoreConfig, config))

    def export(self, network: SpellingNetwork, making: Making, figures: Mapping[str, float]) -> None:
        """Write weights, graph and card."""
        export(network, making, figures)


def main(arguments: list[str] | None = None) -> None:
    """Train; export."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    start = loop.LoopConfig(
        steps=1200, learning_rate=3e-3, warmup=60, weight_decay=0.05, average=0.99, validate_every=200
    )
    fit.add_options(parser, start, batch=12, seconds=None)
    parser.add_argument("--corpus", type=Path, required=True, help="made by train.score.corpus")
    parser.add_argument("--threads", type=int, default=1, help="of the CPU")
    parser.add_argument("--notes", type=int, default=320, help="an excerpt")
    parser.add_argument("--warmup", type=int, default=start.warmup, help="steps")
    parser.add_argument("--channels", type=int, default=32)
    parser.add_argument("--dilations", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32, 1, 2, 4, 8, 16])
    parser.add_argument("--dropout", type=float, default=0.25)
    fit.run("train.spelling", parser, Training, arguments)
