"""What stands above, between and below the staves of a score: tempo, chord symbols, dynamics, pedal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

import numpy as np

from transcribe.events import Transcription
from transcribe.formats.musicxml_staff import Element, Staff
from transcribe.score.bars import Notation
from transcribe.score.dynamics import find_dynamics
from transcribe.theory.chords import parse
from transcribe.theory.spelling import root_in_key

# MusicXML's names of the qualities that Harte's shorthands name.
_KINDS = {
    "maj": "major",
    "min": "minor",
    "dim": "diminished",
    "aug": "augmented",
    "sus2": "suspended-second",
    "sus4": "suspended-fourth",
    "7": "dominant-seventh",
    "maj7": "major-seventh",
    "min7": "minor-seventh",
    "minmaj7": "minor-major-seventh",
    "hdim7": "half-diminished-seventh",
    "dim7": "diminished-seventh",
    "maj6": "major-sixth",
    "min6": "minor-sixth",
    "9": "dominant-ninth",
    "maj9": "major-ninth",
    "min9": "minor-ninth",
    "5": "power",
    "sus4(b7)": "suspended-fourth",
}
# Pedal that is shorter, in quarters, isn't marked.
_SHORTEST_PEDAL = 1


def mark_tempo(staff: Staff, notation: Notation) -> None:
    """Put the tempo above the first bar: so many of its beats a minute."""
    from music21 import tempo

    beat = notation.bars[0].beat
    mark = tempo.MetronomeMark(number=round(notation.tempo / float(beat)), referent=float(beat))
    staff.insert(notation.bars, notation.bars[0].start, mark)


def mark_chords(staff: Staff, t: Transcription, notation: Notation, keys: Sequence[str]) -> None:
    """Put chord symbols above a staff where chords change."""
    for place, symbol in _symbols(t, notation, keys):
        staff.insert(notation.bars, place, symbol)


def mark_dynamics(staff: Staff, t: Transcription, notation: Notation) -> None:
    """Put dynamics and hairpins below a staff."""
    from music21 import dynamics

    marks, hairpins = find_dynamics(t.notes, notation)
    for mark in marks:
        staff.insert(notation.bars, mark.place, dynamics.Dynamic(mark.mark))
    for hairpin in hairpins:
        kind = dynamics.Crescendo if hairpin.louder else dynamics.Diminuendo
        # It ends before the mark that it leads to.
        _span(staff, notation, hairpin.start, hairpin.end - Fraction(1, 2), kind)


def mark_pedals(staff: Staff, t: Transcription, notation: Notation) -> None:
    """Put brackets for the pedal below a staff: they can't be printed over each other, as signs can."""
    from music21 import expressions

    for begin, end in _pedals(t, notation):
        pedal = _span(staff, notation, begin, end, expressions.PedalMark)
        if pedal is not None:
            pedal.pedalForm = expressions.PedalForm.Line


def _span(staff: Staff, notation: Notation, start: Fraction, end: Fraction, kind: Element) -> Element:
    """Span something from a place to another; None where a bar between them isn't written."""
    from music21 import spanner

    if end <= start or not staff.whole(notation.bars, start, end):
        return None
    anchors = (spanner.SpannerAnchor(), spanner.SpannerAnchor())
    for place, anchor in zip((start, end), anchors, strict=True):
        staff.insert(notation.bars, place, anchor)
    element = kind(*anchors)
    staff.part.insert(0, element)
    return element


def _symbols(t: Transcription, notation: Notation, keys: Sequence[str]) -> Iterator[tuple[Fraction, Element]]:
    """Yield chord symbols where chords change, on the nearest beats."""
    from music21 import harmony

    beat = notation.bars[0].beat
    last, last_place = None, None
    for chord in t.chords:
        place = max(Fraction(0), round(Fraction(notation.quarters(chord.onset)) / beat) * beat)
        if chord.label == last or place == last_place or place >= notation.bars[-1].end:
            continue
        label = parse(chord.label)
        last = chord.label
        kind = _KINDS.get(label.quality)
        if label.root is None or kind is None:
            continue
        last_place = place
        root = root_in_key(label, next(key for key, bar in zip(keys, notation.bars, strict=True) if place < bar.end))
        bass = label.bass_name(root)
        symbol = harmony.ChordSymbol(root=_flats(root), kind=kind, bass=_flats(bass))
        if label.quality == "sus4(b7)":  # no kind of MusicXML's own
            symbol.chordKindStr = "7sus4"
        yield place, symbol


def _flats(name: str) -> str:
    return name.replace("b", "-")


def _pedals(t: Transcription, notation: Notation) -> Iterator[tuple[Fraction, Fraction]]:
    """Yield spans of pedal in quarters: from where something begins to where something else does, or a bar ends."""
    places = {chord.start for hand in notation.hands for voice in hand for chord in voice}
    places |= {edge for bar in notation.bars for edge in (bar.start, bar.end)}
    ordered = sorted(places)
    numbers = np.array([float(place) for place in ordered])
    last = Fraction(0)
    for pedal in t.pedals:
        down, up = (
            ordered[int(np.abs(numbers - notation.quarters(time)).argmin())] for time in (pedal.onset, pedal.offset)
        )
        down = max(down, last)
        if up - down >= _SHORTEST_PEDAL:
            yield down, up
            last = up
