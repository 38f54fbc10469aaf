"""A batch's manifest: a line of JSON for every recording that is done, written as it goes, read to go on.

``{"input", "sha256", "outputs", "duration", "notes", "seconds", "error"}``: the recording's path and checksum, the
files written, its length, how many notes were heard, how long that took, and why it failed (null where it didn't). The
line follows the results, so a recording with a line has its results; one without is done again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from transcribe.errors import OutputError

# What every line begins with: a last one that was cut off is known by it.
_BEGINNING = b'{"input": '


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

    def __init__(self, path: Path, anew: bool = False) -> None:
        self.path = path
        self._done: dict[str, set[str]] = {}
        self._whole = 0
        self._file: BinaryIO | None = None
        try:
            content = path.read_bytes() if os.path.lexists(path) else None
        except OSError as error:
            raise OutputError(f"{path}: can't be read: {error.strerror}; choose another --manifest") from None
        self.resumed = content is not None and not anew
        self._read(content or b"")
        if anew:
            self._done, self._whole = {}, 0

    def _read(self, content: bytes) -> None:
        for number, line in enumerate(content.splitlines(keepends=True), 1):
            if not line.endswith(b"\n") and (line.startswith(_BEGINNING) or _BEGINNING.startswith(line)):
                return
            try:
                values = json.loads(line)
                name, outputs, error = os.path.abspath(values["input"]), values["outputs"], values["error"]
                if error is None:
                    self._done.setdefault(name, set()).update(os.path.abspath(output) for output in outputs)
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
        try:
            self._file = self.path.open("ab", buffering=0)
            self._file.truncate(self._whole)
        except OSError as error:
            raise OutputError(f"{self.path}: can't be written: {error.strerror}; choose another --manifest") from None

    def has(self, name: str, outputs: Sequence[str]) -> bool:
        """Tell whether a recording is done: it has a line without an error, and these results, which are there."""
        done = self._done.get(os.path.abspath(name))
        wanted = set(map(os.path.abspath, outputs))
        return done is not None and wanted <= done and all(map(os.path.isfile, wanted))

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
