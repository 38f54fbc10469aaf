"""Train the notes network.

    python -m train.notes recipes/medium.toml
    python -m train.notes --train pairs:renders-train --valid pairs:renders-valid --run runs/notes
    python -m train.notes --train maestro:maestro-v3.0.0 --valid maestro:maestro-v3.0.0 --run runs/maestro

Data sets are those of ``pitchai eval``, as ``name:folder``; training takes their ``train`` split and validation their
``validation`` split (``pairs`` has none: all of it). Features are computed once and kept in ``--cache``. A run that was
stopped goes on where it was when the same command is called again; ``torchrun --nproc-per-node N -m train.notes ...``
uses N GPUs. ``--export notes-2`` tunes the thresholds on the validation set and writes weights and model card; of a run
that is at its end it does only that. Nothing is chosen on what is only reported.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from train import fit, loop
from train.cache import Prepared, prepare
from train.card import Making
from train.notes import export
from train.notes.excerpts import choose_excerpts
from train.notes.grow import grow
from train.notes.intervals import interval_loss
from train.synthesis.performances import from_transcription
from transcribe.datasets import Piece
from transcribe.engine.features import FeatureConfig
from transcribe.engine.trunk import TrunkConfig
from transcribe.engine.weights import build, load_tensors, log_mel_config, read_header
from transcribe.errors import InputError, UsageError
from transcribe.formats.midi_reader import read_midi
from transcribe.formats.reading import read_bytes
from transcribe.notes.datasets import DATASETS
from transcribe.notes.datasets import read_labels as read_reference
from transcribe.notes.decoder import DecodingConfig
from transcribe.notes.metrics import evaluate, mean_scores
from transcribe.notes.network import NotesLogits, NotesNetwork
from transcribe.registry import load_dataset
from transcribe.transcriber import Transcriber


def losses(network: nn.Module, batch: tuple[Tensor, ...]) -> dict[str, Tensor]:
    """Compute :func:`note_losses` of what a network says of a batch, features and targets."""
    log_mel, target = batch
    return note_losses(network(log_mel), target)


def note_losses(logits: NotesLogits, target: Tensor) -> dict[str, Tensor]:
    """Binary cross-entropy of every head, the velocity's at onsets only, the pedal's where it is known.

    Sums over pitches, means over time and excerpts. ``target`` (batch, 6, n_frames, 88) is that of
    :func:`train.notes.excerpts.targets`.
    """
    onset, frame, offset, velocity, weight, pedal = target.unbind(1)

    def entropy(values: Tensor, truth: Tensor, scale: Tensor | None = None) -> Tensor:
        return nn.functional.binary_cross_entropy_with_logits(values.float(), truth, scale, reduction="sum")

    n_slices = target.shape[0] * target.shape[2]
    known = (pedal[..., 0] >= 0).float()
    return {
        # A slice near an onset weighs three times as much: they are rare, and what a listener notices first.
        "onset": entropy(logits.onset, onset, 1 + 2 * onset) / n_slices,
        "frame": 0.5 * entropy(logits.frame, frame) / n_slices,
        "offset": 0.5 * entropy(logits.offset, offset) / n_slices,
        # Its entropy is nearly all the truth's own: what can be won is small, and would drown without the weight.
        "velocity": 15 * entropy(logits.velocity, velocity, weight) / weight.sum().clamp(min=1),
        "pedal": 0.3 * entropy(logits.pedal, pedal[..., 0].clamp(min=0), known) / n_slices,
    }


class WithIntervals:
    """Losses, and beside them :func:`train.notes.intervals.interval_loss` of the same predictions.

    Parameters
    ----------
    weight
        Of the ends of notes beside the other losses.
    frames_per_second
        Of the features.
    """

    def __init__(self, weight: float, frames_per_second: float) -> None:
        self.weight, self.rate = weight, frames_per_second

    def __call__(self, network: nn.Module, batch: tuple[Tensor, ...]) -> dict[str, Tensor]:
        """Compute :func:`losses` and that of the intervals."""
        log_mel, target = batch
        logits: NotesLogits = network(log_mel)
        interval = self.weight * interval_loss(logits.frame, logits.offset, target, self.rate)
        return {**note_losses(logits, target), "interval": interval}


class Distilled:
    """The losses against what a teacher predicts, mixed with the labels.

    Labels say nothing about what can't be heard: a key let go under the pedal, a note below the noise. A teacher's
    probabilities do (Hinton et al. 2015).

    Parameters
    ----------
    teacher
        Hears the very batch that the network is given.
    share
        Of the teacher in the targets, 0-1.
    """

    def __init__(self, teacher: nn.Module, share: float) -> None:
        self.teacher, self.share = teacher, share

    def __call__(self, network: nn.Module, batch: tuple[Tensor, ...]) -> dict[str, Tensor]:
        """Compute :func:`losses` against mixed targets."""
        log_mel, target = batch
        with torch.no_grad():
            taught: NotesLogits = self.teacher(log_mel)
            mixed = target.clone()
            for row, logits in enumerate((taught.onset, taught.frame, taught.offset, taught.velocity)):
                mixed[:, row].lerp_(logits.float().sigmoid(), self.share)
            pedal = target[:, 5]
            known = pedal.lerp(taught.pedal.float().sigmoid().unsqueeze(-1), self.share)
            mixed[:, 5] = torch.where(pedal < 0, pedal, known)
        return losses(network, (log_mel, mixed))


def bare(config: dict[str, Any], features: FeatureConfig = FeatureConfig()) -> NotesNetwork:  # noqa: B008 - frozen
    """Make the network of a run or of a weights file, not yet trained, of what they say of its size."""
    return NotesNetwork(features, build(TrunkConfig, config))


def features_of(path: Path) -> FeatureConfig:
    """Read what the network of a weights file or of a run reads."""
    return loop.features_of(path) if path.is_dir() else log_mel_config(read_header(path.read_bytes()))


def load_network(path: Path) -> NotesNetwork:
    """Load the network of a weights file, or the averaged one of a run, as it was trained.

    Folded together, it would predict wrongly at the ends of excerpts.
    """
    features = features_of(path)
    if path.is_dir():
        network = loop.load_run(path, lambda config: bare(config, features))
    else:
        network = bare(read_header(path.read_bytes())["network"], features)
        network.load_state_dict(load_tensors(path), strict=True)
    return network.eval().requires_grad_(False)


def read_labels(path: Path) -> dict[str, np.ndarray]:
    """Read ``notes`` (n, 4), onset and offset in s, pitch, velocity (0 where unknown), and ``pedals`` (m, 2) in s.

    Where the labels say nothing about the pedal, there are no ``pedals``.
    """
    performance = from_transcription(read_reference(path))
    arrays = {"notes": performance.notes}
    if _tells_pedal(path) and performance.pedals is not None:
        arrays["pedals"] = performance.pedals
    return arrays


def _tells_pedal(labels: Path) -> bool:
    """Whether the labels say anything about the pedal: MIDI with at least one CC64."""
    if labels.suffix.lower() not in (".mid", ".midi"):
        return False
    return read_midi(read_bytes(labels)).tells_pedal


class NotesTask:
    """What the notes bring to :func:`train.fit.fit`."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.features = fit.chosen_features(options)
        for other in (options.init_from, options.teacher):
            if other is not None and features_of(other) != self.features:
                raise UsageError(f"{other} reads other features; see --hop, --window and --n-mels")
        self.valid = [piece for name, folder in options.valid for piece in load(name, folder, "validation")]
        self.prepared: list[Prepared] = []

    def prepare(self) -> None:
        """Compute the features of the training split."""
        pieces = [piece for name, folder in self.options.train for piece in load(name, folder, "train")]
        self.prepared = prepare(pieces, self.options.cache, read_labels, self.features)

    def network(self) -> NotesNetwork:
        """Make the network: from nothing, from weights, or grown from those of a smaller one."""
        o = self.options
        config = TrunkConfig(o.channels, o.stem_channels, o.mix_channels, tuple(o.dilations), o.stride)
        network = _begin(o.init_from, self.features, config)
        return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]

    def batches(self, network: NotesNetwork, device: torch.device) -> loop.Batches:
        """Draw excerpts of the recordings."""
        o = self.options
        try:
            n_frames = fit.n_frames(o, self.features.grid.frames_per_second)
            return choose_excerpts(self.prepared, self.features, o.batch, n_frames, o.seed, device, o.recordings)
        except ValueError as error:
            raise InputError(f"{error}; see --train") from None

    def losses(self, device: torch.device) -> loop.Losses:
        """Compare with the labels, and with a teacher where there is one."""
        o = self.options
        if o.teacher is None:
            rate = self.features.grid.frames_per_second
            return WithIntervals(o.interval_weight, rate) if o.interval_weight else losses
        teacher: nn.Module = load_network(self.options.teacher).to(device)
        if self.options.compile:  # like the network that it teaches; under autocast it has the same precision
            teacher = cast(nn.Module, torch.compile(teacher))
        return Distilled(teacher, self.options.teacher_share)

    def validation(self, device: torch.device) -> loop.Validate:
        """Transcribe some of the validation pieces: F1 of what is found."""
        some = self.valid[:: max(1, len(self.valid) // self.options.valid_pieces)]

        def validate(averaged: nn.Module) -> dict[str, float]:
            assert isinstance(averaged, NotesNetwork)
            model = export.to_model(averaged, self.features, DecodingConfig(onset_threshold=0.4), str(device))
            report = evaluate("pairs", some, Transcriber(tasks=("notes",), model=model))
            # One without notes is all right or all wrong: a few of those would drown the rest.
            sounding = [piece for piece in report.pieces if piece.n_reference]
            return {f"valid/{metric}": score.f1 for metric, score in mean_scores(sounding).items()}

        return validate

    def build(self, config: dict[str, Any]) -> NotesNetwork:
        """Make the bare network of a run."""
        return bare(config, self.features)

    def finish(self, network: NotesNetwork, device: torch.device, command: str) -> None:
        """Export where it is asked for."""
        if not self.options.export:
            return
        names = [*(name for name, _ in self.options.train if name != "pairs"), *self.options.trained_on]
        making = Making.of(self.options, command, {name: ["train"] for name in names})
        reports = [(title, load_dataset("pairs", Path(folder))) for title, folder in self.options.report]
        export.export(network, self.features, making, self.valid, reports)


def load(name: str, folder: Path, split: str) -> list[Piece]:
    """Find the pieces of a split; ``pairs`` has none and gives all of it."""
    return load_dataset(name, folder, "all" if name == "pairs" else split)


def main(arguments: list[str] | None = None) -> None:
    """Train on what the command line or a recipe says."""
    fit.run("train.notes", _parser(), NotesTask, arguments)


def _begin(smaller: Path | None, features: FeatureConfig, config: TrunkConfig) -> NotesNetwork:
    """Make the network: from nothing, from weights, or grown from those of a smaller one."""
    if smaller is None:
        return NotesNetwork(features, config)
    network = load_network(smaller).requires_grad_(True)
    if network.config == config:
        return network
    try:
        grown = grow(network, features, config)
    except ValueError as error:
        raise UsageError(f"{error}; see --init-from and the sizes") from None
    print(f"grown from {network.config}", file=sys.stderr)
    return grown


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    fit.add_recordings(parser, DATASETS)
    add("--init-from", type=Path, help="weights or run to start from, of this size or smaller")
    add("--teacher", type=Path, help="weights or run to learn from, beside the labels")
    add("--teacher-share", type=float, default=0.7, help="of the targets, 0-1")
    fit.add_options(parser, loop.LoopConfig(optimizer="muon"), batch=6, seconds=5.12)
    add("--interval-weight", type=float, default=0.0, help="of a loss of where notes end; 0 for none")
    add("--recordings", choices=("auto", "card", "disk"), default="auto", help="where their features lie in training")
    fit.add_sizes(parser, TrunkConfig())
    fit.add_features(parser)
    add("--valid-pieces", type=int, default=12)
    return parser
