"""What a notes network hears of recordings, as the chords network reads it; and excerpts of it, varied."""

from __future__ import annotations

import math

import numpy as np

from train.chords.labels import IGNORED
from transcribe.chords.decoder import N_CLASSES, NONE, QUALITIES
from transcribe.chords.network import N_INPUTS
from transcribe.chords.task import CHORDS
from transcribe.engine.features import N_PITCHES, FrameGrid
from transcribe.engine.inference import infer
from transcribe.engine.weights import load_model
from transcribe.notes.decoder import Activations
from transcribe.notes.task import NOTES

# Keys by which an excerpt is moved, at most.
_MOVED = 6
# How often it is less or more sure of itself than it was, and how often the sound stops now and then.
_UNSURE_SHARE, _STOPPED_SHARE = 0.5, 0.3
# Seconds of a stop, and between two.
_STOP, _BETWEEN = (0.2, 1.5), (1.0, 6.0)


class Heard:
    """A transform of :func:`train.cache.prepare`: samples to what a notes network hears, (n_frames, 176).

    Parameters
    ----------
    name
        Of a shipped notes network, or its size.
    """

    def __init__(self, name: str) -> None:
        self.name = str(load_model(NOTES, name).name)
        self.__qualname__ = f"heard by {self.name}"  # what the cache knows it by

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        """Hear a recording."""
        rows = [CHORDS.inputs({}, block) for block in infer([samples], load_model(NOTES, self.name), threads=1)]
        return np.concatenate([np.zeros((0, N_INPUTS), np.float32), *rows])


def rows_heard(rows: np.ndarray, grid: FrameGrid) -> Activations:
    """Make rows (n_frames, 176) what they were: what a notes network hears, as far as chords are told from it."""
    onset, frame = rows[:, :N_PITCHES], rows[:, N_PITCHES:]
    nothing = np.zeros_like(onset)
    return Activations(onset, frame, nothing, nothing, nothing[:, 0], grid)


def varied(
    rows: np.ndarray, target: np.ndarray, seconds: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Move an excerpt to another key, make it less or more sure, and let the sound stop now and then.

    Parameters
    ----------
    rows
        float32 (n_frames, 176).
    target
        int64 (2, n_steps): classes and basses; -1 where nothing is known.
    seconds
        From one frame to the next.
    """
    keys = int(rng.integers(-_MOVED, _MOVED + 1))
    rows, target = moved(rows, keys), moved_target(target, keys)
    if rng.random() < _UNSURE_SHARE:
        slope, shift = math.exp(rng.normal(0, 0.2)), rng.normal(0, 0.7)
        logits = np.log(np.maximum(rows, 1e-6)) - np.log(np.maximum(1 - rows, 1e-6))
        rows = np.where(rows > 0, 1 / (1 + np.exp(-(slope * logits + shift))), 0).astype(np.float32)
    if rng.random() < _STOPPED_SHARE:
        stride = len(rows) // target.shape[1]
        time = rng.uniform(*_BETWEEN)
        while (first := round(time / seconds / stride)) < target.shape[1]:
            length = rng.uniform(*_STOP)
            last = first + max(1, round(length / seconds / stride))
            rows[first * stride : last * stride] = 0
            known = target[:, first:last] != IGNORED
            target[0, first:last] = np.where(known[0], NONE, IGNORED)
            target[1, first:last] = IGNORED
            time += length + rng.uniform(*_BETWEEN)
    return rows, target


def moved(rows: np.ndarray, keys: int) -> np.ndarray:
    """Move rows (n_frames, 176) up the keyboard; what leaves it is lost."""
    found = np.zeros((len(rows), 2, N_PITCHES), np.float32)
    heard = rows.reshape(len(rows), 2, N_PITCHES)
    if keys >= 0:
        found[..., keys:] = heard[..., : N_PITCHES - keys]
    else:
        found[..., :keys] = heard[..., -keys:]
    return found.reshape(len(rows), N_INPUTS)


def moved_target(target: np.ndarray, keys: int) -> np.ndarray:
    """Move classes and basses with the keys; no chord and what isn't known stay."""
    classes, basses = target
    sounding = (classes >= 0) & (classes < N_CLASSES - 1)
    up = (classes + keys * len(QUALITIES)) % (N_CLASSES - 1)
    return np.stack([np.where(sounding, up, classes), np.where(basses >= 0, (basses + keys) % 12, basses)])
