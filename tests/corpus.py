"""Bad input, made by the thousand from a seed: recordings and results, whole, cut, flipped, lying."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
import numpy as np
import soundfile

from transcribe.engine.weights import manifest, verified_bytes
from transcribe.events import Chord, Note, Pedal, Tag, Transcription
from transcribe.formats.table import FORMATS

RATE = 8000
# Everything that libsndfile writes here: container, encoding, suffix.
SOUNDFILE = [
    ("WAV", "PCM_U8", "wav"), ("WAV", "PCM_16", "wav"), ("WAV", "PCM_24", "wav"), ("WAV", "PCM_32", "wav"),
    ("WAV", "FLOAT", "wav"), ("WAV", "DOUBLE", "wav"), ("WAV", "ULAW", "wav"), ("WAV", "IMA_ADPCM", "wav"),
    ("WAVEX", "PCM_16", "wav"), ("FLAC", "PCM_16", "flac"), ("OGG", "VORBIS", "ogg"), ("OGG", "OPUS", "opus"),
    ("MP3", "MPEG_LAYER_III", "mp3"), ("AIFF", "PCM_16", "aiff"), ("AU", "PCM_16", "au"), ("CAF", "PCM_16", "caf"),
    ("CAF", "ALAC_16", "caf"), ("W64", "PCM_16", "w64"), ("RF64", "PCM_16", "wav"),
]  # fmt: skip
# And FFmpeg: container, codec, suffix.
FFMPEG = [
    ("mp4", "aac", "m4a"), ("adts", "aac", "aac"), ("matroska", "flac", "mkv"), ("webm", "libopus", "webm"),
    ("mp4", "alac", "mp4"), ("mov", "pcm_s16le", "mov"), ("avi", "pcm_s16le", "avi"),
    ("mp2", "mp2", "mp3"), ("ac3", "ac3", "mka"),
]  # fmt: skip


def sound(seconds: float = 0.4, channels: int = 1) -> np.ndarray:
    time = np.arange(int(seconds * RATE)) / RATE
    tone = 0.4 * np.sin(2 * np.pi * 440 * time) * np.exp(-3 * time)
    return np.repeat(tone[:, None], channels, 1).astype(np.float32)


def written(container: str, encoding: str, samples: np.ndarray, rate: int = RATE) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=container, subtype=encoding)
    return buffer.getvalue()


def encoded(container: str, codec: str, samples: np.ndarray) -> bytes:
    """Encode mono samples, which are taken to be at 48 kHz."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as output:
        stream = output.add_stream(codec, rate=48_000, layout="mono")
        assert isinstance(stream, av.AudioStream)
        resampler = av.AudioResampler(stream.codec_context.format, "mono", 48_000)
        size = stream.codec_context.frame_size or 1024
        for first in range(0, len(samples) - size + 1, size):
            plane = np.ascontiguousarray(samples[None, first : first + size, 0])
            frame = av.AudioFrame.from_ndarray(plane, format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = 48_000, first, Fraction(1, 48_000)
            for part in resampler.resample(frame):
                output.mux(stream.encode(part))
        output.mux(stream.encode(None))
    return buffer.getvalue()


def whole() -> Iterator[tuple[str, bytes]]:
    """A file of every container and codec, by its name."""
    for container, encoding, suffix in SOUNDFILE:
        yield f"{container}-{encoding}.{suffix}", written(container, encoding, sound())
    for container, codec, suffix in FFMPEG:
        yield f"{container}-{codec}.{suffix}", encoded(container, codec, sound(3.0))


def odd() -> Iterator[tuple[str, bytes]]:
    """Recordings that are strange, but hold what they say."""
    for n_samples in range(11):
        yield f"{n_samples}-samples.wav", written("WAV", "PCM_16", sound()[:n_samples])
    for channels in (2, 5, 8, 32):
        yield f"{channels}-channels.wav", written("WAV", "PCM_16", sound(channels=channels))
    for rate in (999, 1000, 4000, 11_025, 192_000, 384_000, 384_001):
        yield f"{rate}-hz.wav", written("WAV", "PCM_16", sound(), rate)
    n = int(0.4 * RATE)
    square = np.where(np.arange(n) % 50 < 25, 1.0, -1.0)
    waves = {
        "nan": np.full(n, np.nan), "infinite": np.full(n, np.inf), "denormal": np.full(n, 1e-40),
        "offset": np.full(n, 0.9), "square": square, "silence": np.zeros(n), "huge": square * 1e30,
    }  # fmt: skip
    for name, samples in waves.items():
        yield f"{name}.wav", written("WAV", "FLOAT", samples.astype(np.float32)[:, None])
    ogg = written("OGG", "VORBIS", sound())
    yield "chained.ogg", ogg + ogg
    yield "rubbish-before.mp3", b"\x00rubbish" * 500 + written("MP3", "MPEG_LAYER_III", sound())
    yield "rubbish-after.flac", written("FLAC", "PCM_16", sound()) + b"rubbish" * 100
    yield "two-in-one.mp3", 2 * written("MP3", "MPEG_LAYER_III", sound())
    yield "empty.wav", b""
    yield "playlist.m3u8", b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile:///etc/hostname\n#EXT-X-ENDLIST\n"
    yield "text.mp3", b"this is no recording\n" * 50


def lying(rng: np.random.Generator) -> Iterator[tuple[str, bytes]]:
    """WAV files whose header lies about length, rate, channels or depth."""
    true = written("WAV", "PCM_16", sound())
    fields = {"size": (4, "<I"), "channels": (22, "<H"), "rate": (24, "<I"), "align": (32, "<H"), "bits": (34, "<H")}
    data = true.index(b"data") + 4
    for name, (place, kind) in {**fields, "length": (data, "<I")}.items():
        highest = 2 ** (8 * struct.calcsize(kind)) - 1
        for value in (0, 1, highest, highest // 2, int(rng.integers(highest))):
            yield f"{name}-{value}.wav", true[:place] + struct.pack(kind, value) + true[place + struct.calcsize(kind) :]


def mangled(content: bytes, rng: np.random.Generator) -> bytes:
    """One random change: cut, flipped, overwritten, doubled, dropped."""
    size = len(content)
    if not size:
        return bytes(rng.integers(0, 256, 20, np.uint8))
    kind, place = int(rng.integers(6)), int(rng.integers(size))
    if kind == 0:
        return content[:place]
    if kind == 1:
        flipped = bytearray(content)
        for _ in range(int(rng.integers(1, 20))):
            flipped[int(rng.integers(size))] ^= 1 << int(rng.integers(8))
        return bytes(flipped)
    if kind == 2:  # in the header, where it hurts
        flipped = bytearray(content)
        for _ in range(int(rng.integers(1, 5))):
            flipped[int(rng.integers(min(size, 100)))] = int(rng.integers(256))
        return bytes(flipped)
    length = int(rng.integers(1, max(2, size // 4)))
    if kind == 3:
        return content[:place] + rng.bytes(length) + content[place + length :]
    if kind == 4:
        return content[:place] + content[place : place + length] * 2 + content[place + length :]
    return content[:place] + content[place + length :]


def recordings(seed: int, n_mangled: int) -> Iterator[tuple[str, bytes]]:
    """Every whole and odd recording, each whole one cut at 20 places, lying headers, and ``n_mangled`` at random."""
    rng = np.random.default_rng(seed)
    files = list(whole())
    yield from files
    yield from odd()
    yield from lying(rng)
    for name, content in files:
        for i in range(20):
            yield f"cut-{i}-{name}", content[: len(content) * i // 20]
    for i in range(n_mangled):
        name, content = files[i % len(files)]
        yield f"mangled-{i}-{name}", mangled(content, rng)


def results(seed: int, n_mangled: int) -> Iterator[tuple[str, bytes]]:
    """Results of every readable format, and the weights, mangled."""
    transcription = Transcription(
        notes=(Note(0.5, 60, 1.0, 80, 0.9), Note(1.0, 64, 2.0, 90, 0.8)),
        pedals=(Pedal(0.4, 1.8),),
        chords=(Chord(0.0, 1.0, "C:maj", 0.9), Chord(1.0, 2.0, "A:min7/b3", 0.7)),
        instruments=(Tag(0.0, 2.0, "piano", 0.9),),
        genres=(Tag(0.0, 2.0, "jazz", 0.4),),
        duration=2.0,
        tempo=120.0,
        settings={"genre": {"threshold": 0.5}},
    )
    rng = np.random.default_rng(seed)
    files = [(name, form.suffixes[0], form.write(transcription)) for name, form in FORMATS.items() if form.read]
    for i in range(n_mangled):
        name, suffix, content = files[i % len(files)]
        yield f"{name}-{i}{suffix}", wrong_json(content, rng) if name == "json" and i % 2 else mangled(content, rng)


def wrong_json(content: bytes, rng: np.random.Generator) -> bytes:
    """Put a value of another kind somewhere."""
    values = json.loads(content)
    strange: list[Any] = [None, True, -1, 1e308, "x", [], {}, [[]], {"a": 1}, "\ud800", 10**30, float("nan")]
    node = values
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        if not keys:
            return json.dumps(values).encode()
        key = keys[int(rng.integers(len(keys)))]
        if rng.random() < 0.4 or not isinstance(node[key], (dict, list)):
            node[key] = strange[int(rng.integers(len(strange)))]
            return json.dumps(values).encode()
        node = node[key]


def weights(seed: int, n_mangled: int) -> Iterator[tuple[str, bytes]]:
    """The smallest weights, mangled."""
    rng = np.random.default_rng(seed)
    entry = next(entry for entry in manifest().values() if (entry.task, entry.size) == ("notes", "small"))
    content = verified_bytes(entry.file, entry.sha256)
    for i in range(n_mangled):
        yield f"weights-{i}.safetensors", mangled(content, rng)
