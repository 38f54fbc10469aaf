"""Recordings one after the other: listened to, written, reported; past those that fail, and until a signal ends it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import typer

from transcribe.console import ProgressBar, print_line, print_paths, say, write
from transcribe.errors import OutputError, PitchaiError, UsageError

if TYPE_CHECKING:
    import numpy as np

    from transcribe.decoding import Activations
    from transcribe.events import Transcription
    from transcribe.output.formats import Format
    from transcribe.output.roll import Scene
    from transcribe.pipeline import Progress, Transcriber
    from transcribe.scale.batch import Job

    Listen = Callable[[str, Progress], Transcription]
    Show = Callable[[Job, Transcription], None]

# What a report's listener and the front end hear, in Hz.
_REPORT_SAMPLE_RATE, _PICTURE_SAMPLE_RATE = 24_000, 16_000


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


def with_activations(job: Job, heard: list[Activations]) -> Job:
    """Let the .npz among the outputs hold what was heard."""
    from transcribe.output.npz import to_npz
    from transcribe.scale.batch import Job

    def kept(form: Format) -> Format:
        return replace(form, write=lambda _: to_npz(heard)) if form.name == "npz" else form

    return Job(job.recording, tuple((path, kept(form)) for path, form in job.outputs))


def listen_and_keep(
    transcriber: Transcriber, heard: list[Activations], path: str, progress: Progress | None
) -> Transcription:
    """Listen, and put the activations where the ``.npz`` finds them."""
    heard.clear()
    return transcriber.transcribe_file(path, progress, heard.append)


def read_reference(path: Path | None, forms: Iterable[Format]) -> Transcription | None:
    """Read what pictures are drawn beside, if there is something."""
    if path is None:
        return None
    from transcribe.datasets import read_labels
    from transcribe.output.formats import PICTURES

    if not any(form.name in PICTURES for form in forms):
        raise UsageError("--plot-reference needs a picture to draw in: -o song.png, song.svg or song.html")
    return read_labels(path)


def illustrated(job: Job, reference: Transcription | None, spectrogram: bool, sound: bool) -> Job:
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
        return Scene(name_of(job), reference, recording, rate, sound, spectrogram)

    if spectrogram and job.recording.path == "-":
        raise UsageError("--spectrogram needs the recording as a file: standard input can't be read twice")
    return Job(job.recording, tuple((path, illustrated(form, partial(scene, form))) for path, form in job.outputs))


def run_each(
    jobs: list[Job], listen: Listen, show: Show, device: str, options: Options, afterwards: Show | None = None
) -> None:
    """Listen to every recording and write its results, past those that fail; exit with the first failure's code."""
    first_failure = 0
    for number, job in enumerate(jobs, 1):
        try:
            label = f"{number}/{len(jobs)} {name_of(job)}" if len(jobs) > 1 else name_of(job)
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
            first_failure = first_failure or report_error(error)
    if first_failure:
        raise typer.Exit(first_failure)


def _listen_to_one(job: Job, listen: Listen, label: str, options: Options) -> Transcription:
    from transcribe.output.formats import write_atomically

    outputs = [(path, form) for path, form in job.outputs if not (options.skip_existing and os.path.exists(path))]
    for path, _ in outputs:
        if path != "-":
            check_writable(Path(path), options.overwrite)
    with ProgressBar(label, options.quiet) as progress:
        result = listen(job.recording.path, _watched(progress))
    for warning in result.warnings:
        if not options.quiet:
            say(f"{name_of(job)}: {warning}")
    for path, form in outputs:
        content = form.write(result)
        if path == "-":
            write(content)
        else:
            write_atomically(Path(path), content, options.overwrite)
    return result


def check_writable(path: Path, overwrite: bool) -> None:
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


def name_of(job: Job) -> str:
    """Name a recording for people."""
    return "standard input" if job.recording.path == "-" else Path(job.recording.path).name


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


def report_error(error: Exception) -> int:
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


def set_threads(threads: int | None) -> None:
    """Let torch use so many threads, or its own choice."""
    if threads is not None:
        import torch

        torch.set_num_threads(threads)


def given(**settings: Any) -> dict[str, Any]:
    """Keep the options that were given; the model's own settings stand for the others."""
    return {name: value for name, value in settings.items() if value is not None}
