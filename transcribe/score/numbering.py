"""Beats by number: the bar of each, and its place there."""

from __future__ import annotations

from collections.abc import Iterator

from transcribe.events import Transcription


def numbered(transcription: Transcription) -> Iterator[tuple[float, int, int]]:
    """Yield every beat: its time in s, its bar from 1 (0 for a pick-up) and its number there (0 if unknown)."""
    first = set(transcription.downbeats)
    places = [i for i, beat in enumerate(transcription.beats) if beat in first]
    # A pick-up ends a bar as long as the first.
    length = places[1] - places[0] if len(places) > 1 else 0
    bar, number = 0, length - places[0] if places else 0
    for beat in transcription.beats:
        bar, number = (bar + 1, 1) if beat in first else (bar, number + 1)
        yield beat, bar, number if places and (bar or number > 1) else 0
