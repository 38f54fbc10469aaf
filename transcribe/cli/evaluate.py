"""The command ``pitchai eval``: how good it is, measured as the field measures it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from transcribe.batch.atomic import check_writable
from transcribe.cli.console import ProgressBar, print_line, say
from transcribe.cli.options import Computing
from transcribe.cli.tables import (
    beat_figures,
    chord_figures,
    confusion,
    figures,
    genre_figures,
    print_tables,
    tag_figures,
)
from transcribe.errors import InputError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.table import Table

    from transcribe.chords.metrics import ClipReport
    from transcribe.datasets import Piece
    from transcribe.events import Transcription
    from transcribe.genre.metrics import GenreReport
    from transcribe.instruments.metrics import TagReport
    from transcribe.notes.metrics import PieceScores, Report

_INSTRUMENT_SETS = ("nsynth", "irmas", "clips")
_GENRE_SETS = ("gtzan", "fma")


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
    model, device, precision, threads = computing.model, computing.device, computing.precision, computing.threads
    if (reference is None) != (estimate is None):
        raise UsageError("--reference and --estimate belong together")
    if (reference is None) == (dataset is None):
        raise UsageError("give either --dataset, or --reference and --estimate")
    of_clips = dataset in _INSTRUMENT_SETS
    of_genres = dataset in _GENRE_SETS
    of_notes = not (dataset in ("chords", "beats") or of_clips or of_genres)
    if plot is not None and (of_notes or dataset == "beats" or plot.suffix.lower() != ".png"):
        raise UsageError("--plot draws the confusions of labelled clips as .png: --dataset chords --plot confusion.png")
    if not of_notes and (pedal_extended or sweep or onset_threshold is not None):
        raise UsageError(f"--pedal-extended, --sweep and --onset-threshold are about notes, not {dataset}")
    if labels is not None and (dataset in ("chords", "beats") or of_clips):
        raise UsageError(f"--labels is about notes and genres, not {dataset}")
    if pages is not None:
        if not of_notes or pages.suffix.lower() not in (".html", ".htm"):
            raise UsageError(
                "--report writes the notes of a data set as .html: --dataset maestro --report maestro.html"
            )
        check_writable(pages, overwrite)
    compared: list[tuple[PieceScores, Transcription, Transcription]] = []
    if reference is not None and estimate is not None:
        labs = [path.suffix.lower() == ".lab" for path in (reference, estimate)]
        if all(labs):
            _compare_chords(reference, estimate, as_json)
            return
        if any(labs):
            raise UsageError("chords (.lab) can't be compared with notes; pitchai convert makes .lab of both")
        from transcribe.datasets import read_labels
        from transcribe.notes.metrics import compare

        truth, heard = read_labels(reference), read_labels(estimate)
        report = compare(truth, heard, pedal_extended)
        compared.append((report.pieces[0], truth, heard))
    elif of_clips:
        _set_threads(threads)
        _evaluate_instruments(dataset or "", data, model, device, precision, as_json, quiet, plot, overwrite)
        return
    elif of_genres:
        _set_threads(threads)
        _evaluate_genres(dataset or "", data, split, labels, model, device, as_json, quiet, plot, overwrite)
        return
    else:
        from transcribe.datasets import load_dataset, with_labels_from

        pieces = load_dataset(dataset or "", data, split)
        if labels is not None:
            pieces = with_labels_from(pieces, labels)
        _set_threads(threads)
        if dataset == "chords":
            _evaluate_chords(pieces, model, device, precision, as_json, quiet, plot, overwrite)
            return
        if dataset == "beats":
            _evaluate_beats(pieces, model, device, precision, as_json, quiet)
            return
        from transcribe.notes.metrics import evaluate as run
        from transcribe.pipeline import Transcriber

        transcriber = Transcriber(
            model,
            device,
            None,
            precision,
            None,
            **({} if onset_threshold is None else {"onset_threshold": onset_threshold}),
        )
        thresholds = [step / 10 for step in range(1, 10)] if sweep else []
        with ProgressBar(f"{len(pieces)} pieces of {dataset}", quiet) as progress:
            keep = None if pages is None else lambda *piece: compared.append(piece)
            report = run(dataset or "", pieces, transcriber, pedal_extended, thresholds, progress, keep)
    for warning in report.warnings:
        if not quiet:
            say(warning)
    if pages is not None:
        _write_pages(pages, report, compared, dataset or "two files", overwrite)
    if as_json:
        print_line(json.dumps(report.to_dict()))
    else:
        print_tables(*figures(report))


def _set_threads(threads: int | None) -> None:
    from transcribe.engine.devices import set_threads

    set_threads(threads)


def _write_pages(
    path: Path,
    report: Report,
    pieces: list[tuple[PieceScores, Transcription, Transcription]],
    title: str,
    overwrite: bool,
) -> None:
    """Write a page with the worst pieces first."""
    from transcribe.batch.atomic import write_atomically
    from transcribe.notes.metrics import METRICS
    from transcribe.report.page import compared

    figures = [(METRICS[name], f"{score.f1:.4f}") for name, score in report.means.items()]
    figures += [("pieces", str(len(report.pieces))), ("conventions", report.conventions)]
    rows = [
        (scores.name, ", ".join(f"{METRICS[name]} {s.f1:.3f}" for name, s in scores.scores.items()), truth, heard)
        for scores, truth, heard in sorted(pieces, key=lambda piece: piece[0].scores["note"].f1)
    ]
    write_atomically(path, compared(f"Evaluation: {title}", figures, rows), overwrite)


def _evaluate_chords(
    pieces: list[Piece],
    model: str | None,
    device: str,
    precision: str,
    as_json: bool,
    quiet: bool,
    plot: Path | None,
    overwrite: bool,
) -> None:
    """Measure chords over songs, or over clips where every label is a folder's name."""
    from transcribe.chords.metrics import evaluate_chords, evaluate_clips
    from transcribe.recognisers import ChordRecogniser

    clips = [piece for piece in pieces if piece.labels.is_dir()]
    if clips and len(clips) < len(pieces):
        raise UsageError("songs with .lab files and folders of clips can't be measured together; give one or the other")
    if plot is not None and not clips:
        raise UsageError("--plot draws the confusions of labelled clips, and these are songs")
    if plot is not None:
        check_writable(plot, overwrite)
    recogniser = ChordRecogniser(model, device, precision)
    with ProgressBar(f"{len(pieces)} pieces of chords", quiet) as progress:
        if not clips:
            songs = evaluate_chords(pieces, recogniser, progress)
            print_line(json.dumps(asdict(songs))) if as_json else print_tables(*chord_figures(songs))
            return
        report = evaluate_clips(clips, recogniser, progress=progress)
    _print_clips(report, confusion(report), as_json, plot, overwrite)


def _evaluate_beats(
    pieces: list[Piece], model: str | None, device: str, precision: str, as_json: bool, quiet: bool
) -> None:
    """Measure beats, downbeats and keys."""
    from transcribe.beats.metrics import evaluate_beats
    from transcribe.pipeline import Transcriber

    transcriber = Transcriber(model, device, None, precision)
    with ProgressBar(f"{len(pieces)} recordings with beats", quiet) as progress:
        report = evaluate_beats(pieces, transcriber, progress)
    print_line(json.dumps(asdict(report))) if as_json else print_tables(*beat_figures(report))


def _evaluate_instruments(
    layout: str,
    data: Path | None,
    model: str | None,
    device: str,
    precision: str,
    as_json: bool,
    quiet: bool,
    plot: Path | None,
    overwrite: bool,
) -> None:
    """Measure how well instruments are told in a set of clips."""
    from transcribe.datasets import folder_of
    from transcribe.instruments.datasets import LAYOUTS, load_tagged
    from transcribe.instruments.metrics import evaluate_instruments
    from transcribe.recognisers import InstrumentRecogniser

    clips = load_tagged(layout, folder_of(layout, data, LAYOUTS[layout][1]))
    if plot is not None:
        check_writable(plot, overwrite)
    recogniser = InstrumentRecogniser(model, device, precision)
    with ProgressBar(f"{len(clips)} clips of {layout}", quiet) as progress:
        report = evaluate_instruments(clips, recogniser, progress)
    _print_clips(report, tag_figures(report), as_json, plot, overwrite)


def _evaluate_genres(
    layout: str,
    data: Path | None,
    split: str | None,
    lists: Path | None,
    model: str | None,
    device: str,
    as_json: bool,
    quiet: bool,
    plot: Path | None,
    overwrite: bool,
) -> None:
    """Measure how often the genre is told, on the test split unless told otherwise."""
    from transcribe.datasets import folder_of
    from transcribe.genre.datasets import LAYOUTS, load_genres
    from transcribe.genre.metrics import evaluate_genres
    from transcribe.recognisers import GenreRecogniser

    folder = folder_of(layout, data, LAYOUTS[layout][1])
    clips = load_genres(layout, folder, None if split == "all" else split or "test", lists)
    if plot is not None:
        check_writable(plot, overwrite)
    recogniser = GenreRecogniser(model, device)
    with ProgressBar(f"{len(clips)} recordings of {layout}", quiet) as progress:
        report = evaluate_genres(clips, recogniser, progress)
    for line in report.skipped:
        if not quiet:
            say(f"left out: {line}")
    if not report.n_clips:
        raise InputError(f"{folder}: none of its {len(clips)} recordings could be judged")
    _print_clips(report, genre_figures(report), as_json, plot, overwrite)


def _print_clips(
    report: ClipReport | TagReport | GenreReport,
    tables: Iterable[Table | str],
    as_json: bool,
    plot: Path | None,
    overwrite: bool,
) -> None:
    """Print the figures of labelled clips, and draw what was taken for what."""
    from transcribe.batch.atomic import write_atomically
    from transcribe.report.confusion import to_png

    print_line(json.dumps(asdict(report))) if as_json else print_tables(*tables)
    if plot is not None:
        write_atomically(plot, to_png(report.confusion), overwrite)


def _compare_chords(reference: Path, estimate: Path, as_json: bool) -> None:
    from transcribe.chords.metrics import ChordReport, score_chords
    from transcribe.datasets import read_chords

    scores = {name: value for name, (value, _) in score_chords(read_chords(reference), read_chords(estimate)).items()}
    report = ChordReport({"estimate": scores}, scores)
    print_line(json.dumps(asdict(report))) if as_json else print_tables(*chord_figures(report))
