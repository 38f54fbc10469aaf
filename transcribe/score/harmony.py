"""Chords, their keys and beats: how chords are spelled, on which beats they change, how music is transposed; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from transcribe.errors import UsageError
from transcribe.events import GUESSED_BELOW, Chord, Key, Note, Transcription
from transcribe.theory.chords import parse
from transcribe.theory.keys import find_key, find_keys, transposed_key
from transcribe.theory.spelling import spelled_chords

_HIGHEST_PITCH = 127
# Different chords that tell a key.
_FEWEST_CHORDS = 3
# A change of chord belongs to a beat that is no farther away, in seconds, and in beats: what lies between is meant.
_NEAR, _NEAR_BEATS = 0.15, 0.25


def spelled(transcription: Transcription) -> Transcription:
    """Spell the chords by the keys of their sections, which are found where they aren't known.

    Keys are looked for in the notes, or in the tones of the chords where there are no notes. Without chords all stays
    as it is.
    """
    t = transcription
    if not t.chords:
        return t
    keys = t.keys or (() if t.key is None else (Key(0.0, t.duration, t.key),))
    if keys:
        return replace(t, chords=spelled_chords(t.chords, keys))
    notes = t.notes or chord_tones(t.chords)
    keys = find_keys(notes)
    t = replace(t, chords=spelled_chords(t.chords, keys))
    # One strum is spelled in its own key, but says nothing of any music's.
    enough = t.notes or len({chord.label for chord in t.chords}) >= _FEWEST_CHORDS
    return replace(t, key=find_key(notes), keys=keys) if enough else t


def on_beats(transcription: Transcription) -> Transcription:
    """Let chords change on the beats that are found, where a beat is near; where beats are guessed all stays.

    The order stays, and every chord keeps some time: of two changes that are nearest to one beat neither is moved.
    """
    t = transcription
    beats = np.array(t.beats)
    if len(beats) < 2 or not t.chords or (t.beat_confidence or 0.0) < GUESSED_BELOW:
        return t
    changes = np.array([chord.onset for chord in t.chords[1:]])
    after = np.searchsorted(beats, changes).clip(1, len(beats) - 1)
    nearest = np.where(changes - beats[after - 1] < beats[after] - changes, after - 1, after)
    near = np.abs(beats[nearest] - changes) <= np.minimum(_NEAR, _NEAR_BEATS * (beats[after] - beats[after - 1]))
    near &= np.bincount(nearest, near, len(beats))[nearest] == 1
    edges = [t.chords[0].onset, *np.where(near, beats[nearest], changes).tolist(), t.chords[-1].offset]
    if any(later <= earlier for earlier, later in pairwise(edges)):
        return t
    spans = zip(t.chords, pairwise(edges), strict=True)
    return replace(t, chords=tuple(replace(chord, onset=on, offset=off) for chord, (on, off) in spans))


def chord_tones(chords: Sequence[Chord]) -> tuple[Note, ...]:
    """Play chords as notes, each tone once and the root twice, for whoever wants to know what key they are in."""
    notes = []
    for chord in chords:
        label = parse(chord.label)
        if label.root is not None:
            pitches = [60 + tone for tone in sorted(label.pitch_classes)] + [48 + label.root]
            notes += [Note(chord.onset, pitch, chord.offset, 80) for pitch in pitches]
    return tuple(sorted(notes))


def transposed(transcription: Transcription, semitones: int) -> Transcription:
    """Move notes, chords and keys up, or down where ``semitones`` are less than 0; chords are spelled anew.

    The settings tell how far it was moved in all.

    Raises
    ------
    UsageError
        If a note would leave MIDI's range.
    """
    if not semitones:
        return transcription
    t = spelled(transcription)
    if any(not 0 <= note.pitch + semitones <= _HIGHEST_PITCH for note in t.notes):
        raise UsageError(f"{semitones:+d} semitones would move a note out of MIDI's range; transpose by an octave less")
    before = t.settings.get("transpose")
    moved = replace(
        t,
        settings={**t.settings, "transpose": semitones + (before if isinstance(before, int) else 0)},
        notes=tuple(replace(note, pitch=note.pitch + semitones, spelling=None) for note in t.notes),
        chords=tuple(replace(chord, label=str(parse(chord.label).transposed(semitones))) for chord in t.chords),
        key=None if t.key is None else transposed_key(t.key, semitones),
        keys=tuple(replace(key, label=transposed_key(key.label, semitones)) for key in t.keys),
    )
    return spelled(moved)
