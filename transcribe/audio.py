"""Recordings to mono float32 samples at the rate that is asked for, in blocks; the only file that knows decoders.

soundfile (libsndfile) reads WAV, FLAC, OGG, MP3 and AIFF; PyAV (FFmpeg) whatever else: m4a, aac, opus, webm, mp4.
The samples do not depend on how the reading is cut into blocks.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
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
# A small file can unpack to years of silence: longer ones must be allowed, in seconds.
MAX_DURATION = 24 * 3600.0
# A stream without an end must leave the disk some room, in bytes.
_ROOM_LEFT = 1 << 28
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
    max_duration
        Seconds; what lasts longer, or says so, is refused.

    Attributes
    ----------
    duration
        Seconds that the header promises; None where it doesn't say.
    warnings
        One line for everything odd met so far: an early end, NaN, more than one sound stream.

    Raises
    ------
    InputError
        If there is no such file, nothing in it can be decoded, or it says that it is too long.
    """

    def __init__(
        self,
        source: str | Path,
        sample_rate: int,
        block_values: int = BLOCK_VALUES,
        max_duration: float = MAX_DURATION,
    ) -> None:
        self.name = "standard input" if str(source) == "-" else Path(source).name
        self.sample_rate = sample_rate
        self.warnings: list[str] = []
        self.duration: float | None = None
        self._block_values = block_values
        self._file = _spool(sys.stdin, self.name) if str(source) == "-" else _open(Path(source), self.name)
        try:
            self._decoder = self._open_decoder()
        except BaseException:
            self._file.close()
            raise
        self.duration = self._decoder.duration
        self._max_duration = max_duration
        if self.duration is not None and self.duration > max_duration:
            self._decoder.close()
            self._file.close()
            raise self._too_long(f"says that it lasts {_span(self.duration)}, more than")
        if self._decoder.remark:
            self._warn(self._decoder.remark)

    def _too_long(self, what: str) -> InputError:
        return InputError(
            f"{self.name}: {what} the {_span(self._max_duration)} that are read; --max-duration allows more"
        )

    def _open_decoder(self) -> _SoundFileDecoder | _AvDecoder:
        if self._file.seek(0, 2) == 0:
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
            If the rate is outside 1-384 kHz, nothing at all can be decoded, or it is too long.
        """
        import soxr

        rate = self._decoder.sample_rate
        if not MIN_SAMPLE_RATE <= rate <= MAX_SAMPLE_RATE:
            raise InputError(f"{self.name}: its sample rate of {rate} Hz is outside 1-384 kHz; resample it first")
        resampler = None if rate == self.sample_rate else soxr.ResampleStream(rate, self.sample_rate, 1, "float32")
        n_read = 0
        for block in self._decoded_blocks():
            n_read += len(block)
            if n_read > self._max_duration * rate:
                raise self._too_long("lasts longer than")
            samples = _mixed_down(self._finite(block))[:, 0]
            yield samples if resampler is None else resampler.resample_chunk(samples)
        if resampler is not None and n_read:
            yield resampler.resample_chunk(np.zeros(0, np.float32), last=True)
        promised = self._decoder.promised
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
        # Beyond 1e6 a value is no sample but rubbish, and its square would leave float32. NaN compares as False.
        finite = np.abs(samples) < 1e6
        if finite.all():
            return samples
        self._warn("holds values that are no numbers (NaN, infinite or absurd); they count as silence")
        return np.where(finite, samples, np.float32(0))

    def _warn(self, message: str) -> None:
        if message not in self.warnings:
            self.warnings.append(message)


def _span(seconds: float) -> str:
    return f"{seconds / 3600:.4g} hours" if seconds >= 3600 else f"{seconds:.4g} seconds"


def load_audio(source: str | Path, sample_rate: int, max_duration: float = MAX_DURATION) -> Audio:
    """Read a whole recording into memory; for long ones use :class:`AudioReader`.

    Raises
    ------
    InputError
        If it can't be read.
    """
    with AudioReader(source, sample_rate, max_duration=max_duration) as reader:
        blocks = list(reader.blocks())
    return Audio(np.concatenate(blocks) if blocks else np.zeros(0, np.float32), sample_rate)


class _NotDecodableError(Exception):
    """A decoder's refusal, its reason as one line."""


class _SoundFileDecoder:
    def __init__(self, file: IO[bytes], block_values: int) -> None:
        import soundfile

        try:
            self._sound: soundfile.SoundFile = soundfile.SoundFile(_Forgiving(file))
        except (soundfile.LibsndfileError, RuntimeError, OSError, ValueError, TypeError) as error:
            raise _NotDecodableError(_one_line(error)) from None
        self.sample_rate = int(self._sound.samplerate)
        # Streams of unknown length count as 2**63 - 1 frames.
        known = 0 < self._sound.frames < 1 << 48
        self.duration = self._sound.frames / self.sample_rate if known else None
        self.promised = self.duration
        self.remark = ""
        # libsndfile mends the length of a file that breaks off, and says so in its log only.
        if re.search(r"^ *(data|SSND) : .*should be", self._sound.extra_info, re.MULTILINE) or (
            self._sound.format == "OGG" and _ogg_breaks_off(file)
        ):
            self.remark = "the recording breaks off before the end that its header promises"
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


class _Forgiving:
    """A file that stays where it is when a damaged header makes libsndfile seek out of it, instead of raising."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.tell, self.read = file.tell, file.read

    def seek(self, offset: int, whence: int = 0) -> int:
        with contextlib.suppress(OSError, ValueError):
            self._file.seek(offset, whence)
        return self._file.tell()


def _ogg_breaks_off(file: IO[bytes]) -> bool:
    """Whether the last page of an Ogg file lacks the mark of the end of its stream."""
    position = file.tell()
    file.seek(max(0, file.seek(0, 2) - (1 << 17)))
    tail = file.read()
    file.seek(position)
    page = tail.rfind(b"OggS")
    return 0 <= page < len(tail) - 5 and not tail[page + 5] & 4


class _AvDecoder:
    # A container's length is that of its video, or guessed from a bit rate: nothing that is promised.
    promised: float | None = None

    def __init__(self, file: IO[bytes], block_values: int) -> None:
        import av

        try:
            # Titles in odd encodings are no reason to refuse a recording; from PyAV 19 on they never are.
            tolerant: dict[str, Any] = {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}
            # A file that names others (a playlist) opens none of them, on this machine or elsewhere.
            alone = {"protocol_whitelist": "pipe"}
            self._container: Any = av.open(file, mode="r", options=alone, **tolerant)
        except (av.FFmpegError, OSError, ValueError) as error:
            raise _NotDecodableError(_one_line(error)) from None
        if self._container.format.name in ("hls", "concat", "dash"):
            self._container.close()
            raise _NotDecodableError("it is a playlist, which holds no sound itself")
        streams = self._container.streams.audio
        if not streams:
            self._container.close()
            raise _NotDecodableError("there is no sound in it")
        self.remark = f"has {len(streams)} sound streams; the first is taken" if len(streams) > 1 else ""
        self._stream = streams[0]
        if self._stream.codec_context is None:
            self._container.close()
            raise _NotDecodableError("its codec is unknown")
        self.sample_rate = int(self._stream.codec_context.sample_rate or 0)
        length, unit = self._stream.duration, self._stream.time_base
        self.duration = float(length * unit) if length and length > 0 and unit else None
        self._n_values = block_values

    def blocks(self) -> Iterator[np.ndarray]:
        import av

        pending: list[np.ndarray] = []
        try:
            for part in self._parts():
                pending.append(part)
                if sum(len(p) for p in pending) >= self._n_values:
                    yield np.concatenate(pending)
                    pending = []
        except (av.FFmpegError, OSError, ValueError) as error:
            if pending:
                yield np.concatenate(pending)
            raise _NotDecodableError(_one_line(error)) from None
        if pending:
            yield np.concatenate(pending)

    def _parts(self) -> Iterator[np.ndarray]:
        """Yield frames as mono (n, 1) at the rate the stream began with, whatever it changes to on the way."""
        import av

        kind, resampler = None, None
        for frame in self._container.decode(self._stream):
            if (frame.sample_rate, frame.layout.name, frame.format.name) != kind:
                if resampler is not None:
                    yield from map(_of_frame, resampler.resample(None))
                kind = (frame.sample_rate, frame.layout.name, frame.format.name)
                # Packed, not planar: of planes PyAV knows eight, and reads beyond them.
                resampler = av.AudioResampler(format="flt", layout=frame.layout, rate=self.sample_rate)
            assert resampler is not None
            yield from map(_of_frame, resampler.resample(frame))
        if resampler is not None:
            yield from map(_of_frame, resampler.resample(None))

    def close(self) -> None:
        self._container.close()


def _of_frame(frame: Any) -> np.ndarray:
    """Take the samples of a packed frame as mono, (n, 1)."""
    return _mixed_down(frame.to_ndarray().reshape(-1, len(frame.layout.channels)))


def _mixed_down(block: np.ndarray) -> np.ndarray:
    """Average the channels: (n, n_channels) -> (n, 1)."""
    return block if block.shape[1] == 1 else block.mean(axis=1, keepdims=True, dtype=np.float32)


def _open(path: Path, name: str) -> IO[bytes]:
    try:
        if path.is_dir():
            raise InputError(f"{path}: is a folder without recordings; --recursive searches the folders in it too")
        file = path.open("rb")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{name}: can't be read: {getattr(error, 'strerror', None) or error}") from None
    if file.seekable():
        return file
    with file:
        return _spool(file, name)


def _spool(stream: IO[Any] | None, name: str) -> IO[bytes]:
    """Copy a stream to a temporary file: containers want to be sought in."""
    if stream is None:
        raise InputError(f"{name}: is closed; give a file")
    stream = getattr(stream, "buffer", stream)
    copied = 0
    file: IO[bytes] | None = None
    try:
        file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by the reader
        while chunk := stream.read(1 << 22):
            file.write(chunk)
            copied += len(chunk)
            if copied > _ROOM_LEFT and shutil.disk_usage(tempfile.gettempdir()).free < _ROOM_LEFT:
                raise OSError(None, "no end in sight, and the disk is nearly full; give a file")
    except OSError as error:
        if file is not None:
            file.close()
        raise InputError(f"{name}: can't be copied to a temporary file: {error.strerror or error}") from None
    return file


def _one_line(error: BaseException) -> str:
    text = " ".join(str(getattr(error, "strerror", None) or error).split())
    # libsndfile names the Python object it was given; nobody wants to read that.
    return text.split(">: ")[-1].strip(" .") or type(error).__name__


# A peak under -80 dBFS is silence.
SILENCE = 1e-4


class Level:
    """Pass blocks on and keep their count, peak and clipping."""

    def __init__(self, blocks: Iterable[np.ndarray]) -> None:
        self._blocks = blocks
        self.n_samples = 0
        self.n_clipped = 0
        self.peak = 0.0

    @property
    def silent(self) -> bool:
        """Whether nothing has sounded so far."""
        return self.peak < SILENCE

    def __iter__(self) -> Iterator[np.ndarray]:
        for block in self._blocks:
            if len(block):
                size = np.abs(block)
                self.n_samples += len(block)
                self.n_clipped += int(np.count_nonzero(size >= 0.999))
                self.peak = max(self.peak, float(size.max()))
            yield block


def resampled(samples: np.ndarray, sample_rate: int, wanted_rate: int) -> np.ndarray:
    """Mix samples down and bring them to another rate.

    Raises
    ------
    ValueError
        If the shape, the type or the rate is wrong, or a value isn't finite.
    """
    mono = _to_mono(samples)
    if sample_rate <= 0:
        raise ValueError("sample_rate must be positive")
    if sample_rate != wanted_rate:
        import soxr

        mono = soxr.resample(mono, sample_rate, wanted_rate)
    return mono


def _to_mono(samples: Any) -> np.ndarray:
    array = np.asarray(samples)
    if array.ndim not in (1, 2) or not np.issubdtype(array.dtype, np.floating):
        raise ValueError("samples must be floats of shape (n_samples,) or (n_samples, n_channels)")
    if array.ndim == 2:
        if array.shape[1] == 0:
            raise ValueError("samples have no channels")
        array = array.mean(axis=1)
    if not np.isfinite(array).all():
        raise ValueError("samples must be finite; replace NaN and infinity first")
    return np.ascontiguousarray(array, np.float32)
