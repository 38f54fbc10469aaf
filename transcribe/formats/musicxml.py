"""Transcriptions as scores, in MusicXML, by music21.

Piano on two staves, the hands told apart, to which several instruments are reduced; the part of one that needs no two
staves has one. Pitches are spelled by the key, chords stand above.
"""

from __future__ import annotations

import bisect
import importlib.util
import io
import re
import zipfile
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any

from transcribe.errors import UsageError
from transcribe.events import Transcription
from transcribe.score.notation import Bar, Chord, Notation, Written, in_bars, notate
from transcribe.theory.chords import parse
from transcribe.theory.keys import signature
from transcribe.theory.metres import bar_length
from transcribe.theory.spelling import root_in_key, tone_name

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
# A hand changes to the other clef where its notes lie beyond these on the average, for two bars at least.
_TREBLE_FROM, _BASS_TO = 65, 53
# Pedal that is shorter, in quarters, isn't marked; it is marked on eighths.
_SHORTEST_PEDAL, _PEDAL_GRID = 1, 2
_PIANO = "Piano"
# A stream, or what stands in one: music21 is annotated in part.
Element = Any
# What music21 says of itself and of the day: the same notes are to be the same bytes.
_DATED = re.compile(
    rb'\s*<(creator type="composer"|encoding-date|work-title|movement-title)>[^<]*</[a-z-]+>|\s*<work>\s*</work>'
)


def to_musicxml(transcription: Transcription, detail: float = 1.0) -> bytes:
    """Write a score as MusicXML.

    Parameters
    ----------
    transcription
        Its beats and downbeats make the bars, its key spells the notes.
    detail
        Above 1 rhythms become finer, below simpler.

    Raises
    ------
    UsageError
        If music21 isn't installed.
    """
    check_installed("musicxml")
    from music21.musicxml.m21ToXml import GeneralObjectExporter

    exporter = GeneralObjectExporter()
    exporter.generalObj = _score(transcription, notate(transcription, detail))
    exporter.makeNotation = False
    return _DATED.sub(b"", bytes(exporter.parse()))


def to_mxl(transcription: Transcription, detail: float = 1.0) -> bytes:
    """Write a score as compressed MusicXML."""
    buffer = io.BytesIO()
    container = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<container><rootfiles><rootfile full-path="score.musicxml"/>'
        "</rootfiles></container>\n"
    )
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in (
            ("META-INF/container.xml", container.encode()),
            ("score.musicxml", to_musicxml(transcription, detail)),
        ):
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def check_installed(form: str) -> None:
    """See whether a form of score can be written: ``musicxml``, ``mxl``, ``score`` or ``pdf``.

    Raises
    ------
    UsageError
        If a package is missing.
    """
    needed = {"score": ("music21", "verovio"), "pdf": ("music21", "verovio", "typst")}.get(form, ("music21",))
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(f"a score needs {', '.join(missing)}; install with: pip install 'pitchai[score]'")


def _score(t: Transcription, notation: Notation) -> Element:
    from music21 import expressions, instrument, layout, meter, spanner, stream, tempo

    score = stream.Score()
    keys = _keys(t, notation)
    name = _name(t)
    staves = []
    for hand, voices in enumerate(notation.hands):
        if name != _PIANO and not any(chord.pitches for voice in voices for chord in voice):
            continue
        part = stream.PartStaff(id=("right", "left")[hand])
        player = instrument.Piano() if name == _PIANO else instrument.Instrument(name)
        player.partId, player.instrumentId, part.partName = name, f"{name}-1", name
        player.partAbbreviation = player.instrumentAbbreviation = ""
        part.insert(0, player)
        cut = [list(in_bars(voice, notation.bars)) for voice in voices]
        clefs = _clefs(voices, notation.bars, hand)
        key, metre = "", ""
        for number, bar in enumerate(notation.bars):
            measure = stream.Measure(number=bar.number)
            if number == 0 or clefs[number] != clefs[number - 1]:
                measure.insert(0, clefs[number]())
            if keys[number] != key:
                key = keys[number]
                measure.insert(0, _key_signature(key))
            if (signed := _metre(bar, notation.bars)) != metre:
                metre = signed
                measure.insert(0, meter.TimeSignature(metre))
            _fill(measure, bar, [voice[number][1] for voice in cut], key)
            if number == len(notation.bars) - 1:
                measure.rightBarline = "final"
            part.append(measure)
        part.makeAccidentals(inPlace=True)
        part.makeBeams(inPlace=True, setStemDirections=False)
        staves.append(part)
        score.insert(0, part)
    first = staves[0].getElementsByClass(stream.Measure)[0]
    beat = notation.bars[0].beat
    mark = tempo.MetronomeMark(number=round(notation.tempo / float(beat)), referent=float(beat))
    first.insert(0, mark)
    for place, symbol in _symbols(t, notation, keys):
        _insert(staves[0], notation.bars, place, symbol)
    for begin, end in _pedals(t, notation):
        pair = []
        for place in (begin, end):
            anchor = spanner.SpannerAnchor()
            _insert(staves[-1], notation.bars, place, anchor)
            pair.append(anchor)
        pedal = expressions.PedalMark(*pair)
        staves[-1].insert(0, pedal)
    if len(staves) > 1:
        score.insert(0, layout.StaffGroup(staves, symbol="brace", barTogether=True, name=name))
    return score


def _name(t: Transcription) -> str:
    """Name the part: the family of all notes, or a piano, to which those of several are reduced."""
    families = {note.instrument or "" for note in t.notes}
    return families.pop().capitalize() or _PIANO if len(families) == 1 else _PIANO


def _insert(part: Element, bars: Sequence[Bar], place: Fraction, element: Element) -> None:
    from music21 import stream

    number = bisect.bisect_right(bars, place, key=lambda bar: bar.start) - 1
    part.getElementsByClass(stream.Measure)[number].insert(place - bars[number].start, element)


def _fill(measure: Element, bar: Bar, voices: Sequence[Sequence[Written]], key: str) -> None:
    """Put the voices of a hand into a measure; one that is silent isn't shown beside another."""
    from music21 import stream
    from music21.stream.makeNotation import makeTupletBrackets

    sounding = [voice for voice in voices if any(one.chord.pitches for one in voice)] or [voices[0]]
    for number, voice in enumerate(sounding):
        target = measure if len(sounding) == 1 else stream.Voice(id=str(number + 1))
        for one in voice:
            element = _element(one, key)
            if not one.chord.pitches:
                element.style.hideObjectOnPrint = number > 0
                if one.chord.length == bar.length:
                    element.fullMeasure = True
            elif len(sounding) > 1:
                element.stemDirection = ("up", "down")[number]
            target.insert(one.chord.start - bar.start, element)
        makeTupletBrackets(target, inPlace=True)
        if len(sounding) > 1:
            measure.insert(0, target)


def _element(one: Written, key: str) -> Element:
    from music21 import chord, note, pitch, tie

    length = one.chord.length
    if not one.chord.pitches:
        return note.Rest(quarterLength=length)
    named = [spelled(number, key) for number in one.chord.pitches]
    notes = [note.Note(pitch.Pitch(name, octave=octave), quarterLength=length) for name, octave in named]
    kind = {(True, True): "continue", (False, True): "start", (True, False): "stop"}.get((one.from_before, one.to_next))
    if kind is not None:
        for single in notes:
            single.tie = tie.Tie(kind)
    return notes[0] if len(notes) == 1 else chord.Chord(notes, quarterLength=length)


def spelled(pitch: int, key: str) -> tuple[str, int]:
    """Name a pitch as it is spelled in a key, and its octave, as music21 writes it: ``B-`` for B flat, 4."""
    name, octave = tone_name(pitch, key)
    return _flats(name), octave


def _flats(name: str) -> str:
    return name.replace("b", "-")


def _keys(t: Transcription, notation: Notation) -> list[str]:
    """Choose the key of every bar: that of the section in which its middle lies."""
    found, sections = [], list(t.keys)
    for bar in notation.bars:
        while len(sections) > 1 and notation.quarters(sections[0].offset) <= float(bar.start + bar.length / 2):
            sections.pop(0)
        found.append(sections[0].label if sections else t.key or "C major")
    return found


def _key_signature(key: str) -> Element:
    from music21 import key as m21key

    return m21key.KeySignature(max(-7, min(7, signature(key)[0])))


def _metre(bar: Bar, bars: Sequence[Bar]) -> str:
    """Name a bar's time signature; a pick-up has that of the bar after it."""
    whole = bars[1] if bar.number == 0 and len(bars) > 1 else bar
    if whole.metre and bar_length(whole.metre) == whole.length:
        return whole.metre
    if whole.beat != 1 or whole.length.denominator > 1:
        return f"{int(whole.length * 2)}/8"
    return f"{int(whole.length)}/4"


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


def _pedals(t: Transcription, notation: Notation) -> Iterator[tuple[Fraction, Fraction]]:
    """Yield spans of pedal in quarters, on eighths."""
    end = notation.bars[-1].end
    last = Fraction(0)
    for pedal in t.pedals:
        down, up = (
            Fraction(round(notation.quarters(time) * _PEDAL_GRID), _PEDAL_GRID) for time in (pedal.onset, pedal.offset)
        )
        down, up = max(down, last), min(up, end - Fraction(1, _PEDAL_GRID))
        if up - down >= _SHORTEST_PEDAL:
            yield down, up
            last = up
