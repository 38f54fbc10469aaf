"""Where the sound comes from: a microphone, or a file played at its own pace as if it came from one.

A source fills a queue from a thread of its own, block by block, and says what was lost: a sound card doesn't wait. The
file's source behaves like a card whose buffer holds a quarter of a second.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import numpy as np

from transcribe.errors import InputError, UsageError, import_optional

# Seconds of a block, and of what may wait in the queue before blocks are lost.
BLOCK = 0.01
ROOM = 4.0
# What a sound card keeps for a program that doesn't come.
CARD = 0.25


@dataclass(frozen=True)
class Block:
    """Samples in a row, float32 (n,) mono; ``lost``: how many before them never came.

    ``peak`` (0-1) is that of the card's own samples; ``clipped`` counts those at full scale.
    """

    samples: np.ndarray
    lost: int = 0
    peak: float = 0.0
    clipped: int = 0


class Source(Protocol):
    """A stream of blocks at a sample rate; a context in which it runs."""

    name: str

    def __enter__(self) -> Source: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    def next(self, timeout: float) -> Block | None:
        """Wait for the next block; None where there is none yet.

        Raises
        ------
        EOFError
            At the end of the sound.
        InputError
            If the sound breaks off.
        """

    def began(self) -> float:
        """Say when, on ``time.monotonic``'s clock, the first sample sounded."""

    def waiting(self) -> int:
        """Count the blocks that wait."""


class Queued:
    """What all sources share: a queue that loses blocks when it is full, and says so with the next."""

    def __init__(self, n_blocks: int) -> None:
        self._queue: queue.Queue[Block | BaseException] = queue.Queue(n_blocks)
        self._lost = 0
        self._began = 0.0

    def put(self, samples: np.ndarray, lost: int = 0, peak: float | None = None, clipped: int = 0) -> None:
        """Add a block from the source's thread; never waits."""
        self._lost += lost
        if peak is None:
            peak = float(np.abs(samples).max()) if len(samples) else 0.0
            clipped = int(np.count_nonzero(np.abs(samples) >= 0.999))
        try:
            self._queue.put_nowait(Block(samples, self._lost, peak, clipped))
            self._lost = 0
        except queue.Full:
            self._lost += len(samples)

    def next(self, timeout: float) -> Block | None:
        """Wait for the next block."""
        try:
            found = self._queue.get(timeout=timeout) if timeout > 0 else self._queue.get_nowait()
        except queue.Empty:
            return None
        if isinstance(found, BaseException):
            raise found
        return found

    def began(self) -> float:
        """Say when the first sample sounded."""
        return self._began

    def waiting(self) -> int:
        """Count the blocks that wait."""
        return self._queue.qsize()


class FileSource(Queued):
    """A recording, played at its own pace, or as quickly as it is heard where ``paced`` is false.

    Raises
    ------
    InputError
        If it can't be read.
    """

    def __init__(self, path: Path, sample_rate: int, paced: bool = True, max_duration: float = 24 * 3600.0) -> None:
        super().__init__(round(ROOM / BLOCK))
        from transcribe.audio.reader import AudioReader

        self.name = path.name
        self._rate, self._paced = sample_rate, paced
        self._reader = AudioReader(path, sample_rate, max_duration=max_duration)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._play, name="pitchai file", daemon=True)

    def __enter__(self) -> FileSource:
        self._began = time.monotonic()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop playing."""
        self._stopped.set()
        self._thread.join(5)
        self._reader.__exit__(None, None, None)

    def _play(self) -> None:
        try:
            blocks = _cut(self._reader.blocks(), round(BLOCK * self._rate))
            if self._paced:
                self._at_its_pace(blocks)
            else:
                for block in blocks:
                    while self._queue.full() and not self._stopped.is_set():
                        time.sleep(0.001)
                    if self._stopped.is_set():
                        return
                    self.put(block)
            self._end(EOFError())
        except BaseException as error:  # it is the main thread's to raise
            self._end(error)

    def _at_its_pace(self, blocks: Iterator[np.ndarray]) -> None:
        n_played, n_lost = 0, 0
        self._began = time.monotonic()
        for block in blocks:
            n_played += len(block)
            wait = self._began + n_played / self._rate - time.monotonic()
            if wait > 0 and self._stopped.wait(wait):
                return
            if wait < -CARD:  # nobody came for it
                n_lost += len(block)
                continue
            self.put(block, n_lost)
            n_lost = 0
        if n_lost:
            self.put(np.zeros(0, np.float32), n_lost)

    def _end(self, how: BaseException) -> None:
        while not self._stopped.is_set():
            try:
                self._queue.put(how, timeout=0.1)
                return
            except queue.Full:
                continue


class DeviceSource(Queued):
    """A sound card's input, by PortAudio: at our rate where the card has it, else resampled from its own.

    Raises
    ------
    UsageError
        If sounddevice isn't installed, or there is no such device.
    InputError
        If it can't be opened.
    """

    def __init__(self, device: str | None, sample_rate: int) -> None:
        super().__init__(round(ROOM / BLOCK))
        self._sound = sounddevice()
        self._rate = sample_rate
        self._expected: float | None = None
        self._resampler: Any = None
        chosen: int | str | None = int(device) if device is not None and device.isdigit() else device
        try:
            about = self._sound.query_devices(chosen, "input")
        except (ValueError, self._sound.PortAudioError) as error:
            wanted = "a microphone" if device is None else repr(device)
            raise UsageError(
                f"{wanted}: there is no such input ({_said(error)}); pitchai live --devices lists them"
            ) from None
        self.name = str(about["name"])
        n_channels = max(1, min(2, int(about["max_input_channels"])))
        own = round(float(about["default_samplerate"]))
        errors = []
        for rate in dict.fromkeys((sample_rate, own)):
            try:
                self._stream = self._sound.InputStream(
                    device=chosen,
                    samplerate=rate,
                    channels=n_channels,
                    dtype="float32",
                    blocksize=round(BLOCK * rate),
                    latency="low",
                    callback=self._called,
                )
                break
            except (ValueError, self._sound.PortAudioError) as error:
                errors.append(_said(error))
        else:
            raise InputError(f"{self.name}: can't be opened: {errors[-1]}; choose another --device")
        self._card_rate = rate
        if rate != sample_rate:
            import soxr

            self._resampler = soxr.ResampleStream(rate, sample_rate, 1, "float32", quality="LQ")

    def __enter__(self) -> DeviceSource:
        try:
            self._stream.start()
        except self._sound.PortAudioError as error:
            self._stream.close()
            raise InputError(f"{self.name}: can't be started: {_said(error)}; choose another --device") from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop the card."""
        self._stream.stop()
        self._stream.close()

    def _called(self, data: np.ndarray, n_frames: int, moments: Any, status: Any) -> None:
        """Take what the card has; in PortAudio's thread."""
        now = time.monotonic()
        if not self._began:
            self._began = now - n_frames / self._card_rate
        mono = data.mean(axis=1) if data.shape[1] > 1 else data[:, 0].copy()
        peak = float(np.abs(data).max()) if data.size else 0.0
        clipped = int(np.count_nonzero(np.abs(data) >= 0.999))
        lost = self._lost_before(float(moments.inputBufferAdcTime), n_frames, bool(status.input_overflow))
        if self._resampler is not None:
            mono = self._resampler.resample_chunk(mono)
        self.put(mono.astype(np.float32, copy=False), lost, peak, clipped)

    def _lost_before(self, moment: float, n_frames: int, overflowed: bool) -> int:
        """Count the samples, at our rate, that the card has lost: it says that it has, its clock says how many."""
        expected, self._expected = self._expected, moment + n_frames / self._card_rate
        if not overflowed or expected is None:
            return 0
        gap = max(moment - expected, 0.0)
        return round(max(gap, n_frames / self._card_rate) * self._rate)


def sounddevice() -> Any:
    """Import the library of sound cards.

    Raises
    ------
    UsageError
        If it isn't installed, or PortAudio isn't.
    """
    try:
        return import_optional("sounddevice", "a microphone needs sounddevice", "live")
    except OSError as error:
        raise UsageError(f"PortAudio can't be loaded: {_said(error)}; on Debian: apt install libportaudio2") from None


def devices() -> list[tuple[int, str, int, bool]]:
    """List the inputs: number, name, channels, and whether it is the default."""
    sound = sounddevice()
    default = sound.default.device[0]
    return [
        (number, str(about["name"]), int(about["max_input_channels"]), number == default)
        for number, about in enumerate(sound.query_devices())
        if about["max_input_channels"] > 0
    ]


def _cut(blocks: Iterator[np.ndarray], length: int) -> Iterator[np.ndarray]:
    """Cut a stream into blocks of one length; the last may be shorter."""
    held = np.zeros(0, np.float32)
    for block in blocks:
        held = np.concatenate([held, block])
        n_whole = len(held) // length * length
        yield from held[:n_whole].reshape(-1, length)
        held = held[n_whole:]
    if len(held):
        yield held


def _said(error: BaseException) -> str:
    return " ".join(str(error).split())[:160]
