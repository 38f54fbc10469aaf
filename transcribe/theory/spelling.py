"""Pitch classes → names: how tones and the roots of chords are spelled in a key.

A key spells twelve neighbours on the line of fifths (:mod:`transcribe.theory.fifths`), and they lie where its signature
does: tones reach as far to the flats as a melody's usual accidentals, roots of chords farther, for chords are
borrowed from the minor key, and diminished chords less far, for they stand on leading tones. Notes of a score are
spelled by what is around them as well: :mod:`transcribe.score.spelling`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from transcribe.events import Chord, Key
from transcribe.theory.chords import Label, parse
from transcribe.theory.fifths import name_at, pitch_class, readable
from transcribe.theory.keys import signature

# The flattest name of each kind in C major and A minor, by its place: tones from E flat to
# G sharp in major, from B flat to D sharp in minor; roots from D flat to F sharp; of diminished chords from B flat to
# D sharp.
_MAJOR_TONES, _MINOR_TONES, _ROOTS, _LEADING_ROOTS = -2, -1, -4, -1

_NAME = re.compile(r"[A-G](#{0,2}|b{0,2})")


def tone_name(pitch: int, key: str) -> tuple[str, int]:
    """Spell a MIDI number in a key: its name, such as ``Bb``, and its octave (60 is C in octave 4).

    Raises
    ------
    ValueError
        If the key isn't named as ``Eb major`` is.
    """
    place = _place(pitch, key, _MINOR_TONES if signature(key)[1] else _MAJOR_TONES)
    name = name_at(place)
    return name, octave_of(pitch, name)


def octave_of(pitch: int, name: str) -> int:
    """Give the octave of a MIDI number that is spelled so: 60 is C in octave 4, or B sharp in octave 3."""
    return (pitch - name.count("#") + name.count("b")) // 12 - 1


def spells(name: object, pitch: int) -> bool:
    """Tell whether a name, such as ``F#`` or ``Bbb``, is one of a MIDI number's: with two accidentals at the most."""
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        return False
    return pitch_class(name) == pitch % 12


def root_in_key(label: Label, key: str) -> str:
    """Spell the root of a chord in a key; never with two accidentals, which are hard to read over a staff.

    Raises
    ------
    ValueError
        If the chord has no root, or as :func:`tone_name`.
    """
    if label.root is None:
        raise ValueError(f"{label} has no root")
    leading = {3, 6} <= label.intervals and 7 not in label.intervals
    return name_at(readable(_place(label.root, key, _LEADING_ROOTS if leading else _ROOTS)))


def spelled_chords(chords: Sequence[Chord], keys: Sequence[Key]) -> tuple[Chord, ...]:
    """Spell the roots of chords by the keys of their sections; as they are where there are no keys.

    Parameters
    ----------
    chords
        Labels in Harte's syntax.
    keys
        Sections in order; a chord belongs to that in which its middle lies, or the nearest.
    """
    if not keys:
        return tuple(chords)
    found, section = [], 0
    for chord in sorted(chords):
        middle = (chord.onset + chord.offset) / 2
        while section + 1 < len(keys) and keys[section].offset <= middle:
            section += 1
        label = parse(chord.label)
        text = chord.label if label.root is None else label.written(root_in_key(label, keys[section].label))
        found.append(Chord(chord.onset, chord.offset, text, chord.confidence))
    return tuple(found)


def _place(pitch: int, key: str, flattest: int) -> int:
    """Find a pitch class on the line of fifths, where F is 0, among the twelve neighbours that a key spells."""
    low = signature(key)[0] + flattest
    return low + ((pitch - 5) * 7 - low) % 12
