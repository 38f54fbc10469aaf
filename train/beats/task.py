"""Train the beat network on a corpus of :mod:`train.beats.corpus`.

    python -m train.beats recipes/beats.toml
    python -m train.beats --corpus runs/corpus.npz --run runs/beats --export beats-2

A run that was stopped goes on where it was when the same command is called again. ``--export`` writes weights, graph
and model card, with the figures of the validation pieces; nothing is chosen by them here.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from train import fit, loop
from train.beats.batches import Batches
from train.beats.corpus import load
from train.beats.export import export
from train.beats.losses import losses
from train.beats.validation import chosen, validate
from train.card import Making
from train.in_memory import InMemoryTask
from transcribe.beats.network import BOTTOMS, STEMS, BeatsConfig, BeatsNetwork
from transcribe.engine.weights import build, load_tensors


class Training(InMemoryTask[BeatsNetwork]):
    """The beat network; a task of :mod:`train.fit`."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._config = BeatsConfig(
            tuple(options.widths), tuple(options.blocks), options.layers, options.heads, options.bottom, options.stem,
            options.dropout, options.lags, options.salience,
        )  # fmt: skip
        torch.set_num_threads(options.threads)
        pieces = load(options.corpus)
        self._pieces = [piece for piece in pieces if piece.split == "train"]
        self._held_out = chosen(pieces)

    def network(self) -> BeatsNetwork:
        """Make the network, from nothing or from other weights."""
        start: Path | None = self._options.init_from
        if start is not None and start.is_dir():
            return loop.load_run(start, self.build).train()
        network = BeatsNetwork(self._config)
        if start is not None:
            network.load_state_dict(load_tensors(start))
        return network

    def batches(self, network: BeatsNetwork, device: torch.device) -> Batches:
        """Draw excerpts, and make them worse as a transcriber would."""
        return Batches(self._pieces, self._options.batch, self._options.seed, device)

    def losses(self, device: torch.device) -> loop.Losses:
        """Minimise :func:`train.beats.losses.losses`."""
        return losses

    def measure(self, network: nn.Module) -> dict[str, float]:
        """Measure beats and downbeats by plain peaks, on pieces held out."""
        assert isinstance(network, BeatsNetwork)
        return validate(network, self._held_out)

    def build(self, config: dict[str, Any]) -> BeatsNetwork:
        """Make the bare network of a run."""
        return BeatsNetwork(build(BeatsConfig, config))

    def export(self, network: BeatsNetwork, making: Making, figures: Mapping[str, float]) -> None:
        """Write weights, graph and card."""
        export(network, making, figures)


def main(arguments: list[str] | None = None) -> None:
    """Train; export."""
    defaults = BeatsConfig()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    start = loop.LoopConfig(steps=3200, learning_rate=3e-3, warmup=120, average=0.998, validate_every=650)
    fit.add_options(parser, start, batch=8, seconds=None)
    parser.add_argument("--corpus", type=Path, required=True, help="made by train.beats.corpus")
    parser.add_argument("--threads", type=int, default=1, help="of the CPU")
    parser.add_argument("--warmup", type=int, default=start.warmup, help="steps")
    parser.add_argument("--init-from", type=Path, help="weights or run to start from")
    parser.add_argument("--bottom", choices=BOTTOMS, default=defaults.bottom)
    parser.add_argument("--stem", choices=STEMS, default=defaults.stem)
    parser.add_argument("--widths", type=int, nargs=3, default=defaults.widths)
    parser.add_argument("--blocks", type=int, nargs=2, default=defaults.blocks)
    parser.add_argument("--layers", type=int, default=defaults.layers)
    parser.add_argument("--heads", type=int, default=defaults.heads)
    parser.add_argument("--dropout", type=float, default=defaults.dropout)
    parser.add_argument("--lags", type=int, default=defaults.lags)
    parser.add_argument("--salience", type=int, default=defaults.salience)
    fit.run("train.beats", parser, Training, arguments)
