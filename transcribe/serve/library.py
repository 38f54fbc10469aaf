"""The folder of results: one folder each, named by a number that is drawn; names of files are text, never paths.

``about.json`` says what it is and how far it came, ``recording.*`` is what was given, ``result.json`` what was heard
and the edits, in the JSON that ``pitchai convert`` reads (times unrounded), ``undone.json`` what was undone.
All are written whole or not at all.
"""

from __future__ import annotations

import filecmp
import json
import os
import re
import secrets
import shutil
import threading
import time
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from transcribe.audio.reader import AUDIO_SUFFIXES
from transcribe.batch.atomic import write_atomically
from transcribe.errors import InputError, OutputError
from transcribe.events import Transcription
from transcribe.formats.json import from_json, to_json
from transcribe.formats.reading import read_bytes

QUEUED, RUNNING, DONE, FAILED = "queued", "running", "done", "failed"
#: Results of these kinds are read, not listened to.
RESULT_SUFFIXES = frozenset({".json", ".mid", ".midi"})
_ID = re.compile(r"[0-9a-f]{16}")
_LONGEST_NAME = 200
_ABOUT, _RESULT, _UNDONE, _RECORDING, _SOUND = "about.json", "result.json", "undone.json", "recording", "sound.mp3"
# Uploads that aren't whole yet.
_PART = ".part"

Edits = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class About:
    """What is known of an entry: the name of its file, its title, when it came, how far it is, and why it failed.

    ``warnings`` are remarks on the sound that were made while it was recorded.
    """

    name: str
    title: str
    created: float
    status: str = QUEUED
    message: str = ""
    duration: float = 0.0
    warnings: Sequence[str] = ()


class Entry:
    """One result: its number and its folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.id = folder.name
        self.lock = threading.Lock()

    @property
    def about(self) -> About:
        """What it is."""
        values = json.loads(read_bytes(self.folder / _ABOUT))
        return About(**values)

    def describe(self, about: About) -> None:
        """Write down what it is."""
        write_atomically(self.folder / _ABOUT, json.dumps(asdict(about)).encode(), overwrite=True)

    def mark(self, status: str, message: str = "", **more: Any) -> None:
        """Write down how far it is."""
        self.describe(replace(self.about, status=status, message=message, **more))

    @property
    def recording(self) -> Path | None:
        """What was given; None where there is nothing."""
        return next(iter(sorted(self.folder.glob(f"{_RECORDING}*"))), None)

    @property
    def sound(self) -> Path | None:
        """What a browser plays: the recording, or a copy that it can play; None where there is no sound."""
        copy = self.folder / _SOUND
        if copy.is_file():
            return copy
        recording = self.recording
        return None if recording is None or recording.suffix in RESULT_SUFFIXES else recording

    @property
    def sound_copy(self) -> Path:
        """Where a copy of the sound that browsers can play goes."""
        return self.folder / _SOUND

    def heard(self) -> Transcription:
        """Read the result, its edits with it.

        Raises
        ------
        InputError
            If it isn't there, or is no result.
        """
        return from_json(read_bytes(self.folder / _RESULT))

    def undone(self) -> list[dict[str, Any]]:
        """Read the edits that were undone."""
        try:
            found = json.loads(read_bytes(self.folder / _UNDONE))
        except (InputError, ValueError):
            return []
        return [edit for edit in found if isinstance(edit, dict)] if isinstance(found, list) else []

    def keep(self, result: Transcription, undone: Edits = ()) -> None:
        """Write the result with its edits, and those that were undone."""
        write_atomically(self.folder / _RESULT, to_json(result, exact=True), overwrite=True)
        if undone or (self.folder / _UNDONE).exists():
            write_atomically(self.folder / _UNDONE, json.dumps(list(undone)).encode(), overwrite=True)


class Library:
    """All results of a folder, which is made where it isn't there.

    Raises
    ------
    OutputError
        If it can't be.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{folder}: can't be made: {error.strerror}") from None
        if not os.access(self.folder, os.W_OK | os.X_OK):
            raise OutputError(f"{folder}: no permission to write in it; choose another folder")
        self._entries: dict[str, Entry] = {}
        self._clean()

    def _clean(self) -> None:
        """Remove what a server that was killed left unfinished."""
        for folder in self._folders():
            for part in folder.glob(f"*{_PART}"):
                part.unlink(missing_ok=True)
            if not (folder / _ABOUT).is_file() and all(path.name.startswith(_RECORDING) for path in folder.iterdir()):
                shutil.rmtree(folder, ignore_errors=True)

    def _folders(self) -> Iterator[Path]:
        for path in sorted(self.folder.iterdir()):
            if _ID.fullmatch(path.name) and path.is_dir() and not path.is_symlink():
                yield path

    def entries(self) -> list[tuple[Entry, About]]:
        """List the results, the newest first; what can't be read is left out."""
        found = []
        for folder in self._folders():
            entry = self._entry(folder.name)
            try:
                found.append((entry, entry.about))
            except (InputError, ValueError, TypeError):
                continue
        return sorted(found, key=lambda pair: -pair[1].created)

    def entry(self, name: str) -> Entry | None:
        """Find a result by its number."""
        if not _ID.fullmatch(name) or not (self.folder / name / _ABOUT).is_file():
            return None
        return self._entry(name)

    def _entry(self, name: str) -> Entry:
        return self._entries.setdefault(name, Entry(self.folder / name))

    def same(self, source: Path) -> Entry | None:
        """Find the result of a file that was given before: of the same name and content, and not failed."""
        for entry, about in self.entries():
            recording = entry.recording
            if about.name != clean_name(source.name) or about.status == FAILED or recording is None:
                continue
            if filecmp.cmp(recording, source, shallow=False):
                return entry
        return None

    def begin(self, name: str) -> Upload:
        """Begin a new result, of what is to be given."""
        entry = Entry(self.folder / secrets.token_hex(8))
        entry.folder.mkdir(mode=0o700)
        self._entries[entry.id] = entry
        return Upload(entry, name)

    def delete(self, entry: Entry) -> None:
        """Remove a result and all that belongs to it."""
        (entry.folder / _ABOUT).unlink(missing_ok=True)  # from here on it isn't there
        shutil.rmtree(entry.folder, ignore_errors=True)
        self._entries.pop(entry.id, None)


class Upload:
    """A recording on its way in, written to ``file``: it has no name before it is whole."""

    def __init__(self, entry: Entry, name: str) -> None:
        self.entry = entry
        self.name = clean_name(name)
        suffix = Path(self.name).suffix.lower()
        self._suffix = suffix if suffix in AUDIO_SUFFIXES | RESULT_SUFFIXES else ""
        self._part = entry.folder / f"upload{_PART}"
        self.file = open(os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")  # noqa: SIM115

    def write(self, content: bytes) -> None:
        """Take more of it."""
        self.file.write(content)

    def finish(self, warnings: Sequence[str] = ()) -> Entry:
        """Give it its name, and put it down as waiting."""
        self.file.close()
        self._part.rename(self.entry.folder / f"{_RECORDING}{self._suffix}")
        self.entry.describe(About(self.name, Path(self.name).stem or self.name, time.time(), warnings=warnings))
        return self.entry

    def cancel(self) -> None:
        """Remove all of it."""
        self.file.close()
        shutil.rmtree(self.entry.folder, ignore_errors=True)


def clean_name(name: str) -> str:
    """Make a name fit to be shown: its last part, without what can't be seen, not too long."""
    last = re.split(r"[/\\]", name.replace("\0", ""))[-1]
    shown = "".join(" " if unicodedata.category(c)[0] in "CZ" else c for c in last).strip()
    if len(shown) > _LONGEST_NAME:
        suffix = Path(shown).suffix[:10]
        shown = shown[: _LONGEST_NAME - len(suffix)] + suffix
    return shown or "recording"
