"""Notes → sound: a transcription played on a small sampled piano, to be listened to beside the recording."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterable
from functools import cache
from pathlib import Path

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
_FOLDER = Path(__file__).parent / "piano"


def synthesise(transcription: Transcription) -> np.ndarray:
    """Play the notes, held by the pedal where it is down.

    Returns
    -------
    np.ndarray
        float32 (n_samples,) at ``SAMPLE_RATE``, as long as the recording was and the last note rings; its peak is 0.9
        at most. Silence for no notes.
    """
    sounded = [(note, _end(note, transcription)) for note in transcription.notes]
    seconds = max([transcription.duration, *(end + 5 * _DAMPING for _, end in sounded)])
    out = np.zeros(round(seconds * SAMPLE_RATE), np.float32)
    for note, end in sounded:
        sound = _note(note, end - note.onset)
        first = round(note.onset * SAMPLE_RATE)
        sound = sound[: len(out) - first]
        out[first : first + len(sound)] += sound
    return out * min(1.0, 0.9 / max(float(np.abs(out).max(initial=0.0)), 1e-9))


def to_audio(transcription: Transcription, suffix: str, recording: np.ndarray | None = None) -> bytes:
    """Write the sound as an audio file; beside a recording (n_samples,) at ``SAMPLE_RATE``, which the left ear hears.

    Raises
    ------
    UsageError
        If the suffix is none of ``SUFFIXES``.
    """
    samples = synthesise(transcription)[:, None]
    if recording is not None:
        both = np.zeros((max(len(samples), len(recording)), 2), np.float32)
        both[: len(recording), 0] = recording
        both[: len(samples), 1] = samples[:, 0]
        samples = both
    return encode(np.split(samples, range(_BLOCK, len(samples), _BLOCK)), suffix, SAMPLE_RATE)


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
        If the suffix is none of ``SUFFIXES``.
    """
    import soundfile

    if suffix.lower() not in SUFFIXES:
        raise UsageError(f"{suffix or 'no suffix'}: sound is written as {', '.join(SUFFIXES)}")
    kind, subtype = SUFFIXES[suffix.lower()]
    blocks = iter(blocks)
    first = next(blocks, np.zeros(0, np.float32))
    channels = 1 if first.ndim == 1 else first.shape[1]
    buffer = io.BytesIO()
    with soundfile.SoundFile(buffer, "w", sample_rate, channels, subtype, format=kind) as file:
        for block in itertools.chain([first], blocks):
            file.write(np.clip(block, -1, 1))
    return buffer.getvalue()


def _end(note: Note, transcription: Transcription) -> float:
    """When the damper falls: at the key's release, or at the end of the pedal that is down then."""
    held = [pedal.offset for pedal in transcription.pedals if pedal.onset <= note.offset < pedal.offset]
    return max([note.offset, *held])


def _note(note: Note, seconds: float) -> np.ndarray:
    """Play one note: the nearest sample, shifted; as loud as its velocity says; damped after ``seconds``."""
    samples = _samples()
    nearest = min(samples, key=lambda pitch: abs(pitch - note.pitch))
    ratio = 2.0 ** ((note.pitch - nearest) / 12)
    source = samples[nearest]
    length = int((len(source) - 1) / ratio)
    if note.pitch <= LAST_DAMPER:
        length = min(length, int((seconds + 5 * _DAMPING) * SAMPLE_RATE))
    sound = np.interp(np.arange(length) * ratio, np.arange(len(source)), source)
    if note.pitch <= LAST_DAMPER:
        time = np.arange(length) / SAMPLE_RATE
        sound *= np.exp(-np.maximum(time - seconds, 0) / _DAMPING)
    loudness: np.ndarray = _GAIN * 10 ** (_DYNAMIC_RANGE * (note.velocity / 127 - 1) / 20) * sound
    return loudness.astype(np.float32)


@cache
def _samples() -> dict[int, np.ndarray]:
    import soundfile

    return {int(path.stem): soundfile.read(path, dtype="float32")[0] for path in sorted(_FOLDER.glob("*.ogg"))}
