"""A melody over an accompaniment: what is left of it when it is made simple."""

from __future__ import annotations

from dataclasses import replace

from transcribe.events import Chord, Note, Pedal, Transcription
from transcribe.score.melody import find_chords, find_melody, simplified

BEATS = tuple(0.5 * k for k in range(17))
MELODY = [Note(0.5 * k, 72 + (0, 4, 7, 5)[k % 4], 0.5 * k + 0.5, 80) for k in range(16)]
# Broken chords: two bars of C major, two of G major.
BASS = [Note(0.25 * k, (48, 52, 55, 52)[k % 4] - 5 * (k >= 16), 0.25 * k + 0.25, 50) for k in range(32)]
SONG = Transcription(tuple(sorted([*MELODY, *BASS])), (Pedal(0, 2),), beats=BEATS, downbeats=BEATS[::4], duration=8.0)


def test_the_melody_is_the_upper_voice() -> None:
    assert [note.pitch for note in find_melody(SONG.notes)] == [note.pitch for note in MELODY]
    assert find_melody(()) == ()


def test_a_held_note_is_not_interrupted_by_lower_ones() -> None:
    held = [Note(0.0, 79, 2.0, 80), Note(0.5, 72, 1.0, 60), Note(1.0, 71, 1.5, 60), Note(2.0, 77, 3.0, 80)]
    assert [note.pitch for note in find_melody(held)] == [79, 77]


def test_chords_of_bars_are_what_sounds_in_them() -> None:
    only = replace(SONG, notes=tuple(BASS))
    assert [chord.label for chord in find_chords(only)] == ["C:maj", "C:maj", "G:maj", "G:maj"]
    assert [chord.onset for chord in find_chords(only)] == [0.0, 2.0, 4.0, 6.0]


def test_the_left_hand_plays_chords_once_a_bar() -> None:
    chords = (Chord(0.0, 4.02, "C:maj"), Chord(4.02, 8.0, "F:maj"))
    simple = simplified(replace(SONG, chords=chords))
    left = [(note.onset, note.pitch) for note in simple.notes if note.pitch < 70]
    assert left == [(t, p) for t in (0.0, 2.0) for p in (48, 52, 55)] + [
        (t, p) for t in (4.0, 6.0) for p in (53, 57, 60)
    ]
    assert [note.pitch for note in simple.notes if note.pitch >= 70] == [note.pitch for note in MELODY]
    assert simple.pedals == ()
    assert simple.settings["simplify"] is True
    assert simplified(Transcription(chords=chords)) == Transcription(chords=chords)
