"""One table of file formats: suffix → writer and reader.

MIDI keeps performed time: 120 quarters a minute, 960 ticks each, so that a tick is 0.52 ms and nothing drifts; more
than 85 minutes have slower quarters, and ticks of 1 ms up to three hours, since pretty_midi reads no more than ten
million of them.
Writers return bytes; :func:`write_atomically` is the only place that touches the disk.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from transcribe.errors import InputError, OutputError, UsageError
from transcribe.events import Chord, Note, Pedal, Tag, Transcription
from transcribe.harte import parse
from transcribe.output import chart, roll, schema

TICKS_PER_QUARTER = 960
QUARTERS_PER_MINUTE = 120.0
MAX_TICKS = 10_000_000
PEDAL_CONTROL = 64
END_OF_CHORDS = "end of chords"


@dataclass(frozen=True)
class Format:
    """A file format: its name, its suffixes (the first is written), how it is written, and read where it can be."""

    name: str
    suffixes: tuple[str, ...]
    write: Callable[[Transcription], bytes]
    read: Callable[[bytes], Transcription] | None = None


def to_midi(transcription: Transcription) -> bytes:
    """One piano track with the notes, the pedal as CC64, and the chords as text events in Harte's syntax."""
    import pretty_midi

    ends = [note.offset for note in transcription.notes] + [pedal.offset for pedal in transcription.pedals]
    end = max(ends, default=0.0)
    tempo = QUARTERS_PER_MINUTE
    while end * tempo / 60 * TICKS_PER_QUARTER > 0.98 * MAX_TICKS:
        tempo /= 2
    midi = pretty_midi.PrettyMIDI(resolution=TICKS_PER_QUARTER, initial_tempo=tempo)
    piano = pretty_midi.Instrument(program=0, name="Piano")
    tick = 60 / tempo / TICKS_PER_QUARTER
    piano.notes = [
        # A note of no ticks would be read back as a note without end.
        pretty_midi.Note(note.velocity, note.pitch, note.onset, max(note.offset, note.onset + tick))
        for note in transcription.notes
    ]
    for pedal in transcription.pedals:
        piano.control_changes += [
            pretty_midi.ControlChange(PEDAL_CONTROL, 127, pedal.onset),
            pretty_midi.ControlChange(PEDAL_CONTROL, 0, pedal.offset),
        ]
    midi.instruments.append(piano)
    midi.text_events = [pretty_midi.Text(chord.label, chord.onset) for chord in transcription.chords]
    if transcription.chords:
        midi.text_events.append(pretty_midi.Text(END_OF_CHORDS, transcription.chords[-1].offset))
    buffer = io.BytesIO()
    midi.write(buffer)
    return buffer.getvalue()


def from_midi(content: bytes) -> Transcription:
    """Read the notes of all pitched tracks, the sustain pedal (CC64 of 64 and more), and text events that are chords.

    Raises
    ------
    InputError
        If it isn't a MIDI file.
    """
    import warnings

    import pretty_midi

    try:
        with warnings.catch_warnings():
            # Tempo changes on other tracks than the first: harmless, and common.
            warnings.simplefilter("ignore", RuntimeWarning)
            midi = pretty_midi.PrettyMIDI(io.BytesIO(content))
    except Exception as error:  # mido raises whatever the damage leads to
        raise InputError(f"not a MIDI file: {' '.join(str(error).split()) or type(error).__name__}") from None
    notes, pedals = [], []
    for instrument in midi.instruments:
        if instrument.is_drum:
            continue
        notes += [Note(n.start, n.pitch, n.end, n.velocity) for n in instrument.notes if n.velocity > 0]
        down: float | None = None
        for change in sorted(instrument.control_changes, key=lambda c: float(c.time)):
            if change.number != PEDAL_CONTROL:
                continue
            if change.value >= 64 and down is None:
                down = change.time
            elif change.value < 64 and down is not None:
                pedals.append(Pedal(down, change.time))
                down = None
        if down is not None:
            pedals.append(Pedal(down, midi.get_end_time()))
    chords = _chords([(event.time, event.text) for event in midi.text_events])
    duration = max([midi.get_end_time(), *(chord.offset for chord in chords)])
    return Transcription(tuple(sorted(notes)), tuple(sorted(pedals)), chords=chords, duration=duration)


def _chords(texts: list[tuple[float, str]]) -> tuple[Chord, ...]:
    """Read chords from texts and their times, up to the one that ends them; other texts are nobody's chords."""
    spans = []
    for time, text in sorted(texts):
        with contextlib.suppress(ValueError):
            spans.append((time, "" if text == END_OF_CHORDS else str(parse(text))))
    return tuple(Chord(on, off, label) for (on, label), (off, _) in pairwise(spans) if label)


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
        if values.pop("version") != schema.VERSION:
            raise InputError(f"a transcription of another version than {schema.VERSION}; update pitchai")
        events = {"notes": Note, "pedals": Pedal, "chords": Chord, "instruments": Tag, "genres": Tag}
        for name, kind in events.items():
            values[name] = tuple(kind(**{f.name: event[f.name] for f in fields(kind)}) for event in values[name])
        for name in ("beats", "warnings"):
            values[name] = tuple(values[name])
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
    """Read the notes that :func:`to_csv` wrote.

    Raises
    ------
    InputError
        If it is something else.
    """
    try:
        rows = csv.DictReader(io.StringIO(content.decode("utf-8-sig")))
        if not set(_CSV_COLUMNS) <= set(rows.fieldnames or ()):
            raise ValueError("they are not in its first line")
        notes = sorted(
            Note(float(r["onset"]), int(r["pitch"]), float(r["offset"]), int(r["velocity"]), float(r["confidence"]))
            for r in rows
        )
    except (ValueError, TypeError, KeyError, csv.Error) as error:
        raise InputError(f"not a table of notes with the columns {', '.join(_CSV_COLUMNS)}: {error}") from None
    return checked(Transcription(notes=tuple(notes), duration=max((note.offset for note in notes), default=0.0)))


# Nothing lasts longer than a month, in seconds.
LONGEST = 31 * 24 * 3600.0


def checked(transcription: Transcription) -> Transcription:
    """Pass on a transcription that was read, if its events make sense.

    Raises
    ------
    InputError
        If a time, a pitch or a velocity is no number or out of range, or something ends before it begins.
    """
    events: tuple[Note | Pedal, ...] = (*transcription.notes, *transcription.pedals)
    for event in events:
        times = (event.onset, event.offset)
        if not all(isinstance(time, (int, float)) and 0 <= time <= LONGEST for time in times):
            raise InputError(f"a time is no number of seconds between 0 and a month: {event}")
        if event.offset < event.onset:
            raise InputError(f"something ends before it begins: {event}")
        if isinstance(event, Note) and not (_within(event.pitch, 127) and _within(event.velocity, 127)):
            raise InputError(f"a pitch or a velocity is no whole number from 0 to 127: {event}")
    return transcription


def _within(value: Any, highest: int) -> bool:
    return isinstance(value, int) and 0 <= value <= highest


FORMATS = {
    "midi": Format("midi", (".mid", ".midi"), to_midi, from_midi),
    "json": Format("json", (".json",), to_json, from_json),
    "csv": Format("csv", (".csv",), to_csv, from_csv),
    "png": Format("png", (".png",), roll.to_png),
    "svg": Format("svg", (".svg",), roll.to_svg),
    "jams": Format("jams", (".jams",), chart.to_jams),
    "lab": Format("lab", (".lab",), chart.to_lab, chart.from_lab),
    "chordpro": Format("chordpro", (".cho", ".pro", ".chordpro"), chart.to_chordpro),
    "leadsheet": Format("leadsheet", (".txt",), chart.to_lead_sheet),
}
# What `pitchai chords` writes: the chords alone.
CHORD_FORMATS = {
    **{name: form for name, form in FORMATS.items() if name not in ("png", "svg")},
    "csv": Format("csv", (".csv",), chart.to_csv),
    "midi": Format("midi", (".mid", ".midi"), chart.to_midi),
}


def beside(form: Format, reference: Transcription) -> Format:
    """Let a picture show what was hit, missed and added beside a reference; other formats stay as they are."""
    pictures = {"png": roll.to_png, "svg": roll.to_svg}
    if form.name not in pictures:
        return form
    return replace(form, write=lambda transcription: pictures[form.name](transcription, reference))


def format_of(path: Path, formats: Mapping[str, Format] = FORMATS) -> Format:
    """Choose the format by a path's suffix.

    Raises
    ------
    UsageError
        If no format has it.
    """
    for form in formats.values():
        if path.suffix.lower() in form.suffixes:
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


def check_replaceable(path: Path, overwrite: bool) -> None:
    """Refuse a path that is taken: by a file without ``overwrite``, by a folder or a device always.

    Raises
    ------
    OutputError
        If it may not be written.
    """
    if not os.path.lexists(path):
        return
    if not overwrite:
        raise OutputError(f"{path}: exists already; use --overwrite to replace it or --skip-existing to keep it")
    if not os.path.isfile(path) or os.path.islink(path):
        raise OutputError(f"{path}: is no ordinary file; choose another -o")


def _linked(part: Path, path: Path) -> bool:
    """Give a finished file its name unless it is taken by now; False where the system knows no hard links."""
    try:
        path.hardlink_to(part)
    except FileExistsError:
        raise
    except (OSError, NotImplementedError):
        return False
    return True


def write_atomically(path: Path, content: bytes, overwrite: bool = False) -> None:
    """Write a whole file or nothing.

    Raises
    ------
    OutputError
        If the file exists and may not be replaced, or can't be written.
    """
    check_replaceable(path, overwrite)
    part: Path | None = None
    try:
        descriptor, name = tempfile.mkstemp(prefix=".pitchai-", suffix=".part", dir=path.parent)
        part = Path(name)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        umask = os.umask(0)
        os.umask(umask)
        part.chmod(0o666 & ~umask)
        if overwrite or not _linked(part, path):
            part.replace(path)
    except FileExistsError:
        raise OutputError(f"{path}: exists already, since a moment ago; use --overwrite to replace it") from None
    except OSError as error:
        raise OutputError(f"{path}: can't be written: {error.strerror or error}") from None
    finally:
        if part is not None:
            part.unlink(missing_ok=True)
