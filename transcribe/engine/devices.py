"""What networks compute on: a device, a number of threads, a precision. torch is only asked where a GPU may be."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import sys
from typing import TYPE_CHECKING

from transcribe.engine.onnx_backend import OnnxNetwork
from transcribe.errors import UsageError

if TYPE_CHECKING:
    import torch

# Each holds some 80 MB while it hears a window, and more are seldom free on a laptop.
_MOST_THREADS = 8


def set_torch_threads(threads: int | None) -> None:
    """Let torch use so many threads of the CPU, its own choice where None."""
    import torch

    if threads is not None:
        torch.set_num_threads(threads)


def n_threads(threads: int | None = None) -> int:
    """Count the threads that ONNX graphs are shared out among: those asked for, else one a core, at most 8."""
    affinity = getattr(os, "sched_getaffinity", None)
    n_cores = len(affinity(0)) if affinity is not None else os.cpu_count() or 1
    return threads or min(n_cores, _MOST_THREADS)


def choose_device(device: str = "auto") -> str:
    """Resolve ``auto`` to ``cuda`` where there is a GPU, ``cpu`` elsewhere; check any other name.

    Raises
    ------
    UsageError
        If the device isn't there.
    """
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", device):
        raise UsageError(f"there is no device {device!r}; use auto, cpu, cuda or cuda:N")
    if device == "cpu" or (device == "auto" and not _has_gpu_driver()):
        return "cpu"
    try:
        import torch
    except ModuleNotFoundError:
        if device == "auto":
            return "cpu"
        raise UsageError(f"--device {device} needs torch: pip install 'pitchai[gpu]'") from None

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise UsageError(f"device {device!r} is not there: torch finds no CUDA GPU; use --device cpu")
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0][:120] if device != "mps" else "there is no GPU of Apple's here"
        raise UsageError(f"device {device!r} can't be used: {reason}; use auto, cpu or cuda") from None
    return device


def _has_gpu_driver() -> bool:
    """Look for the driver of NVIDIA or AMD, which takes no time, before torch is loaded to ask it."""
    for library in ("nvcuda.dll",) if sys.platform == "win32" else ("libcuda.so.1", "libamdhip64.so"):
        with contextlib.suppress(OSError):
            ctypes.CDLL(library)
            return True
    return False


def choose_precision(precision: str = "auto") -> str:
    """Resolve ``auto`` to ``float32``; check any other name.

    bfloat16 is torch's business: on processors with AVX-512 BF16 it takes about as long as the graphs of the shipped
    weights do in float32, half of what torch takes in float32; on others, twenty times as long.

    Raises
    ------
    UsageError
        If there is no such precision.
    """
    if precision not in ("auto", "float32", "bfloat16"):
        raise UsageError(f"there is no precision {precision!r}; use auto, float32 or bfloat16")
    return "float32" if precision == "auto" else precision


def device_of(network: torch.nn.Module | OnnxNetwork) -> str:
    """Name the device where a network lies."""
    return "cpu" if isinstance(network, OnnxNetwork) else str(next(network.parameters()).device)
