"""Short notes with rests between them → longer ones, staccato where they are heard to be short; pure."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import zip_longest

import numpy as np

from transcribe.events import Pedal
from transcribe.score.bars import Chord, Notation

STACCATO = "staccato"
# A note that lasts for no more than so much of the time to the next one is shortened, not followed by a rest, if that
# time is at most so many quarters. By 18 of ASAP's performances with true beats 0.66 of the lengths are as written with
# it, 0.58 without.
_SHORT, _LONGEST = Fraction(1, 2), 1


def articulated(notation: Notation, pedals: Sequence[Pedal]) -> Notation:
    """Let short notes last to the next one of their voice; they are staccato where no pedal is down at their end.

    A rest stays in which the other hand takes over: figures that go from hand to hand have it.
    """
    spans = [(notation.quarters(pedal.onset), notation.quarters(pedal.offset)) for pedal in pedals]
    starts = [{chord.start for voice in hand for chord in voice} for hand in notation.hands]
    hands = tuple(
        tuple(_articulated(voice, spans, set().union(*starts[:number], *starts[number + 1 :])) for voice in hand)
        for number, hand in enumerate(notation.hands)
    )
    return replace(notation, hands=hands)


def _articulated(
    voice: Sequence[Chord], pedals: Sequence[tuple[float, float]], others: set[Fraction]
) -> tuple[Chord, ...]:
    found = []
    for chord, following in zip_longest(voice, voice[1:]):
        gap = Fraction(0) if following is None else following.start - chord.start
        end = chord.start + chord.length
        taken_over = end in others and chord.start not in others
        if chord.length <= _SHORT * gap and gap <= _LONGEST and not taken_over:
            before = bisect.bisect(pedals, (float(end), np.inf)) - 1
            held = before >= 0 and pedals[before][1] > end
            chord = replace(chord, length=gap, marks=chord.marks | (set() if held or chord.marks else {STACCATO}))
        found.append(chord)
    return tuple(found)
