"""Recordings with true beats, and beats from a file."""

from __future__ import annotations

from pathlib import Path

from transcribe.datasets import Dataset, Piece, recordings
from transcribe.errors import InputError
from transcribe.formats.csv import BEAT_COLUMNS
from transcribe.formats.reading import Numbers, read_bytes, rows
from transcribe.formats.table import read_transcription
from transcribe.score.beats import MAX_GAP, MIN_GAP, Beats, is_grid


def load_beats(folder: Path, _: Path | None = None) -> list[Piece]:
    """Find recordings beside a ``.beats`` file of their name."""
    audio = recordings(folder)
    return [Piece(p.stem, p, p.with_suffix(".beats"), "test") for p in audio if p.with_suffix(".beats").is_file()]


DATASETS = {
    "beats": Dataset(
        "beats",
        load_beats,
        "any recordings with annotated beats will do",
        "song.wav beside song.beats (lines of a time and a number within the bar) and perhaps song.key",
    )
}


def read_beats(path: Path) -> Beats:
    """Read beats from a file: a result, a MIDI file, or lines of a time in s and perhaps a number within the bar.

    Lines that begin with ``#`` say nothing.

    Raises
    ------
    InputError
        If there are none to read, or they are not in order, 0.1 to 10 s apart.
    """
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
            if words[0] == BEAT_COLUMNS[0]:
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
