from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcribe.genre.features import COLUMNS, TABLE_SAMPLE_RATE, constant_q, excerpts, starts, table_row
from transcribe.transcriber import Transcriber

needs_librosa = pytest.mark.skipif(importlib.util.find_spec("librosa") is None, reason="librosa isn't installed")

RATE = TABLE_SAMPLE_RATE


def figures_of(samples: np.ndarray) -> dict[str, float]:
    return dict(zip(COLUMNS, table_row(samples), strict=True))


@needs_librosa
def test_the_figures_of_a_sine() -> None:
    frequency = 440.0
    found = figures_of(0.5 * np.sin(2 * np.pi * frequency * np.arange(5 * RATE) / RATE))
    assert found["rms_mean"] == pytest.approx(0.5 / np.sqrt(2), rel=0.02)
    assert found["zero_crossing_rate_mean"] == pytest.approx(2 * frequency / RATE, rel=0.03)
    # A window's main lobe is as wide to both sides; the roll-off is the bin that reaches 85 %.
    assert found["spectral_centroid_mean"] == pytest.approx(frequency, rel=0.05)
    assert found["rolloff_mean"] == pytest.approx(frequency, abs=2 * RATE / 2048)
    assert found["spectral_bandwidth_mean"] < 200
    # One of twelve chroma is 1, its neighbours hear some of the lobe.
    assert 1 / 12 < found["chroma_stft_mean"] < 0.35
    assert found["harmony_var"] == pytest.approx(0.125, rel=0.05)
    assert found["perceptr_var"] < 0.002
    assert abs(found["harmony_mean"]) < 1e-3


@needs_librosa
def test_the_figures_of_noise_and_of_clicks(rng: np.random.Generator) -> None:
    noise = figures_of(0.1 * rng.standard_normal(5 * RATE))
    assert noise["spectral_centroid_mean"] == pytest.approx(RATE / 4, rel=0.02)
    assert noise["rolloff_mean"] == pytest.approx(0.85 * RATE / 2, rel=0.02)
    assert noise["zero_crossing_rate_mean"] == pytest.approx(0.5, rel=0.03)
    assert noise["rms_mean"] == pytest.approx(0.1, rel=0.02)
    # A band of constant power has the standard deviation of its frequencies: half the width over the root of three.
    assert noise["spectral_bandwidth_mean"] == pytest.approx(RATE / 4 / np.sqrt(3), rel=0.05)
    clicks = np.zeros(20 * RATE)
    for i in range(40):
        start = round(i * 0.5 * RATE)
        clicks[start : start + 400] = rng.standard_normal(400) * 0.5
    found = figures_of(clicks)
    assert found["tempo"] == pytest.approx(120, rel=0.04)
    assert found["perceptr_var"] > found["harmony_var"]


@needs_librosa
def test_louder_moves_the_first_coefficient_alone() -> None:
    rng = np.random.default_rng(3)
    samples = 0.05 * rng.standard_normal(3 * RATE)
    soft, loud = figures_of(samples), figures_of(samples * 2)
    # The orthonormal cosine transform of 6 dB more in 128 bands.
    assert loud["mfcc1_mean"] - soft["mfcc1_mean"] == pytest.approx(20 * np.log10(2) * np.sqrt(128), rel=0.01)
    for i in range(2, 21):
        assert loud[f"mfcc{i}_mean"] == pytest.approx(soft[f"mfcc{i}_mean"], abs=0.05)


@needs_librosa
def test_a_semitone_is_a_bin_of_the_constant_q() -> None:
    time = np.arange(3 * 16_000) / 16_000
    low, high = (constant_q(0.3 * np.sin(2 * np.pi * f * time).astype(np.float32)) for f in (440.0, 466.16))
    assert low.shape == (150, 84)
    assert low[75].argmax() == 45  # A4, 45 semitones above C1
    assert high[75].argmax() == 46
    assert constant_q(np.zeros(0, np.float32)).shape == (0, 84)


def test_excerpts_are_spread() -> None:
    assert starts(10.0, 30.0, 4) == [0.0]
    assert starts(60.0, 30.0, 4) == [0.0, 30.0]
    assert starts(330.0, 30.0, 4) == [0.0, 100.0, 200.0, 300.0]
    assert starts(None, 30.0, 3) == [0.0, 30.0, 60.0]


@given(
    n_samples=st.integers(0, 200),
    cuts=st.lists(st.integers(0, 200), max_size=5),
    first=st.lists(st.integers(0, 220), min_size=1, max_size=4).map(sorted),
    length=st.integers(1, 60),
)
def test_excerpts_are_the_same_however_the_stream_is_cut(
    n_samples: int, cuts: list[int], first: list[int], length: int
) -> None:
    samples = np.arange(n_samples, dtype=np.float32)
    blocks = np.split(samples, sorted(cut for cut in cuts if cut <= n_samples))
    whole = [samples[f : f + length] for f in first if f + length <= n_samples]
    found = list(excerpts(blocks, first, length))
    for mine, theirs in zip(found, whole, strict=False):
        np.testing.assert_array_equal(mine, theirs)
    assert len(found) - len(whole) in (0, 1)
    if len(found) > len(whole):
        rest = samples[first[len(whole)] :]
        np.testing.assert_array_equal(found[-1], rest)
        assert 2 * len(rest) >= length or len(found) == 1


@needs_librosa
def test_figures_of_no_recording_give_probabilities_all_the_same() -> None:
    """Integers written as floats: some exponents are in the hundreds."""
    clicks = np.zeros(4 * RATE)
    clicks[:: RATE // 4] = 32_767
    recogniser = Transcriber(tasks=("genre",))
    for samples in (clicks, clicks / 32_767 + 0.5, -clicks):
        genres = recogniser.transcribe_audio(samples.astype(np.float32), RATE).genres
        assert sum(tag.probability for tag in genres) == pytest.approx(1, abs=0.001)
