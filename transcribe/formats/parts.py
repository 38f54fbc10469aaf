"""The parts of a MIDI file: a track, a channel and a General MIDI program for each family, drums on channel 10.

A file whose notes are all a piano's says nothing of instruments: so do programs write that know of none.
"""

from __future__ import annotations

import bisect
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from transcribe.events import Drum, Note, Transcription
from transcribe.score.placing import hands_of
from transcribe.theory.families import DRUM_KEYS, DRUM_OF_KEY, FAMILIES, FAMILY_OF_PROGRAM, PROGRAMS

#: The tenth, as channels are counted from 1.
DRUM_CHANNEL = 9
# What notes that belong to none of the parts are played by, and what synthesizers play before any program change.
_PIANO = FAMILIES[0]
_FIRST_PROGRAM = 0
# Who has a sustain pedal.
_PEDALLED = frozenset({"piano", "keys"})
# How long the note of a stroke is, in seconds; nothing hears when it ends.
_STROKE = 0.05


@dataclass(frozen=True)
class Part:
    """A track: its name, the notes of a channel, and the program that plays them, None for the drums' channel.

    ``pedalled``: the pedal is its.
    """

    name: str
    notes: Sequence[Note]
    channel: int = 0
    program: int | None = PROGRAMS[_PIANO]
    pedalled: bool = True


def parts_of(t: Transcription) -> list[Part]:
    """Part the notes by instrument, in the order of the families; the drums come last.

    Notes whose instrument isn't known are a piano's; that has a track where nothing else has.
    """
    channels = iter(channel for channel in range(16) if channel != DRUM_CHANNEL)
    parts = []
    for family in FAMILIES:
        notes = [note for note in t.notes if (note.instrument or _PIANO) == family]
        if notes:
            name = family.capitalize()
            parts.append(Part(name, notes, next(channels), PROGRAMS[family], family in _PEDALLED))
    if t.drums:
        strokes = [
            Note(drum.onset, DRUM_KEYS[drum.label], drum.onset + _STROKE, drum.velocity, drum.confidence)
            for drum in t.drums
        ]
        parts.append(Part("Drums", strokes, DRUM_CHANNEL, None, False))
    return parts or [Part(_PIANO.capitalize(), ())]


def by_hand(parts: Sequence[Part], t: Transcription) -> Sequence[Part]:
    """Part a piano that plays alone by its hands, the right one first; other parts, and one hand alone, stay."""
    if len(parts) != 1 or parts[0].program != PROGRAMS[_PIANO]:
        return parts
    notes = parts[0].notes
    right = hands_of(notes, t)
    if right.all() or not right.any():
        return parts
    hands = (("right", right), ("left", ~right))
    return [
        Part(f"Piano, {name} hand", [notes[i] for i in np.flatnonzero(own).tolist()], channel)
        for channel, (name, own) in enumerate(hands)
    ]


def drums_of(strokes: Iterable[tuple[float, int, int]]) -> tuple[tuple[Drum, ...], int]:
    """Make drums of what a drum channel plays: time in seconds, key, velocity.

    Returns
    -------
    tuple
        The drums, ordered by onset, and how many strokes belong to no class of drums.
    """
    found = [(time, DRUM_OF_KEY.get(key), velocity) for time, key, velocity in strokes]
    drums = sorted(Drum(time, label, velocity) for time, label, velocity in found if label is not None)
    return tuple(drums), len(found) - len(drums)


class Programs:
    """The program changes of a file, and the family that plays a note."""

    def __init__(self) -> None:
        # By track and channel: ticks and programs. Those of a track are its own, as sequencers have it that write more
        # tracks than there are channels; a track without any follows its channel, as synthesizers do.
        self._own: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
        self._shared: dict[int, list[tuple[int, int]]] = defaultdict(list)

    def add(self, track: int, channel: int, tick: int, program: int) -> None:
        """Take in a program change."""
        self._own[track, channel].append((tick, program))
        self._shared[channel].append((tick, program))

    def families(self, notes: Iterable[tuple[int, int, int]]) -> list[str | None]:
        """Name the families of notes: tick, track and channel of each.

        None for a program of no family; None for all where all are a piano's.
        """
        for changes in (*self._own.values(), *self._shared.values()):
            changes.sort(key=lambda change: change[0])
        found = [FAMILY_OF_PROGRAM[self._program(*note)] for note in notes]
        return [None] * len(found) if all(family == _PIANO for family in found) else found

    def _program(self, tick: int, track: int, channel: int) -> int:
        changes = self._own.get((track, channel)) or self._shared.get(channel) or []
        place = bisect.bisect_right(changes, tick, key=lambda change: change[0])
        return changes[place - 1][1] if place else _FIRST_PROGRAM
