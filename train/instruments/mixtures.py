"""Mixtures of clips of single instruments, and what is true of them at every step.

Clips are mixed as power spectra, each as loud as the next within 6 dB; an instrument counts as there where it sounds:
within 40 dB of its loudest and 25 dB of the whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from train.augment import augment, hide, narrow
from train.cache import Prepared, Transform, draw_first, keep_path, prepare
from train.instruments.bands import Band, excerpt
from train.instruments.truth import N_LABELS, Truth, combined, truth_of
from transcribe.datasets import Piece
from transcribe.engine.features import FeatureConfig
from transcribe.errors import UsageError
from transcribe.instruments.datasets import DATASETS
from transcribe.instruments.network import STRIDE

# Of data sets: folders of train/synthesis/solos.py, and those that evaluation reads.
LAYOUTS = ("solos", "bands", *(name for name in DATASETS if name not in ("openmic", "spans")))
# A unit of the features is 20 dB: the exponent of its power, to the base of e.
_NATURAL = np.float32(4.605170)
SOUNDING_DB, AUDIBLE_DB, GAIN_DB = 40.0, 25.0, 6.0
# In units of 20 dB: how much the colour varies, the highest noise floor (-44 dB). Axis and widest span that is hidden.
COLOUR, NOISIEST, HIDDEN = 0.25, 0.8, ((1, 20), (1, 20), (2, 30), (2, 30))
# Most of what is listened to are pianos: no other mistake would be seen as often as that of one.
WEIGHTS = {"piano": 4.0, "double bass": 0.5, "plucked double bass": 0.5}
# How many clips a mixture has, and how often.
SINGLE = {0: 0.06, 1: 0.94}
BANDS = 0.5
MIXED = {0: 0.04, 1: 0.34, 2: 0.32, 3: 0.15, 4: 0.1, 5: 0.05}


@dataclass(frozen=True)
class Clip:
    """A prepared clip, and the truth about it."""

    prepared: Prepared
    truth: Truth
    name: str


def load(name: str, folder: Path, cache: Path, transform: Transform | None = None) -> list[Clip]:
    """Prepare the clips of a data set; ``transform`` gives other features than the log-mel."""
    found: dict[str, tuple[tuple[str, ...], str]] = {}
    if name == "solos":
        paths = sorted(folder.absolute().glob("*/*.flac"))
        found = {str(path): ((path.parent.name,), "instruments") for path in paths}
    else:
        found = {str(c.audio.absolute()): (c.tags, c.vocabulary) for c in DATASETS[name].pieces(folder)}
    if not found:
        raise UsageError(f"{folder}: no clips found")
    prepared = prepare(
        [Piece(path, Path(path), Path(path), "train") for path in found], cache, keep_path, transform=transform
    )
    clips = []
    for one in prepared:
        names, vocabulary = found[str(Path(str(one.labels["path"])).absolute())]
        clips.append(Clip(one, combined([truth_of(each, vocabulary) for each in names]), "+".join(names)))
    return clips


class Spectra:
    """How features in units of 20 dB are mixed: their powers add up.

    The methods take and give arrays (n_frames, n_bands).
    """

    n_bands = FeatureConfig().n_mels
    frequencies = FeatureConfig().mel_frequencies()
    floor = (FeatureConfig().floor_db + FeatureConfig().offset_db) / FeatureConfig().scale_db

    def linear(self, values: np.ndarray) -> np.ndarray:
        """Turn features into what adds up: power."""
        return np.asarray(np.exp(_NATURAL * values))

    def values(self, linear: np.ndarray) -> np.ndarray:
        """Turn what was added up into features again."""
        return np.asarray(np.log(np.maximum(linear, np.exp(_NATURAL * self.floor))) / _NATURAL)

    def gain(self, decibels: float) -> np.float32:
        """Give the factor that makes louder."""
        return np.float32(10 ** (decibels / 10))

    def levels(self, linear: np.ndarray) -> np.ndarray:
        """Loudness of every frame in dB, (n_frames,); the mean power over the bands."""
        return np.asarray(10 * np.log10(linear.mean(-1) + 1e-12))

    def transposed(self, semitones: float) -> np.ndarray:
        """Tell for every band from where it is taken, in bands, to sound so much higher."""
        return np.interp(self.frequencies / 2 ** (semitones / 12), self.frequencies, np.arange(self.n_bands))

    def varied(self, values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Play up to 4 semitones higher or lower, timbre and all, and up to a fifth faster or slower."""
        semitones, speed = np.clip(rng.normal(0, 1.5), -4, 4), 2 ** rng.uniform(-0.3, 0.3)
        return self.higher(values[np.arange(0, len(values), speed).astype(int)], semitones)

    def higher(self, values: np.ndarray, semitones: float) -> np.ndarray:
        """Play so much higher, timbre and all."""
        place = self.transposed(semitones)
        below = np.minimum(place.astype(int), self.n_bands - 2)
        share = (place - below).astype(np.float32)
        return np.asarray(values[:, below] * (1 - share) + values[:, below + 1] * share)

    def augmented(self, batch: Tensor, generator: torch.Generator) -> Tensor:
        """Record otherwise, and hide a little.

        Colour and noise of a set of recordings tell its instruments from those of sound fonts: they are varied widely.
        """
        return hide(self.recorded(batch, generator), generator, HIDDEN)

    def recorded(self, batch: Tensor, generator: torch.Generator) -> Tensor:
        """Vary gain, colour and noise floor, and cut the band of some."""
        return augment(narrow(batch, generator, self.frequencies), generator, COLOUR, NOISIEST)

    def plain(self, batch: Tensor) -> Tensor:
        """Bring to what the network expects, where nothing is varied."""
        return batch


def audible(own: np.ndarray, whole: np.ndarray, loudest: float) -> np.ndarray:
    """Tell of every step whether a part sounds (1), is hidden by the others (-1) or doesn't sound (0).

    ``own`` and ``whole`` are levels of frames in dB, ``loudest`` the part's greatest anywhere.
    """
    steps = own.reshape(-1, STRIDE).max(1), whole.reshape(-1, STRIDE).max(1)
    sounding = steps[0] > loudest - SOUNDING_DB
    return np.where(sounding, np.where(steps[0] > steps[1] - AUDIBLE_DB, 1, -1), 0)


class Mixtures:
    """Random mixtures of clips as batches; which ones depends on the seed, the step and the rank alone.

    Every name has the same chance, however many clips it has, but for those in ``WEIGHTS``. A share of ``BANDS`` are
    excerpts of ``bands`` where there are any; all of them where there are no clips.
    """

    def __init__(
        self,
        clips: Sequence[Clip],
        front: Spectra,
        n_batch: int,
        n_frames: int,
        seed: int,
        device: torch.device,
        sizes: dict[int, float],
        augmented: bool = True,
        bands: Sequence[Band] = (),
    ) -> None:
        self.front, self.n_batch, self.n_frames, self.seed = front, n_batch, n_frames, seed
        self.device, self.sizes, self.augmented = device, sizes, augmented
        self.by_name: dict[str, list[Clip]] = {}
        for clip in clips:
            self.by_name.setdefault(clip.name, []).append(clip)
        self.names = sorted(self.by_name)
        self.bands, self.share = bands, 0.0 if not bands else BANDS if clips else 1.0
        weights = np.array([WEIGHTS.get(name, 1.0) for name in self.names])
        self.chances = weights / weights.sum() if len(weights) else weights
        self._levels: dict[str, float] = {}

    def __call__(self, step: int, rank: int = 0) -> tuple[Tensor, Tensor]:
        """Features (batch, n_frames, n_mels) and targets (batch, n_steps, labels): 1, 0, and -1 where it is open."""
        rng = np.random.default_rng([self.seed, step, rank])
        log_mel = np.zeros((self.n_batch, self.n_frames, self.front.n_bands), np.float32)
        target = np.zeros((self.n_batch, self.n_frames // STRIDE, N_LABELS), np.float32)
        for row in range(self.n_batch):
            if self.bands and rng.random() < self.share:
                log_mel[row], target[row] = self.of_a_band(rng)
                continue
            size = int(rng.choice(list(self.sizes), p=list(self.sizes.values())))
            log_mel[row], target[row] = self.mixture(size, rng)
        batch = torch.from_numpy(log_mel).to(self.device)
        if self.augmented:
            batch = self.front.augmented(batch, torch.Generator().manual_seed(int(rng.integers(1 << 62))))
        return batch, torch.from_numpy(target).to(self.device)

    def _loudest(self, clip: Clip) -> float:
        key = str(clip.prepared.features)
        if key not in self._levels:
            values = clip.prepared.span(0, clip.prepared.n_frames).astype(np.float32)
            self._levels[key] = float(self.front.levels(self.front.linear(values)).max())
        return self._levels[key]

    def of_a_band(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Draw an excerpt of a band, up to 2 semitones higher or lower."""
        log_mel, target = excerpt(self.bands[int(rng.integers(len(self.bands)))], self.n_frames, rng)
        if self.augmented:
            log_mel = self.front.higher(log_mel, float(np.clip(rng.normal(0, 0.7), -2, 2)))
        return log_mel, target

    def mixture(self, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Mix excerpts of ``size`` clips of different names: features and targets."""
        front = self.front
        whole = np.zeros((self.n_frames, front.n_bands), np.float32)
        parts: list[tuple[Truth, np.ndarray, float]] = []
        reference = 0.0
        for name in rng.choice(self.names, min(size, len(self.names)), replace=False, p=self.chances):
            clip = self.by_name[name][int(rng.integers(len(self.by_name[name])))]
            loudest = self._loudest(clip)
            # As loud as the first, whose level is as random as recordings' are.
            reference = loudest if not parts else reference
            decibels = rng.uniform(-GAIN_DB, GAIN_DB) + reference - loudest
            first = draw_first(clip.prepared.n_frames, self.n_frames, rng)
            cut = clip.prepared.span(first, self.n_frames).astype(np.float32)
            if self.augmented:
                cut = front.varied(cut, rng)[: self.n_frames]
            place = int(rng.integers(0, self.n_frames - len(cut) + 1))
            sound = front.linear(cut) * front.gain(decibels)
            whole[place : place + len(cut)] += sound
            own = np.full(self.n_frames, -120.0)
            own[place : place + len(cut)] = front.levels(sound)
            parts.append((clip.truth, own, loudest + decibels))
        target = np.zeros((self.n_frames // STRIDE, N_LABELS), np.float32)
        level = front.levels(whole)
        for truth, own, loudest in parts:
            found = audible(own, level, loudest)
            for label in truth.there:
                target[:, label] = np.where(
                    found == 1, 1, np.where((found == -1) & (target[:, label] == 0), -1, target[:, label])
                )
            for label in truth.open:
                target[:, label] = np.where((found != 0) & (target[:, label] == 0), -1, target[:, label])
        return front.values(whole), target
