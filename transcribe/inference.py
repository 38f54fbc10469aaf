"""Windows → network → stitched activations, for audio of any length in flat memory.

Window ``k`` answers for the frames ``k * STEP_FRAMES`` up to the next window's, and sees ``border`` frames more at
each end, as far as the network reaches. The windows lie on this grid whatever the blocks of samples, so the result is
the same bytes however the audio is cut.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import sys
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import islice, tee
from typing import TYPE_CHECKING, Any

import numpy as np

from transcribe.chords import ChordActivations
from transcribe.decoding import Activations
from transcribe.errors import UsageError
from transcribe.features import FeatureConfig, LogMel
from transcribe.onnx_network import OnnxNetwork
from transcribe.tags import TagActivations
from transcribe.tuning import tuned
from transcribe.weights import ChordsModel, GenreModel, InstrumentsModel, NotesModel

if TYPE_CHECKING:
    import torch

# 20 s at a hop of 20 ms: long enough that the borders cost little. 5 s took 12-75 % longer, 10 s up to 26 %, 40 s as
# long.
STEP_FRAMES = 1000
# Windows that a GPU takes at once.
GPU_BATCH = 16
# Frames of a window are a multiple of this, and so of any network's stride.
WHOLE_FRAMES = 8
# Each holds some 80 MB while it hears a window, and more are seldom free on a laptop.
_MOST_THREADS = 8

_threads: int | None = None


def set_threads(threads: int | None) -> None:
    """Let networks use so many threads of the CPU; where None, one a core, at most 8 (in torch, its own choice)."""
    global _threads
    _threads = threads


def set_torch_threads() -> None:
    """Let torch use as many threads as :func:`set_threads` says, its own choice where that says nothing."""
    import torch

    if _threads is not None:
        torch.set_num_threads(_threads)


def n_threads() -> int:
    """Count the threads that ONNX graphs are shared out among."""
    affinity = getattr(os, "sched_getaffinity", None)
    n_cores = len(affinity(0)) if affinity is not None else os.cpu_count() or 1
    return _threads or min(n_cores, _MOST_THREADS)


def choose_device(device: str = "auto") -> str:
    """Resolve ``auto`` to ``cuda`` where there is a GPU, ``cpu`` elsewhere; check any other name.

    Raises
    ------
    UsageError
        If the device isn't there.
    """
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", device):
        raise UsageError(f"there is no device {device!r}; use auto, cpu or cuda")
    if device == "cpu" or (device == "auto" and not _has_gpu_driver()):
        return "cpu"
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise UsageError(f"device {device!r} is not there: torch finds no CUDA GPU; use --device cpu")
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0][:120]
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


def infer(blocks: Iterable[np.ndarray], model: NotesModel, batch_size: int = GPU_BATCH) -> Iterator[Activations]:
    """Run a notes network over a stream of samples.

    Parameters
    ----------
    blocks
        float32 arrays (n_samples,) of any lengths, mono, at ``model.features.sample_rate``.
    model
        From :func:`transcribe.weights.load_notes_model`; where its network lies, and in its precision, the work is
        done.
    batch_size
        Windows that a GPU takes at once. A thread of a CPU takes one at a time: a batch would only leave its cache.

    Returns
    -------
    Iterator of Activations
        Of consecutive frames, ``ceil(n_samples / hop_length)`` in all; nothing for no samples. The first minute is
        taken from ``blocks`` at once, to find how far they are out of tune.
    """
    tuning, blocks = tuned(blocks, model.features.sample_rate)
    (heard,) = infer_together(blocks, model, tuning=tuning, batch_size=batch_size)
    return heard


Model = NotesModel | ChordsModel | InstrumentsModel
# The samples that some frames need, and how many of the frames lie within the recording
Piece = tuple[np.ndarray, int]
# (n, n_mels), on a GPU a tensor; and how many of them lie within the recording
Frames = tuple[Any, int]


def infer_together(
    blocks: Iterable[np.ndarray], *models: Model, tuning: float = 0.0, batch_size: int = GPU_BATCH
) -> list[Iterator[Any]]:
    """Run several networks over one stream of samples, which is transformed once where they read the same features.

    ``tuning``: cents by which the recording lies above A = 440 Hz (:func:`transcribe.tuning.tuned`). Take from all
    iterators in turn: what only one has taken is kept for the others.
    """
    fronts = dict.fromkeys(map(_front, models))
    streams = tee(blocks, len(fronts))
    pieces = [_pieces(stream, features) for stream, (features, _) in zip(streams, fronts, strict=True)]
    return _infer(pieces, models, batch_size, tuning)


@dataclass(frozen=True)
class Span:
    """Windows in a row and all the sound that they see: what the work on a long recording is shared out in.

    ``pieces`` begin ``n_before`` windows before the first of the ``n_windows`` that it answers for.
    """

    pieces: tuple[Piece, ...]
    n_before: int
    n_windows: int
    tuning: float


def spans(
    blocks: Iterable[np.ndarray], *models: Model, tuning: float = 0.0, n_windows: int = GPU_BATCH
) -> Iterator[Span]:
    """Cut a stream of samples into overlapping spans, for networks that read the same features.

    ``n_windows`` are whole batches, so that a GPU's batches hold the same windows with spans and without.
    """
    (features,) = {model.features for model in models}
    around = -(-max(model.network.border for model in models) // STEP_FRAMES)
    held: list[Piece] = []
    n_before = 0
    for piece in _pieces(blocks, features):
        held.append(piece)
        if len(held) == n_before + n_windows + around:
            yield Span(tuple(held), n_before, n_windows, tuning)
            n_done = n_before + n_windows
            n_before = min(n_done, around)
            held = held[n_done - n_before :]
    if len(held) > n_before:
        yield Span(tuple(held), n_before, len(held) - n_before, tuning)


def infer_span(span: Span, *models: Model, batch_size: int = GPU_BATCH) -> list[Iterator[Any]]:
    """Run several networks over a span: the same bytes as :func:`infer_together` has for its windows."""
    pieces = [span.pieces for _ in {_front(model) for model in models}]
    return _infer(pieces, models, batch_size, span.tuning, span.n_before, span.n_before + span.n_windows)


def _infer(
    pieces: Sequence[Iterable[Piece]],
    models: Sequence[Model],
    batch_size: int,
    tuning: float,
    first: int = 0,
    last: int | None = None,
) -> list[Iterator[Any]]:
    """Run networks over the windows from ``first`` up to ``last``; a stream of pieces for every front end."""
    runners = {NotesModel: _notes, ChordsModel: _chords, InstrumentsModel: _instruments}
    fronts = list(map(_front, models))
    shared = {
        front: list(tee(spectrogram(stream, *front, tuning), fronts.count(front)))
        for front, stream in zip(dict.fromkeys(fronts), pieces, strict=True)
    }
    heard = []
    for model, front in zip(models, fronts, strict=True):
        windows = islice(_windows(shared[front].pop(), model.network.border, model.features), first, last)
        heard.append(runners[type(model)](windows, model, batch_size))  # type: ignore[operator]
    return heard


def _front(model: Model) -> tuple[FeatureConfig, str]:
    return model.features, device_of(model)


def device_of(model: Model | GenreModel) -> str:
    """Name the device where a model's network lies."""
    return "cpu" if isinstance(model.network, OnnxNetwork) else str(next(model.network.parameters()).device)


@lru_cache(16)
def _log_mel(features: FeatureConfig, device: str, tuning: float) -> Callable[[np.ndarray], Any]:
    """Build what transforms samples on a device; the filters take as long as hearing a second of audio."""
    if device == "cpu":
        return LogMel(features, tuning)
    import torch

    from transcribe.networks import TorchLogMel

    transform = TorchLogMel(features, tuning).to(device)

    def there(samples: np.ndarray) -> torch.Tensor:
        with torch.inference_mode():
            found: torch.Tensor = transform(torch.tensor(samples, device=device))
        return found

    return there


def spectrogram(pieces: Iterable[Piece], features: FeatureConfig, device: str, tuning: float = 0.0) -> Iterator[Frames]:
    """Transform a stream of samples piece by piece.

    Yields
    ------
    Frames
        Nothing but the last has frames beyond the recording: as many as still hear its end.
    """
    log_mel = _log_mel(features, device, tuning)
    for samples, n_frames in pieces:
        yield log_mel(samples), n_frames


def _pieces(blocks: Iterable[np.ndarray], features: FeatureConfig) -> Iterator[Piece]:
    """Cut a stream of samples on a fixed grid, ``STEP_FRAMES`` frames a piece."""
    step, half = STEP_FRAMES * features.hop_length, features.n_fft // 2
    spill = -(-half // features.hop_length)
    length = features.span_samples(STEP_FRAMES)

    # Before the first frame there is silence.
    pending = [np.zeros(half, np.float32)]
    held, n_samples, n_frames = half, 0, 0
    for block in blocks:
        pending.append(block)
        held += len(block)
        n_samples += len(block)
        # The last span is never taken here: only the end knows what comes after it.
        if held <= length:
            continue
        samples = np.concatenate(pending)
        while len(samples) > length:
            yield samples[:length], STEP_FRAMES
            samples = samples[step:]
            n_frames += STEP_FRAMES
        pending, held = [samples], len(samples)
    if not n_samples:
        return
    samples = np.concatenate(pending)
    left = features.grid.n_frames(n_samples) - n_frames
    while left > 0:
        count = min(left, STEP_FRAMES)
        left -= count
        n_wanted = count if left else count + spill
        span = samples[: features.span_samples(n_wanted)]
        yield np.pad(span, (0, features.span_samples(n_wanted) - len(span))), count
        samples = samples[step:]


def _notes(windows: Iterable[Frames], model: NotesModel, batch_size: int) -> Iterator[Activations]:
    for onset, frame, offset, velocity, pedal in _run(windows, model.network, batch_size, 1):
        yield Activations(onset, frame, offset, velocity, pedal, model.features.grid)


def _chords(windows: Iterable[Frames], model: ChordsModel, batch_size: int) -> Iterator[ChordActivations]:
    stride = _stride(model.network)
    for chord, bass in _run(windows, model.network, batch_size, stride):
        yield ChordActivations(chord, bass, model.features.grid, stride)


def _instruments(windows: Iterable[Frames], model: InstrumentsModel, batch_size: int) -> Iterator[TagActivations]:
    stride = _stride(model.network)
    for families, instruments in _run(windows, model.network, batch_size, stride):
        yield TagActivations(families, instruments, model.features.grid, stride)


def _stride(network: Any) -> int:
    return int(network.stride if isinstance(network, OnnxNetwork) else network.config.stride)


def _run(windows: Iterable[Frames], network: Any, batch_size: int, stride: int) -> Iterator[tuple[np.ndarray, ...]]:
    """Run a network, whose output has ``stride`` frames a step, over windows: what it hears, without the borders."""
    graph = isinstance(network, OnnxNetwork)
    heard = _side_by_side(windows, network) if graph else _in_torch(windows, network, batch_size)
    first = network.border // stride
    for heads, n_frames in heard:
        yield tuple(head[first : first - (-n_frames // stride)] for head in heads)


def _side_by_side(windows: Iterable[Frames], network: OnnxNetwork) -> Iterator[tuple[tuple[np.ndarray, ...], int]]:
    """Hear windows on as many threads as may be used, in their order."""
    threads = n_threads()
    if threads == 1:
        yield from ((network(frames), n_frames) for frames, n_frames in windows)
        return
    ahead: deque[tuple[Future[tuple[np.ndarray, ...]], int]] = deque()
    try:
        for frames, n_frames in windows:
            ahead.append((_pool(threads).submit(network, frames), n_frames))
            if len(ahead) > threads:
                future, n_frames = ahead.popleft()
                yield future.result(), n_frames
        while ahead:
            future, n_frames = ahead.popleft()
            yield future.result(), n_frames
    finally:  # somebody has had enough
        for future, _ in ahead:
            future.cancel()


# One for all networks, which take turns in it; its threads don't outlive a fork.
_pool = cache(ThreadPoolExecutor)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)


def _in_torch(windows: Iterable[Frames], network: Any, batch_size: int) -> Iterator[tuple[tuple[np.ndarray, ...], int]]:
    """Hear windows in torch, on a GPU in batches."""
    import torch

    set_torch_threads()
    parameter = next(network.parameters())
    size = batch_size if parameter.device.type == "cuda" else 1

    def hear(log_mel: torch.Tensor) -> tuple[torch.Tensor, ...]:
        heads: tuple[torch.Tensor, ...] = network(log_mel).activations()
        return heads

    for batch in _batches(windows, size):
        # A batch is filled up, so that its size never changes the arithmetic.
        rows = [torch.as_tensor(window) for window, _ in batch]
        rows += rows[:1] * (size - len(rows))
        # TF32 would cost three of the digits in which devices agree.
        with torch.inference_mode(), torch.backends.cudnn.flags(allow_tf32=False):
            heads = _within_memory(hear, torch.stack(rows).to(parameter.dtype), network)
            arrays = [head.cpu().numpy() for head in heads]
        for row, (_, n_frames) in enumerate(batch):
            yield tuple(array[row] for array in arrays), n_frames


def _within_memory(
    hear: Callable[[torch.Tensor], tuple[torch.Tensor, ...]], batch: torch.Tensor, network: torch.nn.Module
) -> tuple[torch.Tensor, ...]:
    """Run a network; where a GPU's memory doesn't do, on halves of the batch, and in the end on the CPU."""
    import torch

    device = next(network.parameters()).device
    try:
        return hear(batch.to(device))
    except torch.OutOfMemoryError:
        if device.type == "cpu":
            raise
    torch.cuda.empty_cache()
    if len(batch) > 1:
        halves = [_within_memory(hear, half, network) for half in batch.chunk(2)]
        return tuple(torch.cat([a.cpu(), b.cpu()]) for a, b in zip(*halves, strict=True))
    warnings.warn(f"{device} is out of memory: the rest is done on the CPU, which takes longer", stacklevel=2)
    network.to("cpu")
    return hear(batch.cpu())


def _batches(windows: Iterable[Frames], size: int) -> Iterator[list[Frames]]:
    """Put windows together, up to ``size`` of the same length."""
    batch: list[Frames] = []
    for window in windows:
        if batch and (len(batch) == size or len(window[0]) != len(batch[0][0])):
            yield batch
            batch = []
        batch.append(window)
    if batch:
        yield batch


def _windows(frames: Iterable[Frames], border: int, features: FeatureConfig) -> Iterator[Frames]:
    """Cut frames into windows on the grid: (frames with ``border`` at both ends, how many it answers for).

    The last one is no longer than it need be.
    """
    silence = (features.floor_db + features.offset_db) / features.scale_db
    length = STEP_FRAMES + 2 * border
    held: Any = None
    n_frames = 0
    for rows, count in frames:
        held = _joined(_silent(rows, border, silence) if held is None else held, rows)
        n_frames += count
        while len(held) >= length and n_frames >= STEP_FRAMES:
            yield held[:length], STEP_FRAMES
            held = held[STEP_FRAMES:]
            n_frames -= STEP_FRAMES
    while held is not None and n_frames > 0:
        count = min(STEP_FRAMES, n_frames)
        wanted = -(-count // WHOLE_FRAMES) * WHOLE_FRAMES + 2 * border
        window = held[:wanted]
        yield _joined(window, _silent(window, wanted - len(window), silence)), count
        held = held[STEP_FRAMES:]
        n_frames -= count


def _joined(a: Any, b: Any) -> Any:
    """Put arrays one after the other, or tensors, where they lie."""
    if isinstance(a, np.ndarray):
        return np.concatenate([a, b])
    import torch

    return torch.cat([a, b])


def _silent(like: Any, n_frames: int, level: float) -> Any:
    """Make frames of silence, of the kind and where ``like`` is."""
    shape = n_frames, like.shape[1]
    return np.full(shape, level, like.dtype) if isinstance(like, np.ndarray) else like.new_full(shape, level)
