"""The network of any instruments: shapes, what it sees, and that folding it changes nothing."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from transcribe.engine.features import FeatureConfig
from transcribe.engine.task import Model
from transcribe.engine.weights import header_of, parse_model, to_bytes
from transcribe.notes.ensemble import EnsembleActivations, EnsembleDecodingConfig
from transcribe.notes.ensemble_network import FAMILY_HEADS, EnsembleConfig, EnsembleNetwork
from transcribe.notes.task import NOTES
from transcribe.transcriber import Transcriber

FEATURES = FeatureConfig()


def small(family: str) -> EnsembleNetwork:
    torch.manual_seed(0)
    network = EnsembleNetwork(FEATURES, EnsembleConfig(8, 4, 4, (1, 2), 2, family, 8, 8))
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.uniform_(module.bias, -0.5, 0.5)
            assert module.running_mean is not None
            torch.nn.init.uniform_(module.running_mean, -0.5, 0.5)
    return network.eval()


def without_contexts(network: EnsembleNetwork) -> EnsembleNetwork:
    """What is pooled over pitch reaches past the border and meets zeros there, as it did in training."""
    network.trunk.context = torch.nn.Identity()  # type: ignore[assignment]
    return network


@pytest.mark.parametrize("family", FAMILY_HEADS)
def test_every_frame_has_activations(family: str) -> None:
    with torch.inference_mode():
        heads = small(family)(torch.randn(2, 24, FEATURES.n_mels)).activations()
    shapes = [(2, 24, 88)] * 4 + [(2, 24), (2, 24, 88, 12), (2, 24, 5), (2, 24, 5)]
    assert [tuple(head.shape) for head in heads] == shapes
    assert all(((head >= 0) & (head <= 1)).all() for head in heads)
    torch.testing.assert_close(heads[5].sum(-1), torch.ones(2, 24, 88))
    # A step answers for its two frames alike.
    torch.testing.assert_close(heads[5][:, 0::2], heads[5][:, 1::2])


@pytest.mark.parametrize("family", ["softmax", "staged"])  # clusters are a whole window's, with its ends
def test_folded_it_says_the_same(family: str) -> None:
    network, log_mel = without_contexts(small(family)), torch.randn(1, 400, FEATURES.n_mels)
    inside = slice(network.border, -network.border)  # at the ends there are other zeros, which no window answers for
    with torch.inference_mode():
        before = [head[:, inside] for head in network(log_mel).activations()]
        after = [head[:, inside] for head in copy.deepcopy(network).fused()(log_mel).activations()]
    for place in (0, 1, 2, 3, 5, 6, 7):  # all but the pedal
        torch.testing.assert_close(before[place], after[place], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("family", ["softmax", "staged"])
def test_no_family_and_no_drum_sees_past_the_border(family: str) -> None:
    network = without_contexts(small(family))
    centre = network.border + 10
    log_mel = torch.randn(1, 2 * centre, FEATURES.n_mels, requires_grad=True)
    logits = network(log_mel)
    (logits.family[0, centre // 2].sum() + logits.drum[0, centre].sum()).backward()
    assert log_mel.grad is not None
    reached = log_mel.grad[0].abs().sum(1).nonzero().flatten() - centre
    assert reached.abs().max() <= network.border


def test_alike_sounds_in_a_window_share_what_they_are() -> None:
    network = small("clustered")
    log_mel = torch.randn(1, 400, FEATURES.n_mels)
    with torch.inference_mode():
        before = network(log_mel).family[0, 190]
        log_mel[:, :40] += 1  # far beyond what a key's own embedding sees
        after = network(log_mel).family[0, 190]
    assert not torch.equal(before, after)


@pytest.mark.parametrize(
    ("wrong", "said"), [({"family": "oracle"}, "family must be one of"), ({"drum_channels": 0}, "between 1 and 1024")]
)
def test_sizes_that_make_no_sense(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        EnsembleConfig(**wrong)  # type: ignore[arg-type]


def test_weights_say_that_they_are_of_any_instruments() -> None:
    network = small("staged")
    header = header_of(NOTES, network.config, EnsembleDecodingConfig(), FEATURES)
    model: Model[EnsembleDecodingConfig, FeatureConfig] = parse_model(
        NOTES, to_bytes(network.state_dict(), header), "any-0"
    )
    assert isinstance(model.network, EnsembleNetwork)
    transcriber = Transcriber(tasks=("notes",), model=model)
    blocks = list(transcriber.activations([np.zeros(16000, np.float32)]))
    assert all(isinstance(block, EnsembleActivations) for block in blocks)
    assert sum(len(block) for block in blocks) == 50
