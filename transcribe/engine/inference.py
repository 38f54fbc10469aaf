"""Windows → network → stitched activations, for audio of any length in flat memory.

The windows lie on a fixed grid (:mod:`transcribe.engine.windows`), so the result is the same bytes however the
audio is cut.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, tee
from typing import Protocol

import numpy as np

from transcribe.engine.devices import device_of, n_threads
from transcribe.engine.features import FeatureConfig
from transcribe.engine.onnx_backend import OnnxNetwork, run_graph
from transcribe.engine.task import Activations, FollowingTask, Frames, WindowModel, WindowTask
from transcribe.engine.tuning import Tunings, tuned
from transcribe.engine.windows import STEP_FRAMES, Chunk, cut_chunks, cut_windows, spectrogram

# Windows that a GPU takes at once.
GPU_BATCH = 16

Outputs = list[Iterator[Activations]]


class Infer(Protocol):
    """Runs networks over a stream of samples, as :func:`infer_together`, which it must equal."""

    def __call__(self, blocks: Iterable[np.ndarray], /, *models: WindowModel, tunings: Tunings) -> Outputs:
        """Run them."""


def infer(blocks: Iterable[np.ndarray], model: WindowModel, threads: int | None = None) -> Iterator[Activations]:
    """Run a network over a stream of samples, its features shifted by the tuning that is found.

    Parameters
    ----------
    blocks
        float32 arrays (n_samples,) of any lengths, mono, at ``model.features.sample_rate``.
    model
        From :func:`transcribe.engine.weights.load_model`; where its network lies, and in its precision, the work is
        done.
    threads
        Of the CPU; as many as there are cores, at most 8, where None.

    Returns
    -------
    Iterator of Activations
        Of consecutive frames, ``ceil(n_samples / hop_length)`` in all; nothing for no samples. A minute is taken from
        ``blocks`` ahead, to find how far they are out of tune.
    """
    tunings, blocks = tuned(blocks, model.features.sample_rate)
    (found,) = infer_together(blocks, model, tunings=tunings, threads=threads)
    return found


def infer_together(
    blocks: Iterable[np.ndarray],
    *models: WindowModel,
    tunings: Tunings | None = None,
    batch_size: int = GPU_BATCH,
    threads: int | None = None,
) -> Outputs:
    """Run several networks over one stream of samples, which is transformed once where they read the same features.

    ``tunings``: how far it is out of tune (:func:`transcribe.engine.tuning.tuned`); in tune where None.
    ``batch_size``: windows that a GPU takes at once; a thread of a CPU takes one at a time.
    Take from all iterators in turn: what only one has taken is kept for the others.
    """
    fronts = dict.fromkeys(map(_front, models))
    streams = tee(blocks, len(fronts))
    chunks = [cut_chunks(stream, features, tunings) for stream, (features, _) in zip(streams, fronts, strict=True)]
    return _infer(chunks, models, batch_size, threads)


@dataclass(frozen=True)
class Span:
    """Windows in a row and all the sound that they see: what the work on a long recording is shared out in.

    ``chunks`` begin ``n_before`` windows before the first of the ``n_windows`` that it answers for.
    """

    chunks: tuple[Chunk, ...]
    n_before: int
    n_windows: int


def spans(
    blocks: Iterable[np.ndarray], *models: WindowModel, tunings: Tunings | None = None, n_windows: int = GPU_BATCH
) -> Iterator[Span]:
    """Cut a stream of samples into overlapping spans, for networks that read the same features.

    ``n_windows`` are whole batches, so that a GPU's batches hold the same windows with spans and without.
    """
    (features,) = {model.features for model in models}
    around = -(-max(model.network.border for model in models) // STEP_FRAMES)
    held: list[Chunk] = []
    n_before = 0
    for chunk in cut_chunks(blocks, features, tunings):
        held.append(chunk)
        if len(held) == n_before + n_windows + around:
            yield Span(tuple(held), n_before, n_windows)
            n_done = n_before + n_windows
            n_before = min(n_done, around)
            held = held[n_done - n_before :]
    if len(held) > n_before:
        yield Span(tuple(held), n_before, len(held) - n_before)


def infer_span(span: Span, *models: WindowModel, batch_size: int = GPU_BATCH, threads: int | None = None) -> Outputs:
    """Run several networks over a span: the same bytes as :func:`infer_together` has for its windows."""
    chunks = [span.chunks for _ in {_front(model) for model in models}]
    return _infer(chunks, models, batch_size, threads, span.n_before, span.n_before + span.n_windows)


def follow(
    heard: Sequence[Iterable[Activations]],
    model: WindowModel,
    batch_size: int = GPU_BATCH,
    threads: int | None = None,
) -> Iterator[Activations]:
    """Run a network that reads others' activations over the streams of them: its own, as many frames.

    Parameters
    ----------
    heard
        What each of the others hears, block by block, on the grid of ``model.features``: blocks of the same frames.
    model
        Of a :class:`~transcribe.engine.task.FollowingTask`.
    batch_size, threads
        As for :func:`infer_together`.
    """
    task = model.task
    assert isinstance(task, FollowingTask)
    made = (task.inputs(model.header, *blocks) for blocks in zip(*heard, strict=True))
    rows = ((block, 0, len(block)) for block in made)
    return _run(cut_windows(rows, model.network.border, 0.0), model, batch_size, threads)


def _infer(
    chunks: Sequence[Iterable[Chunk]],
    models: Sequence[WindowModel],
    batch_size: int,
    threads: int | None,
    first: int = 0,
    last: int | None = None,
) -> Outputs:
    """Run networks over the windows from ``first`` up to ``last``; a stream of chunks for every front end."""
    fronts = list(map(_front, models))
    shared = {
        front: list(tee(spectrogram(stream, *front), fronts.count(front)))
        for front, stream in zip(dict.fromkeys(fronts), chunks, strict=True)
    }
    found = []
    for model, front in zip(models, fronts, strict=True):
        windows = islice(cut_windows(shared[front].pop(), model.network.border, model.features.silence), first, last)
        found.append(_run(windows, model, batch_size, threads))
    return found


def _front(model: WindowModel) -> tuple[FeatureConfig, str]:
    return model.features, device_of(model.network)


def _run(windows: Iterable[Frames], model: WindowModel, batch_size: int, threads: int | None) -> Iterator[Activations]:
    """Run a network over windows: its activations, without the borders."""
    task, network = model.task, model.network
    assert isinstance(task, WindowTask)
    if isinstance(network, OnnxNetwork):
        found = run_graph(windows, network, n_threads(threads))
        stride = network.stride
    else:
        from transcribe.engine.torch_backend import run_in_torch

        found = run_in_torch(windows, network, batch_size, threads)
        stride = task.stride(network)
    first = network.border // stride
    for heads, n_frames in found:
        within = tuple(head[first : first - (-n_frames // stride)] for head in heads)
        yield task.activations(within, model.features.grid, stride)
