"""What is done with one recording: listened to, and its results written; by this process or by another."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from transcribe.audio.tags import Tags, read_tags
from transcribe.batch import atomic, storage
from transcribe.batch.manifest import checksum
from transcribe.batch.plan import STANDARD, Job, Recording
from transcribe.edits.replay import carried, replayed
from transcribe.errors import InputError, OutputError, PitchaiError, TakenError, UsageError, machine_faults_as
from transcribe.events import Transcription
from transcribe.formats.format import Content, Format, Page, Rendering
from transcribe.formats.json import from_json
from transcribe.formats.npz import Collected
from transcribe.registry import summary
from transcribe.report.roll import Scene
from transcribe.score.harmony import transposed
from transcribe.score.melody import simplified
from transcribe.score.parts import only

if TYPE_CHECKING:
    import numpy as np

    from transcribe.engine.inference import Infer
    from transcribe.engine.task import Progress
    from transcribe.transcriber import Transcriber

# What a report's listener and the front end hear, in Hz.
_REPORT_SAMPLE_RATE, _PICTURE_SAMPLE_RATE = 24_000, 16_000


@dataclass(frozen=True)
class Work:
    """What is to be done with every recording; picklable.

    ``open`` loads the transcriber, a partial of its class; ``overwrite`` and ``skip_existing`` say what becomes of
    results that are there; ``reference``, ``spectrogram`` and ``sound`` are what pictures and reports show; ``hashed``:
    take the recordings' checksums; ``rendering`` is how results are shown; ``title`` and ``composer`` stand above
    scores and charts, those of the recording where None; all is moved up by ``transpose`` semitones, and then
    ``simplify`` keeps the melody and a left hand of chords; notes of ``instruments`` alone are kept, all where there
    are none; a score is of one ``part``'s notes, if any.
    """

    open: Callable[..., Transcriber]
    overwrite: bool = False
    skip_existing: bool = False
    reference: Transcription | None = None
    spectrogram: bool = False
    sound: bool = True
    hashed: bool = False
    rendering: Rendering = field(default_factory=Rendering)
    title: str | None = None
    composer: str | None = None
    transpose: int = 0
    simplify: bool = False
    instruments: tuple[str, ...] = ()
    part: str | None = None

    def begin(self, infer: Infer | None = None, *, isolated: bool = False) -> Worker:
        """Load the transcriber.

        ``infer`` runs its networks, where another process does; ``isolated``: a recording that crashes the decoder must
        not end this process.
        """
        return Worker(self, infer, isolated)


@dataclass(frozen=True)
class Done:
    """What was heard, the files written, what belongs on standard output, and what it took in seconds.

    ``stages`` says how many of the seconds went into fetching, listening and writing.
    """

    result: Transcription
    written: tuple[str, ...]
    printed: bytes
    device: str
    sha256: str | None
    seconds: float
    stages: Mapping[str, float] = field(default_factory=dict)


class Worker:
    """Listens to one recording after the other and writes their results."""

    def __init__(self, work: Work, infer: Infer | None = None, isolated: bool = False) -> None:
        self.work = work
        self.transcriber = work.open(infer=infer, isolated=isolated)
        if (work.instruments or work.part) and not self.transcriber.tells_instruments:
            raise UsageError(f"{self.transcriber.model.name} doesn't tell instruments apart: all notes are a piano's")

    def __call__(self, job: Job, progress: Progress | None = None) -> Done:
        """Do all that a recording asks for.

        Raises
        ------
        InputError
            If it can't be read.
        OutputError
            If a result can't be written, or is there and may not be replaced.
        """
        if job.recording.fault is not None:
            raise InputError(f"{job.recording.name}: {job.recording.fault}")
        began = time.monotonic()
        work = self.work
        outputs = [(path, form) for path, form in job.outputs if not (work.skip_existing and storage.is_there(path))]
        for path, _ in outputs:
            if path != STANDARD:  # with skip_existing it isn't there, as is known by now
                storage.check_writable(path, work.overwrite or work.skip_existing)
        with storage.here(job.recording.path) as copy, Collected() as kept:
            fetched = time.monotonic()
            recording = Recording(copy, Path(copy).parent)
            sha256 = checksum(copy) if work.hashed else None
            keep = kept.add if any("activations" in form.needs for _, form in outputs) else None
            with _named(job.recording, copy), machine_faults_as(InputError, job.recording.name):
                result = self.transcriber.transcribe_file(copy, progress=progress, keep=keep)
            result = only(transposed(result, work.transpose), work.instruments)
            if work.simplify:
                result = simplified(result)
            heard, result = self._with_edits(result, outputs)
            part = only(result, () if work.part is None else (work.part,))
            listened = time.monotonic()
            printed, written = b"", []
            page = self._page(job.recording, copy, (form for _, form in outputs))
            for path, form in outputs:
                scene = partial(self._scene, recording, form, result)
                with machine_faults_as(OutputError, "standard output" if path == STANDARD else path):
                    # Activations are written piece by piece: of hours they are much.
                    content: Content = kept.write
                    if "activations" not in form.needs:
                        shown = part if form.detailed else heard if form.name == "json" else result
                        content = form.content(shown, replace(work.rendering, scene=scene, page=page))
                if path == STANDARD:
                    printed += atomic.to_bytes(content)
                elif self._write(path, content):
                    written.append(path)
        ended = time.monotonic()
        stages = {"fetch": fetched - began, "listen": listened - fetched, "write": ended - listened}
        return Done(result, tuple(written), printed, self.transcriber.device, sha256, ended - began, stages)

    def _with_edits(
        self, result: Transcription, outputs: Iterable[tuple[str, Format]]
    ) -> tuple[Transcription, Transcription]:
        """Keep the edits of a result that is to be replaced: what was heard with them, and with them done."""
        work = self.work
        if not work.overwrite or work.transpose or work.simplify or work.instruments:
            return result, result
        for path, form in outputs:
            if form.name != "json" or path == STANDARD or not storage.is_there(path):
                continue
            before = storage.read(path) if storage.is_remote(path) else Path(path).read_bytes()
            try:
                edits = () if before is None or b'"edits"' not in before else from_json(before).edits
            except InputError:
                continue
            if edits:
                kept, lost = carried(result, edits)
                remark = f"{lost} of {len(edits)} edits of {Path(path).name} fit nothing that is heard now"
                heard = replace(result, edits=kept, warnings=(*result.warnings, *([remark] if lost else [])))
                return heard, replayed(heard)
        return result, result

    def _write(self, path: str, content: Content) -> bool:
        """Write a result; False where one that another run has just written is to be kept."""
        try:
            storage.write(path, content, self.work.overwrite)
        except TakenError:
            if not self.work.skip_existing:
                raise
            return False
        return True

    def _page(self, recording: Recording, copy: str, forms: Iterable[Format]) -> Page:
        """Say what stands above a score or a chart: what was asked for, else what the recording's tags say."""
        work, titled = self.work, any(form.charted or form.detailed for form in forms)
        asked = titled and recording.rereadable and None in (work.title, work.composer)
        tags = read_tags(copy) if asked else Tags()
        stem = "" if recording.path == STANDARD else Path(recording.name).stem
        title = (tags.title or stem) if work.title is None else work.title
        return replace(
            work.rendering.page, title=title, composer=tags.composer if work.composer is None else work.composer
        )

    def _scene(self, recording: Recording, form: Format, result: Transcription) -> Scene:
        rate = _REPORT_SAMPLE_RATE if "sound" in form.shows else _PICTURE_SAMPLE_RATE
        blocks = _blocks(recording.path, rate, self.transcriber) if recording.rereadable else None
        work, words = self.work, tuple(summary(result))
        return Scene(recording.name, work.reference, blocks, rate, work.sound, work.spectrogram, words)


@contextmanager
def _named(recording: Recording, copy: str) -> Iterator[None]:
    """Let an error name a recording as people call it, not by the last part of its path or that of a copy."""
    try:
        yield
    except PitchaiError as error:
        said, name = str(error), Path(copy).name
        if recording.name == name or not said.startswith(f"{name}: "):
            raise
        raise type(error)(recording.name + said.removeprefix(name)) from None


def _blocks(path: str, sample_rate: int, heard_by: Transcriber) -> Iterator[np.ndarray]:
    """Read a recording again, so far as it was heard."""
    from transcribe.audio.reader import AudioReader

    longest, excerpt = heard_by.max_duration, heard_by.excerpt
    with AudioReader(path, sample_rate, max_duration=longest, excerpt=excerpt) as reader:
        yield from reader.blocks()
