"""The command ``pitchai``: arguments, printing, exit codes; nothing else.

stdout is the result; stderr is progress, warnings and errors. Heavy modules are imported inside the commands, so that
``--help`` is quick.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from transcribe import __version__
from transcribe.errors import OutputError, PitchaiError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rich.table import Table

    from transcribe.evaluation import Report
    from transcribe.events import Transcription
    from transcribe.pipeline import Progress, Transcriber
    from transcribe.scale.batch import Job

_SETTINGS: dict[str, Any] = {
    "add_completion": False,
    "pretty_exceptions_enable": False,
    "context_settings": {"help_option_names": ["-h", "--help"]},
}
# Two programs under one name: `pitchai song.wav` needs no subcommand, and its help shows its options.
transcribing = typer.Typer(**_SETTINGS)
commands = typer.Typer(**_SETTINGS)
COMMANDS = ("eval", "convert", "doctor")

_EPILOG = (
    "Other commands: [bold]pitchai eval[/] measures how good it is, [bold]pitchai convert[/] turns results into other "
    "formats, [bold]pitchai doctor[/] checks the installation; each has its own --help. A file of such a name works as "
    "./eval."
)
Model = Annotated[str | None, typer.Option(help="small, large, or a .safetensors file.", show_default=False)]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]
Threads = Annotated[int | None, typer.Option(min=1, max=1024, help="CPU threads; torch's choice if not given.")]
Threshold = Annotated[float | None, typer.Option(min=0.0, max=1.0, show_default=False)]


@transcribing.command(epilog=_EPILOG)
def transcribe(
    inputs: Annotated[
        list[str], typer.Argument(metavar="INPUT…", help="Recordings, folders or globs; - is standard input.")
    ],
    output: Annotated[
        list[str] | None,
        typer.Option("--output", "-o", help="A file, a folder, or - for stdout. Beside the recording if not given."),
    ] = None,
    formats: Annotated[
        list[str] | None,
        typer.Option("--format", "-f", help="midi, json, csv, png or svg, where -o's suffix doesn't say."),
    ] = None,
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="Search folders within folders.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace results that exist.")] = False,
    skip_existing: Annotated[bool, typer.Option("--skip-existing", help="Leave out what has its results.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document a recording.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only the paths written.")] = False,
    model: Model = None,
    device: Device = "auto",
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

    if overwrite and skip_existing:
        raise UsageError("--overwrite and --skip-existing exclude each other")
    if as_json and "-" in (output or []):
        raise UsageError("--json and -o - would both write to stdout; choose one")
    jobs = plan(find_recordings(inputs, recursive), output or [], formats or [])
    settings = _given(
        onset_threshold=onset_threshold,
        frame_threshold=frame_threshold,
        min_note_length=min_note_length,
        min_pitch=min_pitch,
        max_pitch=max_pitch,
    )
    todo = [job for job in jobs if not (skip_existing and _is_done(job))]
    if len(todo) < len(jobs) and not quiet:
        _say(f"{len(jobs) - len(todo)} of {len(jobs)} skipped: their results exist")
    if not todo:
        return
    _set_threads(threads)
    _check_input_exists(todo)
    from transcribe.pipeline import Transcriber

    transcriber = Transcriber(model, device, **settings)
    first_failure = 0
    for number, job in enumerate(todo, 1):
        try:
            label = f"{number}/{len(todo)} {_name(job)}" if len(todo) > 1 else _name(job)
            result = _transcribe_one(job, transcriber, label, overwrite, skip_existing, quiet)
            _print_result(job, result, transcriber, as_json, quiet)
        except Exception as error:
            if len(todo) == 1:
                raise
            first_failure = first_failure or _report(error)
    if first_failure:
        raise typer.Exit(first_failure)


def _given(**settings: float | None) -> dict[str, float]:
    """Keep the options that were given; the model's own settings stand for the others."""
    return {name: value for name, value in settings.items() if value is not None}


def _transcribe_one(
    job: Job, transcriber: Transcriber, label: str, overwrite: bool, skip_existing: bool, quiet: bool
) -> Transcription:
    from transcribe.output.formats import write_atomically

    outputs = [(path, form) for path, form in job.outputs if not (skip_existing and os.path.exists(path))]
    for path, _ in outputs:
        if path != "-":
            _check_writable(Path(path), overwrite)
    with _ProgressBar(label, quiet) as progress:
        result = transcriber.transcribe_file(job.recording.path, _watched(progress))
    for warning in result.warnings:
        if not quiet:
            _say(f"{_name(job)}: {warning}")
    for path, form in outputs:
        content = form.write(result)
        if path == "-":
            _write(content)
        else:
            write_atomically(Path(path), content, overwrite)
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
    return all(path != "-" and os.path.exists(path) for path, _ in job.outputs)


def _check_input_exists(jobs: list[Job]) -> None:
    """Save a person with a typing error the seconds that torch takes to load."""
    from transcribe.errors import InputError

    path = jobs[0].recording.path
    if len(jobs) == 1 and path != "-" and not os.path.lexists(path):
        raise InputError(f"{path}: no such file")


def _name(job: Job) -> str:
    return "standard input" if job.recording.path == "-" else Path(job.recording.path).name


def _print_result(job: Job, result: Transcription, transcriber: Transcriber, as_json: bool, quiet: bool) -> None:
    paths = [path for path, _ in job.outputs]
    if as_json:
        from transcribe.output.formats import to_dict

        _print(
            json.dumps({"input": job.recording.path, "outputs": paths, "device": transcriber.device, **to_dict(result)})
        )
    elif "-" not in paths:
        if quiet:
            _print_paths(paths)
        else:
            _print_tables(_summary(job, result, transcriber))


def _summary(job: Job, result: Transcription, transcriber: Transcriber) -> Table:
    rows = [("duration", _minutes(result.duration)), ("notes", str(len(result.notes)))]
    if result.notes:
        pitches = [note.pitch for note in result.notes]
        velocities = sorted(note.velocity for note in result.notes)
        sure = sum(note.confidence for note in result.notes) / len(result.notes)
        rows += [
            ("range", f"{pitch_name(min(pitches))} – {pitch_name(max(pitches))}"),
            ("velocity", f"{velocities[0]} – {velocities[-1]}, median {velocities[len(velocities) // 2]}"),
            ("confidence", f"{sure:.0%} of the notes are expected to be right"),
        ]
    if result.pedals:
        held = sum(pedal.offset - pedal.onset for pedal in result.pedals)
        rows.append(("pedal", f"{len(result.pedals)} × down, {held / max(result.duration, 1e-9):.0%} of the time"))
    if result.tempo is not None:
        rows.append(("tempo", f"about {result.tempo:.0f} beats a minute (a guess)"))
    rows.append(("heard by", f"{', '.join(result.models.values())} on {transcriber.device}"))
    rows += [("written", path) for path, _ in job.outputs]
    return _facts(_name(job), rows)


def _facts(title: str, rows: Iterable[tuple[str, str]]) -> Table:
    """Lay out names and values; any text may stand in them."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(_clean(title)), show_header=False, title_justify="left", title_style="bold")
    table.add_column(style="cyan")
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(Text(_clean(name)), Text(_clean(value)))
    return table


def pitch_name(pitch: int) -> str:
    """Name a MIDI number in scientific notation: 60 is C4."""
    names = ("C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B")
    return f"{names[pitch % 12]}{pitch // 12 - 1}"


def _minutes(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"


@commands.command(name="eval")
def evaluate(
    dataset: Annotated[str | None, typer.Option(help="maestro, maps or pairs.")] = None,
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
    threads: Threads = None,
    onset_threshold: Threshold = None,
) -> None:
    """Measure transcriptions against the truth, as the field measures them.

    [bold]pitchai eval --dataset maestro --data maestro-v3.0.0[/] or
    [bold]pitchai eval --reference a.mid --estimate b.mid[/].
    """
    if (reference is None) != (estimate is None):
        raise UsageError("--reference and --estimate belong together")
    if (reference is None) == (dataset is None):
        raise UsageError("give either --dataset, or --reference and --estimate")
    if reference is not None and estimate is not None:
        from transcribe.datasets import read_labels
        from transcribe.evaluation import compare

        report = compare(read_labels(reference), read_labels(estimate), pedal_extended)
    else:
        from transcribe.datasets import load_dataset, with_labels_from

        pieces = load_dataset(dataset or "", data, split)
        if labels is not None:
            pieces = with_labels_from(pieces, labels)
        _set_threads(threads)
        from transcribe.evaluation import evaluate as run
        from transcribe.pipeline import Transcriber

        transcriber = Transcriber(model, device, **_given(onset_threshold=onset_threshold))
        thresholds = [step / 10 for step in range(1, 10)] if sweep else []
        with _ProgressBar(f"{len(pieces)} pieces of {dataset}", quiet) as progress:
            report = run(dataset or "", pieces, transcriber, pedal_extended, thresholds, progress)
    for warning in report.warnings:
        if not quiet:
            _say(warning)
    if as_json:
        _print(json.dumps(report.to_dict()))
    else:
        _print_tables(*_figures(report))


def _figures(report: Report) -> Iterator[Table | str]:
    from rich.table import Table

    from transcribe.evaluation import METRICS

    table = Table("", "precision", "recall", "F1", title=f"{len(report.pieces)} pieces", title_justify="left")
    for metric, score in report.means.items():
        table.add_row(METRICS[metric], f"{score.precision:.4f}", f"{score.recall:.4f}", f"[bold]{score.f1:.4f}[/]")
    yield table
    if report.sweep:
        table = Table("onset threshold", *METRICS.values(), title="F1 over the threshold", title_justify="left")
        for threshold, scores in report.sweep.items():
            shown = [f"{scores[metric].f1:.4f}" if metric in scores else "" for metric in METRICS]
            table.add_row(f"{threshold:.1f}", *shown)
        yield table
    yield f"exact slices: {report.exact_slices:.4f} of the frames have all 88 keys right"
    if report.cpu_seconds:
        speed = report.audio_seconds / report.cpu_seconds
        yield f"speed: {speed:.1f} s of audio a CPU second, {_minutes(report.audio_seconds)} in all"
        yield "notes a minute: {:.1f} true, {:.1f} found".format(*report.notes_a_minute)
    if report.peak_memory:
        yield f"peak memory: {report.peak_memory / 1e6:.0f} MB"
    yield f"conventions: {report.conventions}"


@commands.command()
def convert(
    source: Annotated[Path, typer.Argument(help="A result: MIDI, JSON or CSV.")],
    targets: Annotated[list[Path], typer.Argument(metavar="TARGET…", help="What to write; the suffix says how.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Don't print what was written.")] = False,
) -> None:
    """Turn a result into other formats, without listening again: [bold]pitchai convert song.json song.mid[/]."""
    from transcribe.output.formats import format_of, read_transcription, write_atomically

    forms = [(target, format_of(target)) for target in targets]
    for target in targets:
        _check_writable(target, overwrite)
    transcription = read_transcription(source)
    for target, form in forms:
        write_atomically(target, form.write(transcription), overwrite)
        if not quiet:
            _print_paths([str(target)])


@commands.command()
def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Check the installation: versions, devices, decoders, weights and their checksums and terms."""
    from transcribe.doctor import examine

    report = examine()
    if as_json:
        _print(json.dumps(report))
    else:
        _print_tables(*(_facts(title, section.items()) for title, section in report.items()))
    if any(value.startswith("FAULTY") for section in report.values() for value in section.values()):
        raise typer.Exit(4)


# -- printing ---------------------------------------------------------------------------------------------------------


def _print(text: str) -> None:
    """Print to stdout; whoever has stopped reading there misses it, and the work goes on."""
    _write((text + "\n").encode("utf-8", "surrogateescape"))


def _print_paths(paths: Iterable[str]) -> None:
    """Print paths as they are for programs, without control characters for people."""
    _print("\n".join(_clean(path) if sys.stdout.isatty() else path for path in paths))


def _write(content: bytes) -> None:
    try:
        sys.stdout.flush()
        stream = getattr(sys.stdout, "buffer", None)
        if stream is None:  # a stream of text alone, as tests put there
            sys.stdout.write(content.decode("utf-8", "surrogateescape"))
        else:
            stream.write(content)
            stream.flush()
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - lives as long as the process
    except OSError as error:
        raise OutputError(f"standard output can't be written: {error.strerror or error}") from None


def _print_tables(*tables: Table | str) -> None:
    """Print to stdout; what is not a terminal has no width, so nothing is folded there."""
    from rich.console import Console

    console = Console(highlight=False, width=None if sys.stdout.isatty() else 10_000)
    with console.capture() as captured:
        for table in tables:
            console.print(table)
    _print(captured.get().rstrip("\n"))


def _say(message: str) -> None:
    with contextlib.suppress(OSError):
        print(f"pitchai: {_clean(message)}", file=sys.stderr, flush=True)


def _clean(text: str) -> str:
    """Show control characters instead of obeying them: file names may hold anything."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)
    return shown.encode("utf-8", "backslashreplace").decode()


class _ProgressBar:
    """A bar on stderr where that is a terminal, nothing elsewhere; gives the callback that moves it."""

    def __init__(self, label: str, quiet: bool) -> None:
        self._label = _clean(label)
        self._shown = sys.stderr.isatty() and not quiet
        self._bar: Any = None

    def __enter__(self) -> Progress | None:
        if not self._shown:
            return None
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
        self._bar.start()
        task = self._bar.add_task(self._label, total=None)
        return lambda done, total: self._bar.update(task, completed=done, total=total)

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()


def _set_threads(threads: int | None) -> None:
    if threads is not None:
        import torch

        torch.set_num_threads(threads)


def _version(value: bool) -> None:
    if value:
        _print(f"pitchai {__version__}")
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
        _say("interrupted" if code == 130 else "terminated")
    return code


def _report(error: Exception) -> int:
    """Say on one line what went wrong, and return the exit code for it."""
    if isinstance(error, PitchaiError):
        _say(str(error))
        return error.exit_code
    describe = getattr(error, "format_message", None)
    if describe is not None:  # typer's own complaints about the arguments
        _say(f"{describe().rstrip('.')}; see pitchai --help")
        return UsageError.exit_code
    if os.environ.get("PITCHAI_TRACEBACK"):
        raise error
    reason = " ".join(str(error).split())[:300]
    _say(f"a bug: {type(error).__name__}: {reason}; please report it (PITCHAI_TRACEBACK=1 shows where)")
    return PitchaiError.exit_code
