"""The search for the network of any instruments: designs trained for the same time, as rows of a table.

    python -m train.bands.designs --train pairs:bands-train --valid pairs:bands-valid --minutes 5

How families are told, and how wide the trunk is; all decoded alike, at the same thresholds.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from train import fit, loop
from train.bands import export
from train.bands.excerpts import choose_band_excerpts, read_labels
from train.bands.losses import BandLosses, rarity
from train.bands.task import begin_from
from train.bands.validation import measure
from train.cache import prepare
from train.fit import dataset
from train.notes.designs import cpu_seconds, multiply_adds, steps_within
from train.notes.export import to_model
from train.notes.task import load
from transcribe.engine.devices import choose_device
from transcribe.engine.features import FeatureConfig
from transcribe.notes.datasets import DATASETS
from transcribe.notes.ensemble_network import EnsembleConfig, EnsembleNetwork
from transcribe.transcriber import Transcriber

DESIGNS = {
    "a softmax a key": EnsembleConfig(),
    "a softmax a key, wider": EnsembleConfig(family_channels=96),
    "clustered over the window": EnsembleConfig(family="clustered"),
    "two stages": EnsembleConfig(family="staged"),
    "a softmax a key, wider trunk": EnsembleConfig(channels=96, family_channels=48),
    "two stages, deeper trunk": EnsembleConfig(dilations=(1, 2, 4, 8, 1, 2), family="staged"),
}
_FIGURES = ("note", "frame", "note with family", "drums")


def main(arguments: list[str] | None = None) -> None:
    """Train every design for the same time; print a row for each as it is done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=dataset(*DATASETS), nargs="+", required=True, help="data sets, name:folder")
    parser.add_argument("--valid", type=dataset(*DATASETS), required=True, help="what the table is of")
    parser.add_argument("--minutes", type=float, default=5.0, help="training time of each design")
    parser.add_argument("--every", type=int, default=6, help="listen to every such piece only")
    parser.add_argument("--designs", nargs="+", choices=DESIGNS, default=list(DESIGNS), metavar="NAME")
    parser.add_argument("--init-from", type=Path, help="weights that all begin with, but for the families")
    parser.add_argument("--cache", type=Path, default=Path("runs/features"))
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--compile", action="store_true", help="torch.compile")
    parser.add_argument("--optimizer", choices=("adamw", "muon"), default="muon")
    parser.add_argument("--batch", type=int, default=6)
    fit.add_seconds(parser, 5.12)
    parser.add_argument("--device", default="auto")
    options = parser.parse_args(arguments)
    features, device = FeatureConfig(), torch.device(choose_device(options.device))
    pieces = [piece for name, folder in options.train for piece in load(name, folder, "train")]
    prepared = prepare(pieces, options.cache, read_labels)
    n_frames = fit.n_frames(options, features.grid.frames_per_second)
    batches = choose_band_excerpts(prepared, features, options.batch, n_frames, 0, device)
    losses = BandLosses(rarity(prepared).to(device))
    name, folder = options.valid
    valid = load(name, folder, "validation")[:: options.every]
    titles = ("design", "parameters", "steps", "10⁶ multiply-adds / s", "CPU s / min", *_FIGURES)
    print(f"| {' | '.join(titles)} |")
    print("|---" * len(titles) + "|")
    for name in options.designs:
        torch.manual_seed(0)
        network = EnsembleNetwork(features, DESIGNS[name])
        if options.init_from:
            fresh = {key: value.clone() for key, value in network.family.state_dict().items()}
            begin_from(options.init_from, network)
            network.family.load_state_dict(fresh)
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        steps = steps_within(60 * options.minutes, network, batches, options, losses)
        config = loop.LoopConfig(
            steps=steps, warmup=100, average=0.99, precision=options.precision, compile=options.compile,
            optimizer=options.optimizer,
        )  # fmt: skip
        averaged = loop.train(network, batches, losses, config, folder=None, device=device).cpu()
        assert isinstance(averaged, EnsembleNetwork)
        model = to_model(averaged, features, export.START)
        figures = measure(Transcriber(tasks=("notes",), model=model), valid)
        cells = [
            f"{sum(p.numel() for p in averaged.parameters()):,}",
            f"{steps}",
            f"{multiply_adds(averaged, features):.0f}",
            f"{cpu_seconds(averaged, features):.2f}",
            *(f"{figures.get(figure, 0.0):.3f}" for figure in _FIGURES),
        ]
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
