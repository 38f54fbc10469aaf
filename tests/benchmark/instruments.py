"""Figures of the instruments' network on clips, records, single notes, bands and pianos, in one run.

    python tests/benchmark/instruments.py --data DATA --made runs --model instruments-3

``--data`` has the folders ``instruments-clips``, ``irmas-100``, ``mdb-drums`` and those of piano recordings
(``maps-real-dev``, ``omaps-dev``); ``--made`` those of ``train/instruments/labelled.py``: ``notes-test`` and
``four-test``. What is missing is left out. A piano alone is right where nothing but the piano is as likely as the
threshold.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from transcribe.datasets import Piece, recordings
from transcribe.events import Tag
from transcribe.instruments.metrics import SpanReport, TagReport, judge_spans
from transcribe.instruments.task import INSTRUMENTS
from transcribe.transcriber import Transcriber

# Title, data set, folder, which of the two folders it lies in.
SETS = (
    ("real clips", "clips", "instruments-clips", "data"),
    ("records", "clips", "irmas-100", "data"),
    ("who plays when", "spans", "mdb-drums", "data"),
    ("single notes", "nsynth", "notes-test", "made"),
    ("four classes, single", "irmas", "four-test/single", "made"),
    ("four classes, pairs", "irmas", "four-test/pairs", "made"),
)
PIANOS = ("maps-real-dev", "omaps-dev")
BY_NOTES = "who plays when, by the notes of any"
# What families of notes are called among instruments.
NAMES = {"piano": "keyboard", "keys": "keyboard", "strings": "string", "synth": "synth lead", "voice": "vocal"}
# Families with a smaller share of the notes are left out; seconds: of a stroke, and a pause in which somebody goes on.
SHARE, STROKE, PAUSE = 0.05, 0.3, 1.5
Span = tuple[float, float]


def figures(report: TagReport | SpanReport) -> tuple[str, ...]:
    """Lay out what is asked of a set."""
    if isinstance(report, SpanReport):
        return str(report.n_clips), "", "", "", "", f"{report.micro_f1:.3f}"
    known = (report.of_all, report.calibration_error)
    more = ["" if value is None else f"{value:.3f}" for value in known]
    return (
        str(report.n_clips), f"{report.accuracy:.3f}", more[0], f"{report.exact:.3f}", more[1], f"{report.micro_f1:.3f}"
    )  # fmt: skip


def by_notes(pieces: Sequence[Piece], transcriber: Transcriber) -> SpanReport:
    """Tell who plays when by the notes' families: from a note to the next one, and on where that is near."""
    truths, found, durations = [], [], []
    for piece in pieces:
        assert piece.read is not None
        heard = transcriber.transcribe_file(piece.audio)
        played: dict[str, list[Span]] = {"drums": [(drum.onset, drum.onset + STROKE) for drum in heard.drums]}
        for note in heard.notes:
            family = NAMES.get(note.instrument or "piano", note.instrument or "piano")
            played.setdefault(family, []).append((note.onset, note.offset))
        enough = SHARE * len(heard.notes)
        truths.append(piece.read(piece.labels).instruments)
        found.append(
            [
                Tag(onset, offset, family, 1.0)
                for family, spans in played.items()
                if len(spans) >= enough
                for onset, offset in joined(spans)
            ]
        )
        durations.append(heard.duration)
    return judge_spans(truths, found, durations)


def joined(spans: Sequence[Span]) -> list[Span]:
    """Close pauses shorter than ``PAUSE``."""
    found: list[Span] = []
    for onset, offset in sorted(spans):
        if found and onset - found[-1][1] < PAUSE:
            found[-1] = found[-1][0], max(offset, found[-1][1])
        else:
            found.append((onset, offset))
    return found


def pianos(folder: Path, transcriber: Transcriber) -> Iterator[tuple[str, list[str]]]:
    """Listen to pianos: what is heard beside them."""
    for path in recordings(folder):
        heard = transcriber.transcribe_file(path)
        yield path.stem, sorted({tag.label for tag in heard.instruments if tag.label != "piano"})


def main() -> None:
    """Print tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--made", type=Path, required=True)
    parser.add_argument("--model", default=None, help="a name in the manifest, or a weights file")
    parser.add_argument("--sets", nargs="*", default=[row[0] for row in SETS] + [BY_NOTES, "pianos"], help="only these")
    options = parser.parse_args()
    transcriber = Transcriber(tasks=("instruments",), model=options.model, threads=1)
    table = Table("", "clips", "likeliest", "of all labels", "all labels right", "calibration error", "micro F1")
    for title, name, folder, where in SETS:
        place = getattr(options, where) / folder
        if title in options.sets and place.is_dir():
            pieces = INSTRUMENTS.datasets[name].pieces(place)
            table.add_row(title, *figures(INSTRUMENTS.evaluate(name, pieces, transcriber)))
    if BY_NOTES in options.sets:
        pieces = INSTRUMENTS.datasets["spans"].pieces(options.data / "mdb-drums")
        table.add_row(BY_NOTES, *figures(by_notes(pieces, Transcriber(tasks=("notes",), model="any", threads=1))))
    console = Console(width=140)
    console.print(table)
    if "pianos" in options.sets:
        began = time.process_time()
        found = [row for name in PIANOS for row in pianos(options.data / name, transcriber)]
        for name, others in found:
            if others:
                console.print(f"{name}: {', '.join(others)}")
        alone = sum(not others for _, others in found)
        console.print(f"nothing but the piano: {alone} of {len(found)} ({time.process_time() - began:.0f} CPU s)")


if __name__ == "__main__":
    main()
