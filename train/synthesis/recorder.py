"""What stands between an instrument and a file: the room, the microphone, the noise, the level, the codec.

Numpy and scipy only, but for the codecs (PyAV). Every function maps samples ``(n,)`` at ``sample_rate`` to as many
samples and keeps the onsets where they are: the direct path has no delay, and a codec's is taken out.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import soundfile
from scipy import signal

# name: (container, encoder, its sample rate, lowest and highest bit/s)
CODECS = {
    "mp3": ("mp3", "libmp3lame", 16000, 24_000, 96_000),
    "aac": ("adts", "aac", 16000, 24_000, 96_000),
    "opus": ("ogg", "libopus", 16000, 12_000, 64_000),
}


@dataclass(frozen=True)
class Studio:
    """What a recording may be made with beyond arithmetic; all of it may be missing.

    ``rooms`` are impulse responses at the rate of the recording that begin with the direct path
    (:mod:`train.synthesis.rooms`), ``voices`` files of other sounds at that rate (:mod:`train.synthesis.sounds`),
    ``codecs`` names in ``CODECS``.
    """

    rooms: Sequence[np.ndarray] = ()
    voices: Sequence[Path] = ()
    codecs: Sequence[str] = ()


def record(
    samples: np.ndarray,
    sample_rate: int,
    rng: np.random.Generator,
    clean: float = 0.12,
    studio: Studio | None = None,
    careful: float = 0.0,
) -> np.ndarray:
    """Record a dry signal as one of many possible recordings.

    A share of ``clean`` changes only in level; of the others a share of ``careful`` is recorded well: in a room, with
    microphones of some colour, hardly any noise and nothing else.

    Returns
    -------
    np.ndarray
        float32 of the same length, its peak between -40 and 0 dBFS.
    """
    studio = studio or Studio()
    if rng.random() < clean:
        return level(samples, rng)
    well_made = careful > 0 and rng.random() < careful
    if rng.random() < 0.65:
        if studio.rooms and rng.random() < 0.5:
            samples = in_room(samples, studio.rooms[int(rng.integers(len(studio.rooms)))], rng)
        else:
            samples = room(samples, sample_rate, rng)
    if well_made:
        samples = equalise(samples, sample_rate, rng, strongest=3)
        return level(samples + noise_floor(samples, sample_rate, rng, nearest=40, farthest=70), rng)
    if studio.voices and rng.random() < 0.06:
        voice = excerpt_of(studio.voices[int(rng.integers(len(studio.voices)))], len(samples), rng)
        samples = samples + voice * _ratio(samples, voice, rng.uniform(6, 30))
    if rng.random() < 0.7:
        samples = equalise(samples, sample_rate, rng)
    if rng.random() < 0.12:
        samples = narrow(samples, sample_rate, rng)
    if rng.random() < 0.15:
        samples = compress(samples, sample_rate, rng)
    if rng.random() < 0.15:
        samples = saturate(samples, rng)
    if rng.random() < 0.75:
        samples = samples + noise_floor(samples, sample_rate, rng)
    if rng.random() < 0.04:
        samples = resample(samples, int(rng.choice([2, 3])))
    samples = level(samples, rng)
    if studio.codecs and rng.random() < 0.15:
        samples = encode(samples, sample_rate, str(rng.choice(list(studio.codecs))), rng)
    return samples


def in_room(samples: np.ndarray, response: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Play in a room whose impulse response is given, the direct path 0-9 dB nearer than there; loudness kept."""
    direct = max(1, len(response) // 500)
    response = response.astype(np.float64)
    response[direct:] *= 10 ** (-rng.uniform(0, 9) / 20)
    return _as_loud(signal.oaconvolve(samples, response)[: len(samples)], samples)


def room(samples: np.ndarray, sample_rate: int, rng: np.random.Generator) -> np.ndarray:
    """Reverberate: the direct path, a few early reflections and a coloured, exponentially decaying tail.

    RT60 0.15-1.8 s (shorter for high frequencies), direct to reverberant -4 to +14 dB, loudness kept.
    """
    rt60 = float(np.exp(rng.uniform(np.log(0.15), np.log(1.8))))
    n = int(rt60 * 1.1 * sample_rate)
    time = np.arange(n) / sample_rate
    tail = rng.standard_normal(n) * np.exp(-6.9 * time / rt60)
    # Air and walls take the high frequencies first: a second, darker tail goes on when the bright one has died.
    cutoff = rng.uniform(1500, 6000)
    dark = signal.sosfilt(signal.butter(1, cutoff, fs=sample_rate, output="sos"), tail)
    fade = np.exp(-time / (rt60 * rng.uniform(0.1, 0.5)))
    tail = tail * fade + dark * (1 - fade)
    gap = int(rng.uniform(0.001, 0.02) * sample_rate)
    tail[:gap] = 0
    for _ in range(int(rng.integers(2, 9))):
        tail[min(n - 1, int(rng.uniform(0.001, 0.05) * sample_rate))] += rng.normal(0, 2.0)
    ratio = 10 ** (rng.uniform(-4, 14) / 20)
    response = tail / max(float(np.sqrt((tail**2).sum())), 1e-9) / ratio
    response[0] += 1
    return _as_loud(signal.oaconvolve(samples, response)[: len(samples)], samples)


def equalise(samples: np.ndarray, sample_rate: int, rng: np.random.Generator, strongest: float = 6) -> np.ndarray:
    """Colour with a smooth random curve, its standard deviation up to so many dB, by a filter without delay."""
    knots = np.sort(np.exp(rng.uniform(np.log(40), np.log(sample_rate / 2), 6)))
    gains = rng.normal(0, rng.uniform(1, strongest), 6)
    return _filter(samples, sample_rate, knots, gains)


def narrow(samples: np.ndarray, sample_rate: int, rng: np.random.Generator) -> np.ndarray:
    """Cut the band as telephones, small loudspeakers and old microphones do."""
    low = np.exp(rng.uniform(np.log(40), np.log(400)))
    high = min(np.exp(rng.uniform(np.log(2500), np.log(9000))), sample_rate / 2 * 0.98)
    knots = np.array([low / 2, low, high, min(high * 1.4, sample_rate / 2)])
    return _filter(samples, sample_rate, knots, np.array([-40.0, 0.0, 0.0, -40.0]))


def _filter(samples: np.ndarray, sample_rate: int, knots: np.ndarray, gains: np.ndarray) -> np.ndarray:
    frequencies = np.linspace(0, sample_rate / 2, 513)
    curve = np.interp(np.log(np.maximum(frequencies, 1)), np.log(knots), gains)
    taps = np.fft.irfft(10 ** (curve / 20))  # zero phase: centred on 0
    taps = np.roll(taps, 512)[1:] * np.hanning(1023)
    filtered: np.ndarray = signal.oaconvolve(samples, taps, mode="same")
    return filtered


def saturate(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Overdrive: soft or hard clipping of the loudest moments."""
    peak = max(float(np.abs(samples).max()), 1e-9)
    drive = rng.uniform(1, 4)
    if rng.random() < 0.3:
        return np.asarray(np.clip(samples, -peak / drive, peak / drive))
    return np.asarray(np.tanh(samples * drive / peak) * peak / drive)


def compress(samples: np.ndarray, sample_rate: int, rng: np.random.Generator) -> np.ndarray:
    """Compress the dynamics: 1.5-6 to 1 above a threshold 5-30 dB below the peak; attack 2-20 ms, release 50-500 ms."""
    step = sample_rate // 500
    blocks = np.abs(np.pad(samples, (0, -len(samples) % step))).reshape(-1, step).max(1)
    attack, release = (np.exp(-step / sample_rate / rng.uniform(*span)) for span in ((0.002, 0.02), (0.05, 0.5)))
    envelope, held = np.zeros(len(blocks)), 0.0
    for i, peak in enumerate(blocks):
        held = peak + (attack if peak > held else release) * (held - peak)
        envelope[i] = held
    threshold = max(float(blocks.max()), 1e-9) * 10 ** (-rng.uniform(5, 30) / 20)
    gain = np.maximum(envelope / threshold, 1) ** (1 / rng.uniform(1.5, 6) - 1)
    times = np.arange(len(samples)) / step
    return np.asarray(samples * np.interp(times, np.arange(len(gain)) + 0.5, gain))


def resample(samples: np.ndarray, factor: int) -> np.ndarray:
    """Go through a ``factor`` times lower sample rate and back."""
    low = signal.resample_poly(samples, 1, factor)
    return np.asarray(signal.resample_poly(low, factor, 1)[: len(samples)])


def encode(
    samples: np.ndarray, sample_rate: int, codec: str, rng: np.random.Generator, bit_rate: int | None = None
) -> np.ndarray:
    """Encode at a random bit rate, or the given one, and decode again, without the codec's delay."""
    import av

    container, encoder, rate, low, high = CODECS[codec]
    if rate != sample_rate:
        raise ValueError(f"codecs take {rate} Hz, not {sample_rate}")
    file = io.BytesIO()
    with av.open(file, "w", format=container) as out:
        stream = cast(av.AudioStream, out.add_stream(encoder, rate=rate))
        stream.bit_rate = bit_rate or int(np.exp(rng.uniform(np.log(low), np.log(high))))
        stream.layout = "mono"
        frame = av.AudioFrame.from_ndarray(samples.astype(np.float32)[None], format="fltp", layout="mono")
        frame.sample_rate = rate
        resampler = av.AudioResampler(stream.format, "mono", rate, stream.frame_size or 1024)
        for piece in (*resampler.resample(frame), *resampler.resample(None)):
            out.mux(stream.encode(piece))
        out.mux(stream.encode(None))
    file.seek(0)
    with av.open(file, "r") as source:
        to_float = av.AudioResampler("fltp", "mono", rate)
        pieces = [p.to_ndarray()[0] for f in source.decode(audio=0) for p in to_float.resample(f)]
    heard = np.concatenate(pieces)
    delay = _delay(samples, heard, sample_rate)
    heard = heard[max(0, delay) :] if delay >= 0 else np.pad(heard, (-delay, 0))
    return np.pad(heard[: len(samples)], (0, max(0, len(samples) - len(heard)))).astype(np.float32)


def _delay(samples: np.ndarray, heard: np.ndarray, sample_rate: int) -> int:
    """Count the samples by which ``heard`` is late, up to 0.2 s, by the correlation of the loudest 10 s."""
    length, most = 10 * sample_rate, sample_rate // 5
    first = max(0, int(np.argmax(np.abs(samples))) - length // 2)
    a, b = samples[first : first + length], heard[first : first + length]
    if not a.any() or not b.any():
        return 0
    match = signal.correlate(b, a, mode="full", method="fft")[len(a) - 1 - most : len(a) + most]
    return int(np.argmax(match)) - most


def noise_floor(
    samples: np.ndarray, sample_rate: int, rng: np.random.Generator, nearest: float = 8, farthest: float = 60
) -> np.ndarray:
    """Hiss, rumble, hum or a hall, between ``nearest`` and ``farthest`` dB under the music."""
    n = len(samples)
    spectrum = rng.standard_normal(n // 2 + 1) + 1j * rng.standard_normal(n // 2 + 1)
    frequencies = np.maximum(np.fft.rfftfreq(n, 1 / sample_rate), 20)
    noise = np.fft.irfft(spectrum * frequencies ** -rng.uniform(0, 1.0), n)
    if rng.random() < 0.25:
        mains = rng.choice([50.0, 60.0]) * np.arange(1, 6)[:, None]
        amplitudes = rng.uniform(0, 1, (5, 1)) * _rms(noise)
        noise = noise + (amplitudes * np.sin(2 * np.pi * mains * np.arange(n) / sample_rate)).sum(0)
    if rng.random() < 0.3:  # a hall: it swells and ebbs
        swell = np.interp(np.arange(n), np.linspace(0, n, 20), rng.normal(0, 4, 20))
        noise = noise * 10 ** (swell / 20)
    return noise * _ratio(samples, noise, rng.uniform(nearest, farthest))


def level(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Set the peak: mostly -20 to 0 dBFS, sometimes down to -40."""
    decibels = rng.uniform(-20, -0.5) if rng.random() < 0.75 else rng.uniform(-40, -20)
    peak = max(float(np.abs(samples).max()), 1e-6)
    return (samples * (10 ** (decibels / 20) / peak)).astype(np.float32)


def excerpt_of(path: Path, length: int, rng: np.random.Generator) -> np.ndarray:
    """Read ``length`` samples from a random place of a file, over and over if it is shorter."""
    samples, _ = soundfile.read(path, dtype="float32", always_2d=True)
    return np.resize(np.roll(samples.mean(1), -int(rng.integers(len(samples)))), length)


def _ratio(samples: np.ndarray, noise: np.ndarray, decibels: float) -> float:
    """Compute the factor that puts ``noise`` so many decibels under ``samples``."""
    return float(max(_rms(samples), 1e-4) / max(_rms(noise), 1e-9) * 10 ** (-decibels / 20))


def _as_loud(samples: np.ndarray, model: np.ndarray) -> np.ndarray:
    return samples * (_rms(model) / max(_rms(samples), 1e-9))


def _rms(samples: np.ndarray) -> float:
    return float(np.sqrt(np.mean(samples**2)))
