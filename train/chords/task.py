"""Train the chords network.

    python -m train.chords recipes/chords.toml
    python -m train.chords --train runs/songs-train --valid runs/songs-valid --run runs/chords \
        --features notes --heard any medium --export chords-2

A folder holds recordings beside ``.lab`` files of their names (what :mod:`train.synthesis.arrangements` writes;
Isophonics, RWC and Billboard, once laid out so), or folders of clips named by their chord (``Am/``, ``A#_maj/``). A run
that was stopped goes on where it was when the same command is called again.

``--features notes`` reads what notes networks hear, each recording by every one of ``--heard``; ``mel`` is a network
with a trunk of its own, which may begin as another's (``--init-from``).

``--task clips --labels Am,Bb,C,Dm,Em,F,G`` trains on folders of clips and tells these chords apart; ``--test`` says
how well on other folders. ``--export`` tunes the decoder on the validation set and writes weights and model card.
Nothing is chosen on what is only reported.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from train import fit, loop
from train.augment import augment
from train.cache import Prepared, draw_spans, prepare, read_spans, shares_of
from train.card import Making
from train.chords import heard
from train.chords.export import evaluate, export, to_model
from train.chords.labels import IGNORED, read_labels
from transcribe.chords.decoder import change_counts, class_of, label_of, simplified
from transcribe.chords.metrics import ClipReport, evaluate_clips
from transcribe.chords.network import FRONTS, N_INPUTS, ChordsConfig, ChordsLogits, ChordsNetwork
from transcribe.datasets import Piece
from transcribe.engine.features import FeatureConfig
from transcribe.engine.weights import build, load_tensors
from transcribe.errors import UsageError
from transcribe.registry import load_dataset
from transcribe.theory.chords import Label, parse_name
from transcribe.transcriber import Transcriber


def majmin(labels: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Call every class major or minor."""
    called = [class_of(simplified(label_of(int(n)), "majmin")) if n != IGNORED else IGNORED for n in labels["classes"]]
    return {**labels, "classes": np.array(called, np.int64)}


def targets(
    labels: dict[str, np.ndarray], first: int, n_steps: int, config: ChordsConfig, seconds: float
) -> np.ndarray:
    """Say for every step of a span which class and which bass sound in its middle.

    Parameters
    ----------
    labels
        From :func:`read_labels`.
    first
        The span's first frame.
    seconds
        From one frame to the next.

    Returns
    -------
    np.ndarray
        int64 (2, n_steps); -1 where nothing is known.
    """
    drawn = np.full((2, n_steps), IGNORED, np.int64)
    middles = (first + np.arange(n_steps) * config.stride + (config.stride - 1) / 2) * seconds
    for (onset, offset), number, bass in zip(labels["times"], labels["classes"], labels["basses"], strict=True):
        drawn[:, (middles >= onset) & (middles < offset)] = [[number], [bass]]
    return drawn


class Excerpts:
    """Random excerpts as batches; which ones depends on the seed, the step and the rank alone."""

    def __init__(
        self,
        pieces: Sequence[Prepared],
        features: FeatureConfig,
        config: ChordsConfig,
        n_batch: int,
        n_frames: int,
        seed: int,
        device: torch.device,
    ) -> None:
        self.pieces, self.features, self.config, self.device = pieces, features, config, device
        self.n_batch, self.n_frames, self.seed = n_batch, n_frames // config.stride * config.stride, seed
        # A long recording is drawn more often, but a clip not hardly ever.
        lengths = [max(piece.n_frames, self.n_frames) for piece in pieces]
        self.shares = shares_of(lengths)

    def __call__(self, step: int, rank: int = 0) -> tuple[Tensor, Tensor]:
        """Draw inputs (batch, n_frames, n_inputs) and targets (batch, 2, n_steps)."""
        rng = np.random.default_rng([self.seed, step, rank])
        grid, stride = self.features.grid, self.config.stride
        spans = draw_spans(self.pieces, self.shares, self.n_frames, self.n_batch, rng)
        target = np.full((self.n_batch, 2, self.n_frames // stride), IGNORED, np.int64)
        for row, (index, first) in enumerate(spans):
            piece = self.pieces[index]
            n_steps = min(self.n_frames, piece.n_frames - first) // stride
            target[row, :, :n_steps] = targets(piece.labels, first, n_steps, self.config, 1 / grid.frames_per_second)
        if self.config.front == "notes":
            rows = np.zeros((self.n_batch, self.n_frames, N_INPUTS), np.float32)
            for row, (index, first) in enumerate(spans):
                span = self.pieces[index].span(first, self.n_frames)
                rows[row, : len(span)] = span
                rows[row], target[row] = heard.varied(rows[row], target[row], 1 / grid.frames_per_second, rng)
            return torch.from_numpy(rows).to(self.device), torch.from_numpy(target).to(self.device)
        log_mel = read_spans(self.pieces, spans, self.n_frames, self.features)
        batch = augment(
            torch.from_numpy(log_mel).to(self.device), torch.Generator().manual_seed(int(rng.integers(1 << 62)))
        )
        return batch, torch.from_numpy(target).to(self.device)


def losses(network: nn.Module, batch: tuple[Tensor, ...]) -> dict[str, Tensor]:
    """Cross-entropy of the chord and of the bass, means over the steps where they are known."""
    log_mel, target = batch
    logits: ChordsLogits = network(log_mel)

    def entropy(values: Tensor, truth: Tensor) -> Tensor:
        total = nn.functional.cross_entropy(
            values.float().transpose(1, 2), truth, ignore_index=IGNORED, reduction="sum"
        )
        return total / (truth != IGNORED).sum().clamp(min=1)

    return {"chord": entropy(logits.chord, target[:, 0]), "bass": 0.3 * entropy(logits.bass, target[:, 1])}


def unfreezing(network: ChordsNetwork, every: int) -> loop.Frozen:
    """Freeze the trunk at first, and free its layers one by one, the last first, every so many steps."""
    trunk = network.trunk
    layers: list[nn.Module] = [trunk.blocks[i] for i in reversed(range(len(trunk.blocks)))]
    layers.insert(len(layers) // 2, trunk.context)
    layers.append(trunk.stem)

    def frozen(step: int) -> list[nn.Module | nn.Parameter]:
        n_free = step // every
        with_stem: list[nn.Module | nn.Parameter] = [*layers[n_free:]]
        return [*with_stem, trunk.pitch_offset] if with_stem else []

    return frozen


def initialise(network: ChordsNetwork, source: Path) -> None:
    """Take over the trunk of a notes network, or a whole chords network; from weights or from a run.

    Raises
    ------
    UsageError
        If the trunk has another size.
    """
    tensors = loop.averaged_tensors(source) if source.is_dir() else load_tensors(source)
    own = network.state_dict()
    if not tensors.keys() <= own.keys():  # a notes network, with other heads
        tensors = {key: value for key, value in tensors.items() if key.startswith("trunk.")}
    if any(key not in own or own[key].shape != value.shape for key, value in tensors.items()):
        raise UsageError(f"{source}: its trunk has another size; --channels, --stride and so on must be its own")
    network.load_state_dict(tensors, strict=False)


class ChordsTask:
    """What the chords bring to :func:`train.fit.fit`."""

    features = FeatureConfig()

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.wanted = [parse_name(name) for name in options.labels.split(",")] if options.labels else []
        self.valid = self._pieces(options.valid)
        self.prepared: list[Prepared] = []

    def _pieces(self, folders: Sequence[Path]) -> list[Piece]:
        return _with_labels([p for folder in folders for p in load_dataset("chords", folder)], self.wanted)

    def _hearers(self) -> list[heard.Heard]:
        """List the notes networks that hear the recordings; none where the network reads the spectrum."""
        return [heard.Heard(name) for name in self.options.heard] if self.options.features == "notes" else []

    def prepare(self) -> None:
        """Compute the features of the training folders, or hear them with the notes networks."""
        o = self.options
        pieces = self._pieces(o.train)
        hearers: list[heard.Heard | None] = [*self._hearers()]
        self.prepared = [
            one for hearer in hearers or [None] for one in prepare(pieces, o.cache, read_labels, self.features, hearer)
        ]
        if self.options.task == "majmin":
            self.prepared = [dataclasses.replace(piece, labels=majmin(piece.labels)) for piece in self.prepared]

    def network(self) -> ChordsNetwork:
        """Make the network, with the trunk of ``--init-from``, and count the changes of chord in the labels."""
        o = self.options
        sizes = o.channels, o.stem_channels, o.mix_channels, tuple(o.dilations), o.stride
        more = {"width": o.width, "reach": tuple(o.reach), "front": o.features, "normalised": o.normalised}
        network = ChordsNetwork(self.features, ChordsConfig(*sizes, **more))
        if o.init_from is not None:
            initialise(network, o.init_from)
        network.changes.copy_(torch.from_numpy(change_counts([_sequence(piece.labels) for piece in self.prepared])))
        return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]

    def batches(self, network: ChordsNetwork, device: torch.device) -> loop.Batches:
        """Draw excerpts of the recordings."""
        o = self.options
        n_frames = fit.n_frames(o, self.features.grid.frames_per_second)
        return Excerpts(self.prepared, self.features, network.config, o.batch, n_frames, o.seed, device)

    def frozen(self, network: ChordsNetwork) -> loop.Frozen | None:
        """Free the trunk's layers one by one, where that is asked for."""
        return unfreezing(network, self.options.unfreeze_every) if self.options.unfreeze_every else None

    def losses(self, device: torch.device) -> loop.Losses:
        """Compare with the labels."""
        return losses

    def validation(self, device: torch.device) -> loop.Validate | None:
        """Score some of the validation pieces."""
        if not self.valid:
            return None
        some = self.valid[:: max(1, len(self.valid) // self.options.valid_pieces)]

        def validate(averaged: nn.Module) -> dict[str, float]:
            assert isinstance(averaged, ChordsNetwork)
            model = to_model(averaged, self.features, device=str(device))
            report = evaluate(some, Transcriber(tasks=("chords",), model=model))
            figures = {"accuracy": report.accuracy} if isinstance(report, ClipReport) else report.means
            return {f"valid/{metric}": value for metric, value in figures.items()}

        return validate

    def build(self, config: dict[str, Any]) -> ChordsNetwork:
        """Make the bare network of a run."""
        return bare(config)

    def finish(self, network: ChordsNetwork, device: torch.device, command: str) -> None:
        """Test on other clips and export, where it is asked for."""
        for folder in self.options.test:
            _test(network, self.features, folder, self.wanted)
        if self.options.export:
            making = Making.of(self.options, command)
            reports = [(title, load_dataset("chords", Path(folder))) for title, folder in self.options.report]
            export(network, self.features, making, self.valid, reports, self._hearers(), self.options.cache)


def bare(config: dict[str, Any]) -> ChordsNetwork:
    """Make the network of a run, not yet trained."""
    return ChordsNetwork(FeatureConfig(), build(ChordsConfig, config))


def main(arguments: list[str] | None = None) -> None:
    """Train on what the command line or a recipe says."""
    fit.run("train.chords", _parser(), _checked, arguments)


def _checked(options: argparse.Namespace) -> ChordsTask:
    if (options.task == "clips") != bool(options.labels):
        raise UsageError("--task clips and --labels belong together")
    if options.export and not options.valid:
        raise UsageError("--export tunes the search on --valid, and there is none")
    if options.unfreeze_every and options.features != "mel":
        raise UsageError("--unfreeze-every is about the trunk, which is read by --features mel alone")
    return ChordsTask(options)


def _sequence(labels: dict[str, np.ndarray]) -> list[int]:
    return [int(number) for number in labels["classes"] if number != IGNORED]


def _with_labels(pieces: Sequence[Piece], wanted: Sequence[Label]) -> list[Piece]:
    """Keep the clips that are called one of ``wanted``; all where nothing is wanted."""
    if not wanted:
        return list(pieces)
    clips = [piece for piece in pieces if piece.labels.is_dir()]
    return [piece for piece in clips if parse_name(piece.labels.name) in wanted]


def _test(network: ChordsNetwork, features: FeatureConfig, folder: Path, wanted: Sequence[Label]) -> None:
    """Print how many clips of a folder are told right, among ``wanted`` only where there are any."""
    clips = _with_labels(load_dataset("chords", folder), wanted)
    report = evaluate_clips(clips, Transcriber(tasks=("chords",), model=to_model(network, features)), wanted)
    print(f"{folder}: {report.accuracy:.4f} of {len(clips)} clips right")
    for truth, row in report.confusion.items():
        print(f"  {truth}: " + ", ".join(f"{name} {count}" for name, count in row.items()))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    flag = argparse.BooleanOptionalAction
    add("--train", type=Path, nargs="+", required=True, help="folders of recordings and labels")
    add("--valid", type=Path, nargs="*", default=[])
    add("--test", type=Path, nargs="*", default=[], help="folders of clips to test on at the end")
    add("--report", type=fit.titled, nargs="*", default=[], help="title:folder, reported in the card only")
    add("--task", choices=("full", "majmin", "clips"), default="full", help="what is told apart")
    add("--labels", default="", help="with --task clips: the chords, such as Am,Bb,C")
    add("--features", choices=FRONTS, default="mel", help="what the network reads")
    add("--heard", nargs="+", default=["any", "medium"], help="with --features notes: the notes networks that hear")
    add("--width", type=int, default=ChordsConfig.width, help="channels a pitch class")
    add("--reach", type=int, nargs="+", default=list(ChordsConfig.reach), help="dilations of the blocks over them")
    add("--normalised", action=flag, default=False, help="take every frame's mean level away")
    add("--init-from", type=Path, help="weights of a notes or a chords network, or a run of one, to start from")
    add("--unfreeze-every", type=int, default=0, help="steps; 0: nothing is frozen")
    fit.add_options(parser, loop.LoopConfig(steps=6000), batch=6, seconds=16.0)
    fit.add_sizes(parser, ChordsConfig())
    add("--valid-pieces", type=int, default=12)
    return parser
