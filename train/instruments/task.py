"""Train the instruments network: single instruments first, then mixtures made by summing clips.

    python -m train.instruments recipes/instruments.toml
    python -m train.instruments --train solos:runs/solos-train --valid solos:runs/solos-valid --run runs/instruments-1
    python -m train.instruments ... --run runs/instruments-2 --mixtures --init-from runs/instruments-1

Data are ``solos:folder`` and ``bands:folder`` (of ``train/synthesis/solos.py`` and ``bands.py``), ``clips:folder``,
``nsynth:folder`` or ``irmas:folder``.
A clip's features are computed once and kept in ``--cache``. ``--export`` calibrates the heads on mixtures of the
validation clips and writes weights and model card.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from train import fit, loop
from train.card import Making
from train.instruments.bands import Band, load_bands
from train.instruments.export import export
from train.instruments.mixtures import LAYOUTS, MIXED, SINGLE, Clip, Mixtures, Spectra, load
from transcribe.engine.features import FeatureConfig
from transcribe.engine.weights import build, load_tensors
from transcribe.instruments.datasets import DATASETS
from transcribe.instruments.decoder import FAMILIES
from transcribe.instruments.network import STRIDE, InstrumentsConfig, InstrumentsLogits, InstrumentsNetwork

# The layout of recordings of bands.
BANDS = "bands"


def losses(network: nn.Module, batch: tuple[Tensor, ...]) -> dict[str, Tensor]:
    """Binary cross-entropy of both vocabularies where the truth is known; sums over labels, means over steps."""
    log_mel, target = batch
    logits: InstrumentsLogits = network(log_mel)
    parts = target[..., : len(FAMILIES)], target[..., len(FAMILIES) :]
    n_steps = target.shape[0] * target.shape[1]

    def entropy(values: Tensor, truth: Tensor) -> Tensor:
        known = (truth >= 0).float()
        found = nn.functional.binary_cross_entropy_with_logits(
            values.float(), truth.clamp(min=0), known, reduction="sum"
        )
        return found / n_steps

    return {"families": entropy(logits.families, parts[0]), "instruments": entropy(logits.instruments, parts[1])}


def accuracy(
    network: nn.Module, clips: Sequence[Clip], device: torch.device, front: Spectra | None = None
) -> dict[str, float]:
    """Share of the single clips whose likeliest family and instrument are right, every name counting alike."""
    front = front or Spectra()
    right: dict[str, dict[str, list[bool]]] = {"families": {}, "instruments": {}}
    n_families = len(FAMILIES)
    for clip in clips:
        n_frames = clip.prepared.n_frames // STRIDE * STRIDE
        if not n_frames:
            continue
        log_mel = front.plain(torch.from_numpy(clip.prepared.span(0, n_frames).astype(np.float32))[None]).to(device)
        with torch.inference_mode():
            logits = network(log_mel)
        for name, values, there in (
            ("families", logits.families, [i for i in clip.truth.there if i < n_families]),
            ("instruments", logits.instruments, [i - n_families for i in clip.truth.there if i >= n_families]),
        ):
            if there:
                scores = values[0].float().sigmoid()
                mean = (scores * scores.amax(-1, keepdim=True)).sum(0)
                right[name].setdefault(clip.name, []).append(int(mean.argmax()) in there)
    return {
        f"valid/{name}": float(np.mean([np.mean(found) for found in by_name.values()]))
        for name, by_name in right.items()
        if by_name
    }


class InstrumentsTask:
    """What the instruments bring to :func:`train.fit.fit`."""

    features = FeatureConfig()

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options

    @cached_property
    def clips(self) -> list[Clip]:
        """The training clips, prepared."""
        return self._clips(self.options.train)

    @cached_property
    def bands(self) -> list[Band]:
        """The bands to train on, prepared."""
        return self._bands(self.options.train)

    @cached_property
    def valid(self) -> list[Clip]:
        """The validation clips, prepared."""
        return self._clips(self.options.valid)

    @cached_property
    def valid_bands(self) -> list[Band]:
        """The bands to calibrate on, prepared."""
        return self._bands(self.options.valid)

    def _clips(self, data: Sequence[tuple[str, Path]]) -> list[Clip]:
        return [clip for name, folder in data if name != BANDS for clip in load(name, folder, self.options.cache)]

    def _bands(self, data: Sequence[tuple[str, Path]]) -> list[Band]:
        return [band for name, folder in data if name == BANDS for band in load_bands(folder, self.options.cache)]

    def prepare(self) -> None:
        """Compute the features of all clips and bands."""
        _ = self.clips, self.bands, self.valid, self.valid_bands

    def network(self) -> InstrumentsNetwork:
        """Make the network, from a run or a weights file where one is given."""
        o = self.options
        network = InstrumentsNetwork(self.features, InstrumentsConfig(tuple(o.channels), o.width))
        if o.init_from is not None:
            tensors = loop.averaged_tensors(o.init_from) if o.init_from.is_dir() else load_tensors(o.init_from)
            network.load_state_dict(tensors, strict=True)
        return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]

    def frozen(self, network: InstrumentsNetwork) -> loop.Frozen | None:
        """Train the heads and the context only, where that is asked for."""
        if not self.options.frozen:
            return None
        kept = [part for name, part in network.named_children() if name not in ("context", "heads")]
        for part in kept:
            part.requires_grad_(False)
        return lambda _: kept

    def batches(self, network: InstrumentsNetwork, device: torch.device) -> loop.Batches:
        """Mix excerpts of the clips."""
        o = self.options
        sizes = MIXED if o.mixtures else SINGLE
        n_frames = fit.n_frames(o, self.features.grid.frames_per_second)
        return Mixtures(self.clips, Spectra(), o.batch, n_frames, o.seed, device, sizes, bands=self.bands)

    def losses(self, device: torch.device) -> loop.Losses:
        """Compare with what is true of the mixtures."""
        return losses

    def validation(self, device: torch.device) -> loop.Validate:
        """Tell which instrument plays in single clips."""
        return partial(accuracy, clips=self.valid, device=device)

    def build(self, config: dict[str, Any]) -> InstrumentsNetwork:
        """Make the bare network of a run."""
        return bare(config)

    def finish(self, network: InstrumentsNetwork, device: torch.device, command: str) -> None:
        """Export where it is asked for."""
        if self.options.export:
            data = [(title, fit.dataset(*DATASETS)(name)) for title, name in self.options.report]
            reports = [(title, DATASETS[layout].pieces(folder)) for title, (layout, folder) in data]
            export(network.cpu(), Making.of(self.options, command), self.valid, self.valid_bands, reports)


def bare(config: dict[str, Any]) -> InstrumentsNetwork:
    """Make the network of a run, not yet trained."""
    return InstrumentsNetwork(FeatureConfig(), build(InstrumentsConfig, config))


def main(arguments: list[str] | None = None) -> None:
    """Train on what the command line or a recipe says."""
    fit.run("train.instruments", _parser(), InstrumentsTask, arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    flag = argparse.BooleanOptionalAction
    add("--train", type=fit.dataset(*LAYOUTS), nargs="+", required=True)
    add("--valid", type=fit.dataset(*LAYOUTS), nargs="+", required=True)
    add("--report", type=fit.titled, nargs="*", default=[], help="title:layout:folder, reported in the card only")
    add("--mixtures", action=flag, default=False, help="the second stage: up to five clips at once")
    add("--init-from", type=Path, help="a run or a weights file to start from")
    add("--frozen", action=flag, default=False, help="train the heads and the context only")
    size = InstrumentsConfig()
    add("--channels", type=int, nargs=5, default=list(size.channels))
    add("--width", type=int, default=size.width)
    defaults = loop.LoopConfig(steps=2500, average=0.995, validate_every=500)
    fit.add_options(parser, defaults, batch=32, seconds=5.12)
    return parser
