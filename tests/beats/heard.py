"""Activations as a good network gives them: made from beats that are known."""

from __future__ import annotations

import numpy as np

from transcribe.beats.activations import METRES, N_TEMPI, PERIODS, BeatActivations
from transcribe.beats.features import FRAME_RATE


def heard(
    beats: np.ndarray, downbeats: np.ndarray, n_beats: int, triple: bool, rng: np.random.Generator, likely: float = 0.8
) -> BeatActivations:
    """Peaks at the beats, some of them weak; weaker ones half-way between; tempo and metre nearly right."""
    n_frames = int((beats[-1] + 2) * FRAME_RATE)
    beat, downbeat = (np.full(n_frames, 0.01, np.float32) for _ in range(2))

    def put(target: np.ndarray, time: float, height: float) -> None:
        frames = np.arange(max(0, round(time * FRAME_RATE) - 2), min(n_frames, round(time * FRAME_RATE) + 3))
        bump = height * np.exp(-0.5 * ((frames - time * FRAME_RATE) / 0.8) ** 2)
        target[frames] = np.maximum(target[frames], bump)

    for i, time in enumerate(beats):
        put(beat, time, likely * rng.uniform(0.5, 1.0))
        put(downbeat, time, likely * rng.uniform(0.4, 1.0) if np.isclose(downbeats, time).any() else 0.1)
        # Nothing is played while a note is held.
        if i + 1 < len(beats) and beats[i + 1] - time < 2 * np.median(np.diff(beats)):
            put(beat, (time + beats[i + 1]) / 2, rng.uniform(0.0, 0.3))
    # The tempo is that of the surroundings: a beat that is held doesn't change it.
    gaps = np.diff(beats)
    around = [float(np.median(gaps[max(0, i - 2) : i + 3])) for i in range(len(gaps))]
    gaps = np.interp(np.arange(n_frames) / FRAME_RATE, beats[:-1], around)
    tempo = 0.02 + np.exp(-0.5 * (np.log(PERIODS / gaps[:, None]) / 0.1) ** 2)
    metre = np.full((n_frames, len(METRES)), 0.5 / len(METRES))
    metre[:, METRES.index(n_beats)] += 0.5
    assert tempo.shape == (n_frames, N_TEMPI)
    three = np.full(n_frames, 0.8 if triple else 0.2)
    parts = (beat, downbeat, three, tempo / tempo.sum(1, keepdims=True), metre)
    return BeatActivations(*(part.astype(np.float32) for part in parts))
