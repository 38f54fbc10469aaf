"""Figures of the instruments' network on clips, records, single notes, bands and pianos, in one run.

    python tests/benchmark/instruments.py --data DATA --made runs --model instruments-4

``--data`` has the folders ``instruments-clips``, ``irmas-100``, ``mdb-drums`` and those of piano recordings
(``maps-real-dev``, ``omaps-dev``); ``--made`` those of ``train/instruments/labelled.py``, ``notes-test`` and
``four-test``. What is missing is left out. A piano alone is right where nothing but the piano is as likely as the
threshold.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from transcribe.datasets import recordings
from transcribe.instruments.metrics import SpanReport, TagReport
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


def figures(report: TagReport | SpanReport) -> tuple[str, ...]:
    """Lay out what is asked of a set."""
    if isinstance(report, SpanReport):
        return str(report.n_clips), "", "", "", "", f"{report.micro_f1:.3f}"
    known = (report.of_all, report.calibration_error)
    more = ["" if value is None else f"{value:.3f}" for value in known]
    return (
        str(report.n_clips), f"{report.accuracy:.3f}", more[0], f"{report.exact:.3f}", more[1], f"{report.micro_f1:.3f}"
    )  # fmt: skip


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
    parser.add_argument("--sets", nargs="*", default=[row[0] for row in SETS] + ["pianos"], help="only these")
    options = parser.parse_args()
    transcriber = Transcriber(tasks=("instruments",), model=options.model, threads=1)
    table = Table("", "clips", "likeliest", "of all labels", "all labels right", "calibration error", "micro F1")
    for title, name, folder, where in SETS:
        place = getattr(options, where) / folder
        if title in options.sets and place.is_dir():
            pieces = INSTRUMENTS.datasets[name].pieces(place)
            table.add_row(title, *figures(INSTRUMENTS.evaluate(name, pieces, transcriber)))
    console = Console(width=120)
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
