"""Windows → network → stitched activations, for audio of any length in flat memory.

The windows lie on a fixed grid (:mod:`transcribe.engine.windows`), so the result is the same bytes however the
audio is cut.
"""

from __future__ import annotations

import os
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import islice, tee
from typing import TYPE_CHECKING, Any

import numpy as np

from transcribe.chords.decoder import ChordActivations
from transcribe.engine.devices import device_of, n_threads, set_torch_threads
from transcribe.engine.features import FeatureConfig
from transcribe.engine.models import ChordsModel, InstrumentsModel, NotesModel
from transcribe.engine.onnx_backend import OnnxNetwork
from transcribe.engine.tuning import Tunings, tuned
from transcribe.engine.windows import STEP_FRAMES, Frames, Piece, cut_pieces, cut_windows, spectrogram
from transcribe.instruments.decoder import TagActivations
from transcribe.notes.decoder import Activations

if TYPE_CHECKING:
    import torch

# Windows that a GPU takes at once.
GPU_BATCH = 16

Model = NotesModel | ChordsModel | InstrumentsModel


def infer(blocks: Iterable[np.ndarray], model: NotesModel, batch_size: int = GPU_BATCH) -> Iterator[Activations]:
    """Run a notes network over a stream of samples.

    Parameters
    ----------
    blocks
        float32 arrays (n_samples,) of any lengths, mono, at ``model.features.sample_rate``.
    model
        From :func:`transcribe.engine.models.load_notes_model`; where its network lies, and in its precision, the work
        is done.
    batch_size
        Windows that a GPU takes at once. A thread of a CPU takes one at a time: a batch would only leave its cache.

    Returns
    -------
    Iterator of Activations
        Of consecutive frames, ``ceil(n_samples / hop_length)`` in all; nothing for no samples. A minute is taken from
        ``blocks`` ahead, to find how far they are out of tune.
    """
    tunings, blocks = tuned(blocks, model.features.sample_rate)
    (heard,) = infer_together(blocks, model, tunings=tunings, batch_size=batch_size)
    return heard


def infer_together(
    blocks: Iterable[np.ndarray], *models: Model, tunings: Tunings | None = None, batch_size: int = GPU_BATCH
) -> list[Iterator[Any]]:
    """Run several networks over one stream of samples, which is transformed once where they read the same features.

    ``tunings``: how far it is out of tune (:func:`transcribe.engine.tuning.tuned`); in tune where None.
    Take from all iterators in turn: what only one has taken is kept for the others.
    """
    fronts = dict.fromkeys(map(_front, models))
    streams = tee(blocks, len(fronts))
    pieces = [cut_pieces(stream, features, tunings) for stream, (features, _) in zip(streams, fronts, strict=True)]
    return _infer(pieces, models, batch_size)


@dataclass(frozen=True)
class Span:
    """Windows in a row and all the sound that they see: what the work on a long recording is shared out in.

    ``pieces`` begin ``n_before`` windows before the first of the ``n_windows`` that it answers for.
    """

    pieces: tuple[Piece, ...]
    n_before: int
    n_windows: int


def spans(
    blocks: Iterable[np.ndarray], *models: Model, tunings: Tunings | None = None, n_windows: int = GPU_BATCH
) -> Iterator[Span]:
    """Cut a stream of samples into overlapping spans, for networks that read the same features.

    ``n_windows`` are whole batches, so that a GPU's batches hold the same windows with spans and without.
    """
    (features,) = {model.features for model in models}
    around = -(-max(model.network.border for model in models) // STEP_FRAMES)
    held: list[Piece] = []
    n_before = 0
    for piece in cut_pieces(blocks, features, tunings):
        held.append(piece)
        if len(held) == n_before + n_windows + around:
            yield Span(tuple(held), n_before, n_windows)
            n_done = n_before + n_windows
            n_before = min(n_done, around)
            held = held[n_done - n_before :]
    if len(held) > n_before:
        yield Span(tuple(held), n_before, len(held) - n_before)


def infer_span(span: Span, *models: Model, batch_size: int = GPU_BATCH) -> list[Iterator[Any]]:
    """Run several networks over a span: the same bytes as :func:`infer_together` has for its windows."""
    pieces = [span.pieces for _ in {_front(model) for model in models}]
    return _infer(pieces, models, batch_size, span.n_before, span.n_before + span.n_windows)


def _infer(
    pieces: Sequence[Iterable[Piece]],
    models: Sequence[Model],
    batch_size: int,
    first: int = 0,
    last: int | None = None,
) -> list[Iterator[Any]]:
    """Run networks over the windows from ``first`` up to ``last``; a stream of pieces for every front end."""
    runners = {NotesModel: _notes, ChordsModel: _chords, InstrumentsModel: _instruments}
    fronts = list(map(_front, models))
    shared = {
        front: list(tee(spectrogram(stream, *front), fronts.count(front)))
        for front, stream in zip(dict.fromkeys(fronts), pieces, strict=True)
    }
    heard = []
    for model, front in zip(models, fronts, strict=True):
        windows = islice(cut_windows(shared[front].pop(), model.network.border, model.features), first, last)
        heard.append(runners[type(model)](windows, model, batch_size))  # type: ignore[operator]
    return heard


def _front(model: Model) -> tuple[FeatureConfig, str]:
    return model.features, device_of(model.network)


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
        with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
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
