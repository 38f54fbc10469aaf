"""Features of recordings, computed once and kept on disk, with the arrays that their labels give."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from train.progress import Progress
from transcribe.audio.reader import load_audio
from transcribe.datasets import Piece
from transcribe.engine.features import FeatureConfig
from transcribe.engine.windows import in_tune
from transcribe.errors import InputError

# Samples -> (n_frames, n_bands), in place of the log-mel; also at the top of a module.
Transform = Callable[[np.ndarray], np.ndarray]
# The file of labels -> arrays by name; defined at the top of a module, for the workers' sake.
ReadLabels = Callable[[Path], dict[str, np.ndarray]]


@dataclass(frozen=True)
class Prepared:
    """A recording's features on disk, an ``.npy`` file with float16 (n_frames, n_mels), and its labels."""

    features: Path
    n_frames: int
    labels: dict[str, np.ndarray]

    def span(self, first: int, n_frames: int) -> np.ndarray:
        """Read up to ``n_frames`` frames; the file is open no longer than that, as there may be thousands."""
        return np.array(np.load(self.features, mmap_mode="r")[first : first + n_frames])


def draw_spans(
    pieces: Sequence[Prepared], shares: np.ndarray, n_frames: int, count: int, rng: np.random.Generator
) -> list[tuple[int, int]]:
    """Draw ``count`` spans of ``n_frames`` frames at random, each the index of a piece and its first frame.

    ``shares`` says how often each piece is drawn, as by :func:`shares_of`. The last frame of a piece is never drawn:
    what is shipped was trained so.
    """
    spans = []
    for _ in range(count):
        index = min(int(np.searchsorted(shares, rng.random())), len(pieces) - 1)
        spans.append((index, int(rng.integers(0, max(1, pieces[index].n_frames - n_frames)))))
    return spans


def draw_first(n_total: int, n_frames: int, rng: np.random.Generator) -> int:
    """Draw the first of ``n_frames`` frames in a recording of ``n_total``; 0 where the recording is shorter."""
    return int(rng.integers(0, max(1, n_total - n_frames + 1)))


def keep_path(path: Path) -> dict[str, np.ndarray]:
    """Keep the path of the labels alone, by which a recording is found again: what plays in it stands elsewhere."""
    return {"path": np.array(str(path.absolute()))}


def shares_of(lengths: Sequence[int]) -> np.ndarray:
    """Accumulate how often pieces of such lengths are drawn; the last is 1."""
    return np.cumsum(np.array(lengths, float)) / float(sum(lengths))


def read_spans(
    pieces: Sequence[Prepared], spans: Sequence[tuple[int, int]], n_frames: int, features: FeatureConfig
) -> np.ndarray:
    """Read spans that :func:`draw_spans` drew: float32 (n, n_frames, n_mels), nothing sounding after a piece's end."""
    log_mel = np.full((len(spans), n_frames, features.n_mels), silence(features), np.float32)
    for row, (index, first) in zip(log_mel, spans, strict=True):
        span = pieces[index].span(first, n_frames)
        row[: len(span)] = span
    return log_mel


def silence(features: FeatureConfig) -> float:
    """Give what the features have where nothing sounds."""
    return features.silence


def prepare(
    pieces: Sequence[Piece],
    cache: Path,
    read_labels: ReadLabels,
    features: FeatureConfig = FeatureConfig(),  # noqa: B008 - frozen
    transform: Transform | None = None,
) -> list[Prepared]:
    """Compute features and labels of every piece, or find them in the cache; on all cores, by one process.

    What can't be read is named on stderr and left out.
    """
    cache.mkdir(parents=True, exist_ok=True)
    jobs = []
    for piece in pieces:
        try:
            key = _key(piece, features, read_labels, transform)
        except OSError as error:  # it was listed, and is gone
            print(f"left out: {piece.name}: {error.filename}: {error.strerror}", file=sys.stderr)
            continue
        jobs.append((piece, cache / key, features, read_labels, transform))
    missing = [job for job in jobs if not job[1].with_suffix(".npz").exists()]
    if missing:
        with multiprocessing.get_context("spawn").Pool(os.cpu_count(), torch.set_num_threads, (1,)) as pool:
            done = Progress(pool.imap_unordered(_prepare_one, missing), "features", len(missing))
            for fault in done:
                if fault:
                    done.say(f"left out: {fault}")
    prepared = []
    for _, path, *_ in jobs:
        if not path.with_suffix(".npz").exists():
            continue
        with np.load(path.with_suffix(".npz")) as archive:
            labels = dict(archive)
        prepared.append(Prepared(path.with_suffix(".npy"), int(labels.pop("n_frames")), labels))
    return [piece for piece in prepared if piece.n_frames]


def _key(piece: Piece, features: FeatureConfig, read_labels: ReadLabels, transform: Transform | None) -> str:
    found = [(path.absolute(), path.stat()) for path in (piece.audio, piece.labels)]
    stamps = [(str(path), stat.st_mtime_ns, stat.st_size) for path, stat in found]
    reader = read_labels.__module__, read_labels.__qualname__
    kind = (stamps, features, (transform or in_tune).__qualname__, reader)
    return hashlib.sha256(repr(kind).encode()).hexdigest()[:24]


def _whole(samples: np.ndarray, features: FeatureConfig) -> np.ndarray:
    return np.concatenate([np.zeros((0, features.n_mels), np.float32), *in_tune([samples], features)])


def _prepare_one(job: tuple[Piece, Path, FeatureConfig, ReadLabels, Transform | None]) -> str:
    """Prepare a piece; say why if it can't be."""
    piece, path, features, read_labels, transform = job
    try:
        arrays = read_labels(piece.labels)
        samples = load_audio(piece.audio, features.sample_rate).samples
    except (InputError, OSError) as error:
        named = piece.name in str(error) or piece.audio.name in str(error)
        return str(error) if named else f"{piece.name}: {error}"
    values = transform(samples) if transform else _whole(samples, features)
    arrays["n_frames"] = np.array(len(values))
    part = path.with_suffix(f".{os.getpid()}.part.npy")
    np.save(part, values.astype(np.float16))
    part.replace(path.with_suffix(".npy"))
    # The labels come last and whole: where they are, the features are.
    part = path.with_suffix(f".{os.getpid()}.part.npz")
    np.savez(part, allow_pickle=False, **arrays)
    part.replace(path.with_suffix(".npz"))
    return ""
