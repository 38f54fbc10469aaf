"""One staff of a score as a part of music21: measures, voices, notes; what is written once between repeat signs."""

from __future__ import annotations

import bisect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from typing import Any

from transcribe.events import Note
from transcribe.score.articulation import STACCATO
from transcribe.score.barring import Written, dotted_in_triplet, in_bars
from transcribe.score.bars import Bar, Chord, Notation
from transcribe.score.notation import time_signature
from transcribe.score.octaves import find_octave_lines
from transcribe.score.ornaments import ARPEGGIO, TREMOLO, TRILL
from transcribe.score.repeats import Content, Repeat, find_repeats
from transcribe.theory.fifths import pitch_class, place_of
from transcribe.theory.keys import signature
from transcribe.theory.spelling import octave_of, tone_name

#: What notes are reduced to that no one instrument plays.
PIANO = "Piano"
# A hand changes to the other clef where its notes lie beyond these on the average, for two bars at least.
_TREBLE_FROM, _BASS_TO = 65, 53
# Notes of a lower confidence are unsure.
_UNSURE = 0.7
_GREY = "#999999"
_TREMOLO_BEAMS = 3
# Bars of more quarters are beamed by the quarter.
_BEAMED_IN_HALVES = 4
# Tuplets are numbered in so many bars that have nothing else, and then go on without.
_SHOWN = 2
# A stream, or what stands in one: music21 is annotated in part.
Element = Any


@dataclass
class Staff:
    """A part, its measures by the numbers of their bars (those that aren't written are missing), and its notes.

    ``elements`` are those of each voice: what stands from a place on.
    """

    part: Element
    measures: dict[int, Element] = field(default_factory=dict)
    elements: list[dict[Fraction, Element]] = field(default_factory=list)

    def insert(self, bars: Sequence[Bar], place: Fraction, element: Element) -> bool:
        """Put something at a place in quarters; False where its bar isn't written."""
        number = bisect.bisect_right(bars, place, key=lambda bar: bar.start) - 1
        if number in self.measures:
            self.measures[number].insert(place - bars[number].start, element)
        return number in self.measures

    def whole(self, bars: Sequence[Bar], start: Fraction, end: Fraction) -> bool:
        """Tell whether all bars from a place to another are written."""
        first, last = (bisect.bisect_right(bars, place, key=lambda bar: bar.start) - 1 for place in (start, end))
        return all(number in self.measures for number in range(first, last + 1))


def make_staff(
    notation: Notation,
    hand: int,
    keys: Sequence[str],
    names: Sequence[str],
    repeats: Sequence[Repeat],
    unsure: Sequence[Note] = (),
    name: str = PIANO,
    ids: bool = False,
) -> Staff:
    """Write a hand down.

    Parameters
    ----------
    keys
        Of every bar.
    names
        How the transcription's notes are spelled.
    repeats
        What is written once.
    unsure
        The transcription's notes, if those that are unsure are to be grey.
    name
        The instrument's.
    ids
        Whether notes and measures are named: ``n12`` is the transcription's, ``n12-2`` is tied to it; ``m3``.
    """
    from music21 import bar as m21bar
    from music21 import instrument, meter, stream

    bars, voices = notation.bars, notation.hands[hand]
    part = stream.PartStaff(id=("right", "left")[hand])
    player = instrument.Piano() if name == PIANO else instrument.Instrument(name)
    player.partId, player.instrumentId, part.partName = name, f"{name}-1", name
    player.partAbbreviation = player.instrumentAbbreviation = ""
    part.insert(0, player)
    staff = Staff(part, elements=[{} for _ in voices])
    cut = [list(in_bars(voice, bars)) for voice in voices]
    clefs = _clefs(voices, bars, hand)
    left_out = {n for r in repeats for n in range(r.first + r.n_bars, r.second_ending)}
    begins = {repeat.first for repeat in repeats}
    ends = {repeat.first + repeat.n_bars - 1 for repeat in repeats}
    clef, key, metre = None, "", ""
    before: tuple[int, int] | None = None
    alike = 0
    for number, one in enumerate(bars):
        if number in left_out:
            continue
        measure = stream.Measure(number=bars[0].number + len(staff.measures))
        if ids:
            measure.id = f"m{number}" if hand == 0 else f"m{number}-{hand}"
        if clefs[number] is not clef:
            clef = clefs[number]
            measure.insert(0, clef())
        if keys[number] != key:
            key = keys[number]
            measure.insert(0, _key_signature(key))
        if (signed := time_signature(one, bars)) != metre:
            metre = signed
            time = meter.TimeSignature(metre)
            if time.denominator == 4 and time.numerator > _BEAMED_IN_HALVES:
                time.beamSequence.partition(time.numerator)
            measure.insert(0, time)
        _fill(measure, one, [voice[number][1] for voice in cut], key, names, staff.elements, unsure, ids)
        divided = _divided(measure)
        alike = alike + 1 if divided is not None and divided == before else 0
        before = divided
        if alike >= _SHOWN:
            _hide_tuplets(measure)
        if number in begins:
            measure.leftBarline = m21bar.Repeat(direction="start")
        if number in ends:
            measure.rightBarline = m21bar.Repeat(direction="end")
        staff.measures[number] = measure
        part.append(measure)
    last = staff.measures[max(staff.measures)]
    if last.rightBarline is None:
        last.rightBarline = "final"
    part.makeAccidentals(inPlace=True)
    part.makeBeams(inPlace=True, setStemDirections=False)
    _mark_endings(staff, repeats)
    _mark_octaves(staff, notation, hand, clefs)
    return staff


def repeats_of(notation: Notation, keys: Sequence[str]) -> list[Repeat]:
    """Find what a score can write once, in both hands; how long notes are held may differ."""
    bars = notation.bars
    starts = [bar.start for bar in bars]
    notes: list[set[object]] = [set() for _ in bars]
    tied = [False] * len(bars)
    for hand, voices in enumerate(notation.hands):
        for chord in (chord for voice in voices for chord in voice):
            number = max(0, bisect.bisect_right(starts, chord.start) - 1)
            notes[number].update((hand, chord.start - starts[number], pitch) for pitch in chord.pitches)
            for later in range(number + 1, len(bars)):
                if starts[later] >= chord.start + chord.length:
                    break
                tied[later] = True
    contents: list[Content] = [
        ((bar.length, time_signature(bar, bars), key), frozenset(own))
        for bar, key, own in zip(bars, keys, notes, strict=True)
    ]
    return find_repeats(contents, tied)


def _mark_endings(staff: Staff, repeats: Sequence[Repeat]) -> None:
    from music21 import spanner

    for repeat in (repeat for repeat in repeats if repeat.n_ending):
        for time, first in enumerate((repeat.first + repeat.n_bars - repeat.n_ending, repeat.second_ending), 1):
            own = [staff.measures[number] for number in range(first, first + repeat.n_ending)]
            staff.part.insert(0, spanner.RepeatBracket(own, number=time))


def _mark_octaves(staff: Staff, notation: Notation, hand: int, clefs: Sequence[Element]) -> None:
    """Write what lies far outside of the staff an octave nearer."""
    from music21 import clef, spanner

    bars = notation.bars
    for voice, chords in enumerate(notation.hands[hand]):
        numbers = [max(0, bisect.bisect_right(bars, c.start, key=lambda bar: bar.start) - 1) for c in chords]
        others = [c for other, own in enumerate(notation.hands[hand]) if other != voice for c in own]
        taken = {bisect.bisect_right(bars, c.start, key=lambda bar: bar.start) - 1 for c in others}
        treble = [clefs[number] is clef.TrebleClef for number in numbers]
        alone = [number not in taken and number in staff.measures for number in numbers]
        for line in find_octave_lines(chords, treble, alone):
            first, last = chords[line.first], chords[line.last]
            if not staff.whole(bars, first.start, last.start):
                continue
            elements = [
                element
                for place, element in staff.elements[voice].items()
                if first.start <= place < last.start + last.length
            ]
            shift = spanner.Ottava(type="8va" if line.up else "8vb", transposing=False)
            shift.addSpannedElements(elements)
            staff.part.insert(0, shift)


def _fill(
    measure: Element,
    bar: Bar,
    voices: Sequence[Sequence[Written]],
    key: str,
    names: Sequence[str],
    elements: Sequence[dict[Fraction, Element]],
    unsure: Sequence[Note],
    ids: bool,
) -> None:
    """Put the voices of a hand into a measure; one that is silent isn't shown beside another."""
    from music21 import stream

    sounding = [n for n, voice in enumerate(voices) if any(one.chord.pitches for one in voice)] or [0]
    for number, own in enumerate(sounding):
        target = measure if len(sounding) == 1 else stream.Voice(id=str(number + 1))
        for one in voices[own]:
            element = _element(one, names, key, unsure, ids)
            if dotted_in_triplet(one, bar):
                element.duration = _dotted_in_triplet(one.chord.length)
            if not one.chord.pitches:
                element.style.hideObjectOnPrint = number > 0
                if one.chord.length == bar.length and bar.number:  # a pick-up is no whole bar
                    element.fullMeasure = True
            else:
                elements[own][one.chord.start] = element
                if len(sounding) > 1:
                    element.stemDirection = ("up", "down")[number]
                for grace in _graces(one.chord, names, key):
                    target.insert(one.chord.start - bar.start, grace)
            target.insert(one.chord.start - bar.start, element)
        _bracket_tuplets(target, bar)
        if len(sounding) > 1:
            measure.insert(0, target)


def _dotted_in_triplet(length: Fraction) -> Element:
    """Make the duration of a dotted note of a triplet, which is as long as the note of its name outside of one."""
    from music21 import duration

    found = duration.Duration(length)
    found = duration.Duration(type=found.type, dots=1)
    found.appendTuplet(duration.Tuplet(3, 2, found.type))
    return found


def _bracket_tuplets(target: Element, bar: Bar) -> None:
    """Put a bracket over the tuplets of every beat."""
    beats: dict[int, list[Element]] = {}
    for element in target.notesAndRests:
        if element.duration.tuplets and not element.duration.isGrace:
            beats.setdefault(int(element.offset // bar.beat), []).append(element)
    for own in beats.values():
        for element in own:
            first, last = element is own[0], element is own[-1]
            kind = "startStop" if first and last else "start" if first else "stop" if last else None
            element.duration.tuplets[0].type = kind


def _divided(measure: Element) -> tuple[int, int] | None:
    """Tell the tuplet of which all that is shorter than a quarter in a bar is; None where there is none, or more."""
    found = set()
    for element in measure.recurse().notes:
        duration = element.duration
        if duration.tuplets:
            found.add((duration.tuplets[0].numberNotesActual, duration.tuplets[0].numberNotesNormal))
        elif duration.quarterLength < 1 and not duration.isGrace:
            found.add((1, 1))
    return found.pop() if len(found) == 1 and found != {(1, 1)} else None


def _hide_tuplets(measure: Element) -> None:
    """Leave numbers and brackets of tuplets out."""
    for element in measure.recurse().notesAndRests:
        for tuplet in element.duration.tuplets:
            tuplet.bracket, tuplet.tupletActualShow = False, None


def _element(one: Written, names: Sequence[str], key: str, unsure: Sequence[Note], ids: bool) -> Element:
    from music21 import articulations, chord, expressions, note, tie

    length = one.chord.length
    if not one.chord.pitches:
        return note.Rest(quarterLength=length)
    own = _own_names(one.chord, names)
    # A trill may begin with its upper note: its name is that of another one of its notes.
    named = [
        _pitch(number, names[i] if pitch_class(names[i]) == number % 12 else own[number % 12])
        for number, i in zip(one.chord.pitches, one.chord.indices, strict=True)
    ]
    notes = [note.Note(pitch, quarterLength=length) for pitch in named]
    kind = {(True, True): "continue", (False, True): "start", (True, False): "stop"}.get((one.from_before, one.to_next))
    if kind is not None:
        for single in notes:
            single.tie = tie.Tie(kind)
    for single, index in zip(notes, one.chord.indices, strict=True):
        if ids:
            single.id = f"n{index}" if not one.from_before else f"n{index}-{round(48 * one.chord.start)}"
        if unsure and unsure[index].confidence < _UNSURE:
            single.style.color = _GREY
    element = notes[0] if len(notes) == 1 else chord.Chord(notes, quarterLength=length)
    if len(notes) == 1 and notes[0].style.color:
        element.style.color = _GREY
    marks = one.chord.marks
    if TREMOLO in marks:
        element.expressions.append(expressions.Tremolo(numberOfMarks=_TREMOLO_BEAMS))
    if not one.from_before:
        if TRILL in marks:
            element.expressions.append(_trill(element, own, key))
        if ARPEGGIO in marks and len(notes) > 1:
            element.expressions.append(expressions.ArpeggioMark())
        if STACCATO in marks:
            element.articulations.append(articulations.Staccato())
    return element


def _own_names(chord: Chord, names: Sequence[str]) -> dict[int, str]:
    """Tell how the notes of a chord and of its ornaments are spelled, by their pitch classes."""
    return {pitch_class(names[i]): names[i] for i in (*chord.others, *chord.indices)}


def _trill(element: Element, own: Mapping[int, str], key: str) -> Element:
    """Make a trill of a note or of a chord's highest that has one; with the accidental of its upper note."""
    from music21 import expressions, pitch

    sharps = signature(key)[0]
    classes = [tone.midi % 12 for tone in element.pitches]
    for main in reversed(element.pitches):
        uppers = [own[pc] for pc in ((main.midi + 1) % 12, (main.midi + 2) % 12) if pc in own and pc not in classes]
        if uppers and not sharps <= place_of(uppers[0]) < sharps + 7:
            trill = expressions.Trill(accidental=pitch.Accidental(uppers[0][1:].replace("b", "-") or "natural"))
            trill.accidental.displayStatus = True
            trill.resolveOrnamentalPitches(element)
            return trill
        if uppers:
            break
    return expressions.Trill()


def _graces(chord: Chord, names: Sequence[str], key: str) -> list[Element]:
    from music21 import note

    own = _own_names(chord, names)
    graces = [
        note.Note(
            _pitch(pitch, own.get(pitch % 12) or tone_name(pitch, key)[0]),
            type="eighth" if len(chord.graces) == 1 else "16th",
        ).getGrace()
        for pitch in chord.graces
    ]
    for grace in graces:
        grace.duration.slash = len(graces) == 1
    return graces


def _pitch(number: int, name: str) -> Element:
    from music21 import pitch

    return pitch.Pitch(name.replace("b", "-"), octave=octave_of(number, name))


def spelled(pitch: int, key: str) -> tuple[str, int]:
    """Name a pitch as it is spelled in a key, and its octave, as music21 writes it: ``B-`` for B flat, 4."""
    name, octave = tone_name(pitch, key)
    return name.replace("b", "-"), octave


def _key_signature(key: str) -> Element:
    from music21 import key as m21key

    return m21key.KeySignature(max(-7, min(7, signature(key)[0])))


def _clefs(voices: Sequence[Sequence[Chord]], bars: Sequence[Bar], hand: int) -> list[Element]:
    """Choose a hand's clef in every bar."""
    from music21 import clef

    pitches: list[list[int]] = [[] for _ in bars]
    starts = [bar.start for bar in bars]
    for voice in voices:
        number = 0
        for chord in voice:
            while number + 1 < len(starts) and starts[number + 1] <= chord.start:
                number += 1
            pitches[number] += chord.pitches
    usual, other = (clef.TrebleClef, clef.BassClef) if hand == 0 else (clef.BassClef, clef.TrebleClef)
    wanted = []
    for own in pitches:
        mean = sum(own) / len(own) if own else None
        beyond = mean is not None and (mean < _BASS_TO if hand == 0 else mean > _TREBLE_FROM)
        wanted.append(other if beyond else usual)
    found = []
    current = wanted[0] if len(wanted) < 2 or wanted[0] == wanted[1] else usual
    for here, following in pairwise([*wanted, wanted[-1]]):
        if here == following:
            current = here
        found.append(current)
    return found
