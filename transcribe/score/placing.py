"""Notes → their places on the grid of beats, hand by hand, for scores and for quantised notes alike; pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise

import numpy as np

from transcribe.events import Metre, Note, Transcription
from transcribe.score.beats import BeatGrid, is_grid
from transcribe.score.hands import find_hands, struck_together
from transcribe.score.model import Told, tell
from transcribe.score.quantise import is_compound, quantize, quantize_hands
from transcribe.theory import metres as names

# Beats are halved where at least so much of them is divided into eight, and so many; up to so many a minute.
_MANY_EIGHTHS, _FEW, _FASTEST = 0.3, 6, 220.0
# What precedes the first beat is a number of eighths of a simple beat, or of twelfths of a compound one, so that all
# notes lie on ticks that are parts of a beat; see transcribe.formats.tempo_map, which leads there.
_LEAD_PARTS, _COMPOUND_LEAD_PARTS = 8, 12
# Times of the same beat differ by less, in seconds.
_SAME_TIME = 1e-3


@dataclass(frozen=True)
class Placement:
    """Where notes lie.

    Attributes
    ----------
    beats, downbeats
        The grid, in seconds: that of the music, or its halves where rhythms are so fine.
    compound
        Whether beats divide in three.
    right
        Which notes the right hand plays, (n_notes,).
    places
        Of every note, in beats of the grid.
    divided
        Into how many parts each beat is divided, by its number: of the right hand, and of the left.
    unit
        Quarters of a beat of the grid where the music has beats of several lengths; else None.
    told
        What the network tells of the notes.
    """

    beats: tuple[float, ...]
    downbeats: tuple[float, ...]
    compound: bool
    right: np.ndarray
    places: tuple[Fraction, ...]
    divided: tuple[dict[int, int], dict[int, int]]
    unit: Fraction | None = None
    told: Told | None = None


def place_notes(
    notes: Sequence[Note],
    beats: Sequence[float],
    downbeats: Sequence[float],
    metres: Sequence[Metre] = (),
    detail: float = 1.0,
    known: bool = False,
) -> Placement:
    """Put notes onto the grid of their beats.

    Parameters
    ----------
    notes
        Ordered by onset.
    beats, downbeats
        Seconds, as :func:`transcribe.score.beats.is_grid` wants them.
    metres
        Tell whether beats divide in three; without them the notes do.
    detail
        Above 1 rhythms become finer, below simpler.
    known
        Whether the metres are known, section by section. Of metres that were found only the most usual one is trusted
        to tell how beats divide.
    """
    onsets = np.array([note.onset for note in notes])
    kinds: bool | list[bool]
    if metres:
        compound = mostly_compound(metres)
        kinds = [names.is_compound(label) for label in _labels(beats, metres)] if known else compound
    else:
        together = [float(np.mean([onsets[i] for i in group])) for group in struck_together(onsets)]
        beats, downbeats = _halved(together, beats, downbeats, detail)
        kinds = compound = is_compound(onsets, beats, detail)
    told = tell(notes, beats, downbeats, metres, compound)
    right = find_hands(notes, told.right)
    hands = [np.flatnonzero(hand).tolist() for hand in (right, ~right)]
    places = [Fraction(0)] * len(notes)
    divided = []
    for indices, (found, parts) in zip(
        hands,
        quantize_hands(
            [onsets[hand] for hand in hands], beats, detail, kinds, told=[told.phases[hand] for hand in hands]
        ),
        strict=True,
    ):
        for i, place in zip(indices, found, strict=True):
            places[i] = place
        divided.append(parts)
    both = (divided[0], divided[1])
    placed = Placement(tuple(beats), tuple(downbeats), compound, right, tuple(places), both, told=told)
    return _evened(placed, metres) if known else placed


def hands_of(notes: Sequence[Note], transcription: Transcription) -> np.ndarray:
    """Tell for each of a transcription's notes whether the right hand plays it: booleans, (n_notes,)."""
    t = transcription
    if not is_grid(t.beats):
        return find_hands(notes)
    return find_hands(notes, tell(notes, t.beats, t.downbeats, t.metres).right)


def _labels(beats: Sequence[float], metres: Sequence[Metre]) -> list[str]:
    """Name the metre of every beat."""
    sections = np.searchsorted([metre.onset for metre in metres], np.array(beats) + _SAME_TIME) - 1
    return [metres[max(0, int(section))].label for section in sections]


def _evened(placed: Placement, metres: Sequence[Metre]) -> Placement:
    """Cut beats into parts of one length where the music has beats of several: all beats of a grid are equal."""
    lengths = [names.beat_length(label) for label in _labels(placed.beats, metres)] if metres else []
    if len(set(lengths)) < 2:
        return placed
    unit = _unit(lengths)
    numbers = [0]
    beats: list[float] = []
    for (start, stop), length in zip(pairwise(placed.beats), lengths, strict=False):
        parts = int(length / unit)
        beats += np.linspace(start, stop, parts + 1)[:-1].tolist()
        numbers.append(numbers[-1] + parts)
    beats.append(placed.beats[-1])

    def moved(place: Fraction) -> Fraction:
        cell = min(max(place.numerator // place.denominator, 0), len(lengths) - 1)
        start = numbers[cell] if cell < len(numbers) else numbers[-1]
        return start + (place - cell) * (lengths[cell] / unit)

    divided = tuple(
        {
            int(moved(Fraction(number))) + k: max(
                1, math.ceil(parts / int(lengths[min(max(number, 0), len(lengths) - 1)] / unit))
            )
            for number, parts in own.items()
            for k in range(int(lengths[min(max(number, 0), len(lengths) - 1)] / unit))
        }
        for own in placed.divided
    )
    return replace(
        placed,
        beats=tuple(beats),
        places=tuple(moved(place) for place in placed.places),
        divided=(divided[0], divided[1]),
        unit=unit,
    )


def _unit(lengths: Sequence[Fraction]) -> Fraction:
    """Find the longest time of which all lengths are multiples."""
    denominator = math.lcm(*(length.denominator for length in lengths))
    return Fraction(math.gcd(*(int(length * denominator) for length in lengths)), denominator)


def mostly_compound(metres: Sequence[Metre]) -> bool:
    """Tell whether beats divide in three for most of the time."""
    seconds = [metre.offset - metre.onset for metre in metres if names.is_compound(metre.label)]
    return 2 * sum(seconds) > sum(metre.offset - metre.onset for metre in metres)


def quarters_a_beat(transcription: Transcription, placed: Placement) -> Fraction:
    """Choose how many quarters a beat of the grid has: what most of the metres say; half as many in halved beats."""
    if placed.unit is not None:
        return placed.unit
    seconds: Counter[Fraction] = Counter()
    for metre in transcription.metres:
        if names.is_compound(metre.label) == placed.compound:
            seconds[names.beat_length(metre.label)] += metre.offset - metre.onset  # type: ignore[assignment]
    if not seconds:
        return Fraction(3, 2) if placed.compound else Fraction(1)
    return seconds.most_common(1)[0][0] / (2 if len(placed.beats) > len(transcription.beats) else 1)


def bar_starts(beats: Sequence[float], downbeats: Sequence[float]) -> list[int]:
    """Find the beats that begin bars, by their numbers."""
    return sorted({int(i) for i in np.searchsorted(beats, np.array(downbeats) - 1e-6) if i < len(beats)})


def _halved(
    onsets: Sequence[float], beats: Sequence[float], downbeats: Sequence[float], detail: float
) -> tuple[Sequence[float], Sequence[float]]:
    """Halve beats that are divided into eight again and again, and the bars with them: nobody reads demisemiquavers."""
    parts = [n for n in quantize(onsets, beats, detail)[1].values() if n > 1]
    if parts.count(8) < max(_FEW, _MANY_EIGHTHS * len(parts)) or 120 / float(np.median(np.diff(beats))) > _FASTEST:
        return beats, downbeats
    halves = BeatGrid(beats).to_seconds(np.arange(2 * len(beats) - 1) / 2).tolist()
    bars = bar_starts(beats, downbeats)
    middles = [halves[a + b] for a, b in pairwise(bars)]
    return halves, sorted([*(halves[2 * bar] for bar in bars), *middles])


def quantized(
    transcription: Transcription, detail: float = 1.0, strength: float = 1.0, grid: Fraction | None = None
) -> Transcription:
    """Move notes to their places on the transcription's own beats; without beats it stays as it is.

    Parameters
    ----------
    detail
        Above 1 rhythms become finer, below simpler.
    strength
        How far notes are moved: 1 all the way, 0 not at all.
    grid
        In quarters: all notes lie on whole numbers of it. Without it they lie where a score shows them.

    Returns
    -------
    Transcription
        A note keeps a length, that of a part of the beat at the least, but ends where the next one of its pitch
        begins. Of notes of one pitch that come to lie on one place one is left. The beats are moved together, by a
        sixteenth of one at the most, so that the first bar of a MIDI file has a length that can be written.
    """
    notes = transcription.notes
    if not notes or not is_grid(transcription.beats):
        return transcription
    t = transcription
    placed = place_notes(notes, t.beats, t.downbeats, t.metres, detail, known=t.beat_confidence == 1)
    before = BeatGrid(placed.beats)
    performed = before.to_beats(np.array([note.onset for note in notes]))
    ends = before.to_beats(np.array([note.offset for note in notes]))
    quarters = quarters_a_beat(transcription, placed)
    shift = _lead_shift(transcription.beats, placed.compound)
    after = BeatGrid([beat + shift for beat in placed.beats])
    spans: dict[int, list[tuple[Fraction, Fraction, int]]] = {}
    for i, note in enumerate(notes):
        if grid is None:
            parts = placed.divided[0 if placed.right[i] else 1]
            start = placed.places[i]
            # A note ends as finely as its beat is divided, or the one that it began in.
            step = Fraction(1, parts.get(int(np.floor(ends[i])), parts.get(int(np.floor(performed[i])), 2)))
        else:
            step = grid / quarters
            start = round(Fraction(float(performed[i])) / step) * step
        end = max(round(Fraction(float(ends[i])) / step) * step, start + step)
        spans.setdefault(note.pitch, []).append((start, end, i))
    moved = []
    for same in spans.values():
        for start, end, i in _one_after_another(same):
            on, off = after.to_seconds(np.array([float(start), float(end)])).tolist()
            note = notes[i]
            onset = max(0.0, note.onset + strength * (on - note.onset))
            offset = max(note.offset + strength * (off - note.offset), onset + 1e-3)
            moved.append(replace(note, onset=round(onset, 6), offset=round(offset, 6)))
    return replace(
        transcription,
        notes=tuple(sorted(moved)),
        beats=tuple(round(beat + shift, 6) for beat in transcription.beats),
        downbeats=tuple(round(beat + shift, 6) for beat in transcription.downbeats),
    )


def _one_after_another(spans: Sequence[tuple[Fraction, Fraction, int]]) -> list[tuple[Fraction, Fraction, int]]:
    """Let spans of one pitch end where the next one begins; of those that begin together leave the first one."""
    found: list[tuple[Fraction, Fraction, int]] = []
    for start, end, i in sorted(spans):
        if found and start == found[-1][0]:
            found[-1] = (start, max(end, found[-1][1]), found[-1][2])
            continue
        if found and found[-1][1] > start:
            found[-1] = (found[-1][0], start, found[-1][2])
        found.append((start, end, i))
    return found


def _lead_shift(beats: Sequence[float], compound: bool) -> float:
    """Say by how much beats have to be later so that the first is a whole number of parts of a beat from 0."""
    part = (beats[1] - beats[0]) / (_COMPOUND_LEAD_PARTS if compound else _LEAD_PARTS)
    return round(beats[0] / part) * part - beats[0]
