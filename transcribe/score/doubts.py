"""What is worth a look in a transcription: notes that may be wrong, and places where one may be missing; pure.

All doubts are ranked by one number, the probability that something is wrong there: a logistic regression on what the
network says of a note, whether it is a partial of one that is struck together with it, and how soft it is. Its weights
were fitted on transcriptions of MAPS' software pianos, where truth is exact; real recordings have more wrong notes than
these, and so the constant is higher.
"""

from __future__ import annotations

import bisect
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from transcribe.events import Note, Transcription
from transcribe.score.beats import BeatGrid
from transcribe.score.chart import has_bars

UNSURE, OCTAVE, DOUBLED, MISSING = "unsure", "octave", "doubled", "missing"
# The constant; the logit of the confidence; an octave above a note struck together with it, and for each 30 of the
# latter's velocity beyond its own; a higher partial of one; for each 30 of velocity that it is softer than others.
_CONSTANT, _CONFIDENCE, _OCTAVE, _SOFTER_OCTAVE, _PARTIAL, _SOFT = 0.12, -1.17, 1.86, 0.53, 1.06, 0.66
# Semitones of the partials above the second.
_PARTIALS = frozenset({19, 24, 28, 31, 36})
_VELOCITIES = 30.0
# Notes are struck together within so many seconds; softer than those within so many around it; struck again so soon.
_TOGETHER, _AROUND, _AGAIN = 0.06, 2.0, 0.12
_CERTAIN = 1e-3
# Doubts that are smaller aren't worth a look.
_LEAST = 0.03
# Bars that agree in so much of their notes, and have so many, are the same music; parts of a beat that are told apart.
# A note that so many of at least so many such bars have is likely missing in the one that lacks it.
_ALIKE, _FEWEST, _PARTS, _HAVE, _BARS = 0.75, 6, 4, 0.75, 2
_MOST_BARS = 1_500


@dataclass(frozen=True)
class Doubt:
    """Something worth a look.

    Attributes
    ----------
    kind
        ``unsure``, ``octave``, ``doubled`` or ``missing``.
    note
        The index of the note; of a note that may be missing, that of the note that begins nearest.
    onset
        In seconds.
    why
        In words.
    doubt
        The probability that something is wrong, 0-1.
    pitch
        Of a note that may be missing; else that of the note.
    """

    kind: str
    note: int
    onset: float
    why: str
    doubt: float
    pitch: int


def doubts_of(transcription: Transcription) -> list[Doubt]:
    """List what is worth a look, the most doubtful first."""
    found = [one for one in doubts_of_notes(transcription.notes) if one.doubt >= _LEAST]
    found += missing_in(transcription)
    return sorted(found, key=lambda one: (-one.doubt, one.onset, one.pitch))


def doubts_of_notes(notes: Sequence[Note]) -> list[Doubt]:
    """Say how doubtful each note is, in their order; those that are certain aren't.

    Parameters
    ----------
    notes
        Ordered by onset.
    """
    onsets = np.array([note.onset for note in notes])
    velocities = [note.velocity for note in notes]
    first, last = np.searchsorted(onsets, onsets - _TOGETHER), np.searchsorted(onsets, onsets + _TOGETHER, "right")
    before, after = np.searchsorted(onsets, onsets - _AROUND), np.searchsorted(onsets, onsets + _AROUND, "right")
    struck: dict[int, float] = {}
    found = []
    for i, note in enumerate(notes):
        again = note.onset - struck.get(note.pitch, -1.0) < _AGAIN
        struck[note.pitch] = note.onset
        if note.confidence == 1:
            found.append(Doubt(UNSURE, i, note.onset, "", 0.0, note.pitch))
            continue
        chord = [notes[k] for k in range(first[i], last[i]) if notes[k].pitch < note.pitch]
        octaves = [other.velocity - note.velocity for other in chord if note.pitch - other.pitch == 12]
        partial = any(note.pitch - other.pitch in _PARTIALS for other in chord)
        sure = min(max(note.confidence, _CERTAIN), 1 - _CERTAIN)
        softer = median(velocities[before[i] : after[i]]) - note.velocity
        odds = _CONSTANT + _CONFIDENCE * math.log(sure / (1 - sure)) + _PARTIAL * partial + _SOFT * softer / _VELOCITIES
        if octaves:
            odds += _OCTAVE + _SOFTER_OCTAVE * max(0, *octaves) / _VELOCITIES
        kind = DOUBLED if again else OCTAVE if octaves or partial else UNSURE
        found.append(Doubt(kind, i, note.onset, _why(kind, note, octaves), 1 / (1 + math.exp(-odds)), note.pitch))
    return found


def _why(kind: str, note: Note, octaves: Sequence[int]) -> str:
    if kind == DOUBLED:
        return "struck again at once"
    if kind == OCTAVE:
        return f"may be {'the octave' if octaves else 'an overtone'} of a note below, {note.confidence:.0%} sure"
    return f"{note.confidence:.0%} sure"


def missing_in(transcription: Transcription) -> list[Doubt]:
    """List notes that bars lack which are else the same as others; none where there are no bars."""
    t = transcription
    if not t.notes or not has_bars(t) or len(t.downbeats) > _MOST_BARS:
        return []
    grid = BeatGrid(t.beats)
    lines = grid.to_beats(np.array(t.downbeats))
    onsets = np.array([note.onset for note in t.notes])
    places = grid.to_beats(onsets)
    bars = np.searchsorted(lines, places + 0.5 / _PARTS, side="right") - 1
    content: dict[int, set[tuple[int, int]]] = defaultdict(set)
    for note, place, bar in zip(t.notes, places, bars.tolist(), strict=True):
        if bar >= 0:
            content[bar].add((round(_PARTS * float(place - lines[bar])), note.pitch))
    having: dict[tuple[int, int], set[int]] = defaultdict(set)
    for bar, own in content.items():
        for one in own:
            having[one].add(bar)
    found = []
    for bar, own in content.items():
        if len(own) < _FEWEST:
            continue
        shared: dict[int, int] = defaultdict(int)
        for one in own:
            for other in having[one]:
                shared[other] += 1
        alike = [other for other, n in shared.items() if other != bar and n >= _ALIKE * len(content[other] | own)]
        if len(alike) < _BARS:
            continue
        for part, pitch in {one for other in alike for one in content[other]} - own:
            n_having = sum((part, pitch) in content[other] for other in alike)
            near = any((part + step, pitch) in own for step in (-1, 1))
            if near or n_having < _HAVE * len(alike):
                continue
            time = float(grid.to_seconds(np.array([lines[bar] + part / _PARTS]))[0])
            beside = min(bisect.bisect_left(onsets, time), len(onsets) - 1)
            why = f"{n_having} of {len(alike)} bars like this one have it"
            found.append(Doubt(MISSING, beside, time, why, 0.5 * n_having / (len(alike) + 1), pitch))
    return found
