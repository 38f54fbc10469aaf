"""Train the beat network on a corpus of :mod:`train.beats.corpus`; stopped and started again, it goes on.

python -m train.beats --corpus runs/corpus.npz --run runs/beats --steps 6000
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import torch

from train.beats.batches import Batches
from train.beats.corpus import load
from train.beats.losses import losses
from train.beats.validation import chosen, validate
from train.loop import LoopConfig, add_options, start_process_group, train
from train.loop import chosen as chosen_loop
from transcribe.beats.network import BOTTOMS, STEMS, BeatsConfig, BeatsNetwork
from transcribe.engine.devices import choose_device
from transcribe.engine.weights import load_tensors


def main() -> None:
    """Train."""
    defaults = BeatsConfig()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser, LoopConfig(steps=6000, learning_rate=2e-3, warmup=200, average=0.998, validate_every=500), 8)
    parser.add_argument("--corpus", type=Path, required=True, help="made by train.beats.corpus")
    parser.add_argument("--threads", type=int, default=1, help="of the CPU")
    parser.add_argument("--warmup", type=int, default=200, help="steps")
    parser.add_argument("--init-from", type=Path, help="weights to start from")
    parser.add_argument("--bottom", choices=BOTTOMS, default=defaults.bottom)
    parser.add_argument("--stem", choices=STEMS, default=defaults.stem)
    parser.add_argument("--widths", type=int, nargs=3, default=defaults.widths)
    parser.add_argument("--blocks", type=int, nargs=2, default=defaults.blocks)
    parser.add_argument("--layers", type=int, default=defaults.layers)
    parser.add_argument("--heads", type=int, default=defaults.heads)
    parser.add_argument("--dropout", type=float, default=defaults.dropout)
    parser.add_argument("--lags", type=int, default=defaults.lags)
    parser.add_argument("--salience", type=int, default=defaults.salience)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    rank, device = start_process_group(torch.device(choose_device(options.device)))
    config = BeatsConfig(
        tuple(options.widths), tuple(options.blocks), options.layers, options.heads, options.bottom, options.stem,
        options.dropout, options.lags, options.salience,
    )  # fmt: skip
    network = BeatsNetwork(config)
    if options.init_from is not None:
        network.load_state_dict(load_tensors(options.init_from))
    if rank == 0:
        options.run.mkdir(parents=True, exist_ok=True)
        (options.run / "config.json").write_text(json.dumps(asdict(config)) + "\n")
    pieces = load(options.corpus)
    batches = Batches([p for p in pieces if p.split == "train"], options.batch, options.seed, device)
    held_out = chosen(pieces)
    trained = train(
        network, batches, losses, chosen_loop(options), options.run, lambda n: validate(n, held_out), device
    )
    if rank == 0:
        figures = validate(trained, held_out)
        print("  ".join(f"{name} {value:.4f}" for name, value in figures.items()))


if __name__ == "__main__":
    main()
