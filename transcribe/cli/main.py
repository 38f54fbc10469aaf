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
import warnings
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from transcribe import __version__
from transcribe.batch.atomic import check_writable
from transcribe.cli import evaluate as judging
from transcribe.cli import run as running
from transcribe.cli.console import (
    activity,
    bars,
    chord_chart,
    clean,
    facts,
    genres,
    print_line,
    print_paths,
    print_tables,
    roll,
    say,
    summary,
)
from transcribe.cli.options import (
    AsJson,
    BeatsFile,
    Detail,
    Device,
    Inputs,
    ManifestFile,
    MaxDuration,
    Model,
    ModelFile,
    Outputs,
    OutputsIfAsked,
    Overwrite,
    PlotReference,
    Precision,
    Quantize,
    Quiet,
    Ray,
    Recursive,
    SkipExisting,
    Tempo,
    Threads,
    Workers,
)
from transcribe.cli.run import given
from transcribe.errors import OutputError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from rich.table import Table
    from rich.text import Text

    from transcribe.batch.manifest import Manifest
    from transcribe.batch.plan import Job
    from transcribe.batch.work import Done, Listening
    from transcribe.events import Transcription
    from transcribe.formats.table import Format

_SETTINGS: dict[str, Any] = {
    "add_completion": False,
    "pretty_exceptions_enable": False,
    "context_settings": {"help_option_names": ["-h", "--help"]},
}
# Two programs under one name: `pitchai song.wav` needs no subcommand, and its help shows its options.
transcribing = typer.Typer(**_SETTINGS)
commands = typer.Typer(**_SETTINGS)
commands.command(name="eval")(judging.evaluate)
COMMANDS = ("chords", "beats", "instruments", "genre", "eval", "convert", "show", "schema", "doctor")

_EPILOG = (
    "Other commands: [bold]pitchai chords[/] names the chords, [bold]pitchai beats[/] finds beats and key, "
    "[bold]pitchai instruments[/] tells who plays, "
    "[bold]pitchai genre[/] guesses the genre, [bold]pitchai eval[/] measures how good it is, "
    "[bold]pitchai convert[/] turns results into other "
    "formats, [bold]pitchai doctor[/] checks the installation; each has its own --help. A file of such a name works as "
    "./eval."
)


@transcribing.command(epilog=_EPILOG)
def transcribe(
    inputs: Inputs,
    output: Outputs = None,
    formats: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            "-f",
            help="midi, json, csv, html, png, svg, jams, npz; a score as musicxml, mxl, pdf or score (.score.svg); of "
            "the chords lab, chordpro or leadsheet; where -o's suffix doesn't say.",
        ),
    ] = None,
    recursive: Recursive = False,
    overwrite: Overwrite = False,
    skip_existing: SkipExisting = False,
    workers: Workers = None,
    ray: Ray = None,
    manifest: ManifestFile = None,
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
    no_chords: Annotated[bool, typer.Option("--no-chords", help="Don't listen for chords: a little faster.")] = False,
    no_instruments: Annotated[
        bool, typer.Option("--no-instruments", help="Don't listen for instruments: a little faster.")
    ] = False,
    with_genre: Annotated[
        bool, typer.Option("--genre", help="Guess the genre too: costs more than the notes.")
    ] = False,
    tempo: Tempo = None,
    beats_file: BeatsFile = None,
    quantize: Quantize = False,
    detail: Detail = 1.0,
    model: Model = None,
    device: Device = "auto",
    precision: Precision = "auto",
    threads: Threads = None,
    max_duration: MaxDuration = 24.0,
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
    from transcribe.batch.work import Work, open_transcriber
    from transcribe.formats.table import FORMATS

    settings = given(
        onset_threshold=onset_threshold,
        frame_threshold=frame_threshold,
        min_note_length=min_note_length,
        min_pitch=min_pitch,
        max_pitch=max_pitch,
    )
    options = running.Options(overwrite, skip_existing, as_json, quiet, workers, manifest, ray, device, threads or 1)
    with _begun(inputs, recursive, output, formats, FORMATS, "midi", options) as (jobs, lines):
        if not jobs:
            return
        forms = [form for job in jobs for _, form in job.outputs]
        truth = running.read_reference(plot_reference, forms)
        if spectrogram and not any(form.name in ("png", "svg") for form in forms):
            raise UsageError("--spectrogram needs a picture to draw in: -o song.png or -o song.svg")
        if spectrogram and not all(job.recording.rereadable for job in jobs):
            raise UsageError("--spectrogram needs the recording as a file: a stream can't be read twice")
        if sonify is not None:
            _check_sonify(sonify, jobs, one_ear, overwrite)
        elif one_ear:
            raise UsageError("--one-ear goes with --sonify")
        if no_chords and any(form.name in ("lab", "chordpro", "leadsheet") for form in forms):
            raise UsageError("--no-chords leaves nothing to write as .lab, ChordPro or lead sheet")
        running.check_score(forms)
        timing = running.read_timing(tempo, beats_file, quantize, detail, len(jobs))
        wanted = {"chords": not no_chords, "instruments": not no_instruments, "genre": with_genre}
        others = tuple(name for name, asked in wanted.items() if asked)
        opened = partial(
            open_transcriber, model, device, precision, options.threads(threads), max_duration, others, settings, timing
        )
        hashed = lines is not None
        work = Work(opened, overwrite, skip_existing, truth, spectrogram, not no_sound, hashed, detail)

        def play(job: Job, done: Done) -> None:
            if sonify is not None:
                _sonify(done.result, sonify, job.recording.path if one_ear else None, 3600 * max_duration, overwrite)

        def show(job: Job, done: Done) -> None:
            print_tables(summary(job.recording.name, done.result, done.device, [path for path, _ in job.outputs]))

        running.run_each(jobs, work, show, options, lines, play)


@commands.command()
def chords(
    inputs: Inputs,
    output: OutputsIfAsked = None,
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
    workers: Workers = None,
    ray: Ray = None,
    manifest: ManifestFile = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    model: ModelFile = None,
    device: Device = "auto",
    precision: Precision = "auto",
    threads: Threads = None,
    max_duration: MaxDuration = 24.0,
) -> None:
    """Name the chords of recordings: [bold]pitchai chords clip.wav[/], or [bold]-o song.lab[/] for programs.

    Without -o the chords are printed and nothing is written.
    """
    from transcribe.batch.work import open_recogniser
    from transcribe.formats.table import CHORD_FORMATS

    options = running.Options(overwrite, skip_existing, as_json, quiet, workers, manifest, ray, device, threads or 1)
    opened = partial(
        open_recogniser,
        "chords",
        model,
        device,
        precision,
        options.threads(threads),
        max_duration,
        given(vocabulary=vocabulary),
    )
    with _begun(inputs, recursive, output, formats, CHORD_FORMATS, None, options) as (jobs, lines):
        _recognise(jobs, opened, lambda name, result: chord_chart(name, result.chords), options, lines)


@commands.command()
def beats(
    inputs: Inputs,
    output: OutputsIfAsked = None,
    formats: Annotated[
        list[str] | None,
        typer.Option("--format", "-f", help="beats, json, csv, midi or jams, where -o's suffix doesn't say."),
    ] = None,
    tempo: Tempo = None,
    recursive: Recursive = False,
    overwrite: Overwrite = False,
    skip_existing: SkipExisting = False,
    workers: Workers = None,
    ray: Ray = None,
    manifest: ManifestFile = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    model: Model = None,
    device: Device = "auto",
    precision: Precision = "auto",
    threads: Threads = None,
    max_duration: MaxDuration = 24.0,
) -> None:
    """Find the beats, the bars and the key: [bold]pitchai beats song.wav[/], or [bold]-o song.beats[/] for programs.

    Without -o they are printed and nothing is written.
    """
    from transcribe.batch.work import open_transcriber
    from transcribe.formats.table import BEAT_FORMATS

    options = running.Options(overwrite, skip_existing, as_json, quiet, workers, manifest, ray, device, threads or 1)
    timing = running.read_timing(tempo, None, False, 1.0)
    opened = partial(open_transcriber, model, device, precision, options.threads(threads), max_duration, (), {}, timing)
    with _begun(inputs, recursive, output, formats, BEAT_FORMATS, None, options) as (jobs, lines):
        _recognise(jobs, opened, bars, options, lines)


@commands.command()
def instruments(
    inputs: Inputs,
    output: OutputsIfAsked = None,
    formats: Annotated[
        list[str] | None,
        typer.Option("--format", "-f", help="lab, json, csv or jams, where -o's suffix doesn't say."),
    ] = None,
    vocabulary: Annotated[str | None, typer.Option(help="instruments or families.", show_default="instruments")] = None,
    threshold: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, help="Who plays is at least so probable.", show_default=False)
    ] = None,
    recursive: Recursive = False,
    overwrite: Overwrite = False,
    skip_existing: SkipExisting = False,
    workers: Workers = None,
    ray: Ray = None,
    manifest: ManifestFile = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    model: ModelFile = None,
    device: Device = "auto",
    precision: Precision = "auto",
    threads: Threads = None,
    max_duration: MaxDuration = 24.0,
) -> None:
    """Tell which instruments play, and when: [bold]pitchai instruments clip.wav[/].

    Without -o they are printed and nothing is written.
    """
    from transcribe.batch.work import open_recogniser
    from transcribe.formats.table import INSTRUMENT_FORMATS

    options = running.Options(overwrite, skip_existing, as_json, quiet, workers, manifest, ray, device, threads or 1)
    settings = given(vocabulary=vocabulary, threshold=threshold)
    opened = partial(
        open_recogniser, "instruments", model, device, precision, options.threads(threads), max_duration, settings
    )
    with _begun(inputs, recursive, output, formats, INSTRUMENT_FORMATS, None, options) as (jobs, lines):
        _recognise(jobs, opened, activity, options, lines)


@commands.command()
def genre(
    inputs: Inputs,
    output: OutputsIfAsked = None,
    formats: Annotated[
        list[str] | None,
        typer.Option("--format", "-f", help="json or csv, where -o's suffix doesn't say."),
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, help="Less probable: unsure.", show_default=False)
    ] = None,
    recursive: Recursive = False,
    overwrite: Overwrite = False,
    skip_existing: SkipExisting = False,
    workers: Workers = None,
    ray: Ray = None,
    manifest: ManifestFile = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    model: ModelFile = None,
    device: Device = "auto",
    threads: Threads = None,
    max_duration: MaxDuration = 24.0,
) -> None:
    """Guess the genre: [bold]pitchai genre song.wav[/]. Few recordings are of one genre alone; it says how sure it is.

    Without -o it is printed and nothing is written.
    """
    from transcribe.batch.work import open_recogniser
    from transcribe.formats.table import GENRE_FORMATS

    options = running.Options(overwrite, skip_existing, as_json, quiet, workers, manifest, ray, device, threads or 1)
    opened = partial(
        open_recogniser,
        "genre",
        model,
        device,
        "float32",
        options.threads(threads),
        max_duration,
        given(threshold=threshold),
    )
    with _begun(inputs, recursive, output, formats, GENRE_FORMATS, None, options) as (jobs, lines):
        _recognise(jobs, opened, genres, options, lines)


@contextmanager
def _begun(
    inputs: list[str],
    recursive: bool,
    output: list[str] | None,
    formats: list[str] | None,
    table: Mapping[str, Format],
    default: str | None,
    options: running.Options,
) -> Iterator[tuple[list[Job], Manifest | None]]:
    """Decide what is to be done, and open the manifest; ``default`` is the format written where none is asked for."""
    from transcribe.batch import storage
    from transcribe.batch.manifest import Manifest
    from transcribe.batch.plan import find_recordings, plan

    options.check(output)
    if default is None and options.quiet and not (output or formats or options.as_json):
        raise UsageError("--quiet without -o would say nothing; give one, or leave out the other")
    jobs = plan(find_recordings(inputs, recursive), output or [], formats or [], table, default)
    alone = len(jobs) == 1 and options.ray is None
    if options.beside and not alone and any(job.recording.path == "-" for job in jobs):
        raise UsageError(
            "--workers and --ray can't hear standard input beside other recordings; give it alone, or as a file"
        )
    if options.beside and not alone and any(map(storage.in_memory, (*inputs, *(output or [])))):
        raise UsageError("memory:// is this process's own: neither --workers nor --ray can reach it")
    manifest = None if options.manifest is None else storage.plain(options.manifest)
    if manifest is None and options.beside and len(jobs) > 1:
        folders = [storage.plain(name) for name in output or [] if not os.path.isfile(name)]
        manifest = storage.join(folders[0], Path("pitchai.jsonl")) if folders else None
    if manifest is None:
        yield options.left(jobs), None
        return
    if storage.is_there(manifest) and not options.skip_existing and not options.overwrite:
        raise OutputError(f"{manifest}: exists already; --skip-existing goes on from it, --overwrite begins anew")
    taken = {storage.same(path) for job in jobs for path in (job.recording.path, *(out for out, _ in job.outputs))}
    if storage.same(manifest) in taken:
        raise OutputError(f"{manifest}: is a recording or a result; choose another --manifest")
    storage.check_writable(manifest, True, "--manifest")
    with Manifest(manifest, anew=options.overwrite) as lines:
        yield options.left(jobs, lines), lines


def _recognise(
    jobs: list[Job],
    opened: Callable[[], Listening],
    tables: Callable[[str, Transcription], Iterable[Table | Text]],
    options: running.Options,
    lines: Manifest | None,
) -> None:
    """Listen to every recording, print what was found and where it was written."""
    from transcribe.batch.work import Work

    def show(job: Job, done: Done) -> None:
        print_tables(*tables(job.recording.name, done.result))
        for path, _ in job.outputs:
            print_line(f"written: {clean(path)}")

    if jobs:
        work = Work(opened, options.overwrite, options.skip_existing, hashed=lines is not None)
        running.run_each(jobs, work, show, options, lines)


def _check_sonify(target: Path, jobs: list[Job], one_ear: bool, overwrite: bool) -> None:
    from transcribe.report.sonify import SUFFIXES

    if target.suffix.lower() not in SUFFIXES:
        raise UsageError(f"{target}: sound is written as {', '.join(SUFFIXES)}")
    if len(jobs) > 1:
        raise UsageError("--sonify takes one recording")
    taken = [jobs[0].recording.path, *(path for path, _ in jobs[0].outputs)]
    if os.path.realpath(target) in map(os.path.realpath, taken):
        raise UsageError(f"{target}: the sound would replace the recording or a result; choose another --sonify")
    if one_ear and not jobs[0].recording.rereadable:
        raise UsageError("--one-ear needs the recording as a file: a stream can't be read twice")
    check_writable(target, overwrite)


def _sonify(result: Transcription, target: Path, recording: str | None, max_duration: float, overwrite: bool) -> None:
    from transcribe.audio import AudioReader
    from transcribe.batch.atomic import write_atomically
    from transcribe.batch.storage import here
    from transcribe.report.sonify import SAMPLE_RATE, write_audio

    def write(file: IO[bytes]) -> None:
        if recording is None:
            write_audio(file, result, target.suffix)
            return
        with here(recording) as path, AudioReader(path, SAMPLE_RATE, max_duration=max_duration) as reader:
            write_audio(file, result, target.suffix, reader.blocks())

    write_atomically(target, write, overwrite)


@commands.command()
def convert(
    source: Annotated[Path, typer.Argument(help="A result: MIDI, JSON, CSV or .lab.")],
    targets: Annotated[list[Path], typer.Argument(metavar="TARGET…", help="What to write; the suffix says how.")],
    plot_reference: PlotReference = None,
    tempo: Tempo = None,
    beats_file: BeatsFile = None,
    quantize: Quantize = False,
    detail: Detail = 1.0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Don't print what was written.")] = False,
) -> None:
    """Turn a result into other formats, without listening again: [bold]pitchai convert song.json song.mid[/]."""
    from transcribe.batch.atomic import write_atomically
    from transcribe.formats.table import (
        CHORD_FORMATS,
        FORMATS,
        SCORES,
        detailed,
        format_of,
        illustrated,
        read_transcription,
    )
    from transcribe.report.roll import Scene
    from transcribe.score.analysis import analysed

    for target in targets:
        format_of(target)
        check_writable(target, overwrite)
    transcription = read_transcription(source)
    if not quiet:
        _say_remarks(source, transcription)
    # Where there are chords alone, a table or MIDI holds these.
    table = {**FORMATS, **CHORD_FORMATS} if transcription.chords and not transcription.notes else FORMATS
    forms = [(target, format_of(target, table)) for target in targets]
    for target, form in forms:
        if form.name in ("lab", "chordpro", "leadsheet") and not transcription.chords:
            raise UsageError(f"{source} holds no chords to write as {target.name}")
    running.check_score(form for _, form in forms)
    timing = running.read_timing(tempo, beats_file, quantize, detail)
    if timing.tempo or timing.beats or quantize or any(form.name in SCORES for _, form in forms):
        transcription = analysed(transcription, timing)
    truth = running.read_reference(plot_reference, [form for _, form in forms])
    scene = Scene(source.name, truth)
    for target, form in forms:
        write_atomically(target, detailed(illustrated(form, lambda: scene), detail).write(transcription), overwrite)
        if not quiet:
            print_paths([str(target)])


@commands.command()
def show(
    source: Annotated[Path, typer.Argument(help="A result, or any MIDI file.")],
    width: Annotated[int, typer.Option(min=10, max=1000, help="Columns of the picture.")] = 100,
) -> None:
    """Print what a result holds: its summary, and its notes as a picture."""
    from transcribe.formats.table import read_transcription

    result = read_transcription(source)
    _say_remarks(source, result)
    if result.chords and not result.notes:
        print_tables(*chord_chart(source.name, result.chords))
    else:
        print_tables(summary(source.name, result), roll(result, width))


def _say_remarks(source: Path, result: Transcription) -> None:
    """Say what was odd when it was heard or read."""
    for warning in result.warnings:
        say(f"{source.name}: {warning}")


@commands.command()
def schema() -> None:
    """Print the JSON schema of what --json prints and -o song.json writes."""
    from transcribe.formats.schema import schema as described

    print_line(json.dumps(described(), indent=2))


@commands.command()
def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Check the installation: versions, devices, decoders, weights and their checksums and terms."""
    from transcribe.cli.doctor import examine

    report = examine()
    if as_json:
        print_line(json.dumps(report))
    else:
        print_tables(*(facts(title, section.items()) for title, section in report.items()))
    if any(value.startswith("FAULTY") for section in report.values() for value in section.values()):
        raise typer.Exit(4)


def _with_address(words: list[str]) -> list[str]:
    """Say ``auto`` where ``--ray`` has no address: typer knows no option whose value may be left out."""
    following = [*words[1:], "-"]
    return [
        "--ray=auto" if word == "--ray" and after.startswith("-") else word
        for word, after in zip(words, following, strict=True)
    ]


def _version(value: bool) -> None:
    if value:
        print_line(f"pitchai {__version__}")
        raise typer.Exit()


def _say_warning(message: Warning | str, *_: object, **__: object) -> None:
    say(" ".join(str(message).split()))


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return the exit code; nothing is raised."""
    # Who closed stdout or stderr before the start gets nothing there, least of all the other's words.
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    running.ended.clear()
    warnings.showwarning = _say_warning
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, running.on_sigterm)
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # a shell's background job is deaf to it
            signal.signal(signal.SIGINT, running.on_sigint)
    try:
        words = _with_address((sys.argv[1:] if arguments is None else arguments) or ["--help"])
        program = commands if words[0] in COMMANDS else transcribing
        code = int(program(words, prog_name="pitchai", standalone_mode=False) or 0)
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 0
    except Exception as error:
        return running.report_error(error)
    # A signal inside a decoder was only remembered.
    code = code or next(iter(running.ended), 0)
    if code in (130, 143):
        say("interrupted" if code == 130 else "terminated")
    return code
