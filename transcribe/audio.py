"""Recordings to mono float32 samples at the rate that is asked for, in blocks; the only file that knows decoders.

soundfile (libsndfile) reads WAV, FLAC, OGG, MP3 and AIFF; PyAV (FFmpeg) whatever else: m4a, aac, opus, webm, mp4.
The samples do not depend on how the reading is cut into blocks.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from transcribe.errors import InputError

if TYPE_CHECKING:
    import soundfile

MIN_SAMPLE_RATE, MAX_SAMPLE_RATE = 1000, 384000
# What folders are searched for; a file that is named may have any suffix.
AUDIO_SUFFIXES = frozenset(
    f".{name}"
    for name in (
        *("wav", "wave", "flac", "ogg", "oga", "mp3", "aif", "aiff", "aifc", "au", "caf", "w64"),
        *("m4a", "m4b", "aac", "opus", "webm", "mp4", "mkv", "mka", "mov", "avi", "wma", "3gp"),
    )
)
# Values (frames x channels) decoded at a time. What a damaged file costs: libsndfile gives up a whole block.
BLOCK_VALUES = 1 << 14


@dataclass(frozen=True)
class Audio:
    """Mono ``samples``, float32 of shape (n_samples,), nominally within -1 … 1, at ``sample_rate`` Hz."""

    samples: np.ndarray
    sample_rate: int

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.sample_rate


class AudioReader(AbstractContextManager["AudioReader"]):
    """Read a recording block by block, mixed down to mono and resampled.

    Parameters
    ----------
    source
        A path, or ``-`` for standard input (copied to a temporary file, so that containers can be sought in).
    sample_rate
        Hz to resample to.
    block_values
        Values (frames times channels) decoded at a time. The samples don't depend on it.

    Attributes
    ----------
    duration
        Seconds that the header promises; None where it doesn't say.
    warnings
        One line for everything odd met so far: an early end, NaN, more than one sound stream.

    Raises
    ------
    InputError
        If there is no such file or nothing in it can be decoded.
    """

    def __init__(self, source: str | Path, sample_rate: int, block_values: int = BLOCK_VALUES) -> None:
        self.name = "standard input" if str(source) == "-" else Path(source).name
        self.sample_rate = sample_rate
        self.warnings: list[str] = []
        self.duration: float | None = None
        self._block_values = block_values
        self._file: IO[bytes] = _spool_stdin() if str(source) == "-" else _open(Path(source), self.name)
        try:
            self._decoder = self._open_decoder()
        except BaseException:
            self._file.close()
            raise
        self.duration = self._decoder.duration
        if self._decoder.remark:
            self._warn(self._decoder.remark)

    def _open_decoder(self) -> _SoundFileDecoder | _AvDecoder:
        self._file.seek(0, 2)
        if self._file.tell() == 0:
            raise InputError(f"{self.name}: the file is empty; record or export it again")
        self._file.seek(0)
        try:
            return _SoundFileDecoder(self._file, self._block_values)
        except _NotDecodableError:
            self._file.seek(0)
        try:
            return _AvDecoder(self._file, self._block_values)
        except _NotDecodableError as error:
            raise InputError(
                f"{self.name}: can't decode: {error}; check that it is a recording, or convert it to WAV"
            ) from None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the file."""
        self._decoder.close()
        self._file.close()

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield the samples once, in order, as float32 arrays (n_samples,) of varying length.

        A recording that breaks off gives what could be decoded and a warning; values that are not finite are
        replaced by zeros, with a warning.

        Raises
        ------
        InputError
            If the rate is outside 1-384 kHz, or nothing at all can be decoded.
        """
        import soxr

        rate = self._decoder.sample_rate
        if not MIN_SAMPLE_RATE <= rate <= MAX_SAMPLE_RATE:
            raise InputError(f"{self.name}: its sample rate of {rate} Hz is outside 1-384 kHz; resample it first")
        resampler = None if rate == self.sample_rate else soxr.ResampleStream(rate, self.sample_rate, 1, "float32")
        n_read = 0
        for block in self._decoded_blocks():
            n_read += len(block)
            samples = self._finite(block.mean(axis=1, dtype=np.float32) if block.shape[1] > 1 else block[:, 0])
            yield samples if resampler is None else resampler.resample_chunk(samples)
        if resampler is not None and n_read:
            yield resampler.resample_chunk(np.zeros(0, np.float32), last=True)
        promised = self._decoder.duration
        if promised is not None and n_read / rate < promised - max(1.0, 0.02 * promised):
            self._warn(f"the recording ends after {n_read / rate:.1f} s; its header promises {promised:.1f} s")

    def _decoded_blocks(self) -> Iterator[np.ndarray]:
        n_read = 0
        try:
            for block in self._decoder.blocks():
                n_read += len(block)
                yield block
        except _NotDecodableError as error:
            seconds = n_read / self._decoder.sample_rate
            if n_read == 0:
                raise InputError(f"{self.name}: can't decode: {error}; convert it to WAV") from None
            self._warn(f"damaged after {seconds:.1f} s ({error}); the rest is left out")

    def _finite(self, samples: np.ndarray) -> np.ndarray:
        finite = np.isfinite(samples)
        # Beyond 1e6 a value is no sample but rubbish, and its square would leave float32.
        finite &= np.abs(samples, where=finite, out=np.zeros_like(samples)) < 1e6
        if finite.all():
            return samples
        self._warn("holds values that are no numbers (NaN, infinite or absurd); they count as silence")
        return np.where(finite, samples, np.float32(0))

    def _warn(self, message: str) -> None:
        if message not in self.warnings:
            self.warnings.append(message)


def load_audio(source: str | Path, sample_rate: int) -> Audio:
    """Read a whole recording into memory; for long ones use :class:`AudioReader`.

    Raises
    ------
    InputError
        If it can't be read.
    """
    with AudioReader(source, sample_rate) as reader:
        blocks = list(reader.blocks())
    return Audio(np.concatenate(blocks) if blocks else np.zeros(0, np.float32), sample_rate)


class _NotDecodableError(Exception):
    """A decoder's refusal, its reason as one line."""


class _SoundFileDecoder:
    remark = ""

    def __init__(self, file: IO[bytes], block_values: int) -> None:
        import soundfile

        try:
            self._sound: soundfile.SoundFile = soundfile.SoundFile(file)
        except (soundfile.LibsndfileError, RuntimeError, OSError, ValueError, TypeError) as error:
            raise _NotDecodableError(_one_line(error)) from None
        self.sample_rate = int(self._sound.samplerate)
        # Streams of unknown length count as 2**63 - 1 frames.
        known = 0 < self._sound.frames < 1 << 48
        self.duration = self._sound.frames / self.sample_rate if known else None
        self._n_frames = max(1, block_values // self._sound.channels)

    def blocks(self) -> Iterator[np.ndarray]:
        import soundfile

        while True:
            try:
                block = self._sound.read(self._n_frames, dtype="float32", always_2d=True)
            except (soundfile.LibsndfileError, RuntimeError, OSError) as error:
                raise _NotDecodableError(_one_line(error)) from None
            if not len(block):
                return
            yield block

    def close(self) -> None:
        self._sound.close()


class _AvDecoder:
    remark = ""

    def __init__(self, file: IO[bytes], block_values: int) -> None:
        import av

        try:
            self._container: Any = av.open(file, mode="r", metadata_errors="replace")
        except (av.FFmpegError, OSError, ValueError) as error:
            raise _NotDecodableError(_one_line(error)) from None
        if not self._container.streams.audio:
            self._container.close()
            raise _NotDecodableError("there is no sound in it")
        self._stream = self._container.streams.audio[0]
        if len(self._container.streams.audio) > 1:
            self.remark = f"has {len(self._container.streams.audio)} sound streams; the first is taken"
        self.sample_rate = int(self._stream.codec_context.sample_rate or 0)
        length = self._container.duration
        self.duration = length / 1e6 if length and length > 0 else None
        self._n_values = block_values

    def blocks(self) -> Iterator[np.ndarray]:
        import av

        # FFmpeg makes every sample format planar float32; rate and channels stay as they are.
        resampler = av.AudioResampler(format="fltp")
        pending: list[np.ndarray] = []
        try:
            for frame in self._container.decode(self._stream):
                pending += [part.to_ndarray().T for part in resampler.resample(frame) if part.samples]
                if sum(part.size for part in pending) >= self._n_values:
                    yield np.concatenate(pending)
                    pending = []
        except (av.FFmpegError, OSError, ValueError) as error:
            if pending:
                yield np.concatenate(pending)
            raise _NotDecodableError(_one_line(error)) from None
        if pending:
            yield np.concatenate(pending)

    def close(self) -> None:
        self._container.close()


def _open(path: Path, name: str) -> IO[bytes]:
    if path.is_dir():
        raise InputError(f"{name}: is a folder, not a recording")
    try:
        return path.open("rb")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error.strerror or error}") from None


def _spool_stdin() -> IO[bytes]:
    file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by the reader
    while chunk := sys.stdin.buffer.read(1 << 20):
        file.write(chunk)
    return file


def _one_line(error: BaseException) -> str:
    text = " ".join(str(getattr(error, "strerror", None) or error).split())
    # libsndfile names the Python object it was given; nobody wants to read that.
    return text.split(">: ")[-1].strip(" .") or type(error).__name__
