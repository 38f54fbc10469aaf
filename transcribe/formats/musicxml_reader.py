"""The notes of a score in MusicXML, with what is written about each: where, how long, on which staff, how spelled."""

from __future__ import annotations

import gzip
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from xml.etree import ElementTree

from transcribe.errors import InputError
from transcribe.formats.reading import MAX_BYTES, read_bytes

_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_QUARTERS_OF_A_WHOLE = 4


@dataclass(frozen=True)
class ScoreNote:
    """A note as it is written; tied notes are one.

    Attributes
    ----------
    id
        Its name in the file; empty where it has none.
    bar, place
        The number of its bar, counted from 0, and where in it the note begins, in quarters. In a pick-up, and in the
        second part of a bar that a repeat sign divides, places are counted as in a whole bar.
    length
        In quarters, with all that is tied to it; 0 for grace notes.
    pitch, name
        MIDI number, and the spelling without the octave: ``Bb``.
    staff, voice
        As numbered in the file: staff 1 is the upper one.
    sharps, metre
        Of the key signature, flats as less than 0; and the time signature, empty where there is none.
    """

    id: str
    bar: int
    place: Fraction
    length: Fraction
    pitch: int
    name: str
    staff: int
    voice: str
    sharps: int
    metre: str


def read_score_notes(path: Path) -> list[ScoreNote]:
    """Read the notes of all parts, in the file's order; from ``.musicxml``, ``.xml``, ``.mxl``, or one gzipped.

    Raises
    ------
    InputError
        If it can't be read, or isn't a score in parts.
    """
    content = read_bytes(path)
    try:
        root = read_root(content)
        return [note for part in root.iter("part") for note in read_part(part)[0]]
    except FAULTS as error:
        raise InputError(f"{path}: no score in MusicXML: {error}") from None


#: What a file that is no score in MusicXML is found out by.
FAULTS = (
    *(ElementTree.ParseError, ValueError, KeyError, OSError, EOFError, ArithmeticError),
    *(RuntimeError, zipfile.BadZipFile, zlib.error),
)


def read_root(content: bytes) -> ElementTree.Element:
    """Read the tree of a score in parts; one of :data:`FAULTS` if it is none."""
    root = ElementTree.fromstring(unpacked(content))
    if root.tag != "score-partwise":
        raise ValueError(f"its root is {root.tag!r}, not score-partwise")
    return root


def read_part(part: ElementTree.Element) -> tuple[list[ScoreNote], list[Bar]]:
    """Read a part's notes in the file's order, and its bars; one of :data:`FAULTS` if it makes no sense."""
    reader = _Part()
    return _untied(reader.read(part)), reader.bars


def unpacked(content: bytes) -> bytes:
    """Give the XML of a score that may be zipped or gzipped."""
    if content.startswith(b"\x1f\x8b"):
        with gzip.GzipFile(fileobj=BytesIO(content)) as file:
            return _bounded(file.read(MAX_BYTES + 1))
    if not content.startswith(b"PK"):
        return content
    with zipfile.ZipFile(BytesIO(content)) as archive:
        container = ElementTree.fromstring(_member(archive, "META-INF/container.xml"))
        place = next((e.get("full-path", "") for e in container.iter() if e.tag.endswith("rootfile")), "")
        return _member(archive, place)


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    with archive.open(name) as file:
        return _bounded(file.read(MAX_BYTES + 1))


def _bounded(content: bytes) -> bytes:
    """Pass on what isn't too large: a small file may unpack to anything."""
    if len(content) > MAX_BYTES:
        raise ValueError(f"it unpacks to what is larger than {MAX_BYTES // 1_000_000} MB")
    return content


@dataclass(frozen=True)
class Bar:
    """A bar as it is written: where place 0 of it lies and where it ends, in quarters from the start; its metre."""

    start: Fraction
    end: Fraction
    metre: str


@dataclass(frozen=True)
class _Read:
    """A note, and whether a tie leads to it."""

    note: ScoreNote
    tied: bool


class _Part:
    """What is valid where a part is being read."""

    def __init__(self) -> None:
        self.divisions, self.sharps, self.metre = Fraction(1), 0, ""
        self.bars: list[Bar] = []

    def read(self, part: ElementTree.Element) -> Iterator[_Read]:
        """Yield the notes bar by bar."""
        before = Fraction(0)  # how much of a whole bar came before this one, where that was not whole
        for number, measure in enumerate(part.iter("measure")):
            notes, length = self._measure(measure, number)
            whole = self._whole()
            shift = Fraction(0)
            if 0 < length < whole:
                shift = whole - length if number == 0 else before if before + length <= whole else Fraction(0)
                before = Fraction(0) if number == 0 or before else length
            else:
                before = Fraction(0)
            begun = self.bars[-1].end if self.bars else Fraction(0)
            self.bars.append(Bar(begun - shift, begun + (length or whole), self.metre))
            for one in notes:
                yield _Read(replace(one.note, place=one.note.place + shift), one.tied)

    def _whole(self) -> Fraction:
        if not self.metre:
            return Fraction(0)
        count, _, unit = self.metre.partition("/")
        return Fraction(_QUARTERS_OF_A_WHOLE * int(count), int(unit))

    def _measure(self, measure: ElementTree.Element, number: int) -> tuple[list[_Read], Fraction]:
        """Read a bar's notes, and how long it is."""
        notes: list[_Read] = []
        now = start = length = Fraction(0)
        for element in measure:
            if element.tag == "attributes":
                self._attributes(element)
            elif element.tag in ("backup", "forward"):
                lasts = self._quarters(element)
                now += lasts if element.tag == "forward" else -lasts
                length = max(length, now)
            elif element.tag == "note":
                lasts = Fraction(0) if element.find("grace") is not None else self._quarters(element)
                if element.find("chord") is None:
                    start = now
                    now += lasts
                    length = max(length, now)
                if element.find("pitch") is not None and element.find("cue") is None:
                    notes.append(self._note(element, number, start, lasts))
        return notes, length

    def _attributes(self, element: ElementTree.Element) -> None:
        if (text := element.findtext("divisions")) is not None:
            self.divisions = Fraction(text)
        if (text := element.findtext("key/fifths")) is not None:
            self.sharps = int(text)
        time = element.find("time")
        if time is not None and time.find("beats") is not None:
            count = sum(int(part) for part in str(time.findtext("beats")).split("+"))
            self.metre = f"{count}/{time.findtext('beat-type')}"

    def _quarters(self, element: ElementTree.Element) -> Fraction:
        return Fraction(element.findtext("duration") or "0") / self.divisions

    def _note(self, element: ElementTree.Element, bar: int, start: Fraction, lasts: Fraction) -> _Read:
        step, octave = str(element.findtext("pitch/step")), int(element.findtext("pitch/octave") or "")
        alter = round(float(element.findtext("pitch/alter") or 0))
        note = ScoreNote(
            element.get("id", ""),
            bar,
            start,
            lasts,
            _STEPS[step] + alter + 12 * (octave + 1),
            step + ("#" if alter > 0 else "b") * abs(alter),
            int(element.findtext("staff") or 1),
            element.findtext("voice") or "1",
            self.sharps,
            self.metre,
        )
        return _Read(note, any(tie.get("type") == "stop" for tie in element.iter("tie")))


def _untied(notes: Iterator[_Read]) -> list[ScoreNote]:
    """Add the lengths of tied notes to the note that they are tied to."""
    found: list[ScoreNote] = []
    last: dict[int, int] = {}  # of every pitch, where its last note stands among those found
    for one in notes:
        pitch = one.note.pitch
        if one.tied and pitch in last:
            begun = found[last[pitch]]
            found[last[pitch]] = replace(begun, length=begun.length + one.note.length)
            continue
        if one.note.length or pitch not in last:
            last[pitch] = len(found)
        found.append(one.note)
    return found
