"""The command ``pitchai eval``: how good it is, measured as the field measures it.

The data set says which task it is about, the task has the metrics, and its report lays out the figures.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from transcribe.cli.console import ProgressBar, print_line, say
from transcribe.cli.groups import Settings
from transcribe.cli.options import Computing, Printing
from transcribe.cli.tables import print_tables
from transcribe.errors import InputError, UsageError
from transcribe.registry import TASKS, ComparingTask, task_named, task_of_dataset

if TYPE_CHECKING:
    from transcribe.datasets import Piece
    from transcribe.registry import Task
    from transcribe.report.tables import Report

    # What a task keeps of every piece, for its report's page.
    Kept = list[tuple[object, ...]]


def datasets_help() -> str:
    """Name the data sets; their loaders are imported for that."""
    return "; ".join(f"{', '.join(task.datasets)} ({task.name})" for task in TASKS if task.datasets)


@dataclass(frozen=True)
class Data:
    """What is measured."""

    dataset: Annotated[str | None, typer.Option(metavar="NAME", help="Its name.")] = None
    data: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="The data set's folder; else the one of its name in $PITCHAI_DATA."),
    ] = None
    split: Annotated[str | None, typer.Option(metavar="NAME", help="train, validation, test or all.")] = None
    labels: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Take the labels (of genres: the lists of splits) from this folder instead."
        ),
    ] = None
    reference: Annotated[
        Path | None,
        typer.Option(
            help="Instead of a data set: a file of the true notes (MIDI, …), chords (.lab) or beats (.beats),"
        ),
    ] = None
    estimate: Annotated[
        Path | None, typer.Option(help="and what to compare with them: such a file, or a recording, which is heard.")
    ] = None
    without: Annotated[
        list[str] | None, typer.Option(help="Leave out pieces whose names contain this; may be repeated.")
    ] = None

    def chosen(self, task: Task) -> list[Piece]:
        """List the pieces of the data set, but those that are to be left out.

        Raises
        ------
        UsageError
            If none is left, or the data aren't found.
        InputError
            If they can't be read.
        """
        found = task.datasets[str(self.dataset)].pieces(self.data, self.split, self.labels)
        pieces = [piece for piece in found if not any(word in piece.name for word in self.without or ())]
        if not pieces:
            raise UsageError(f"--without {' --without '.join(self.without or ())}: no piece of {self.dataset} is left")
        return pieces

    def check(self) -> None:
        """Refuse options that contradict each other.

        Raises
        ------
        UsageError
            If two of them do.
        """
        if (self.reference is None) != (self.estimate is None):
            raise UsageError("--reference and --estimate belong together")
        if (self.reference is None) == (self.dataset is None):
            raise UsageError("give either --dataset, or --reference and --estimate")


@dataclass(frozen=True)
class Measure:
    """How notes are measured."""

    pedal_extended: Annotated[
        bool,
        typer.Option("--pedal-extended", help="Let notes sound while the pedal is down, on each side that tells it."),
    ] = False
    onset_tolerance: Annotated[
        float | None,
        typer.Option(min=0.001, max=10.0, help="Seconds by which onsets may differ; else 0.05.", show_default=False),
    ] = None
    reliability: Annotated[
        bool, typer.Option("--reliability", help="Whether notes are right as often as their confidence says.")
    ] = False
    sweep: Annotated[bool, typer.Option("--sweep", help="Try onset thresholds from 0.1 to 0.9.")] = False
    onset_threshold: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, help="Instead of the model's own.", show_default=False)
    ] = None

    def options_of(self, task: Task, about: str) -> Settings:
        """Choose the keyword arguments of the task's ``evaluate``.

        Raises
        ------
        UsageError
            If the task doesn't know them.
        """
        options: Settings = {}
        if self.pedal_extended:
            options["pedal_extended"] = True
        if self.onset_tolerance is not None:
            options["onset_tolerance"] = self.onset_tolerance
        if self.reliability:
            options["reliability"] = True
        if self.sweep:
            options["thresholds"] = [step / 10 for step in range(1, 10)]
        known = {option.name for option in task.options}
        if not task.evaluation_options.issuperset(options) or not known.issuperset(self.settings):
            raise UsageError(
                "--pedal-extended, --onset-tolerance, --reliability, --sweep and --onset-threshold are about notes, "
                f"not {about}"
            )
        return options

    @property
    def settings(self) -> Settings:
        """The settings of the decoder that were given."""
        return {} if self.onset_threshold is None else {"onset_threshold": self.onset_threshold}


@dataclass(frozen=True)
class Output(Printing):
    """What is printed and written."""

    plot: Annotated[
        Path | None, typer.Option(help="Of labelled clips: a PNG of what was taken for what.", show_default=False)
    ] = None
    pages: Annotated[
        Path | None,
        typer.Option("--report", help="An HTML page: the worst pieces first, with their hits and misses."),
    ] = None
    csv: Annotated[
        Path | None, typer.Option("--csv", help="Of notes: a table with the scores of every piece.", show_default=False)
    ] = None
    against: Annotated[
        Path | None,
        typer.Option(
            help="Of notes: compare piece by piece with what --json printed of another system.", show_default=False
        ),
    ] = None
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is written if it exists.")] = False

    def check(self, task: Task) -> None:
        """Refuse before the work what could not be written after it.

        Raises
        ------
        UsageError
            If the task's report can't be drawn so.
        OutputError
            If a file exists already or can't be written.
        """
        from transcribe.batch.atomic import check_writable

        if self.plot is not None and (task.name in ("notes", "beats") or self.plot.suffix.lower() != ".png"):
            raise UsageError(
                "--plot draws the confusions of labelled clips as .png: --dataset chords --plot confusion.png"
            )
        if self.pages is not None:
            if "keep" not in task.evaluation_options or self.pages.suffix.lower() not in (".html", ".htm"):
                raise UsageError(
                    "--report writes the notes of a data set as .html: --dataset maestro --report maestro.html"
                )
            check_writable(self.pages, self.overwrite)
        if (self.csv is not None or self.against is not None) and task.name != "notes":
            raise UsageError(f"--csv and --against are about notes, not {task.name}")
        if self.csv is not None:
            check_writable(self.csv, self.overwrite)


def evaluate(data: Data, measure: Measure, output: Output, computing: Computing) -> None:
    """Measure results against the truth, as the field measures them.

    [bold]pitchai eval --dataset maestro --data maestro-v3.0.0[/] or
    [bold]pitchai eval --reference true.mid --estimate song.wav[/] (or two results, or .lab files of chords).
    """
    from transcribe.audio.reader import AUDIO_SUFFIXES
    from transcribe.batch.atomic import write_atomically
    from transcribe.report.confusion import to_png
    from transcribe.report.tables import ComparedReport, PagedReport, PartialReport

    data.check()
    other = None if output.against is None else _read_report(output.against)
    kept: Kept = []
    if data.reference is not None and data.estimate is not None:
        if data.estimate.suffix.lower() in AUDIO_SUFFIXES:
            task, pieces = _heard(data.reference, data.estimate)
            report = _evaluate(data.estimate.name, task, pieces, measure, output, computing, kept)
        else:
            report = _compare(data.reference, data.estimate, measure, output, kept)
    else:
        task = task_of_dataset(str(data.dataset))
        output.check(task)
        measure.options_of(task, str(data.dataset))
        pieces = data.chosen(task)
        report = _evaluate(str(data.dataset), task, pieces, measure, output, computing, kept)
    if not output.quiet:
        for warning in report.warnings:
            say(warning)
    left_out = report.left_out if isinstance(report, PartialReport) else ()
    for line in left_out:
        say(f"left out: {line}")
    if isinstance(report, ComparedReport):
        if output.csv is not None:
            write_atomically(output.csv, report.to_csv(), output.overwrite)
        if other is not None:
            report = report.compared(other)
    if output.pages is not None and isinstance(report, PagedReport):
        page = report.page(f"Evaluation: {data.dataset or 'two files'}", kept)
        write_atomically(output.pages, page, output.overwrite)
    if output.as_json:
        print_line(json.dumps(report.to_dict()))
    else:
        print_tables(*report.tables())
    if output.plot is not None:
        write_atomically(output.plot, to_png(report.confusion), output.overwrite)
    if left_out:
        raise typer.Exit(InputError.exit_code)  # the figures are of a part


def _read_report(path: Path) -> dict[str, object]:
    """Read what ``--json`` printed of another system, before the work."""
    from transcribe.formats.reading import read_bytes

    try:
        found = json.loads(read_bytes(path))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: no JSON: {error}; give what pitchai eval --json printed") from None
    if not isinstance(found, dict):
        raise InputError(f"{path}: no report; give what pitchai eval --json printed")
    return found


def _compare(reference: Path, estimate: Path, measure: Measure, output: Output, kept: Kept) -> Report:
    """Compare two files by the metrics of the task that both are results of."""
    task = _task_of_files(reference, estimate)
    output.check(task)
    options = measure.options_of(task, "two files")
    if options.keys() & {"thresholds", "reliability"} or measure.settings:
        raise UsageError("--sweep, --reliability and --onset-threshold are about recordings, not about two files")
    if output.pages is not None:
        options["keep"] = lambda *piece: kept.append(piece)
    return task.compare(reference, estimate, **options)


def _task_of_files(reference: Path, estimate: Path) -> ComparingTask:
    suffixes = {path.suffix.lower() for path in (reference, estimate)}
    comparing = [task for task in TASKS if isinstance(task, ComparingTask)]
    for task in comparing:
        if suffixes.issubset(task.reference_suffixes):
            return task
    known = "; ".join(f"{', '.join(task.reference_suffixes)} ({task.name})" for task in comparing)
    raise UsageError(
        f"{reference.name} and {estimate.name} can't be compared; give two files of {known}; "
        "pitchai convert makes .lab of chords in other files"
    )


def _heard(reference: Path, estimate: Path) -> tuple[Task, list[Piece]]:
    """Find out from the truth of one recording which task it is about."""
    from transcribe.datasets import Piece

    for path in (reference, estimate):
        if not os.path.isfile(path):
            raise InputError(f"{path}: no such file")
    suffix = reference.suffix.lower()
    task = task_named("beats") if suffix == ".beats" else _task_of_files(reference, reference)
    return task, [Piece(estimate.stem, estimate, reference, "")]


def _evaluate(
    dataset: str,
    task: Task,
    pieces: Sequence[Piece],
    measure: Measure,
    output: Output,
    computing: Computing,
    kept: Kept,
) -> Report:
    """Listen to the recordings of a data set, and compare the results with its labels."""
    from transcribe.batch.atomic import check_writable
    from transcribe.transcriber import Transcriber

    options = measure.options_of(task, dataset)
    output.check(task)
    if output.plot is not None:
        if not all(piece.tags or piece.labels.is_dir() for piece in pieces):
            raise UsageError("--plot draws the confusions of labelled clips, and these are songs")
        check_writable(output.plot, output.overwrite)
    if output.pages is not None:
        options["keep"] = lambda *piece: kept.append(piece)
    transcriber = Transcriber(
        tasks=(task.name,),
        model=computing.model,
        device=computing.device,
        precision=computing.precision,
        threads=computing.threads,
        isolated=True,
        **measure.settings,
    )
    label = dataset if len(pieces) == 1 else f"{len(pieces)} recordings of {dataset}"
    with ProgressBar(label, output.quiet) as progress:
        return task.evaluate(dataset, pieces, transcriber, progress=progress, **options)
