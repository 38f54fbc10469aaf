"""What all training programs do: prepare, seed, build, train, validate, export; and the options that they share.

What differs is a :class:`Task` in ``train/<task>/task.py``, made of the program's options.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import shlex
import sys
from collections.abc import Callable, Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast, runtime_checkable

import torch
from torch import nn

from train import loop, recipes
from train.card import UNKNOWN_TERMS, WEIGHTS
from transcribe.engine.devices import choose_device
from transcribe.engine.features import FeatureConfig
from transcribe.engine.trunk import TrunkConfig
from transcribe.errors import InputError, UsageError

N = TypeVar("N", bound=nn.Module)
# Excerpts have a multiple of so many frames, whatever the stride of the trunk.
_MULTIPLE = 8


class Task(Protocol[N]):
    """What a task brings to its training.

    The methods are called in this order; of a run that is at its end :meth:`build` and :meth:`finish` alone.
    """

    def prepare(self) -> None:
        """Compute the features of the recordings, or find them in the cache."""

    def network(self) -> N:
        """Make the network: at random, as torch is seeded, or from other weights."""

    def batches(self, network: N, device: torch.device) -> loop.Batches:
        """Say what a step learns from."""

    def losses(self, device: torch.device) -> loop.Losses:
        """Say what is minimised."""

    def validation(self, device: torch.device) -> loop.Validate | None:
        """Say what is measured on the way; None for nothing."""

    def build(self, config: dict[str, Any]) -> N:
        """Make the bare network of a run, whose ``config.json`` says its size."""

    def finish(self, network: N, device: torch.device, command: str) -> None:
        """Test and export the trained network, as the options say; ``command`` is what trained it."""


@runtime_checkable
class FreezingTask(Protocol):
    """A task that doesn't train all of its network, or not from the first step on."""

    def frozen(self, network: Any) -> loop.Frozen | None:
        """Say what is frozen in which step; None for nothing."""


def fit(task: Task[N], options: argparse.Namespace, command: str = "") -> None:
    """Train a task's network, or go on where the run was stopped, and finish it.

    Parameters
    ----------
    task
        What is trained.
    options
        Of :func:`add_options`.
    command
        What is said to have trained it.
    """
    rank, device = loop.start_process_group(torch.device(choose_device(options.device)))
    config = chosen(options)
    if loop.is_finished(options.run, config):
        averaged: nn.Module = loop.load_run(options.run, task.build).to(device)
    else:
        loop.check_begun(options.run, config)
        _check_batches(options)
        if rank == 0:
            task.prepare()
        loop.wait_for_all()
        task.prepare()  # what the first process has computed
        torch.manual_seed(options.seed)
        network = task.network()
        frozen = task.frozen(network) if isinstance(task, FreezingTask) else None
        batches, losses = task.batches(network, device), task.losses(device)
        described = json.loads(json.dumps(dataclasses.asdict(cast(Any, network.config))))
        features = dataclasses.asdict(chosen_features(options)) if hasattr(options, "hop") else None
        _check_begun(options.run / "config.json", described)
        _check_begun(options.run / loop.FEATURES, features or {})
        if rank == 0:
            options.run.mkdir(parents=True, exist_ok=True)
            _write_once(options.run / "config.json", described)
            if features is not None:
                _write_once(options.run / loop.FEATURES, features)
            _write_once(options.run / "batches.json", _batches_of(options))
        averaged = loop.train(network, batches, losses, config, options.run, task.validation(device), device, frozen)
    if rank == 0:
        task.finish(cast(N, averaged), device, command)


def _batches_of(options: argparse.Namespace) -> dict[str, Any]:
    """Choose the options that say what each step learns from."""
    return {name: getattr(options, name) for name in ("batch", "seconds", "seed") if hasattr(options, name)}


def _check_batches(options: argparse.Namespace) -> None:
    """See that a run goes on with the batches it was begun with; where it says nothing of them, with any."""
    path = options.run / "batches.json"
    if path.exists():
        loop.check_same(options.run, json.loads(path.read_text()), _batches_of(options))


def _check_begun(path: Path, described: dict[str, Any]) -> None:
    """See that a run goes on with a network of its own size, and the front end that it was begun with."""
    if path.exists() and (path.parent / "checkpoint.pt").exists():
        loop.check_same(path.parent, json.loads(path.read_text()), described)


def _write_once(path: Path, values: dict[str, Any]) -> None:
    """Write what a run is; what stands there of one that goes on stays, to the byte."""
    if not (path.exists() and (path.parent / "checkpoint.pt").exists()):
        path.write_text(json.dumps(values))


def run(
    program: str,
    parser: argparse.ArgumentParser,
    task: Callable[[argparse.Namespace], Task[Any]],
    arguments: list[str] | None,
) -> None:
    """Run a training program, ``train.notes`` and so on; every part of a recipe."""
    words = sys.argv[1:] if arguments is None else arguments
    command = f"python -m {program} {shlex.join(words)}"
    for options in recipes.parsed(parser, words, Path(__file__).parents[1].joinpath(*program.split("."))):
        try:
            fit(task(options), options, command)
        except (InputError, UsageError) as error:
            raise SystemExit(f"{program}: {error}") from None


def add_recordings(parser: argparse.ArgumentParser, datasets: Iterable[str]) -> None:
    """Add what is trained on, validated on and reported, for trainings on recordings with labels."""
    add, kind = parser.add_argument, dataset(*datasets)
    add("--train", type=kind, nargs="+", required=True, help="data sets, name:folder")
    add("--valid", type=kind, nargs="+", required=True)
    add("--report", type=titled, nargs="*", default=[], help="title:folder of pairs, reported in the card only")
    add("--trained-on", nargs="*", default=[], help="data sets that the training pairs were made of, for the header")


def add_sizes(parser: argparse.ArgumentParser, size: TrunkConfig) -> None:
    """Add the options for the size of a network's trunk, with defaults."""
    add = parser.add_argument
    add("--channels", type=int, default=size.channels)
    add("--stem-channels", type=int, default=size.stem_channels)
    add("--mix-channels", type=int, default=size.mix_channels)
    add("--dilations", type=int, nargs="+", default=list(size.dilations))
    add("--stride", type=int, default=size.stride, help="frames a step of the trunk")


def add_features(parser: argparse.ArgumentParser) -> None:
    """Add the options of the front end; :func:`chosen_features` reads them."""
    add, default = parser.add_argument, FeatureConfig()
    add("--hop", type=float, default=default.hop_length / default.sample_rate, help="seconds from frame to frame")
    add("--window", type=float, default=default.n_fft / default.sample_rate, help="seconds that a frame looks at")
    add("--n-mels", type=int, default=default.n_mels, help="bands of the spectrogram")
    add("--f-min", type=float, default=default.f_min, help="Hz of the lowest band")
    add("--f-max", type=float, default=default.f_max, help="Hz of the highest")


def chosen_features(options: argparse.Namespace) -> FeatureConfig:
    """Read the front end from options.

    Raises
    ------
    UsageError
        If it makes no sense.
    """
    rate = FeatureConfig().sample_rate
    sizes = {"hop_length": round(options.hop * rate), "n_fft": round(options.window * rate), "n_mels": options.n_mels}
    try:
        return FeatureConfig(**sizes, f_min=options.f_min, f_max=options.f_max)
    except ValueError as error:
        raise UsageError(f"{error}; see --hop, --window, --n-mels, --f-min and --f-max") from None


def add_options(parser: argparse.ArgumentParser, defaults: loop.LoopConfig, batch: int, seconds: float | None) -> None:
    """Add the options that all training programs share; :func:`chosen` reads the loop's from them.

    ``seconds`` are those of an excerpt; None where there are no excerpts.
    """
    add = parser.add_argument
    add("--run", type=Path, required=True, help="folder for checkpoints and TensorBoard files")
    add("--cache", type=Path, default=Path("runs/features"), help="folder for features")
    add("--steps", type=int, default=defaults.steps)
    add("--batch", type=int, default=batch, help="excerpts a step")
    if seconds is not None:
        add_seconds(parser, seconds)
    add("--learning-rate", type=float, default=defaults.learning_rate, help="the highest")
    add("--optimizer", choices=("adamw", "muon"), default=defaults.optimizer)
    add("--average", type=float, default=defaults.average, help="decay of the moving average of the weights")
    add("--precision", choices=("float32", "bfloat16"), default=defaults.precision)
    add("--compile", action=argparse.BooleanOptionalAction, default=False, help="torch.compile: a minute, then faster")
    add("--validate-every", type=int, default=defaults.validate_every, help="steps; 0 never")
    add(
        "--checkpoint-minutes",
        type=float,
        default=defaults.checkpoint_minutes,
        help="between two checkpoints; SIGINT and SIGTERM write one too",
    )
    add("--device", default="auto")
    add("--seed", type=int, default=0)
    add_export_options(parser)


def add_seconds(parser: argparse.ArgumentParser, default: float) -> None:
    """Add how long an excerpt is; :func:`n_frames` reads it."""
    parser.add_argument("--seconds", type=float, default=default, help="of audio an excerpt")


def n_frames(options: argparse.Namespace, frames_per_second: float) -> int:
    """Count the frames of an excerpt: the nearest number that networks of any stride can halve, at least that."""
    seconds: float = options.seconds
    return max(1, round(seconds * frames_per_second / _MULTIPLE)) * _MULTIPLE


def add_export_options(parser: argparse.ArgumentParser) -> None:
    """Add the options about the weights file; :meth:`train.card.Making.of` reads them."""
    add = parser.add_argument
    add("--export", metavar="NAME", help="when trained, write weights of this name, their graph and their card")
    add("--weights", type=Path, default=WEIGHTS, help="folder to export to")
    add("--licence", default=UNKNOWN_TERMS, help="terms of the weights, for the card")
    add("--size", default="", help="what --model calls the weights: small, medium, large")
    add("--default", action=argparse.BooleanOptionalAction, default=False, help="use them unless told otherwise")
    add("--card", type=Path, help="text to open the model card with")


def chosen(options: argparse.Namespace) -> loop.LoopConfig:
    """Read the loop's settings from options."""
    return loop.LoopConfig(
        **{f.name: getattr(options, f.name) for f in fields(loop.LoopConfig) if hasattr(options, f.name)}
    )


def dataset(*layouts: str) -> Callable[[str], tuple[str, Path]]:
    """Make what reads ``layout:folder`` from the command line."""

    def read(value: str) -> tuple[str, Path]:
        layout, _, folder = value.partition(":")
        if layout not in layouts or not folder:
            known = " or ".join(f"{name}:folder" for name in layouts)
            raise argparse.ArgumentTypeError(f"{value!r} is not {known}")
        return layout, Path(folder)

    return read


def titled(value: str) -> tuple[str, str]:
    """Read ``title:data`` from the command line."""
    title, colon, data = value.partition(":")
    if not colon or not data:
        raise argparse.ArgumentTypeError(f"{value!r} is not title:data")
    return title, data
