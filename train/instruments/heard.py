"""What the network of the spectrum and that of any instruments hear of clips and bands, for training what reads both.

    python -m train.instruments.heard recipes/heard.toml

writes a file a recording: ``rows`` float16 (n_steps, inputs), as :mod:`transcribe.instruments.joined` makes them,
``truth`` int8 (n_steps, labels), 1, 0 and -1 where it is open, and ``name``. ``single`` are clips of
``train/synthesis/solos.py`` alone, half of them cut short; ``mixtures`` sums of two to four of them; ``notes`` single
notes of free banks; ``bands`` recordings of ``train/synthesis/bands.py``. All but the bands are varied: higher or lower
and faster or slower with it, another colour, another level.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import soundfile
from scipy import signal

from train import recipes
from train.bands.excerpts import read_labels
from train.instruments.bands import steps
from train.instruments.mixtures import audible
from train.instruments.truth import N_LABELS, Truth, truth_of
from train.progress import Progress
from train.synthesis.piano import SAMPLE_RATE
from train.synthesis.solos import NOTES as BANKS
from train.synthesis.solos import _note
from transcribe.audio.reader import AudioReader
from transcribe.engine.inference import infer_together
from transcribe.engine.tuning import tuned
from transcribe.engine.weights import load_model
from transcribe.instruments.joined import rows
from transcribe.instruments.network import STRIDE
from transcribe.instruments.task import INSTRUMENTS
from transcribe.notes.datasets import DATASETS
from transcribe.notes.task import NOTES

KINDS = ("single", "mixtures", "notes", "bands")
LISTENER = "instruments-3"
# How many clips are mixed, and how often; what a mixture's parts differ by in dB.
SIZES, GAIN_DB = {2: 0.6, 3: 0.25, 4: 0.15}, 6.0
_HOP = 320
# A recording's samples and truths: of each part what its name says, its samples and its loudest frame in dB.
Part = tuple[Truth, np.ndarray, float]


def hear(samples: np.ndarray) -> np.ndarray:
    """Hear samples at 16 kHz with both networks: rows of steps, float16 (n_steps, inputs)."""
    models = load_model(NOTES, "any"), load_model(INSTRUMENTS, LISTENER)
    tunings, blocks = tuned([np.asarray(samples, np.float32)], SAMPLE_RATE)
    streams = infer_together(blocks, *models, tunings=tunings, threads=1)
    found = [rows(*both)[::STRIDE] for both in zip(*streams, strict=True)]
    return np.concatenate(found).astype(np.float16)


def levels(samples: np.ndarray) -> np.ndarray:
    """Loudness in dB of every frame of 20 ms, filled up to whole steps."""
    n_frames = -(-len(samples) // _HOP)
    framed = np.pad(samples, (0, n_frames * _HOP - len(samples))).reshape(n_frames, _HOP)
    found = 10 * np.log10((framed.astype(np.float64) ** 2).mean(1) + 1e-12)
    return np.pad(found, (0, -len(found) % STRIDE), constant_values=-120.0)


def truth(whole: np.ndarray, parts: Sequence[Part], gain_db: float = 0.0) -> np.ndarray:
    """Tell what is heard of parts in every step of their sum, int8 (n_steps, labels)."""
    level = levels(whole)
    found = np.zeros((len(level) // STRIDE, N_LABELS), np.int8)
    for named, samples, loudest in parts:
        own, mine = np.full(len(level), -120.0), levels(samples) + gain_db
        own[: len(mine)] = mine[: len(own)]
        heard = audible(own, level, loudest + gain_db)
        for label in named.there:
            there = found[:, label]
            found[:, label] = np.where(heard == 1, 1, np.where((heard == -1) & (there == 0), -1, there))
        for label in named.open:
            found[:, label] = np.where((heard != 0) & (found[:, label] == 0), -1, found[:, label])
    return found


def transposed(samples: np.ndarray, spread: float, rng: np.random.Generator) -> np.ndarray:
    """Play higher or lower, and faster or slower with it, six times of ten."""
    if rng.random() >= 0.6:
        return samples
    ratio = round(100 * 2 ** (float(np.clip(rng.normal(0, spread), -4, 4)) / 12))
    return np.asarray(signal.resample_poly(samples, 100, ratio), np.float32)


def coloured(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Make what is below or above some frequency louder or softer, four times of ten."""
    if rng.random() >= 0.4:
        return samples
    edge = float(np.exp(rng.uniform(np.log(150), np.log(4000))))
    b, a = signal.butter(1, edge / (SAMPLE_RATE / 2), rng.choice(["low", "high"]))
    return np.asarray(samples + np.float32(rng.uniform(-0.7, 2)) * signal.lfilter(b, a, samples))


def short(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Cut 1 to 6 s out, faded at the end or not, with a faint noise after it or not."""
    seconds = rng.uniform(1, 6)
    first = int(rng.uniform(0, max(0, len(samples) / SAMPLE_RATE - seconds)) * SAMPLE_RATE)
    cut = samples[first : first + int(seconds * SAMPLE_RATE)]
    if rng.random() < 0.5:
        fade = min(len(cut), int(rng.uniform(0.01, 0.5) * SAMPLE_RATE))
        cut = cut.copy()
        cut[-fade:] *= np.linspace(1, 0, fade)
        after = rng.standard_normal(int(rng.uniform(0, 2) * SAMPLE_RATE)).astype(np.float32)
        cut = np.concatenate([cut, after * 10 ** (rng.uniform(-80, -50) / 20)])
    return cut


def mixed(paths: Sequence[Path], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Mix clips that lie in folders named by what plays: samples and truth."""
    whole, reference = np.zeros(0, np.float32), 0.0
    parts: list[Part] = []
    for path in paths:
        samples, _ = soundfile.read(path, dtype="float32")
        if len(paths) == 1 and rng.random() < 0.5:
            samples = short(samples, rng)
        samples = transposed(samples, 2, rng)
        loudest = float(levels(samples).max())
        gain = rng.uniform(-GAIN_DB, GAIN_DB) + reference - loudest if parts else 0.0
        reference = reference if parts else loudest
        samples = samples * np.float32(10 ** (gain / 20))
        longer = np.zeros(max(len(whole), len(samples)), np.float32)
        longer[: len(whole)] += whole
        longer[: len(samples)] += samples
        whole = longer
        parts.append((truth_of(path.parent.name), samples, loudest + gain))
    whole = coloured(whole, rng)
    peak = max(float(np.abs(whole).max(initial=1e-6)), 1e-6)
    whole = whole * np.float32(10 ** (rng.uniform(-20, 0) / 20) / peak)
    gain_db = 20 * np.log10(max(float(np.abs(whole).max(initial=1e-6)), 1e-9) / peak)
    return whole, truth(whole, parts, gain_db)


def note(path: Path, name: str, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Record a single note otherwise: samples and truth."""
    samples = transposed(_note(path), 1.5, rng)
    before, after = int(rng.uniform(0, 0.4) * SAMPLE_RATE), int(rng.uniform(0.1, 1) * SAMPLE_RATE)
    samples = np.concatenate([np.zeros(before, np.float32), samples[: 6 * SAMPLE_RATE], np.zeros(after, np.float32)])
    if rng.random() < 0.4:  # a room
        half = SAMPLE_RATE // 2
        room = rng.standard_normal(half) * np.exp(-np.arange(half) / (SAMPLE_RATE * rng.uniform(0.03, 0.15)))
        samples = signal.fftconvolve(samples, room * rng.uniform(0.002, 0.02))[: len(samples)] + samples
    samples = coloured(samples, rng)
    samples = samples / max(float(np.abs(samples).max()), 1e-6) * 10 ** (rng.uniform(-20, 0) / 20)
    own = samples
    if rng.random() < 0.6:
        samples = samples + rng.standard_normal(len(samples)) * 10 ** (rng.uniform(-80, -45) / 20)
    return samples.astype(np.float32), truth(samples, [(truth_of(name), own, float(levels(own).max()))])


def band(audio: Path, labels: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read a recording of a band and who plays in it: samples and truth."""
    with AudioReader(audio, SAMPLE_RATE) as reader:
        samples = np.concatenate([np.zeros(0, np.float32), *reader.blocks()])
    about = json.loads(audio.with_suffix(".json").read_text(encoding="utf-8"))
    return samples, steps(read_labels(labels), about["parts"], -(-len(samples) // _HOP))


def recordings(options: argparse.Namespace) -> Iterator[tuple[str, str, np.ndarray, np.ndarray]]:
    """Make what is to be heard: a key, a name, samples and truth of each."""
    seed, out = options.seed, options.out
    if options.kind == "bands":
        for piece in DATASETS["pairs"].pieces(options.data[0])[: options.count]:
            yield piece.audio.stem, "band", *band(piece.audio, piece.labels)
        return
    shuffle = np.random.default_rng(seed)
    if options.kind == "notes":
        found = [(bank / f, name) for bank in options.data for f, name in BANKS.items()]
        jobs = [(path, name) for folder, name in found for path in sorted(folder.glob("*.*"))]
        shuffle.shuffle(jobs)
        for number, (path, name) in enumerate(jobs):
            if shuffle.random() <= options.share and not (out / f"{number:05d}.npz").exists():
                yield f"{number:05d}", name, *note(Path(path), str(name), np.random.default_rng([seed, number]))
        return
    paths: dict[str, list[Path]] = {}
    for path in sorted(options.data[0].glob("*/*.flac")):
        paths.setdefault(path.parent.name, []).append(path)
    names = sorted(paths)
    alone = [[path] for own in paths.values() for path in own]
    shuffle.shuffle(alone)
    chances = np.array([4.0 if name == "piano" else 1.0 for name in names])
    for number in range(options.count if options.kind == "mixtures" else min(options.count, len(alone))):
        rng = np.random.default_rng([seed, number])
        chosen = alone[number]
        if options.kind == "mixtures":
            size = int(rng.choice(list(SIZES), p=list(SIZES.values())))
            drawn = rng.choice(names, size, replace=False, p=chances / chances.sum())
            chosen = [paths[name][int(rng.integers(len(paths[name])))] for name in drawn]
        yield f"{number:05d}", "+".join(path.parent.name for path in chosen), *mixed(chosen, rng)


def main() -> None:
    """Hear what a recipe names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--kind", choices=KINDS, required=True)
    add("--data", type=Path, nargs="+", required=True, help="folders of clips, of notes or of bands")
    add("--out", type=Path, required=True)
    add("--count", type=int, default=100, help="recordings at the most")
    add("--share", type=float, default=1.0, help="of the single notes")
    add("--seed", type=int, default=0)
    for options in recipes.parsed(parser, None, Path(__file__).parent):
        options.out.mkdir(parents=True, exist_ok=True)
        for key, name, samples, known in Progress(recordings(options), "recording"):
            heard = hear(samples)
            n_steps = min(len(heard), len(known))
            np.savez(options.out / f"{key}.npz", rows=heard[:n_steps], truth=known[:n_steps], name=np.array(name))


if __name__ == "__main__":
    main()
