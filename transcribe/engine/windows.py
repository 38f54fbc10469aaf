"""Samples → chunks → frames → windows, on a grid of the file's own time, in flat memory.

Window ``k`` answers for the frames ``k * STEP_FRAMES`` up to the next window's, and sees ``border`` frames more at
each end, as far as the network reaches. The windows lie on this grid whatever the blocks of samples, so the result is
the same bytes however the audio is cut.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from transcribe.engine.features import FeatureConfig, LogMel

if TYPE_CHECKING:
    import torch

# 20 s at a hop of 20 ms: long enough that the borders cost little. 5 s took 12-75 % longer, 10 s up to 26 %, 40 s as
# long.
STEP_FRAMES = 1000
# Frames of a window are a multiple of this, and so of any network's stride.
WHOLE_FRAMES = 8

# The samples that some frames need, and how many of the frames lie within the recording
Chunk = tuple[np.ndarray, int]
# (n, n_mels), on a GPU a tensor; and how many of them lie within the recording
Frames = tuple[Any, int]


def cut_chunks(blocks: Iterable[np.ndarray], features: FeatureConfig) -> Iterator[Chunk]:
    """Cut a stream of samples on a fixed grid, ``STEP_FRAMES`` frames a chunk."""
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


def spectrogram(chunks: Iterable[Chunk], features: FeatureConfig, device: str, tuning: float = 0.0) -> Iterator[Frames]:
    """Transform a stream of samples chunk by chunk.

    Yields
    ------
    Frames
        Nothing but the last has frames beyond the recording: as many as still hear its end.
    """
    log_mel = _log_mel(features, device, tuning)
    for samples, n_frames in chunks:
        yield log_mel(samples), n_frames


@lru_cache(16)
def _log_mel(features: FeatureConfig, device: str, tuning: float) -> Callable[[np.ndarray], Any]:
    """Build what transforms samples on a device; the filters take as long as hearing a second of audio."""
    if device == "cpu":
        return LogMel(features, tuning)
    import torch

    from transcribe.engine.torch_backend import TorchLogMel

    transform = TorchLogMel(features, tuning).to(device)

    def there(samples: np.ndarray) -> torch.Tensor:
        with torch.inference_mode():
            found: torch.Tensor = transform(torch.tensor(samples, device=device))
        return found

    return there


def cut_windows(frames: Iterable[Frames], border: int, features: FeatureConfig) -> Iterator[Frames]:
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
