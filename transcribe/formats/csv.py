"""Tables of events as CSV: a line of heads, then a line an event."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from transcribe.errors import InputError
from transcribe.events import Chord, Drum, Note, Tag, Transcription
from transcribe.formats.format import checked
from transcribe.formats.reading import Numbers, check_count, decode
from transcribe.score.numbering import numbered
from transcribe.theory.families import DRUM_KEYS

NOTE_COLUMNS = ("onset", "offset", "pitch", "velocity", "confidence")
INSTRUMENT = "instrument"
CHORD_COLUMNS = ("onset", "offset", "label", "confidence")
TAG_COLUMNS = ("onset", "offset", "label", "probability")
BEAT_COLUMNS = ("time", "bar", "beat")


def to_csv(transcription: Transcription) -> bytes:
    """One line a note: onset s, offset s, pitch, velocity, confidence; and the instrument where any is known.

    Drums are lines too: their offset is their onset, their pitch the key of General MIDI's percussion.
    """
    notes = [
        (note.onset, note.offset, note.pitch, note.velocity, note.confidence, note.instrument or "")
        for note in transcription.notes
    ]
    drums = [
        (drum.onset, drum.onset, DRUM_KEYS[drum.label], drum.velocity, drum.confidence, drum.label)
        for drum in transcription.drums
    ]
    columns = NOTE_COLUMNS if not any(row[-1] for row in (*notes, *drums)) else (*NOTE_COLUMNS, INSTRUMENT)
    rows = sorted([*notes, *drums], key=lambda row: row[0]) if drums else notes
    return _table(
        columns,
        (
            (f"{onset:.4f}", f"{offset:.4f}", pitch, velocity, f"{confidence:.3f}", instrument)[: len(columns)]
            for onset, offset, pitch, velocity, confidence, instrument in rows
        ),
    )


def chords_to_csv(transcription: Transcription) -> bytes:
    """One line a chord: onset s, offset s, label, confidence."""
    return _table(
        CHORD_COLUMNS,
        (
            (f"{chord.onset:.4f}", f"{chord.offset:.4f}", chord.label, f"{chord.confidence:.3f}")
            for chord in transcription.chords
        ),
    )


def instruments_to_csv(transcription: Transcription) -> bytes:
    """One line a span in which an instrument plays: onset s, offset s, label, probability."""
    return _tags(transcription.instruments)


def genres_to_csv(transcription: Transcription) -> bytes:
    """One line a genre, the likeliest first: onset s, offset s, label, probability."""
    return _tags(transcription.genres)


def beats_to_csv(transcription: Transcription) -> bytes:
    """One line a beat: time in s, bar, number within the bar."""
    return _table(BEAT_COLUMNS, ((f"{time:.4f}", bar, number) for time, bar, number in numbered(transcription)))


def _tags(tags: Iterable[Tag]) -> bytes:
    rows = ((f"{tag.onset:.4f}", f"{tag.offset:.4f}", tag.label, f"{tag.probability:.3f}") for tag in tags)
    return _table(TAG_COLUMNS, rows)


def _table(columns: Iterable[str], rows: Iterable[Iterable[str | int]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue().encode()


def from_csv(content: bytes) -> Transcription:
    """Read a table of notes that :func:`to_csv` wrote, or of chords.

    Raises
    ------
    InputError
        If it is something else.
    """
    events: list[Note | Chord] = []
    drums: list[Drum] = []
    number = Numbers()
    try:
        text = decode(content).lstrip()
        if text.startswith("sep="):  # as spreadsheets say it; the heading shows it too
            text = text.partition("\n")[2]
        delimiter = next((mark for mark in ";\t" if mark in text.partition("\n")[0]), ",")
        rows = csv.DictReader(io.StringIO(text, newline=None), delimiter=delimiter)
        rows.fieldnames = [name.strip().lower() for name in rows.fieldnames or ()]
        columns = set(rows.fieldnames)
        if len(columns) < len(rows.fieldnames):
            raise ValueError("a column is there twice")
        if not (set(NOTE_COLUMNS) <= columns or set(CHORD_COLUMNS) <= columns):
            raise ValueError("they are not in its first line")
        for row in rows:
            check_count(rows.line_num)
            if None in row:
                hint = "; if these are decimal commas, put semicolons or tabs between the columns"
                raise ValueError(f"line {rows.line_num} has more columns than the first{hint}")
            times, confidence = (number(row["onset"]), number(row["offset"])), number(row["confidence"])
            if set(NOTE_COLUMNS) <= columns:
                pitch, velocity = number.whole(row["pitch"]), number.whole(row["velocity"])
                instrument = (row.get(INSTRUMENT) or "").strip()
                if instrument in DRUM_KEYS:
                    drums.append(Drum(times[0], instrument, velocity, confidence))
                else:
                    events.append(Note(times[0], pitch, times[1], velocity, confidence, instrument or None))
            else:
                events.append(Chord(*times, row["label"], confidence))
    except (ValueError, TypeError, KeyError, csv.Error) as error:
        raise InputError(f"not a table of notes with the columns {', '.join(NOTE_COLUMNS)}: {error}") from None
    notes = tuple(sorted(event for event in events if isinstance(event, Note)))
    chords = tuple(sorted(event for event in events if isinstance(event, Chord)))
    duration = max([0.0, *(event.offset for event in events), *(drum.onset for drum in drums)])
    return checked(Transcription(notes, chords=chords, duration=duration, drums=tuple(sorted(drums))))
