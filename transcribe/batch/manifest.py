"""A batch's manifest: a line of JSON for every recording that is done, written as it goes, read to go on.

``{"input", "sha256", "outputs", "duration", "notes", "seconds", "error"}``: the recording's path and checksum, the
files written, its length, how many notes were heard, how long that took, and why it failed (null where it didn't). The
line follows the results, so a recording with a line has its results; one without is done again.

An object store can't append: there the manifest is written in parts, ``pitchai.jsonl``, ``pitchai.jsonl.1`` and so on,
the last of which is put anew every few seconds until it is full. Whoever is killed does a few seconds' work again.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from transcribe.batch import storage
from transcribe.errors import OutputError

# What every line begins with: a last one that was cut off is known by it.
_BEGINNING = b'{"input": '
# How often a part is put, in seconds, and how large it grows, in bytes: about ten thousand lines.
_INTERVAL, _PART_SIZE = 10.0, 1 << 22


@dataclass(frozen=True)
class Line:
    """What became of a recording."""

    input: str
    sha256: str | None
    outputs: tuple[str, ...]
    duration: float | None
    notes: int | None
    seconds: float
    error: str | None


def checksum(path: str) -> str | None:
    """Compute a file's sha256; None where it can't be read, or not twice."""
    if not os.path.isfile(path):
        return None
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


class Manifest:
    """The manifest of a batch.

    Parameters
    ----------
    path
        Read if it is there; written from :meth:`begin` on.
    anew
        Forget what it holds.

    Attributes
    ----------
    resumed
        Whether an earlier run began it.

    Raises
    ------
    OutputError
        If it can't be read, or is something else than a manifest.
    """

    def __init__(self, path: str | Path, anew: bool = False) -> None:
        self.path = str(path)
        self._done: dict[str, set[str]] = {}
        self._whole = 0
        self._file: BinaryIO | _Parts | None = None
        self._parts: list[bytes] = []
        self._anew = anew
        content = self._content()
        self.resumed = content is not None and not anew
        self._read(content or b"")
        if anew:
            self._done, self._whole = {}, 0

    def _content(self) -> bytes | None:
        if storage.is_remote(self.path):
            while (part := storage.read(_part(self.path, len(self._parts)))) is not None:
                self._parts.append(part)
            return b"".join(self._parts) if self._parts else None
        try:
            return Path(self.path).read_bytes() if os.path.lexists(self.path) else None
        except OSError as error:
            raise OutputError(f"{self.path}: can't be read: {error.strerror}; choose another --manifest") from None

    def _read(self, content: bytes) -> None:
        for number, line in enumerate(content.splitlines(keepends=True), 1):
            if not line.endswith(b"\n") and (line.startswith(_BEGINNING) or _BEGINNING.startswith(line)):
                return
            try:
                values = json.loads(line)
                name, outputs, error = storage.absolute(values["input"]), values["outputs"], values["error"]
                if error is None:
                    self._done.setdefault(name, set()).update(map(storage.absolute, outputs))
                else:
                    self._done.pop(name, None)
            except (ValueError, TypeError, KeyError, RecursionError):
                raise OutputError(
                    f"{self.path}: line {number} is no line of a manifest; choose another --manifest"
                ) from None
            self._whole += len(line)

    def begin(self) -> None:
        """Open it for more lines; what an interrupted run left of its last one is cut off.

        Raises
        ------
        OutputError
            If it can't be written.
        """
        if self._file is not None:
            return
        if storage.is_remote(self.path):
            for number in reversed(range(len(self._parts) if self._anew else 0)):
                storage.remove(_part(self.path, number))
            self._file = _Parts(self.path, 0 if self._anew else len(self._parts))
            return
        try:
            self._file = open(self.path, "ab", buffering=0)  # noqa: SIM115 - closed by __exit__
            self._file.truncate(self._whole)
        except OSError as error:
            raise OutputError(f"{self.path}: can't be written: {error.strerror}; choose another --manifest") from None

    def has(self, name: str, outputs: Sequence[str]) -> bool:
        """Tell whether a recording has a line without an error that names these results."""
        done = self._done.get(storage.absolute(name))
        return done is not None and set(map(storage.absolute, outputs)) <= done

    def add(self, line: Line) -> None:
        """Append a line, whole and at once.

        Raises
        ------
        OutputError
            If it can't be written.
        """
        self.begin()
        assert self._file is not None
        try:
            self._file.write(json.dumps(asdict(line)).encode() + b"\n")
        except OSError as error:
            raise OutputError(f"{self.path}: can't be written: {error.strerror}") from None

    def __enter__(self) -> Manifest:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


class _Parts:
    """A file in an object store, to be added to; ``number`` is that of its next part."""

    def __init__(self, path: str, number: int) -> None:
        self._path, self._number = path, number
        self._content = b""
        self._put()  # so that what can't be written is known before the work

    def write(self, line: bytes) -> None:
        """Add a line; it is there within seconds of the next one, or when the file is closed."""
        self._content += line
        if len(self._content) >= _PART_SIZE:
            self._put()
            self._number, self._content = self._number + 1, b""
        elif time.monotonic() - self._written >= _INTERVAL:
            self._put()

    def close(self) -> None:
        """Put what hasn't been."""
        self._put()

    def _put(self) -> None:
        storage.write(_part(self._path, self._number), self._content, overwrite=True)
        self._written = time.monotonic()


def _part(path: str, number: int) -> str:
    return f"{path}.{number}" if number else path
