"""Train the network of any instruments: notes, who plays them, drums.

    python -m train.bands recipes/any.toml
    python -m train.bands --train pairs:bands-train --valid pairs:bands-valid --run runs/any --family staged

Recordings and labels are those of :mod:`train.synthesis.bands`, or others whose MIDI has a track for each instrument.
Features are computed once and kept in ``--cache``. A run that was stopped goes on where it was when the same command is
called again. ``--export any-3`` tunes the thresholds on the validation set and writes weights, graph and model card.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from train import fit, loop
from train.bands import export
from train.bands.excerpts import choose_band_excerpts, read_labels
from train.bands.losses import BandLosses, rarity
from train.bands.validation import measure
from train.cache import Prepared, prepare
from train.card import Making
from train.notes.export import to_model
from train.notes.grow import grow
from train.notes.task import load
from transcribe.engine.features import FeatureConfig
from transcribe.engine.trunk import TrunkConfig
from transcribe.engine.weights import build, load_tensors, log_mel_config, read_header
from transcribe.errors import InputError, UsageError
from transcribe.notes.datasets import DATASETS
from transcribe.notes.ensemble_network import FAMILY_HEADS, EnsembleConfig, EnsembleNetwork
from transcribe.notes.network import NotesNetwork
from transcribe.registry import load_dataset
from transcribe.transcriber import Transcriber


class BandsTask:
    """What the notes of any instruments bring to :func:`train.fit.fit`."""

    features = FeatureConfig()

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.valid = [piece for name, folder in options.valid for piece in load(name, folder, "validation")]
        self.prepared: list[Prepared] = []

    def prepare(self) -> None:
        """Compute the features of the training split."""
        pieces = [piece for name, folder in self.options.train for piece in load(name, folder, "train")]
        self.prepared = prepare(pieces, self.options.cache, read_labels, self.features)

    def network(self) -> EnsembleNetwork:
        """Make the network: from nothing, as the piano's weights have other terms, or from weights of its own kind."""
        o = self.options
        sizes = (o.channels, o.stem_channels, o.mix_channels, tuple(o.dilations), o.stride)
        config = EnsembleConfig(*sizes, o.family, o.family_channels, o.drum_channels)
        network = EnsembleNetwork(self.features, config)
        if o.init_from:
            begin_from(o.init_from, network)
        for name in o.frozen:
            getattr(network, name).requires_grad_(False)
        return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]

    def frozen(self, network: EnsembleNetwork) -> loop.Frozen | None:
        """Keep what ``--frozen`` names as it is."""
        parts = [getattr(network, name) for name in self.options.frozen]
        return (lambda step: parts) if parts else None

    def batches(self, network: EnsembleNetwork, device: torch.device) -> loop.Batches:
        """Draw excerpts of the recordings."""
        o = self.options
        try:
            n_frames = fit.n_frames(o, self.features.grid.frames_per_second)
            return choose_band_excerpts(self.prepared, self.features, o.batch, n_frames, o.seed, device, o.recordings)
        except ValueError as error:
            raise InputError(f"{error}; see --train") from None

    def losses(self, device: torch.device) -> loop.Losses:
        """Compare with the labels."""
        return BandLosses(rarity(self.prepared).to(device))

    def validation(self, device: torch.device) -> loop.Validate:
        """Transcribe some of the validation pieces."""
        some = self.valid[:: max(1, len(self.valid) // self.options.valid_pieces)]

        def validate(averaged: nn.Module) -> dict[str, float]:
            assert isinstance(averaged, EnsembleNetwork)
            model = to_model(averaged, self.features, export.START, str(device))
            figures = measure(Transcriber(tasks=("notes",), model=model), some)
            return {f"valid/{name}": value for name, value in figures.items()}

        return validate

    def build(self, config: dict[str, Any]) -> EnsembleNetwork:
        """Make the bare network of a run."""
        return EnsembleNetwork(self.features, build(EnsembleConfig, config))

    def finish(self, network: EnsembleNetwork, device: torch.device, command: str) -> None:
        """Export where it is asked for."""
        if not self.options.export:
            return
        making = Making.of(self.options, command, {name: ["train"] for name in self.options.trained_on})
        reports = [(title, load_dataset("pairs", Path(folder))) for title, folder in self.options.report]
        export.export(network, self.features, making, self.valid, reports)


def begin_from(weights: Path, network: EnsembleNetwork) -> None:
    """Copy what has the same name and shape in weights of this kind; what hasn't stays as it is, and is named.

    Of a smaller network the notes are taken, grown to the size of this one.

    Raises
    ------
    UsageError
        If the trunk is another one, and no smaller one.
    """
    own, given = network.state_dict(), load_tensors(weights)
    if any(name not in given or given[name].shape != own[name].shape for name in own if name.startswith("trunk")):
        given = _grown(weights, network)
    fitting = {name: given[name] for name, value in own.items() if name in given and given[name].shape == value.shape}
    network.load_state_dict(fitting, strict=False)
    left = sorted({name.split(".")[0] for name in own if name not in fitting})
    print(f"begun from {weights}" + (f", but for {', '.join(left)}" if left else ""), file=sys.stderr)


def _grown(weights: Path, network: EnsembleNetwork) -> dict[str, Tensor]:
    """Make of the notes of smaller weights those of a network of this size."""
    header, config = read_header(weights.read_bytes()), asdict(network.config)
    names = [field.name for field in fields(TrunkConfig)]
    features = log_mel_config(header)
    smaller = NotesNetwork(features, build(TrunkConfig, {name: header["network"][name] for name in names}))
    own = smaller.state_dict()
    smaller.load_state_dict({name: value for name, value in load_tensors(weights).items() if name in own})
    try:
        return grow(smaller, features, build(TrunkConfig, {name: config[name] for name in names})).state_dict()
    except ValueError as error:
        raise UsageError(f"{weights}: {error}; see --init-from and the sizes") from None


def main(arguments: list[str] | None = None) -> None:
    """Train on what the command line or a recipe says."""
    fit.run("train.bands", _parser(), BandsTask, arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    fit.add_recordings(parser, DATASETS)
    add("--init-from", type=Path, help="weights of this task to start from, of this size or smaller")
    add("--frozen", nargs="*", choices=("trunk", "head", "pedal"), default=[], help="what stays as it is")
    fit.add_options(parser, loop.LoopConfig(optimizer="muon"), batch=6, seconds=5.12)
    parser.set_defaults(card=Path(__file__).with_name("sources.md"))
    add("--recordings", choices=("auto", "card", "disk"), default="auto", help="where their features lie in training")
    size = EnsembleConfig()
    fit.add_sizes(parser, size)
    add("--family", choices=FAMILY_HEADS, default=size.family, help="how families are told")
    add("--family-channels", type=int, default=size.family_channels)
    add("--drum-channels", type=int, default=size.drum_channels)
    add("--valid-pieces", type=int, default=12)
    return parser
