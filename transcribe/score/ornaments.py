"""Notes → what is written as ornaments of them: trills, tremolos, rolled chords, grace notes; pure.

Trills, tremolos and rolled chords are told by their speed. By the scores of 62 of ASAP's performances (Foscarin et al.
2020) 84 % of the trills that are found so are none of measured notes, and 87 % of the rolled chords are chords. Grace
notes can't be told so: half of what is as quick is measured. They are what has no place of its own on the grid.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from transcribe.events import Note

TRILL, TREMOLO, ARPEGGIO = "trill", "tremolo", "arpeggio"
# Two neighbours, or two farther tones, in turn: so many notes at the least, so many seconds apart on the average, and
# none so many after the one before it.
_FEWEST, _TRILLED, _SLOWEST = 8, 0.09, 0.19
_FEWEST_TREMBLED, _TREMBLED = 14, 0.07
_NEIGHBOUR, _OCTAVE = 2, 12
# A rolled chord: so many notes, each so many seconds after the one below it, within so many in all; all are held for so
# many more.
_FEWEST_ROLLED, _STEP, _WHOLE, _HELD = 3, (0.012, 0.1), (0.06, 0.6), 0.2
_HAND = 16
# A grace note comes so many seconds before its note at the least, is so near in semitones, and is held for no more than
# so much of it.
_EARLY, _NEAR, _HELD_ON = 0.03, 4, 0.4
# One that stands alone comes so many seconds before its note at the most; nothing comes so many times that before it.
_LONE, _ALONE = 0.06, 4


@dataclass(frozen=True)
class Ornamented:
    """A note as it is written.

    Attributes
    ----------
    note
        Its pitch, and when it sounds.
    index
        Of the note played, or of the first of those that are an ornament's.
    mark
        How it is played: ``TRILL``, ``TREMOLO``, ``ARPEGGIO``, or empty.
    others
        Further notes played that an ornament is written for.
    """

    note: Note
    index: int
    mark: str = ""
    others: tuple[int, ...] = ()


def find_ornaments(notes: Sequence[Note]) -> list[Ornamented]:
    """Put ornaments together.

    Parameters
    ----------
    notes
        Ordered by onset.

    Returns
    -------
    list of Ornamented
        In the order of their onsets, and of their pitches where these are the same. The notes of a rolled chord begin
        together, when the last of them was played.
    """
    found = {i: Ornamented(note, i) for i, note in enumerate(notes)}
    _repeated(notes, found)
    _rolled(found)
    return sorted(found.values(), key=lambda one: (one.note.onset, one.note.pitch))


def _repeated(notes: Sequence[Note], found: dict[int, Ornamented]) -> None:
    """Make one note of a trill, two of a tremolo."""
    by_pitch = defaultdict(list)
    for i, note in enumerate(notes):
        by_pitch[note.pitch].append(i)
    for low in sorted(by_pitch):
        for interval in range(1, _OCTAVE + 1):
            trill = interval <= _NEIGHBOUR
            both = sorted([*by_pitch[low], *by_pitch.get(low + interval, ())])
            for run in _alternating(notes, [i for i in both if i in found and not found[i].mark]):
                fewest, slowest = (_FEWEST, _TRILLED) if trill else (_FEWEST_TREMBLED, _TREMBLED)
                if len(run) < fewest or np.diff([notes[i].onset for i in run]).mean() > slowest:
                    continue
                first, last = notes[run[0]], notes[run[-1]]
                velocity = int(np.median([notes[i].velocity for i in run]))
                lasting = replace(first, offset=max(first.offset, last.offset), velocity=velocity)
                for i in run:
                    del found[i]
                if trill:
                    found[run[0]] = Ornamented(replace(lasting, pitch=low), run[0], TRILL, tuple(run[1:]))
                    continue
                for i in run[:2]:
                    tone = replace(lasting, pitch=notes[i].pitch)
                    found[i] = Ornamented(tone, i, TREMOLO, tuple(run[2:]) if i == run[0] else ())


def _alternating(notes: Sequence[Note], indices: Sequence[int]) -> list[list[int]]:
    """Cut notes of two pitches into runs in which they take turns quickly."""
    runs: list[list[int]] = []
    for i in indices:
        before = notes[runs[-1][-1]] if runs else None
        if before is not None and before.pitch != notes[i].pitch and notes[i].onset - before.onset <= _SLOWEST:
            runs[-1].append(i)
        else:
            runs.append([i])
    return runs


def _rolled(found: dict[int, Ornamented]) -> None:
    """Let the notes of a rolled chord begin together."""
    order = sorted((i for i in found if not found[i].mark), key=lambda i: (found[i].note.onset, found[i].note.pitch))
    first = 0
    while first < len(order):
        group = [order[first]]
        for i in order[first + 1 :]:
            note, before = found[i].note, found[group[-1]].note
            if note.onset - before.onset > _STEP[1] or note.pitch <= before.pitch:
                break
            group.append(i)
        if _is_rolled([found[i].note for i in group]):
            onset = found[group[-1]].note.onset
            for i in group:
                found[i] = replace(found[i], note=replace(found[i].note, onset=onset), mark=ARPEGGIO)
            first += len(group)
        else:
            first += 1


def _is_rolled(notes: Sequence[Note]) -> bool:
    if len(notes) < _FEWEST_ROLLED or any(b.pitch - a.pitch > _HAND for a, b in pairwise(notes)):
        return False
    steps = np.diff([note.onset for note in notes])
    whole, last = notes[-1].onset - notes[0].onset, notes[-1].onset
    # What is struck as nearly together as that is a chord.
    rolls = steps.min() >= _STEP[0] and _WHOLE[0] <= whole <= _WHOLE[1] and steps.mean() > 2 * _STEP[0]
    return bool(rolls and min(note.offset for note in notes) >= last + max(_HELD, 0.5 * whole))


def split_graces(notes: Sequence[Note]) -> tuple[list[int], dict[int, list[int]]]:
    """Tell grace notes from the notes of a chord that they were put at one place with.

    Parameters
    ----------
    notes
        Those of one hand at one place.

    Returns
    -------
    list of int, dict
        The notes of the chord, and the grace notes of some of them, in order; all by their numbers.
    """
    order = sorted(range(len(notes)), key=lambda i: notes[i].onset)
    graces: dict[int, list[int]] = defaultdict(list)
    chord = []
    for at, i in enumerate(order):
        following = next((k for k in order[at + 1 :] if _is_grace(notes[i], notes[k])), None)
        if following is None:
            chord.append(i)
        else:
            graces[following] += [*graces.pop(i, []), i]
    return sorted(chord), dict(graces)


def is_lone_grace(notes: Sequence[Note], number: int) -> bool:
    """Tell whether a note of a hand is a grace note of the next one, and no note of a run; ordered by onset.

    It comes at most 60 ms before it, and so much as four times that gap lies before it and in the next note.
    """
    note, following = notes[number], notes[number + 1]
    gap = following.onset - note.onset
    alone = number == 0 or note.onset - notes[number - 1].onset >= _ALONE * gap
    long = following.offset - following.onset >= _ALONE * gap
    return gap <= _LONE and alone and long and _is_grace(note, following)


def _is_grace(note: Note, following: Note) -> bool:
    early = following.onset - note.onset >= _EARLY and 0 < abs(following.pitch - note.pitch) <= _NEAR
    return early and note.offset <= following.onset + _HELD_ON * (following.offset - following.onset)
