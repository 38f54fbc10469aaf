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

from transcribe.errors import OutputError


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
    """Compute a file's sha256; None where it can't be read."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


class Manifest:
    """The manifest of a batch, open for more lines.

    Parameters
    ----------
    path
        Made if it isn't there. What an interrupted run left of its last line is cut off.

    Raises
    ------
    OutputError
        If it can't be read or written, or is something else than a manifest.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.resumed = path.exists()
        self._done: dict[str, tuple[str, ...]] = {}
        try:
            self._file = path.open("a+b")
            self._read()
        except OSError as error:
            raise OutputError(f"{path}: can't be written: {error.strerror}; choose another --manifest") from None

    def _read(self) -> None:
        self._file.seek(0)
        whole = 0
        for number, line in enumerate(self._file, 1):
            if not line.endswith(b"\n"):
                break
            try:
                values = json.loads(line)
                name, outputs, error = str(values["input"]), values["outputs"], values["error"]
                self._done.pop(name, None)
                if error is None:
                    self._done[name] = tuple(str(output) for output in outputs)
            except (ValueError, TypeError, KeyError):
                self._file.close()
                raise OutputError(
                    f"{self.path}: line {number} is no line of a manifest; choose another --manifest"
                ) from None
            whole += len(line)
        self._file.truncate(whole)
        self._file.seek(0, os.SEEK_END)

    def has(self, name: str, outputs: Sequence[str]) -> bool:
        """Tell whether a recording is done: it has a line without an error, and these results, which are there."""
        done = self._done.get(name)
        return done is not None and set(outputs) <= set(done) and all(os.path.exists(output) for output in outputs)

    def add(self, line: Line) -> None:
        """Append a line, whole and at once.

        Raises
        ------
        OutputError
            If it can't be written.
        """
        try:
            self._file.write(json.dumps(asdict(line)).encode() + b"\n")
            self._file.flush()
        except OSError as error:
            raise OutputError(f"{self.path}: can't be written: {error.strerror}") from None

    def __enter__(self) -> Manifest:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the file."""
        self._file.close()
