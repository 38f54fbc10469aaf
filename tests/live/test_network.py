from __future__ import annotations

import numpy as np
import pytest
import torch

from transcribe.engine.features import FeatureConfig
from transcribe.live.delays import HEARD, MEASURED, TOLD, delay_of
from transcribe.live.network import LiveConfig, LiveNetwork, LiveStep

FEATURES = FeatureConfig()
SMALL = LiveConfig(4, 4, 2, (1, 2), heard=(-1, 0, 1, 2), told=(0,))


def network() -> LiveNetwork:
    torch.manual_seed(0)
    made = LiveNetwork(FEATURES, SMALL)
    for module in made.modules():  # as if it had been trained: no normalisation does nothing
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.running_mean)  # type: ignore[arg-type]
    return made.eval().requires_grad_(False)


def test_nothing_is_known_of_what_comes() -> None:
    log_mel = torch.randn(1, 80, FEATURES.n_mels)
    changed = log_mel.clone()
    changed[:, 41:] = 3.0
    before, after = (network().every_frame(heard).onset[0] for heard in (log_mel, changed))
    torch.testing.assert_close(before[:41], after[:41], atol=1e-4, rtol=1e-4)
    assert not torch.allclose(before[41], after[41])


def test_every_fourth_frame_of_every_frame_is_what_training_sees() -> None:
    log_mel = torch.randn(1, 80, FEATURES.n_mels)
    steps, frames = network()(log_mel), network().every_frame(log_mel)
    for name in ("onset", "frame", "offset", "velocity", "pedal"):
        torch.testing.assert_close(getattr(frames, name)[:, 3::4], getattr(steps, name), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("n_frames", [1, 3, 50])
def test_a_frame_at_a_time_it_says_the_same(n_frames: int) -> None:
    log_mel = torch.randn(1, n_frames, FEATURES.n_mels)
    whole = network().every_frame(log_mel).activations()
    step = LiveStep(network().fused(), FEATURES)
    rings = [torch.zeros(memory.taps[0], *memory.shape) for memory in step.memories]
    said = []
    for n, row in enumerate(log_mel[0]):
        taps = [torch.tensor(memory.taps) for memory in step.memories]
        if n == 0:
            rings[0][:] = row
            rings[1][:] = step(row, [ring[(n - tap) % len(ring)] for ring, tap in zip(rings, taps, strict=True)])[1][1]
        heads, rows = step(row, [ring[(n - tap) % len(ring)] for ring, tap in zip(rings, taps, strict=True)])
        for ring, new in zip(rings, rows, strict=True):
            ring[n % len(ring)] = new
        said.append(heads)
    for number, expected in enumerate(whole):
        found = np.stack([heads[number].numpy() for heads in said])
        np.testing.assert_allclose(found, expected[0].numpy(), atol=1e-4)


def test_a_latency_reaches_from_the_frame_to_the_newest_sample() -> None:
    half_window = 1000 * FEATURES.n_fft / 2 / FEATURES.sample_rate
    hop = 1000 * FEATURES.hop_length / FEATURES.sample_rate
    for latency in MEASURED:
        assert 0 <= delay_of(latency) * hop + half_window - latency < 5
        assert delay_of(latency) in TOLD
        assert {delay_of(latency) + k for k in (-1, 0, 1, 2)} <= set(HEARD)


@pytest.mark.parametrize("wrong", [{"stride": 2}, {"heard": ()}, {"heard": (3, 1)}, {"told": (1.5,)}, {"channels": 0}])
def test_sizes_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"stride|delays|channels"):
        LiveConfig(**wrong)  # type: ignore[arg-type]
