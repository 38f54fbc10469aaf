"""A sampled piano and the playing of it: notes and pedal in, dry sound out.

A bank is a folder with one recorded note a file and ``samples.csv``: the columns ``file``, ``pitch``,
``velocity_layer``, ``microphone`` (empty where there is one), ``original_peak`` or ``original_rms_first_half_second``
where the files are all as loud as can be and the notes weren't, and, if the bank has the noise of falling keys too,
``trigger`` (``attack`` or ``release``). :mod:`train.synthesis.banks` makes them. Numpy, scipy and soundfile only.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import soundfile
from scipy import signal

from train.synthesis.performances import Performance

SAMPLE_RATE = 16000
OVERSAMPLING = 2  # samples are kept at twice the rate, so that linear interpolation between them is clean
# The last string with a damper is one of these keys, E6 to A6; those above ring on.
LAST_DAMPERS = (88, 93)
# Where the attack of every sample is put: its envelope passes -20 dB of its peak this many seconds after its start.
ATTACK = 0.003
# Of a layer with fewer notes it isn't known how loud its keys are beside each other.
_FEWEST_KEYS = 5
# Cents that a whole piano is off at most, beside the 10 or so of its bank. Half a semitone would be the next key's:
# features are corrected for the tuning.
_MOST_DETUNED = 36
_SILENT = 7.0  # nepers after which a note is over: 61 dB
_RINGS = 6  # patterns of sympathetic ring to choose from


@dataclass(frozen=True)
class Sample:
    """One recorded note, at ``SAMPLE_RATE * OVERSAMPLING``.

    The RMS of its first half second is 1 where its key is as loud as the others of its layer are in the mean; a piano's
    treble is softer.
    """

    pitch: int
    dynamic: float  # 0 softest … 1 loudest layer of the bank
    samples: np.ndarray


@dataclass(frozen=True)
class Piano:
    """A sampled piano as one microphone recorded it."""

    name: str
    samples: tuple[Sample, ...]
    layered: bool
    releases: tuple[Sample, ...] = ()  # of falling keys

    def nearest(self, pitch: float, dynamic: float) -> Sample:
        """Choose the sample to play: a layer's worth of loudness is worth a semitone or so."""
        return min(self.samples, key=lambda s: abs(s.pitch - pitch) + 3 * abs(s.dynamic - dynamic))


def load_pianos(folder: Path) -> list[Piano]:
    """Read ``samples.csv`` and the notes of one bank: a :class:`Piano` for each microphone."""
    with (folder / "samples.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    layers = sorted({int(row["velocity_layer"]) for row in rows if row.get("trigger") != "release"})
    pianos = []
    for microphone in sorted({row["microphone"] for row in rows}):
        samples, releases = [], []
        of_microphone = [row for row in rows if row["microphone"] == microphone]
        curves: dict[int, list[tuple[int, float]]] = {layer: [] for layer in layers}
        for row in of_microphone:
            audio, rate = soundfile.read(folder / row["file"], dtype="float32", always_2d=True)
            mono = signal.resample_poly(audio.mean(1), SAMPLE_RATE * OVERSAMPLING, rate).astype(np.float32)
            mono = _aligned(mono)
            rms = max(float(np.sqrt(np.mean(mono[: SAMPLE_RATE * OVERSAMPLING // 2] ** 2))), 1e-6)
            loudness = _loudness(row, rms, float(np.abs(mono).max()))
            mono /= rms
            fade = min(len(mono), 3200)
            mono[-fade:] *= np.linspace(1, 0, fade, dtype=np.float32)
            if row.get("trigger") == "release":
                releases.append(Sample(int(row["pitch"]), 0.5, mono))
            else:
                layer = int(row["velocity_layer"])
                curves[layer].append((int(row["pitch"]), loudness))
                samples.append(Sample(int(row["pitch"]), (layers.index(layer) + 0.5) / len(layers), mono))
        for layer, curve in curves.items():
            dynamic = (layers.index(layer) + 0.5) / len(layers)
            for sample, decibels in zip([s for s in samples if s.dynamic == dynamic], _by_key(curve), strict=True):
                sample.samples[:] *= 10 ** (decibels / 20)
        name = f"{folder.name} {microphone}".strip()
        pianos.append(Piano(name, tuple(samples), len(layers) > 1, tuple(releases)))
    return pianos


def _loudness(row: dict[str, str], rms: float, peak: float) -> float:
    """Give the RMS that a note of a bank had before all were made as loud as can be, in dB; 0 where nobody knows."""
    if row.get("original_rms_first_half_second"):
        return 20 * float(np.log10(max(float(row["original_rms_first_half_second"]), 1e-6)))
    if row.get("original_peak"):
        return 20 * float(np.log10(max(float(row["original_peak"]) * rms / max(peak, 1e-6), 1e-6)))
    return 0.0


def _by_key(curve: list[tuple[int, float]]) -> np.ndarray:
    """Smooth the loudness of the keys of a layer: dB beside their mean, a parabola in the key.

    What is left of a single note is how hard it was struck for its recording.
    """
    if len(curve) < _FEWEST_KEYS:
        return np.zeros(len(curve))
    keys, decibels = np.array(curve).T
    smooth = np.polyval(np.polyfit(keys - 60, decibels, 2), keys - 60)
    return np.asarray(smooth - smooth.mean())


def attack_time(samples: np.ndarray, sample_rate: int, level_db: float = -20.0) -> float:
    """Find when a single note's envelope first passes ``level_db`` of the peak of its first 0.15 s, in seconds.

    The envelope is the RMS over 2 ms of what lies above 300 Hz, where a hammer is heard first.
    """
    start = samples[: int(0.3 * sample_rate)].astype(float)
    high = signal.sosfilt(signal.butter(2, 300, "high", fs=sample_rate, output="sos"), start)
    width = max(1, sample_rate // 500)
    power = np.convolve(high**2, np.ones(width) / width)[: len(high)]
    peak = power[: int(0.15 * sample_rate)].max(initial=0.0)
    return float(np.argmax(power > peak * 10 ** (level_db / 10))) / sample_rate if peak else 0.0


def _aligned(samples: np.ndarray) -> np.ndarray:
    """Shift a sample so that its attack is at ``ATTACK``, whatever silence its bank left before it."""
    rate = SAMPLE_RATE * OVERSAMPLING
    late = round((attack_time(samples, rate) - ATTACK) * rate)
    return samples[late:].copy() if late > 0 else np.pad(samples, (-late, 0))


@dataclass(frozen=True)
class Voicing:
    """One piano's state on one day: everything that is drawn once a rendering."""

    cents: np.ndarray  # (128,) of detuning
    decibels: np.ndarray  # (128,) of loudness
    doubled: np.ndarray  # (128,) cents between a note's strings, mostly 0
    dead: np.ndarray  # (128,) keys that only knock
    dynamic_range: float  # dB from the softest to the loudest touch
    curve: float  # touch = (velocity / 127) ** curve
    damping: np.ndarray  # (128,) s to fall by 1/e under the damper; infinite where there is none
    half_damping: float  # the same for the middle of the keyboard under a half pedal
    half_pedal: float  # share of the pedal's spans that are half, where nobody knows how far down it was
    lift: tuple[float, float]  # how far down, 0 to 127, the pedal begins to lift the dampers, and has lifted them
    decay: float  # slower or faster than recorded, 1/s
    knock: float  # loudness of falling keys and dampers, 0 for none
    ring: float  # loudness of the sympathetic strings, 0 for none

    @staticmethod
    def draw(rng: np.random.Generator) -> Voicing:
        """Draw: mostly well kept, now and then a wreck."""
        keys = np.arange(128)
        tuning = rng.normal(0, 14) if rng.random() < 0.7 else rng.uniform(-_MOST_DETUNED, _MOST_DETUNED)
        tuning = np.clip(tuning, -_MOST_DETUNED, _MOST_DETUNED)
        stretch = rng.uniform(-2, 12) * ((keys - 60) / 48.0) ** 3
        doubled = np.full(128, rng.uniform(6, 18) if rng.random() < 0.06 else 0.0)
        dead = np.zeros(128, bool)
        if rng.random() < 0.1:  # a neglected instrument
            doubled[rng.integers(21, 109, 6)] = rng.uniform(8, 30, 6)
            dead[rng.integers(21, 109, rng.integers(0, 4))] = True
        # The rise with the key and the range are such that renders are like the software pianos of MAPS, which differ:
        # 0.2 to 1.8 dB an octave and 5.6 to 9.6 dB a doubling of the velocity (train/synthesis/loudness.py).
        return Voicing(
            cents=tuning + stretch + rng.normal(0, rng.uniform(1, 6), 128),
            decibels=rng.normal(0, rng.uniform(0.3, 1.8), 128) + rng.uniform(-2, 9) * (keys - 60) / 48,
            doubled=doubled,
            dead=dead,
            dynamic_range=rng.uniform(21, 47),
            curve=rng.uniform(0.7, 1.5),
            damping=_damping(rng),
            half_damping=rng.uniform(0.3, 1.2),
            half_pedal=rng.uniform(0, 0.4) if rng.random() < 0.3 else 0.0,
            lift=(rng.uniform(20, 50), rng.uniform(75, 105)),
            decay=rng.uniform(-0.4, 1.0),
            knock=10 ** (rng.uniform(-50, -22) / 20) if rng.random() < 0.6 else 0.0,
            ring=10 ** (rng.uniform(-46, -24) / 20) if rng.random() < 0.7 else 0.0,
        )


def play(
    piano: Piano, performance: Performance, seconds: float, rng: np.random.Generator, voicing: Voicing | None = None
) -> np.ndarray:
    """Play a performance on a piano that is tuned, voiced and damped a little differently every time.

    Returns
    -------
    np.ndarray
        float32 ``(seconds * SAMPLE_RATE,)``, dry, of any level.
    """
    voicing = voicing or Voicing.draw(rng)
    out = np.zeros(int(seconds * SAMPLE_RATE) + 1, np.float32)
    pedals = np.zeros((0, 2)) if performance.pedals is None else performance.pedals
    dampers = _dampers(performance, voicing, rng)
    for onset, release, pitch, velocity in performance.notes:
        key = int(pitch)
        touch = (velocity / 127) ** voicing.curve
        gain = 10 ** ((voicing.dynamic_range * (touch - 1) + voicing.decibels[key]) / 20)
        if voicing.knock:
            _key_up(out, piano, key, release, voicing.knock, rng)
        if voicing.dead[key]:
            _knock(out, onset, 0.3 * gain, rng)
            continue
        layer = float(np.clip(touch + rng.normal(0, 0.06), 0, 1))
        damper = _fall(release, dampers, float(voicing.damping[key]))
        for side in (1, -1) if voicing.doubled[key] else (0,):
            cents = voicing.cents[key] + side * voicing.doubled[key]
            _strike(out, piano, (onset, key, touch), layer, gain, cents, damper, voicing.decay)
    if voicing.knock:
        for moment in pedals.ravel():
            _knock(out, moment, voicing.knock * rng.uniform(0.5, 2), rng)
    if voicing.ring:
        out += voicing.ring * _sympathy(out, pedals, int(rng.integers(_RINGS)))
    return out[:-1]


def sounding(performance: Performance, voicing: Voicing) -> Performance:
    """Leave out the notes of dead keys: nobody hears them."""
    heard = ~voicing.dead[performance.notes[:, 2].astype(int)]
    return replace(performance, notes=performance.notes[heard])


def _damping(rng: np.random.Generator) -> np.ndarray:
    """Draw how fast the dampers are, key by key: slower in the bass, no two alike, none above the last."""
    keys = np.arange(128)
    damping = rng.uniform(0.03, 0.12) * 2 ** ((60 - keys) / rng.uniform(18, 36)) * np.exp(rng.normal(0, 0.2, 128))
    damping[rng.integers(LAST_DAMPERS[0], LAST_DAMPERS[1] + 1) + 1 :] = np.inf
    return np.asarray(damping)


# From when on, in seconds, the pedal leaves the dampers which share of what they do: (k,) and (k,).
_Dampers = tuple[np.ndarray, np.ndarray]
# By how much a note has been damped at these moments, in nepers, straight between them: (k,) and (k,).
_Fall = tuple[np.ndarray, np.ndarray]


def _dampers(performance: Performance, voicing: Voicing, rng: np.random.Generator) -> _Dampers:
    """Tell what the pedal does to the dampers: how far down it is, where that is known, or else the spans."""
    if performance.moves is not None:
        first, last = voicing.lift
        depths = np.clip((performance.moves[:, 1] - first) / (last - first), 0, 1)
        return performance.moves[:, 0], (1 - depths) ** 3  # felt that hardly touches hardly damps
    pedals = np.zeros((0, 2)) if performance.pedals is None else performance.pedals
    half = rng.random(len(pedals)) < voicing.half_pedal
    braked = np.where(half, min(1.0, float(np.median(voicing.damping[48:73])) / voicing.half_damping), 0.0)
    return pedals.ravel(), np.column_stack([braked, np.ones(len(pedals))]).ravel()


def _fall(release: float, dampers: _Dampers, damping: float) -> _Fall:
    """Add up how a note is damped from the key's release on; the pedal may catch what is left of it."""
    times, shares = dampers
    place = int(np.searchsorted(times, release, side="right"))
    knots = np.append(release, times[place:])
    rates = np.append(shares[place - 1] if place else 1.0, shares[place:]) / damping
    nepers = np.append(0.0, np.cumsum(rates[:-1] * np.diff(knots)))
    if rates[-1]:
        knots, nepers = np.append(knots, knots[-1] + _SILENT / rates[-1]), np.append(nepers, nepers[-1] + _SILENT)
    return knots, nepers


def _strike(
    out: np.ndarray,
    piano: Piano,
    note: tuple[float, int, float],
    layer: float,
    gain: float,
    cents: float,
    damper: _Fall,
    decay: float,
) -> None:
    """Add one note (onset, key, touch) to ``out``: resampled to its pitch, its decay bent, damped."""
    onset, key, touch = note
    sample = piano.nearest(key, layer)
    ratio = OVERSAMPLING * 2 ** ((key - sample.pitch + cents / 100) / 12)
    start = int(np.ceil(onset * SAMPLE_RATE))
    knots, nepers = damper
    silent = float(np.interp(_SILENT, nepers, knots, right=np.inf)) - onset
    longest = min((len(out) - start) / SAMPLE_RATE, (len(sample.samples) - 2) / ratio / SAMPLE_RATE, silent)
    count = int(longest * SAMPLE_RATE)
    if count <= 0:
        return
    position = (np.arange(count) + (start - onset * SAMPLE_RATE)) * ratio
    index = position.astype(np.int64)
    fraction = (position - index).astype(np.float32)
    sound = sample.samples[index] * (1 - fraction) + sample.samples[index + 1] * fraction
    time = np.arange(count, dtype=np.float32) / SAMPLE_RATE
    damped = np.interp(time, knots - onset, nepers).astype(np.float32)
    sound = sound * np.exp(-decay * time * 0.7 - damped)
    if not piano.layered:
        sound = _voice(sound, touch)
    out[start : start + count] += gain * sound


def _voice(note: np.ndarray, touch: float) -> np.ndarray:
    """Darken a soft note of a bank with one layer: a one-pole low pass mixed in."""
    softness = 0.9 * (1 - touch)
    dark: np.ndarray = signal.lfilter([0.25], [1, -0.75], note).astype(np.float32)
    return (1 - softness) * note + softness * dark


def _key_up(out: np.ndarray, piano: Piano, key: int, moment: float, loudness: float, rng: np.random.Generator) -> None:
    """Add the noise of a key that comes up: the bank's own where it has any."""
    if not piano.releases:
        _knock(out, moment, loudness, rng)
        return
    sound = min(piano.releases, key=lambda sample: abs(sample.pitch - key)).samples[::OVERSAMPLING]
    start = int(moment * SAMPLE_RATE)
    count = min(len(out) - start, len(sound))
    if count > 0:
        out[start : start + count] += loudness * sound[:count]


def _knock(out: np.ndarray, moment: float, loudness: float, rng: np.random.Generator) -> None:
    """Add the noise of a key or damper that falls: 60 ms of dull noise, its fall by 1/e 10-25 ms."""
    start = int(moment * SAMPLE_RATE)
    count = min(len(out) - start, int(0.06 * SAMPLE_RATE))
    if count > 0 and start >= 0:
        time = np.arange(count) / SAMPLE_RATE
        noise = signal.lfilter([0.12], [1, -0.88], rng.standard_normal(count))
        shape = np.exp(-time / rng.uniform(0.01, 0.025)) * np.minimum(time / 0.003, 1)
        out[start : start + count] += (loudness * 4 * noise * shape).astype(np.float32)


def _sympathy(dry: np.ndarray, pedals: np.ndarray, pattern: int) -> np.ndarray:
    """Compute what the undamped strings add while the pedal is down."""
    gate = np.zeros(len(dry), np.float32)
    for down, up in pedals:
        gate[int(down * SAMPLE_RATE) : int(up * SAMPLE_RATE)] = 1
    if not gate.any():
        return gate
    gate = signal.lfilter([0.005], [1, -0.995], gate).astype(np.float32)  # dampers take some 12 ms
    rung: np.ndarray = signal.oaconvolve(dry * gate, _strings(pattern))[: len(dry)] * gate
    return rung.astype(np.float32)


@lru_cache(maxsize=_RINGS)
def _strings(pattern: int) -> np.ndarray:
    """Compute the response of 68 undamped strings with four partials each, two seconds long, of energy 1."""
    rng = np.random.default_rng(pattern)
    time = np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE
    response = np.zeros(len(time))
    for key in range(21, LAST_DAMPERS[0] + 1):
        frequency = 440 * 2 ** ((key - 69 + rng.normal(0, 0.03)) / 12)
        fall = np.exp(-time / (0.9 * 2 ** ((60 - key) / 30)))
        for partial in range(1, 5):
            if partial * frequency < 0.45 * SAMPLE_RATE:
                phase = 2 * np.pi * (partial * frequency * time + rng.random())
                response += rng.uniform(0.3, 1) / partial * np.sin(phase) * fall
    normalised: np.ndarray = (response / np.sqrt((response**2).sum())).astype(np.float32)
    return normalised
