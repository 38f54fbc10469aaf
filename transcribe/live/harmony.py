"""Chord and key while the music goes on, from the notes alone: what sounds now, and what has sounded lately."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from transcribe.events import Note
from transcribe.live.tracker import Score
from transcribe.theory.chords import ROOTS, SHORTHANDS, Label, chord_name
from transcribe.theory.keys import find_key
from transcribe.theory.spelling import root_in_key

# Seconds whose notes tell the key, and those that a note counts for after its end in the chord: of broken ones too.
KEY_SPAN, _LINGERS = 30.0, 0.35
# Seconds between searches for the key.
_KEY_EVERY = 2.0
# Qualities that are told; the simpler first.
_QUALITIES = ("maj", "min", "7", "min7", "maj7", "dim", "sus4", "aug", "hdim7", "dim7", "min6", "maj6", "sus2")


def find_chord(pitches: Iterable[int], key: str | None = None) -> str | None:
    """Name the chord of pitches that sound together, as guitarists do; None where they are none.

    It has three pitch classes at least, all of them the chord's; where several fit, the one whose root is the bass.

    Examples
    --------
    >>> find_chord([48, 64, 67, 72]), find_chord([52, 60, 67]), find_chord([60, 61, 62])
    ('C', 'C/E', None)
    """
    sounding = sorted(pitches)
    classes = {pitch % 12 for pitch in sounding}
    if len(classes) < 3:
        return None
    bass = sounding[0] % 12
    best: tuple[tuple[int, int], Label] | None = None
    for rank, quality in enumerate(_QUALITIES):
        for root in range(12):
            if {(root + interval) % 12 for interval in SHORTHANDS[quality]} == classes:
                order = (int(root != bass), rank)
                if best is None or order < best[0]:
                    best = order, Label(root, quality, (bass - root) % 12)
    if best is None:
        return None
    label = best[1]
    root_name = ROOTS[label.root or 0] if key is None else root_in_key(label, key)
    return chord_name(label.written(root_name))


def lately(notes: Sequence[Note], time: float) -> list[int]:
    """List the pitches of notes that ended a moment before ``time``; the notes in the order of their ends."""
    found = []
    for note in reversed(notes):
        if note.offset < time - _LINGERS:
            break
        found.append(note.pitch)
    return found


def find_key_lately(notes: Sequence[Note], time: float) -> str | None:
    """Name the key of the notes that ended in the last half minute; None where they are few."""
    recent = []
    for note in reversed(notes):
        if note.offset < time - KEY_SPAN:
            break
        recent.append(note)
    return find_key(sorted(recent)) if len(recent) >= 8 else None


class Harmony:
    """Chord and key as they go: the last chord that was one, and the key of the last half minute."""

    def __init__(self) -> None:
        self.chord: str | None = None
        self.key: str | None = None
        self._looked = 0.0

    def look(self, sent: Score, score: Score, time: float) -> None:
        """Look at what was told and what is known of it at a time of the take, a little later than the last."""
        if time - self._looked > _KEY_EVERY:
            self.key, self._looked = find_key_lately(score.notes, time), time
        self.chord = find_chord([*sent.sounding, *lately(sent.notes, time)], self.key) or self.chord
