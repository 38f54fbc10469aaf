"""Notes to render: performances and songs read from MIDI, and exercises made up on the spot.

A performance is an array of notes ``(n, 4)`` (onset s, offset s, pitch, velocity; an offset is a key
release) with the spans of the sustain pedal ``(m, 2)`` in seconds and, where it is known, how far down it was.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from transcribe.events import Transcription
from transcribe.formats import midi_reader
from transcribe.formats.table import read_transcription

LOWEST, HIGHEST = 21, 108


@dataclass(frozen=True)
class Performance:
    """Notes ``(n, 4)`` sorted by onset, and pedal spans ``(m, 2)``; None where nobody knows about the pedal.

    ``moves`` ``(k, 2)`` says from when on (s) the pedal was how far down: 0 to 127, as in MIDI, where it is "down" from
    64 on. None where only the spans are known.
    """

    notes: np.ndarray
    pedals: np.ndarray | None
    moves: np.ndarray | None = None

    @property
    def duration(self) -> float:
        """Last offset in seconds; 0 for no notes."""
        return float(self.notes[:, 1].max()) if len(self.notes) else 0.0


def read_midi(path: Path) -> Performance:
    """Read all pitched notes and the sustain pedal of a MIDI file."""
    performance = from_transcription(read_transcription(path))
    moves = np.array(midi_reader.read_midi(path.read_bytes()).pedal_moves, float).reshape(-1, 2)
    return replace(performance, moves=moves) if len(moves) else performance


def from_transcription(heard: Transcription) -> Performance:
    """Put notes and pedal into arrays."""
    notes = [(note.onset, note.offset, note.pitch, note.velocity) for note in heard.notes]
    pedals = [(pedal.onset, pedal.offset) for pedal in heard.pedals]
    return Performance(np.array(notes, float).reshape(-1, 4), np.array(pedals, float).reshape(-1, 2))


def excerpt(performance: Performance, start: float, seconds: float) -> Performance:
    """Cut ``seconds`` from ``start``; notes that began before are left out, those that go on are ended."""
    notes = performance.notes[(performance.notes[:, 0] >= start) & (performance.notes[:, 0] < start + seconds)].copy()
    notes[:, :2] = np.minimum(notes[:, :2] - start, seconds)
    if performance.pedals is None:
        return Performance(notes, None)
    pedals = np.clip(performance.pedals - start, 0, seconds)
    pedals = pedals[pedals[:, 1] > pedals[:, 0]]
    if performance.moves is None:
        return Performance(notes, pedals)
    times, depths = performance.moves.T
    inside = (times > start) & (times < start + seconds)
    first = depths[times <= start][-1:].sum()  # where it is at the start; up before anything is known
    times = np.concatenate([[0.0], times[inside] - start, [seconds]])
    return Performance(notes, pedals, np.column_stack([times, np.concatenate([[first], depths[inside], [0.0]])]))


def vary(performance: Performance, rng: np.random.Generator) -> Performance:
    """Another tempo (0.8-1.25), key (up to five semitones), touch and dynamics; sometimes no pedal."""
    notes = performance.notes.copy()
    pedals = np.zeros((0, 2)) if performance.pedals is None else performance.pedals
    stretch = rng.uniform(0.8, 1.25)
    notes[:, :2] *= stretch
    notes[:, 2] += rng.integers(-5, 6)
    centre, spread = notes[:, 3].mean() if len(notes) else 64.0, rng.uniform(0.6, 1.4)
    shift = rng.uniform(-18, 12)
    notes[:, 3] = centre + shift + (notes[:, 3] - centre) * spread + rng.normal(0, 3, len(notes))
    notes[:, 3] = np.clip(np.round(notes[:, 3]), 4, 127)
    notes = notes[(notes[:, 2] >= LOWEST) & (notes[:, 2] <= HIGHEST)]
    moves = None if performance.moves is None else performance.moves * [stretch, 1]
    if rng.random() < 0.15:
        pedals, moves = pedals[:0], None
    return Performance(without_overlaps(notes), pedals * stretch, moves)


def without_overlaps(notes: np.ndarray, gap: float = 0.02) -> np.ndarray:
    """Let a key be struck again only after it came up: offsets are cut ``gap`` seconds before the next onset.

    Doubled notes (onsets of one pitch within 30 ms) are merged.
    """
    kept = []
    for pitch in np.unique(notes[:, 2]):
        same = notes[notes[:, 2] == pitch]
        same = same[np.argsort(same[:, 0], kind="stable")]
        same = same[np.concatenate([[True], np.diff(same[:, 0]) > 0.03])]
        same[:-1, 1] = np.minimum(same[:-1, 1], same[1:, 0] - gap)
        same[:, 1] = np.maximum(same[:, 1], same[:, 0] + 0.01)
        kept.append(same)
    merged = np.concatenate(kept) if kept else notes.reshape(0, 4)
    return merged[np.argsort(merged[:, 0], kind="stable")]


def exercise(seconds: float, rng: np.random.Generator) -> Performance:
    """Make up music without style: the notes that no corpus teaches."""
    kinds = (_random_chords, _scales, _repeats, _trills, _clusters, _sparse)
    notes: list[tuple[float, float, int, int]] = []
    time = rng.uniform(0.1, 0.6)
    while time < seconds - 1:
        span = rng.uniform(4, 12)
        kind = kinds[rng.integers(len(kinds))]
        notes += [note for note in kind(time, min(span, seconds - time), rng) if note[0] < seconds - 0.2]
        time += span + rng.uniform(0, 0.8)
    array = np.array(notes, float).reshape(-1, 4)
    array[:, 1] = np.minimum(array[:, 1], seconds)
    array = array[(array[:, 2] >= LOWEST) & (array[:, 2] <= HIGHEST)]
    array = without_overlaps(array)
    pedalling = rng.random()
    pedals = np.zeros((0, 2))
    if pedalling < 0.25:  # anywhere
        edges = np.cumsum(rng.uniform(0.3, 3.0, int(seconds)))
        pedals = edges[: len(edges) // 2 * 2].reshape(-1, 2)
        pedals = pedals[pedals[:, 1] < seconds]
    elif pedalling < 0.6:
        pedals = syncopated_pedal(array[:, 0], seconds, rng)
    return Performance(array, pedals)


def syncopated_pedal(onsets: np.ndarray, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Change the pedal as pianists do: up a little after a chord's onset, down again soon after.

    Parameters
    ----------
    onsets
        Of the notes, sorted, in seconds.

    Returns
    -------
    np.ndarray
        Spans (m, 2) in seconds, none for no notes.
    """
    chords = onsets[np.diff(onsets, prepend=-1.0) > rng.uniform(0.15, 1.0)]
    late, lift = rng.uniform(0.01, 0.15), rng.uniform(0.05, 0.2)
    ups = chords + np.maximum(rng.normal(late, 0.02, len(chords)), 0)
    downs = ups + np.maximum(rng.normal(lift, 0.03, len(chords)), 0.04)
    spans = np.column_stack([downs, np.append(ups, seconds)[1:]])
    kept: np.ndarray = spans[spans[:, 1] - spans[:, 0] > 0.05]
    return kept


Notes = list[tuple[float, float, int, int]]


def _velocity(rng: np.random.Generator, centre: float) -> int:
    return int(np.clip(rng.normal(centre, 12), 5, 127))


def _any_pitch(rng: np.random.Generator) -> int:
    # A third of the time the ends of the keyboard.
    return int(rng.integers(LOWEST, HIGHEST + 1) if rng.random() < 0.35 else np.clip(rng.normal(62, 14), 24, 105))


def _random_chords(start: float, span: float, rng: np.random.Generator) -> Notes:
    notes: Notes = []
    time, centre = start, rng.uniform(25, 110)
    step = rng.uniform(0.12, 1.2)
    while time < start + span:
        root = _any_pitch(rng)
        pitches = {root} | {root + int(k) for k in rng.choice(np.arange(-19, 20), rng.integers(0, 9), replace=False)}
        length = step * rng.uniform(0.2, 2.5)
        spread = rng.choice([0.0, 0.006, 0.03])
        notes += [(time + rng.uniform(0, spread), time + length, p, _velocity(rng, centre)) for p in sorted(pitches)]
        time += step * rng.choice([0.5, 1, 1, 2])
    return notes


def _scales(start: float, span: float, rng: np.random.Generator) -> Notes:
    notes: Notes = []
    time, centre = start, rng.uniform(25, 110)
    step = rng.uniform(0.05, 0.35)
    pitch, direction = _any_pitch(rng), int(rng.choice([-1, 1]))
    double = int(rng.choice([0, 0, 3, 4, 12, 16]))
    legato = rng.uniform(0.3, 1.3)
    while time < start + span:
        for p in {pitch, pitch + double}:
            notes.append((time, time + step * legato, p, _velocity(rng, centre)))
        pitch += direction * int(rng.choice([1, 2, 2, 3, 4, 5]))
        if not LOWEST + 2 < pitch < HIGHEST - 2 or rng.random() < 0.05:
            direction = -direction
        time += step
    return notes


def _repeats(start: float, span: float, rng: np.random.Generator) -> Notes:
    notes: Notes = []
    time = start
    while time < start + span:
        pitches = {_any_pitch(rng) for _ in range(int(rng.choice([1, 1, 2, 3])))}
        step, centre = 1 / rng.uniform(3, 14), rng.uniform(30, 110)
        for _ in range(int(rng.integers(3, 16))):
            notes += [(time, time + step * rng.uniform(0.35, 0.85), p, _velocity(rng, centre)) for p in sorted(pitches)]
            time += step * rng.uniform(0.95, 1.05)
        time += rng.uniform(0, 0.5)
    return notes


def _trills(start: float, span: float, rng: np.random.Generator) -> Notes:
    low, centre = _any_pitch(rng), rng.uniform(30, 100)
    high, step = low + int(rng.choice([1, 2, 3, 12])), 1 / rng.uniform(6, 14)
    times = np.arange(start, start + min(span, rng.uniform(1, 4)), step)
    notes = [(t, t + step * 0.9, (low, high)[i % 2], _velocity(rng, centre)) for i, t in enumerate(times)]
    bass = int(np.clip(low - rng.integers(7, 30), LOWEST, HIGHEST))
    return [*notes, (start, start + span * 0.8, bass, _velocity(rng, centre))]


def _clusters(start: float, span: float, rng: np.random.Generator) -> Notes:
    notes: Notes = []
    time = start
    while time < start + span:
        low, width, centre = _any_pitch(rng), int(rng.integers(2, 7)), rng.uniform(30, 115)
        length = rng.uniform(0.1, 1.5)
        notes += [(time, time + length, low + k, _velocity(rng, centre)) for k in range(width)]
        time += rng.uniform(0.25, 1.5)
    return notes


def _sparse(start: float, span: float, rng: np.random.Generator) -> Notes:
    notes: Notes = []
    time = start
    while time < start + span:
        notes.append((time, time + rng.uniform(0.05, 3.0), _any_pitch(rng), int(rng.integers(5, 128))))
        time += rng.uniform(0.3, 2.0)
    return notes
