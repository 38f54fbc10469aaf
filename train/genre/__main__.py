"""Train a genre network: a CNN or a small ResNet over log-mel or constant-Q excerpts of 10 s.

    python -m train.genre --data fma:fma_small --run runs/genre --network resnet --features mel --export genre-fma
    python -m train.genre --data gtzan:genres --lists genre-gtzan-features --run runs/genre-cnn

The splits are those of the set; where it has none, every fifth recording of a genre is held out, and the same artist
may stand on both sides. Every genre has the same chance: of a rare one more excerpts of 10 s are taken from the same
recordings. What can't be read is named and left out.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from train import loop
from train.augment import augment, hide
from train.cache import prepare
from train.genre.table import temperature_of
from train.notes.export import WEIGHTS, commit, load_averaged, write_weights
from transcribe.datasets import Piece
from transcribe.engine.devices import choose_device
from transcribe.engine.features import FeatureConfig
from transcribe.engine.weights import header_of, to_bytes
from transcribe.errors import InputError, UsageError
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


def read_labels(path: Path) -> dict[str, np.ndarray]:
    """Keep the path, by which a recording is found again."""
    return {"path": np.array(str(path.absolute()))}


def load_tracks(clips: Sequence[Piece], features: str, cache: Path) -> list[Track]:
    """Prepare recordings; those that can't be read are named on stderr and left out."""
    genres = {str(clip.audio.absolute()): clip.tags[0] for clip in clips}
    transform = None if features == "mel" else FRONTS[features].compute
    pieces = [Piece(str(clip.audio), clip.audio, clip.audio, "train") for clip in clips]
    prepared = prepare(pieces, cache, read_labels, transform=transform)
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
            rows.append(track.excerpt(int(rng.integers(0, max(1, track.n_frames - N_FRAMES + 1)))))
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


def dataset(value: str) -> tuple[str, Path]:
    """Read ``name:folder`` from the command line."""
    name, _, folder = value.partition(":")
    if name not in DATASETS or not folder:
        raise argparse.ArgumentTypeError(f"{value!r} is not {' or '.join(f'{layout}:folder' for layout in DATASETS)}")
    return name, Path(folder)


def main(arguments: list[str] | None = None) -> None:
    """Prepare, train, validate, export."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=dataset, required=True, help="gtzan:folder or fma:folder")
    parser.add_argument("--lists", type=Path, help="folder of GTZAN's *_filtered.txt, or of FMA's tracks.csv")
    parser.add_argument("--network", choices=("cnn", "resnet"), default="cnn")
    parser.add_argument("--features", choices=("mel", "cqt"), default="mel")
    parser.add_argument("--channels", type=int, nargs="+", default=[32, 48, 64, 96])
    defaults = loop.LoopConfig(steps=3000, learning_rate=1e-3, average=0.995, validate_every=500)
    loop.add_options(parser, defaults, batch=16)
    parser.add_argument("--export", metavar="NAME", help="write the weights when trained")
    parser.add_argument("--licence", default="no licence stated")
    options = parser.parse_args(arguments)
    try:
        _train(options)
    except (InputError, UsageError) as error:
        raise SystemExit(f"train.genre: {error}") from None


def _train(options: argparse.Namespace) -> None:
    rank, device = loop.start_process_group(torch.device(choose_device(options.device)))
    layout, folder = options.data
    clips = DATASETS[layout].pieces(folder, "all", options.lists)
    parts = held_out(clips)
    tracks, valid = (load_tracks(part, options.features, options.cache) for part in parts)
    labels = tuple(sorted({track.genre for track in tracks}))
    expected = {clip.tags[0] for clip in clips}
    if layout == "gtzan":
        expected |= {path.name for path in gtzan_root(folder).iterdir() if path.is_dir()}
    for genre in sorted(expected - set(labels)):
        print(f"left out: no recordings of {genre} to train on", file=sys.stderr)
    if len(labels) < 2:
        raise InputError(f"{folder}: {len(labels)} genres to train on; it takes two")
    valid = [track for track in valid if track.genre in labels]
    if not valid:
        raise InputError(f"{folder}: no recordings to validate with")
    config = GenreConfig(options.network, options.features, labels, tuple(options.channels))
    torch.manual_seed(options.seed)
    network = GenreNetwork(config)
    if rank == 0:
        options.run.mkdir(parents=True, exist_ok=True)
        (options.run / "config.json").write_text(json.dumps(asdict(config)))
    averaged = loop.train(
        network,
        Excerpts(tracks, labels, options.batch, options.seed, device),
        losses,
        replace(loop.chosen(options), warmup=min(300, options.steps // 10)),
        options.run,
        partial(accuracy, tracks=valid, labels=labels, device=device),
        device,
    )
    if rank or not options.export:
        return
    logits = logits_of(averaged, valid, device)
    temperature = temperature_of(logits, np.array([labels.index(track.genre) for track in valid]))
    header = header_of(GENRE, config, GenreDecodingConfig(temperature=round(temperature, 3)), made={"commit": commit()})
    load_averaged(network, options.run)
    content = to_bytes(dict(network.cpu().state_dict()), header)
    write_weights(WEIGHTS, options.export, "genre", content, options.licence)
    print(f"written: {WEIGHTS / options.export}.safetensors")


if __name__ == "__main__":
    main()
