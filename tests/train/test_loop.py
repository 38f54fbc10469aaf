"""What a training loop promises: warm averages, runs that go on, what is frozen, what it says, how it is stopped."""

from __future__ import annotations

import argparse
import dataclasses
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, distributed, nn

from train import fit, loop, progress
from transcribe.errors import UsageError

BATCH = torch.linspace(-1, 1, 8).reshape(4, 2)


@dataclasses.dataclass(frozen=True)
class TinyConfig:
    width: int = 3


class Tiny(nn.Module):
    """Two layers with a normalisation between them."""

    def __init__(self, config: TinyConfig = TinyConfig()) -> None:
        super().__init__()
        self.config = config
        self.norm = nn.BatchNorm1d(config.width)
        self.below = nn.Sequential(nn.Linear(2, config.width), self.norm)
        self.above = nn.Linear(config.width, 1)

    def forward(self, values: Tensor) -> Tensor:
        return self.above(self.below(values))  # type: ignore[no-any-return]


def tiny(width: int = 3) -> Tiny:
    torch.manual_seed(0)
    return Tiny(TinyConfig(width))


def batches(step: int, rank: int) -> tuple[Tensor, ...]:
    return (BATCH + step / 100,)


def losses(network: nn.Module, batch: tuple[Tensor, ...]) -> dict[str, Tensor]:
    return {"square": (network(batch[0]) - 1).square().mean()}


def test_the_average_is_warm_after_a_short_run() -> None:
    # By hand: what the weights were at first, 0, hardly counts in the mean after 500 steps of a weight of 1.
    start, learned = tiny(), tiny()
    with torch.no_grad():
        for own, new in zip(start.parameters(), learned.parameters(), strict=True):
            own.zero_()
            new.fill_(1.0)
    averaged = loop.MovingAverage(start, 0.999)
    for step in range(500):
        averaged.update(learned, step)
    for parameter in averaged.module.parameters():
        assert float(parameter.detach().min()) > 0.999
    assert 0.999**500 > 0.6  # what it would have been
    # It still averages: of the first ten steps about two ninths of the last one's change.
    assert loop.decay(0, 0.999) == pytest.approx(0.1)
    assert loop.decay(8, 0.999) == pytest.approx(0.5)
    assert loop.decay(100_000, 0.999) == 0.999


def test_an_average_takes_over_statistics_and_counters() -> None:
    network = tiny()
    averaged: Any = loop.MovingAverage(network, 0.5)
    network(BATCH)
    averaged.update(network, 0)
    own, new = averaged.module.norm, network.norm
    assert own.num_batches_tracked == new.num_batches_tracked == 1
    assert own.running_var is not None
    assert new.running_var is not None
    torch.testing.assert_close(own.running_var, 0.1 * torch.ones(3) + 0.9 * new.running_var)


class TinyTask:
    """The least that a task can bring to its training."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options

    def prepare(self) -> None:
        pass

    def network(self) -> Tiny:
        return tiny(self.options.width)

    def batches(self, network: Tiny, device: torch.device) -> loop.Batches:
        return batches

    def losses(self, device: torch.device) -> loop.Losses:
        return losses

    def validation(self, device: torch.device) -> loop.Validate | None:
        return None

    def build(self, config: dict[str, Any]) -> Tiny:
        return Tiny(TinyConfig(**config))

    def finish(self, network: Tiny, device: torch.device, command: str) -> None:
        pass


def run(folder: Path, *words: str) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--width", type=int, default=3)
    fit.add_options(parser, loop.LoopConfig(steps=3, warmup=1), batch=4, seconds=None)
    options = parser.parse_args(["--run", str(folder), "--device", "cpu", *words])
    fit.fit(TinyTask(options), options)


@pytest.mark.parametrize(
    ("other", "what"),
    [
        (("--steps", "4"), "steps 3, not 4"),
        (("--optimizer", "muon"), "optimizer adamw, not muon"),
        (("--batch", "5"), "batch 4, not 5"),
        (("--width", "4"), "width 3, not 4"),
    ],
)
def test_a_run_with_other_settings_is_refused_before_anything_is_written(
    tmp_path: Path, other: tuple[str, str], what: str
) -> None:
    run(tmp_path)
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    torch.save({**state, "step": 1}, tmp_path / "checkpoint.pt")  # as if it had been stopped
    (tmp_path / "config.json").write_text('{"width":   3}')  # its bytes stay
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in tmp_path.iterdir()}
    with pytest.raises(UsageError, match=what):
        run(tmp_path, *other)
    assert {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in tmp_path.iterdir()} == before
    run(tmp_path)
    assert (tmp_path / "config.json").read_text() == '{"width":   3}'
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["step"] == 3


@pytest.mark.parametrize(("seconds", "rate", "frames"), [(5.12, 50, 256), (5.0, 50, 248), (5.12, 100, 512), (0, 50, 8)])
def test_excerpts_are_as_long_as_seconds_say_whatever_the_hop(seconds: float, rate: float, frames: int) -> None:
    parser = argparse.ArgumentParser()
    fit.add_options(parser, loop.LoopConfig(), batch=4, seconds=9.0)
    options = parser.parse_args(["--run", "here", "--seconds", str(seconds)])
    assert fit.n_frames(options, rate) == frames


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_a_run_with_a_checkpoint(
    tmp_path: Path, number: signal.Signals, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    config = loop.LoopConfig(steps=30, warmup=2)
    straight = loop.train(tiny(), batches, losses, config, tmp_path / "a").state_dict()
    handlers = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)]

    def stopped(network: nn.Module, batch: tuple[Tensor, ...]) -> dict[str, Tensor]:
        if float(batch[0][0, 0]) == pytest.approx(-0.9):  # step 10
            os.kill(os.getpid(), number)
        return losses(network, batch)

    with pytest.raises(SystemExit) as ended:
        loop.train(tiny(), batches, stopped, config, tmp_path / "b")
    assert ended.value.code == code
    assert torch.load(tmp_path / "b" / "checkpoint.pt", weights_only=True)["step"] == 11
    assert "stopped after step 11" in capsys.readouterr().err
    assert [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)] == handlers
    resumed = loop.train(tiny(), batches, losses, config, tmp_path / "b").state_dict()
    for name in straight:
        assert torch.equal(straight[name], resumed[name]), name


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_a_signal_during_validation_ends_it_at_once_with_a_checkpoint(tmp_path: Path) -> None:
    def validate(_: nn.Module) -> dict[str, float]:
        os.kill(os.getpid(), signal.SIGTERM)
        raise AssertionError("it went on")

    config = loop.LoopConfig(steps=9, warmup=2, validate_every=4)
    with pytest.raises(SystemExit) as ended:
        loop.train(tiny(), batches, losses, config, tmp_path, validate)
    assert ended.value.code == 143
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["step"] == 4


@pytest.fixture(params=["alone", "torchrun"])
def group(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[None]:
    """Train alone, and as one of a group of processes."""
    if request.param == "alone":
        yield
        return
    place = (tmp_path / "meeting").as_uri()
    distributed.init_process_group("gloo", init_method=place, rank=0, world_size=1)
    try:
        yield
    finally:
        distributed.destroy_process_group()


@pytest.mark.skipif(sys.platform == "win32", reason="gloo over TCP on one machine")
@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
@pytest.mark.usefixtures("group")
def test_what_is_frozen_keeps_weights_and_statistics_until_it_is_freed(optimizer: str) -> None:
    network = tiny(12)
    before = {name: value.clone() for name, value in network.state_dict().items()}

    def frozen(step: int) -> list[nn.Module | nn.Parameter]:
        return [network.below, network.above.bias] if step < 5 else []

    config = loop.LoopConfig(steps=5, warmup=1, optimizer=optimizer)
    trained = loop.train(network, batches, losses, config, None, frozen=frozen)
    for state in (network.state_dict(), trained.state_dict()):
        for name, value in state.items():
            same = torch.equal(value, before[name])
            assert same == (name != "above.weight"), name
    freed: Any = tiny(12)
    config = dataclasses.replace(config, steps=6)
    loop.train(freed, batches, losses, config, None, frozen=lambda step: [freed.below] if step < 5 else [])
    assert not torch.equal(freed.norm.running_mean, before["norm.running_mean"])
    assert int(freed.norm.num_batches_tracked) == 1
    assert not torch.equal(freed.below[0].weight, before["below.0.weight"])


def test_lines_say_how_far_it_is_where_there_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "_PAUSE", 0.0)
    monkeypatch.setattr(loop, "_LOOK_EVERY", 1)
    loop.train(tiny(), batches, losses, loop.LoopConfig(steps=2, warmup=1), None)
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("step 1 of 2, 0 min left, ")
    assert second.startswith("step 2 of 2, 0 min left, ")
    monkeypatch.setattr(progress, "_PAUSE", 60.0)
    assert list(progress.Progress("abc", "letters", 3)) == ["a", "b", "c"]
    assert capsys.readouterr().err == ""


def test_a_step_looks_at_no_result(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look at a tensor would make the host wait for a GPU."""
    looks: list[str] = []
    for name in ("__bool__", "__float__", "__int__", "tolist", "numpy", "cpu"):
        original = getattr(Tensor, name)

        def look(self: Tensor, *args: object, _name: str = name, _original: Any = original) -> object:
            looks.append(_name)
            return _original(self, *args)

        monkeypatch.setattr(Tensor, name, look)
    config = loop.LoopConfig(steps=19, warmup=1, optimizer="muon")
    loop.train(tiny(12), batches, losses, config, None)
    assert looks == ["__bool__"]  # at the end, whether the loss is a number
