"""A transcription → what a score shows: bars, hands, voices, notes of notated lengths; pure.

Rhythms are simplified as a transcriber would: notes lie on the simplest divisions of the beats, and last until the
next one of their voice unless they clearly don't.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np

from transcribe.errors import InputError
from transcribe.events import Note, Transcription
from transcribe.score.beats import BeatGrid, is_grid
from transcribe.score.lengths import choose_length, rhythms
from transcribe.score.placing import bar_starts, place_notes, quarters_a_beat
from transcribe.score.voices import Struck, find_voices
from transcribe.theory.metres import bar_length

# Where there are no beats: so many seconds each, and so many a bar.
_BEAT, _METRE = 0.5, 4
# Who would read more?
MAX_BARS = 10_000

@dataclass(frozen=True)
class Chord:
    """Notes struck together, or a rest where there are no pitches: where and how long, in quarters; notes' indices."""

    start: Fraction
    length: Fraction
    pitches: tuple[int, ...] = ()
    indices: tuple[int, ...] = ()


@dataclass(frozen=True)
class Bar:
    """A bar: where it begins and how long it is, in quarters; how long its beats are; its number, 0 for a pick-up.

    ``metre`` is what it is written in (``6/8``), empty where nobody knows.
    """

    start: Fraction
    length: Fraction
    beat: Fraction
    number: int
    metre: str = ""

    @property
    def end(self) -> Fraction:
        """Where the next one begins."""
        return self.start + self.length


@dataclass(frozen=True)
class Notation:
    """What a score shows.

    ``hands``: right and left, each an upper and a lower voice, which may be empty; ``tempo`` in quarters a minute.
    ``grid``, ``quarters_a_beat`` and ``origin`` (in beats) lead from seconds to quarters.
    """

    bars: tuple[Bar, ...]
    hands: tuple[tuple[tuple[Chord, ...], ...], ...]
    tempo: float
    grid: BeatGrid
    quarters_a_beat: Fraction
    origin: Fraction

    def quarters(self, seconds: float) -> float:
        """Convert seconds to quarters from the start of the first bar."""
        return float(self.grid.to_beats(np.array([seconds]))[0] - float(self.origin)) * float(self.quarters_a_beat)


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
    notes = transcription.notes
    beats: Sequence[float] = transcription.beats
    downbeats: Sequence[float] = transcription.downbeats
    if not is_grid(beats):
        first = notes[0].onset if notes else 0.0
        beats, downbeats = [first + _BEAT * k for k in range(_METRE + 1)], ()
    placed = place_notes(notes, beats, downbeats, transcription.metres, detail)
    beats, downbeats, compound = placed.beats, placed.downbeats, placed.compound
    grid = BeatGrid(beats)
    struck = []
    for hand, divided in zip((placed.right, ~placed.right), placed.divided, strict=True):
        indices = np.flatnonzero(hand).tolist()
        struck.append((_struck(notes, indices, [placed.places[i] for i in indices], grid), divided))
    quarters = quarters_a_beat(transcription, placed)
    voices = [
        _lasting(find_voices(groups), grid, quarters, left=hand == 1) for hand, (groups, _) in enumerate(struck)
    ]
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
        Bar(start, stop - start, quarters if compound else Fraction(1), number, label)
        for (number, (start, stop)), label in zip(enumerate(pairwise(lines), 0 if pick_up else 1), labels, strict=True)
    )
    hands = tuple(
        tuple(
            tuple(Chord((c.start - origin) * quarters, c.length * quarters, c.pitches, c.indices) for c in voice)
            for voice in hand
        )
        for hand in voices
    )
    tempo = 60 / float(np.median(np.diff(beats))) * float(quarters)
    return Notation(bars, hands, tempo, grid, quarters, origin)


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


def _lasting(voices: Sequence[Sequence[Struck]], grid: BeatGrid, quarters: Fraction, left: bool) -> list[list[Chord]]:
    """Choose the notated length of every chord of a hand's voices, in beats."""
    found = []
    for voice, known in zip(voices, rhythms(voices, quarters, grid, left), strict=True):
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


@dataclass(frozen=True)
class Written:
    """A chord or a rest that one note can show; whether it is tied to the one before it, and to the one after it."""

    chord: Chord
    from_before: bool = False
    to_next: bool = False


def in_bars(voice: Sequence[Chord], bars: Sequence[Bar]) -> Iterator[tuple[Bar, list[Written]]]:
    """Cut a voice at the bar lines, and fill what is empty with rests; yield every bar with what lies in it."""
    rest = iter(voice)
    current = next(rest, None)
    begun = False
    for bar in bars:
        inside: list[Written] = []
        place = bar.start
        while current is not None and current.start < bar.end:
            inside += [Written(Chord(a, b - a)) for a, b in cut(place, current.start, bar, rest=True)]
            place = min(current.start + current.length, bar.end)
            goes_on = current.start + current.length > place
            pieces = cut(current.start, place, bar)
            for number, (a, b) in enumerate(pieces, 1):
                chord = Chord(a, b - a, current.pitches, current.indices)
                inside.append(Written(chord, begun or number > 1, goes_on or number < len(pieces)))
            begun = goes_on
            if goes_on:
                current = Chord(place, current.start + current.length - place, current.pitches, current.indices)
                break
            current = next(rest, None)
        if inside:
            inside += [Written(Chord(a, b - a)) for a, b in cut(place, bar.end, bar, rest=True)]
        yield bar, inside or [Written(Chord(bar.start, bar.length))]


def cut(start: Fraction, end: Fraction, bar: Bar, rest: bool = False) -> list[tuple[Fraction, Fraction]]:
    """Cut a span within a bar into ones that a single note or rest can show without hiding the beat."""
    if start >= end:
        return []
    if _readable(start - bar.start, end - bar.start, bar, rest):
        return [(start, end)]
    inner = _strongest(start - bar.start, end - bar.start, bar)
    return [*cut(start, bar.start + inner, bar, rest), *cut(bar.start + inner, end, bar, rest)]


def _readable(start: Fraction, end: Fraction, bar: Bar, rest: bool) -> bool:
    length = end - start
    if start == 0 and length == bar.length:
        return _base(length) is not None
    if bar.beat != 1:
        return _readable_in_compound(start, end, bar.beat)
    first, last = start.numerator // start.denominator, -(-end.numerator // end.denominator)
    if any(edge.denominator % 3 == 0 for edge in (start, end)):
        # Triplets stay within their beat.
        return last - first == 1 and (length * 6) in (1, 2, 3, 4)
    base = _base(length)
    if base is None:
        return False
    if base == length:
        on = start % length == 0 or (not rest and start % (length / 2) == 0)
    elif length >= 1:
        on = not rest and start % (base / 2) == 0 and (start % 1 == 0 or end % 1 == 0)
    else:
        on = last - first == 1
    # Nothing but what fills it from an edge hides the middle of four beats.
    middle = bar.length / 2
    hides = bar.length % 4 == 0 and start < middle < end and length < 2
    return on and not hides


def _readable_in_compound(start: Fraction, end: Fraction, beat: Fraction) -> bool:
    if start % beat == 0 and end % beat == 0:
        return _base(end - start) is not None
    within = start // beat == (end - Fraction(1, 1000)) // beat
    return bool(within and _base(end - start) is not None and (end - start) * 16 % 1 == 0)


def _base(length: Fraction) -> Fraction | None:
    """Find the undotted length of a note that is so long, with a dot or without; None where there is none."""
    for base in (length, length * 2 / 3):
        if base.numerator & (base.numerator - 1) == 0 and base.denominator & (base.denominator - 1) == 0:
            return base if Fraction(1, 32) <= base <= 4 else None
    return None


def _strongest(start: Fraction, end: Fraction, bar: Bar) -> Fraction:
    """Find the strongest place strictly inside a span of a bar."""
    thirds = any((edge / bar.beat).denominator % 3 == 0 for edge in (start, end))
    parts = (3, 6, 12) if thirds else (2, 4, 8, 16, 32) if bar.beat == 1 else (3, 6, 12, 24)
    units = [bar.length / 2] if bar.length % 4 == 0 or bar.beat != 1 else []
    units += [bar.beat * 2, bar.beat, *(bar.beat / part for part in parts)]
    for unit in units:
        place = (start // unit + 1) * unit
        if place < end:
            return place
    return (start + end) / 2
