"""What is done with one recording: listened to, and its results written; by this process or by another."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transcribe.batch import storage
from transcribe.batch.manifest import checksum
from transcribe.batch.plan import STANDARD, Job, Recording
from transcribe.errors import InputError
from transcribe.events import Transcription
from transcribe.formats.table import Format, detailed, illustrated
from transcribe.report.roll import Scene
from transcribe.score.analysis import Timing

if TYPE_CHECKING:
    import numpy as np

    from transcribe.listener import Progress
    from transcribe.notes.decoder import Activations
    from transcribe.pipeline import Transcriber
    from transcribe.recognisers import ChordRecogniser, GenreRecogniser, InstrumentRecogniser

# Files of notes.
NOTE_SUFFIXES = frozenset({".mid", ".midi", ".json", ".csv"})
# What a report's listener and the front end hear, in Hz.
_REPORT_SAMPLE_RATE, _PICTURE_SAMPLE_RATE = 24_000, 16_000


@dataclass(frozen=True)
class Listening:
    """What listens to a file (``-`` is standard input), where it computes, and to how many seconds at the most.

    ``listener`` is the same with its networks, where others may run them for it.
    """

    listen: Callable[[str, Progress | None, Callable[[Activations], None] | None], Transcription]
    device: str
    max_duration: float
    listener: Transcriber | ChordRecogniser | InstrumentRecogniser | GenreRecogniser | None = None


@dataclass(frozen=True)
class Work:
    """What is to be done with every recording; picklable.

    ``open`` loads what listens; ``overwrite`` and ``skip_existing`` say what becomes of results that are there;
    ``reference``, ``spectrogram`` and ``sound`` are what pictures and reports show; ``hashed``: take the recordings'
    checksums; ``detail``: how fine the rhythms of scores are.
    """

    open: Callable[[], Listening]
    overwrite: bool = False
    skip_existing: bool = False
    reference: Transcription | None = None
    spectrogram: bool = False
    sound: bool = True
    hashed: bool = False
    detail: float = 1.0

    def begin(self) -> Worker:
        """Load what listens."""
        return Worker(self)


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

    def __init__(self, work: Work) -> None:
        self.work = work
        self.listening = work.open()

    def __call__(self, job: Job, progress: Progress | None = None) -> Done:
        """Do all that a recording asks for.

        Raises
        ------
        InputError
            If it can't be read.
        OutputError
            If a result can't be written, or is there and may not be replaced.
        """
        began = time.monotonic()
        work = self.work
        outputs = [(path, form) for path, form in job.outputs if not (work.skip_existing and storage.is_there(path))]
        for path, _ in outputs:
            if path != STANDARD:  # with skip_existing it isn't there, as is known by now
                storage.check_writable(path, work.overwrite or work.skip_existing)
        with storage.here(job.recording.path) as copy:
            fetched = time.monotonic()
            recording = Recording(copy, Path(copy).parent)
            sha256 = checksum(copy) if work.hashed else None
            heard: list[Activations] = []
            keeping = any(form.name == "npz" for _, form in outputs)
            result = self.listening.listen(copy, progress, heard.append if keeping else None)
            listened = time.monotonic()
            printed = b""
            for path, form in outputs:
                content = self._shown(recording, form, heard).write(result)
                if path == STANDARD:
                    printed += content
                else:
                    storage.write(path, content, work.overwrite)
        written = tuple(path for path, _ in outputs if path != STANDARD)
        ended = time.monotonic()
        stages = {"fetch": fetched - began, "listen": listened - fetched, "write": ended - listened}
        return Done(result, written, printed, self.listening.device, sha256, ended - began, stages)

    def _shown(self, recording: Recording, form: Format, heard: list[Activations]) -> Format:
        """Let pictures and reports know the recording and the truth, and the archive what was heard."""
        from transcribe.formats.npz import to_npz

        if form.name == "npz":
            return replace(form, write=lambda _: to_npz(heard))
        return detailed(illustrated(form, partial(self._scene, recording, form)), self.work.detail)

    def _scene(self, recording: Recording, form: Format) -> Scene:
        rate = _REPORT_SAMPLE_RATE if form.name == "html" else _PICTURE_SAMPLE_RATE
        blocks = _blocks(recording.path, rate, self.listening.max_duration) if recording.rereadable else None
        work = self.work
        return Scene(recording.name, work.reference, blocks, rate, work.sound, work.spectrogram)


def _blocks(path: str, sample_rate: int, max_duration: float) -> Iterator[np.ndarray]:
    from transcribe.audio import AudioReader

    with AudioReader(path, sample_rate, max_duration=max_duration) as reader:
        yield from reader.blocks()


def open_transcriber(
    model: str | None,
    device: str,
    precision: str,
    threads: int | None,
    max_hours: float,
    others: tuple[str, ...],
    settings: dict[str, float],
    timing: Timing = Timing(),  # noqa: B008 (frozen)
) -> Listening:
    """Load what transcribes; ``others`` are chords, instruments and genre, whichever is wanted too."""
    from transcribe.engine.devices import set_threads
    from transcribe.pipeline import Transcriber
    from transcribe.recognisers import ChordRecogniser, GenreRecogniser, InstrumentRecogniser

    set_threads(threads)
    chords = ChordRecogniser(device=device, precision=precision) if "chords" in others else None
    instruments = InstrumentRecogniser(device=device, precision=precision) if "instruments" in others else None
    genre = GenreRecogniser(device=device) if "genre" in others else None
    transcriber = Transcriber(model, device, chords, precision, instruments, genre, timing, **settings)
    transcriber.max_duration = max_hours * 3600
    return Listening(transcriber.transcribe_file, transcriber.device, transcriber.max_duration, transcriber)


def open_beats(
    model: str | None,
    device: str,
    precision: str,
    threads: int | None,
    max_hours: float,
    others: tuple[str, ...],
    settings: dict[str, float],
    timing: Timing,
) -> Listening:
    """Load what finds beats: of recordings, and of notes that are given as MIDI, JSON or CSV."""
    listening = open_transcriber(model, device, precision, threads, max_hours, others, settings, timing)

    def listen(path: str, progress: Progress | None, keep: Callable[[Activations], None] | None) -> Transcription:
        if Path(path).suffix.lower() in NOTE_SUFFIXES:
            return find_beats_of_file(Path(path), timing)
        return listening.listen(path, progress, keep)

    return replace(listening, listen=listen)


def find_beats_of_file(path: Path, timing: Timing = Timing()) -> Transcription:  # noqa: B008 (frozen)
    """Find the beats of notes that are given, whatever beats the file tells.

    Raises
    ------
    InputError
        If it can't be read, or holds no notes.
    """
    from transcribe.beats.analysis import analysed
    from transcribe.formats.table import read_transcription

    given = read_transcription(path)
    if not given.notes:
        raise InputError(f"{path}: it holds no notes whose beats could be found")
    return analysed(replace(given, beats=(), downbeats=(), beat_confidences=(), metres=(), tempo=None), timing)


def open_recogniser(
    kind: str,
    model: str | None,
    device: str,
    precision: str,
    threads: int | None,
    max_hours: float,
    settings: dict[str, Any],
) -> Listening:
    """Load what tells chords, instruments or the genre."""
    from transcribe.engine.devices import set_threads
    from transcribe.recognisers import ChordRecogniser, GenreRecogniser, InstrumentRecogniser

    set_threads(threads)
    recogniser: ChordRecogniser | InstrumentRecogniser | GenreRecogniser
    if kind == "genre":
        recogniser = GenreRecogniser(model, device, **settings)
    elif kind == "chords":
        recogniser = ChordRecogniser(model, device, precision, **settings)
    else:
        recogniser = InstrumentRecogniser(model, device, precision, **settings)
    recogniser.max_duration = max_hours * 3600

    def listen(path: str, progress: Progress | None, _: object) -> Transcription:
        return recogniser.recognise_file(path, progress)

    return Listening(listen, recogniser.device, recogniser.max_duration, recogniser)
