"""Notes → sound: a transcription played on a small sampled piano, to be listened to beside the recording."""

from __future__ import annotations

import bisect
import io
import itertools
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import IO

import numpy as np

from transcribe.errors import UsageError
from transcribe.events import Note, Transcription

SAMPLE_RATE = 16000
SUFFIXES = {".wav": ("WAV", "PCM_16"), ".flac": ("FLAC", "PCM_16"), ".ogg": ("OGG", "VORBIS"), ".mp3": ("MP3", None)}
LAST_DAMPER = 88  # strings above ring on
_DAMPING = 0.08  # s to fall by 1/e after a release
_DYNAMIC_RANGE = 36.0  # dB between velocities 1 and 127
_GAIN = 2.0  # the samples have an RMS of 0.06
_BLOCK = 16_384
# Values of 16 bits that a .wav can hold, whose header counts bytes in 32 bits.
_MOST_WAV = 2_147_000_000
_FOLDER = Path(__file__).parent / "piano"


def synthesise(transcription: Transcription) -> np.ndarray:
    """Play the notes, held by the pedal where it is down.

    Returns
    -------
    np.ndarray
        float32 (n_samples,) at ``SAMPLE_RATE``, as long as the recording was and the last note rings; its peak is 0.9
        at most. Silence for no notes.
    """
    return np.concatenate([np.zeros(0, np.float32), *_blocks(transcription)])


def to_audio(transcription: Transcription, suffix: str, recording: np.ndarray | None = None) -> bytes:
    """Write the sound as an audio file; beside a recording (n_samples,) at ``SAMPLE_RATE``, which the left ear hears.

    Raises
    ------
    UsageError
        If the suffix is none of ``SUFFIXES``.
    """
    buffer = io.BytesIO()
    write_audio(buffer, transcription, suffix, None if recording is None else [recording])
    return buffer.getvalue()


def write_audio(
    file: IO[bytes], transcription: Transcription, suffix: str, recording: Iterable[np.ndarray] | None = None
) -> None:
    """Write the sound into an open file, as :func:`to_audio`, in flat memory; ``recording`` in blocks (n_samples,).

    Raises
    ------
    UsageError
        As :func:`encode`.
    """
    blocks = _blocks(transcription)
    if recording is None:
        write_blocks(file, (block[:, None] for block in blocks), suffix, SAMPLE_RATE)
    else:
        write_blocks(file, _side_by_side(_of_size(recording), blocks), suffix, SAMPLE_RATE)


def encode(blocks: Iterable[np.ndarray], suffix: str, sample_rate: int) -> bytes:
    """Write samples as an audio file.

    Parameters
    ----------
    blocks
        Of shape (n_samples,) or (n_samples, n_channels); not too long for libsndfile's Vorbis encoder, which fails on
        minutes in one piece.

    Raises
    ------
    UsageError
        If the suffix is none of ``SUFFIXES``, or a ``.wav`` would be larger than 4 GB.
    """
    buffer = io.BytesIO()
    write_blocks(buffer, blocks, suffix, sample_rate)
    return buffer.getvalue()


def write_blocks(file: IO[bytes], blocks: Iterable[np.ndarray], suffix: str, sample_rate: int) -> None:
    """Write samples into an open file, as :func:`encode`.

    Raises
    ------
    UsageError
        As :func:`encode`.
    OSError
        If the file can't be written.
    """
    import soundfile

    if suffix.lower() not in SUFFIXES:
        raise UsageError(f"{suffix or 'no suffix'}: sound is written as {', '.join(SUFFIXES)}")
    kind, subtype = SUFFIXES[suffix.lower()]
    blocks = iter(blocks)
    first = next(blocks, np.zeros(0, np.float32))
    channels = 1 if first.ndim == 1 else first.shape[1]
    left = _MOST_WAV // channels if kind == "WAV" else None
    careful = _Careful(file)
    with soundfile.SoundFile(careful, "w", sample_rate, channels, subtype, format=kind) as sound:
        for block in itertools.chain([first], blocks):
            if left is not None and (left := left - len(block)) < 0:
                raise UsageError("a .wav holds no more than 4 GB; choose .flac, .ogg or .mp3")
            sound.write(np.clip(block, -1, 1))
            careful.check()
    careful.check()


class _Careful:
    """A file whose errors are kept: libsndfile's callbacks swallow them."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._error: OSError | None = None
        self.tell, self.seek, self.read = file.tell, file.seek, file.read

    def write(self, data: bytes) -> int:
        try:
            self._file.write(data)
        except OSError as error:
            self._error = self._error or error
        return len(data)

    def check(self) -> None:
        if self._error is not None:
            raise self._error


def _blocks(transcription: Transcription) -> Iterator[np.ndarray]:
    """Yield the sound in blocks of ``_BLOCK`` samples; it is played twice, the first time to find its peak."""
    peak = max((float(np.abs(block).max(initial=0.0)) for block in _played(transcription)), default=0.0)
    gain = min(1.0, 0.9 / max(peak, 1e-9))
    for block in _played(transcription):
        yield block * gain


def _played(transcription: Transcription) -> Iterator[np.ndarray]:
    """Yield the sum of all notes, in blocks of ``_BLOCK`` samples."""
    notes = sorted(transcription.notes, key=lambda note: note.onset)
    ends = _ends(notes, transcription)
    seconds = max([transcription.duration, *(end + 5 * _DAMPING for end in ends)])
    n_samples = round(seconds * SAMPLE_RATE)
    start, ahead = 0, np.zeros(_BLOCK, np.float32)
    for note, end in itertools.chain(zip(notes, ends, strict=True), [(None, 0.0)]):
        first = n_samples if note is None else round(note.onset * SAMPLE_RATE)
        while start + _BLOCK <= first:
            yield ahead[:_BLOCK].copy()
            ahead[:-_BLOCK], ahead[-_BLOCK:] = ahead[_BLOCK:].copy(), 0
            start += _BLOCK
        if note is not None:
            sound = _note(note, end - note.onset)[: n_samples - first]
            place = first - start
            if place + len(sound) > len(ahead):
                ahead = np.concatenate([ahead, np.zeros(place + len(sound) - len(ahead), np.float32)])
            ahead[place : place + len(sound)] += sound
    if start < n_samples or not start:
        yield ahead[: n_samples - start].copy()


def _of_size(blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Cut a stream of samples into blocks of ``_BLOCK``, the last one shorter."""
    held = np.zeros(0, np.float32)
    for block in blocks:
        held = np.concatenate([held, block])
        whole = len(held) // _BLOCK * _BLOCK
        yield from np.split(held[:whole], range(_BLOCK, whole, _BLOCK)) if whole else ()
        held = held[whole:]
    if len(held):
        yield held


def _side_by_side(left: Iterable[np.ndarray], right: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Put two streams of equal blocks into two channels, (n_samples, 2); the shorter one ends in silence."""
    nothing = np.zeros(0, np.float32)
    for one, other in itertools.zip_longest(left, right, fillvalue=nothing):
        both = np.zeros((max(len(one), len(other)), 2), np.float32)
        both[: len(one), 0], both[: len(other), 1] = one, other
        yield both


def _ends(notes: Sequence[Note], transcription: Transcription) -> list[float]:
    """When the dampers fall: at the key's release, or at the end of the pedal that is down then."""
    pedals = sorted(transcription.pedals)
    onsets = [pedal.onset for pedal in pedals]
    # The last end of all that have begun.
    held = list(itertools.accumulate((pedal.offset for pedal in pedals), max))
    ends = []
    for note in notes:
        begun = bisect.bisect_right(onsets, note.offset)
        ends.append(max(note.offset, held[begun - 1]) if begun else note.offset)
    return ends


def _note(note: Note, seconds: float) -> np.ndarray:
    """Play one note: as loud as its velocity says; damped after ``seconds``."""
    sound = _struck(note.pitch)
    loudness = _GAIN * 10 ** (_DYNAMIC_RANGE * (note.velocity / 127 - 1) / 20)
    if note.pitch > LAST_DAMPER:
        return np.asarray((loudness * sound).astype(np.float32))
    sound = sound[: int((seconds + 5 * _DAMPING) * SAMPLE_RATE)].copy()
    released = min(len(sound), int(seconds * SAMPLE_RATE))
    time = np.arange(released, len(sound)) / SAMPLE_RATE
    sound[released:] *= np.exp(-np.maximum(time - seconds, 0) / _DAMPING)
    return np.asarray((loudness * sound).astype(np.float32))


@cache
def _struck(pitch: int) -> np.ndarray:
    """Shift the nearest sample to a pitch; it rings until its end."""
    samples = _samples()
    nearest = min(samples, key=lambda sampled: abs(sampled - pitch))
    ratio = 2.0 ** ((pitch - nearest) / 12)
    source = samples[nearest]
    return np.asarray(np.interp(np.arange(int((len(source) - 1) / ratio)) * ratio, np.arange(len(source)), source))


@cache
def _samples() -> dict[int, np.ndarray]:
    import soundfile

    return {int(path.stem): soundfile.read(path, dtype="float32")[0] for path in sorted(_FOLDER.glob("*.ogg"))}
