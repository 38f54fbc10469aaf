"""Chords and their keys: which keys chords are in, how they are spelled there, how music is transposed; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from transcribe.errors import UsageError
from transcribe.events import Chord, Key, Note, Transcription
from transcribe.theory.chords import parse
from transcribe.theory.keys import find_key, find_keys, transposed_key
from transcribe.theory.spelling import spelled_chords

_HIGHEST_PITCH = 127
# Different chords that tell a key.
_FEWEST_CHORDS = 3


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
