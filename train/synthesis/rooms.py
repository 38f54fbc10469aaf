"""Impulse responses of simulated rooms, for ``train.synthesis.render --rooms``.

    python -m train.synthesis.rooms --out runs/rooms.npz --count 400

Shoebox rooms of 15-3,000 m³ by the image-source method (pyroomacoustics): size, absorption, the places of instrument
and microphone are drawn; the delay is cut to the direct path.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
from pathlib import Path

import numpy as np

from train import recipes

SAMPLE_RATE = 16000
LONGEST = 1.5  # seconds kept of a response


def response(seed: int) -> np.ndarray:
    """Simulate one room and one microphone in it; float32, the direct path within the first half millisecond."""
    import pyroomacoustics

    rng = np.random.default_rng(seed)
    size = np.exp(rng.uniform(np.log([2.5, 2.5, 2.2]), np.log([20, 16, 9])))
    rt60 = float(np.exp(rng.uniform(np.log(0.2), np.log(1.6))))
    volume, surface = np.prod(size), 2 * (size[0] * size[1] + size[0] * size[2] + size[1] * size[2])
    # Sabine; the image sources are cut off where they would take minutes.
    absorption = float(np.clip(0.161 * volume / (surface * rt60), 0.03, 0.9))
    room = pyroomacoustics.ShoeBox(
        size, fs=SAMPLE_RATE, materials=pyroomacoustics.Material(absorption, rng.uniform(0.05, 0.4)), max_order=35,
        air_absorption=True,
    )  # fmt: skip
    source = size * rng.uniform(0.15, 0.85, 3)
    source[2] = min(source[2], rng.uniform(0.6, 1.2))
    away = rng.normal(size=3) * [1, 1, 0.4]
    distance = np.exp(rng.uniform(np.log(0.3), np.log(8)))
    microphone = np.clip(source + away / np.linalg.norm(away) * distance, 0.1, size - 0.1)
    room.add_source(source)
    room.add_microphone(microphone)
    room.compute_rir()
    heard = np.asarray(room.rir[0][0])
    delay = np.linalg.norm(source - microphone) / room.c * SAMPLE_RATE
    direct = round(delay) + pyroomacoustics.constants.get("frac_delay_length") // 2
    heard = heard[max(0, direct - 6) :][: int(LONGEST * SAMPLE_RATE)]
    heard[-800:] *= np.linspace(1, 0, len(heard[-800:]))
    normalised: np.ndarray = (heard / np.abs(heard[:16]).max()).astype(np.float32)
    return normalised


def load(path: Path) -> list[np.ndarray]:
    """Read the responses that :func:`main` wrote."""
    with np.load(path) as archive:
        return [archive[name].astype(np.float32) for name in archive.files]


def main() -> None:
    """Simulate rooms on all cores."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    for options in recipes.parsed(parser, None, Path(__file__).parent):
        _write(options)


def _write(options: argparse.Namespace) -> None:
    seeds = range(options.seed * 100_000, options.seed * 100_000 + options.count)
    with multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool:
        responses = pool.map(response, seeds)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    arrays = {f"{i:05d}": heard.astype(np.float16) for i, heard in enumerate(responses)}
    np.savez_compressed(options.out, allow_pickle=False, **arrays)


if __name__ == "__main__":
    main()
