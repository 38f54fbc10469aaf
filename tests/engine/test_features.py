from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.signals import RATE, silence, sine
from transcribe.engine.features import FeatureConfig, FrameGrid, LogMel, mel_filters
from transcribe.engine.trunk import BINS_PER_SEMITONE, HARMONICS, HarmonicStack

CONFIG = FeatureConfig()


def test_grid_does_not_drift_in_ten_hours() -> None:
    grid = FrameGrid(22050, 256)
    frames = grid.n_frames(36000 * 22050)
    assert grid.frames_to_time(frames) == pytest.approx(36000, abs=grid.hop_length / grid.sample_rate)


@pytest.mark.parametrize(("n_samples", "n_frames"), [(0, 0), (1, 1), (320, 1), (321, 2), (16000, 50)])
def test_frames_of_a_recording(n_samples: int, n_frames: int) -> None:
    assert CONFIG.grid.n_frames(n_samples) == n_frames
    assert LogMel(CONFIG).whole(np.zeros(n_samples, np.float32)).shape == (n_frames, 229)


def test_full_scale_sine_and_silence_have_the_levels_that_are_promised() -> None:
    log_mel = LogMel(CONFIG)
    db = log_mel.whole(sine(1000, 1.0, amplitude=1.0)) * CONFIG.scale_db - CONFIG.offset_db
    # The mel filter's weight at 1 kHz may be below 1, and two neighbours share the power.
    assert -6 < db[25].max() <= 1
    assert CONFIG.mel_frequencies()[db[25].argmax()] == pytest.approx(1000, rel=0.02)
    quiet = log_mel.whole(silence(0.5)) * CONFIG.scale_db - CONFIG.offset_db
    np.testing.assert_allclose(quiet, CONFIG.floor_db, atol=1e-3)


def test_a_click_is_centred_on_its_frame() -> None:
    samples = silence(1.0)
    samples[25 * 320] = 1
    energy = LogMel(CONFIG).whole(samples).mean(axis=1)
    assert energy.argmax() == 25
    np.testing.assert_allclose(energy[22:25], energy[26:29][::-1], atol=0.05)


def test_spans_do_not_change_the_features(rng: np.random.Generator) -> None:
    samples = rng.standard_normal(RATE * 2).astype(np.float32)
    log_mel = LogMel(CONFIG)
    np.testing.assert_allclose(log_mel(samples[37 * 320 :])[:20], log_mel(samples)[37:57], atol=1e-5)


@pytest.mark.parametrize("pitch", [45, 60, 72, 90])
@pytest.mark.parametrize("harmonic", [1, 2, 3])
def test_partials_of_a_pitch_lie_under_it(pitch: int, harmonic: int) -> None:
    frequency = 440 * 2 ** ((pitch - 69) / 12) * harmonic
    log_mel = torch.from_numpy(LogMel(CONFIG).whole(sine(frequency, 0.5)))[None]
    stacked = HarmonicStack(CONFIG)(log_mel)[0, 2 * HARMONICS.index(harmonic), 12]
    middle = (pitch - 21) * BINS_PER_SEMITONE + 1
    window = stacked[middle - 4 : middle + 5]
    assert abs(int(window.argmax()) - 4) <= 1


def test_mel_bands_are_the_triangles_of_the_htk_scale() -> None:
    edges = 700 * (10 ** (np.linspace(2595 * np.log10(1 + 30 / 700), 2595 * np.log10(1 + 8000 / 700), 231) / 2595) - 1)
    bins = np.arange(1025) * 16000 / 2048
    rising = (bins - edges[100]) / (edges[101] - edges[100])
    falling = (edges[102] - bins) / (edges[102] - edges[101])
    expected = np.clip(np.minimum(rising, falling), 0, None)
    matrix = mel_filters(CONFIG)
    np.testing.assert_allclose(matrix[:, 100], expected, atol=1e-4)
    assert CONFIG.mel_frequencies()[100] == pytest.approx(edges[101])


@pytest.mark.parametrize("tuning", [0, -40, 33])
@pytest.mark.parametrize(
    "config", [CONFIG, FeatureConfig(n_fft=512, n_mels=200), FeatureConfig(f_min=0.0), FeatureConfig(f_max=6000.0)]
)
def test_bands_are_what_a_matrix_product_makes(config: FeatureConfig, tuning: int, rng: np.random.Generator) -> None:
    samples = rng.standard_normal(RATE).astype(np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(samples, config.n_fft)[:: config.hop_length]
    window = np.hanning(config.n_fft + 1)[:-1]
    power = np.abs(np.fft.rfft(frames * window * (2 / window.sum()))) ** 2
    expected = (10 * np.log10(power @ mel_filters(config, tuning) + 1e-10) + config.offset_db) / config.scale_db
    np.testing.assert_allclose(LogMel(config, tuning)(samples), expected, atol=1e-3)


@pytest.mark.parametrize("frequency", [262.0, 1003.0, 3000.0])
def test_a_tuning_moves_the_bands_with_the_sound(frequency: float) -> None:
    flat = LogMel(CONFIG, tuning=-40).whole(sine(frequency * 2 ** (-40 / 1200), 1.0))[25]
    true = LogMel(CONFIG).whole(sine(frequency, 1.0))[25]
    assert flat.argmax() == true.argmax()
    loud = true > true.max() - 0.5
    np.testing.assert_allclose(flat[loud], true[loud], atol=0.1)
