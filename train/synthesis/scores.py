"""MIDI files as parts to be played: who plays when, excerpts of it, and which side of a split a piece is on."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from train.synthesis.performances import HIGHEST, LOWEST, without_overlaps
from transcribe.theory.families import FAMILY_OF_PROGRAM

# One piece in so many is kept for validation.
_PIECES_TO_ONE = 16
# Keys of electronic drum kits that General MIDI names otherwise: edges of hi-hats, a floor tom's rim.
_DRUM_KEYS = {22: 42, 26: 46, 58: 43}


@dataclass(frozen=True)
class Part:
    """What one player plays.

    ``notes`` (n, 4) sorted by onset: onset s, offset s, pitch, velocity; ``pedals`` (m, 2) in s; ``program`` of General
    MIDI, from 0; of drums the pitches are percussion keys.
    """

    notes: np.ndarray
    pedals: np.ndarray
    program: int = 0
    is_drums: bool = False

    @property
    def is_polyphonic(self) -> bool:
        """Whether notes overlap more than legato does."""
        until = np.maximum.accumulate(self.notes[:-1, 1])
        return bool(np.mean(until - self.notes[1:, 0] > 0.1) > 0.08) if len(until) else False


@lru_cache(256)
def read_parts(path: Path) -> tuple[Part, ...]:
    """Read the parts of a MIDI file; effects and tracks without notes are left out."""
    import symusic

    parts = []
    score: Any = symusic.Score(path)  # without types of its own
    for track in score.to("second").tracks:
        if not len(track.notes) or (not track.is_drum and FAMILY_OF_PROGRAM[track.program] is None):
            continue
        found = track.notes.numpy()
        onsets = found["time"].astype(float)
        notes = np.column_stack([onsets, onsets + found["duration"], found["pitch"], found["velocity"]])
        pedals = np.array([(pedal.time, pedal.time + pedal.duration) for pedal in track.pedals], float).reshape(-1, 2)
        if track.is_drum:
            notes[:, 2] = [_DRUM_KEYS.get(int(key), int(key)) for key in notes[:, 2]]
        else:
            notes = notes[(notes[:, 2] >= LOWEST) & (notes[:, 2] <= HIGHEST)]
        if len(notes):
            parts.append(Part(without_overlaps(notes), pedals, track.program, track.is_drum))
    return tuple(parts)


def cut(parts: Iterable[Part], start: float, seconds: float) -> list[Part]:
    """Cut an excerpt; notes that began before are left out, those that go on are ended; no part is without notes."""
    kept = []
    for part in parts:
        notes = part.notes[(part.notes[:, 0] >= start) & (part.notes[:, 0] < start + seconds - 0.1)].copy()
        notes[:, :2] = np.minimum(notes[:, :2] - start, seconds)
        pedals = np.clip(part.pedals - start, 0, seconds)
        if len(notes):
            kept.append(replace(part, notes=notes, pedals=pedals[pedals[:, 1] > pedals[:, 0]]))
    return kept


def duration(parts: Iterable[Part]) -> float:
    """Give the last offset in seconds."""
    return max((float(part.notes[:, 1].max()) for part in parts), default=0.0)


def merge(parts: Sequence[Part]) -> Part:
    """Give several parts, such as a pianist's hands, to one player."""
    notes = np.concatenate([part.notes for part in parts])
    notes = without_overlaps(notes[np.argsort(notes[:, 0], kind="stable")])
    longest = max(parts, key=lambda part: len(part.pedals))  # tracks of one player repeat the pedal
    return replace(parts[0], notes=notes, pedals=longest.pedals)


def split_melody(part: Part) -> tuple[Part, Part]:
    """Give the highest note of every chord to one player and the rest to another, who may have nothing."""
    chord = np.cumsum(np.diff(part.notes[:, 0], prepend=-1.0) > 0.03)
    highest = np.full(chord[-1] + 1, -1)
    for i in np.lexsort((part.notes[:, 2], chord)):  # the last that is written is the highest
        highest[chord[i]] = i
    leads = np.isin(np.arange(len(part.notes)), highest)
    melody = part.notes[leads].copy()
    melody[:-1, 1] = np.minimum(melody[:-1, 1], melody[1:, 0])
    return replace(part, notes=melody, pedals=part.pedals[:0]), replace(part, notes=part.notes[~leads])


def bass_line(parts: Iterable[Part]) -> Part:
    """Let a bass play the lowest notes of all parts, each until the next, in its own register."""
    notes = np.concatenate([part.notes for part in parts])
    notes = notes[np.lexsort((notes[:, 2], np.round(notes[:, 0], 2)))]
    notes = notes[np.diff(notes[:, 0], prepend=-1.0) > 0.1]
    # What lies high above the lowest notes around is a melody over a bass that is held.
    around = np.array([notes[np.abs(notes[:, 0] - onset) < 1, 2].min() for onset in notes[:, 0]])
    notes = notes[notes[:, 2] < around + 8].copy()
    notes[:, 2] = 28 + (notes[:, 2] - 28) % 12 + 12 * (np.median(notes[:, 2]) > 60)
    notes[:-1, 1] = np.minimum(np.maximum(notes[:-1, 1], notes[1:, 0] - 0.05), notes[1:, 0])
    return Part(notes, np.zeros((0, 2)), 33)


def is_validation(path: Path) -> bool:
    """Say on which side of the split a piece is; movements and takes of one (``NAME_3.mid``) are on the same."""
    name = path.stem.rpartition("_")[0]
    piece = f"{path.parent.name}/{name if len(name) > 3 else path.stem}"
    return zlib.crc32(piece.encode()) % _PIECES_TO_ONE == 0


def find_pieces(folder: Path, validation: bool) -> list[Path]:
    """Find the MIDI files of a side of the split below a folder; POP909's other versions are left out."""
    paths = sorted(path for path in folder.rglob("*.mid") if "versions" not in path.parts)
    return [path for path in paths if is_validation(path) == validation]
