"""A batch's manifest: a line of JSON for every recording that is done, written as it goes, read to go on.

``{"input", "sha256", "outputs", "duration", "notes", "seconds", "error"}``: the recording's path and checksum, the
files written, its length, how many notes were heard, how long that took, and why it failed (null where it didn't). The
line follows the results, so a recording with a line has its results; one without is done again.

Several batches may write one manifest: each line is added in one write, and only who has it alone, which a lock tells,
cuts off what a full disk or a kill left of a line. Where such a rest is read, its recording is done again.

An object store can't append: there the manifest is written in parts, ``pitchai.jsonl``, ``pitchai.jsonl.1`` and so on,
the last of which is put anew every few seconds until it is full. Whoever is killed does a few seconds' work again.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
import warnings
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

from transcribe.batch import storage
from transcribe.errors import OutputError, TakenError

# What every line begins with: one that was cut off is known by it, and where the next is glued to it.
_BEGINNING = b'{"input": '
# How often a part is put, in seconds, and how large it grows, in bytes: about ten thousand lines.
_INTERVAL, _PART_SIZE = 10.0, 1 << 22
# No line is longer, in bytes.
_LONGEST = 1 << 20


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

    Warns
    -----
    UserWarning
        If lines of it are torn.

    Raises
    ------
    OutputError
        If it can't be read, or is something else than a manifest.
    """

    def __init__(self, path: str | Path, anew: bool = False) -> None:
        self.path = str(path)
        self._done: dict[str, set[str]] = {}
        self._file: _Appended | _Parts | None = None
        self._parts: list[bytes] = []
        self._anew = anew
        content = self._content()
        self.resumed = content is not None and not anew
        n_torn = self._read(content or b"")
        if anew:
            self._done = {}
        elif n_torn:
            places = "1 place" if n_torn == 1 else f"{n_torn} places"
            warnings.warn(f"{self.path}: torn in {places}; what is missing is done again", stacklevel=2)

    def _content(self) -> bytes | None:
        if storage.is_remote(self.path):
            while (part := storage.read(_part(self.path, len(self._parts)))) is not None:
                self._parts.append(part)
            return b"".join(self._parts) if self._parts else None
        try:
            return Path(self.path).read_bytes() if os.path.lexists(self.path) else None
        except OSError as error:
            raise OutputError(f"{self.path}: can't be read: {error.strerror}; choose another --manifest") from None

    def _read(self, content: bytes) -> int:
        """Read the lines; return how many are torn."""
        n_torn = 0
        known = False  # as a manifest, by the beginning of a line
        for number, line in enumerate(filter(None, content.split(b"\n")), 1):
            known = known or line.startswith(_BEGINNING) or _BEGINNING.startswith(line)
            # Glued to the rest of another, a line is still whole.
            first = max(0, line.rfind(_BEGINNING))
            n_torn += first > 0
            try:
                values = json.loads(line[first:])
            except (ValueError, RecursionError):
                if not known:
                    raise self._foreign(number) from None
                n_torn += 1
                continue
            try:
                name, outputs, error = storage.absolute(values["input"]), values["outputs"], values["error"]
                if error is None:
                    self._done.setdefault(name, set()).update(map(storage.absolute, outputs))
                else:
                    self._done.pop(name, None)
            except (ValueError, TypeError, KeyError):
                raise self._foreign(number) from None
        return n_torn

    def _foreign(self, number: int) -> OutputError:
        return OutputError(f"{self.path}: line {number} is no line of a manifest; choose another --manifest")

    def begin(self) -> None:
        """Open it for more lines.

        Raises
        ------
        OutputError
            If it can't be written, or is to be begun anew while another batch writes it.
        """
        if self._file is not None:
            return
        if not storage.is_remote(self.path):
            self._file = _Appended(self.path, self._anew)
            return
        for number in reversed(range(len(self._parts) if self._anew else 0)):
            storage.remove(_part(self.path, number))
        self._file = _Parts(self.path, 0 if self._anew else len(self._parts))

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
        self._file.write(json.dumps(asdict(line)).encode() + b"\n")

    def __enter__(self) -> Manifest:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


class _Appended:
    """A file here, that several processes may add to; ``anew`` empties it, if no other does."""

    def __init__(self, path: str, anew: bool) -> None:
        self._path = path
        try:
            # Unbuffered and for appending: a line is one write, which lands behind all others.
            self._file = open(path, "a+b", buffering=0)  # noqa: SIM115 - closed by close
            alone = _locked(self._file.fileno(), exclusive=True)
            if anew and not alone:
                self._file.close()
                raise OutputError(
                    f"{path}: another batch is writing it; wait for its end, or choose another --manifest"
                )
            if anew:
                self._file.truncate(0)
            self._torn = self._ends_torn(mend=alone)
            _locked(self._file.fileno(), exclusive=False)
        except OSError as error:
            raise OutputError(f"{path}: can't be written: {error.strerror}; choose another --manifest") from None

    def _ends_torn(self, mend: bool) -> bool:
        """Whether the last line has no end; ``mend`` cuts it off."""
        size = self._file.seek(0, os.SEEK_END)
        self._file.seek(max(0, size - _LONGEST))
        _, newline, rest = self._file.read().rpartition(b"\n")
        if rest and mend and (newline or size <= _LONGEST) and not _is_json(rest):
            self._file.truncate(size - len(rest))
            return False
        return bool(rest)

    def write(self, line: bytes) -> None:
        """Add a line; after one that was torn, in a line of its own.

        Raises
        ------
        OutputError
            If it can't be written; then nothing of it stays, if no other process writes.
        """
        content = b"\n" + line if self._torn else line
        try:
            n_written = self._file.write(content)
            if n_written != len(content):
                raise OSError(None, "the disk is full")
            self._torn = False
        except OSError as error:
            with suppress(OSError):
                self._torn = self._ends_torn(mend=_locked(self._file.fileno(), exclusive=True))
                _locked(self._file.fileno(), exclusive=False)
            raise OutputError(f"{self._path}: can't be written: {error.strerror}") from None

    def close(self) -> None:
        """Close it."""
        self._file.close()


def _is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _locked(descriptor: int, exclusive: bool) -> bool:
    """Lock a file, as one of many or, unless others have it, alone.

    Who has it alone has it for an instant, which is waited for. Where the system knows no such locks, it counts as
    locked.
    """
    try:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB if exclusive else fcntl.LOCK_SH)
    except BlockingIOError:
        return False
    except (ImportError, OSError):
        return True
    return True


class _Parts:
    """A file in an object store, to be added to; ``number`` is that of its next part, unless another batch has it."""

    def __init__(self, path: str, number: int) -> None:
        self._path, self._number = path, number
        self._content = b""
        self._begin()  # so that what can't be written is known before the work

    def write(self, line: bytes) -> None:
        """Add a line; it is there within seconds of the next one, or when the file is closed."""
        self._content += line
        if len(self._content) >= _PART_SIZE:
            self._put()
            self._number, self._content = self._number + 1, b""
            self._begin()
        elif time.monotonic() - self._written >= _INTERVAL:
            self._put()

    def close(self) -> None:
        """Put what hasn't been."""
        self._put()

    def _begin(self) -> None:
        """Take the next number that is free."""
        while True:
            with suppress(TakenError):
                return self._put(overwrite=False)
            self._number += 1

    def _put(self, overwrite: bool = True) -> None:
        storage.write(_part(self._path, self._number), self._content, overwrite)
        self._written = time.monotonic()


def _part(path: str, number: int) -> str:
    return f"{path}.{number}" if number else path
