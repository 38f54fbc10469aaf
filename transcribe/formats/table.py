"""One table of file formats: suffix → writer and reader.

Writers return bytes; :func:`write_atomically` is the only place that touches the disk.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from transcribe.errors import InputError, UsageError
from transcribe.events import Chord, Key, Metre, Note, Pedal, Tag, Transcription
from transcribe.formats import activity, chart, engraving, midi, npz, schema
from transcribe.formats import beats as beatfile
from transcribe.formats import musicxml as score
from transcribe.report import page as report
from transcribe.report import roll
from transcribe.theory.chords import parse
from transcribe.theory.keys import signature
from transcribe.theory.metres import parse_metre


@dataclass(frozen=True)
class Format:
    """A file format: its name, its suffixes (the first is written), how it is written, and read where it can be."""

    name: str
    suffixes: tuple[str, ...]
    write: Callable[[Transcription], bytes]
    read: Callable[[bytes], Transcription] | None = None


def to_dict(transcription: Transcription) -> dict[str, Any]:
    """Everything as plain values, times rounded to 0.1 ms."""
    return {"version": schema.VERSION, **_rounded(asdict(transcription))}


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(item) for item in value]
    return value


def to_json(transcription: Transcription) -> bytes:
    """Write the whole transcription as one JSON document."""
    return (json.dumps(to_dict(transcription), ensure_ascii=False) + "\n").encode()


def from_json(content: bytes) -> Transcription:
    """Read what :func:`to_json` wrote.

    Raises
    ------
    InputError
        If it is something else, or of a later version.
    """
    try:
        values = json.loads(content)
        if b"\\ud" in content.lower():  # half a character, which no file can hold
            json.dumps(values, ensure_ascii=False).encode()
        if values.pop("version") != schema.VERSION:
            raise InputError(f"a transcription of another version than {schema.VERSION}; update pitchai")
        events: dict[str, Any] = {"notes": Note, "pedals": Pedal, "chords": Chord, "instruments": Tag, "genres": Tag}
        events |= {"keys": Key, "metres": Metre}
        for name, kind in events.items():
            values[name] = tuple(
                kind(**{f.name: event[f.name] for f in fields(kind)}) for event in values.get(name, ())
            )
        for name in ("notes", "pedals"):
            values[name] = tuple(sorted(values[name]))
        for name in ("beats", "downbeats", "beat_confidences", "warnings"):
            values[name] = tuple(values.get(name, ()))
        return checked(Transcription(**values))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise InputError(f"not a transcription: {' '.join(str(error).split())}") from None


_CSV_COLUMNS = ("onset", "offset", "pitch", "velocity", "confidence")


def to_csv(transcription: Transcription) -> bytes:
    """One line a note: onset s, offset s, pitch, velocity, confidence."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_CSV_COLUMNS)
    for note in transcription.notes:
        writer.writerow(
            [f"{note.onset:.4f}", f"{note.offset:.4f}", note.pitch, note.velocity, f"{note.confidence:.3f}"]
        )
    return text.getvalue().encode()


def from_csv(content: bytes) -> Transcription:
    """Read a table of notes that :func:`to_csv` wrote, or of chords.

    Raises
    ------
    InputError
        If it is something else.
    """
    events: list[Note | Chord] = []
    try:
        rows = csv.DictReader(io.StringIO(content.decode("utf-8-sig")))
        columns = set(rows.fieldnames or ())
        if set(_CSV_COLUMNS) <= columns:
            for r in rows:
                times, sure = (float(r["onset"]), float(r["offset"])), float(r["confidence"])
                events.append(Note(times[0], int(r["pitch"]), times[1], int(r["velocity"]), sure))
        elif set(chart.CSV_COLUMNS) <= columns:
            events += [Chord(float(r["onset"]), float(r["offset"]), r["label"], float(r["confidence"])) for r in rows]
        else:
            raise ValueError("they are not in its first line")
    except (ValueError, TypeError, KeyError, csv.Error) as error:
        raise InputError(f"not a table of notes with the columns {', '.join(_CSV_COLUMNS)}: {error}") from None
    notes = tuple(sorted(event for event in events if isinstance(event, Note)))
    chords = tuple(sorted(event for event in events if isinstance(event, Chord)))
    return checked(Transcription(notes, chords=chords, duration=max((event.offset for event in events), default=0.0)))


def checked(transcription: Transcription) -> Transcription:
    """Pass on a transcription that was read, if what it holds makes sense.

    Raises
    ------
    InputError
        If a time, a pitch or a velocity is no number or out of range, something ends before it begins, or a field
        holds what it can't.
    """
    t = transcription
    events: tuple[Note | Pedal | Chord | Tag | Key | Metre, ...] = (
        *t.notes,
        *t.pedals,
        *t.chords,
        *t.instruments,
        *t.genres,
        *t.keys,
        *t.metres,
    )
    for event in events:
        if not all(_is_time(time) for time in (event.onset, event.offset)):
            raise InputError(f"a time is no number of seconds between 0 and a month: {event}")
        if event.offset < event.onset:
            raise InputError(f"something ends before it begins: {event}")
        if isinstance(event, Note) and not (_within(event.pitch, 127) and _within(event.velocity, 127)):
            raise InputError(f"a pitch or a velocity is no whole number from 0 to 127: {event}")
        sure = (
            event.confidence if isinstance(event, (Note, Chord)) else event.probability if isinstance(event, Tag) else 0
        )
        if not (isinstance(sure, (int, float)) and 0 <= sure <= 1):
            raise InputError(f"a confidence is no number from 0 to 1: {event}")
        if isinstance(event, (Chord, Tag)) and not isinstance(event.label, str):
            raise InputError(f"a label is no text: {event}")
        if isinstance(event, Chord):
            _check_label(event.label)
    if not (_is_time(t.duration) and all(_is_time(beat) for beat in (*t.beats, *t.downbeats))):
        raise InputError("the duration or a beat is no number of seconds between 0 and a month")
    if t.beat_confidences and len(t.beat_confidences) != len(t.beats):
        raise InputError("there are not as many confidences of beats as beats")
    if not all(isinstance(sure, (int, float)) and 0 <= sure <= 1 for sure in t.beat_confidences):
        raise InputError("a confidence of a beat is no number from 0 to 1")
    for metre in t.metres:
        _check_metre(metre.label)
    if not all(value is None or (isinstance(value, (int, float)) and value >= 0) for value in (t.tempo, t.novelty)):
        raise InputError("the tempo or the novelty is no number")
    if not (type(t.tuning) is int and abs(t.tuning) <= 50):
        raise InputError("the tuning is no whole number of cents from -50 to 50")
    if not all(isinstance(text, str) for text in t.warnings):
        raise InputError("a warning is no text")
    for key in (*(section.label for section in t.keys), *([] if t.key is None else [t.key])):
        _check_key(key)
    if not (isinstance(t.settings, dict) and isinstance(t.models, dict)):
        raise InputError("models and settings are no tables")
    if not all(isinstance(name, str) for name in t.models.values()):
        raise InputError("the name of a model is no text")
    return transcription


def _check_label(label: str) -> None:
    try:
        parse(label)
    except ValueError as error:
        raise InputError(str(error)) from None


def _check_key(key: Any) -> None:
    try:
        signature(str(key))
    except ValueError as error:
        raise InputError(str(error)) from None


def _check_metre(metre: Any) -> None:
    try:
        parse_metre(str(metre))
    except ValueError as error:
        raise InputError(str(error)) from None


def _is_time(value: Any) -> bool:
    return isinstance(value, (int, float)) and 0 <= value <= chart.LONGEST


def _within(value: Any, highest: int) -> bool:
    return isinstance(value, int) and 0 <= value <= highest


FORMATS = {
    "midi": Format("midi", (".mid", ".midi"), midi.to_midi, midi.from_midi),
    "json": Format("json", (".json",), to_json, from_json),
    "csv": Format("csv", (".csv",), to_csv, from_csv),
    "png": Format("png", (".png",), roll.to_png),
    "svg": Format("svg", (".svg",), roll.to_svg),
    "html": Format("html", (".html", ".htm"), report.to_html),
    "musicxml": Format("musicxml", (".musicxml", ".xml"), score.to_musicxml),
    "mxl": Format("mxl", (".mxl",), score.to_mxl),
    "pdf": Format("pdf", (".pdf",), engraving.to_pdf),
    "score": Format("score", (".score.svg",), engraving.to_svg),
    "beats": Format("beats", (".beats",), beatfile.to_beats),
    "npz": Format("npz", (".npz",), npz.refuse),
    "jams": Format("jams", (".jams",), chart.to_jams),
    "lab": Format("lab", (".lab",), chart.to_lab, chart.from_lab),
    "chordpro": Format("chordpro", (".cho", ".pro", ".chordpro"), chart.to_chordpro),
    "leadsheet": Format("leadsheet", (".txt",), chart.to_lead_sheet),
}
# What `pitchai chords` writes: the chords alone.
CHORD_FORMATS = {
    **{name: form for name, form in FORMATS.items() if name in ("json", "jams", "lab", "chordpro", "leadsheet")},
    "csv": Format("csv", (".csv",), chart.to_csv),
    "midi": Format("midi", (".mid", ".midi"), midi.block_chords),
}


# What `pitchai instruments` writes: who plays when.
INSTRUMENT_FORMATS = {
    "json": FORMATS["json"],
    "csv": Format("csv", (".csv",), activity.to_csv),
    "lab": Format("lab", (".lab",), activity.to_lab),
    "jams": FORMATS["jams"],
}

# What `pitchai genre` writes.
GENRE_FORMATS = {"json": FORMATS["json"], "csv": Format("csv", (".csv",), activity.genres_to_csv)}

# What `pitchai beats` writes.
BEAT_FORMATS = {
    "beats": Format("beats", (".beats", ".txt"), beatfile.to_beats),
    "json": FORMATS["json"],
    "csv": Format("csv", (".csv",), beatfile.to_csv),
    "midi": FORMATS["midi"],
    "jams": FORMATS["jams"],
}

# Scores: these take how fine their rhythms are.
SCORES = {"musicxml": score.to_musicxml, "mxl": score.to_mxl, "pdf": engraving.to_pdf, "score": engraving.to_svg}

# What shows more than the transcription: these take a scene.
PICTURES = {"png": roll.to_png, "svg": roll.to_svg, "html": report.to_html}


def illustrated(form: Format, scene: Callable[[], roll.Scene]) -> Format:
    """Let a picture or a report show a scene, which is made when it is written; other formats stay as they are."""
    if form.name not in PICTURES:
        return form
    return replace(form, write=lambda transcription: PICTURES[form.name](transcription, scene()))


def detailed(form: Format, detail: float) -> Format:
    """Let a score have rhythms so fine; other formats stay as they are."""
    if form.name not in SCORES:
        return form
    return replace(form, write=lambda transcription: SCORES[form.name](transcription, detail))


def format_of(path: Path, formats: Mapping[str, Format] = FORMATS) -> Format:
    """Choose the format by a path's suffix.

    Raises
    ------
    UsageError
        If no format has it.
    """
    # song.score.svg is a score, song.svg is not.
    for suffix in ("".join(path.suffixes[-2:]).lower(), path.suffix.lower()):
        for form in formats.values():
            if suffix in form.suffixes:
                return form
    known = ", ".join(form.suffixes[0] for form in formats.values())
    raise UsageError(f"{path.name}: unknown format {path.suffix or '(no suffix)'}; use one of {known}, or --format")


def read_transcription(path: Path) -> Transcription:
    """Read a file in any of the formats.

    Raises
    ------
    InputError
        If it can't be read.
    """
    form = format_of(path)
    if form.read is None:
        known = ", ".join(other.suffixes[0] for other in FORMATS.values() if other.read)
        raise InputError(f"{path}: {form.name} is written only; what can be read is {known}")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error.strerror}") from None
    try:
        return form.read(content)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
