"""Windows → network → stitched activations, for audio of any length in flat memory.

Window ``k`` answers for the frames ``k * STEP_FRAMES`` up to the next window's, and sees ``border`` frames more at
each end, as far as the network reaches. The windows lie on this grid whatever the blocks of samples, so the result is
the same bytes however the audio is cut.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice, tee
from typing import Any

import numpy as np
import torch

from transcribe.chords import ChordActivations
from transcribe.decoding import Activations
from transcribe.errors import UsageError
from transcribe.features import FeatureConfig, LogMel
from transcribe.tags import TagActivations
from transcribe.weights import ChordsModel, InstrumentsModel, NotesModel

# 20 s at a hop of 20 ms: long enough that the borders cost little, short enough for the processor's cache; 10 s and
# 40 s took 5-40 % longer.
STEP_FRAMES = 1000
# Windows that a GPU takes at once.
GPU_BATCH = 16
# Frames of a window are a multiple of this, and so of any network's stride.
_WHOLE = 8


def set_threads(threads: int | None) -> None:
    """Let torch use so many threads, or its own choice where None."""
    if threads is not None:
        torch.set_num_threads(threads)


def choose_device(device: str = "auto") -> str:
    """Resolve ``auto`` to ``cuda`` where there is a GPU, ``cpu`` elsewhere; check any other name.

    Raises
    ------
    UsageError
        If the device isn't there.
    """
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", device):
        raise UsageError(f"there is no device {device!r}; use auto, cpu or cuda")
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


def choose_precision(precision: str = "auto", device: str = "cpu") -> str:
    """Resolve ``auto`` to ``bfloat16`` where the processor computes in it, to ``float32`` elsewhere.

    bfloat16 halves the time on processors with AVX-512 BF16 and takes twenty times as long on others. The onset F1 of
    the shipped weights moved by less than 0.1 points on MAPS' real recordings.

    Raises
    ------
    UsageError
        If there is no such precision.
    """
    if precision not in ("auto", "float32", "bfloat16"):
        raise UsageError(f"there is no precision {precision!r}; use auto, float32 or bfloat16")
    if precision != "auto":
        return precision
    # Not in torch's public interface: no harm if it goes.
    native = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    return "bfloat16" if device == "cpu" and native() else "float32"


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
        Windows that a GPU takes at once. A CPU takes one at a time: a batch would only leave its cache.

    Yields
    ------
    Activations
        Of consecutive frames, ``ceil(n_samples / hop_length)`` in all; nothing for no samples.
    """
    (heard,) = infer_together(blocks, model, batch_size=batch_size)
    return heard


Model = NotesModel | ChordsModel | InstrumentsModel
# The samples that some frames need, and how many of the frames lie within the recording
Piece = tuple[np.ndarray, int]
# (n, n_mels), and how many of them lie within the recording
Frames = tuple[torch.Tensor, int]


def infer_together(blocks: Iterable[np.ndarray], *models: Model, batch_size: int = GPU_BATCH) -> list[Iterator[Any]]:
    """Run several networks over one stream of samples, which is transformed once where they read the same features.

    Take from all iterators in turn: what only one has taken is kept for the others.
    """
    fronts = dict.fromkeys(map(_front, models))
    streams = tee(blocks, len(fronts))
    pieces = [_pieces(stream, features) for stream, (features, _) in zip(streams, fronts, strict=True)]
    return _infer(pieces, models, batch_size)


@dataclass(frozen=True)
class Span:
    """Windows in a row and all the sound that they see: what the work on a long recording is shared out in.

    ``pieces`` begin ``n_before`` windows before the first of the ``n_windows`` that it answers for.
    """

    pieces: tuple[Piece, ...]
    n_before: int
    n_windows: int


def spans(blocks: Iterable[np.ndarray], *models: Model, n_windows: int = GPU_BATCH) -> Iterator[Span]:
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
        windows = islice(_windows(shared[front].pop(), model.network.border, model.features), first, last)
        heard.append(runners[type(model)](windows, model, batch_size))  # type: ignore[operator]
    return heard


def _front(model: Model) -> tuple[FeatureConfig, torch.device]:
    return model.features, _device(model)


# Building the filters takes as long as hearing a second of audio.
_log_mel = cache(LogMel)


def spectrogram(pieces: Iterable[Piece], features: FeatureConfig, device: torch.device) -> Iterator[Frames]:
    """Transform a stream of samples piece by piece.

    Yields
    ------
    Frames
        Nothing but the last has frames beyond the recording: as many as still hear its end.
    """
    log_mel = _log_mel(features, device)
    for samples, n_frames in pieces:
        with torch.inference_mode():
            frames = log_mel(torch.from_numpy(samples).to(device))
        yield frames, n_frames


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
    def hear(log_mel: torch.Tensor) -> tuple[torch.Tensor, ...]:
        logits = model.network(log_mel)
        heads = (logits.onset, logits.frame, logits.offset, logits.velocity, logits.pedal)
        return tuple(head.float().sigmoid() for head in heads)

    for arrays in _run(windows, hear, model, batch_size):
        onset, frame, offset, velocity, pedal = arrays
        yield Activations(onset, frame, offset, velocity, pedal, model.features.grid)


def _chords(windows: Iterable[Frames], model: ChordsModel, batch_size: int) -> Iterator[ChordActivations]:
    stride = model.network.config.stride

    def hear(log_mel: torch.Tensor) -> tuple[torch.Tensor, ...]:
        logits = model.network(log_mel)
        return logits.chord.float().softmax(-1), logits.bass.float().softmax(-1)

    for chord, bass in _run(windows, hear, model, batch_size, stride):
        yield ChordActivations(chord, bass, model.features.grid, stride)


def _instruments(windows: Iterable[Frames], model: InstrumentsModel, batch_size: int) -> Iterator[TagActivations]:
    stride = model.network.config.stride

    def hear(log_mel: torch.Tensor) -> tuple[torch.Tensor, ...]:
        logits = model.network(log_mel)
        return logits.families.float().sigmoid(), logits.instruments.float().sigmoid()

    for families, instruments in _run(windows, hear, model, batch_size, stride):
        yield TagActivations(families, instruments, model.features.grid, stride)


def _device(model: Model) -> torch.device:
    return next(model.network.parameters()).device


def _run(
    windows: Iterable[Frames],
    hear: Callable[[torch.Tensor], tuple[torch.Tensor, ...]],
    model: Model,
    batch_size: int,
    stride: int = 1,
) -> Iterator[tuple[np.ndarray, ...]]:
    """Run a network, whose output has ``stride`` frames a step, over windows: what it hears, without the borders."""
    border, dtype = model.network.border, next(model.network.parameters()).dtype
    size = batch_size if _device(model).type == "cuda" else 1
    for batch in _batches(windows, size):
        # A batch is filled up, so that its size never changes the arithmetic.
        rows = [window for window, _ in batch] + [batch[0][0]] * (size - len(batch))
        # TF32 would cost three of the digits in which devices agree.
        with torch.inference_mode(), torch.backends.cudnn.flags(allow_tf32=False):
            heads = _within_memory(hear, torch.stack(rows).to(dtype), model.network)
            first, last = border // stride, (border + STEP_FRAMES) // stride
            arrays = [head[:, first:last].cpu().numpy() for head in heads]
        for row, (_, n_frames) in enumerate(batch):
            yield tuple(array[row, : -(-n_frames // stride)] for array in arrays)


def _within_memory(
    hear: Callable[[torch.Tensor], tuple[torch.Tensor, ...]], batch: torch.Tensor, network: torch.nn.Module
) -> tuple[torch.Tensor, ...]:
    """Run a network; where a GPU's memory doesn't do, on halves of the batch, and in the end on the CPU."""
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
    held: torch.Tensor | None = None
    n_frames = 0
    for rows, count in frames:
        held = torch.cat([rows.new_full((border, rows.shape[1]), silence) if held is None else held, rows])
        n_frames += count
        while len(held) >= length and n_frames >= STEP_FRAMES:
            yield held[:length], STEP_FRAMES
            held = held[STEP_FRAMES:]
            n_frames -= STEP_FRAMES
    while held is not None and n_frames > 0:
        count = min(STEP_FRAMES, n_frames)
        wanted = -(-count // _WHOLE) * _WHOLE + 2 * border
        window = held[:wanted]
        yield torch.cat([window, window.new_full((wanted - len(window), window.shape[1]), silence)]), count
        held = held[STEP_FRAMES:]
        n_frames -= count
