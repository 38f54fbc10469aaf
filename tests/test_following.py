"""A task that reads what another hears: a toy that counts how many keys sound at once, from the notes' frames."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from tests.signals import RATE, white_noise
from transcribe import Transcriber, UsageError, registry, transcriber
from transcribe.engine.features import FeatureConfig, FrameGrid
from transcribe.engine.inference import follow, infer
from transcribe.engine.task import FollowingTask, Header, Heads, Model, Source
from transcribe.events import Tag
from transcribe.notes.decoder import Activations
from transcribe.notes.task import NotesModel

FEATURES = FeatureConfig()
BORDER = 16


@dataclass(frozen=True)
class Crowd:
    keys: np.ndarray
    grid: FrameGrid

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def seconds(self) -> float:
        return len(self) * 2 / self.grid.frames_per_second


class CrowdNetwork(nn.Module):
    """The sum over keys, averaged over the frames around every second one."""

    border = BORDER

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, rows: torch.Tensor) -> SimpleNamespace:
        around = nn.functional.avg_pool1d(rows.sum(-1)[:, None], 2 * BORDER + 1, 1, BORDER)[:, 0, ::2]
        return SimpleNamespace(activations=lambda: (self.weight * around,))


class CrowdDecoder:
    def __init__(self) -> None:
        self.keys: list[float] = []

    def push(self, block: Crowd) -> None:
        self.keys += block.keys.tolist()

    def fields(self, duration: float) -> dict[str, tuple[Tag, ...]]:
        return {"genres": (Tag(0.0, duration, f"{len(self.keys)} steps", 1.0),)}


@dataclass(frozen=True)
class CrowdConfig:
    pass


class CrowdTask:
    name = "crowd"
    by_default = False
    requires: tuple[str, ...] = ()
    decoding = CrowdConfig
    constants: tuple[str, ...] = ()
    precisions = ("float32",)
    settings_key = "crowd"
    sources: tuple[Source, ...] = (Source("notes"),)

    def features(self, header: Header) -> FeatureConfig:
        return FEATURES

    def network(self, header: Header) -> CrowdNetwork:
        return CrowdNetwork()

    def stride(self, network: CrowdNetwork) -> int:
        return 2

    def activations(self, heads: Heads, grid: FrameGrid, stride: int) -> Crowd:
        return Crowd(heads[0], grid)

    def decoder(self, model: Model[CrowdConfig, FeatureConfig]) -> CrowdDecoder:
        return CrowdDecoder()

    def follows(self, header: Header) -> tuple[Source, ...]:
        return self.sources

    def inputs(self, header: Header, *heard: Activations) -> np.ndarray:
        return heard[0].frame


CROWD = CrowdTask()
MODEL: Model[CrowdConfig, FeatureConfig] = Model(CROWD, "crowd-1", CrowdNetwork(), FEATURES, CrowdConfig())


@pytest.fixture
def notes(tiny_model: NotesModel, monkeypatch: pytest.MonkeyPatch) -> NotesModel:
    """Notes by a tiny network, wherever they are asked for; the toy is in the registry."""
    monkeypatch.setattr(transcriber, "load_model", lambda task, *_: MODEL if task is CROWD else tiny_model)
    monkeypatch.setattr(registry, "TASKS", (*registry.TASKS, CROWD))
    return tiny_model


def by_hand(frames: np.ndarray) -> np.ndarray:
    total = np.pad(frames.sum(1), BORDER)
    around: np.ndarray = np.lib.stride_tricks.sliding_window_view(total, 2 * BORDER + 1).mean(1)[::2]
    return around


def test_what_is_followed_is_seen_as_a_whole(tiny_model: NotesModel, rng: np.random.Generator) -> None:
    samples = white_noise(rng, 47.0)  # two windows and a half
    blocks = list(infer([samples], tiny_model))
    heard = np.concatenate([block.keys for block in follow([blocks], MODEL)])  # type: ignore[attr-defined]
    frames = np.concatenate([block.frame for block in blocks])  # type: ignore[attr-defined]
    np.testing.assert_allclose(heard, by_hand(frames), rtol=1e-5)
    assert list(follow([[]], MODEL)) == []


@pytest.mark.parametrize("tasks", [("crowd",), ("notes", "crowd"), ("crowd", "notes")])
def test_a_recording_is_gone_through_once_whoever_is_asked(
    tasks: tuple[str, ...], notes: NotesModel, rng: np.random.Generator
) -> None:
    samples = white_noise(rng, 47.0)
    passes = []

    def blocks() -> Iterator[np.ndarray]:
        passes.append(1)
        yield from np.split(samples, [RATE * 20, RATE * 30])

    one = Transcriber(tasks=tasks, model=notes if tasks[0] == "notes" else MODEL, device="cpu")
    result = one._hear_windows(blocks(), None, None, None)
    assert passes == [1]
    assert result.genres[0].label == f"{47 * 25} steps"
    assert set(result.models) - {"beats"} == set(tasks)
    assert (result.notes != ()) == ("notes" in tasks)
    first = next(iter(one.activations([samples])))
    assert isinstance(first, Crowd if tasks[0] == "crowd" else Activations)


def test_who_reads_the_spectrum_itself_follows_nobody(notes: NotesModel, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(CROWD, FollowingTask)
    monkeypatch.setattr(CROWD, "sources", ())
    one = Transcriber(tasks=("notes", "crowd"), model=notes, device="cpu")
    assert [model.name for model in one.window_models] == ["tiny", "crowd-1"]
    assert one.followers == []


def test_other_frames_cant_be_read(notes: NotesModel, monkeypatch: pytest.MonkeyPatch) -> None:
    other = replace(notes, features=replace(FEATURES, hop_length=160))
    monkeypatch.setattr(transcriber, "load_model", lambda task, *_: MODEL if task is CROWD else other)
    with pytest.raises(UsageError, match="other frames"):
        Transcriber(tasks=("crowd", "notes"), model=MODEL, device="cpu")
