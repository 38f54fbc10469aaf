from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from train.cache import Prepared
from train.instruments import bands
from train.instruments.mixtures import MIXED, Mixtures, Spectra
from transcribe.engine.features import FeatureConfig
from transcribe.instruments.decoder import FAMILIES, INSTRUMENTS
from transcribe.instruments.network import STRIDE
from transcribe.theory import families

STEP = STRIDE / FeatureConfig().grid.frames_per_second
ALL = [*(f"family {name}" for name in FAMILIES), *INSTRUMENTS]


def of_notes(*played: tuple[str, float, float]) -> dict[str, np.ndarray]:
    return {
        "notes": np.array([(onset, offset, 60, 80) for _, onset, offset in played], float).reshape(-1, 4),
        "families": np.array([families.FAMILIES.index(name) for name, *_ in played], np.uint8),
        "drums": np.zeros((0, 3)),
    }


def seen(truth: np.ndarray, seconds: float) -> dict[str, int]:
    row = truth[int(seconds / STEP)]
    return {name: int(value) for name, value in zip(ALL, row, strict=True) if value}


def test_who_is_heard_in_every_step() -> None:
    labels = of_notes(("strings", 1.0, 2.0), ("piano", 3.0, 4.0))
    parts = [["strings", "violin", 40, "x.sf2"], ["piano", "piano", 0, "x.sf2"]]
    truth = bands.steps(labels, parts, round(6 / STEP) * STRIDE)
    assert seen(truth, 0.5) == {}
    assert seen(truth, 1.5) == {"family string": 1, "violin": 1}
    assert seen(truth, 2.3) == {"family string": -1, "violin": -1}  # it may ring
    assert seen(truth, 2.7) == {}
    assert seen(truth, 3.5) == {"family keyboard": 1, "piano": 1}


def test_one_of_two_is_open() -> None:
    parts = [["strings", "violin", 40, "x.sf2"], ["strings", "cello", 42, "x.sf2"]]
    truth = bands.steps(of_notes(("strings", 1.0, 2.0)), parts, round(3 / STEP) * STRIDE)
    assert seen(truth, 1.5) == {"family string": 1, "violin": -1, "cello": -1}


def test_drummers_go_on_between_strokes() -> None:
    labels = of_notes() | {"drums": np.array([(1.0, families.DRUMS.index("snare drum"), 80)], float)}
    truth = bands.steps(labels, [["drums", "drums", 0, "x.sf2"]], round(5 / STEP) * STRIDE)
    assert seen(truth, 1.05) == {"family drums": 1, "drums": 1, "snare drum": 1}
    assert seen(truth, 2.0) == {"family drums": -1, "drums": -1}
    assert seen(truth, 4.0) == {}


def test_excerpts_of_bands_are_batches(tmp_path: Path) -> None:
    log_mel = np.full((100, FeatureConfig().n_mels), 0.5, np.float16)
    np.save(tmp_path / "0.npy", log_mel)
    truth = np.ones((13, len(ALL)), np.int8)
    band = bands.Band(Prepared(tmp_path / "0.npy", 100, {}), truth)
    batches = Mixtures((), Spectra(), 2, 160, 0, torch.device("cpu"), MIXED, augmented=False, bands=[band])
    features, target = batches(0)
    assert features.shape == (2, 160, FeatureConfig().n_mels)
    assert target.shape == (2, 20, len(ALL))
    assert float(features[0, 99, 5]) == 0.5
    assert float(features[0, 100, 5]) < -1  # nothing sounds after its end
    assert target[0, :13].eq(1).all()
    assert target[0, 13:].eq(0).all()
