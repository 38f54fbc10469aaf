"""Inputs that the instruments network might have instead of log-mel, each trained for as many steps on the same clips.

    python -m train.instruments.inputs --train solos:runs/solos-train --valid solos:runs/solos-valid --steps 800

prints a row of a table for each: log-mel, with SpecAugment and without, 40 MFCCs, a constant-Q transform (84 bins, 7
octaves; needs librosa), the raw waveform through six one-dimensional convolutions (as the literature's four-class
network), and that with the sign of every other excerpt inverted.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from train import fit, loop
from train.cache import Transform
from train.fit import dataset
from train.instruments.mixtures import LAYOUTS, SINGLE, Mixtures, Spectra, load
from train.instruments.task import accuracy, losses
from transcribe.engine.devices import choose_device
from transcribe.engine.features import FeatureConfig
from transcribe.genre.features import CQT_BINS, constant_q
from transcribe.instruments.decoder import FAMILIES, INSTRUMENTS
from transcribe.instruments.network import InstrumentsConfig, InstrumentsLogits, InstrumentsNetwork

FEATURES = FeatureConfig()
N_MFCC = 40


def cosines(n_bands: int, n_coefficients: int) -> np.ndarray:
    """Build the orthonormal DCT-II as a matrix, float32 (n_bands, n_coefficients)."""
    angles = np.pi / n_bands * np.outer(np.arange(n_bands) + 0.5, np.arange(n_coefficients))
    matrix = np.cos(angles) * np.sqrt(2 / n_bands)
    matrix[:, 0] /= np.sqrt(2)
    return np.asarray(matrix, np.float32)


class MfccNetwork(nn.Module):
    """The instruments network over 40 mel-frequency cepstral coefficients: the cosine transform of the log-mel."""

    basis: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("basis", torch.from_numpy(cosines(FEATURES.n_mels, N_MFCC)), persistent=False)
        self.network = InstrumentsNetwork(FeatureConfig(n_mels=N_MFCC), InstrumentsConfig())

    def forward(self, log_mel: Tensor) -> InstrumentsLogits:
        """(B, T, n_mels) -> logits."""
        return cast(InstrumentsLogits, self.network(log_mel @ self.basis))


class WaveNetwork(nn.Module):
    """Six convolutions over the raw waveform, down to a step of 0.16 s."""

    STRIDES = (5, 4, 4, 4, 4, 2)  # 320 samples a frame, eight frames a step
    CHANNELS = (16, 32, 64, 96, 128, 160)

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        n_in = 1
        for stride, n_out in zip(self.STRIDES, self.CHANNELS, strict=True):
            layers += [nn.Conv1d(n_in, n_out, 4 * stride + 1, stride, padding=2 * stride, bias=False)]
            layers += [nn.BatchNorm1d(n_out), nn.ReLU()]
            n_in = n_out
        self.layers = nn.Sequential(*layers)
        self.heads = nn.Conv1d(n_in, len(FAMILIES) + len(INSTRUMENTS), 1)

    def forward(self, wave: Tensor) -> InstrumentsLogits:
        """(B, T, samples a frame) -> logits."""
        heads = self.heads(self.layers(wave.flatten(1).unsqueeze(1))).transpose(1, 2)
        return InstrumentsLogits(heads[..., : len(FAMILIES)], heads[..., len(FAMILIES) :])


class Unmasked(Spectra):
    """Log-mel of which nothing is hidden: without SpecAugment."""

    def augmented(self, batch: Tensor, generator: torch.Generator) -> Tensor:
        """Record otherwise."""
        return self.recorded(batch, generator)


class ConstantQ(Spectra):
    """Constant-Q magnitudes."""

    n_bands = CQT_BINS
    frequencies = 32.703 * 2 ** (np.arange(CQT_BINS) / 12)  # from C1 on

    def transposed(self, semitones: float) -> np.ndarray:
        """Tell for every band from where it is taken: a band is a semitone."""
        return np.asarray(np.clip(np.arange(self.n_bands) - semitones, 0, self.n_bands - 1))


class Waves(Spectra):
    """How frames of samples are mixed: they add up."""

    n_bands = FEATURES.hop_length
    floor = 0.0

    def linear(self, values: np.ndarray) -> np.ndarray:
        """Leave as it is: samples add up."""
        return values

    def values(self, linear: np.ndarray) -> np.ndarray:
        """Leave as it is."""
        return linear

    def gain(self, decibels: float) -> np.float32:
        """Give the factor that makes louder."""
        return np.float32(10 ** (decibels / 20))

    def levels(self, linear: np.ndarray) -> np.ndarray:
        """Loudness of every frame in dB."""
        return np.asarray(10 * np.log10(np.square(linear, dtype=np.float32).mean(-1) + 1e-12))

    def varied(self, values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Leave as it is: samples can't be read at another speed frame by frame."""
        return values

    def augmented(self, batch: Tensor, generator: torch.Generator) -> Tensor:
        """Vary the noise; loudness is taken out, as a network of waveforms can't take a logarithm."""
        hiss = 10 ** (-1 - 3 * torch.rand((len(batch), 1, 1), generator=generator))
        noise = torch.randn(batch.shape, generator=generator) * hiss
        return self.plain(batch) + noise.to(batch.device)

    def plain(self, batch: Tensor) -> Tensor:
        """Bring every excerpt to one loudness."""
        return batch / batch.square().mean((1, 2), keepdim=True).sqrt().clamp(min=1e-5)


class InvertedWaves(Waves):
    """The same, half of the excerpts with their sign inverted: other waveforms of the same sounds."""

    def augmented(self, batch: Tensor, generator: torch.Generator) -> Tensor:
        """Invert the sign of half of the excerpts."""
        signs = 1 - 2 * torch.randint(0, 2, (len(batch), 1, 1), generator=generator)
        return super().augmented(batch, generator) * signs.to(batch.device)


def frames_of_samples(samples: np.ndarray) -> np.ndarray:
    """Cut samples into frames, (n_frames, 320)."""
    n_frames = FEATURES.grid.n_frames(len(samples))
    padded = np.pad(samples, (0, n_frames * FEATURES.hop_length - len(samples)))
    return np.asarray(padded.reshape(n_frames, FEATURES.hop_length))


@dataclass(frozen=True)
class Input:
    """An input: features (None for log-mel), how they are mixed, and a network that reads them."""

    transform: Transform | None
    front: Callable[[], Spectra]
    network: Callable[[], nn.Module]


def _usual(n_bands: int = FEATURES.n_mels) -> nn.Module:
    return InstrumentsNetwork(FeatureConfig(n_mels=n_bands), InstrumentsConfig())


INPUTS = {
    "log-mel": Input(None, Spectra, _usual),
    "log-mel, without SpecAugment": Input(None, Unmasked, _usual),
    "MFCC": Input(None, Spectra, MfccNetwork),
    "constant-Q": Input(constant_q, ConstantQ, lambda: _usual(CQT_BINS)),
    "waveform": Input(frames_of_samples, Waves, WaveNetwork),
    "waveform, sign inverted": Input(frames_of_samples, InvertedWaves, WaveNetwork),
}


def main(arguments: list[str] | None = None) -> None:
    """Train every input, print a row for each as it is done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=dataset(*LAYOUTS), nargs="+", required=True)
    parser.add_argument("--valid", type=dataset(*LAYOUTS), required=True)
    parser.add_argument("--inputs", nargs="+", choices=INPUTS, default=list(INPUTS), metavar="NAME")
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--batch", type=int, default=16)
    fit.add_seconds(parser, 5.12)
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--cache", type=Path, default=Path("runs/features"))
    parser.add_argument("--device", default="auto")
    options = parser.parse_args(arguments)
    device = torch.device(choose_device(options.device))
    print("| input | parameters | families | instruments | minutes |")
    print("|---|---|---|---|---|")
    for name in options.inputs:
        way = INPUTS[name]
        clips = [c for layout, folder in options.train for c in load(layout, folder, options.cache, way.transform)]
        layout, folder = options.valid
        held_out = load(layout, folder, options.cache, way.transform)
        torch.manual_seed(0)
        network, front = way.network(), way.front()
        n_frames = fit.n_frames(options, FEATURES.grid.frames_per_second)
        batches = Mixtures(clips, front, options.batch, n_frames, 0, device, SINGLE)
        # Runs this short are followed closely.
        config = loop.LoopConfig(options.steps, learning_rate=2e-3, average=0.99, precision=options.precision)
        began = time.monotonic()
        averaged = loop.train(network, batches, losses, config, folder=None, device=device)
        minutes = (time.monotonic() - began) / 60
        figures = accuracy(averaged, held_out, device, front)
        cells = [f"{sum(p.numel() for p in network.parameters()):,}"]
        cells += [f"{figures[f'valid/{vocabulary}']:.3f}" for vocabulary in ("families", "instruments")]
        print(f"| {name} | " + " | ".join([*cells, f"{minutes:.1f}"]) + " |", flush=True)


if __name__ == "__main__":
    main()
