"""Bowed strings, reeds, flutes and brass by physical models, each clip with parameters of its own, for solos.py.

A sound font has one violin; here each clip has its own. What makes the instruments what they are is kept: a bowed
string moves as a saw-tooth through the resonances of a wooden body, a clarinet's closed pipe leaves out the even
partials, a conical bore has all of them and formants, a flute has few partials and breath, brass grows bright as it
grows loud. Everything else is drawn anew: resonances, vibrato, attacks, noise, brightness (Fletcher & Rossing, The
Physics of Musical Instruments, 1998).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import signal

from train.synthesis.piano import SAMPLE_RATE

# (onset s, offset s, pitch, velocity)
Notes = list[tuple[float, float, int, int]]


@dataclass(frozen=True)
class Instrument:
    """What a kind of instrument has in common.

    ``tilt``: dB an octave that its partials fall, from … to; ``even``: how loud even partials are beside odd ones, in
    dB; ``body``: centres of its resonances in Hz, from … to, and how many; ``breath``: dB of noise beside the tone;
    ``attack`` in seconds; ``brightening``: dB an octave that a loud note falls less steeply than a soft one.
    """

    tilt: tuple[float, float]
    even: tuple[float, float] = (0.0, 0.0)
    body: tuple[float, float, int] = (200.0, 3000.0, 3)
    breath: tuple[float, float] = (-60.0, -35.0)
    attack: tuple[float, float] = (0.02, 0.15)
    brightening: float = 2.0


INSTRUMENTS = {
    "violin": Instrument((-7, -4), body=(270, 4500, 8), breath=(-45, -25), attack=(0.02, 0.2)),
    "viola": Instrument((-8, -5), body=(200, 3000, 8), breath=(-45, -28), attack=(0.03, 0.2)),
    "cello": Instrument((-9, -5), body=(90, 2500, 8), breath=(-45, -28), attack=(0.03, 0.25)),
    "double bass": Instrument((-11, -6), body=(60, 1500, 6), breath=(-40, -25), attack=(0.04, 0.3)),
    "clarinet": Instrument((-10, -5), (-30, -10), (300, 3000, 2), (-55, -35), (0.015, 0.08), 4.0),
    "saxophone": Instrument((-8, -3), (-3, 2), (400, 2500, 4), (-45, -25), (0.015, 0.08), 4.0),
    "oboe": Instrument((-5, -1), (-2, 4), (900, 3200, 3), (-55, -40), (0.01, 0.05)),
    "bassoon": Instrument((-9, -4), (-2, 2), (350, 1400, 3), (-55, -38), (0.01, 0.06)),
    "flute": Instrument((-18, -9), (-6, 6), (400, 2500, 2), (-35, -15), (0.03, 0.12), 4.0),
    "trumpet": Instrument((-7, -2), (-1, 1), (1000, 2500, 2), (-60, -40), (0.01, 0.06), 8.0),
    "trombone": Instrument((-9, -3), (-1, 1), (450, 1500, 2), (-60, -40), (0.015, 0.07), 8.0),
    "horn": Instrument((-14, -7), (-1, 1), (300, 1000, 2), (-60, -42), (0.02, 0.08), 8.0),
}
_PARTIALS = 40


def play(name: str, notes: Notes, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Play notes on a new instrument of this kind, float32 (n_samples,) at 16 kHz."""
    kind = INSTRUMENTS[name]
    out = np.zeros(round(seconds * SAMPLE_RATE))
    tilt = rng.uniform(*kind.tilt)
    even = rng.uniform(*kind.even)
    resonances = _resonances(kind, rng)
    vibrato = rng.uniform(4.5, 7), rng.uniform(0, 35) * (rng.random() < 0.75)
    detuned = rng.normal(0, 15)
    breath = rng.uniform(*kind.breath)
    # Players' own scatter of the partials, the same in all their notes.
    scatter = rng.normal(0, 2.5, _PARTIALS)
    for onset, offset, pitch, velocity in notes:
        length = round((min(offset, seconds) - onset) * SAMPLE_RATE)
        first = round(onset * SAMPLE_RATE)
        if length < 200 or first >= len(out):
            continue
        time = np.arange(length) / SAMPLE_RATE
        frequency = 440 * 2 ** ((pitch - 69 + detuned / 100) / 12)
        cents = _cents(time, *vibrato, rng)
        phase = 2 * np.pi * np.cumsum(frequency * 2 ** (cents / 1200)) / SAMPLE_RATE
        envelope = _envelope(time, rng.uniform(*kind.attack), rng)
        loud = velocity / 127
        slope = tilt + kind.brightening * (loud - 0.7)
        tone = np.zeros(length)
        for k in range(1, min(_PARTIALS, int(0.97 * SAMPLE_RATE / 2 / frequency)) + 1):
            level = slope * np.log2(k) + (even if k % 2 == 0 else 0.0) + scatter[k - 1]
            level += _response(k * frequency, resonances)
            # Higher partials come later and go sooner.
            tone += 10 ** (level / 20) * envelope ** (1 + 0.08 * (k - 1)) * np.sin(k * phase + rng.uniform(0, 6.28))
        rms = float(np.sqrt(np.mean(tone**2))) or 1.0
        noise = _noise(length, frequency, rng) * rms * 10 ** (breath / 20) * np.sqrt(envelope)
        cut = min(length, len(out) - first)
        out[first : first + cut] += ((tone / rms + noise / rms) * loud**1.5)[:cut]
    return np.asarray(0.1 * out, np.float32)


def _resonances(kind: Instrument, rng: np.random.Generator) -> np.ndarray:
    """Draw centres (octaves above 1 Hz), widths (octaves) and heights (dB) of a body's resonances, (n, 3)."""
    low, high, count = kind.body
    n = int(rng.integers(max(1, count // 2), count + 2))
    centres = rng.uniform(np.log2(low), np.log2(high), n)
    return np.stack([centres, rng.uniform(0.08, 0.6, n), rng.uniform(-6, 14, n)], 1)


def _response(frequency: float, resonances: np.ndarray) -> float:
    distance = (np.log2(frequency) - resonances[:, 0]) / resonances[:, 1]
    return float((resonances[:, 2] * np.exp(-0.5 * distance**2)).sum())


def _cents(time: np.ndarray, rate: float, depth: float, rng: np.random.Generator) -> np.ndarray:
    """How far a note strays from its pitch: vibrato that sets in after the attack, a slide into it, unsteadiness."""
    sets_in = np.clip((time - rng.uniform(0.05, 0.4)) / 0.3, 0, 1)
    slide = rng.normal(0, 30) * np.exp(-time / rng.uniform(0.01, 0.06))
    steps = rng.normal(0, 1, len(time) // 400 + 2)
    unsteady = np.interp(np.arange(len(time)), np.arange(len(steps)) * 400, signal.lfilter([0.2], [1, -0.8], steps))
    wave = depth * sets_in * np.sin(2 * np.pi * rate * time + rng.uniform(0, 6.28))
    return np.asarray(wave + slide + rng.uniform(1, 8) * unsteady)


def _envelope(time: np.ndarray, attack: float, rng: np.random.Generator) -> np.ndarray:
    """Rise, swell or fade, and end, 0-1."""
    rise = np.clip(time / attack, 0, 1) ** rng.uniform(0.6, 2)
    end = np.clip((time[-1] - time) / rng.uniform(0.02, 0.15), 0, 1)
    swell = 10 ** (rng.uniform(-10, 4) * time / max(float(time[-1]), 0.3) / 20)
    flutter = 1 + rng.uniform(0, 0.15) * np.sin(2 * np.pi * rng.uniform(4, 7) * time)
    return np.asarray(rise * end * np.minimum(swell, 1.5) * flutter / 1.7)


def _noise(length: int, frequency: float, rng: np.random.Generator) -> np.ndarray:
    """Bow or breath: noise around the first partials and above, of power 1."""
    noise = rng.standard_normal(length)
    low = min(0.9, max(0.02, frequency * rng.uniform(0.5, 2) / (SAMPLE_RATE / 2)))
    numerator, denominator = signal.butter(1, [low, min(0.98, low * rng.uniform(4, 12) + 0.05)], "band")
    shaped = signal.lfilter(numerator, denominator, noise)
    return np.asarray(shaped / max(float(np.std(shaped)), 1e-9))
