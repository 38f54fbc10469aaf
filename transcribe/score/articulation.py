"""Notes that are played shorter than they are written → staccato; pure."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import replace
from statistics import median

from transcribe.events import Note, Pedal
from transcribe.score.bars import Chord, Notation

STACCATO = "staccato"
# A note is staccato that is held for no more than so much of what is written, where that is at most so many quarters.
_SHORT, _LONGEST = 0.4, 1


def articulated(notation: Notation, notes: Sequence[Note], pedals: Sequence[Pedal]) -> Notation:
    """Put the mark ``STACCATO`` on short notes that are held for less than is written, without a pedal.

    Parameters
    ----------
    notes, pedals
        Those that the notation was made of.
    """
    downs, ups = [pedal.onset for pedal in pedals], [pedal.offset for pedal in pedals]

    def marked(chord: Chord) -> Chord:
        own = [notes[i] for i in chord.indices]
        end = median(note.offset for note in own)
        start = median(note.onset for note in own)
        before = bisect.bisect(downs, end) - 1
        held = before >= 0 and ups[before] > end
        played = notation.quarters(end) - notation.quarters(start)
        short = chord.length <= _LONGEST and played <= _SHORT * chord.length
        return replace(chord, marks=frozenset({STACCATO})) if short and not held and not chord.marks else chord

    hands = tuple(tuple(tuple(map(marked, voice)) for voice in hand) for hand in notation.hands)
    return replace(notation, hands=hands)
