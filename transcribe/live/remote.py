"""Sound that comes from elsewhere: a browser's microphone, block by block.

A block is the place of its first sample in the stream, a whole number of four bytes, and samples of 16 bits, mono; both
have their low byte first. Samples that were never sent are seen by the places.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from queue import Full
from types import TracebackType
from typing import Any

import numpy as np

from transcribe.errors import InputError
from transcribe.live.sources import BLOCK, ROOM, Block, Queued

#: Hz that a microphone may have, the least and the most.
RATES = (8_000, 192_000)
#: Bytes of a block at the most.
LONGEST = 1 << 16
_HEAD = 4
_FULL_SCALE = 32_768
# The same of a sound card's samples: see Queued.put.
_CLIPPED = round(0.999 * _FULL_SCALE)
# Seconds by which the sound may be ahead of the clock: a network holds blocks back and lets them go together.
_AHEAD = 5.0


class RemoteSource(Queued):
    """Blocks that are pushed, made what the engine hears.

    Parameters
    ----------
    rate
        Of the samples that come, in Hz.
    sample_rate
        Of those that are given, in Hz.
    record
        Given the samples as they came, int16 (n,), with zeros for those that didn't.
    """

    def __init__(self, rate: int, sample_rate: int, record: Callable[[np.ndarray], None] | None = None) -> None:
        super().__init__(round(ROOM / BLOCK))
        self.name = "remote"
        self._given, self._rate, self._record = rate, sample_rate, record
        self._place, self._first = 0, 0.0
        self._resampler: Any = None
        if rate != sample_rate:
            import soxr

            self._resampler = soxr.ResampleStream(rate, sample_rate, 1, "float32", quality="LQ")

    def __enter__(self) -> RemoteSource:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Nothing is held."""

    def push(self, content: bytes) -> None:
        """Take a block; never waits.

        Raises
        ------
        InputError
            If it is none, comes twice, or comes sooner than it can have sounded.
        """
        n_samples, rest = divmod(len(content) - _HEAD, 2)
        if n_samples < 1 or rest or len(content) > LONGEST:
            raise InputError("a block is a place of 4 bytes and samples of 16 bits")
        (place,) = struct.unpack_from("<I", content)
        if place < self._place:
            raise InputError("a block came twice")
        end, now = place + n_samples, time.monotonic()
        began = now - end / self._given
        if not self._place:
            self._first = self._began = now - n_samples / self._given
        if began < self._first - _AHEAD:
            raise InputError("the sound comes sooner than it can have sounded")
        # What was held back on the way least says best when it began.
        self._began = min(self._began, began)
        lost, self._place = place - self._place, end
        samples = np.frombuffer(content, "<i2", offset=_HEAD)
        high = np.abs(samples.astype(np.int32))
        self.put(samples, lost, float(high.max()) / _FULL_SCALE, int(np.count_nonzero(high >= _CLIPPED)))

    def end(self, timeout: float) -> None:
        """Say that no more comes; waits until there is room for that word, so many seconds at the most."""
        try:
            self._queue.put(EOFError(), timeout=timeout)
        except Full:
            return

    def next(self, timeout: float) -> Block | None:
        """Wait for the next block."""
        block = super().next(timeout)
        if block is None:
            return None
        if self._record is not None:
            for first in range(0, block.lost, self._given):
                self._record(np.zeros(min(self._given, block.lost - first), np.int16))
            self._record(block.samples)
        samples = block.samples.astype(np.float32) / _FULL_SCALE
        if self._resampler is not None:
            samples = self._resampler.resample_chunk(samples).astype(np.float32, copy=False)
        return Block(samples, round(block.lost * self._rate / self._given), block.peak, block.clipped)
