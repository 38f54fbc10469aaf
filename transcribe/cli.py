"""The command ``pitchai``: arguments, printing, exit codes; nothing else.

stdout is the result; stderr is progress, warnings and errors. Heavy modules are imported inside the commands, so that
``--help`` is quick.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from transcribe import __version__
from transcribe.console import (
    ProgressBar,
    chord_chart,
    chord_figures,
    clean,
    confusion,
    facts,
    figures,
    print_line,
    print_paths,
    print_tables,
    roll,
    say,
    summary,
    write,
)
from transcribe.errors import OutputError, PitchaiError, UsageError

if TYPE_CHECKING:
    import numpy as np

    from transcribe.datasets import Piece
    from transcribe.decoding import Activations
    from transcribe.evaluation import PieceScores, Report
    from transcribe.events import Transcription
    from transcribe.output.formats import Format
    from transcribe.output.roll import Scene
    from transcribe.pipeline import Progress, Transcriber
    from transcribe.scale.batch import Job

    Listen = Callable[[str, Progress], Transcription]
    Show = Callable[[Job, Transcription], None]

_SETTINGS: dict[str, Any] = {
    "add_completion": False,
    "pretty_exceptions_enable": False,
    "context_settings": {"help_option_names": ["-h", "--help"]},
}
# Two programs under one name: `pitchai song.wav` needs no subcommand, and its help shows its options.
transcribing = typer.Typer(**_SETTINGS)
commands = typer.Typer(**_SETTINGS)
COMMANDS = ("chords", "eval", "convert", "show", "schema", "doctor")

_EPILOG = (
    "Other commands: [bold]pitchai chords[/] names the chords, [bold]pitchai eval[/] measures how good it is, "
    "[bold]pitchai convert[/] turns results into other "
    "formats, [bold]pitchai doctor[/] checks the installation; each has its own --help. A file of such a name works as "
    "./eval."
)
Inputs = Annotated[
    list[str], typer.Argument(metavar="INPUT…", help="Recordings, folders or globs; - is standard input.")
]
Outputs = Annotated[
    list[str] | None,
    typer.Option("--output", "-o", help="A file, a folder, or - for stdout. Beside the recording if not given."),
]
Recursive = Annotated[bool, typer.Option("--recursive", "-r", help="Search folders within folders.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace results that exist.")]
SkipExisting = Annotated[bool, typer.Option("--skip-existing", help="Leave out what has its results.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document a recording.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print only the paths written.")]
PlotReference = Annotated[
    Path | None,
    typer.Option(help="The true notes: a picture shows what was hit, missed and added.", show_default=False),
]
# What a report's listener and the front end hear, in Hz.
_REPORT_SAMPLE_RATE, _PICTURE_SAMPLE_RATE = 24_000, 16_000
Model = Annotated[str | None, typer.Option(help="small, large, or a .safetensors file.", show_default=False)]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]
Precision = Annotated[
    str, typer.Option(help="auto, float32 or bfloat16; auto takes bfloat16 where the processor computes in it.")
]
Threads = Annotated[int | None, typer.Option(min=1, max=1024, help="CPU threads; torch's choice if not given.")]
Threshold = Annotated[float | None, typer.Option(min=0.0, max=1.0, show_default=False)]


@transcribing.command(epilog=_EPILOG)
def transcribe(
    inputs: Inputs,
    output: Outputs = None,
    formats: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            "-f",
            help="midi, json, csv, html, png, svg, jams, npz, or of the chords lab, chordpro or leadsheet, "
            "where -o's suffix doesn't say.",
        ),
    ] = None,
    recursive: Recursive = False,
    overwrite: Overwrite = False,
    skip_existing: SkipExisting = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    plot_reference: PlotReference = None,
    spectrogram: Annotated[
        bool, typer.Option("--spectrogram", help="Draw it behind the notes of a .png or .svg.")
    ] = False,
    no_sound: Annotated[
        bool, typer.Option("--no-sound", help="Leave recording and piano out of an .html: 60 MB less an hour.")
    ] = False,
    sonify: Annotated[
        Path | None,
        typer.Option(help="Play the notes on a piano, into a .wav, .flac, .ogg or .mp3.", show_default=False),
    ] = None,
    one_ear: Annotated[
        bool, typer.Option("--one-ear", help="With --sonify: the recording left, the notes right.")
    ] = False,
    no_chords: Annotated[bool, typer.Option("--no-chords", help="Listen for notes only: a little faster.")] = False,
    model: Model = None,
    device: Device = "auto",
    precision: Precision = "auto",
    threads: Threads = None,
    onset_threshold: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, help="Higher: fewer notes, surer ones.", show_default=False)
    ] = None,
    frame_threshold: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, help="Higher: shorter notes.", show_default=False)
    ] = None,
    min_note_length: Annotated[
        float | None, typer.Option(min=0.0, help="Leave out shorter notes (seconds).", show_default=False)
    ] = None,
    min_pitch: Annotated[
        int | None, typer.Option(min=0, max=127, help="Lowest MIDI number.", show_default=False)
    ] = None,
    max_pitch: Annotated[
        int | None, typer.Option(min=0, max=127, help="Highest MIDI number.", show_default=False)
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=lambda v: _version(v))
    ] = False,
) -> None:
    """Listen to recordings and write down their notes: [bold]pitchai song.wav -o song.mid[/]."""
    from transcribe.scale.batch import find_recordings, plan

    settings = _given(
        onset_threshold=onset_threshold,
        frame_threshold=frame_threshold,
        min_note_length=min_note_length,
        min_pitch=min_pitch,
        max_pitch=max_pitch,
    )
    options = Options(overwrite, skip_existing, as_json, quiet)
    options.check(output)
    jobs = options.left(plan(find_recordings(inputs, recursive), output or [], formats or []))
    if not jobs:
        return
    truth = _reference(plot_reference, [form for job in jobs for _, form in job.outputs])
    if spectrogram and not any(form.name in ("png", "svg") for job in jobs for _, form in job.outputs):
        raise UsageError("--spectrogram needs a picture to draw in: -o song.png or -o song.svg")
    jobs = [_illustrated(job, truth, spectrogram, not no_sound) for job in jobs]
    if sonify is not None:
        _check_sonify(sonify, jobs, one_ear, overwrite)
    elif one_ear:
        raise UsageError("--one-ear goes with --sonify")
    chordal = ("lab", "chordpro", "leadsheet")
    if no_chords and any(form.name in chordal for job in jobs for _, form in job.outputs):
        raise UsageError("--no-chords leaves nothing to write as .lab, ChordPro or lead sheet")
    _set_threads(threads)
    from transcribe.pipeline import ChordRecogniser, Transcriber

    chords = None if no_chords else ChordRecogniser(device=device, precision=precision)
    transcriber = Transcriber(model, device, chords, precision, **settings)

    def play(job: Job, result: Transcription) -> None:
        if sonify is not None:
            _sonify(result, sonify, job.recording.path if one_ear else None, overwrite)

    def show(job: Job, result: Transcription) -> None:
        print_tables(summary(_name(job), result, transcriber.device, [path for path, _ in job.outputs]))

    heard: list[Activations] = []
    listen = transcriber.transcribe_file
    if any(form.name == "npz" for job in jobs for _, form in job.outputs):
        jobs = [_with_activations(job, heard) for job in jobs]
        listen = partial(_listen_and_keep, transcriber, heard)
    _each(jobs, listen, show, transcriber.device, options, play)


def _with_activations(job: Job, heard: list[Activations]) -> Job:
    """Let the .npz among the outputs hold what was heard."""
    from transcribe.output.npz import to_npz
    from transcribe.scale.batch import Job

    def kept(form: Format) -> Format:
        return replace(form, write=lambda _: to_npz(heard)) if form.name == "npz" else form

    return Job(job.recording, tuple((path, kept(form)) for path, form in job.outputs))


def _listen_and_keep(
    transcriber: Transcriber, heard: list[Activations], path: str, progress: Progress | None
) -> Transcription:
    heard.clear()
    return transcriber.transcribe_file(path, progress, heard.append)


@commands.command()
def chords(
    inputs: Inputs,
    output: Annotated[
        list[str] | None,
        typer.Option("--output", "-o", help="A file, a folder, or - for stdout; nothing if not given."),
    ] = None,
    formats: Annotated[
        list[str] | None,
        typer.Option(
            "--format", "-f", help="lab, json, csv, jams, midi, chordpro or leadsheet, where -o's suffix doesn't say."
        ),
    ] = None,
    vocabulary: Annotated[
        str | None, typer.Option(help="majmin, triads, sevenths or full (sixths and basses too).", show_default="full")
    ] = None,
    recursive: Recursive = False,
    overwrite: Overwrite = False,
    skip_existing: SkipExisting = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    model: Annotated[str | None, typer.Option(help="A .safetensors file.", show_default=False)] = None,
    device: Device = "auto",
    precision: Precision = "auto",
    threads: Threads = None,
) -> None:
    """Name the chords of recordings: [bold]pitchai chords clip.wav[/], or [bold]-o song.lab[/] for programs.

    Without -o the chords are printed and nothing is written.
    """
    from transcribe.output.formats import CHORD_FORMATS
    from transcribe.scale.batch import find_recordings, plan

    options = Options(overwrite, skip_existing, as_json, quiet)
    options.check(output)
    if quiet and not (output or formats or as_json):
        raise UsageError("--quiet without -o would say nothing; give one, or leave out the other")
    jobs = options.left(plan(find_recordings(inputs, recursive), output or [], formats or [], CHORD_FORMATS, None))
    if not jobs:
        return
    _set_threads(threads)
    from transcribe.pipeline import ChordRecogniser

    recogniser = ChordRecogniser(model, device, precision, **({} if vocabulary is None else {"vocabulary": vocabulary}))

    def show(job: Job, result: Transcription) -> None:
        print_tables(*chord_chart(_name(job), result.chords))
        for path, _ in job.outputs:
            print_line(f"written: {clean(path)}")

    _each(jobs, recogniser.recognise_file, show, recogniser.device, options)


@dataclass(frozen=True)
class Options:
    """What the commands that listen have in common."""

    overwrite: bool
    skip_existing: bool
    as_json: bool
    quiet: bool

    def check(self, output: list[str] | None) -> None:
        """Refuse what contradicts itself."""
        if self.overwrite and self.skip_existing:
            raise UsageError("--overwrite and --skip-existing exclude each other")
        if self.as_json and "-" in (output or []):
            raise UsageError("--json and -o - would both write to stdout; choose one")

    def left(self, jobs: list[Job]) -> list[Job]:
        """Leave out what is done already; say so."""
        todo = [job for job in jobs if not (self.skip_existing and _is_done(job))]
        if len(todo) < len(jobs) and not self.quiet:
            say(f"{len(jobs) - len(todo)} of {len(jobs)} skipped: their results exist")
        if todo:
            _check_input_exists(todo)
        return todo


def _reference(path: Path | None, forms: Iterable[Format]) -> Transcription | None:
    """Read what pictures are drawn beside, if there is something."""
    if path is None:
        return None
    from transcribe.datasets import read_labels
    from transcribe.output.formats import PICTURES

    if not any(form.name in PICTURES for form in forms):
        raise UsageError("--plot-reference needs a picture to draw in: -o song.png, song.svg or song.html")
    return read_labels(path)


def _illustrated(job: Job, reference: Transcription | None, spectrogram: bool, sound: bool) -> Job:
    """Let the pictures and the report among the outputs know the recording and the truth."""
    from transcribe.audio import AudioReader
    from transcribe.output.formats import illustrated
    from transcribe.output.roll import Scene
    from transcribe.scale.batch import Job

    def blocks(sample_rate: int) -> Iterator[np.ndarray]:
        with AudioReader(job.recording.path, sample_rate) as reader:
            yield from reader.blocks()

    def scene(form: Format) -> Scene:
        rate = _REPORT_SAMPLE_RATE if form.name == "html" else _PICTURE_SAMPLE_RATE
        # Standard input can't be read twice.
        recording = None if job.recording.path == "-" else blocks(rate)
        return Scene(_name(job), reference, recording, rate, sound, spectrogram)

    if spectrogram and job.recording.path == "-":
        raise UsageError("--spectrogram needs the recording as a file: standard input can't be read twice")
    return Job(job.recording, tuple((path, illustrated(form, partial(scene, form))) for path, form in job.outputs))


def _check_sonify(target: Path, jobs: list[Job], one_ear: bool, overwrite: bool) -> None:
    from transcribe.output.sonify import SUFFIXES

    if target.suffix.lower() not in SUFFIXES:
        raise UsageError(f"{target}: sound is written as {', '.join(SUFFIXES)}")
    if len(jobs) > 1:
        raise UsageError("--sonify takes one recording")
    taken = [jobs[0].recording.path, *(path for path, _ in jobs[0].outputs)]
    if os.path.realpath(target) in map(os.path.realpath, taken):
        raise UsageError(f"{target}: the sound would replace the recording or a result; choose another --sonify")
    if one_ear and jobs[0].recording.path == "-":
        raise UsageError("--one-ear needs the recording as a file: standard input can't be read twice")
    _check_writable(target, overwrite)


def _sonify(result: Transcription, target: Path, recording: str | None, overwrite: bool) -> None:
    from transcribe.audio import load_audio
    from transcribe.output.formats import write_atomically
    from transcribe.output.sonify import SAMPLE_RATE, to_audio

    samples = load_audio(recording, SAMPLE_RATE).samples if recording else None
    write_atomically(target, to_audio(result, target.suffix, samples), overwrite)


def _given(**settings: float | None) -> dict[str, float]:
    """Keep the options that were given; the model's own settings stand for the others."""
    return {name: value for name, value in settings.items() if value is not None}


def _each(
    jobs: list[Job], listen: Listen, show: Show, device: str, options: Options, afterwards: Show | None = None
) -> None:
    """Listen to every recording and write its results, past those that fail; exit with the first failure's code."""
    first_failure = 0
    for number, job in enumerate(jobs, 1):
        try:
            label = f"{number}/{len(jobs)} {_name(job)}" if len(jobs) > 1 else _name(job)
            result = _listen_to_one(job, listen, label, options)
            if afterwards is not None:
                afterwards(job, result)
            paths = [path for path, _ in job.outputs]
            if options.as_json:
                from transcribe.output.formats import to_dict

                document = {"input": job.recording.path, "outputs": paths, "device": device, **to_dict(result)}
                print_line(json.dumps(document))
            elif "-" not in paths and not options.quiet:
                show(job, result)
            elif "-" not in paths and paths:
                print_paths(paths)
        except Exception as error:
            if len(jobs) == 1:
                raise
            first_failure = first_failure or _report(error)
    if first_failure:
        raise typer.Exit(first_failure)


def _listen_to_one(job: Job, listen: Listen, label: str, options: Options) -> Transcription:
    from transcribe.output.formats import write_atomically

    outputs = [(path, form) for path, form in job.outputs if not (options.skip_existing and os.path.exists(path))]
    for path, _ in outputs:
        if path != "-":
            _check_writable(Path(path), options.overwrite)
    with ProgressBar(label, options.quiet) as progress:
        result = listen(job.recording.path, _watched(progress))
    for warning in result.warnings:
        if not options.quiet:
            say(f"{_name(job)}: {warning}")
    for path, form in outputs:
        content = form.write(result)
        if path == "-":
            write(content)
        else:
            write_atomically(Path(path), content, options.overwrite)
    return result


def _check_writable(path: Path, overwrite: bool) -> None:
    """Refuse before the work what would fail after it."""
    from transcribe.output.formats import check_replaceable

    check_replaceable(path, overwrite)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{path}: its folder can't be made: {error.strerror}") from None
    if not os.access(path.absolute().parent, os.W_OK):
        raise OutputError(f"{path}: can't be written: no permission to write in {path.parent}")


def _is_done(job: Job) -> bool:
    return bool(job.outputs) and all(path != "-" and os.path.exists(path) for path, _ in job.outputs)


def _check_input_exists(jobs: list[Job]) -> None:
    """Save a person with a typing error the seconds that torch takes to load."""
    from transcribe.errors import InputError

    path = jobs[0].recording.path
    if len(jobs) == 1 and path != "-" and not os.path.lexists(path):
        raise InputError(f"{path}: no such file")


def _name(job: Job) -> str:
    return "standard input" if job.recording.path == "-" else Path(job.recording.path).name


@commands.command(name="eval")
def evaluate(
    dataset: Annotated[str | None, typer.Option(help="maestro, maps, pairs or chords.")] = None,
    data: Annotated[
        Path | None, typer.Option(help="The data set's folder; else the one of its name in $PITCHAI_DATA.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="train, validation, test or all.")] = None,
    labels: Annotated[Path | None, typer.Option(help="Take the labels from this folder instead.")] = None,
    pedal_extended: Annotated[
        bool, typer.Option("--pedal-extended", help="Let both sides' notes sound while the pedal is down.")
    ] = False,
    sweep: Annotated[bool, typer.Option("--sweep", help="Try onset thresholds from 0.1 to 0.9.")] = False,
    reference: Annotated[Path | None, typer.Option(help="Compare two files of notes: the truth,")] = None,
    estimate: Annotated[Path | None, typer.Option(help="and what is to be judged.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with every piece's figures.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no warnings.")] = False,
    model: Model = None,
    device: Device = "auto",
    precision: Precision = "auto",
    threads: Threads = None,
    onset_threshold: Threshold = None,
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
    if plot is not None and (dataset != "chords" or plot.suffix.lower() != ".png"):
        raise UsageError("--plot draws the confusions of labelled clips as .png: --dataset chords --plot confusion.png")
    if dataset == "chords" and (labels is not None or pedal_extended or sweep or onset_threshold is not None):
        raise UsageError("--labels, --pedal-extended, --sweep and --onset-threshold are about notes, not chords")
    if pages is not None:
        if dataset == "chords" or pages.suffix.lower() not in (".html", ".htm"):
            raise UsageError(
                "--report writes the notes of a data set as .html: --dataset maestro --report maestro.html"
            )
        _check_writable(pages, overwrite)
    compared: list[tuple[PieceScores, Transcription, Transcription]] = []
    if reference is not None and estimate is not None:
        labs = [path.suffix.lower() == ".lab" for path in (reference, estimate)]
        if all(labs):
            _compare_chords(reference, estimate, as_json)
            return
        if any(labs):
            raise UsageError("chords (.lab) can't be compared with notes; pitchai convert makes .lab of both")
        from transcribe.datasets import read_labels
        from transcribe.evaluation import compare

        truth, heard = read_labels(reference), read_labels(estimate)
        report = compare(truth, heard, pedal_extended)
        compared.append((report.pieces[0], truth, heard))
    else:
        from transcribe.datasets import load_dataset, with_labels_from

        pieces = load_dataset(dataset or "", data, split)
        if labels is not None:
            pieces = with_labels_from(pieces, labels)
        _set_threads(threads)
        if dataset == "chords":
            _evaluate_chords(pieces, model, device, precision, as_json, quiet, plot, overwrite)
            return
        from transcribe.evaluation import evaluate as run
        from transcribe.pipeline import Transcriber

        transcriber = Transcriber(model, device, None, precision, **_given(onset_threshold=onset_threshold))
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


def _write_pages(
    path: Path,
    report: Report,
    pieces: list[tuple[PieceScores, Transcription, Transcription]],
    title: str,
    overwrite: bool,
) -> None:
    """Write a page with the worst pieces first."""
    from transcribe.evaluation import METRICS
    from transcribe.output.formats import write_atomically
    from transcribe.output.report import compared

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
    from transcribe.chord_evaluation import evaluate_chords, evaluate_clips
    from transcribe.output.confusion import to_png
    from transcribe.output.formats import write_atomically
    from transcribe.pipeline import ChordRecogniser

    clips = [piece for piece in pieces if piece.labels.is_dir()]
    if clips and len(clips) < len(pieces):
        raise UsageError("songs with .lab files and folders of clips can't be measured together; give one or the other")
    if plot is not None and not clips:
        raise UsageError("--plot draws the confusions of labelled clips, and these are songs")
    if plot is not None:
        _check_writable(plot, overwrite)
    recogniser = ChordRecogniser(model, device, precision)
    with ProgressBar(f"{len(pieces)} pieces of chords", quiet) as progress:
        if not clips:
            songs = evaluate_chords(pieces, recogniser, progress)
            print_line(json.dumps(asdict(songs))) if as_json else print_tables(*chord_figures(songs))
            return
        report = evaluate_clips(clips, recogniser, progress=progress)
    print_line(json.dumps(asdict(report))) if as_json else print_tables(*confusion(report))
    if plot is not None:
        write_atomically(plot, to_png(report.confusion), overwrite)


def _compare_chords(reference: Path, estimate: Path, as_json: bool) -> None:
    from transcribe.chord_evaluation import ChordReport, score_chords
    from transcribe.datasets import read_chords

    scores = {name: value for name, (value, _) in score_chords(read_chords(reference), read_chords(estimate)).items()}
    report = ChordReport({"estimate": scores}, scores)
    print_line(json.dumps(asdict(report))) if as_json else print_tables(*chord_figures(report))


@commands.command()
def convert(
    source: Annotated[Path, typer.Argument(help="A result: MIDI, JSON, CSV or .lab.")],
    targets: Annotated[list[Path], typer.Argument(metavar="TARGET…", help="What to write; the suffix says how.")],
    plot_reference: PlotReference = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Don't print what was written.")] = False,
) -> None:
    """Turn a result into other formats, without listening again: [bold]pitchai convert song.json song.mid[/]."""
    from transcribe.output.formats import (
        CHORD_FORMATS,
        FORMATS,
        format_of,
        illustrated,
        read_transcription,
        write_atomically,
    )
    from transcribe.output.roll import Scene

    for target in targets:
        format_of(target)
        _check_writable(target, overwrite)
    transcription = read_transcription(source)
    # Where there are chords alone, a table or MIDI holds these.
    table = {**FORMATS, **CHORD_FORMATS} if transcription.chords and not transcription.notes else FORMATS
    forms = [(target, format_of(target, table)) for target in targets]
    for target, form in forms:
        if form.name in ("lab", "chordpro", "leadsheet") and not transcription.chords:
            raise UsageError(f"{source} holds no chords to write as {target.name}")
    truth = _reference(plot_reference, [form for _, form in forms])
    scene = Scene(source.name, truth)
    for target, form in forms:
        write_atomically(target, illustrated(form, lambda: scene).write(transcription), overwrite)
        if not quiet:
            print_paths([str(target)])


@commands.command()
def show(
    source: Annotated[Path, typer.Argument(help="A result, or any MIDI file.")],
    width: Annotated[int, typer.Option(min=10, max=1000, help="Columns of the picture.")] = 100,
) -> None:
    """Print what a result holds: its summary, and its notes as a picture."""
    from transcribe.output.formats import read_transcription

    result = read_transcription(source)
    if result.chords and not result.notes:
        print_tables(*chord_chart(source.name, result.chords))
    else:
        print_tables(summary(source.name, result), roll(result, width))


@commands.command()
def schema() -> None:
    """Print the JSON schema of what --json prints and -o song.json writes."""
    from transcribe.output.schema import schema as described

    print_line(json.dumps(described(), indent=2))


@commands.command()
def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Check the installation: versions, devices, decoders, weights and their checksums and terms."""
    from transcribe.doctor import examine

    report = examine()
    if as_json:
        print_line(json.dumps(report))
    else:
        print_tables(*(facts(title, section.items()) for title, section in report.items()))
    if any(value.startswith("FAULTY") for section in report.values() for value in section.values()):
        raise typer.Exit(4)


def _set_threads(threads: int | None) -> None:
    if threads is not None:
        import torch

        torch.set_num_threads(threads)


def _version(value: bool) -> None:
    if value:
        print_line(f"pitchai {__version__}")
        raise typer.Exit()


# What is raised inside a decoder's callback is swallowed there, so a signal to end is remembered, and obeyed later.
_ended: list[int] = []


def _terminated(_: int, frame: FrameType | None) -> None:
    _ended.append(143)
    if not _in_callback(frame):
        raise SystemExit(143)


def _interrupted(_: int, frame: FrameType | None) -> None:
    _ended.append(130)
    if not _in_callback(frame):
        raise KeyboardInterrupt


def _in_callback(frame: FrameType | None) -> bool:
    """Whether libsndfile has called back: soundfile reads through functions of these names."""
    while frame is not None:
        if frame.f_code.co_name.startswith("vio_"):
            return True
        frame = frame.f_back
    return False


def _watched(progress: Progress | None) -> Progress:
    """Report progress, and end where a signal to end was only remembered."""

    def report(done: float, total: float | None) -> None:
        if _ended:
            raise SystemExit(_ended[0])
        if progress is not None:
            progress(done, total)

    return report


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return the exit code; nothing is raised."""
    # Who closed stdout or stderr before the start gets nothing there, least of all the other's words.
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    _ended.clear()
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _terminated)
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # a shell's background job is deaf to it
            signal.signal(signal.SIGINT, _interrupted)
    try:
        words = (sys.argv[1:] if arguments is None else arguments) or ["--help"]
        program = commands if words[0] in COMMANDS else transcribing
        code = int(program(words, prog_name="pitchai", standalone_mode=False) or 0)
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 0
    except Exception as error:
        return _report(error)
    if code in (130, 143):
        say("interrupted" if code == 130 else "terminated")
    return code


def _report(error: Exception) -> int:
    """Say on one line what went wrong, and return the exit code for it."""
    if isinstance(error, PitchaiError):
        say(str(error))
        return error.exit_code
    describe = getattr(error, "format_message", None)
    if describe is not None:  # typer's own complaints about the arguments
        say(f"{describe().rstrip('.')}; see pitchai --help")
        return UsageError.exit_code
    if os.environ.get("PITCHAI_TRACEBACK"):
        raise error
    reason = " ".join(str(error).split())[:300]
    say(f"a bug: {type(error).__name__}: {reason}; please report it (PITCHAI_TRACEBACK=1 shows where)")
    return PitchaiError.exit_code
