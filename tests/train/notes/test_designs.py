from __future__ import annotations

import pytest
import torch

from train.notes import designs
from transcribe.engine.features import FeatureConfig
from transcribe.engine.trunk import TrunkConfig
from transcribe.notes.network import NotesNetwork

FEATURES = FeatureConfig()


@pytest.mark.parametrize("name", designs.DESIGNS)
def test_every_design_has_all_heads(name: str) -> None:
    network = designs.DESIGNS[name](FEATURES).eval()
    with torch.inference_mode():
        logits = network(torch.randn(2, 24, FEATURES.n_mels))
    for head in (logits.onset, logits.frame, logits.offset, logits.velocity):
        assert head.shape == (2, 24, 88)
    assert logits.pedal.shape == (2, 24)


def test_a_slice_sees_its_window_and_no_more() -> None:
    network = designs.SliceNetwork(FEATURES, before=4, after=3, channels=2).eval()
    log_mel = torch.randn(1, 40, FEATURES.n_mels, requires_grad=True)
    network(log_mel).onset[0, 20].sum().backward()
    assert log_mel.grad is not None
    reached = log_mel.grad[0].abs().sum(1).nonzero().flatten()
    assert (int(reached.min()), int(reached.max())) == (16, 23)


@pytest.mark.parametrize("name", designs.CONTEXTS)
def test_a_glimpse_sees_its_side_and_no_more(name: str) -> None:
    frames, place = name.split()
    network = designs.CONTEXTS[name](FEATURES).eval()
    log_mel = torch.randn(1, 160, FEATURES.n_mels, requires_grad=True)
    network(log_mel).onset[0, 80].sum().backward()
    assert log_mel.grad is not None
    reached = log_mel.grad[0].abs().sum(1).nonzero().flatten() - 80
    first, last = int(reached.min()), int(reached.max())
    assert last - first == pytest.approx(int(frames), abs=6)
    assert {"before": last <= 0, "around": abs(first + last) <= 1, "after": first >= -1}[place]


def test_multiply_adds_counted_by_hand() -> None:
    network = torch.nn.Conv1d(FEATURES.n_mels, 10, 1)

    class Plain(torch.nn.Module):
        def forward(self, log_mel: torch.Tensor) -> torch.Tensor:
            return torch.as_tensor(network(log_mel.transpose(1, 2)))

    assert designs.multiply_adds(Plain(), FEATURES) == pytest.approx(50 * FEATURES.n_mels * 10 / 1e6)
    small, large = (NotesNetwork(FEATURES, TrunkConfig(c, 4, 2, (1,))).eval() for c in (4, 8))
    assert designs.multiply_adds(small, FEATURES) < designs.multiply_adds(large, FEATURES)


def test_slices_are_thinned_out_in_training_only() -> None:
    network = designs.SliceNetwork(FEATURES, before=4, after=3, channels=2)
    batch = torch.zeros(1, 40, FEATURES.n_mels), torch.zeros(1, 6, 40, 88)
    assert network(batch[0]).onset.shape == (1, 3, 88)
    assert all(torch.isfinite(loss) for loss in designs.losses_where_it_answers(network, batch).values())
    assert network.eval()(batch[0]).onset.shape == (1, 40, 88)
