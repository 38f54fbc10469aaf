"""What stands between an instrument and a file: the room, the microphone, the noise, the level.

Numpy and scipy only. Every function maps samples ``(n,)`` at ``sample_rate`` to as many samples and keeps the onsets
where they are: the direct path has no delay.
"""

from __future__ import annotations

import numpy as np
from scipy import signal


def record(samples: np.ndarray, sample_rate: int, rng: np.random.Generator, clean: float = 0.12) -> np.ndarray:
    """Record a dry signal as one of many possible recordings; a share of ``clean`` changes only in level.

    Returns
    -------
    np.ndarray
        float32 of the same length, its peak between -40 and 0 dBFS.
    """
    if rng.random() > clean:
        if rng.random() < 0.65:
            samples = room(samples, sample_rate, rng)
        if rng.random() < 0.7:
            samples = equalise(samples, sample_rate, rng)
        if rng.random() < 0.12:
            samples = narrow(samples, sample_rate, rng)
        if rng.random() < 0.2:
            samples = saturate(samples, rng)
        if rng.random() < 0.75:
            samples = samples + noise_floor(samples, sample_rate, rng)
    return level(samples, rng)


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
    wet = signal.fftconvolve(samples, response)[: len(samples)]
    louder: np.ndarray = wet * (_rms(samples) / max(_rms(wet), 1e-9))
    return louder


def equalise(samples: np.ndarray, sample_rate: int, rng: np.random.Generator) -> np.ndarray:
    """Colour with a smooth random curve of up to about +-10 dB, by a linear-phase filter without its delay."""
    knots = np.sort(np.exp(rng.uniform(np.log(40), np.log(sample_rate / 2), 6)))
    gains = rng.normal(0, rng.uniform(1, 6), 6)
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


def noise_floor(samples: np.ndarray, sample_rate: int, rng: np.random.Generator) -> np.ndarray:
    """Hiss, rumble and hum 8-60 dB under the music."""
    n = len(samples)
    spectrum = rng.standard_normal(n // 2 + 1) + 1j * rng.standard_normal(n // 2 + 1)
    frequencies = np.maximum(np.fft.rfftfreq(n, 1 / sample_rate), 20)
    noise = np.fft.irfft(spectrum * frequencies ** -rng.uniform(0, 1.0), n)
    if rng.random() < 0.25:
        mains = rng.choice([50.0, 60.0]) * np.arange(1, 6)[:, None]
        amplitudes = rng.uniform(0, 1, (5, 1)) * _rms(noise)
        noise = noise + (amplitudes * np.sin(2 * np.pi * mains * np.arange(n) / sample_rate)).sum(0)
    ratio = 10 ** (rng.uniform(8, 60) / 20)
    return noise * max(_rms(samples), 1e-4) / max(_rms(noise), 1e-9) / ratio


def level(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Set the peak: mostly -20 to 0 dBFS, sometimes down to -40."""
    decibels = rng.uniform(-20, -0.5) if rng.random() < 0.75 else rng.uniform(-40, -20)
    peak = max(float(np.abs(samples).max()), 1e-6)
    return (samples * (10 ** (decibels / 20) / peak)).astype(np.float32)


def _rms(samples: np.ndarray) -> float:
    return float(np.sqrt(np.mean(samples**2)))
