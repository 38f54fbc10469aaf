"""Notes far above or below their staff → the spans that are written an octave nearer, under 8va or over 8vb; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from transcribe.score.bars import Chord

# Under 8va stand chords whose lowest note is at least so high and whose highest note at least so, half of them higher
# than three ledger lines above a treble staff; the same downwards, below a bass staff.
_UP_LOW, _UP_HIGH, _UP_FAR = 77, 84, 89
_DOWN_HIGH, _DOWN_LOW, _DOWN_FAR = 43, 36, 31
# So many chords are worth a line; a rest of so many quarters ends it.
_FEWEST, _LONGEST_REST = 4, 2


@dataclass(frozen=True)
class OctaveLine:
    """Chords from the first to the last of a voice, by their numbers, that stand an octave lower, or higher."""

    first: int
    last: int
    up: bool


def find_octave_lines(voice: Sequence[Chord], treble: Sequence[bool], alone: Sequence[bool]) -> list[OctaveLine]:
    """Choose the spans of a voice that are written under 8va, or over 8vb.

    Parameters
    ----------
    voice
        In order.
    treble
        Of every chord: whether it stands in a treble clef; else in a bass clef.
    alone
        Of every chord: whether no other voice sounds in its bar; a line holds for all of a staff.
    """
    return sorted([*_lines(voice, treble, alone, True), *_lines(voice, treble, alone, False)], key=lambda x: x.first)


def _lines(voice: Sequence[Chord], treble: Sequence[bool], alone: Sequence[bool], up: bool) -> list[OctaveLine]:
    fits = [alone[i] and treble[i] == up and _outside(chord, up) for i, chord in enumerate(voice)]
    found, first = [], 0
    while first < len(voice):
        if not fits[first]:
            first += 1
            continue
        last = first
        while last + 1 < len(voice) and fits[last + 1] and _rest(voice[last], voice[last + 1]) < _LONGEST_REST:
            last += 1
        own = voice[first : last + 1]
        far = sum(chord.pitches[-1] >= _UP_FAR if up else chord.pitches[0] <= _DOWN_FAR for chord in own)
        if len(own) >= _FEWEST and 2 * far >= len(own):
            found.append(OctaveLine(first, last, up))
        first = last + 1
    return found


def _outside(chord: Chord, up: bool) -> bool:
    low, high = chord.pitches[0], chord.pitches[-1]
    if chord.graces:
        low, high = min(low, *chord.graces), max(high, *chord.graces)
    return low >= _UP_LOW and high >= _UP_HIGH if up else high <= _DOWN_HIGH and low <= _DOWN_LOW


def _rest(chord: Chord, following: Chord) -> Fraction:
    return following.start - chord.start - chord.length
