"""Transcriptions as scores, in MusicXML, by music21.

Piano on two staves, the hands told apart, to which several instruments are reduced; the part of one that needs no two
staves has one. Pitches are spelled by the key and what is around them, chords stand above.
"""

from __future__ import annotations

import importlib.util
import io
import re
import zipfile
from dataclasses import replace

from transcribe.audio.tags import one_line
from transcribe.errors import UsageError
from transcribe.events import Transcription
from transcribe.formats.format import PLAIN, Page
from transcribe.formats.musicxml_marks import mark_chords, mark_dynamics, mark_pedals, mark_tempo
from transcribe.formats.musicxml_staff import PIANO, Element, make_staff, repeats_of
from transcribe.score.bars import Chord, Notation
from transcribe.score.melody import find_chords, find_melody
from transcribe.score.notation import keys_of_bars, notate
from transcribe.score.spelling import keys_as_spelled, spelled_notes
from transcribe.theory.spelling import spelled_chords

# What music21 says of itself and of the day: the same notes are to be the same bytes. Its second title is the first.
_DATED = re.compile(rb"\s*<(encoding-date|movement-title)>[^<]*</[a-z-]+>")
_UNKNOWN = {"title": rb"<work-title>[^<]*</work-title>", "composer": rb'<creator type="composer">[^<]*</creator>'}
_EMPTY = re.compile(rb"\s*<work>\s*</work>")
# A note, or those of a chord, and symbols within its time, which music21 puts after it with offsets back.
_CHILD = rb" {6}<%s\b[^>]*>\n%s(?: {7}.*\n)* {6}</%s>\n"
_NOTES = _CHILD % (b"note", b"", b"note") + b"(?:" + _CHILD % (b"note", rb" {8}<chord />\n", b"note") + b")*"
_LATE = re.compile(b"(" + _NOTES + b")((?:" + _CHILD % (b"harmony", b"", b"harmony") + b")+)")
_OFFSET = re.compile(rb"(<offset[^>]*>)(-\d+)(</offset>)")


def to_musicxml(transcription: Transcription, detail: float = 1.0, page: Page = PLAIN) -> bytes:
    """Write a score as MusicXML.

    Parameters
    ----------
    transcription
        Its beats and downbeats make the bars, its key spells the notes.
    detail
        Above 1 rhythms become finer, below simpler.
    page
        How it looks.

    Raises
    ------
    UsageError
        If music21 isn't installed.
    """
    check_installed("musicxml")
    from music21.musicxml.m21ToXml import GeneralObjectExporter

    exporter = GeneralObjectExporter()
    page = replace(page, title=one_line(page.title), composer=one_line(page.composer))
    if page.lead_sheet:
        transcription = _melody(transcription)
    notation = notate(transcription, detail)
    exporter.generalObj = _score(transcription, _on_one_staff(notation) if page.lead_sheet else notation, page)
    exporter.makeNotation = False
    content = _DATED.sub(b"", bytes(exporter.parse()))
    for name, element in _UNKNOWN.items():
        if not getattr(page, name):
            content = re.sub(rb"\s*" + element, b"", content)
    return _LATE.sub(_symbols_first, _EMPTY.sub(b"", content))


def _symbols_first(found: re.Match[bytes]) -> bytes:
    """Put symbols before the note within whose time they stand: verovio puts others above the wrong staff."""
    notes, symbols = found.groups()
    duration = re.search(rb"<duration>(\d+)</duration>", notes)
    if duration is None or len(_OFFSET.findall(symbols)) < symbols.count(b"<harmony"):
        return found[0]
    length = int(duration[1])
    return _OFFSET.sub(lambda offset: offset[1] + b"%d" % (length + int(offset[2])) + offset[3], symbols) + notes


def _melody(t: Transcription) -> Transcription:
    """Leave the melody and the chords, which are looked for where none were heard."""
    return replace(t, notes=find_melody(t.notes), pedals=(), chords=t.chords or find_chords(t))


def _on_one_staff(notation: Notation) -> Notation:
    """Put a melody, whichever hands it was given to, into one voice."""
    chords = sorted((c for hand in notation.hands for voice in hand for c in voice), key=lambda chord: chord.start)
    voice: list[Chord] = []
    for chord in chords:
        if voice and voice[-1].start == chord.start:
            continue
        if voice:
            voice[-1] = replace(voice[-1], length=min(voice[-1].length, chord.start - voice[-1].start))
        voice.append(chord)
    return replace(notation, hands=((tuple(voice), ()),))


def to_mxl(transcription: Transcription, detail: float = 1.0, page: Page = PLAIN) -> bytes:
    """Write a score as compressed MusicXML."""
    buffer = io.BytesIO()
    container = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<container><rootfiles><rootfile full-path="score.musicxml"/>'
        "</rootfiles></container>\n"
    )
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in (
            ("META-INF/container.xml", container.encode()),
            ("score.musicxml", to_musicxml(transcription, detail, page)),
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


def _score(t: Transcription, notation: Notation, page: Page) -> Element:
    from music21 import layout, metadata, stream

    score = stream.Score()
    if page.title or page.composer:
        score.metadata = metadata.Metadata()
        score.metadata.title, score.metadata.composer = page.title, page.composer
    names = spelled_notes(t.notes, t.key)
    sections = keys_as_spelled(t.keys, t.notes, names)
    if sections != t.keys:
        t = replace(t, keys=sections, chords=spelled_chords(t.chords, sections))
    keys = keys_of_bars(t, notation)
    repeats = repeats_of(notation, keys) if page.repeats else []
    unsure = t.notes if page.show_confidence else ()
    name = _name(t)
    # A part that needs one staff has one.
    hands = [
        hand
        for hand, voices in enumerate(notation.hands)
        if name == PIANO or any(chord.pitches for voice in voices for chord in voice)
    ]
    staves = [make_staff(notation, hand, keys, names, repeats, unsure, name, page.ids) for hand in hands]
    mark_tempo(staves[0], notation)
    mark_chords(staves[0], t, notation, keys)
    if not page.lead_sheet:
        mark_dynamics(staves[0], t, notation)
        mark_pedals(staves[-1], t, notation)
    for staff in staves:
        score.insert(0, staff.part)
    if len(staves) > 1:
        parts = [staff.part for staff in staves]
        score.insert(0, layout.StaffGroup(parts, symbol="brace", barTogether=True, name=name))
    return score


def _name(t: Transcription) -> str:
    """Name the part: the family of all notes, or a piano, to which those of several are reduced."""
    families = {note.instrument or "" for note in t.notes}
    return families.pop().capitalize() or PIANO if len(families) == 1 else PIANO
