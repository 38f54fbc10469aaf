from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.signals import RATE, white_noise
from transcribe.engine.features import FeatureConfig, LogMel
from transcribe.engine.inference import follow, infer, infer_together
from transcribe.engine.onnx_backend import OnnxNetwork
from transcribe.engine.task import FollowingTask, NetworkTask
from transcribe.engine.torch_backend import TorchLogMel, run_in_torch, within_memory
from transcribe.engine.trunk import TrunkConfig
from transcribe.engine.weights import load_model, manifest, weights_folder
from transcribe.engine.windows import STEP_FRAMES
from transcribe.notes.network import NotesNetwork
from transcribe.notes.task import NOTES, NotesModel
from transcribe.registry import task_named

NAMES = ("onset", "frame", "offset", "velocity", "pedal")


def joined(activations: Iterable[object]) -> dict[str, np.ndarray]:
    blocks = list(activations)
    return {name: np.concatenate([getattr(block, name) for block in blocks]) for name in NAMES}


@given(edges=st.lists(st.integers(0, 25 * RATE), max_size=6))
@settings(max_examples=12)
def test_blocks_give_the_same_bytes(edges: list[int], tiny_model: NotesModel) -> None:
    samples = white_noise(np.random.default_rng(3), 25.0)
    whole = joined(infer([samples], tiny_model))
    cut = joined(infer(np.split(samples, sorted(edges)), tiny_model))
    for name in NAMES:
        np.testing.assert_array_equal(cut[name], whole[name])


def without_context(network: NotesNetwork) -> NotesNetwork:
    """A copy that hears no further than its trunk."""
    network = copy.deepcopy(network)
    for parameter in network.trunk.context.time[-1].parameters():
        parameter.data.zero_()
    return network


def test_windows_are_stitched_without_a_seam(tiny_model: NotesModel, rng: np.random.Generator) -> None:
    tiny_model = replace(tiny_model, network=without_context(tiny_model.network))
    samples = white_noise(rng, 2.5 * STEP_FRAMES * 0.02)
    stitched = joined(infer([samples], tiny_model))
    padded = np.concatenate([np.zeros(1024, np.float32), samples, np.zeros(1344, np.float32)])
    with torch.inference_mode():
        logits = tiny_model.network(torch.from_numpy(LogMel(tiny_model.features)(padded))[None])
    whole = logits.onset.sigmoid()[0, : len(stitched["onset"])].numpy()
    # At the ends of the recording a window sees silence where the single pass sees the network's padding.
    border = tiny_model.network.border
    np.testing.assert_allclose(stitched["onset"][border:-border], whole[border:-border], atol=1e-5)


@pytest.mark.parametrize(
    ("n_samples", "n_frames"), [(0, 0), (1, 1), (RATE, 50), (RATE * 10, 500), (RATE * 10 + 1, 501)]
)
def test_as_many_frames_as_the_grid_has(n_samples: int, n_frames: int, tiny_model: NotesModel) -> None:
    assert sum(len(block) for block in infer([np.zeros(n_samples, np.float32)], tiny_model)) == n_frames
    assert list(infer([], tiny_model)) == []


def test_activations_are_probabilities(tiny_model: NotesModel, rng: np.random.Generator) -> None:
    for samples in (white_noise(rng, 1.0, 100.0), np.ones(RATE, np.float32), np.full(RATE, 1e-30, np.float32)):
        for values in joined(infer([samples], tiny_model)).values():
            assert values.dtype == np.float32
            assert np.isfinite(values).all()
            assert values.min() >= 0
            assert values.max() <= 1


_WITHOUT_SOUND = ("beats", "score", "spelling", "live")


@pytest.mark.parametrize("name", [e.name for e in manifest().values() if e.graph and e.task not in _WITHOUT_SOUND])
def test_the_graphs_hear_what_torch_hears(name: str, rng: np.random.Generator) -> None:
    task, samples = task_named(manifest()[name].task), white_noise(rng, 25.0, 0.1)
    assert isinstance(task, NetworkTask)
    graph, torchs = (load_model(task, one) for one in (name, str(weights_folder() / f"{name}.safetensors")))
    assert isinstance(graph.network, OnnxNetwork)
    assert isinstance(torchs.network, torch.nn.Module)
    if isinstance(task, FollowingTask) and (sources := task.follows(graph.header)):
        heard = []
        for source in sources:
            followed = task_named(source.task)
            assert isinstance(followed, NetworkTask)
            heard.append(list(infer([samples], load_model(followed, source.model))))
        here, there = (follow(heard, model) for model in (graph, torchs))
    else:
        (here,), (there,) = (infer_together([samples], model) for model in (graph, torchs))
    is_rough = b"DequantizeLinear" in (weights_folder() / manifest()[name].graph).read_bytes()  # in int8
    for block, other in zip(here, there, strict=True):
        for field, values in vars(block).items():
            if isinstance(values, np.ndarray):
                np.testing.assert_allclose(values, getattr(other, field), atol=0.3 if is_rough else 1e-4)


def test_threads_give_the_same_bytes(rng: np.random.Generator) -> None:
    samples, model = white_noise(rng, 65.0, 0.1), load_model(NOTES, "small")
    found = []
    for threads in (1, 3):
        found.append(joined(infer([samples], model, threads)))
    for name in NAMES:
        np.testing.assert_array_equal(found[0][name], found[1][name])


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", bytes(100)])
def test_what_is_no_graph_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="no ONNX graph"):
        OnnxNetwork(content)


def test_shifted_audio_gives_shifted_activations(tiny_model: NotesModel, rng: np.random.Generator) -> None:
    samples, hops = white_noise(rng, 4.0), 16  # a multiple of every stride
    delayed = np.concatenate([np.zeros(hops * 320, np.float32), samples])
    plain, moved = (joined(infer([s], tiny_model))["onset"] for s in (samples, delayed))
    np.testing.assert_allclose(moved[hops + 60 : 190], plain[60 : 190 - hops], atol=1e-5)


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_border_covers_the_receptive_field_of_the_trunk(stride: int) -> None:
    torch.manual_seed(0)
    network = without_context(NotesNetwork(FeatureConfig(), TrunkConfig(4, 4, 2, (1, 2), stride)).eval())
    features = torch.randn(1, 120, 229, requires_grad=True)
    for frame in (60, 61):
        features.grad = None
        logits = network(features)
        (logits.onset[0, frame].sum() + logits.offset[0, frame].sum()).backward()
        assert features.grad is not None
        reached = features.grad[0].abs().sum(1).nonzero().flatten()
        assert frame - int(reached.min()) <= network.border
        assert int(reached.max()) - frame <= network.border
    assert network.border % stride == 0


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_frames_come_out_in_order_whatever_the_stride(stride: int) -> None:
    torch.manual_seed(0)
    network = NotesNetwork(FeatureConfig(), TrunkConfig(4, 4, 2, (1,), stride)).eval()
    with torch.no_grad():
        last = network.head[-1]
        assert isinstance(last, torch.nn.Conv2d)
        bias = last.bias
        assert bias is not None
        last.weight.zero_()
        bias.copy_(torch.arange(len(bias), dtype=torch.float32))
    onset = network(torch.zeros(1, 8, 229)).onset[0, :, 0].tolist()
    assert onset == [frame % stride for frame in range(8)]
    assert network(torch.zeros(1, 8, 229)).velocity[0, 0, 0] == 3 * stride
    if stride > 1:
        with pytest.raises(ValueError, match="multiple of the stride"):
            network(torch.zeros(1, 9, 229))


def test_folding_the_normalisation_changes_nothing(tiny_model: NotesModel) -> None:
    torch.manual_seed(1)
    network = without_context(NotesNetwork(FeatureConfig(), TrunkConfig(4, 4, 2, (1, 2))))
    features = torch.randn(2, 100, 229)
    network(features)  # gives the normalisation some statistics
    network.eval()
    inside = slice(network.border, -network.border)  # at the ends there are other zeros, which no window answers for
    with torch.inference_mode():
        before = network(features).onset[:, inside]
        after = network.fused()(features).onset[:, inside]
    assert before.shape[1] > 50
    torch.testing.assert_close(before, after, atol=1e-4, rtol=1e-4)
    with pytest.raises(ValueError, match="evaluation"):
        NotesNetwork(FeatureConfig(), TrunkConfig(4, 4, 2, (1,))).fused()


def test_half_the_precision_is_nearly_as_good(tiny_model: NotesModel, rng: np.random.Generator) -> None:
    samples = white_noise(rng, 3.0)
    halved = replace(tiny_model, network=copy.deepcopy(tiny_model.network).bfloat16())
    exact, rough = (joined(infer([samples], model)) for model in (tiny_model, halved))
    for name in NAMES:
        assert rough[name].dtype == np.float32
        np.testing.assert_allclose(rough[name], exact[name], atol=0.02)
        assert not np.array_equal(rough[name], exact[name])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_gpu_agrees_with_cpu(tiny_model: NotesModel, rng: np.random.Generator) -> None:
    samples = white_noise(rng, 25.0)
    there = replace(tiny_model, network=copy.deepcopy(tiny_model.network).cuda())
    cpu, gpu = joined(infer([samples], tiny_model)), joined(infer([samples], there))
    for name in NAMES:
        np.testing.assert_allclose(cpu[name], gpu[name], atol=1e-4)


def test_where_memory_does_not_do_halves_are_heard(tiny_model: NotesModel, monkeypatch: pytest.MonkeyPatch) -> None:
    def hear(batch: torch.Tensor) -> tuple[torch.Tensor, ...]:
        if len(batch) > 1:
            raise torch.OutOfMemoryError("too much")
        return (batch * 2,)

    batch = torch.arange(6.0).reshape(3, 2)
    with pytest.raises(torch.OutOfMemoryError):  # there is nothing beyond the CPU
        within_memory(hear, batch, tiny_model.network)

    class Gpu(torch.nn.Module):
        """Parameters that say they lie on a GPU, until they are moved."""

        device = "cuda"

        def parameters(self, recurse: bool = True) -> Iterator[Any]:
            yield SimpleNamespace(device=SimpleNamespace(type=self.device))

        def to(self, device: str) -> Gpu:  # type: ignore[override]
            self.device = device
            return self

    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    monkeypatch.setattr(torch.Tensor, "to", lambda self, *_, **__: self)
    (found,) = within_memory(hear, batch, Gpu())
    torch.testing.assert_close(found, batch * 2)

    def never(_: torch.Tensor) -> tuple[torch.Tensor, ...]:
        if gpu.device == "cuda":
            raise torch.OutOfMemoryError("too much")
        return (batch[:1],)

    gpu = Gpu()
    with pytest.warns(UserWarning, match="out of memory"):
        within_memory(never, batch[:1], gpu)


def test_torch_has_the_same_spectrum(rng: np.random.Generator) -> None:
    samples, features = white_noise(rng, 2.0, 0.3), FeatureConfig()
    there = TorchLogMel(features)(torch.from_numpy(samples)).numpy()
    np.testing.assert_allclose(there, LogMel(features)(samples), atol=1e-4)


def test_torch_listens_through_cudnn_but_without_tf32() -> None:
    seen = []

    class Listener(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(()))

        def forward(self, log_mel: torch.Tensor) -> Listener:
            seen.append((torch.backends.cudnn.enabled, torch.backends.cudnn.allow_tf32))
            self.heard = log_mel
            return self

        def activations(self) -> tuple[torch.Tensor, ...]:
            return (self.heard,)

    ((heads, n_frames),) = run_in_torch([(np.ones((8, 3), np.float32), 8)], Listener(), 1)
    assert heads[0].shape == (8, 3)
    assert n_frames == 8
    assert seen == [(True, False)]
