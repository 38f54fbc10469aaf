"""Singing voices by the source-filter model: a pulse of the vocal folds through the resonances of vowels.

Each part has a singer of its own: a vocal tract, a vibrato, a way to come to a note (from below, in a glide, on the
spot) and to begin it (with a consonant, which may have a pitch itself, or softly). Centres of formants: Peterson &
Barney 1952, men's; of nasals about what Fujimura 1962 measured; a tract's length moves them all. A note begins where
its vowel does.
"""

from __future__ import annotations

import numpy as np
from scipy import signal

from train.synthesis.piano import SAMPLE_RATE
from train.synthesis.players import Played

# The first two formants of vowels in Hz; the higher ones are the singer's own.
_VOWELS = np.array([(730, 1090), (530, 1840), (270, 2290), (570, 840), (300, 870), (660, 1720), (490, 1350)], float)
# The same of m, n, ng and l, which sound at the pitch of the vowel that follows.
_VOICED = np.array([(250, 1050), (270, 1450), (290, 2150), (350, 1100)], float)
_PARTIALS = 48
# Samples between the points at which formants and pitch are computed.
_HOP = 160


def sing(played: Played, seconds: float, rng: np.random.Generator, tuning: float = 0.0) -> np.ndarray:
    """Sing a part of one note at a time: float32 (n_samples,), mono, at 16 kHz.

    Parameters
    ----------
    played
        What is sung; of notes that overlap the earlier one ends. Its own touch isn't used.
    seconds
        To render.
    rng
        Of all randomness.
    tuning
        Cents by which the whole is sharp.
    """
    n_hops = round(seconds * SAMPLE_RATE) // _HOP + 2
    pitch, level, vowels, noise = _contours(played.part.notes, n_hops, rng)
    formants = _formants(vowels, rng)
    frequency = 440 * 2 ** ((pitch - 69 + tuning / 100) / 12)
    voiced = _pulses(frequency, level, formants, rng)[: round(seconds * SAMPLE_RATE)]
    breath = rng.standard_normal(len(voiced))
    low, high = rng.uniform(1500, 3000), rng.uniform(5000, 7500)
    breath = signal.sosfilt(signal.butter(2, (low, high), "band", fs=SAMPLE_RATE, output="sos"), breath)
    breathy = 10 ** (rng.uniform(-50, -22) / 20)
    places = np.arange(len(voiced)) / _HOP
    loud = np.interp(places, np.arange(n_hops), level * breathy + noise)
    return np.asarray(0.2 * (voiced + loud * breath), np.float32)


def _contours(notes: np.ndarray, n_hops: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Draw pitch (MIDI), level (0-1), vowel (n_hops, 2) in Hz and consonants' noise along time."""
    hop = _HOP / SAMPLE_RATE
    pitch, level, noise = np.full(n_hops, 60.0), np.zeros(n_hops), np.zeros(n_hops)
    vowels = np.tile(_VOWELS[0], (n_hops, 1))
    rate, depth, delay = rng.uniform(4.5, 6.8), rng.uniform(0.0, 1.1) * (rng.random() < 0.7), rng.uniform(0.1, 0.5)
    glide, scoop, syllabic = rng.uniform(0.02, 0.12), rng.choice([0.0, 0.3, 1.5]), rng.uniform(0.2, 1.0)
    before = None
    ends = np.append(notes[1:, 0], np.inf)
    for (onset, offset, key, velocity), end in zip(notes, ends, strict=True):
        first, last = round(onset / hop), min(round(min(offset, end) / hop), n_hops)
        if last - first < 2:
            continue
        time = np.arange(last - first) * hop
        legato = before is not None and onset - before[1] < 0.06
        syllable = not legato or rng.random() < syllabic
        away = (before[0] - key) if legato and before is not None else -rng.uniform(0, 2) * scoop
        contour = key + away * np.exp(-time / glide * rng.uniform(1.5, 3))
        wave = np.sin(2 * np.pi * rate * time + rng.uniform(0, 6))
        contour += depth * 0.5 * np.clip((time - delay) / 0.3, 0, 1) * wave
        unsteady = rng.normal(0, rng.uniform(0.02, 0.12), len(time))
        pitch[first:] = key
        pitch[first:last] = contour + signal.lfilter([0.15], [1, -0.9], unsteady)
        loud = (velocity / 127) ** 1.2
        attack = rng.uniform(0.01, 0.08) if syllable else 0.0
        rise = np.clip((time + hop) / max(attack, hop), 0, 1) if syllable else np.clip(0.7 + time / 0.1, 0, 1)
        fall = np.clip((time[-1] + hop - time) / rng.uniform(0.02, 0.12), 0, 1)
        swell = 1 - rng.uniform(0, 0.5) * np.clip(time / max(time[-1], 0.4), 0, 1)
        level[first:last] = loud * rise * fall * swell
        vowels[first:] = _VOWELS[int(rng.integers(len(_VOWELS)))] if syllable else vowels[max(0, first - 1)]
        consonant = rng.random() if syllable else 1.0
        if consonant < 0.3:  # a consonant with a pitch, before the vowel begins
            begin = max(0, first - int(rng.uniform(0.04, 0.15) / hop))
            pitch[begin:first] = contour[0]
            level[begin:first] = loud * rng.uniform(0.1, 0.7) * np.linspace(rng.uniform(0, 1), 1, first - begin)
            vowels[begin:first] = _VOICED[int(rng.integers(len(_VOICED)))]
        elif consonant < 0.7:  # one of noise
            length = int(rng.uniform(0.03, 0.12) / hop)
            noise[max(0, first - length) : first] += loud * rng.uniform(0.05, 0.5)
            level[max(0, first - length) : first] *= rng.uniform(0, 0.4)
        before = (key, min(offset, end))
    return pitch, level, vowels, noise


def _formants(vowels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Give the five formants along time, (n_hops, 5) in Hz: smooth, moved by the tract's length and the singer's."""
    tract = rng.uniform(0.92, 1.32)
    smooth = signal.lfilter([0.25], [1, -0.75], vowels, axis=0, zi=0.75 * vowels[:1])[0]
    upper = np.array([2500, 3200, 4300]) * np.exp(rng.normal(0, 0.06, 3))
    return np.asarray(tract * np.hstack([smooth, np.tile(upper, (len(vowels), 1))]))


def _pulses(frequency: np.ndarray, level: np.ndarray, formants: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Sum the partials of the folds' pulse, each as loud as the tract lets it be; silent where ``level`` is 0."""
    tilt, effort = rng.uniform(-14, -7), rng.uniform(0, 6)
    widths = np.array([80, 100, 140, 200, 260]) * rng.uniform(0.8, 1.8)
    gains = np.array([1.0, 0.7, 0.5, 0.45, 0.2]) * np.exp(rng.normal(0, 0.3, 5))
    n_samples = (len(frequency) - 1) * _HOP
    places = np.arange(n_samples) / _HOP
    hops = np.arange(len(frequency))
    turn = np.exp(2j * np.pi * np.cumsum(np.interp(places, hops, frequency)) / SAMPLE_RATE).astype(np.complex64)
    partial = turn.copy()
    out = np.zeros(n_samples, np.float32)
    for k in range(1, _PARTIALS + 1):
        here = k * frequency
        audible = (here < 0.47 * SAMPLE_RATE) & (level > 0)
        if not audible.any():
            break
        # Resonances in parallel, on top of what passes anyway.
        tract = 0.03 + (gains / (1 + ((here[:, None] - formants) / widths) ** 2)).sum(1)
        slope = (tilt + effort * level) * np.log2(k)
        loud = np.where(audible, level * tract * 10 ** (slope / 20), 0.0)
        out += np.interp(places, hops, loud).astype(np.float32) * partial.imag
        partial *= turn
    return out
