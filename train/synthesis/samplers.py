"""Real single notes → parts: each note by a recording of one near it, played faster or slower.

A bank is a folder with ``notes.csv``: the columns ``file``, ``instrument``, ``pitch_measured`` (or
``pitch_from_name``; recordings without a pitch are left out) and ``licence``.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from scipy import signal

from train.synthesis.piano import SAMPLE_RATE
from train.synthesis.players import STEP, Played

# Which sounds (:data:`train.synthesis.solos.SOUNDS`) the instruments of a bank stand for.
INSTRUMENTS = {
    "violin": "violin", "cello": "cello", "trumpet": "trumpet", "double_bass": "plucked double bass",
    "electric_bass": "bass", "electric_guitar": "electric guitar", "acoustic_guitar": "acoustic guitar",
    "electric_piano": "electric piano", "vibraphone": "mallets", "piano": "piano",
}  # fmt: skip
# How far a recording may be moved, in semitones, before an instrument can't play a note.
_REACH = 5
_OVERSAMPLING = 2


@dataclass(frozen=True)
class Recorded:
    """A recorded note from its attack on, its peak 1, at twice the rate of what is played."""

    pitch: float
    samples: np.ndarray


def load_bank(folder: Path) -> dict[str, list[list[Recorded]]]:
    """Read a bank: for each sound its sets of recordings, one a source."""
    sets: dict[tuple[str, str], list[Recorded]] = defaultdict(list)
    with (folder / "notes.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            pitch = row["pitch_measured"] or row["pitch_from_name"]
            if row["instrument"] in INSTRUMENTS and pitch and row["licence"] not in ("", "none stated"):
                recorded = Recorded(float(pitch), _read(folder / row["file"]))
                sets[INSTRUMENTS[row["instrument"]], row["source"]].append(recorded)
    banks: dict[str, list[list[Recorded]]] = defaultdict(list)
    for (sound, _), notes in sorted(sets.items()):
        banks[sound].append(notes)
    return dict(banks)


def _read(path: Path) -> np.ndarray:
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    mono = signal.resample_poly(samples.mean(1), _OVERSAMPLING * SAMPLE_RATE, rate).astype(np.float32)
    mono /= max(float(np.abs(mono).max()), 1e-6)
    return np.asarray(mono[max(0, int(np.argmax(np.abs(mono) > 0.02)) - 100) :])


def can_play(recordings: list[Recorded], played: Played) -> bool:
    """Whether there is a recording near every note."""
    pitches = np.array([recorded.pitch for recorded in recordings])
    wanted = np.unique(played.part.notes[:, 2])
    return bool(len(wanted)) and bool((np.abs(wanted[:, None] - pitches).min(1) <= _REACH).all())


def play(
    recordings: list[Recorded], played: Played, seconds: float, rng: np.random.Generator, tuning: float = 0.0
) -> np.ndarray:
    """Play a part with recorded notes, bent and swelled as its player does: float32 (n_samples,), mono, at 16 kHz."""
    out = np.zeros(round(seconds * SAMPLE_RATE), np.float32)
    release = rng.uniform(0.03, 0.25)
    for onset, offset, pitch, velocity in played.part.notes:
        first, length = round(onset * SAMPLE_RATE), round((offset - onset + release) * SAMPLE_RATE)
        length = min(length, len(out) - first)
        if length <= 0:
            continue
        recorded = min(recordings, key=lambda r: abs(r.pitch - pitch) + rng.uniform(0, 3))
        time = np.arange(length) / SAMPLE_RATE
        cents = np.full(length, 100 * (pitch - recorded.pitch) + tuning)
        if played.cents is not None:
            cents += np.interp(onset + time, np.arange(len(played.cents)) * STEP, played.cents)
        places = np.cumsum(2 ** (cents / 1200)) * _OVERSAMPLING
        note = np.interp(places, np.arange(len(recorded.samples)), recorded.samples, right=0.0)
        note *= np.clip((offset + release - onset - time) / release, 0, 1)
        if played.loudness is not None:
            note *= np.interp(onset + time, np.arange(len(played.loudness)) * STEP, played.loudness)
        out[first : first + length] += note * (velocity / 127) ** 1.5
    return out
