"""Beats as people and programs read them: lines of a time and a number within the bar; writers return bytes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from statistics import median

from transcribe.errors import InputError
from transcribe.events import Transcription
from transcribe.formats.format import checked
from transcribe.formats.reading import Numbers, rows
from transcribe.score.numbering import numbered


def to_beats(transcription: Transcription) -> bytes:
    """One line a beat: its time in s, a tab, its number within the bar, 1 beginning it; without bars the time alone."""
    lines = (f"{time:.4f}\t{number}" if number else f"{time:.4f}" for time, _, number in numbered(transcription))
    return "".join(line + "\n" for line in lines).encode()


def from_beats(content: bytes) -> Transcription:
    """Read what :func:`to_beats` wrote, or others: a time a line, and perhaps its number within the bar.

    Raises
    ------
    InputError
        If a line is something else, or times aren't in order.
    """
    beats: list[float] = []
    downbeats: list[float] = []
    number, line = Numbers(), 0
    try:
        for line, words in rows(content):  # noqa: B007 - the error says which
            time, *rest = map(number, words)
            if len(rest) > 1:
                raise ValueError(f"it has {len(words)} columns, not 1 or 2")
            if time < 0 or (beats and time <= beats[-1]):
                raise ValueError("its time doesn't follow that of the line before")
            beats.append(time)
            if rest == [1]:
                downbeats.append(time)
    except ValueError as error:
        place = f"line {line}: " if line else ""
        raise InputError(f"not a list of beats, a time and a number a line: {place}{error}") from None
    return checked(
        Transcription(
            beats=tuple(beats),
            downbeats=tuple(downbeats),
            duration=max(beats, default=0.0),
            tempo=tempo_of(beats),
            beat_confidence=1.0,
        )
    )


def tempo_of(beats: Sequence[float]) -> float | None:
    """Give the median tempo in beats a minute; None of fewer than two beats."""
    gaps = [after - before for before, after in pairwise(beats)]
    return 60 / median(gaps) if gaps else None
