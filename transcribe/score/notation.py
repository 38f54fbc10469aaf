"""A transcription → what a score shows: bars, hands, voices, notes of notated lengths; pure.

Rhythms are simplified as a transcriber would: notes lie on the simplest divisions of the beats, and last until the
next one of their voice unless they clearly don't.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import numpy as np

from transcribe.errors import InputError
from transcribe.events import Note, Transcription
from transcribe.score.articulation import articulated
from transcribe.score.bars import Bar, Chord, Notation
from transcribe.score.beats import BeatGrid, is_grid
from transcribe.score.lengths import choose_length, rhythms
from transcribe.score.model import Told
from transcribe.score.ornaments import Ornamented, find_ornaments, is_lone_grace, split_graces
from transcribe.score.placing import bar_starts, place_notes, quarters_a_beat
from transcribe.score.voices import Struck, find_voices
from transcribe.theory.metres import bar_length, beat_length, is_compound

# Where there are no beats: so many seconds each, and so many a bar.
_BEAT, _METRE = 0.5, 4
# A grace note has a place so many beats before its note's at the most.
_GRACE = Fraction(1, 8)
# Who would read more?
MAX_BARS = 10_000


def notate(transcription: Transcription, detail: float = 1.0) -> Notation:
    """Write a transcription down.

    Parameters
    ----------
    transcription
        Without beats it is written as if there were 120 a minute, from its first note on.
    detail
        Above 1 rhythms become finer, below simpler.

    Returns
    -------
    Notation
        One bar without notes where nothing was heard.

    Raises
    ------
    InputError
        If it would have more than ``MAX_BARS`` bars.
    """
    ornamented = find_ornaments(transcription.notes)
    notes = [one.note for one in ornamented]
    beats: Sequence[float] = transcription.beats
    downbeats: Sequence[float] = transcription.downbeats
    if not is_grid(beats):
        first = notes[0].onset if notes else 0.0
        beats, downbeats = [first + _BEAT * k for k in range(_METRE + 1)], ()
    known = transcription.beat_confidence == 1
    placed = place_notes(notes, beats, downbeats, transcription.metres, detail, known)
    beats, downbeats, compound = placed.beats, placed.downbeats, placed.compound
    grid = BeatGrid(beats)
    struck = []
    graces: dict[int, list[int]] = {}
    for hand, divided in zip((placed.right, ~placed.right), placed.divided, strict=True):
        indices = np.flatnonzero(hand).tolist()
        indices = _without_graces(notes, indices, [placed.places[i] for i in indices], graces)
        struck.append((_struck(notes, indices, [placed.places[i] for i in indices], grid), divided))
    quarters = quarters_a_beat(transcription, placed)
    told = placed.told
    if told is not None and placed.unit is None:  # all beats are as long
        told = replace(told, quarters=np.full(len(notes), float(quarters)))
    voices = [_lasting(find_voices(groups), grid, quarters, hand == 1, told) for hand, (groups, _) in enumerate(struck)]
    everything = [chord for hand in voices for voice in hand for chord in voice]
    begin = min((chord.start for chord in everything), default=Fraction(0))
    end = max((chord.start + chord.length for chord in everything), default=Fraction(1))
    edges = _bar_lines(beats, downbeats, begin, end)
    if compound and not transcription.metres:  # twelve eight is rare
        edges = sorted({*edges, *((a + b) / 2 for a, b in pairwise(edges) if b - a == 4)})
        edges = edges[sum(edge <= begin for edge in edges) - 1 :]
    # Beats of rest before the first note make its bar a pick-up.
    pick_up = int(begin - edges[0])
    origin = edges[0] + pick_up
    lines = [Fraction(0), *((edge - origin) * quarters for edge in edges[1:])]
    labels = _labels(transcription, grid, [edge for edge, _ in pairwise(edges)])
    bars = tuple(
        Bar(start, stop - start, _beat_of(label, stop - start, quarters if compound else Fraction(1)), number, label)
        for (number, (start, stop)), label in zip(enumerate(pairwise(lines), 0 if pick_up else 1), labels, strict=True)
    )
    hands = tuple(
        tuple(tuple(_written(chord, origin, quarters, ornamented, graces) for chord in voice) for voice in hand)
        for hand in voices
    )
    tempo = 60 / float(np.median(np.diff(beats))) * float(quarters)
    notation = Notation(bars, hands, tempo, grid, quarters, origin)
    return articulated(notation, transcription.notes, transcription.pedals)


def _written(
    chord: Chord,
    origin: Fraction,
    quarters: Fraction,
    ornamented: Sequence[Ornamented],
    graces: dict[int, list[int]],
) -> Chord:
    """Turn a chord in beats into one in quarters, with the ornaments of its notes."""
    own = [ornamented[i] for i in chord.indices]
    before = [ornamented[i] for main in chord.indices for i in graces.get(main, ())]
    return replace(
        chord,
        start=(chord.start - origin) * quarters,
        length=chord.length * quarters,
        indices=tuple(one.index for one in own),
        marks=frozenset(one.mark for one in own if one.mark),
        graces=tuple(one.note.pitch for one in before),
        others=tuple(sorted(i for one in (*own, *before) for i in {one.index, *one.others} - {o.index for o in own})),
    )


def keys_of_bars(transcription: Transcription, notation: Notation) -> list[str]:
    """Choose the key of every bar: that of the section in which its middle lies."""
    found, sections = [], list(transcription.keys)
    for bar in notation.bars:
        while len(sections) > 1 and notation.quarters(sections[0].offset) <= float(bar.start + bar.length / 2):
            sections.pop(0)
        found.append(sections[0].label if sections else transcription.key or "C major")
    return found


def time_signature(bar: Bar, bars: Sequence[Bar]) -> str:
    """Name a bar's time signature; a pick-up has that of the bar after it."""
    whole = bars[1] if bar.number == 0 and len(bars) > 1 else bar
    if whole.metre and bar_length(whole.metre) == whole.length:
        return whole.metre
    if whole.beat != 1 or whole.length.denominator > 1:
        return f"{int(whole.length * 2)}/8"
    return f"{int(whole.length)}/4"


def _labels(transcription: Transcription, grid: BeatGrid, edges: Sequence[Fraction]) -> list[str]:
    """Name the metre of the bars that begin at the edges, in beats."""
    metres = transcription.metres
    if not metres:
        return [""] * len(edges)
    times = grid.to_seconds(np.array([float(edge) for edge in edges])) + 1e-3
    sections = np.searchsorted([metre.onset for metre in metres], times) - 1
    return [metres[max(0, int(section))].label for section in sections]


def _beat_of(label: str, length: Fraction, usual: Fraction) -> Fraction:
    """Choose the beat of a bar, in quarters: its own metre's where it has one, for not all bars have the same."""
    if not label or bar_length(label) != length:
        return usual
    return beat_length(label) if is_compound(label) else Fraction(1)


def _without_graces(
    notes: Sequence[Note], indices: Sequence[int], places: Sequence[Fraction], graces: dict[int, list[int]]
) -> list[int]:
    """Leave the notes of a hand, by their indices, that are no grace notes; add these to ``graces`` of their notes."""
    together: dict[Fraction, list[int]] = {}
    given = [notes[i] for i in indices]
    # A grace note that was given a place of its own, right before its note's, belongs to it all the same.
    mains = {k: k + 1 for k in range(len(given) - 1) if is_lone_grace(given, k) and places[k + 1] - places[k] <= _GRACE}
    for k, i in enumerate(indices):
        together.setdefault(places[mains.get(k, k)], []).append(i)
    left: list[int] = []
    for own in together.values():
        chord, found = split_graces([notes[i] for i in own])
        left += [own[k] for k in chord]
        graces.update({own[main]: [own[k] for k in before] for main, before in found.items()})
    return sorted(left)


def _struck(notes: Sequence[Note], indices: Sequence[int], places: Sequence[Fraction], grid: BeatGrid) -> list[Struck]:
    """Put a hand's notes that begin at one place together; of one pitch the one that lasts longest."""
    ends = grid.to_beats(np.array([notes[i].offset for i in indices]))
    onsets = grid.to_beats(np.array([notes[i].onset for i in indices]))
    at: dict[Fraction, dict[int, tuple[float, int]]] = {}
    for i, place, onset, end in zip(indices, places, onsets, ends, strict=True):
        # A note keeps its length where its onset is moved.
        moved = float(place) + float(end - onset)
        own = at.setdefault(place, {})
        own[notes[i].pitch] = max(own.get(notes[i].pitch, (-np.inf, i)), (moved, i))
    found = []
    for place in sorted(at):
        pitches = tuple(sorted(at[place]))
        ended = tuple(at[place][pitch][0] for pitch in pitches)
        found.append(Struck(place, pitches, ended, tuple(at[place][pitch][1] for pitch in pitches)))
    return found


def _lasting(
    voices: Sequence[Sequence[Struck]], grid: BeatGrid, quarters: Fraction, left: bool, told: Told | None = None
) -> list[list[Chord]]:
    """Choose the notated length of every chord of a hand's voices, in beats."""
    found = []
    for voice, known in zip(voices, rhythms(voices, quarters, grid, left, told), strict=True):
        lengths = [choose_length(chord) / quarters for chord in known]
        found.append([Chord(c.place, n, c.pitches, c.indices) for c, n in zip(voice, lengths, strict=True)])
    return found


def _bar_lines(beats: Sequence[float], downbeats: Sequence[float], begin: Fraction, end: Fraction) -> list[Fraction]:
    """Find the bar lines from the one before the beginning to the one after the end, in beats."""
    lines = bar_starts(beats, downbeats)
    usual = Counter(b - a for a, b in pairwise(lines)).most_common(1)[0][0] if len(lines) > 1 else _METRE
    lines = lines or [0]
    if (end - begin) / usual > MAX_BARS:
        raise InputError(f"a score of more than {MAX_BARS} bars; cut the recording into parts")
    while lines[0] > begin:
        lines.insert(0, lines[0] - usual)
    while lines[-1] < end:
        lines.append(lines[-1] + usual)
    first = max(i for i, line in enumerate(lines) if line <= begin)
    last = min(i for i, line in enumerate(lines) if line >= end and i > first)
    return [Fraction(line) for line in lines[first : last + 1]]
