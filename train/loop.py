"""The training loop that all tasks share: steps, averages, checkpoints, resume, several GPUs.

A step is a pure function of the seed, its number and the rank: whoever stops and resumes gets, on the CPU, the same
weights to the bit.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from train.muon import MuonAndAdamW

# (step, rank) -> the batch, on the device
Batches = Callable[[int, int], tuple[Tensor, ...]]
# (network, batch) -> the losses by name; their sum is minimised
Losses = Callable[[nn.Module, tuple[Tensor, ...]], dict[str, Tensor]]
N = TypeVar("N", bound=nn.Module)
# averaged network -> figures to log
Validate = Callable[[nn.Module], dict[str, float]]


@dataclass(frozen=True)
class LoopConfig:
    """How long and how fast to train.

    ``average`` is the decay of the moving average of the weights; ``precision`` is ``float32`` or ``bfloat16``
    (autocast: time a step in both first, processors differ); ``compile`` fuses operations: a minute of work first;
    ``optimizer`` is ``adamw`` or ``muon`` (:mod:`train.muon`).
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
) -> nn.Module:
    """Train until ``config.steps`` and return the averaged network.

    ``folder/checkpoint.pt`` is written every few minutes and at the end, and resumed from when it is there.
    TensorBoard files go to ``folder``. Without a folder nothing is written.

    Raises
    ------
    FloatingPointError
        If the loss is no number any more.
    ValueError
        If the checkpoint was begun with another optimizer, another number of steps or other settings of them.
    """
    device = device or torch.device("cpu")
    rank = distributed.get_rank() if distributed.is_initialized() else 0
    network.to(device)
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = True  # the same shapes in every step: the quickest kernels for them
    average = get_ema_multi_avg_fn(config.average)  # type: ignore[no-untyped-call]
    averaged = AveragedModel(network, multi_avg_fn=average, use_buffers=True)
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
        for name, value in state["config"].items():
            if value != getattr(config, name):
                raise ValueError(
                    f"{folder} was begun with {name} {value}, not {getattr(config, name)}: go on with that, or in "
                    "another folder"
                )
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
    bar = tqdm(range(first, config.steps), initial=first, total=config.steps, disable=None if rank == 0 else True)
    # The next batch is made while the network learns from this one.
    ahead = ThreadPoolExecutor(1)
    coming = ahead.submit(batches, first, rank)
    for step in bar:
        batch = coming.result()
        if step + 1 < config.steps:
            coming = ahead.submit(batches, step + 1, rank)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, config) * group.get("ratio", 1.0)
        network.train()
        with autocast:
            parts = losses(parallel, batch)
        loss = torch.stack(list(parts.values())).sum()
        network.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(network.parameters(), config.clip_norm)
        optimizer.step()
        averaged.update_parameters(network)
        due = time.monotonic() - saved > 60 * config.checkpoint_minutes
        # The norm of the gradients is no number where the loss is none, and sometimes before.
        if ((step + 1) % 20 == 0 or due or step + 1 == config.steps) and not torch.isfinite(norm):
            ahead.shutdown(cancel_futures=True)
            raise FloatingPointError(
                f"the loss is no number after step {step + 1}; the last checkpoint stays: go on in float32, or slower"
            )
        if log is not None and (step + 1) % 20 == 0:
            log.write(step + 1, {f"loss/{name}": float(value.detach()) for name, value in parts.items()})
            bar.set_postfix(loss=f"{float(loss.detach()):.4f}")
        if due:
            save(step + 1)
            saved = time.monotonic()
        if validate is not None and rank == 0 and config.validate_every and (step + 1) % config.validate_every == 0:
            averaged.module.eval()
            figures = validate(averaged.module)
            if log is not None:
                log.write(step + 1, figures)
            tqdm.write(f"{step + 1}: " + "  ".join(f"{name} {value:.4f}" for name, value in figures.items()))
    ahead.shutdown()
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


def load_run(folder: Path, build: Callable[[dict[str, Any]], N]) -> N:
    """Load the averaged network of a run, for evaluation; ``build`` makes it from what ``config.json`` says."""
    network = build(json.loads((folder / "config.json").read_text()))
    network.load_state_dict(averaged_tensors(folder), strict=True)
    return network.eval()


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
