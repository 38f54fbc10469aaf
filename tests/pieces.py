"""Small pieces whose score is known: notes on their metrical places, with their hands; and how a human plays them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from transcribe.beats.analysis import analysed
from transcribe.events import Note, Transcription
from transcribe.score.analysis import Timing
from transcribe.score.notation import notate

F = Fraction


@dataclass(frozen=True)
class Written:
    """A note as it is written: where and how long, in quarters; its pitch; 1 for the right hand."""

    start: Fraction
    length: Fraction
    pitch: int
    hand: int


@dataclass(frozen=True)
class Piece:
    """A piece: its notes, quarters a bar, quarters a minute, and whether its beat is a dotted quarter."""

    notes: tuple[Written, ...]
    bar: Fraction
    tempo: float
    compound: bool = False


def _triads(key: int, minor: bool = False) -> list[tuple[int, ...]]:
    scale = (0, 2, 3, 5, 7, 8, 10) if minor else (0, 2, 4, 5, 7, 9, 11)
    return [tuple(key + scale[(degree + step) % 7] for step in (0, 2, 4)) for degree in range(7)]


def _near(pitch_class: int, pitch: float) -> int:
    return round((pitch - pitch_class) / 12) * 12 + pitch_class


def chorale(rng: np.random.Generator, n_bars: int = 12) -> Piece:
    """Four voices, soprano and alto right, tenor and bass left; quarters, with passing eighths; half notes at cadences.

    Cadences fall on the first beat of every second bar.
    """
    key = int(rng.integers(12))
    triads = _triads(key)
    places = [72.0, 65.0, 57.0, 48.0]
    notes = []
    degrees = rng.choice([0, 1, 3, 4, 5], 4 * n_bars).tolist()
    degrees[::8] = degrees[4::8] = [0] * (n_bars // 2)
    for beat, degree in enumerate(degrees):
        triad = triads[degree]
        last = beat % 8 == 4
        if beat % 8 == 5 or beat > 4 * n_bars - 4:
            continue
        upper = 128
        for voice, pitch in enumerate(places):
            tone = triad[0] if voice == 3 else triad[int(rng.integers(3))]
            home = (72, 65, 57, 48)[voice]
            new = _near(tone, 0.7 * pitch + 0.3 * home)
            while new >= upper:
                new -= 12
            places[voice] = upper = new
            hand = int(voice < 2)
            if last:
                notes.append(Written(F(beat), F(2), new, hand))
            elif rng.random() < 0.2:
                step = new + (2 if rng.random() < 0.5 else -2)
                notes += [Written(F(beat), F(1, 2), new, hand), Written(F(beat) + F(1, 2), F(1, 2), step, hand)]
            else:
                notes.append(Written(F(beat), F(1), new, hand))
    return Piece(_alone(notes), F(4), 76.0)


def _melody(
    rng: np.random.Generator, start: F, rhythm: Sequence[F], triad: Sequence[int], pitch: float, middle: int
) -> list[Written]:
    """Walk about in a triad from ``pitch`` on, never far from ``middle``; nothing else is drawn from ``rng``."""
    notes = []
    for length in rhythm:
        tone = triad[int(rng.integers(3))]
        pitch = _near(tone, 0.8 * pitch + 0.2 * middle + rng.uniform(-5, 5))
        notes.append(Written(start, length, int(pitch), 1))
        start += length
    return notes


def waltz(rng: np.random.Generator, n_bars: int = 24) -> Piece:
    """Bass, chord, chord in the left hand; a melody in the right."""
    key = int(rng.integers(12))
    triads = _triads(key)
    notes, pitch = [], 74.0
    for bar in range(n_bars):
        triad = triads[(0, 0, 4, 4, 3, 1, 4, 0)[bar % 8]]
        start = F(3 * bar)
        notes.append(Written(start, F(1), _near(triad[0], 43), 0))
        for beat in (1, 2):
            notes += [Written(start + beat, F(1), _near(tone, 57), 0) for tone in triad]
        rhythms = [(F(1),) * 3, (F(2), F(1)), (F(3, 2), F(1, 2), F(1)), (F(1), F(1, 2), F(1, 2), F(1)), (F(3),)]
        rhythm = rhythms[int(rng.integers(len(rhythms)))] if bar < n_bars - 1 else (F(3),)
        melody = _melody(rng, start, rhythm, triad, pitch, 76)
        notes += melody
        pitch = melody[-1].pitch
    return Piece(_alone(notes), F(3), 126.0)


def ragtime(rng: np.random.Generator, n_bars: int = 24) -> Piece:
    """An oom-pah of eighths in two four, and syncopated sixteenths above."""
    key = int(rng.integers(12))
    triads = _triads(key)
    notes, pitch = [], 76.0
    for bar in range(n_bars):
        triad = triads[(0, 0, 3, 0, 4, 4, 0, 0)[bar % 8]]
        start = F(2 * bar)
        for beat, tone in enumerate((triad[0], triad[2])):
            low = _near(tone, 41)
            notes += [Written(start + beat, F(1, 2), low, 0), Written(start + beat, F(1, 2), low - 12, 0)]
            notes += [Written(start + beat + F(1, 2), F(1, 2), _near(t, 57), 0) for t in triad]
        rhythms = [(1, 2, 1, 2, 2), (1, 2, 1, 4), (2, 2, 1, 2, 1), (1, 1, 1, 1, 1, 2, 1), (2, 1, 1, 2, 2), (4, 4)]
        rhythm = rhythms[int(rng.integers(len(rhythms)))] if bar < n_bars - 1 else (4, 4)
        melody = _melody(rng, start, [F(sixteenths, 4) for sixteenths in rhythm], triad, pitch, 77)
        notes += melody
        pitch = melody[-1].pitch
    return Piece(_alone(notes), F(2), 88.0)


def scales(rng: np.random.Generator, n_bars: int = 16) -> Piece:
    """Both hands up and down in octaves, four notes a beat, ending on a long one."""
    key = int(rng.integers(12))
    steps = (0, 2, 4, 5, 7, 9, 11)
    notes = []
    ladder = [key + 12 * octave + step for octave in range(3) for step in steps]
    up_and_down = [*ladder[:15], *ladder[13:0:-1]]
    for number in range(16 * n_bars - 4):
        pitch = up_and_down[number % len(up_and_down)]
        start = F(number, 4)
        notes += [Written(start, F(1, 4), pitch + 60, 1), Written(start, F(1, 4), pitch + 36, 0)]
    start = F(4 * n_bars - 1)
    notes += [Written(start, F(1), key + 60, 1), Written(start, F(1), key + 36, 0)]
    return Piece(_alone(notes), F(4), 100.0)


def pop(rng: np.random.Generator, n_bars: int = 16) -> Piece:
    """Chords held a bar under a melody with rests and anticipations; a bass of octaves."""
    key = int(rng.integers(12))
    triads = _triads(key)
    notes, pitch = [], 74.0
    for bar in range(n_bars):
        triad = triads[(0, 4, 5, 3)[bar % 4]]
        start = F(4 * bar)
        low = _near(triad[0], 38)
        for at, length in ((F(0), F(3, 2)), (F(3, 2), F(1, 2)), (F(2), F(2))):
            notes += [Written(start + at, length, low, 0), Written(start + at, length, low + 12, 0)]
        rhythms = [
            ((0, 1), (1, 0.5), (1.5, 0.5), (2, 2)),
            ((0.5, 0.5), (1, 1), (2, 1), (3, 1)),
            ((0, 1.5), (1.5, 1.5), (3, 1)),
            ((1, 0.5), (1.5, 0.5), (2, 0.5), (2.5, 1.5)),
            ((0, 0.5), (0.5, 0.5), (1, 0.5), (1.5, 1), (2.5, 1), (3.5, 0.5)),
        ]
        for beat, beats in rhythms[int(rng.integers(len(rhythms)))]:
            tone = triad[int(rng.integers(3))]
            pitch = _near(tone, 0.8 * pitch + 0.2 * 74 + rng.uniform(-5, 5))
            notes.append(Written(start + F(beat), F(beats), int(pitch), 1))
            if at in (0, 2) and length >= 1:
                notes += [Written(start + F(at), F(length), _near(t, 64), 1) for t in triad]
    return Piece(_alone(notes), F(4), 96.0)


def jig(rng: np.random.Generator, n_bars: int = 24) -> Piece:
    """Six eight: eighths in threes over dotted quarters."""
    key = int(rng.integers(12))
    triads = _triads(key)
    notes, pitch = [], 74.0
    for bar in range(n_bars):
        triad = triads[(0, 3, 4, 0)[bar % 4]]
        start = F(3 * bar)
        for beat in range(2):
            notes.append(Written(start + F(3 * beat, 2), F(3, 2), _near(triad[beat], 48), 0))
        rhythm = [(1, 1, 1, 1, 1, 1), (2, 1, 1, 1, 1), (2, 1, 2, 1), (1, 1, 1, 3)][int(rng.integers(4))]
        melody = _melody(rng, start, [F(eighths, 2) for eighths in rhythm], triad, pitch, 74)
        notes += melody
        pitch = melody[-1].pitch
    return Piece(_alone(notes), F(3), 168.0, True)


PIECES = {"chorale": chorale, "waltz": waltz, "ragtime": ragtime, "scales": scales, "pop": pop, "jig": jig}


def _alone(notes: list[Written]) -> tuple[Written, ...]:
    """Leave out notes of a key that is struck at the same time, and end those that are struck again."""
    unique = {(note.start, note.pitch): note for note in sorted(notes, key=lambda n: (n.start, n.pitch, n.hand))}
    found = []
    for note in unique.values():
        again = [n.start for n in unique.values() if n.pitch == note.pitch and note.start < n.start]
        stop = min([note.start + note.length, *again])
        found.append(Written(note.start, stop - note.start, note.pitch, note.hand))
    return tuple(found)


def performed(
    piece: Piece, rng: np.random.Generator, jitter: float = 0.02, drift: float = 0.05
) -> tuple[list[Note], list[Written]]:
    """Play a piece: the tempo drifts by so much of itself, onsets and offsets stray by so many seconds,
    beats are a little louder.

    Returns the notes in order of onset, and each one's written note.
    """
    last = float(max(note.start + note.length for note in piece.notes))
    beat = F(3, 2) if piece.compound else F(1)
    quarters = np.linspace(0, last, 400)
    tempo = piece.tempo * (1 + drift * np.sin(2 * np.pi * (quarters / 24 + rng.random())))
    seconds = 0.5 + np.concatenate([[0], np.cumsum(np.diff(quarters) * 60 / tempo[1:])])
    played = []
    for note in piece.notes:
        onset, offset = np.interp([float(note.start), float(note.start + note.length)], quarters, seconds)
        onset += rng.normal(0, jitter)
        offset = max(offset + rng.normal(0, jitter), onset + 0.03)
        accent = 20 if note.start % piece.bar == 0 else 10 if note.start % beat == 0 else 0
        velocity = int(np.clip(60 + accent + rng.normal(0, 6), 1, 127))
        played.append((Note(max(0.0, float(onset)), note.pitch, float(offset), velocity), note))
    played.sort(key=lambda pair: (pair[0].onset, pair[0].pitch))
    return [pair[0] for pair in played], [pair[1] for pair in played]


def placed(piece: Piece, seed: int, known: Timing | None = None) -> tuple[float, float, float]:
    """Play a piece and write it down: the share of notes at their place in the bar, of their length, in their hand."""
    notes, written = performed(piece, np.random.default_rng(seed))
    notation = notate(analysed(Transcription(tuple(notes)), known or Timing()))
    found = {
        i: (chord, 1 - hand)
        for hand, voices in enumerate(notation.hands)
        for voice in voices
        for chord in voice
        for i in chord.indices
    }
    shift = Counter(found[i][0].start - written[i].start for i in found).most_common(1)[0][0]
    first = next(bar for bar in notation.bars if bar.number == 1)
    aligned = (first.start - shift) % piece.bar == 0 and first.length % piece.bar == 0
    place = [aligned and found[i][0].start - written[i].start == shift for i in found]
    length = [found[i][0].length == written[i].length for i in found]
    hand = [found[i][1] == written[i].hand for i in found]
    return tuple(sum(right) / len(written) for right in (place, length, hand))  # type: ignore[return-value]
