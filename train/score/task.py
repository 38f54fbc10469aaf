"""Train the score network on a corpus of :mod:`train.score.corpus`.

    python -m train.score recipes/score.toml
    python -m train.score --corpus runs/scores.npz --run runs/score --export score-1

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
from train.score.batches import Batches
from train.score.corpus import Performed, load
from train.score.export import export
from train.score.growing import grown
from train.score.losses import losses, validate
from transcribe.engine.weights import build, load_tensors, read_header
from transcribe.errors import UsageError
from transcribe.score.network import ScoreConfig, ScoreNetwork


def first_performances(pieces: list[Performed]) -> list[Performed]:
    """Keep one performance of every piece."""
    titles: dict[str, Performed] = {}
    for piece in pieces:
        titles.setdefault(piece.name.rpartition("__")[0], piece)
    return list(titles.values())


class Training(InMemoryTask[ScoreNetwork]):
    """The score network; a task of :mod:`train.fit`."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._config = ScoreConfig(options.channels, tuple(options.dilations), options.dropout)
        torch.set_num_threads(options.threads)
        pieces = load(options.corpus)
        self._pieces = [piece for piece in pieces if piece.split != "valid" or options.all]
        self._held_out = first_performances([piece for piece in pieces if piece.split == "valid"])

    def network(self) -> ScoreNetwork:
        """Make the network: from nothing, or grown from a run's or from weights."""
        start: Path | None = self._options.init_from
        if start is None:
            return ScoreNetwork(self._config)
        try:
            return grown(loop.load_run(start, self.build) if start.is_dir() else self._weights(start), self._config)
        except ValueError as error:
            raise UsageError(f"{error}; see --init-from and the sizes") from None

    def _weights(self, path: Path) -> ScoreNetwork:
        """Read the network of a file of weights."""
        network = self.build(read_header(path.read_bytes())["network"])
        network.load_state_dict(load_tensors(path))
        return network

    def batches(self, network: ScoreNetwork, device: torch.device) -> Batches:
        """Draw excerpts, and play them otherwise."""
        return Batches(self._pieces, self._options.batch, self._options.notes, self._options.seed, device)

    def losses(self, device: torch.device) -> loop.Losses:
        """Minimise :func:`train.score.losses.losses`."""
        return losses

    def measure(self, network: nn.Module) -> dict[str, float]:
        """Measure how many notes are right, on pieces held out."""
        return validate(network, self._held_out)

    def build(self, config: dict[str, Any]) -> ScoreNetwork:
        """Make the bare network of a run."""
        return ScoreNetwork(build(ScoreConfig, config))

    def export(self, network: ScoreNetwork, making: Making, figures: Mapping[str, float]) -> None:
        """Write weights, graph and card."""
        export(network, making, figures)


def main(arguments: list[str] | None = None) -> None:
    """Train; export."""
    defaults = ScoreConfig()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    start = loop.LoopConfig(steps=2000, learning_rate=3e-3, warmup=100, average=0.995, validate_every=250)
    fit.add_options(parser, start, batch=16, seconds=None)
    parser.add_argument("--corpus", type=Path, required=True, help="made by train.score.corpus")
    parser.add_argument("--threads", type=int, default=1, help="of the CPU")
    parser.add_argument("--notes", type=int, default=512, help="an excerpt")
    parser.add_argument("--warmup", type=int, default=start.warmup, help="steps")
    parser.add_argument("--init-from", type=Path, help="run or weights to start from, of this size or smaller")
    parser.add_argument("--channels", type=int, default=defaults.channels)
    parser.add_argument("--dilations", type=int, nargs="+", default=list(defaults.dilations))
    parser.add_argument("--dropout", type=float, default=defaults.dropout)
    parser.add_argument("--all", action="store_true", help="train on the validation pieces too")
    fit.run("train.score", parser, Training, arguments)
