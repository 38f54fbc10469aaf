"""Beats as people and programs read them: lines of a time and a number within the bar, CSV. Writers return bytes."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

from transcribe.errors import InputError
from transcribe.events import Transcription
from transcribe.score.beats import MAX_GAP, MIN_GAP, Beats, is_grid

CSV_COLUMNS = ("time", "bar", "beat")


def numbered(transcription: Transcription) -> Iterator[tuple[float, int, int]]:
    """Yield every beat: its time in s, its bar from 1 (0 for a pick-up) and its number there; 0 where nobody knows."""
    first = set(transcription.downbeats)
    places = [i for i, beat in enumerate(transcription.beats) if beat in first]
    # A pick-up ends a bar as long as the first.
    length = places[1] - places[0] if len(places) > 1 else 0
    bar, number = 0, length - places[0] if places else 0
    for beat in transcription.beats:
        bar, number = (bar + 1, 1) if beat in first else (bar, number + 1)
        yield beat, bar, number if places and (bar or number > 1) else 0


def to_beats(transcription: Transcription) -> bytes:
    """One line a beat: its time in s, a tab, its number within the bar, 1 beginning it; without bars the time alone."""
    lines = (f"{time:.4f}\t{number}" if number else f"{time:.4f}" for time, _, number in numbered(transcription))
    return "".join(line + "\n" for line in lines).encode()


def to_csv(transcription: Transcription) -> bytes:
    """One line a beat: time in s, bar, number within the bar."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for time, bar, number in numbered(transcription):
        writer.writerow([f"{time:.4f}", bar, number])
    return text.getvalue().encode()


def read_beats(path: Path) -> Beats:
    """Read beats from a file: a result, a MIDI file, or lines of a time in s and perhaps a number within the bar.

    Lines that begin with ``#`` say nothing.

    Raises
    ------
    InputError
        If there are none to read, or they are not in order, 0.1 to 10 s apart.
    """
    from transcribe.formats.table import read_transcription

    if path.suffix.lower() in (".json", ".mid", ".midi"):
        result = read_transcription(path)
        beats, downbeats = list(result.beats), list(result.downbeats)
    else:
        beats, downbeats = _lines(path)
    if not is_grid(beats):
        raise InputError(f"{path}: beats are times in order, {MIN_GAP} to {MAX_GAP:.0f} s apart, at least two")
    return Beats(tuple(beats), tuple(downbeats), confidence=1.0)


def _lines(path: Path) -> tuple[list[float], list[float]]:
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise InputError(f"{path}: can't be read: {reason}") from None
    # 0,5 is half a second where something else parts the columns, and nothing has a point.
    if "." not in text:
        if re.search(r"^\s*\d+,\d+\s*$", text, re.MULTILINE):
            raise InputError(f"{path}: is a comma a decimal one, or does it part columns? Write 0.5, and tabs between")
        text = re.sub(r"(?<=\d),(?=\d+(?:[\s;]|$))", ".", text)
    beats: list[float] = []
    downbeats: list[float] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = re.split(r"[\s,;]+", line.strip())
        if not words[0] or words[0].startswith("#") or words[0] == CSV_COLUMNS[0]:
            continue
        try:
            time, place = float(words[0]), float(words[-1]) if len(words) > 1 else 0.0
            if not 0 <= time < float("inf"):
                raise ValueError
        except ValueError:
            raise InputError(f"{path}: line {number} is no time of a beat in seconds") from None
        beats.append(time)
        if place == 1:
            downbeats.append(time)
    return beats, downbeats
