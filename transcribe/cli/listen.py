"""The commands that listen: one for each task, and ``pitchai song.wav``, which hears several together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from transcribe import __version__
from transcribe.cli import run as running
from transcribe.cli.console import clean, print_line
from transcribe.cli.groups import Settings, given, settings_of, switched_on, switches_of, unpacked
from transcribe.cli.options import (
    Batch,
    Charts,
    Computing,
    KnownBeats,
    Part,
    Parts,
    Pictures,
    Rhythm,
    Scores,
    Sound,
    rendering_of,
    timing,
)
from transcribe.cli.tables import print_tables, summed_up
from transcribe.errors import UsageError
from transcribe.registry import TASKS, ReadingTask, task_named

if TYPE_CHECKING:
    from transcribe.batch.plan import Job
    from transcribe.batch.work import Done
    from transcribe.formats.format import Format
    from transcribe.registry import Task
    from transcribe.score.analysis import Timing
    from transcribe.transcriber import Transcriber

NOTES = task_named("notes")
_NOTES_MODELS = (
    "small, medium or large, of pianos, or small-free and so on, whose weights anybody may use, in business too; any, "
    "of any instruments, and auto, which takes it where no piano plays alone, if they are installed; or a .safetensors "
    "file."
)
# What can be heard beside the notes; what is made from notes is there anyway.
_OTHERS = tuple(task for task in TASKS if task is not NOTES and not task.requires)


def command_of(task: Task) -> Callable[..., None]:
    """Make a task's command: it prints what it finds, and writes it where asked to."""

    def listen(
        batch: Batch,
        heard: Part,
        settings: object,
        computing: Computing,
        known: KnownBeats = KnownBeats(),  # noqa: B008 (frozen)
        charts: Charts = Charts(),  # noqa: B008
    ) -> None:
        known_timing = timing(known, Rhythm())
        read = task.reads if isinstance(task, ReadingTask) else frozenset[str]()
        with running.begun(batch, computing, task.formats, None, read=read) as run:
            charts.check((form for job in run.jobs for _, form in job.outputs), len(run.jobs))
            work = running.work_of(
                run,
                _opener(run, [task], given(settings), known_timing, heard),
                rendering=rendering_of(Rhythm(), charts, Scores()),
                title=charts.title,
                transpose=charts.transpose,
            )
            running.run_each(run, work, partial(_show, task))

    listen.__doc__ = f"{task.help}\n\n[bold]pitchai {task.name} song.wav[/] prints what is found; -o writes it."
    groups = {"batch": Batch, "heard": Part, "settings": settings_of(task), "computing": Computing}
    helps = {"formats": _formats_help(task.formats), "model": _model_help(task)}
    return unpacked(listen, helps=helps, without=_useless(task), **groups)


def _useless(task: Task) -> list[str]:
    """Name the options that would make no difference to a task."""
    found = [] if _has_precisions(task) else ["precision"]
    if not task.requires:  # only what is made from notes has tempo and beats
        found += [field.name for field in fields(KnownBeats)]
    if not any(form.charted for form in task.formats.values()):
        found += ["title", "capo"]
    if not {"midi", "chordpro"}.intersection(task.formats):  # it knows of no pitches
        found += ["transpose"]
    return found


def default_command() -> Callable[..., None]:
    """Make the command that hears notes and more, and writes them beside the recording."""
    helps = {
        "output": "A file, whose suffix says what is written; a folder; or - for standard output. May be given several "
        "times. A .mid beside the recording if not given.",
        "formats": _formats_help(NOTES.formats),
        "model": _model_help(NOTES),
    }
    return unpacked(_transcribe, helps=helps, settings=settings_of(NOTES), switches=switches_of(_OTHERS))


def _version(value: bool) -> None:
    if value:
        print_line(f"pitchai {__version__}")
        raise typer.Exit()


def _transcribe(
    batch: Batch,
    heard: Part,
    switches: object,
    known: KnownBeats,
    rhythm: Rhythm,
    charts: Charts,
    scores: Scores,
    parts: Parts,
    pictures: Pictures,
    sound: Sound,
    settings: object,
    computing: Computing,
    no_snap: Annotated[
        bool, typer.Option("--no-snap", help="Leave chords where they are heard to change, not on the beats near by.")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_version)
    ] = False,
) -> None:
    """Listen to recordings and write down their notes: [bold]pitchai song.wav -o song.mid[/]."""
    tasks = [NOTES, *switched_on(switches, _OTHERS)]
    with running.begun(batch, computing, NOTES.formats, "midi", sound.sonify) as run:
        forms = [form for job in run.jobs for _, form in job.outputs]
        _check_needs(forms, [task.name for task in tasks])
        running.check_packages(forms)
        charts.check(forms, len(run.jobs))
        scores.check(forms)
        parts.check(forms)
        reference = running.read_reference(pictures.plot_reference, forms)
        if pictures.spectrogram:
            _check_spectrogram(run.jobs, forms)
        sound.check(forms, all(job.recording.rereadable for job in run.jobs))
        known_timing = replace(timing(known, rhythm, len(run.jobs)), snap=not no_snap)
        opened = _opener(run, tasks, given(settings), known_timing, heard)
        work = running.work_of(
            run,
            opened,
            reference=reference,
            spectrogram=pictures.spectrogram,
            sound=not pictures.no_sound,
            rendering=rendering_of(rhythm, charts, scores, sound.one_ear),
            title=charts.title,
            composer=scores.composer,
            transpose=charts.transpose,
            simplify=scores.simplify,
            instruments=parts.names,
            part=parts.part,
        )

        def show(job: Job, done: Done) -> None:
            print_tables(summed_up(job.recording.name, done.result, done.device, [path for path, _ in job.outputs]))

        running.run_each(run, work, show)


def _opener(
    run: running.Run, tasks: Sequence[Task], settings: Settings, known: Timing, heard: Part
) -> Callable[..., Transcriber]:
    """Say how the transcriber is loaded, here or by a worker; the first of its tasks has the settings."""
    from transcribe.transcriber import Transcriber

    return partial(
        Transcriber,
        tasks=tuple(task.name for task in tasks),
        model=run.computing.model,
        device=run.computing.device,
        precision=run.computing.precision,
        threads=run.computing.n_threads(run.batch.parallel),
        max_duration=3600 * run.computing.max_duration,
        timing=known,
        excerpt=heard.excerpt,
        **settings,
    )


def _show(task: Task, job: Job, done: Done) -> None:
    """Print what a task found and where it was written."""
    print_tables(*task.tables(job.recording.name, done.result))
    for path, _ in job.outputs:
        print_line(f"written: {clean(path)}")


def _formats_help(formats: Mapping[str, Format]) -> str:
    return f"What to write, where -o's suffix doesn't say: {', '.join(formats)}."


def _model_help(task: Task) -> str:
    return _NOTES_MODELS if "notes" in (task.name, *task.requires) else "A .safetensors file."


def _has_precisions(task: Task) -> bool:
    """Whether one of the task's networks, or of those that it is made from, can compute in several precisions."""
    precisions = [getattr(one, "precisions", ()) for one in (task, *map(task_named, task.requires))]
    return any(len(offered) > 1 for offered in precisions)


def _check_needs(forms: Sequence[Format], tasks: Sequence[str]) -> None:
    for form in forms:
        for missing in form.needs.difference(tasks, ["activations"]):
            raise UsageError(f"--no-{missing} leaves nothing to write as {form.name}; leave out one of them")


def _check_spectrogram(jobs: Sequence[Job], forms: Sequence[Format]) -> None:
    if not any("spectrogram" in form.shows for form in forms):
        raise UsageError("--spectrogram needs a picture to draw in: -o song.png or -o song.svg")
    if not all(job.recording.rereadable for job in jobs):
        raise UsageError("--spectrogram needs the recording as a file: a stream can't be read twice")
