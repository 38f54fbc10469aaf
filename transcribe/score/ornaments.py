"""Notes → what is written as ornaments of them: trills, tremolos, rolled chords, grace notes; pure.

They are told apart from written-out notes by their speed: nobody plays measured notes so fast. What is doubtful stays
a note.
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
_FEWEST, _TRILLED, _TREMBLED, _SLOWEST = 6, 0.115, 0.085, 0.19
_FEWEST_TREMBLED = 10
_NEIGHBOUR, _OCTAVE = 2, 12
# A rolled chord: so many notes, each so many seconds after the one below it, within so many in all; all are held for so
# many more.
_FEWEST_ROLLED, _STEP, _WHOLE, _HELD = 3, (0.012, 0.15), (0.06, 0.6), 0.12
_HAND = 16
# A grace note comes so many seconds before its note, which is so near in semitones and lasts so long at the least; after
# so long a time without notes near it.
_GRACE, _NEAR, _SHORTEST_GRACED, _BEFORE = (0.02, 0.1), 4, 0.18, 0.17
_MOST_GRACES = 3
# What begins within so many seconds begins together.
_TOGETHER = 0.02


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
    graces
        Pitches of the grace notes before it, in order.
    """

    note: Note
    index: int
    mark: str = ""
    graces: tuple[int, ...] = ()


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
    _graced(found)
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
                steps = np.diff([notes[i].onset for i in run])
                fewest, slowest = (_FEWEST, _TRILLED) if trill else (_FEWEST_TREMBLED, _TREMBLED)
                if len(run) < fewest or steps.mean() > slowest:
                    continue
                first, last = notes[run[0]], notes[run[-1]]
                velocity = int(np.median([notes[i].velocity for i in run]))
                lasting = replace(first, offset=max(first.offset, last.offset), velocity=velocity)
                for i in run:
                    del found[i]
                found[run[0]] = Ornamented(replace(lasting, pitch=low), run[0], TRILL if trill else TREMOLO)
                if not trill:
                    found[run[1]] = Ornamented(replace(lasting, pitch=low + interval), run[1], TREMOLO)


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


def _graced(found: dict[int, Ornamented]) -> None:
    """Put quick notes before a longer one to it, as grace notes."""
    order = sorted(found, key=lambda i: (found[i].note.onset, found[i].note.pitch))
    place = len(order) - 1
    while place > 0:
        main = found[order[place]]
        graces = _before(found, order, place)
        if graces:
            pitches = tuple(found[order[at]].note.pitch for at in graces)
            found[main.index] = replace(main, graces=pitches)
            for at in reversed(graces):
                del found[order.pop(at)]
        place -= 1 + len(graces)


def _before(found: dict[int, Ornamented], order: Sequence[int], place: int) -> list[int]:
    """Find the places of a note's grace notes, in order; none where they may be something else."""
    main = found[order[place]].note
    if found[order[place]].graces or main.offset - main.onset < _SHORTEST_GRACED:
        return []
    graces: list[int] = []
    following = main
    for at in range(place - 1, -1, -1):
        one = found[order[at]]
        gap = following.onset - one.note.onset
        if main.onset - one.note.onset > _GRACE[1] * (_MOST_GRACES + 1) + _BEFORE:
            break
        if abs(one.note.pitch - following.pitch) > _NEAR or gap < _TOGETHER:
            continue
        if gap > _GRACE[1] or one.mark or one.graces or one.note.pitch == following.pitch:
            # What comes before has to leave time.
            if graces and gap < _BEFORE:
                return []
            break
        # A grace note makes room for its note.
        if one.note.offset > following.onset + 0.5 * (following.offset - following.onset):
            return []
        graces.insert(0, at)
        following = one.note
    return graces if len(graces) <= _MOST_GRACES else []
