"""Run a batch: do each recording's work, write and report it; go on after failures, stop on a signal."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from transcribe.cli import signals
from transcribe.cli.console import BatchBar, ProgressBar, describe, print_line, print_paths, report_error, say, write
from transcribe.cli.options import Batch, Computing
from transcribe.errors import InputError, UsageError
from transcribe.report.summary import counted, minutes

if TYPE_CHECKING:
    from transcribe.batch.manifest import Line, Manifest
    from transcribe.batch.plan import Job
    from transcribe.batch.work import Done, Work
    from transcribe.events import Transcription
    from transcribe.formats.format import Format
    from transcribe.transcriber import Transcriber

    Show = Callable[[Job, Done], None]


@dataclass(frozen=True)
class Run:
    """What is left to be done of a batch, and the manifest it is written down in."""

    jobs: list[Job]
    manifest: Manifest | None
    batch: Batch
    computing: Computing


@contextmanager
def begun(
    batch: Batch,
    computing: Computing,
    table: Mapping[str, Format],
    default: str | None,
    sound: Path | None = None,
    read: frozenset[str] = frozenset(),
) -> Iterator[Run]:
    """Plan a batch whole and open its manifest, before the first recording is read.

    ``table`` holds the formats that there are; ``default`` is the one written where none is asked for, not even JSON
    on standard output; ``sound`` is a file to be written beside the others; ``read`` are suffixes of results
    that may be given instead of recordings.
    """
    from transcribe.batch.manifest import Manifest
    from transcribe.batch.plan import (
        check_in_reach,
        check_inputs,
        check_manifest,
        check_no_results,
        find_recordings,
        manifest_path,
        plan,
    )

    batch.check()
    outputs = batch.output or []
    if batch.as_json and not outputs:
        default = None
    more = [] if sound is None else [_audible(str(sound), table)]
    recordings = find_recordings(batch.inputs, batch.recursive)
    check_no_results(recordings, read)
    jobs = plan(recordings, outputs, batch.formats or [], table, default, more)
    if batch.ray is not None or (batch.workers is not None and len(jobs) > 1):
        check_in_reach(jobs, (*batch.inputs, *outputs))
    if not batch.skip_existing:
        check_inputs(job.recording for job in jobs)
    path = manifest_path(batch.manifest, outputs, batch.parallel and len(jobs) > 1)
    if path is None:
        yield Run(_left(jobs, batch, None), None, batch, computing)
        return
    check_manifest(path, jobs, batch.skip_existing or batch.overwrite)
    with Manifest(path, anew=batch.overwrite) as manifest:
        yield Run(_left(jobs, batch, manifest), manifest, batch, computing)


def _audible(path: str, table: Mapping[str, Format]) -> str:
    suffixes = [suffix for form in table.values() if form.audible for suffix in form.suffixes]
    if not path.lower().endswith(tuple(suffixes)):
        raise UsageError(f"{path}: sound is written as {', '.join(suffixes)}")
    return path


def _left(jobs: list[Job], batch: Batch, manifest: Manifest | None) -> list[Job]:
    """Leave out what is done already, where that is asked for, and say so."""
    from transcribe.batch.plan import check_inputs, split_done

    if not batch.skip_existing:
        return jobs
    left, done = split_done(jobs, manifest)
    if manifest is not None and not manifest.resumed:
        # Made by a run without a manifest: how long it took, and how many notes there were, isn't known.
        for job in done:
            manifest.add(_line(job, None))
    if done and not batch.quiet:
        say(f"{len(done)} of {counted(len(jobs), 'recording')} skipped: their results exist")
    check_inputs(job.recording for job in left)
    return left


def work_of(run: Run, opened: Callable[..., Transcriber], **more: Any) -> Work:
    """Say what is to be done with every recording; ``more`` are further fields of :class:`Work`."""
    from transcribe.batch.work import Work

    hashed = run.manifest is not None
    return Work(opened, run.batch.overwrite, run.batch.skip_existing, hashed=hashed, **more)


def check_packages(forms: Iterable[Format]) -> None:
    """See that the packages that formats are written by are installed.

    Raises
    ------
    UsageError
        If one isn't.
    """
    for form in forms:
        if form.check is not None:
            form.check()


def read_reference(path: Path | None, forms: Iterable[Format]) -> Transcription | None:
    """Read the true notes that pictures are drawn beside, if they were given.

    Raises
    ------
    UsageError
        If there is no picture.
    InputError
        If they can't be read.
    """
    if path is None:
        return None
    from transcribe.notes.datasets import read_labels

    if not any("reference" in form.shows for form in forms):
        raise UsageError("--plot-reference needs a picture to draw in: -o song.png, song.svg or song.html")
    return read_labels(path)


def run_each(run: Run, work: Work, show: Show) -> None:
    """Do the work for every recording, go on after those that fail, and exit with the first failure's code.

    With workers other processes do it, and results come as they are done; else this one does.
    """
    if not run.jobs:
        return
    if run.manifest is not None:
        run.manifest.begin()
    first_failure = 0
    for job, outcome in _counted(_outcomes(run, work), run):
        try:
            if run.manifest is not None:
                run.manifest.add(_line(job, outcome))
            if isinstance(outcome, Exception):
                raise outcome
            _report(job, outcome, run.batch, show)
        except Exception as error:
            if len(run.jobs) == 1:
                raise
            exit_code = report_error(error)
            first_failure = first_failure or exit_code
    if first_failure:
        raise typer.Exit(first_failure)


def _outcomes(run: Run, work: Work) -> Iterator[tuple[Job, Done | Exception]]:
    """Have the work done: here, by other processes, or by a cluster."""
    if run.batch.ray is not None:
        return _on_cluster(run, work)
    if run.batch.workers is not None and len(run.jobs) > 1:
        from transcribe.batch.pool import each

        processes = each(_read_ahead(run.jobs, run.batch.workers), work.begin, run.batch.workers)
        return _parallel(processes, run)
    return _here(run, work)


def _here(run: Run, work: Work) -> Iterator[tuple[Job, Done | Exception]]:
    """Do the work in this process, with a bar for each recording."""
    worker = work.begin(isolated=True)
    for number, job in enumerate(run.jobs, 1):
        signals.check()
        label = f"{number}/{len(run.jobs)} {job.recording.name}" if len(run.jobs) > 1 else job.recording.name
        outcome: Done | Exception
        try:
            with ProgressBar(label, run.batch.quiet) as progress:
                outcome = worker(job, signals.watched(progress))
        except Exception as error:
            signals.check()  # which libraries make errors of their own of
            outcome = error
        yield job, outcome


def _on_cluster(run: Run, work: Work) -> Iterator[tuple[Job, Done | Exception]]:
    """Do the work on the machines of a cluster."""
    from transcribe.batch.cluster import Sharing, connected, each_on_cluster, gpus_for

    assert run.batch.ray is not None
    with connected(run.batch.ray) as dashboard:
        if dashboard is not None and not run.batch.quiet:
            say(f"Ray's dashboard: http://{dashboard}")
        sharing = Sharing(run.computing.threads or 1, gpus_for(run.computing.device), run.batch.workers)
        yield from _parallel(each_on_cluster(run.jobs, work, sharing), run)


def _parallel(outcomes: Iterator[tuple[Job, Done | Exception]], run: Run) -> Iterator[tuple[Job, Done | Exception]]:
    """Pass on what others have done, with a bar for all."""
    from transcribe.batch.pool import DiedError

    began, hours = time.monotonic(), 0.0
    with BatchBar(len(run.jobs), run.batch.quiet) as advance:
        for number, (job, outcome) in enumerate(outcomes, 1):
            signals.check()
            if isinstance(outcome, DiedError):
                outcome = InputError(f"{job.recording.name}: {outcome}; its other recordings are not affected")
            if not isinstance(outcome, Exception):
                hours += outcome.result.duration / 3600
            advance(number, hours / max(time.monotonic() - began, 1e-9) * 3600)
            yield job, outcome


def _counted(outcomes: Iterator[tuple[Job, Done | Exception]], run: Run) -> Iterator[tuple[Job, Done | Exception]]:
    """Pass on what was done, and in the end of a batch say how much."""
    began, hours, failed = time.monotonic(), 0.0, 0
    for job, outcome in outcomes:
        if isinstance(outcome, Exception):
            failed += 1
        else:
            hours += outcome.result.duration / 3600
        yield job, outcome
    if len(run.jobs) > 1 and not run.batch.quiet:
        seconds = time.monotonic() - began
        faster = 3600 * hours / max(seconds, 1e-9)
        done = f"{len(run.jobs) - failed} of {len(run.jobs)} recordings done"
        said = f"{done}, {failed} failed" if failed else done
        say(f"{said}: {minutes(3600 * hours)} of music in {minutes(seconds)}, {faster:.3g} times as fast as it plays")


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


def _report(job: Job, done: Done, batch: Batch, show: Show) -> None:
    """Print what is to be known of a recording that is done."""
    from transcribe.automatic import AUTO

    if not batch.quiet:
        for warning in done.result.warnings:
            say(f"{job.recording.name}: {warning}")
        # That a piano is heard as a piano needs no words.
        if isinstance(chosen := done.result.settings.get(AUTO), str) and done.result.piano_alone is False:
            say(f"{job.recording.name}: heard by {chosen}")
    if done.printed:
        write(done.printed)
    paths = [path for path, _ in job.outputs]
    if batch.as_json:
        from transcribe.report.document import to_dict

        document = {"input": job.recording.path, "outputs": paths, "device": done.device, **to_dict(done.result)}
        print_line(json.dumps(document))
    elif not paths or not ("-" in paths or batch.quiet):
        show(job, done)
    elif "-" not in paths and done.written:
        print_paths(done.written)
