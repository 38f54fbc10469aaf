"""A task in one file, as small as a task can be: how loud it is. What it takes beside this is a line in TASKS.

(A result of its own would be a field of Transcription; this one is told as tags, which are there.)
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import typer
from torch import nn

from tests.signals import RATE, sine
from transcribe import Transcriber, UsageError, registry
from transcribe.cli import listen
from transcribe.cli import main as cli
from transcribe.datasets import Dataset, Piece, recordings
from transcribe.engine.features import FeatureConfig, FrameGrid
from transcribe.engine.task import Header, Heads, Listener, Model, Option, Progress
from transcribe.engine.weights import header_of, log_mel_config, to_bytes
from transcribe.events import Tag, Transcription
from transcribe.formats.format import Format
from transcribe.report.tables import Table


@dataclass(frozen=True)
class Loudness:
    """Activations: how loud each frame is, 0-1."""

    loudness: np.ndarray
    grid: FrameGrid

    def __len__(self) -> int:
        return len(self.loudness)

    @property
    def seconds(self) -> float:
        return len(self) / self.grid.frames_per_second


@dataclass(frozen=True)
class LoudnessConfig:
    threshold: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise ValueError("threshold must lie between 0 and 1")


class LoudnessDecoder:
    """The share of frames that are loud."""

    def __init__(self, config: LoudnessConfig) -> None:
        self.config, self.n_loud, self.n_frames = config, 0, 0

    def push(self, block: Loudness) -> None:
        self.n_loud += int((block.loudness >= self.config.threshold).sum())
        self.n_frames += len(block)

    def fields(self, duration: float) -> dict[str, tuple[Tag, ...]]:
        share = self.n_loud / self.n_frames if self.n_frames else 0.0
        return {"genres": (Tag(0.0, duration, "loud" if share > 0.5 else "soft", max(share, 1 - share)),)}


@dataclass(frozen=True)
class NetworkConfig:
    width: int = 2


class LoudnessNetwork(nn.Module):
    """Two layers over a frame's bands; an untrained one says that what has power is loud."""

    border = 0

    def __init__(self, features: FeatureConfig, config: NetworkConfig) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(features.n_mels, config.width), nn.ReLU(), nn.Linear(config.width, 1))
        with torch.no_grad():
            for parameter, value in zip(self.layers.parameters(), (1 / features.n_mels, 2.0, 4.0, -5.0), strict=True):
                parameter.fill_(value)

    def fused(self) -> LoudnessNetwork:
        return self

    def forward(self, log_mel: torch.Tensor) -> LoudnessNetwork:
        self.logits = self.layers(log_mel)[..., 0]
        return self

    def activations(self) -> tuple[torch.Tensor, ...]:
        return (self.logits.sigmoid(),)


def to_text(transcription: Transcription) -> bytes:
    return f"{transcription.genres[0].label}\n".encode()


def load_folders(folder: Path, _: Path | None) -> list[Piece]:
    return [Piece(path.stem, path, path.parent, "", (path.parent.name,)) for path in recordings(folder)]


@dataclass(frozen=True)
class LoudnessReport:
    right: int
    n_pieces: int
    conventions: str = "every recording counts alike"
    warnings: tuple[str, ...] = ()

    @property
    def confusion(self) -> Mapping[str, Mapping[str, int]]:
        return {}

    def tables(self) -> Iterator[Table | str]:
        yield Table(("right", "recordings"), ((str(self.right), str(self.n_pieces)),))

    def to_dict(self) -> dict[str, object]:
        return {"right": self.right, "n_pieces": self.n_pieces}


class LoudnessTask:
    name = "loudness"
    help = "Tell whether it is loud."
    by_default = False
    requires: tuple[str, ...] = ()
    options = (Option("threshold", float, "Louder than so much is loud.", 0.0, 1.0),)
    formats = {"text": Format("text", (".loud",), lambda t, _: to_text(t))}  # noqa: RUF012
    datasets = {"loud": Dataset("loud", load_folders, "", "folders loud and soft")}  # noqa: RUF012
    evaluation_options: frozenset[str] = frozenset()
    decoding = LoudnessConfig
    constants: tuple[str, ...] = ()
    precisions = ("float32",)
    settings_key = "loudness"

    def features(self, header: Header) -> FeatureConfig:
        return log_mel_config(header)

    def network(self, header: Header) -> LoudnessNetwork:
        return LoudnessNetwork(self.features(header), NetworkConfig(**header["network"]))

    def stride(self, network: LoudnessNetwork) -> int:
        return 1

    def activations(self, heads: Heads, grid: FrameGrid, stride: int) -> Loudness:
        return Loudness(heads[0], grid)

    def decoder(self, model: Model[LoudnessConfig, FeatureConfig]) -> LoudnessDecoder:
        return LoudnessDecoder(model.decoding)

    def rows(self, result: Transcription) -> Iterator[tuple[str, str]]:
        if self.name in result.models:
            yield "loudness", result.genres[0].label

    def tables(self, title: str, result: Transcription) -> Iterator[Table | str]:
        yield Table((), tuple(self.rows(result)), title)

    def evaluate(
        self,
        dataset: str,
        pieces: Sequence[Piece],
        transcriber: Listener[Loudness],
        *,
        progress: Progress | None = None,
    ) -> LoudnessReport:
        found = [transcriber.transcribe_file(piece.audio).genres[0].label for piece in pieces]
        return LoudnessReport(sum(f == p.tags[0] for f, p in zip(found, pieces, strict=True)), len(pieces))


LOUDNESS = LoudnessTask()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two recordings and the weights; the task is in the registry."""
    features = FeatureConfig()
    header = header_of(LOUDNESS, NetworkConfig(), LoudnessConfig(), features)
    content = to_bytes(LoudnessNetwork(features, NetworkConfig()).state_dict(), header)
    (tmp_path / "mine.safetensors").write_bytes(content)
    for name, level in (("loud", 0.9), ("soft", 0.0001)):
        (tmp_path / "data" / name).mkdir(parents=True)
        noise = level * np.random.default_rng(0).uniform(-1, 1, 2 * RATE)
        soundfile.write(tmp_path / "data" / name / "a.wav", noise + level * sine(440.0, 2.0), RATE, subtype="FLOAT")
    monkeypatch.setattr(registry, "TASKS", (*registry.TASKS, LOUDNESS))
    return tmp_path


def test_it_is_heard_alone_and_beside_others(folder: Path) -> None:
    model = str(folder / "mine.safetensors")
    loud, soft = (folder / "data" / name / "a.wav" for name in ("loud", "soft"))
    alone = Transcriber(tasks=("loudness",), model=model, threshold=0.6)
    assert alone.transcribe_file(loud).genres == (Tag(0.0, 2.0, "loud", 1.0),)
    result = alone.transcribe_file(soft)
    assert result.genres[0].label == "soft"
    assert result.settings == {"loudness": {"threshold": 0.6}}
    assert result.models == {"loudness": "mine"}
    assert dict(registry.summary(result))["loudness"] == "soft"
    both = Transcriber(tasks=("loudness", "notes"), model=model).transcribe_file(loud)
    assert set(both.models) == {"loudness", "notes"}
    with pytest.raises(UsageError, match="threshold"):
        Transcriber(tasks=("loudness",), model=model, threshold=2.0)


def test_it_has_a_command_a_format_and_options(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    app = typer.Typer()
    app.command("loudness")(listen.command_of(LOUDNESS))
    words = [str(folder / "data" / "soft" / "a.wav"), "--model", str(folder / "mine.safetensors")]
    app([*words, "-o", str(folder / "a.loud"), "--threshold", "0.3"], standalone_mode=False)
    assert (folder / "a.loud").read_text() == "soft\n"
    assert "soft" in capsys.readouterr().out


def test_it_is_evaluated(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["eval", "--dataset", "loud", "--data", str(folder / "data"), "--model", str(folder / "mine.safetensors")]
    assert cli.main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"right": 2, "n_pieces": 2}
    assert cli.main([*words, "--sweep"]) == 2
