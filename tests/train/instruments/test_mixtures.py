from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from train.augment import augment
from train.cache import Prepared
from train.instruments import mixtures
from train.instruments.truth import combined, truth_of
from train.synthesis import solos
from transcribe.engine.features import FeatureConfig
from transcribe.errors import UsageError
from transcribe.instruments.decoder import FAMILIES, INSTRUMENTS

FEATURES, CPU = FeatureConfig(), torch.device("cpu")


def names_of(labels: tuple[int, ...]) -> set[str]:
    every = [*(f"family {name}" for name in FAMILIES), *INSTRUMENTS]
    return {every[label] for label in labels}


def test_what_a_name_says() -> None:
    truth = truth_of("violin")
    assert names_of(truth.there) == {"violin", "family string"}
    assert truth.open == ()
    viola = truth_of("viola")
    assert names_of(viola.there) == {"family string"}
    assert names_of(viola.open) == {"cello", "violin", "double bass", "harp", "string section"}
    kick = truth_of("bass drum")
    assert names_of(kick.there) == {"bass drum", "drums", "family drums"}
    assert names_of(truth_of("drums").open) == {"bass drum", "snare drum", "hi-hat"}
    assert names_of(truth_of("speech").open) == {"voice", "family vocal"}
    assert names_of(truth_of("plucked double bass").open) == {"family bass", "family string"}
    assert names_of(truth_of("guitar", "families").there) == {"family guitar"}
    both = combined([truth_of("viola"), truth_of("cello")])
    assert "cello" in names_of(both.there) - names_of(both.open)
    with pytest.raises(UsageError, match="kazoo"):
        truth_of("kazoo")
    for name in (*solos.SOUNDS, *solos.NOTES.values(), *solos.DRUMS, "drums", "speech"):
        truth_of(name)


def clip(folder: Path, name: str, level: float, first: int = 0, last: int = 400) -> mixtures.Clip:
    """A clip whose every band has a level, in units of 20 dB, from a frame to another."""
    log_mel = np.full((400, FEATURES.n_mels), -2.0, np.float16)
    log_mel[first:last] = level
    path = folder / f"{name}{level}.npy"
    np.save(path, log_mel)
    return mixtures.Clip(Prepared(path, 400, {}), truth_of(name), name)


def test_a_mixture_has_the_power_of_both(tmp_path: Path) -> None:
    clips = [clip(tmp_path, "piano", 0.0), clip(tmp_path, "violin", 0.5, 0, 200)]
    batches = mixtures.Mixtures(clips, mixtures.Spectra(), 1, 400, 0, CPU, {2: 1.0}, augmented=False)
    log_mel, target = batches(0)
    assert log_mel.shape == (1, 400, FEATURES.n_mels)
    both, alone = float(log_mel[0, 100, 0]), float(log_mel[0, 300, 0])
    # Each is as loud as the other within 6 dB, whatever it was; the power of both adds up.
    assert abs(alone) <= 0.3 + 1e-3
    assert both > alone
    labels = {name: target[0, :, len(FAMILIES) + i] for i, name in enumerate(INSTRUMENTS)}
    assert labels["piano"].tolist() == [1.0] * 50
    assert labels["violin"].tolist() == [1.0] * 25 + [0.0] * 25
    assert set(labels["flute"].tolist()) == {0.0}
    torch.testing.assert_close(batches(3)[0], batches(3)[0], rtol=0, atol=0)
    assert not torch.equal(batches(3)[0], batches(4)[0])


def test_what_is_drowned_is_open() -> None:
    own, whole = np.zeros(32), np.array([0.0] * 8 + [20.0] * 8 + [30.0] * 8 + [0.0] * 8)
    own[24:] = -60
    assert mixtures.audible(own, whole, 0.0).tolist() == [1, 1, -1, 0]


def test_silence_has_no_labels(tmp_path: Path) -> None:
    batches = mixtures.Mixtures([clip(tmp_path, "piano", 0.0)], mixtures.Spectra(), 2, 80, 0, CPU, {0: 1.0})
    log_mel, target = batches(0)
    assert not target.any()
    assert torch.isfinite(augment(log_mel, torch.Generator())).all()


def test_a_transposed_peak_stands_where_its_frequency_does(rng: np.random.Generator) -> None:
    frequencies = FEATURES.mel_frequencies()
    band = int(np.argmin(np.abs(frequencies - 880)))
    peak = np.exp(-(((np.arange(FEATURES.n_mels) - band) / 3) ** 2))
    moved = np.interp(mixtures.Spectra().transposed(12), np.arange(FEATURES.n_mels), peak)
    assert frequencies[moved.argmax()] == pytest.approx(2 * frequencies[band], rel=0.02)
    varied = mixtures.Spectra().varied(np.tile(peak.astype(np.float32), (64, 1)), rng)
    assert 50 < len(varied) < 81
    assert np.abs(np.log2(frequencies[varied[0].argmax()] / frequencies[band])) < 0.36
