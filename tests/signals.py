"""Signals of known truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from transcribe.events import Note

RATE = 16000


def sine(frequency: float, seconds: float, sample_rate: int = RATE, amplitude: float = 0.5) -> np.ndarray:
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    return (amplitude * np.sin(2 * np.pi * frequency * time)).astype(np.float32)


def pluck(pitch: int, seconds: float, sample_rate: int = RATE) -> np.ndarray:
    """A note with the partials and the decay of a string, from its attack on."""
    frequency = 440.0 * 2 ** ((pitch - 69) / 12)
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    partials = [k for k in range(1, 12) if k * frequency < sample_rate / 2]
    wave = sum(np.sin(2 * np.pi * k * frequency * time) * np.exp(-(2 + k) * time) / k for k in partials)
    return np.asarray(0.3 * wave, np.float32)


def melody(notes: list[Note], seconds: float, sample_rate: int = RATE) -> np.ndarray:
    samples = np.zeros(round(seconds * sample_rate), np.float32)
    for note in notes:
        first = round(note.onset * sample_rate)
        sound = pluck(note.pitch, note.offset - note.onset, sample_rate)[: len(samples) - first]
        samples[first : first + len(sound)] += sound * note.velocity / 127
    return samples


def white_noise(rng: np.random.Generator, seconds: float, amplitude: float = 0.1) -> np.ndarray:
    return (amplitude * rng.standard_normal(round(seconds * RATE))).astype(np.float32)


def silence(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * RATE), np.float32)


def strum(pitches: list[int], seconds: float, sample_rate: int = RATE) -> np.ndarray:
    """A chord of plucked strings, 10 ms from one to the next."""
    samples = np.zeros(round(seconds * sample_rate), np.float32)
    for i, pitch in enumerate(pitches):
        first = i * sample_rate // 100
        samples[first:] += 0.5 * pluck(pitch, seconds, sample_rate)[: len(samples) - first]
    return samples


def tone(path: Path, frequency: float, seconds: float = 3.0, buzz: bool = False, pulse: float = 0.0) -> Path:
    """Write a sine, or a saw-tooth with all its partials; ``pulse`` times a second if that isn't 0, else held."""
    time = np.arange(int(seconds * RATE)) / RATE
    samples = 0.3 * (2 * ((frequency * time) % 1) - 1) if buzz else 0.5 * np.sin(2 * np.pi * frequency * time)
    if pulse:
        samples *= (time * pulse) % 1 < 0.2
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, RATE)
    return path


def two_sounds(folder: Path) -> Path:
    """Write clips in folders by instrument: sines for flutes, saw-teeth for violins."""
    for k in range(8):
        tone(folder / "flute" / f"{k}.flac", 300.0 + 40 * k)
        tone(folder / "violin" / f"{k}.flac", 300.0 + 40 * k, buzz=True)
    return folder
