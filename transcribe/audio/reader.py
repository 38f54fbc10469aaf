"""Recordings to mono float32 samples at the rate that is asked for, in blocks; their level.

The samples do not depend on how the reading is cut into blocks.
"""

from __future__ import annotations

import math
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np

from transcribe.audio.decoding import Decoder, NotDecodableError
from transcribe.audio.isolated import IsolatedDecoder, open_isolated
from transcribe.errors import InputError

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
# More channels than samples are samples that lie the other way round.
_MOST_CHANNELS = 64
# A peak under -80 dBFS is silence.
SILENCE = 1e-4
# A peak under -40 dBFS. Of the notes of three real piano recordings, turned down to it, the small and the medium
# network miss 1-3 % more than at full level; at -50 dBFS 2-9 %, at -60 6-27 %.
_QUIET = 1e-2
# A peak above is that of another scale than -1 ... 1.
_OTHER_SCALE = 16.0
# Samples that reach full scale: more than this share of them is clipping. Floats beyond twice of it aren't clipped.
_CLIPPED_SHARE, _UNCLIPPED = 1e-3, 2.0
# Channels are mixed anew every second. Where their mean has less than this share of their power, they cancel each
# other: those of spaced microphones have half, of one that is turned over none.
_MIX_SECONDS, _CANCELLED, _FADE_SECONDS = 1.0, 0.1, 0.02


@dataclass(frozen=True)
class Audio:
    """Mono ``samples``, float32 of shape (n_samples,), nominally within -1 … 1, at ``sample_rate`` Hz."""

    samples: np.ndarray
    sample_rate: int

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.sample_rate


@dataclass(frozen=True)
class Excerpt:
    """What of a recording is heard: from ``start`` to ``end``, in seconds of its own time.

    Raises
    ------
    ValueError
        If it has no length.
    """

    start: float = 0.0
    end: float = math.inf

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end:
            raise ValueError(f"an excerpt ends after it begins: {self.start:g} s, {self.end:g} s")


WHOLE = Excerpt()


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
    isolated
        Decode in a process of its own, which may crash (:mod:`transcribe.audio.isolated`).
    excerpt
        What is read of it; ``max_duration`` is that of the excerpt then.

    Attributes
    ----------
    duration
        Seconds of the excerpt, by what the header promises; None where it doesn't say.
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
        isolated: bool = False,
        excerpt: Excerpt = WHOLE,
    ) -> None:
        self.name = "standard input" if str(source) == "-" else Path(source).name
        self.sample_rate = sample_rate
        self.warnings: list[str] = []
        self.duration: float | None = None
        self._block_values = block_values
        self._file = _spool(sys.stdin, self.name) if str(source) == "-" else _open(Path(source), self.name)
        try:
            self._decoder = self._open_decoder(open_isolated if isolated else Decoder)
        except BaseException:
            self._file.close()
            raise
        self._excerpt = excerpt
        self._max_duration = max_duration
        length = self._decoder.duration
        self.duration = None if length is None else max(0.0, min(length, excerpt.end) - excerpt.start)
        if self.duration is not None and self.duration > max_duration:
            self._decoder.close()
            self._file.close()
            raise self._too_long(f"says that it lasts {_span(self.duration)}, more than")

    def _too_long(self, what: str) -> InputError:
        return InputError(
            f"{self.name}: {what} the {_span(self._max_duration)} that are read; --max-duration allows more"
        )

    def _open_decoder(self, opened: Callable[[IO[bytes], int], Decoder | IsolatedDecoder]) -> Decoder | IsolatedDecoder:
        if self._file.seek(0, 2) == 0:
            raise InputError(f"{self.name}: the file is empty; record or export it again")
        try:
            return opened(self._file, self._block_values)
        except NotDecodableError as error:
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
            If the rate is outside 1-384 kHz, nothing at all can be decoded, it is too long, or ends before its excerpt.
        """
        import soxr

        rate = self._decoder.sample_rate
        if not MIN_SAMPLE_RATE <= rate <= MAX_SAMPLE_RATE:
            raise InputError(f"{self.name}: its sample rate of {rate} Hz is outside 1-384 kHz; resample it first")
        resampler = None if rate == self.sample_rate else soxr.ResampleStream(rate, self.sample_rate, 1, "float32")
        n_read = 0
        mixer = Mixer(rate)
        for block in self._excerpted(self._decoded_blocks(), rate):
            n_read += len(block)
            if n_read > self._max_duration * rate:
                raise self._too_long("lasts longer than")
            for samples in mixer.mixed(self._finite(block)):
                yield samples if resampler is None else resampler.resample_chunk(samples)
        for samples in mixer.rest():
            yield samples if resampler is None else resampler.resample_chunk(samples)
        if resampler is not None and n_read:
            yield resampler.resample_chunk(np.zeros(0, np.float32), last=True)
        for remark in (*self._decoder.remarks, *mixer.remarks()):
            self._warn(remark)

    def _decoded_blocks(self) -> Iterator[np.ndarray]:
        try:
            yield from self._decoder.blocks()
        except NotDecodableError as error:
            raise InputError(f"{self.name}: can't decode: {error}; convert it to WAV") from None

    def _excerpted(self, blocks: Iterable[np.ndarray], rate: int) -> Iterator[np.ndarray]:
        """Pass on what lies within the excerpt; what follows isn't decoded."""
        first, n_passed = round(self._excerpt.start * rate), 0
        last = None if math.isinf(self._excerpt.end) else round(self._excerpt.end * rate)
        for block in blocks:
            kept = block[max(first - n_passed, 0) : None if last is None else max(last - n_passed, 0)]
            n_passed += len(block)
            if len(kept):
                yield kept
            if last is not None and n_passed >= last:
                return
        if first and n_passed <= first:
            raise InputError(f"{self.name}: lasts {_span(n_passed / rate)}; --start lies behind its end")

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


class Level:
    """The count, peak and clipping of values, before channels are mixed."""

    def __init__(self) -> None:
        self.n_values = 0
        self.n_clipped = 0
        self.peak = 0.0

    def add(self, block: np.ndarray) -> None:
        """Count values of any shape."""
        if block.size:
            size = np.abs(block)
            self.n_values += block.size
            self.n_clipped += int(np.count_nonzero(size >= 0.999))
            self.peak = max(self.peak, float(size.max()))

    def remarks(self) -> Iterator[str]:
        """Say what is wrong with the level; silence isn't judged here."""
        share = self.n_clipped / max(self.n_values, 1)
        if share > _CLIPPED_SHARE and self.peak < _UNCLIPPED:
            yield f"clipped: {share:.1%} of the samples are at full scale"
        if self.peak > _OTHER_SCALE:
            yield f"its samples reach {self.peak:.0f}, where 1 is full scale: expect wrong notes; convert it to 16 bits"
        if SILENCE <= self.peak < _QUIET:
            decibels = 20 * math.log10(self.peak)
            yield f"very quiet: it peaks at {decibels:.0f} dB of full scale, soft notes may be lost; make it louder"


class Mixer:
    """Channels to mono: their mean, but where they cancel each other, those that run against the loudest turned over.

    Decided for every second of the recording's own time, whatever the blocks.
    """

    def __init__(self, sample_rate: int) -> None:
        self.level = Level()
        self._length = round(_MIX_SECONDS * sample_rate)
        self._n_fade = round(_FADE_SECONDS * sample_rate)
        self._held: list[np.ndarray] = []
        self._n_held = 0
        self._signs: np.ndarray | None = None
        self._n_turned = 0

    def mixed(self, block: np.ndarray) -> Iterator[np.ndarray]:
        """Take (n, n_channels), yield (n,), some of it later."""
        self.level.add(block)
        if self._held and self._held[0].shape[1] != block.shape[1]:
            yield from self.rest()
        if block.shape[1] == 1:
            self._signs = None
            yield block[:, 0]
            return
        self._held.append(block)
        self._n_held += len(block)
        if self._n_held < self._length:
            return
        samples = np.concatenate(self._held)
        n_whole = self._n_held - self._n_held % self._length
        for first in range(0, n_whole, self._length):
            yield self._mix(samples[first : first + self._length])
        self._held, self._n_held = [samples[n_whole:]], self._n_held - n_whole

    def rest(self) -> Iterator[np.ndarray]:
        """Yield what is left in the end, and begin anew."""
        if self._n_held:
            yield self._mix(np.concatenate(self._held))
        self._held, self._n_held = [], 0

    def remarks(self) -> Iterator[str]:
        """Say what is wrong with the level, and how the channels were mixed."""
        yield from self.level.remarks()
        if self._n_turned:
            seconds = self._n_turned / self._length * _MIX_SECONDS
            yield f"its channels are out of phase for {seconds:.1f} s: there one is turned over, so that both are heard"

    def _mix(self, block: np.ndarray) -> np.ndarray:
        mean: np.ndarray = block.mean(axis=1, dtype=np.float32)
        signs = None
        power = float(np.mean(np.square(block)))
        if float(np.mean(np.square(mean))) < _CANCELLED * power:
            covariance = np.cov(block.T.astype(np.float64), bias=True)
            loudest = int(np.argmax(np.diag(covariance)))
            signs = np.where(covariance[loudest] < 0, -1.0, 1.0)
            # Always the same channel is left as it is, so that a change of the loudest is none of the mix.
            signs = (signs * signs[0]).astype(np.float32)
            self._n_turned += len(block)
        before, self._signs = self._signs, signs
        if before is None and signs is None:
            return mean
        turned = mean if signs is None else (block * signs).mean(axis=1, dtype=np.float32)
        old = mean if before is None else (block * before).mean(axis=1, dtype=np.float32)
        fade = np.minimum(np.arange(len(block), dtype=np.float32) / max(self._n_fade, 1), 1)
        mix: np.ndarray = old + fade * (turned - old)
        return mix


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


class MeteredBlocks:
    """Pass blocks of mono samples on; keep their count and peak."""

    def __init__(self, blocks: Iterable[np.ndarray]) -> None:
        self._blocks = blocks
        self.n_samples = 0
        self.peak = 0.0

    @property
    def silent(self) -> bool:
        """Whether nothing has sounded so far."""
        return self.peak < SILENCE

    def __iter__(self) -> Iterator[np.ndarray]:
        for block in self._blocks:
            if len(block):
                self.n_samples += len(block)
                self.peak = max(self.peak, float(np.abs(block).max()))
            yield block


def resampled(samples: np.ndarray, sample_rate: int, wanted_rate: int, mixer: Mixer | None = None) -> np.ndarray:
    """Mix samples down, as ``mixer`` does and keeps account of, and bring them to another rate.

    Raises
    ------
    ValueError
        If the shape, the type or the rate is wrong, or a value isn't finite.
    """
    if sample_rate <= 0:
        raise ValueError("sample_rate must be positive")
    mono = _to_mono(samples, mixer or Mixer(sample_rate))
    if sample_rate != wanted_rate:
        import soxr

        mono = soxr.resample(mono, sample_rate, wanted_rate)
    return mono


def _to_mono(samples: np.ndarray, mixer: Mixer) -> np.ndarray:
    array = np.asarray(samples)
    if array.ndim not in (1, 2) or not np.issubdtype(array.dtype, np.floating):
        raise ValueError("samples must be floats of shape (n_samples,) or (n_samples, n_channels)")
    if array.ndim == 2:
        if array.shape[1] == 0:
            raise ValueError("samples have no channels")
        if array.shape[1] > max(array.shape[0], _MOST_CHANNELS):
            raise ValueError(f"samples of shape {array.shape} have their channels first; pass samples.T")
    if not np.isfinite(array).all():
        raise ValueError("samples must be finite; replace NaN and infinity first")
    columns = np.ascontiguousarray(array[:, None] if array.ndim == 1 else array, np.float32)
    return np.concatenate([np.zeros(0, np.float32), *mixer.mixed(columns), *mixer.rest()])
