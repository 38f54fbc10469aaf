"""The training loop that all tasks share: steps, averages, checkpoints, resume, several GPUs.

A step is a pure function of the seed, its number and the rank: whoever stops and resumes gets, on the CPU, the same
weights to the bit.
"""

from __future__ import annotations

import copy
import json
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed, nn

from train.muon import MuonAndAdamW
from train.progress import Progress
from transcribe.engine.features import FeatureConfig
from transcribe.engine.weights import build
from transcribe.errors import UsageError

# (step, rank) -> the batch, on the device
Batches = Callable[[int, int], tuple[Tensor, ...]]
# (network, batch) -> the losses by name; their sum is minimised
Losses = Callable[[nn.Module, tuple[Tensor, ...]], dict[str, Tensor]]
N = TypeVar("N", bound=nn.Module)
# averaged network -> figures to log
Validate = Callable[[nn.Module], dict[str, float]]
# step -> what of the network isn't trained in it: modules, and parameters of others
Frozen = Callable[[int], Sequence[nn.Module | nn.Parameter]]
# The file of a run that says what its network reads, where that can be chosen.
FEATURES = "features.json"
# Steps between two looks at what a GPU has computed: each look makes it wait.
_LOOK_EVERY = 20


@dataclass(frozen=True)
class LoopConfig:
    """How long and how fast to train.

    ``average`` is the decay of the moving average of the weights, once it is warm; ``precision`` is ``float32`` or
    ``bfloat16`` (autocast: time a step in both first, processors differ); ``compile`` fuses operations: a minute of
    work first; ``optimizer`` is ``adamw`` or ``muon`` (:mod:`train.muon`); between two checkpoints lie
    ``checkpoint_minutes``.
    """

    steps: int = 8400
    learning_rate: float = 2e-3
    warmup: int = 300
    weight_decay: float = 0.01
    average: float = 0.999
    clip_norm: float = 3.0
    precision: str = "float32"
    compile: bool = False
    optimizer: str = "adamw"
    validate_every: int = 1000
    checkpoint_minutes: float = 5.0


# What may change when a run goes on; all else would make it another run.
_FREE = ("precision", "compile", "validate_every", "checkpoint_minutes")


def _fixed(config: LoopConfig) -> dict[str, Any]:
    return {name: value for name, value in asdict(config).items() if name not in _FREE}


def check_begun(folder: Path, config: LoopConfig) -> None:
    """See that a run that was begun may go on with these settings; nothing is written.

    Raises
    ------
    UsageError
        If it was begun with another optimizer, another number of steps or other settings of them.
    """
    checkpoint = folder / "checkpoint.pt"
    if checkpoint.exists():
        begun = torch.load(checkpoint, map_location="cpu", weights_only=True, mmap=True)["config"]
        check_same(folder, begun, _fixed(config))


def check_same(folder: Path, begun: dict[str, Any], now: dict[str, Any]) -> None:
    """See that a run goes on with the settings it was begun with.

    Raises
    ------
    UsageError
        If it doesn't.
    """
    for name, value in begun.items():
        if name in now and value != now[name]:
            raise UsageError(
                f"{folder} was begun with {name} {value}, not {now[name]}: go on with that, or in another folder"
            )


def decay(step: int, average: float) -> float:
    """How much of the moving average stays in a step: little at first, when it knows nothing, ``average`` later."""
    return min(average, (1 + step) / (10 + step))


class MovingAverage(nn.Module):
    """The network whose weights and statistics are moving averages of another's.

    Nothing of it makes the host wait for a GPU.
    """

    n_averaged: Tensor

    def __init__(self, network: nn.Module, average: float) -> None:
        super().__init__()
        self.module = copy.deepcopy(network)
        self._average = average
        self.register_buffer("n_averaged", torch.zeros((), dtype=torch.long))

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Take in what the network has become after ``step``, which is counted from 0."""
        pairs = [
            *zip(self.module.parameters(), network.parameters(), strict=True),
            *zip(self.module.buffers(), network.buffers(), strict=True),
        ]
        floating = [(own, new) for own, new in pairs if own.is_floating_point()]
        if floating:
            own, new = (list(tensors) for tensors in zip(*floating, strict=True))
            torch._foreach_lerp_(own, new, 1 - decay(step, self._average))
        for counter, count in pairs:
            if not counter.is_floating_point():
                counter.copy_(count)
        self.n_averaged += 1


class Interruption:
    """SIGINT and SIGTERM while a network learns: remembered, so that the step ends and is kept; a second ends at once.

    Where nothing is half done, between ``resting`` and the next step, the first does too.
    """

    def __init__(self) -> None:
        self.code = 0  # the exit code of the signal that came
        self.resting = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _: FrameType | None) -> None:
        again, self.code = self.code, 128 + number
        if again or self.resting:
            raise SystemExit(self.code)

    def agreed(self, step: int, device: torch.device) -> int:
        """Give the exit code if all processes are to end after a step; they ask each other now and then only."""
        if not distributed.is_initialized():
            return self.code
        if (step + 1) % _LOOK_EVERY:
            return 0
        code = torch.tensor(self.code, device=device)
        distributed.all_reduce(code, distributed.ReduceOp.MAX)
        return int(code)


def learning_rate(step: int, config: LoopConfig) -> float:
    """Linear warm-up, then half a cosine down to 1 % of the peak."""
    if step < config.warmup:
        return config.learning_rate * (step + 1) / config.warmup
    progress = (step - config.warmup) / max(1, config.steps - config.warmup)
    return config.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, progress))))


def start_process_group(device: torch.device) -> tuple[int, torch.device]:
    """Join the group that ``torchrun`` announces, if there is one.

    Returns
    -------
    tuple
        The rank, 0 when alone, and the device of this process: a GPU of its own where there are GPUs.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return 0, device
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    if distributed.is_initialized():
        return distributed.get_rank(), device
    # The others wait while rank 0 prepares features and validates.
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=timedelta(hours=12))
    return distributed.get_rank(), device


def wait_for_all() -> None:
    """Wait until all processes of the group are here; at once when alone."""
    if distributed.is_initialized():
        distributed.barrier()


def train(
    network: nn.Module,
    batches: Batches,
    losses: Losses,
    config: LoopConfig,
    folder: Path | None,
    validate: Validate | None = None,
    device: torch.device | None = None,
    frozen: Frozen | None = None,
) -> nn.Module:
    """Train until ``config.steps`` and return the averaged network.

    ``folder/checkpoint.pt`` is written every few minutes, at the end and when SIGINT or SIGTERM ends it, and resumed
    from when it is there. TensorBoard files go to ``folder``. Without a folder nothing is written. What is ``frozen``
    in a step keeps its parameters and the statistics of its normalisations.

    Raises
    ------
    FloatingPointError
        If the loss is no number any more.
    UsageError
        If the checkpoint was begun with another optimizer, another number of steps or other settings of them.
    SystemExit
        With 130 or 143, when a signal ends it.
    """
    device = device or torch.device("cpu")
    rank = distributed.get_rank() if distributed.is_initialized() else 0
    if folder is not None:
        check_begun(folder, config)
    network.to(device)
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = True  # the same shapes in every step: the quickest kernels for them
    averaged = MovingAverage(network, config.average)
    optimizer: MuonAndAdamW | torch.optim.AdamW
    if config.optimizer == "muon":
        optimizer = MuonAndAdamW(network, config.learning_rate, config.weight_decay)
    else:
        optimizer = torch.optim.AdamW(network.parameters(), config.learning_rate, weight_decay=config.weight_decay)
    parallel = network
    if distributed.is_initialized():
        ids = [device.index] if device.type == "cuda" else None
        parallel = nn.parallel.DistributedDataParallel(network, device_ids=ids)
    if config.compile:
        parallel = torch.compile(parallel)  # type: ignore[assignment]
    checkpoint = folder / "checkpoint.pt" if folder else None
    first = 0
    if checkpoint is not None and checkpoint.exists():
        state = torch.load(checkpoint, map_location=device, weights_only=True)
        network.load_state_dict(state["network"])
        averaged.load_state_dict(state["averaged"])
        optimizer.load_state_dict(state["optimizer"])
        first = state["step"]

    def save(step: int) -> None:
        if rank or checkpoint is None:
            return
        part = checkpoint.with_suffix(".part")
        torch.save(
            {
                "network": network.state_dict(),
                "averaged": averaged.state_dict(),
                "optimizer": optimizer.state_dict(),
                "step": step,
                "config": _fixed(config),
            },
            part,
        )
        part.replace(checkpoint)

    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    log = _Log(folder) if folder is not None and rank == 0 else None
    autocast = torch.autocast(device.type, torch.bfloat16) if config.precision == "bfloat16" else nullcontext()
    saved = time.monotonic()
    bar = Progress(range(first, config.steps), "step", config.steps, first, rank == 0)
    # The next batch is made while the network learns from this one.
    ahead = ThreadPoolExecutor(1)
    coming = ahead.submit(batches, first, rank)
    try:
        with Interruption() as interruption:
            for step in bar:
                batch = coming.result()
                if step + 1 < config.steps:
                    coming = ahead.submit(batches, step + 1, rank)
                for group in optimizer.param_groups:
                    group["lr"] = learning_rate(step, config) * group.get("ratio", 1.0)
                network.train()
                resting = frozen(step) if frozen is not None else ()
                for part in resting:
                    if isinstance(part, nn.Module):
                        part.eval()  # its normalisations stay as they were
                with autocast:
                    parts = losses(parallel, batch)
                loss = torch.stack(list(parts.values())).sum()
                network.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]
                for part in resting:
                    # Computed all the same: processes that learn together wait for every gradient.
                    for parameter in part.parameters() if isinstance(part, nn.Module) else (part,):
                        parameter.grad = None
                norm = nn.utils.clip_grad_norm_(network.parameters(), config.clip_norm)
                optimizer.step()
                averaged.update(network, step)
                due = time.monotonic() - saved > 60 * config.checkpoint_minutes
                ended_by = interruption.agreed(step, device)
                look = (step + 1) % _LOOK_EVERY == 0
                # The norm of the gradients is no number where the loss is none, and sometimes before.
                if (look or due or ended_by or step + 1 == config.steps) and not torch.isfinite(norm):
                    raise FloatingPointError(
                        f"the loss is no number after step {step + 1}; the last checkpoint stays: go on in float32, "
                        "or slower"
                    )
                if log is not None and look:
                    log.write(step + 1, {f"loss/{name}": float(value.detach()) for name, value in parts.items()})
                    bar.remark(loss=f"{float(loss.detach()):.4f}")
                if due or ended_by:
                    save(step + 1)
                    saved = time.monotonic()
                if ended_by:
                    bar.say(f"stopped after step {step + 1}; the same command goes on from there")
                    raise SystemExit(ended_by)
                every = config.validate_every
                if validate is not None and rank == 0 and every and (step + 1) % every == 0:
                    bar.say(f"{step + 1}: validating")
                    averaged.module.eval()
                    interruption.resting = True
                    try:
                        figures = validate(averaged.module)
                    except SystemExit:
                        save(step + 1)
                        raise
                    interruption.resting = False
                    if log is not None:
                        log.write(step + 1, figures)
                    bar.say(f"{step + 1}: " + "  ".join(f"{name} {value:.4f}" for name, value in figures.items()))
    finally:
        ahead.shutdown(cancel_futures=True)
    if first < config.steps:
        save(config.steps)
    averaged.module.eval()
    return averaged.module


def is_finished(folder: Path, config: LoopConfig) -> bool:
    """Whether a run has taken the steps of ``config``."""
    checkpoint = folder / "checkpoint.pt"
    if not checkpoint.exists():
        return False
    state = torch.load(checkpoint, map_location="cpu", weights_only=True, mmap=True)
    return bool(state["step"] == config.steps and state["config"] == _fixed(config))


def load_run(folder: Path, make: Callable[[dict[str, Any]], N]) -> N:
    """Load the averaged network of a run, for evaluation; ``make`` makes it from what ``config.json`` says."""
    network = make(json.loads((folder / "config.json").read_text()))
    network.load_state_dict(averaged_tensors(folder), strict=True)
    return network.eval()


def features_of(folder: Path) -> FeatureConfig:
    """Read what a run's network reads; what all read where it doesn't say."""
    path = folder / FEATURES
    return build(FeatureConfig, json.loads(path.read_text())) if path.exists() else FeatureConfig()


def averaged_tensors(folder: Path) -> dict[str, Tensor]:
    """Read the averaged weights of a run."""
    averaged = torch.load(folder / "checkpoint.pt", map_location="cpu", weights_only=True)["averaged"]
    return {key.removeprefix("module."): value for key, value in averaged.items() if key.startswith("module.")}


class _Log:
    """Figures to TensorBoard."""

    def __init__(self, folder: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.writer = SummaryWriter(str(folder))

    def write(self, step: int, figures: dict[str, float]) -> None:
        for name, value in figures.items():
            self.writer.add_scalar(name, value, step)
        self.writer.flush()
