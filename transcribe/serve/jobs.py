"""The queue: one recording at a time is listened to, by a process whose end takes nothing with it."""

from __future__ import annotations

import multiprocessing
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from transcribe.errors import PitchaiError, machine_fault
from transcribe.serve.library import DONE, FAILED, QUEUED, RESULT_SUFFIXES, RUNNING, Entry, Library

if TYPE_CHECKING:
    from transcribe.engine.task import Progress
    from transcribe.events import Transcription

# What the process is given to end by itself, in seconds.
_PATIENCE = 2.0
# Nobody waits for so many.
MOST_WAITING = 200
# What all browsers play; other recordings are copied.
_PLAYED = frozenset({".wav", ".mp3", ".ogg", ".oga", ".flac", ".m4a", ".webm", ".opus", ".mp4"})


class Listening(Protocol):
    """Who listens: a transcriber."""

    def transcribe_file(self, path: Path, *, progress: Progress | None = None) -> Transcription:
        """Listen to a recording."""


Open = Callable[[], Listening]


class Jobs:
    """Recordings that wait to be listened to, and the process that listens.

    Parameters
    ----------
    library
        Where they lie and their results go.
    open_transcriber
        Loads the transcriber, in the process; picklable.
    """

    def __init__(self, library: Library, open_transcriber: Open) -> None:
        self.library = library
        self._open = open_transcriber
        self._waiting: deque[str] = deque()
        self._progress: dict[str, float] = {}
        self._changed = threading.Condition()
        self._stopped = False
        self._process: SpawnProcess | None = None
        self._pipe: Connection | None = None
        self._thread = threading.Thread(target=self._run, name="pitchai-jobs", daemon=True)

    def start(self) -> None:
        """Begin; what a server that was killed left unfinished comes first."""
        left = [entry for entry, about in reversed(self.library.entries()) if about.status in (QUEUED, RUNNING)]
        for entry in left:
            self.add(entry)
        self._thread.start()

    def stop(self) -> None:
        """End; what is unfinished waits for the next time."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self._end_process()
        if self._thread.is_alive():
            self._thread.join(2 * _PATIENCE)

    def add(self, entry: Entry) -> None:
        """Let a recording wait."""
        entry.mark(QUEUED)
        with self._changed:
            self._waiting.append(entry.id)
            self._changed.notify_all()

    @property
    def full(self) -> bool:
        """Whether too many wait."""
        return len(self._waiting) >= MOST_WAITING

    def forget(self, entry: Entry) -> None:
        """Take a recording out of the queue; one that is being listened to is left."""
        with self._changed, suppress(ValueError):
            self._waiting.remove(entry.id)
        if entry.id in self._progress:
            self._end_process()

    def progress(self, entry: Entry) -> float:
        """Tell how much of a recording was listened to, 0-1."""
        return self._progress.get(entry.id, 0.0)

    def place(self, entry: Entry) -> int:
        """Tell how many come before it; 0 where it isn't waiting."""
        with suppress(ValueError):
            return list(self._waiting).index(entry.id) + 1
        return 0

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._stopped:
                    self._changed.wait()
                if self._stopped:
                    return
                name = self._waiting.popleft()
                self._progress[name] = 0.0
            entry = self.library.entry(name)
            if entry is not None:
                with suppress(PitchaiError, OSError, ValueError):  # it was deleted meanwhile
                    self._listen(entry)
            self._progress.pop(name, None)

    def _listen(self, entry: Entry) -> None:
        entry.mark(RUNNING)
        pipe = self._begun()
        try:
            pipe.send((entry.folder, entry.about.name))
            while True:
                kind, value = pipe.recv()
                if kind != "progress":
                    break
                self._progress[entry.id] = value
        except (EOFError, OSError, TypeError):
            if self._stopped:
                return
            self._end_process()
            kind, value = "failed", "the process that listened ended; the recording may be damaged, or memory too small"
        if kind == "done":
            entry.mark(DONE, duration=value)
        else:
            entry.mark(FAILED, value)

    def _begun(self) -> Connection:
        """Give the pipe of the process, which is started where there is none."""
        if self._process is None or not self._process.is_alive() or self._pipe is None:
            context = multiprocessing.get_context("spawn")
            self._pipe, theirs = context.Pipe()
            self._process = context.Process(target=work, args=(theirs, self._open), daemon=True)
            self._process.start()
            theirs.close()  # so that its end is known when it dies
        return self._pipe

    def _end_process(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.is_alive():
            process.terminate()
            process.join(_PATIENCE)
            if process.is_alive():
                process.kill()


def work(pipe: Connection, open_transcriber: Open) -> None:
    """Listen to one recording after the other: what the process does."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the server ends it
    transcriber = None
    while True:
        try:
            folder, name = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            entry = Entry(folder)
            source = entry.recording
            assert source is not None
            if source.suffix in RESULT_SUFFIXES:
                result = _read(source)
            else:
                transcriber = transcriber or open_transcriber()

                def watch(seconds: float, duration: float | None) -> None:
                    pipe.send(("progress", min(1.0, seconds / duration) if duration else 0.0))

                result = transcriber.transcribe_file(source, progress=watch)
                if source.suffix not in _PLAYED:
                    _copy_sound(source, entry.sound_copy)
            warnings = dict.fromkeys((*entry.about.warnings, *result.warnings))
            entry.keep(replace(result, warnings=tuple(warnings)))
            pipe.send(("done", result.duration))
        except Exception as error:
            message = str(error) if isinstance(error, PitchaiError) else machine_fault(error)
            message = message or f"a fault of pitchai: {type(error).__name__}: {error}"
            shown = source.name if source is not None else ""
            pipe.send(("failed", " ".join(message.replace(str(source), name).replace(shown, name).split())[:500]))


def _read(path: Path) -> Transcription:
    """Read a result that was given; beats are found where it has none."""
    from transcribe.beats.analysis import analysed
    from transcribe.formats.table import read_transcription

    given = read_transcription(path)
    edits = given.edits
    return replace(analysed(replace(given, edits=())), edits=edits)


def _copy_sound(source: Path, target: Path) -> None:
    from transcribe.audio.reader import AudioReader
    from transcribe.batch.atomic import write_atomically
    from transcribe.report.sonify import write_blocks

    rate = 24_000

    def write(file: object) -> None:
        with AudioReader(source, rate) as reader:
            write_blocks(file, reader.blocks(), ".mp3", rate)  # type: ignore[arg-type]

    write_atomically(target, write, overwrite=True)
