"""The command ``pitchai eval``: how good it is, measured as the field measures it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from transcribe.batch.atomic import check_writable
from transcribe.cli.console import ProgressBar, print_line, say
from transcribe.cli.options import Computing
from transcribe.cli.tables import print_tables
from transcribe.errors import UsageError

if TYPE_CHECKING:
    from transcribe.events import Transcription
    from transcribe.notes.metrics import PieceScores
    from transcribe.report.tables import Report

    Compared = list[tuple[PieceScores, Transcription, Transcription]]


def evaluate(
    dataset: Annotated[
        str | None,
        typer.Option(
            help="maestro, maps, pairs (notes), chords, beats, nsynth, irmas, clips (instruments), or gtzan, fma "
            "(genres)."
        ),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="The data set's folder; else the one of its name in $PITCHAI_DATA.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="train, validation, test or all.")] = None,
    labels: Annotated[
        Path | None, typer.Option(help="Take the labels (of genres: the lists of splits) from this folder instead.")
    ] = None,
    pedal_extended: Annotated[
        bool, typer.Option("--pedal-extended", help="Let both sides' notes sound while the pedal is down.")
    ] = False,
    sweep: Annotated[bool, typer.Option("--sweep", help="Try onset thresholds from 0.1 to 0.9.")] = False,
    reference: Annotated[Path | None, typer.Option(help="Compare two files of notes: the truth,")] = None,
    estimate: Annotated[Path | None, typer.Option(help="and what is to be judged.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with every piece's figures.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no warnings.")] = False,
    computing: Computing = Computing(),  # noqa: B008
    onset_threshold: Annotated[float | None, typer.Option(min=0.0, max=1.0, show_default=False)] = None,
    plot: Annotated[
        Path | None, typer.Option(help="With labelled clips: a PNG of what was taken for what.", show_default=False)
    ] = None,
    pages: Annotated[
        Path | None,
        typer.Option("--report", help="An HTML page: the worst pieces first, with their hits and misses."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the plot or the report if it exists.")
    ] = False,
) -> None:
    """Measure transcriptions against the truth, as the field measures them.

    [bold]pitchai eval --dataset maestro --data maestro-v3.0.0[/] or
    [bold]pitchai eval --reference a.mid --estimate b.mid[/] (or .lab files of chords).
    """
    if (reference is None) != (estimate is None):
        raise UsageError("--reference and --estimate belong together")
    if (reference is None) == (dataset is None):
        raise UsageError("give either --dataset, or --reference and --estimate")
    if reference is not None and estimate is not None:
        _compare(reference, estimate, pedal_extended, as_json, pages, overwrite)
        return
    from transcribe.registry import load_dataset, task_of_dataset
    from transcribe.transcriber import Transcriber

    name = dataset or ""
    task = task_of_dataset(name)
    settings: dict[str, Any] = {} if onset_threshold is None else {"onset_threshold": onset_threshold}
    known = {option.name for option in task.options}
    asked = {"pedal_extended": pedal_extended, "thresholds": sweep}
    if any(value and option not in task.evaluation_options for option, value in asked.items()) or set(settings) - known:
        raise UsageError(f"--pedal-extended, --sweep and --onset-threshold are about notes, not {name}")
    if plot is not None and (plot.suffix.lower() != ".png" or task.name in ("notes", "beats")):
        raise UsageError("--plot draws the confusions of labelled clips as .png: --dataset chords --plot confusion.png")
    if pages is not None:
        if "keep" not in task.evaluation_options:
            raise UsageError(
                "--report writes the notes of a data set as .html: --dataset maestro --report maestro.html"
            )
        _check_pages(pages, overwrite)
    pieces = load_dataset(name, data, split, labels)
    if plot is not None:
        if not all(piece.tags or piece.labels.is_dir() for piece in pieces):
            raise UsageError("--plot draws the confusions of labelled clips, and these are songs")
        check_writable(plot, overwrite)
    transcriber = Transcriber(
        tasks=(task,),
        model=computing.model,
        device=computing.device,
        precision=computing.precision,
        threads=computing.threads,
        **settings,
    )
    options: dict[str, object] = {"pedal_extended": True} if pedal_extended else {}
    if sweep:
        options["thresholds"] = [step / 10 for step in range(1, 10)]
    compared: Compared = []
    if pages is not None:
        options["keep"] = lambda *piece: compared.append(piece)
    with ProgressBar(f"{len(pieces)} recordings of {name}", quiet) as progress:
        report = task.evaluate(name, pieces, transcriber, progress=progress, **options)
    _print(report, as_json, quiet)
    if pages is not None:
        _write_pages(pages, report, compared, name, overwrite)
    if plot is not None:
        from transcribe.batch.atomic import write_atomically
        from transcribe.report.confusion import to_png

        write_atomically(plot, to_png(report.confusion), overwrite)


def _compare(
    reference: Path, estimate: Path, pedal_extended: bool, as_json: bool, pages: Path | None, overwrite: bool
) -> None:
    """Compare two files: notes, or chords."""
    from transcribe.chords.task import CHORDS
    from transcribe.notes.datasets import read_labels
    from transcribe.notes.task import NOTES

    if pages is not None:
        _check_pages(pages, overwrite)
    of_chords = [path.suffix.lower() in CHORDS.reference_suffixes for path in (reference, estimate)]
    if all(of_chords):
        _print(CHORDS.compare(reference, estimate), as_json, True)
        return
    if any(of_chords):
        raise UsageError("chords (.lab) can't be compared with notes; pitchai convert makes .lab of both")
    report = NOTES.compare(reference, estimate, pedal_extended=pedal_extended)
    _print(report, as_json, True)
    if pages is not None:
        pair = [(report.pieces[0], read_labels(reference), read_labels(estimate))]
        _write_pages(pages, report, pair, "two files", overwrite)


def _check_pages(path: Path, overwrite: bool) -> None:
    if path.suffix.lower() not in (".html", ".htm"):
        raise UsageError("--report writes the notes of a data set as .html: --dataset maestro --report maestro.html")
    check_writable(path, overwrite)


def _print(report: Report, as_json: bool, quiet: bool) -> None:
    for warning in () if quiet else report.warnings:
        say(warning)
    if as_json:
        print_line(json.dumps(report.to_dict()))
    else:
        print_tables(*report.tables())


def _write_pages(
    path: Path,
    report: Report,
    pieces: Compared,
    title: str,
    overwrite: bool,
) -> None:
    """Write a page with the worst pieces first."""
    from transcribe.batch.atomic import write_atomically
    from transcribe.notes.metrics import METRICS, NotesReport
    from transcribe.report.page import compared

    assert isinstance(report, NotesReport)
    figures = [(METRICS[name], f"{score.f1:.4f}") for name, score in report.means.items()]
    figures += [("pieces", str(len(report.pieces))), ("conventions", report.conventions)]
    rows = [
        (scores.name, ", ".join(f"{METRICS[name]} {s.f1:.3f}" for name, s in scores.scores.items()), truth, heard)
        for scores, truth, heard in sorted(pieces, key=lambda piece: piece[0].scores["note"].f1)
    ]
    write_atomically(path, compared(f"Evaluation: {title}", figures, rows), overwrite)
