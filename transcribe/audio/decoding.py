"""What decodes recordings: libsndfile (soundfile) for WAV, FLAC, OGG, MP3 and AIFF, FFmpeg (PyAV) for whatever else.

The first decoder's word isn't final: where libsndfile gives less than the header promises, FFmpeg goes on. Its
time stamps are obeyed: sound that starts late, and gaps, become silence.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from transcribe.audio.containers import Part, Window, find_parts, is_known

if TYPE_CHECKING:
    import av
    import soundfile

# Time stamps that are off by less are rounded, or those of Vorbis, whose packets overlap; in seconds.
_JITTER = 0.03
# What isn't worth a word, in seconds: the delay of an encoder, a rounded length.
_UNSAID = 0.1
# A gap may lead so far beyond the length that the container names, and be so long where it names none, in seconds.
_BEYOND, _LONGEST_GAP = 1.0, 600.0
# Silence is given out so many samples at a time.
_SILENCE = 1 << 16
# Full scales of integers of 8, 16, 24 and 32 bits, which floats may have been written in.
_FULL_SCALES = tuple(2.0 ** (bits - 1) for bits in (8, 16, 24, 32))
# A process of its own, which may die of a file: it begins to decode what is on its standard input.
_TRIAL = [sys.executable, "-m", "transcribe.audio.decoding"]
# Files as large as this are tried out even where they begin like a recording, in bytes.
_LARGE = 1 << 31
_TRIAL_SECONDS = 60.0


class NotDecodableError(Exception):
    """A decoder's refusal, its reason as one line."""


class Decoder:
    """All recordings in a file, one after the other, at the rate of the first.

    Attributes
    ----------
    sample_rate
        In Hz.
    duration
        Seconds, None where a header doesn't say.
    remarks
        One line for everything odd met so far.

    Raises
    ------
    NotDecodableError
        If the first of them can't be decoded.
    """

    def __init__(self, file: IO[bytes], block_values: int) -> None:
        _try_out(file)
        self.remarks: list[str] = []
        self._file, self._block_values = file, block_values
        self._parts = find_parts(file)
        self._first = self._open(self._parts[0])
        self.sample_rate = self._first.sample_rate
        self.duration = self._parts[0].promised or self._first.duration
        for part in self._parts[1:]:
            with contextlib.suppress(NotDecodableError), contextlib.closing(self._open(part)) as decoder:
                if self.duration is not None:
                    self.duration += decoder.duration or 0.0
        if len(self._parts) > 1:
            self.remarks.append(f"{len(self._parts)} recordings one after the other in one file: all are read")

    def _open(self, part: Part) -> _SoundFileDecoder | _AvDecoder:
        if not part.gaps:
            with contextlib.suppress(NotDecodableError):
                return _SoundFileDecoder(Window(self._file, part), self._block_values)
        return _AvDecoder(Window(self._file, part), self._block_values)

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield float32 (n_frames, n_channels), whose number of channels may change.

        Raises
        ------
        NotDecodableError
            If nothing at all can be decoded.
        """
        began = 0.0
        for part in self._parts:
            n_read = 0
            try:
                decoder = self._first if part is self._parts[0] else self._open(part)
                with contextlib.closing(decoder):
                    for block in self._at_one_rate(self._whole(part, decoder, began), decoder.sample_rate):
                        n_read += len(block)
                        yield block
            except NotDecodableError as error:
                if not began and not n_read:
                    raise
                self.remarks.append(f"what follows after {began + n_read / self.sample_rate:.1f} s is lost: {error}")
            began += n_read / self.sample_rate

    def _at_one_rate(self, blocks: Iterator[np.ndarray], rate: int) -> Iterator[np.ndarray]:
        if rate == self.sample_rate:
            yield from blocks
            return
        import soxr

        resampler, n_channels = None, 0
        for block in blocks:
            if resampler is None or block.shape[1] != n_channels:
                n_channels = block.shape[1]
                resampler = soxr.ResampleStream(rate, self.sample_rate, n_channels, "float32")
            yield resampler.resample_chunk(block)
        if resampler is not None:
            yield resampler.resample_chunk(np.zeros((0, n_channels), np.float32), last=True)

    def _whole(self, part: Part, decoder: _SoundFileDecoder | _AvDecoder, began: float) -> Iterator[np.ndarray]:
        """Decode a part; where the decoder gives less than it should, let FFmpeg go on."""
        rate, n_read, damage = decoder.sample_rate, 0, ""
        promised = part.promised or decoder.promised
        try:
            for block in decoder.blocks():
                n_read += len(block)
                yield block
        except NotDecodableError as error:
            damage = str(error)
        short = promised is not None and n_read / rate < promised - _UNSAID
        if isinstance(decoder, _SoundFileDecoder) and (damage or short or not n_read or decoder.stopped_early):
            with contextlib.suppress(NotDecodableError):
                other = _AvDecoder(Window(self._file, part), self._block_values)
                with contextlib.closing(other):
                    first = n_read
                    for block in _from(other.blocks(), n_read) if other.sample_rate == rate else ():
                        n_read += len(block)
                        yield block
                    # It has come to the end, past what was damaged.
                    if damage and n_read > first:
                        self.remarks.append(f"damaged after {began + first / rate:.1f} s; what follows is read on")
                        damage = ""
                    self.remarks += filter(None, [other.remark])
        self.remarks += filter(None, [decoder.remark, part.remark])
        if not n_read and damage:
            raise NotDecodableError(damage)
        if part.share < 1:
            promised = n_read / rate / part.share
        self.remarks += _lost(part, damage, began + n_read / rate, n_read / rate, promised)

    def close(self) -> None:
        """Close the decoder; the file stays open."""
        self._first.close()


def _from(blocks: Iterator[np.ndarray], first: int) -> Iterator[np.ndarray]:
    """Leave out the first frames of a stream."""
    for block in blocks:
        if first < len(block):
            yield block[first:]
        first = max(0, first - len(block))


def _lost(part: Part, damage: str, end: float, seconds: float, promised: float | None) -> Iterator[str]:
    """Say what is missing of a part that ends at ``end`` after ``seconds``."""
    missing = "" if promised is None else f"{promised - seconds:.1f} s"
    if damage:
        yield f"damaged after {end:.1f} s ({damage}); the rest is left out" + (missing and f", {missing}")
    elif promised is not None and seconds < promised - max(_UNSAID, 0.002 * promised):
        yield f"{missing} are missing: the recording ends after {end:.1f} s, its header promises {promised:.1f} s"
    elif part.cut:
        yield f"the recording breaks off after {end:.1f} s: its last page isn't marked as the last"


class _SoundFileDecoder:
    remark = ""

    def __init__(self, file: Window, block_values: int) -> None:
        import soundfile

        self._file = file
        try:
            self._sound: soundfile.SoundFile = soundfile.SoundFile(file)
        except (soundfile.LibsndfileError, RuntimeError, OSError, ValueError, TypeError) as error:
            raise NotDecodableError(_one_line(error)) from None
        # Streams of unknown length count as 2**63 - 1 frames; FLAC of those it reads in part only.
        if self._sound.format == "FLAC" and self._sound.frames > 1 << 48:
            self._sound.close()
            raise NotDecodableError("its length isn't known")
        self.sample_rate = int(self._sound.samplerate)
        known = 0 < self._sound.frames < 1 << 48
        # What it says of MP3 may be a guess, and of other files it mends what their headers say.
        self.duration = self._sound.frames / self.sample_rate if known and self._sound.format != "MP3" else None
        self.promised = self.duration if self._sound.format == "FLAC" else None
        self._n_frames = max(1, block_values // self._sound.channels)
        self._scale = np.float32(1)
        if self._sound.subtype in ("FLOAT", "DOUBLE") and self.duration is not None:
            self._find_scale()

    def _find_scale(self) -> None:
        """See from samples of a file of floats whether they are integers' values."""
        import soundfile

        values = []
        try:
            for first in np.linspace(0, max(0, self._sound.frames - 1024), 32).astype(int):
                self._sound.seek(int(first))
                values.append(np.abs(self._sound.read(1024, dtype="float32", always_2d=True)).ravel())
            self._sound.seek(0)
        except (soundfile.LibsndfileError, RuntimeError, OSError) as error:
            raise NotDecodableError(_one_line(error)) from None
        sizes = np.concatenate(values)
        sizes = sizes[(sizes > 0) & (sizes <= _FULL_SCALES[-1])]
        if len(sizes) and np.mean(sizes > 4) > 0.05:
            peak = float(np.quantile(sizes, 0.999))
            scale = min(scale for scale in _FULL_SCALES if scale >= peak)
            self._scale = np.float32(1 / scale)
            bits = _FULL_SCALES.index(scale) * 8 + 8
            self.remark = f"its numbers reach {peak:.0f}, not 1: they are read as those of {bits} bits"

    @property
    def stopped_early(self) -> bool:
        """Whether there is more: of MP3 it reads no more than was promised or guessed."""
        return self._sound.format == "MP3" and self._file.frames_follow()

    def blocks(self) -> Iterator[np.ndarray]:
        import soundfile

        while True:
            try:
                block = self._sound.read(self._n_frames, dtype="float32", always_2d=True)
            except (soundfile.LibsndfileError, RuntimeError, OSError) as error:
                raise NotDecodableError(_one_line(error)) from None
            if not len(block):
                return
            yield block if self._scale == 1 else block * self._scale

    def close(self) -> None:
        self._sound.close()


class _AvDecoder:
    # Seconds that the container says of the sound itself; most lengths are a video's, or guessed from a bit rate.
    promised: float | None = None

    def __init__(self, file: Window, block_values: int) -> None:
        import av

        try:
            # Titles in odd encodings are no reason to refuse a recording; from PyAV 19 on they never are.
            tolerant: dict[str, Any] = {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}
            # A file that names others (a playlist) opens none of them, on this machine or elsewhere.
            alone = {"protocol_whitelist": "pipe"}
            self._container = av.open(file, mode="r", options=alone, **tolerant)
        except (av.FFmpegError, OSError, ValueError) as error:
            raise NotDecodableError(_one_line(error)) from None
        try:
            self._choose_stream()
        except NotDecodableError:
            self._container.close()
            raise
        self.sample_rate = int(self._stream.codec_context.sample_rate or 0)
        self._start = float(self._container.start_time or 0) / 1e6
        whole = self._container.duration
        self._length = float(whole) / 1e6 if whole and whole > 0 else None
        if len(self._container.streams) == 1 and self._container.format.name in ("ogg", "matroska,webm"):
            self.promised = self._length
        length, unit = self._stream.duration, self._stream.time_base
        self.duration = float(length * unit) if length and length > 0 and unit else None
        if self.duration is not None and self._stream.start_time and unit:
            self.duration += max(0.0, min(float(self._stream.start_time * unit) - self._start, self._length or 0.0))
        if self._container.format.name.startswith("mov"):
            self.promised = self.duration
        if self._stream.codec_context.name == "flac":  # else it makes noise of what is damaged
            self._stream.codec_context.options = {"err_detect": "crccheck+explode"}
        self._gaps: list[tuple[float, float]] = []
        self._damaged: list[float] = []
        self._seconds = 0.0
        self._n_values = block_values

    def _choose_stream(self) -> None:
        """Take the sound that players take: the one that is marked as the default, else the first."""
        if self._container.format.name in ("hls", "concat", "dash"):
            raise NotDecodableError("it is a playlist, which holds no sound itself")
        streams = self._container.streams.audio
        if not streams:
            raise NotDecodableError("there is no sound in it")
        known = [stream for stream in streams if stream.codec_context is not None]
        if not known:
            raise NotDecodableError("its codec is unknown")
        self._stream = next((stream for stream in known if stream.disposition & stream.disposition.default), known[0])
        number = list(streams).index(self._stream) + 1
        which = "the first is taken" if number == 1 else f"number {number}, the default, is taken"
        self._several = f"has {len(streams)} sound streams; {which}" if len(streams) > 1 else ""

    @property
    def remark(self) -> str:
        """What is odd: several streams, silence that stands for what is missing."""
        late = [length for at, length in self._gaps if not at]
        gaps = [(at, length) for at, length in self._gaps if at and length >= _UNSAID]
        parts = [self._several]
        if late and late[0] >= _UNSAID:
            parts.append(f"its sound starts after {late[0]:.1f} s; silence up to there")
        if gaps:
            where = f"after {gaps[0][0]:.1f} s" if len(gaps) == 1 else f"at {len(gaps)} places"
            seconds = sum(length for _, length in gaps)
            parts.append(f"{seconds:.1f} s of sound are missing {where}; silence takes their place")
        if self._damaged:
            packets = "a packet is" if len(self._damaged) == 1 else f"{len(self._damaged)} packets are"
            parts.append(f"{packets} damaged after {self._damaged[0]:.1f} s")
        return "; ".join(filter(None, parts))

    def blocks(self) -> Iterator[np.ndarray]:
        import av

        pending: list[np.ndarray] = []
        try:
            for part in self._parts():
                if pending and part.shape[1] != pending[0].shape[1]:
                    yield np.concatenate(pending)
                    pending = []
                pending.append(part)
                if sum(map(np.size, pending)) >= self._n_values:
                    yield np.concatenate(pending)
                    pending = []
        except (av.FFmpegError, OSError, ValueError) as error:
            if pending:
                yield np.concatenate(pending)
            raise NotDecodableError(_one_line(error)) from None
        if pending:
            yield np.concatenate(pending)

    def _parts(self) -> Iterator[np.ndarray]:
        """Yield frames (n, n_channels) at the rate the stream began with, where their time stamps say."""
        import av

        kind, resampler = None, None
        n_read, shift = 0, 0.0
        for frame in self._frames():
            if (frame.sample_rate, frame.layout.name, frame.format.name) != kind:
                if resampler is not None:
                    yield from map(_of_frame, resampler.resample(None))
                kind = (frame.sample_rate, frame.layout.name, frame.format.name)
                # Packed, not planar: of planes PyAV knows eight, and reads beyond them.
                resampler = av.AudioResampler(format="flt", layout=frame.layout, rate=self.sample_rate)
            assert resampler is not None
            if frame.time is not None:
                at = n_read / self.sample_rate
                missing = frame.time - self._start + shift - at
                if self._is_gap(at, missing):
                    self._gaps.append((at, missing))
                    silence = round(missing * self.sample_rate)
                    n_read += silence
                    n_channels = len(frame.layout.channels)
                    for first in range(0, silence, _SILENCE):
                        yield np.zeros((min(_SILENCE, silence - first), n_channels), np.float32)
                elif abs(missing) > 1.0:  # the clock was set anew
                    shift -= missing
            self._seconds = n_read / self.sample_rate
            n_read += round(frame.samples * self.sample_rate / frame.sample_rate)
            yield from map(_of_frame, resampler.resample(frame))
        if resampler is not None:
            yield from map(_of_frame, resampler.resample(None))

    def _frames(self) -> Iterator[av.AudioFrame]:
        """Decode packet by packet, past those that are damaged."""
        import av

        n_frames, fault = 0, None
        for packet in self._container.demux(self._stream):
            try:
                frames = packet.decode()
            except av.EOFError:
                break
            except av.FFmpegError as error:
                fault = fault or error
                self._damaged.append(self._seconds)
                continue
            n_frames += len(frames)
            yield from frames
        if not n_frames and fault is not None:
            raise fault

    def _is_gap(self, at: float, missing: float) -> bool:
        if missing <= _JITTER:
            return False
        return missing <= _LONGEST_GAP if self._length is None else at + missing <= self._length + _BEYOND

    def close(self) -> None:
        self._container.close()


def _of_frame(frame: av.AudioFrame) -> np.ndarray:
    """Take the samples of a packed frame, (n, n_channels)."""
    samples: np.ndarray = frame.to_ndarray().reshape(-1, len(frame.layout.channels))
    return samples


def _one_line(error: BaseException) -> str:
    text = " ".join(str(getattr(error, "strerror", None) or error).split())
    # libsndfile names the Python object it was given; that helps no reader.
    return text.split(">: ")[-1].strip(" .") or type(error).__name__


def _try_out(file: IO[bytes]) -> None:
    """Let a process of its own begin to decode what doesn't look like a recording: decoders have died of such files.

    Recordings begin with what is known (:func:`transcribe.audio.containers.is_known`), and cost no process.

    Raises
    ------
    NotDecodableError
        If that process is killed.
    """
    if is_known(file) and file.seek(0, 2) < _LARGE:
        return
    file.seek(0)
    try:
        quiet = subprocess.DEVNULL
        trial = subprocess.run(_TRIAL, stdin=file, stdout=quiet, stderr=quiet, timeout=_TRIAL_SECONDS, check=False)
    except (OSError, ValueError):  # there can be no process, or the file is none of the system's
        return
    except subprocess.TimeoutExpired:
        raise NotDecodableError(f"no decoder has found sound in it within {_TRIAL_SECONDS:.0f} s") from None
    if trial.returncode < 0:
        raise crash(trial.returncode)


def crash(exit_code: int) -> NotDecodableError:
    """Say what has become of a process that decoded; ``exit_code`` is negative where a signal has killed it."""
    how = f"exit code {exit_code}" if exit_code >= 0 else f"signal {-exit_code}"
    with contextlib.suppress(ValueError):
        how = signal.Signals(-exit_code).name
    return NotDecodableError(f"the decoder crashes on it ({how})")


def _begin() -> None:
    """Decode the beginning of standard input, for :func:`_try_out`."""
    file = sys.stdin.buffer
    part = find_parts(file)[0]
    for kind in (_SoundFileDecoder, _AvDecoder):
        with contextlib.suppress(NotDecodableError), contextlib.closing(kind(Window(file, part), 1 << 14)) as decoder:
            for _, _ in zip(decoder.blocks(), range(16), strict=False):
                pass


if __name__ == "__main__":
    _begin()
