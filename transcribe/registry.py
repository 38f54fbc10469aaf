"""Stands in for the registry of tasks until that is there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transcribe.events import Transcription


@dataclass(frozen=True)
class Option:
    name: str
    kind: type
    help: str
    minimum: float | None = None
    maximum: float | None = None
    default: str = ""


@dataclass(frozen=True)
class Task:
    name: str
    help: str
    by_default: bool
    table: str
    layout: str
    options: tuple[Option, ...] = ()
    requires: tuple[str, ...] = ()

    @property
    def formats(self) -> Any:
        from transcribe.formats import table

        return getattr(table, self.table)

    def tables(self, title: str, result: Transcription) -> Iterator[Any]:
        from transcribe.cli import tables

        found = result.chords if self.name == "chords" else result
        return getattr(tables, self.layout)(title, found)


TASKS = (
    Task(
        "notes", "Listen to recordings and write down their notes.", True, "FORMATS", "",
        (
            Option("onset_threshold", float, "Higher: fewer notes, surer ones.", 0.0, 1.0),
            Option("frame_threshold", float, "Higher: shorter notes.", 0.0, 1.0),
            Option("min_note_length", float, "Leave out shorter notes (seconds).", 0.0),
            Option("min_pitch", int, "Lowest MIDI number.", 0, 127),
            Option("max_pitch", int, "Highest MIDI number.", 0, 127),
        ),
    ),
    Task("beats", "Find the beats, the bars and the key.", False, "BEAT_FORMATS", "bars", (), ("notes",)),
    Task(
        "chords", "Name the chords of recordings.", True, "CHORD_FORMATS", "chord_chart",
        (Option("vocabulary", str, "majmin, triads, sevenths or full (sixths and basses too).", default="full"),),
    ),
    Task(
        "instruments", "Tell which instruments play, and when.", True, "INSTRUMENT_FORMATS", "activity",
        (
            Option("vocabulary", str, "instruments or families.", default="instruments"),
            Option("threshold", float, "Who plays is at least so probable.", 0.0, 1.0),
        ),
    ),
    Task("genre", "Guess the genre.", False, "GENRE_FORMATS", "genres", (Option("threshold", float, "Less probable: unsure.", 0.0, 1.0),)),
)  # fmt: skip


def task_named(name: str) -> Task:
    return next(task for task in TASKS if task.name == name)
