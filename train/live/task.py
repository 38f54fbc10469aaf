"""Train the network that hears notes while they sound.

    python -m train.live recipes/live.toml
    python -m train.live --train pairs:runs/renders --valid pairs:runs/renders-valid --run runs/live \
        --init-from weights/notes-small-10.safetensors --teacher medium

The options are those of ``train.notes``. It begins with what the small notes network has learned, without the taps that
look ahead, and learns to say with every delay what the teacher says, who has heard all of the recording.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from train import fit, loop
from train.card import Making
from train.live import export
from train.live.begin import begin
from train.live.taught import TaughtExcerpts, teach
from train.notes.task import NotesTask, load_network
from transcribe.datasets import Piece
from transcribe.engine.features import FeatureConfig
from transcribe.engine.weights import build
from transcribe.errors import UsageError
from transcribe.live.network import LiveConfig, LiveLogits, LiveNetwork
from transcribe.notes.datasets import DATASETS
from transcribe.registry import load_dataset


def losses(network: nn.Module, batch: tuple[Tensor, ...]) -> dict[str, Tensor]:
    """Binary cross-entropy of every head at every delay, as :func:`train.notes.task.note_losses` weighs it.

    Frames beyond the excerpt don't count.
    """
    log_mel, target = batch
    said: LiveLogits = network(log_mel)
    onset, frame, offset, velocity, weight, pedal = target.unbind(1)
    known = (pedal[..., :1] >= 0).float()
    pedal = pedal[..., :1].clamp(min=0)
    config = cast(LiveConfig, network.config)
    heard, there = _places(config.heard, log_mel.shape[1], config.stride, log_mel.device)
    told, there_told = _places(config.told, log_mel.shape[1], config.stride, log_mel.device)
    # The sums are over pitches, the means over time, excerpts and delays.
    n_heard, n_told = (count.sum() * len(log_mel) for count in (there, there_told))

    def entropy(values: Tensor, truth: Tensor, scale: Tensor) -> Tensor:
        return nn.functional.binary_cross_entropy_with_logits(values.float(), truth, scale, reduction="sum")

    counted = there_told[..., None].expand(len(log_mel), -1, -1, -1)
    truth, struck = onset[:, heard], weight[:, told] * counted
    pedals_known = (known[:, told] * counted)[..., 0]
    return {
        "onset": entropy(said.onset, truth, (1 + 2 * truth) * there[..., None]) / n_heard,
        "frame": 0.5 * entropy(said.frame, frame[:, told], counted) / n_told,
        "offset": 0.5 * entropy(said.offset, offset[:, told], counted) / n_told,
        "velocity": 15 * entropy(said.velocity, velocity[:, told], struck) / struck.sum().clamp(min=1),
        "pedal": 0.3 * entropy(said.pedal, pedal[:, told, 0], pedals_known) / n_told,
    }


def _places(delays: tuple[int, ...], n_frames: int, stride: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Frames that every step answers for, (n_steps, n_delays), and whether they lie within the excerpt."""
    newest = torch.arange(stride - 1, n_frames, stride, device=device)
    frames = newest[:, None] - torch.tensor(delays, device=device)
    return frames.clamp(0, n_frames - 1), ((frames >= 0) & (frames < n_frames)).float()


def bare(config: dict[str, Any]) -> LiveNetwork:
    """Make the network of a run, not yet trained."""
    return LiveNetwork(FeatureConfig(), build(LiveConfig, config))


class LiveTask(NotesTask):
    """What the live network brings to :func:`train.fit.fit`: the notes' recordings and options."""

    def network(self) -> LiveNetwork:  # type: ignore[override]
        """Make the network: from nothing, from a run, or of what a notes network has learned."""
        o = self.options
        config = LiveConfig(o.channels, o.stem_channels, o.mix_channels, tuple(o.dilations))
        if o.init_from is None:
            network = LiveNetwork(self.features, config)
        elif o.init_from.is_dir():
            network = loop.load_run(o.init_from, bare)
        else:
            try:
                network = begin(load_network(o.init_from), self.features, config)
            except ValueError as error:
                raise UsageError(f"{error}; see --init-from and the sizes") from None
        network.requires_grad_(True)
        return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]

    def prepare(self) -> None:
        """Compute the features of the training split, and what the teacher says of it."""
        super().prepare()
        self.said = teach(self.prepared, self.options.teacher) if self.options.teacher else []

    def batches(self, network: nn.Module, device: torch.device) -> loop.Batches:
        """Draw excerpts of the recordings, with what the teacher says of them."""
        if not self.said:
            return super().batches(cast(Any, network), device)
        o = self.options
        n_frames = fit.n_frames(o, self.features.grid.frames_per_second)
        sizes = (self.prepared, self.features, o.batch, n_frames, o.seed, device)
        return TaughtExcerpts(*sizes, said=self.said, share=o.teacher_share)

    def losses(self, device: torch.device) -> loop.Losses:
        """Compare with the targets."""
        return losses

    def validation(self, device: torch.device) -> loop.Validate:
        """Hear some of the validation pieces with several latencies: F1 of the notes."""
        some = self.valid[:: max(1, len(self.valid) // self.options.valid_pieces)]

        def validate(averaged: nn.Module) -> dict[str, float]:
            return export.validate(cast(LiveNetwork, averaged), some, self.options.cache)

        return validate

    def build(self, config: dict[str, Any]) -> LiveNetwork:  # type: ignore[override]
        """Make the bare network of a run."""
        return bare(config)

    def finish(self, network: LiveNetwork, device: torch.device, command: str) -> None:  # type: ignore[override]
        """Export where it is asked for."""
        if not self.options.export:
            return
        names = [*(name for name, _ in self.options.train if name != "pairs"), *self.options.trained_on]
        making = Making.of(self.options, command, {name: ["train"] for name in names})
        reports: list[tuple[str, list[Piece]]] = [
            (title, load_dataset("pairs", Path(folder))) for title, folder in self.options.report
        ]
        export.export(network, self.features, making, self.valid, reports, self.options.cache)


def main(arguments: list[str] | None = None) -> None:
    """Train on what the command line or a recipe says."""
    fit.run("train.live", _parser(), LiveTask, arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    fit.add_recordings(parser, DATASETS)
    add("--init-from", type=Path, help="weights of a notes network, or a run of this program, to start from")
    add("--teacher", help="shipped notes network to learn from, beside the labels: small, medium, large")
    add("--teacher-share", type=float, default=0.7, help="of the targets, 0-1")
    fit.add_options(parser, loop.LoopConfig(optimizer="muon"), batch=6, seconds=5.12)
    add("--recordings", choices=("auto", "card", "disk"), default="auto", help="where their features lie in training")
    fit.add_sizes(parser, LiveConfig())
    add("--valid-pieces", type=int, default=8)
    return parser
