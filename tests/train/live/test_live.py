from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from train.cache import Prepared
from train.live.begin import begin
from train.live.graph import step_graph
from train.live.task import losses
from train.live.taught import N_SAID, TaughtExcerpts
from transcribe.engine.features import FeatureConfig
from transcribe.engine.trunk import TrunkConfig
from transcribe.live.model import LiveListener, LiveModel
from transcribe.live.network import LiveConfig, LiveNetwork
from transcribe.live.tracker import TrackerConfig
from transcribe.notes.network import NotesNetwork

FEATURES = FeatureConfig()
SMALL = LiveConfig(4, 4, 2, (1,), heard=(-1, 0, 1, 2), told=(0, 2))


def test_it_begins_with_what_is_heard_before_any_look_along_time() -> None:
    torch.manual_seed(0)
    notes = NotesNetwork(FEATURES, TrunkConfig(4, 4, 2, (1,), stride=4)).eval()
    live = begin(notes, FEATURES, SMALL).eval()
    old, new = notes.state_dict(), live.state_dict()
    assert torch.equal(old["trunk.stem.0.weight"], new["stem.0.weight"])
    # Five taps that looked around: the four that look no further ahead than a step are now the last ones.
    assert torch.equal(old["trunk.blocks.0.time.weight"][:, :, :4], new["blocks.0.time.weight"][:, :, 1:])
    assert not new["blocks.0.time.weight"][:, :, 0].any()
    # Of three taps of the last convolution the two that don't look ahead; four frames a step, the last for delays 0-6.
    kept = old["head.2.weight"].view(4, 4, 4, 3, 1)[:, 3, :, :2]
    assert torch.equal(kept[0], new["head.2.weight"][0])
    assert torch.equal(kept[0], new["head.2.weight"][3])
    assert torch.equal(kept[1], new["head.2.weight"][4])
    assert torch.equal(kept[3], new["head.2.weight"][9])
    with pytest.raises(ValueError, match="can't begin with"):
        begin(notes, FEATURES, LiveConfig(8, 4, 2, (1,)))


def test_losses_count_what_lies_within_the_excerpt_alone() -> None:
    torch.manual_seed(0)
    network = LiveNetwork(FEATURES, SMALL)
    log_mel, target = torch.randn(2, 16, FEATURES.n_mels), torch.zeros(2, 6, 16, 88)
    target[:, 5] = -1  # nobody knows the pedal
    heads = network(log_mel)
    heads.onset.retain_grad()
    heads.pedal.retain_grad()
    network.forward = lambda _: heads  # type: ignore[method-assign, assignment]
    found = losses(network, (log_mel, target))
    assert set(found) == {"onset", "frame", "offset", "velocity", "pedal"}
    assert found["pedal"] == found["velocity"] == 0
    sum(found.values(), torch.zeros(())).backward()  # type: ignore[no-untyped-call]
    weight = heads.onset.grad
    assert weight is not None
    # The last step hears frame 15: its head for a frame later has nothing to learn from.
    assert weight[:, 3, 0].abs().max() == 0
    assert (weight[:, 3, 1:] != 0).all()
    assert (weight[:, 0] != 0).all()


def test_a_teacher_is_mixed_into_the_targets(tmp_path: Path) -> None:
    features = tmp_path / "piece.npy"
    np.save(features, np.zeros((40, FEATURES.n_mels), np.float16))
    labels = {"notes": np.array([[0.2, 0.6, 60, 100]])}
    said = np.zeros((40, N_SAID), np.uint8)
    said[:, 39] = 255  # an onset of middle C, all the time
    said[:, -1] = 51
    np.save(tmp_path / "said.npy", said)
    pieces = [Prepared(features, 40, labels)]
    excerpts = TaughtExcerpts(pieces, FEATURES, 1, 48, 0, torch.device("cpu"), said=[tmp_path / "said.npy"], share=0.5)
    _, target = excerpts.read([(0, 0)])
    onset = target[0, 0, :, 39]
    assert onset[10] == 1.0  # both say so
    assert onset[0] == 0.5
    assert onset[45] == 0.0  # beyond the end
    assert target[0, 1, 20, 39] == 0.5  # the label alone
    assert target[0, 5, 5, 0] == pytest.approx(0.2)  # no label says anything of the pedal


@pytest.mark.slow
def test_the_graph_hears_what_the_network_hears() -> None:
    torch.manual_seed(0)
    network = LiveNetwork(FEATURES, SMALL).eval()
    model = LiveModel(step_graph(network, FEATURES, {"60": TrackerConfig(onset_threshold=0.3)}), "small")
    assert model.decoding == {60: TrackerConfig(onset_threshold=0.3)}
    log_mel = np.random.default_rng(0).standard_normal((30, FEATURES.n_mels)).astype(np.float32)
    listener = LiveListener(model)
    found = np.stack([listener(row).onset for row in log_mel])
    with torch.no_grad():
        expected = network.every_frame(torch.from_numpy(log_mel)[None]).activations()[0][0].numpy()
    np.testing.assert_allclose(found, expected, atol=2e-3)  # half precision
