"""Train a genre network: a CNN or a small ResNet over log-mel or constant-Q excerpts of 10 s.

    python -m train.genre --data fma:fma_small --run runs/genre --network resnet --features mel --export genre-fma
    python -m train.genre --data gtzan:genres --lists genre-gtzan-features --run runs/genre-cnn

The splits are those of the set; where it has none, every fifth recording of a genre is held out, and the same artist
may stand on both sides. Every genre has the same chance: of a rare one more excerpts of 10 s are taken from the same
recordings. What can't be read is named and left out. (The weights that are shipped are :mod:`train.genre.table`'s.)
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from train import fit, loop
from train.augment import augment, hide
from train.cache import draw_first, keep_path, prepare
from train.calibration import temperature_of
from train.card import Making, write_weights
from transcribe.datasets import Piece
from transcribe.engine.features import FeatureConfig
from transcribe.engine.weights import build, header_of, to_bytes
from transcribe.errors import InputError
from transcribe.genre.datasets import DATASETS, gtzan_root
from transcribe.genre.decoder import GenreDecodingConfig
from transcribe.genre.features import FRONTS
from transcribe.genre.network import GenreConfig, GenreNetwork
from transcribe.genre.task import GENRE

SECONDS = FRONTS["mel"].seconds
N_FRAMES = round(SECONDS * FeatureConfig().grid.frames_per_second)
# Axis and widest span that SpecAugment hides.
HIDDEN = ((1, 40), (1, 40), (2, 20), (2, 20))


@dataclass(frozen=True)
class Track:
    """A recording's features (n_frames, n_bands) on disk, and its genre."""

    features: Path
    n_frames: int
    genre: str

    def excerpt(self, first: int) -> np.ndarray:
        """Read 10 s, float32 (500, n_bands); what is shorter is repeated: the mean over time stays what it is."""
        values = np.array(np.load(self.features, mmap_mode="r")[first : first + N_FRAMES], np.float32)
        return np.resize(values, (N_FRAMES, values.shape[1]))


def load_tracks(clips: Sequence[Piece], features: str, cache: Path) -> list[Track]:
    """Prepare recordings; those that can't be read are named on stderr and left out."""
    genres = {str(clip.audio.absolute()): clip.tags[0] for clip in clips}
    transform = None if features == "mel" else FRONTS[features].compute
    pieces = [Piece(str(clip.audio), clip.audio, clip.audio, "train") for clip in clips]
    prepared = prepare(pieces, cache, keep_path, transform=transform)
    return [Track(one.features, one.n_frames, genres[str(one.labels["path"])]) for one in prepared]


def held_out(clips: Sequence[Piece]) -> tuple[list[Piece], list[Piece]]:
    """Split into training and validation: as the set says, else every fifth recording of a genre."""
    if any(clip.split for clip in clips):
        return [c for c in clips if c.split == "train"], [c for c in clips if c.split == "validation"]
    seen: dict[str, int] = {}
    parts: tuple[list[Piece], list[Piece]] = ([], [])
    for clip in clips:
        seen[clip.tags[0]] = seen.get(clip.tags[0], 0) + 1
        parts[seen[clip.tags[0]] % 5 == 0].append(clip)
    return parts


class Excerpts:
    """Random excerpts as batches, every genre as often; which ones depends on the seed, the step and the rank alone."""

    def __init__(
        self, tracks: Sequence[Track], labels: Sequence[str], n_batch: int, seed: int, device: torch.device
    ) -> None:
        self.by_label = [[track for track in tracks if track.genre == label] for label in labels]
        self.n_batch, self.seed, self.device = n_batch, seed, device

    def __call__(self, step: int, rank: int = 0) -> tuple[Tensor, Tensor]:
        """Features (batch, 500, n_bands), varied and with parts hidden, and indices of labels (batch,)."""
        rng = np.random.default_rng([self.seed, step, rank])
        chosen = rng.integers(len(self.by_label), size=self.n_batch)
        rows = []
        for label in chosen:
            track = self.by_label[label][int(rng.integers(len(self.by_label[label])))]
            rows.append(track.excerpt(draw_first(track.n_frames, N_FRAMES, rng)))
        batch = torch.from_numpy(np.stack(rows)).to(self.device)
        generator = torch.Generator().manual_seed(int(rng.integers(1 << 62)))
        batch = hide(augment(batch, generator), generator, HIDDEN)
        return batch, torch.from_numpy(chosen).to(self.device)


def losses(network: nn.Module, batch: tuple[Tensor, ...]) -> dict[str, Tensor]:
    """Cross-entropy."""
    features, target = batch
    return {"genre": nn.functional.cross_entropy(network(features).float(), target)}


def logits_of(network: nn.Module, tracks: Sequence[Track], device: torch.device) -> np.ndarray:
    """Mean logits of each track's consecutive excerpts, (n_tracks, n_labels)."""
    rows = []
    for track in tracks:
        firsts = range(0, max(1, track.n_frames - N_FRAMES // 2), N_FRAMES)
        batch = torch.from_numpy(np.stack([track.excerpt(first) for first in firsts])).to(device)
        with torch.inference_mode():
            rows.append(network(batch).float().mean(0).cpu().numpy())
    return np.array(rows)


def accuracy(
    network: nn.Module, tracks: Sequence[Track], labels: Sequence[str], device: torch.device
) -> dict[str, float]:
    """Share of the tracks whose likeliest genre is right."""
    called = logits_of(network, tracks, device).argmax(1)
    return {"valid/accuracy": float(np.mean([labels[i] == t.genre for i, t in zip(called, tracks, strict=True)]))}


class GenreTask:
    """What the genres bring to :func:`train.fit.fit`."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        options.warmup = min(loop.LoopConfig.warmup, options.steps // 10)

    @cached_property
    def tracks(self) -> tuple[list[Track], list[Track]]:
        """The recordings to train on and to validate with, prepared."""
        (layout, folder), o = self.options.data, self.options
        clips = DATASETS[layout].pieces(folder, "all", o.lists)
        train, valid = (load_tracks(part, o.features, o.cache) for part in held_out(clips))
        labels = {track.genre for track in train}
        expected = {clip.tags[0] for clip in clips}
        if layout == "gtzan":
            expected |= {path.name for path in gtzan_root(folder).iterdir() if path.is_dir()}
        for genre in sorted(expected - labels):
            print(f"left out: no recordings of {genre} to train on", file=sys.stderr)
        if len(labels) < 2:
            raise InputError(f"{folder}: {len(labels)} genres to train on; it takes two")
        valid = [track for track in valid if track.genre in labels]
        if not valid:
            raise InputError(f"{folder}: no recordings to validate with")
        return train, valid

    @property
    def labels(self) -> tuple[str, ...]:
        """The genres that there is something to train on for."""
        return tuple(sorted({track.genre for track in self.tracks[0]}))

    def prepare(self) -> None:
        """Compute the features of all recordings."""
        _ = self.tracks

    def network(self) -> GenreNetwork:
        """Make the network, at random."""
        o = self.options
        return GenreNetwork(GenreConfig(o.network, o.features, self.labels, tuple(o.channels)))

    def batches(self, network: GenreNetwork, device: torch.device) -> loop.Batches:
        """Draw excerpts of the recordings, every genre as often."""
        return Excerpts(self.tracks[0], self.labels, self.options.batch, self.options.seed, device)

    def losses(self, device: torch.device) -> loop.Losses:
        """Compare with the genre."""
        return losses

    def validation(self, device: torch.device) -> loop.Validate:
        """Tell the genre of the validation recordings."""
        return partial(accuracy, tracks=self.tracks[1], labels=self.labels, device=device)

    def build(self, config: dict[str, Any]) -> GenreNetwork:
        """Make the bare network of a run."""
        return GenreNetwork(build(GenreConfig, config))

    def finish(self, network: GenreNetwork, device: torch.device, command: str) -> None:
        """Export where it is asked for."""
        if not self.options.export:
            return
        valid, labels = self.tracks[1], network.config.labels
        truth = np.array([labels.index(track.genre) for track in valid])
        temperature = temperature_of(logits_of(network, valid, device), truth)
        making = Making.of(self.options, command)
        decoding = GenreDecodingConfig(temperature=round(temperature, 3))
        header = header_of(GENRE, network.config, decoding, made=making.header())
        write_weights(to_bytes(dict(network.cpu().state_dict()), header), "genre", making)
        print(f"written: {making.folder / making.name}.safetensors")


def main(arguments: list[str] | None = None) -> None:
    """Train on what the command line or a recipe says."""
    fit.run("train.genre", _parser(), GenreTask, arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--data", type=fit.dataset(*DATASETS), required=True, help="gtzan:folder or fma:folder")
    add("--lists", type=Path, help="folder of GTZAN's *_filtered.txt, or of FMA's tracks.csv")
    add("--network", choices=("cnn", "resnet"), default="cnn")
    add("--features", choices=("mel", "cqt"), default="mel")
    add("--channels", type=int, nargs="+", default=[32, 48, 64, 96])
    defaults = loop.LoopConfig(steps=3000, learning_rate=1e-3, average=0.995, validate_every=500)
    fit.add_options(parser, defaults, batch=16, seconds=None)
    return parser
