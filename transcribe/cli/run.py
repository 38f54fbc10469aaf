"""Recordings one after the other: listened to, written, reported; past those that fail, and until a signal ends it."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import typer

from transcribe.cli.console import BatchBar, ProgressBar, print_line, print_paths, say, write
from transcribe.errors import InputError, PitchaiError, UsageError

if TYPE_CHECKING:
    from transcribe.batch.manifest import Line, Manifest
    from transcribe.batch.plan import Job
    from transcribe.batch.work import Done, Work
    from transcribe.engine.task import Progress
    from transcribe.events import Transcription
    from transcribe.formats.format import Format
    from transcribe.score.analysis import Timing

    Show = Callable[[Job, Done], None]


@dataclass(frozen=True)
class Options:
    """What the commands that listen have in common; without ``workers`` and ``ray`` this process does the work.

    ``ray`` is a cluster's address, whose machines work with ``n_threads`` each on ``device``.
    """

    overwrite: bool
    skip_existing: bool
    as_json: bool
    quiet: bool
    workers: int | None = None
    manifest: str | None = None
    ray: str | None = None
    device: str = "auto"
    n_threads: int = 1

    @property
    def beside(self) -> bool:
        """Whether others do the work, several recordings at once."""
        return self.workers is not None or self.ray is not None

    def check(self, output: list[str] | None) -> None:
        """Refuse what contradicts itself."""
        if self.overwrite and self.skip_existing:
            raise UsageError("--overwrite and --skip-existing exclude each other")
        if self.as_json and "-" in (output or []):
            raise UsageError("--json and -o - would both write to stdout; choose one")
        if self.ray is not None:
            from transcribe.batch.cluster import check_address, import_ray

            check_address(self.ray)
            import_ray()

    def threads(self, threads: int | None) -> int | None:
        """Give each worker a thread unless told otherwise: results don't depend on how many workers there are."""
        return threads if threads is not None or not self.beside else 1

    def left(self, jobs: list[Job], manifest: Manifest | None = None) -> list[Job]:
        """Leave out what is done already; say so. A manifest that an earlier run began knows what that finished."""
        from transcribe.batch.storage import existing

        there = existing(path for job in jobs for path, _ in job.outputs) if self.skip_existing else set()
        done = [self.skip_existing and _is_done(job, manifest, there) for job in jobs]
        todo = [job for job, there in zip(jobs, done, strict=True) if not there]
        if manifest is not None and not manifest.resumed:
            # Made by a run without a manifest: how long it took, and what was heard, nobody knows.
            for job in (job for job, there in zip(jobs, done, strict=True) if there):
                manifest.add(_line(job, None))
        if len(todo) < len(jobs) and not self.quiet:
            say(f"{len(jobs) - len(todo)} of {len(jobs)} skipped: their results exist")
        if todo:
            _check_input_exists(todo)
        return todo


def read_reference(path: Path | None, forms: Iterable[Format]) -> Transcription | None:
    """Read what pictures are drawn beside, if there is something."""
    if path is None:
        return None
    from transcribe.notes.datasets import read_labels

    if not any("reference" in form.shows for form in forms):
        raise UsageError("--plot-reference needs a picture to draw in: -o song.png, song.svg or song.html")
    return read_labels(path)


def check_score(forms: Iterable[Format]) -> None:
    """See that what a score needs is there before anything is listened to."""
    for form in forms:
        if form.check is not None:
            form.check()


def read_timing(
    tempo: float | None, beats: Path | None, quantize: bool, detail: float, n_recordings: int = 1
) -> Timing:
    """Put together what is known of the beats."""
    from transcribe.beats.datasets import read_beats
    from transcribe.score.analysis import Timing

    if beats is not None and tempo is not None:
        raise UsageError("--tempo and --beats exclude each other: beats have a tempo")
    if beats is not None and n_recordings > 1:
        raise UsageError("--beats goes with one recording")
    return Timing(tempo, None if beats is None else read_beats(beats), quantize, detail)


def run_each(
    jobs: list[Job],
    work: Work,
    show: Show,
    options: Options,
    manifest: Manifest | None = None,
    afterwards: Show | None = None,
) -> None:
    """Do the work for every recording, past those that fail; exit with the first failure's code.

    With workers other processes do it, and results come as they are done; else this one does.
    """
    if manifest is not None:
        manifest.begin()
    outcomes: Iterator[tuple[Job, Done | Exception]]
    if options.ray is not None:
        outcomes = _on_cluster(jobs, work, options)
    elif options.workers is not None and len(jobs) > 1:
        from transcribe.batch.pool import each

        processes = each(_read_ahead(jobs, options.workers), work.begin, options.workers)
        outcomes = _beside(processes, len(jobs), options)
    else:
        outcomes = _here(jobs, work, options)
    first_failure = 0
    for job, outcome in outcomes:
        try:
            if manifest is not None:
                manifest.add(_line(job, outcome))
            if isinstance(outcome, Exception):
                raise outcome
            for warning in outcome.result.warnings:
                if not options.quiet:
                    say(f"{job.recording.name}: {warning}")
            if outcome.printed:
                write(outcome.printed)
            if afterwards is not None:
                afterwards(job, outcome)
            _report(job, outcome, show, options)
        except Exception as error:
            if len(jobs) == 1:
                raise
            exit_code = report_error(error)
            first_failure = first_failure or exit_code
    if first_failure:
        raise typer.Exit(first_failure)


def _here(jobs: list[Job], work: Work, options: Options) -> Iterator[tuple[Job, Done | Exception]]:
    """Do the work in this process, with a bar for each recording."""
    worker = work.begin()
    for number, job in enumerate(jobs, 1):
        label = f"{number}/{len(jobs)} {job.recording.name}" if len(jobs) > 1 else job.recording.name
        outcome: Done | Exception
        try:
            with ProgressBar(label, options.quiet) as progress:
                outcome = worker(job, _watched(progress))
        except Exception as error:
            outcome = error
        yield job, outcome


def _on_cluster(jobs: list[Job], work: Work, options: Options) -> Iterator[tuple[Job, Done | Exception]]:
    """Do the work on the machines of a cluster."""
    from transcribe.batch.cluster import Sharing, connected, each_on_cluster, gpus_for

    assert options.ray is not None
    with connected(options.ray) as dashboard:
        if dashboard is not None and not options.quiet:
            say(f"Ray's dashboard: http://{dashboard}")
        sharing = Sharing(options.n_threads, gpus_for(options.device), options.workers)
        yield from _beside(each_on_cluster(jobs, work, sharing), len(jobs), options)


def _beside(
    outcomes: Iterator[tuple[Job, Done | Exception]], n_jobs: int, options: Options
) -> Iterator[tuple[Job, Done | Exception]]:
    """Pass on what others have done, with a bar for all, and a line in the end."""
    from transcribe.batch.pool import DiedError

    began, hours, failed = time.monotonic(), 0.0, 0
    with BatchBar(n_jobs, options.quiet) as advance:
        for number, (job, outcome) in enumerate(outcomes, 1):
            if ended:
                raise SystemExit(ended[0])
            if isinstance(outcome, DiedError):
                outcome = InputError(f"{job.recording.name}: {outcome}; its other recordings are not affected")
            if isinstance(outcome, Exception):
                failed += 1
            else:
                hours += outcome.result.duration / 3600
            advance(number, hours / max(time.monotonic() - began, 1e-9) * 3600)
            yield job, outcome
    if not options.quiet:
        seconds = time.monotonic() - began
        rate = f"{hours:.2f} hours of audio in {seconds:.0f} s: {hours / max(seconds, 1e-9) * 3600:.0f} hours an hour"
        say(f"{n_jobs - failed} of {n_jobs} recordings, {rate}" + (f"; {failed} failed" if failed else ""))


def _read_ahead(jobs: list[Job], workers: int) -> Iterator[Job]:
    """Pass the jobs on, and have the system read what comes after those that are at work."""
    for number, job in enumerate(jobs):
        if hasattr(os, "posix_fadvise") and number + workers < len(jobs):
            path = jobs[number + workers].recording.path
            with contextlib.suppress(OSError, ValueError):
                if Path(path).is_file():
                    descriptor = os.open(path, os.O_RDONLY)
                    try:
                        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_WILLNEED)
                    finally:
                        os.close(descriptor)
        yield job


def _line(job: Job, outcome: Done | Exception | None) -> Line:
    from transcribe.batch.manifest import Line, checksum

    outputs = tuple(path for path, _ in job.outputs)
    if outcome is None or isinstance(outcome, Exception):
        reason = None if outcome is None else describe(outcome)[0]
        return Line(job.recording.path, checksum(job.recording.path), outputs, None, None, 0.0, reason)
    result = outcome.result
    duration, seconds = round(result.duration, 3), round(outcome.seconds, 3)
    return Line(job.recording.path, outcome.sha256, outputs, duration, len(result.notes), seconds, None)


def _report(job: Job, done: Done, show: Show, options: Options) -> None:
    paths = [path for path, _ in job.outputs]
    if options.as_json:
        from transcribe.formats.json import to_dict

        print_line(
            json.dumps({"input": job.recording.path, "outputs": paths, "device": done.device, **to_dict(done.result)})
        )
    elif "-" not in paths and not options.quiet:
        show(job, done)
    elif "-" not in paths and done.written:
        print_paths(done.written)


def _is_done(job: Job, manifest: Manifest | None, there: set[str]) -> bool:
    """Whether all results are there, and a manifest that an earlier run began says so too."""
    outputs = [path for path, _ in job.outputs]
    if manifest is not None and manifest.resumed:
        return there.issuperset(outputs) and manifest.has(job.recording.path, outputs)
    return bool(outputs) and there.issuperset(outputs)


def _check_input_exists(jobs: list[Job]) -> None:
    """Save a person with a typing error the second that networks take to load."""
    from transcribe.batch.storage import is_remote

    path = jobs[0].recording.path
    if len(jobs) == 1 and path != "-" and not is_remote(path) and not os.path.lexists(path):
        raise InputError(f"{path}: no such file")


# What is raised inside a decoder's callback is swallowed there, so a signal to end is remembered, and obeyed later.
ended: list[int] = []


def on_sigterm(_: int, frame: FrameType | None) -> None:
    """End at once, or soon."""
    ended.append(143)
    if not _in_callback(frame):
        raise SystemExit(143)


def on_sigint(_: int, frame: FrameType | None) -> None:
    """Interrupt at once, or soon."""
    ended.append(130)
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
        if ended:
            raise SystemExit(ended[0])
        if progress is not None:
            progress(done, total)

    return report


_BUG = "a bug"


def report_error(error: Exception) -> int:
    """Say on one line what went wrong, and return the exit code for it."""
    if os.environ.get("PITCHAI_TRACEBACK") and not (
        isinstance(error, PitchaiError) or hasattr(error, "format_message")
    ):
        raise error
    text, exit_code = describe(error)
    say(text)
    return exit_code


def describe(error: Exception) -> tuple[str, int]:
    """Put into a line what went wrong, and choose the exit code for it."""
    if isinstance(error, PitchaiError):
        return str(error), error.exit_code
    complain = getattr(error, "format_message", None)
    if complain is not None:  # typer's own complaints about the arguments
        return f"{complain().rstrip('.')}; see pitchai --help", UsageError.exit_code
    reason = " ".join(str(error).split())[:300]
    told = f"{_BUG}: {type(error).__name__}: {reason}; please report it (PITCHAI_TRACEBACK=1 shows where)"
    return told, PitchaiError.exit_code


def given(**settings: Any) -> dict[str, Any]:
    """Keep the options that were given; the model's own settings stand for the others."""
    return {name: value for name, value in settings.items() if value is not None}
