"""Recordings of train/synthesis/bands.py as excerpts of mixtures: who can be heard in every step of them.

Notes say when a family plays, the list of the parts which instruments it is. What a family plays by several
instruments may be any of them; what rings after a note's end, and between two strokes of a drummer, is open.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from train.bands.excerpts import read_labels
from train.cache import Prepared, draw_first, prepare, silence
from train.instruments.truth import DRUM_CLASSES, N_LABELS, OF_DRUMS, truth_of
from transcribe.engine.features import FeatureConfig
from transcribe.errors import UsageError
from transcribe.instruments.network import STRIDE
from transcribe.notes.datasets import DATASETS
from transcribe.theory.families import DRUMS, FAMILIES

# Seconds: what rings after a note's end; how long a stroke is heard, and how long its drummer may be.
_RINGING, _STROKE, _DRUMMER = 0.5, 0.3, 1.5


@dataclass(frozen=True)
class Band:
    """A prepared recording, and the truth of its steps: int8 (n_steps, labels), 1, 0, and -1 where it is open."""

    prepared: Prepared
    truth: np.ndarray


def load_bands(folder: Path, cache: Path) -> list[Band]:
    """Prepare recordings; their features are those that train/bands has in the same cache.

    Raises
    ------
    UsageError
        If there are none.
    """
    pieces = DATASETS["pairs"].pieces(folder)
    if not pieces:
        raise UsageError(f"{folder}: no recordings found")
    prepare(pieces, cache, read_labels)
    bands = []
    for piece in pieces:
        for one in prepare([piece], cache, read_labels):
            about = json.loads(piece.audio.with_suffix(".json").read_text(encoding="utf-8"))
            bands.append(Band(one, steps(one.labels, about["parts"], one.n_frames)))
    return bands


def steps(labels: dict[str, np.ndarray], parts: Sequence[Sequence[object]], n_frames: int) -> np.ndarray:
    """Tell what is true of every step.

    Parameters
    ----------
    labels
        Of :func:`train.bands.excerpts.read_labels`.
    parts
        Family, sound, program and source of every part, as in ``00000.json``.
    n_frames
        How long it is.
    """
    rate = FeatureConfig().grid.frames_per_second / STRIDE
    truth = np.zeros((-(-n_frames // STRIDE), N_LABELS), np.int8)
    sounds: dict[str, list[str]] = {}
    for family, sound, *_ in parts:
        sounds.setdefault(str(family), []).append(str(sound))

    def mark(onset: float, end: float, certain: Sequence[int], possible: Sequence[int]) -> None:
        first, last = int(onset * rate), max(int(np.ceil(end * rate)), int(onset * rate) + 1)
        rings = int(np.ceil((end + _RINGING) * rate))
        truth[first:last, certain] = 1
        for span, columns in ((slice(first, last), possible), (slice(last, rings), [*certain, *possible])):
            open_to = truth[span][:, columns]
            truth[span, columns] = np.where(open_to == 1, 1, -1)

    for index in np.unique(labels["families"]):
        truths = [truth_of(sound) for sound in sounds.get(FAMILIES[int(index)], ())]
        named = {label for truth in truths for label in (*truth.there, *truth.open)}
        certain = sorted(label for label in named if all(label in truth.there for truth in truths))
        possible = sorted(named - set(certain))
        for onset, offset, *_ in labels["notes"][labels["families"] == index]:
            mark(onset, offset, certain, possible)
    for onset, *_ in labels["drums"]:
        mark(onset, onset + _DRUMMER, (), OF_DRUMS)
    for onset, drum, _ in labels["drums"]:
        mark(onset, onset + _STROKE, [*OF_DRUMS, *DRUM_CLASSES.get(DRUMS[int(drum)], ())], ())
    return truth


def excerpt(band: Band, n_frames: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw an excerpt that begins with a step: features (n_frames, n_mels), silent after the end, and targets."""
    first = draw_first(band.prepared.n_frames, n_frames, rng) // STRIDE * STRIDE
    log_mel = np.full((n_frames, FeatureConfig().n_mels), silence(FeatureConfig()), np.float32)
    target = np.zeros((n_frames // STRIDE, N_LABELS), np.float32)
    cut, truth = band.prepared.span(first, n_frames), band.truth[first // STRIDE :][: n_frames // STRIDE]
    log_mel[: len(cut)], target[: len(truth)] = cut, truth
    return log_mel, target
