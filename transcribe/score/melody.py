"""Notes → the melody, and music made simple: a melody and a left hand of chords; pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise, zip_longest

import numpy as np

from transcribe.events import Chord, Note, Transcription
from transcribe.score.hands import find_hands, struck_together
from transcribe.theory.chords import parse

# A note isn't the melody's where a higher one of it sounds for so much of its time, or, in seconds, for so long.
_COVERED, _COVERED_SECONDS = 0.5, 0.5
# The left hand's chords have their root between this pitch and the one an octave above.
_LOWEST_ROOT = 45
# Where there are no bars, chords that are looked for are so many seconds long.
_SPAN = 2.0
# What chords may be found, by the semitones above their roots; what a tone outside of one costs, and how much more the
# lowest note counts.
_QUALITIES = {"maj": (0, 4, 7), "min": (0, 3, 7), "7": (0, 4, 7, 10), "dim": (0, 3, 6)}
_FOREIGN, _BASS = 0.5, 0.5
_RARE = {"maj": 0.0, "min": 0.0, "7": 0.08, "dim": 0.1}


def find_melody(notes: Sequence[Note]) -> tuple[Note, ...]:
    """Choose the upper voice of the right hand; each note ends where the next one begins, at the latest.

    Parameters
    ----------
    notes
        Ordered by onset.

    Returns
    -------
    tuple of Note
        One at a time; all notes' upper voice where no right hand plays.
    """
    right = find_hands(notes)
    upper = [note for note, own in zip(notes, right, strict=True) if own] or list(notes)
    found: list[Note] = []
    for group in struck_together(np.array([note.onset for note in upper])):
        top = max((upper[i] for i in group), key=lambda note: note.pitch)
        if found and found[-1].pitch > top.pitch:
            covered = found[-1].offset - top.onset
            if covered > _COVERED_SECONDS or covered > _COVERED * (top.offset - top.onset):
                continue
        found.append(top)
    ends = [note.onset for note in found[1:]]
    return tuple(
        note if end is None else replace(note, offset=min(note.offset, end)) for note, end in zip_longest(found, ends)
    )


def simplified(transcription: Transcription) -> Transcription:
    """Keep the melody, and put chords below it, one a bar and where the chord changes; without pedal.

    The chords are those that were heard, or else what the notes of each bar make. Without notes all stays as it is.
    """
    t = transcription
    if not t.notes:
        return t
    melody = find_melody(t.notes)
    velocity = int(np.median([note.velocity for note in t.notes]))
    chords = [
        Note(chord.onset, pitch, chord.offset, velocity)
        for chord in _once_a_bar(t.chords or find_chords(t), t)
        for pitch in _left_hand(chord)
    ]
    return replace(t, notes=tuple(sorted([*melody, *chords])), pedals=(), settings={**t.settings, "simplify": True})


def _left_hand(chord: Chord) -> list[int]:
    """Play a chord closely, its root lowest."""
    label = parse(chord.label)
    if label.root is None:
        return []
    root = _LOWEST_ROOT + (label.root - _LOWEST_ROOT) % 12
    return sorted(root + interval % 12 for interval in label.intervals)


def _once_a_bar(chords: Sequence[Chord], t: Transcription) -> Iterator[Chord]:
    """Move chords onto the beats, and strike them anew at every bar line."""
    beats, lines = np.array(t.beats), np.array(t.downbeats)
    for chord in chords:
        onset, offset = (
            float(beats[np.abs(beats - time).argmin()]) if len(beats) and beats[0] <= time <= beats[-1] else time
            for time in (chord.onset, chord.offset)
        )
        edges = [onset, *lines[(lines > onset + 1e-6) & (lines < offset - 1e-6)].tolist(), offset]
        for begin, end in pairwise(edges):
            if end > begin:
                yield replace(chord, onset=begin, offset=end)


def find_chords(transcription: Transcription) -> tuple[Chord, ...]:
    """Find a chord for every bar, by the tones of the notes that sound in it; none without notes."""
    return tuple(_in_bars(transcription)) if transcription.notes else ()


def _in_bars(t: Transcription) -> Iterator[Chord]:
    onsets = np.array([note.onset for note in t.notes])
    offsets = np.array([note.offset for note in t.notes])
    pitches = np.array([note.pitch for note in t.notes])
    end = float(offsets.max())
    lines = list(t.downbeats) or np.arange(float(onsets[0]), end, _SPAN).tolist()
    for begin, stop in pairwise([*([float(onsets[0])] if onsets[0] < lines[0] else []), *lines, max(end, lines[-1])]):
        seconds = np.clip(np.minimum(offsets, stop) - np.maximum(onsets, begin), 0.0, None)
        if stop <= begin or not seconds.any():
            continue
        tones = np.bincount(pitches % 12, seconds / seconds.sum(), 12)
        lowest = int(pitches[seconds > 0].min()) % 12
        yield Chord(begin, stop, _likeliest(tones, lowest))


def _likeliest(tones: np.ndarray, bass: int) -> str:
    """Name the chord that most of the tones, (12,) shares of the time, belong to."""
    best, worth = "N", -np.inf
    for root in range(12):
        for quality, intervals in _QUALITIES.items():
            own = tones[[(root + interval) % 12 for interval in intervals]]
            fits = float(own.sum() + own.min() - _FOREIGN * (1 - own.sum())) + _BASS * (root == bass) / 2
            if fits - _RARE[quality] > worth:
                best, worth = str(parse(f"C:{quality}").transposed(root)), fits - _RARE[quality]
    return best
