from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.signals import two_sounds
from train.instruments import forest, inputs, mixtures
from transcribe.engine.features import FeatureConfig

FEATURES, CPU = FeatureConfig(), torch.device("cpu")


def test_cosines_are_orthonormal() -> None:
    basis = inputs.cosines(20, 20)
    np.testing.assert_allclose(basis.T @ basis, np.eye(20), atol=1e-5)


def test_waves_add_up_and_are_of_one_loudness(rng: np.random.Generator) -> None:
    samples = rng.standard_normal(1000).astype(np.float32)
    frames = inputs.frames_of_samples(samples)
    assert frames.shape == (4, 320)
    np.testing.assert_array_equal(frames.ravel()[:1000], samples)
    waves = inputs.Waves()
    assert waves.levels(frames[:3] * waves.gain(20.0)) == pytest.approx(waves.levels(frames[:3]) + 20, abs=1e-3)
    plain = waves.plain(torch.from_numpy(frames)[None] * 7)
    assert float(plain.square().mean()) == pytest.approx(1.0, rel=1e-4)
    batch = torch.ones(6, 16, 320)
    inverted = inputs.InvertedWaves().augmented(batch, torch.Generator().manual_seed(3)).mean((1, 2)).sign()
    assert set(inverted.tolist()) == {-1.0, 1.0}


def test_spec_augment_hides_some(rng: np.random.Generator) -> None:
    batch = torch.from_numpy(rng.normal(0, 1, (4, 64, FEATURES.n_mels)).astype(np.float32))
    hidden = mixtures.Spectra().augmented(batch, torch.Generator().manual_seed(0))
    plain = inputs.Unmasked().augmented(batch, torch.Generator().manual_seed(0))
    assert 0.02 < float((hidden != plain).float().mean()) < 0.7


@pytest.mark.slow
def test_every_input_is_trained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = f"clips:{two_sounds(tmp_path / 'data')}"
    names = ["log-mel, without SpecAugment", "MFCC", "waveform, sign inverted"]
    if importlib.util.find_spec("librosa"):
        names.append("constant-Q")
    common = ["--train", data, "--valid", data, "--cache", str(tmp_path / "c")]
    inputs.main([*common, "--inputs", *names, "--steps", "2", "--batch", "2", "--seconds", "1.28"])
    rows = [line.split("|") for line in capsys.readouterr().out.splitlines()[2:]]
    assert [row[1].strip() for row in rows] == names
    assert all(0 <= float(row[4]) <= 1 for row in rows)


@pytest.mark.slow
def test_a_forest_tells_sines_from_saw_teeth(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("sklearn", reason="scikit-learn isn't installed")
    data = f"clips:{two_sounds(tmp_path / 'data')}"
    forest.main(["--train", data, "--valid", data, "--cache", str(tmp_path / "c")])
    printed = capsys.readouterr().out
    assert "| 12 | 1.000 |" in printed
    assert "% of the importance" in printed
