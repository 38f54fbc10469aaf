"""Windows → network → stitched activations, for audio of any length in flat memory.

Window ``k`` answers for the frames ``k * STEP_FRAMES`` up to the next window's, and sees ``border`` frames more at
each end, as far as the network reaches. The windows lie on this grid whatever the blocks of samples, so the result is
the same bytes however the audio is cut.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

import numpy as np
import torch

from transcribe.chords import ChordActivations
from transcribe.decoding import Activations
from transcribe.errors import UsageError
from transcribe.features import FeatureConfig, LogMel
from transcribe.weights import ChordsModel, NotesModel

# 20 s at a hop of 20 ms: long enough that the borders cost little, short enough for the processor's cache; 10 s and
# 40 s took 5-40 % longer.
STEP_FRAMES = 1000
# Windows that a GPU takes at once.
GPU_BATCH = 16


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


def infer(blocks: Iterable[np.ndarray], model: NotesModel, batch_size: int = GPU_BATCH) -> Iterator[Activations]:
    """Run a notes network over a stream of samples.

    Parameters
    ----------
    blocks
        float32 arrays (n_samples,) of any lengths, mono, at ``model.features.sample_rate``.
    model
        From :func:`transcribe.weights.load_notes_model`; where its network lies, the work is done.
    batch_size
        Windows that a GPU takes at once. A CPU takes one at a time: a batch would only leave its cache.

    Yields
    ------
    Activations
        Of consecutive frames, ``ceil(n_samples / hop_length)`` in all; nothing for no samples.
    """

    def hear(log_mel: torch.Tensor) -> tuple[torch.Tensor, ...]:
        logits = model.network(log_mel)
        heads = (logits.onset, logits.frame, logits.offset, logits.velocity, logits.pedal)
        return tuple(head.sigmoid() for head in heads)

    border, grid = model.network.border, model.features.grid
    for onset, frame, offset, velocity, pedal in _run(blocks, hear, model.features, border, _device(model), batch_size):
        yield Activations(onset, frame, offset, velocity, pedal, grid)


def infer_chords(
    blocks: Iterable[np.ndarray], model: ChordsModel, batch_size: int = GPU_BATCH
) -> Iterator[ChordActivations]:
    """Run a chords network over a stream of samples; see :func:`infer` for the parameters.

    Yields
    ------
    ChordActivations
        Of consecutive steps: as many as it takes to cover the frames; nothing for no samples.
    """
    stride, border = model.network.config.stride, model.network.border

    def hear(log_mel: torch.Tensor) -> tuple[torch.Tensor, ...]:
        logits = model.network(log_mel)
        return logits.chord.softmax(-1), logits.bass.softmax(-1)

    for chord, bass in _run(blocks, hear, model.features, border, _device(model), batch_size, stride):
        yield ChordActivations(chord, bass, model.features.grid, stride)


def _device(model: NotesModel | ChordsModel) -> torch.device:
    return next(model.network.parameters()).device


def _run(
    blocks: Iterable[np.ndarray],
    hear: Callable[[torch.Tensor], tuple[torch.Tensor, ...]],
    features: FeatureConfig,
    border: int,
    device: torch.device,
    batch_size: int,
    stride: int = 1,
) -> Iterator[tuple[np.ndarray, ...]]:
    """Run a network, of ``stride`` frames a step, over windows: what it hears, without the borders."""
    log_mel = LogMel(features, device)
    size = batch_size if device.type == "cuda" else 1
    windows = _windows(blocks, features, border, log_mel)
    while batch := list(islice(windows, size)):
        # A batch is filled up, so that its size never changes the arithmetic.
        samples = np.zeros((size, len(batch[0][0])), np.float32)
        for row, (window, _) in enumerate(batch):
            samples[row] = window
        # TF32 would cost three of the digits in which devices agree.
        with torch.inference_mode(), torch.backends.cudnn.flags(allow_tf32=False):
            heads = hear(log_mel(torch.from_numpy(samples).to(device)))
            first, last = border // stride, (border + STEP_FRAMES) // stride
            arrays = [head[:, first:last].float().cpu().numpy() for head in heads]
        for row, (_, n_frames) in enumerate(batch):
            yield tuple(array[row, : -(-n_frames // stride)] for array in arrays)


def _windows(
    blocks: Iterable[np.ndarray], features: FeatureConfig, border: int, log_mel: LogMel
) -> Iterator[tuple[np.ndarray, int]]:
    """Cut samples into windows on the grid: (samples with their borders, frames that it answers for)."""
    hop_length = features.hop_length
    length = log_mel.span_samples(STEP_FRAMES + 2 * border)
    step = STEP_FRAMES * hop_length
    # Before the first frame there is silence.
    pending = [np.zeros(border * hop_length + features.n_fft // 2, np.float32)]
    held, n_samples, n_frames = len(pending[0]), 0, 0
    for block in blocks:
        pending.append(block)
        held += len(block)
        n_samples += len(block)
        if held < length:
            continue
        samples = np.concatenate(pending)
        while len(samples) >= length:
            yield samples[:length], STEP_FRAMES
            samples = samples[step:]
            n_frames += STEP_FRAMES
        pending, held = [samples], len(samples)
    samples = np.concatenate(pending)
    while n_frames < features.grid.n_frames(n_samples):
        count = min(STEP_FRAMES, features.grid.n_frames(n_samples) - n_frames)
        yield np.pad(samples[:length], (0, max(0, length - len(samples)))), count
        samples = samples[step:]
        n_frames += count
