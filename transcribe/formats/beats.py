"""Beats as people and programs read them: lines of a time and a number within the bar, CSV. Writers return bytes."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from transcribe.errors import InputError
from transcribe.events import Transcription
from transcribe.formats.reading import Numbers, read_bytes, rows
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
    content, number = read_bytes(path), Numbers()
    beats: list[float] = []
    downbeats: list[float] = []
    try:
        for line, words in rows(content):
            if words[0] == CSV_COLUMNS[0]:
                continue
            try:
                time, place = number(words[0]), number(words[-1]) if len(words) > 1 else 0.0
                if not 0 <= time < float("inf"):
                    raise ValueError(f"{words[0]!r} lies before the start")
            except ValueError as error:
                raise InputError(f"{path}: line {line} is no time of a beat in seconds: {error}") from None
            beats.append(time)
            if place == 1:
                downbeats.append(time)
    except ValueError as error:
        raise InputError(f"{path}: no list of beats: {error}") from None
    return beats, downbeats
