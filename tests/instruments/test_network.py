from __future__ import annotations

import pytest
import torch

from transcribe.engine.features import FeatureConfig
from transcribe.instruments.network import STRIDE, InstrumentsConfig, InstrumentsNetwork

FEATURES, CPU = FeatureConfig(), torch.device("cpu")

SMALL = InstrumentsConfig((4, 4, 4, 8, 8), 16)


def test_the_border_covers_what_a_step_sees() -> None:
    torch.manual_seed(0)
    network = InstrumentsNetwork(FEATURES, SMALL).eval()
    features = torch.randn(1, 480, FEATURES.n_mels, requires_grad=True)
    network(features).families[0, 30].sum().backward()
    assert features.grad is not None
    reached = features.grad[0].abs().sum(1).nonzero().flatten()
    assert 240 - int(reached.min()) <= network.border
    assert int(reached.max()) - 247 <= network.border
    assert network.border % STRIDE == 0
    with pytest.raises(ValueError, match="multiple of the stride"):
        network(torch.zeros(1, 12, FEATURES.n_mels))


def test_folding_changes_nothing() -> None:
    torch.manual_seed(1)
    network = InstrumentsNetwork(FEATURES, SMALL)
    features = torch.randn(2, 64, FEATURES.n_mels)
    network(features)
    network.eval()
    with torch.inference_mode():
        before, after = network(features), network.fused()(features)
    torch.testing.assert_close(before.instruments, after.instruments, atol=1e-4, rtol=1e-4)
