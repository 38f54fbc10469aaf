"""Labelled spans as .lab (MIREX): onset s, offset s and a label a line, a chord's in Harte's syntax."""

from __future__ import annotations

from transcribe.errors import InputError
from transcribe.events import Chord, Transcription
from transcribe.formats.format import LONGEST
from transcribe.formats.reading import Numbers, rows
from transcribe.theory.chords import parse


def chords_to_lab(transcription: Transcription) -> bytes:
    """One line a chord: onset, offset and label, tabs between them."""
    lines = [f"{chord.onset:.4f}\t{chord.offset:.4f}\t{chord.label}\n" for chord in transcription.chords]
    return "".join(lines).encode()


def instruments_to_lab(transcription: Transcription) -> bytes:
    """One line a span: onset s, offset s and label, tabs between them; spans may overlap."""
    lines = [f"{tag.onset:.4f}\t{tag.offset:.4f}\t{tag.label}\n" for tag in transcription.instruments]
    return "".join(lines).encode()


def from_lab(content: bytes) -> Transcription:
    """Read a ``.lab`` file; columns by tabs or blanks, empty lines and comments (``#``) between them.

    Raises
    ------
    InputError
        If a line is something else.
    """
    chords, numbers, number = [], Numbers(), 0
    try:
        for number, words in rows(content):  # noqa: B007 - the error says which
            chords.append(_from_line(words, numbers))
    except ValueError as error:
        place = f"line {number}: " if number else ""
        raise InputError(f"not a .lab file of onset, offset, chord: {place}{error}") from None
    return Transcription(chords=tuple(sorted(chords)), duration=max((chord.offset for chord in chords), default=0.0))


def _from_line(columns: list[str], number: Numbers) -> Chord:
    if len(columns) != 3:
        raise ValueError(f"it has {len(columns)} columns, not 3")
    chord = Chord(number(columns[0]), number(columns[1]), str(parse(columns[2])))
    if not 0 <= chord.onset <= chord.offset <= LONGEST:
        raise ValueError("its times make no sense")
    return chord
