"""Chords as people and programs read them: .lab (MIREX), CSV, JAMS, ChordPro, a lead-sheet line.

Writers return bytes. A line of a ``.lab`` file is onset s, offset s and a label in Harte's syntax.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

from transcribe.errors import InputError
from transcribe.events import Chord, Transcription
from transcribe.formats.beats import numbered
from transcribe.formats.reading import Numbers, rows
from transcribe.theory.chords import parse

# Nothing lasts longer than a month, in seconds.
LONGEST = 31 * 24 * 3600.0
# Block chords stand between these pitches, their bass an octave or so below.
_LOWEST_BLOCK, _LOWEST_BASS = 55, 36
_CELLS = 4  # chords a line where there are no bars


def to_lab(transcription: Transcription) -> bytes:
    """One line a chord: onset, offset and label, tabs between them."""
    lines = [f"{chord.onset:.4f}\t{chord.offset:.4f}\t{chord.label}\n" for chord in transcription.chords]
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


CSV_COLUMNS = ("onset", "offset", "label", "confidence")


def to_csv(transcription: Transcription) -> bytes:
    """One line a chord: onset s, offset s, label, confidence."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for chord in transcription.chords:
        writer.writerow([f"{chord.onset:.4f}", f"{chord.offset:.4f}", chord.label, f"{chord.confidence:.3f}"])
    return text.getvalue().encode()


def to_jams(transcription: Transcription) -> bytes:
    """Write a JAMS document (version 0.3).

    Its annotations are ``chord``, ``note_midi``, ``tag_open`` (instruments), ``beat`` and ``key_mode``, if any.
    """
    annotations = []
    if transcription.chords or not (transcription.notes or transcription.instruments):
        annotations.append(
            _annotation(
                transcription, "chord", [(c.onset, c.offset, c.label, c.confidence) for c in transcription.chords]
            )
        )
    if transcription.notes:
        annotations.append(
            _annotation(
                transcription,
                "note_midi",
                [(n.onset, n.offset, float(n.pitch), n.confidence) for n in transcription.notes],
            )
        )
    if transcription.instruments:
        tags = [(t.onset, t.offset, t.label, t.probability) for t in transcription.instruments]
        annotations.append(_annotation(transcription, "tag_open", tags))
    if transcription.beats:
        sure = transcription.beat_confidence or 0.0
        beats = [(time, time, float(number), sure) for time, _, number in numbered(transcription)]
        annotations.append(_annotation(transcription, "beat", beats))
    if transcription.keys:
        keys = [(k.onset, k.offset, k.label.replace(" ", ":"), 1.0) for k in transcription.keys]
        annotations.append(_annotation(transcription, "key_mode", keys))
    unknown = dict.fromkeys(("title", "artist", "release"), "")
    metadata = {**unknown, "duration": transcription.duration, "identifiers": {}, "jams_version": "0.3.4"}
    document = {"annotations": annotations, "file_metadata": metadata, "sandbox": {}}
    return (json.dumps(document, indent=1) + "\n").encode()


def _annotation(
    transcription: Transcription, namespace: str, events: Sequence[tuple[float, float, str | float, float]]
) -> dict[str, Any]:
    from transcribe import __version__

    unknown = dict.fromkeys(("version", "corpus", "annotation_rules", "validation"), "")
    tools = " ".join(("pitchai", __version__, *transcription.models.values()))
    return {
        "namespace": namespace,
        "data": [
            {"time": onset, "duration": offset - onset, "value": value, "confidence": confidence}
            for onset, offset, value, confidence in events
        ],
        "annotation_metadata": {
            **unknown,
            "curator": {"name": "", "email": ""},
            "annotator": {},
            "annotation_tools": tools,
            "data_source": "program",
        },
        "sandbox": {},
        "time": 0,
        "duration": transcription.duration,
    }


def block(chord: Chord) -> list[int]:
    """Pitches of a block chord, the bass first; none for no chord."""
    label = parse(chord.label)
    if label.root is None:
        return []
    bass = _LOWEST_BASS + (label.root + label.bass - _LOWEST_BASS) % 12
    upper = sorted(_LOWEST_BLOCK + (label.root + i - _LOWEST_BLOCK) % 12 for i in label.intervals)
    return [bass, *upper]


def names(chords: Sequence[Chord]) -> list[str]:
    """Name chords as guitarists do, one after the other; a chord that goes on is named once."""
    found: list[str] = []
    for chord in chords:
        name = parse(chord.label).name
        if not found or found[-1] != name:
            found.append(name)
    return found


def to_lead_sheet(transcription: Transcription) -> bytes:
    """Lines such as ``| C | Am | F | G |``: a chord a cell, in the order in which they are played."""
    found = names(transcription.chords)
    rows = [found[i : i + _CELLS] for i in range(0, len(found), _CELLS)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows).encode()


def to_chordpro(transcription: Transcription) -> bytes:
    """ChordPro: the chords in brackets, four a line, each line with its time as a comment."""
    lines = []
    chords = [c for i, c in enumerate(transcription.chords) if i == 0 or c.label != transcription.chords[i - 1].label]
    for i in range(0, len(chords), _CELLS):
        row = chords[i : i + _CELLS]
        lines.append(f"{{comment: {int(row[0].onset) // 60}:{int(row[0].onset) % 60:02d}}}")
        lines.append("  ".join(f"[{parse(chord.label).name}]" for chord in row))
    return ("\n".join(lines) + "\n" if lines else "").encode()
