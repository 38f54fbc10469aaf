"""Samples → chunks → frames → windows, on a grid of the file's own time, in flat memory.

Window ``k`` answers for the frames ``k * STEP_FRAMES`` up to the next window's, and sees ``border`` frames more at
each end, as far as the network reaches. The windows lie on this grid whatever the blocks of samples, so the result is
the same bytes however the audio is cut.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from transcribe.engine.features import FeatureConfig, LogMel
from transcribe.engine.task import Array, Frames
from transcribe.engine.tuning import Tunings, tuned

if TYPE_CHECKING:
    import torch

# 20 s at a hop of 20 ms: long enough that the borders cost little. 5 s took 12-75 % longer, 10 s up to 26 %, 40 s as
# long.
STEP_FRAMES = 1000
# Frames of a window are a multiple of this, and so of any network's stride.
WHOLE_FRAMES = 8


class Chunk(NamedTuple):
    """The samples that some frames need.

    ``n_frames`` of the frames lie within the recording; ``n_before`` lie before its beginning, and hear it.
    ``tunings``: numbers of frames in a row and the cents by which they lie above A = 440 Hz.
    """

    samples: np.ndarray
    n_before: int
    n_frames: int
    tunings: tuple[tuple[int, int], ...]


def cut_chunks(
    blocks: Iterable[np.ndarray], features: FeatureConfig, tunings: Tunings | None = None
) -> Iterator[Chunk]:
    """Cut a stream of samples on a fixed grid, ``STEP_FRAMES`` frames a chunk; in tune where ``tunings`` is None."""
    step, half, hop = STEP_FRAMES * features.hop_length, features.n_fft // 2, features.hop_length
    spill = -(-half // hop)
    tunings = tunings or Tunings()

    def chunk(samples: np.ndarray, first: int, n_frames: int) -> Chunk:
        n_before = 0 if first else spill
        n_rows = 1 + (len(samples) - features.n_fft) // hop
        found = tunings.of_frames(first - n_before, n_rows, features.sample_rate, hop)
        return Chunk(samples, n_before, n_frames, tuple(found))

    # Before the beginning there is silence.
    pending = [np.zeros(half + spill * hop, np.float32)]
    held, n_samples, n_frames = len(pending[0]), 0, 0
    for block in blocks:
        pending.append(block)
        held += len(block)
        n_samples += len(block)
        # The last span is never taken here: only the end knows what comes after it.
        if held <= features.span_samples(spill + STEP_FRAMES):
            continue
        samples = np.concatenate(pending)
        while len(samples) > (length := features.span_samples(STEP_FRAMES + (0 if n_frames else spill))):
            yield chunk(samples[:length], n_frames, STEP_FRAMES)
            samples = samples[step + (0 if n_frames else spill * hop) :]
            n_frames += STEP_FRAMES
        pending, held = [samples], len(samples)
    if not n_samples:
        return
    samples = np.concatenate(pending)
    left = features.grid.n_frames(n_samples) - n_frames
    while left > 0:
        count = min(left, STEP_FRAMES)
        left -= count
        n_before = 0 if n_frames else spill
        n_wanted = n_before + count + (0 if left else spill)
        span = samples[: features.span_samples(n_wanted)]
        yield chunk(np.pad(span, (0, features.span_samples(n_wanted) - len(span))), n_frames, count)
        samples = samples[step + n_before * hop :]
        n_frames += count


def spectrogram(chunks: Iterable[Chunk], features: FeatureConfig, device: str) -> Iterator[tuple[Array, int, int]]:
    """Transform a stream of samples chunk by chunk, as if it were in tune.

    Yields
    ------
    frames, n_before, n_frames
        Nothing but the first has frames before the recording, nothing but the last has frames beyond it: as many as
        still hear it.
    """
    for chunk in chunks:
        rows, first = [], 0
        for n_rows, cents in chunk.tunings:
            samples = chunk.samples[first * features.hop_length :][: features.span_samples(n_rows)]
            rows.append(_log_mel(features, device, cents)(samples))
            first += n_rows
        yield _joined(*rows), chunk.n_before, chunk.n_frames


def in_tune(blocks: Iterable[np.ndarray], features: FeatureConfig) -> Iterator[np.ndarray]:
    """Yield the log-mel of a stream of samples as the networks hear it: float32 (n, n_mels) of consecutive frames."""
    tunings, blocks = tuned(blocks, features.sample_rate)
    for rows, n_before, n_frames in spectrogram(cut_chunks(blocks, features, tunings), features, "cpu"):
        yield rows[n_before : n_before + n_frames]


@lru_cache(16)
def _log_mel(features: FeatureConfig, device: str, tuning: float) -> Callable[[np.ndarray], Array]:
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


def cut_windows(frames: Iterable[tuple[Array, int, int]], border: int, silence: float) -> Iterator[Frames]:
    """Cut what :func:`spectrogram` yields into windows on the grid.

    They are (frames with ``border`` at both ends, how many it answers for). The last one is no longer than it need be.
    Beyond the frames that there are stands the value of ``silence``.
    """
    length = STEP_FRAMES + 2 * border
    held: Array = None
    n_frames = 0
    for rows, n_before, count in frames:
        if held is None:
            rows = rows[max(0, n_before - border) :]
            held = _silent(rows, max(0, border - n_before), silence)
        held = _joined(held, rows)
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


def _joined(*parts: Array) -> Array:
    """Put arrays one after the other, or tensors, where they lie."""
    if len(parts) == 1:
        return parts[0]
    if isinstance(parts[0], np.ndarray):
        return np.concatenate(parts)
    import torch

    return torch.cat(parts)


def _silent(like: Array, n_frames: int, level: float) -> Array:
    """Make frames of silence, of the kind and where ``like`` is."""
    shape = n_frames, like.shape[1]
    return np.full(shape, level, like.dtype) if isinstance(like, np.ndarray) else like.new_full(shape, level)
