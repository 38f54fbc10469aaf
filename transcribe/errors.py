"""What can go wrong, as one tree; the command line exits with the class's code.

::

    PitchaiError            1
    ├── UsageError          2   an argument, a device or an extra that is not there
    ├── InputError          3   a recording, a label file or a data set that can't be read
    ├── WeightsError        4   weights missing, altered or unfit
    └── OutputError         5   a result that can't be written, or exists already

A message says what, why and what to do next, on one line.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from importlib import import_module
from types import ModuleType

# How C and C++ libraries say that there is no memory, in exceptions of their own, and the loader of libraries.
_NO_MEMORY = re.compile(r"bad[_ ]alloc|allocate memory|out of memory|failed to (allocate|map)", re.IGNORECASE)


class PitchaiError(Exception):
    """Base of all errors that this package raises on purpose; its text shows no password of an address."""

    exit_code = 1

    def __init__(self, message: str) -> None:
        super().__init__(without_secrets(message))


class UsageError(PitchaiError):
    """An argument that can't be used, or something it needs that isn't installed."""

    exit_code = 2


class InputError(PitchaiError):
    """Input that can't be read."""

    exit_code = 3


class WeightsError(PitchaiError):
    """Weights that are missing, altered or don't fit the network."""

    exit_code = 4


class OutputError(PitchaiError):
    """Output that can't be written, or that exists and may not be replaced."""

    exit_code = 5


class TakenError(OutputError):
    """Output that exists and may not be replaced."""


def machine_fault(error: BaseException) -> str | None:
    """Say what the machine lacks (memory, threads, open files) where that is what went wrong; else None."""
    if isinstance(error, MemoryError):
        return "there is not enough memory"
    if not isinstance(error, (OSError, PitchaiError)) and _NO_MEMORY.search(str(error)):
        return "there is not enough memory"
    if isinstance(error, RuntimeError) and "start new thread" in str(error):
        return "no more threads can be started"
    if isinstance(error, ImportError) and os.strerror(errno.EMFILE) in str(error):
        return os.strerror(errno.EMFILE)
    if isinstance(error, OSError) and not isinstance(error, BrokenPipeError):
        return " ".join(str(error.strerror or error).split())[:300]
    return None


@contextmanager
def machine_faults_as(kind: type[PitchaiError], name: str) -> Iterator[None]:
    """Raise what the machine lacks as an error of ours that names what it was needed for."""
    try:
        yield
    except Exception as error:
        reason = None if isinstance(error, PitchaiError) else machine_fault(error)
        if reason is None:
            raise
        raise kind(f"{name}: {reason}") from None


def suggestion(word: str, known: Iterable[str]) -> str:
    """Say what may have been meant; nothing where nothing is like it.

    Examples
    --------
    >>> suggestion("meastro", ["maestro", "maps"])
    'did you mean maestro? '
    """
    like = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"did you mean {like[0]}? " if like else ""


def import_optional(package: str, purpose: str, extra: str) -> ModuleType:
    """Import a package that only some of the program needs.

    Parameters
    ----------
    package
        Its name.
    purpose
        What needs it, as the beginning of a message.
    extra
        The extra of pitchai that installs it.

    Raises
    ------
    UsageError
        If it isn't installed.
    """
    try:
        return import_module(package)
    except ImportError:
        raise UsageError(f"{purpose}: pip install 'pitchai[{extra}]'") from None


def without_secrets(text: str) -> str:
    """Leave passwords out of the addresses in a text, and signatures, which stand behind a question mark."""
    text = re.sub(r"(:/{1,2})[^/\s]*:[^/\s]*@", r"\1…@", text)  # a path of an address has one slash there
    return re.sub(r"(https?://[^\s?'\"]*)\?[^\s'\":]*", r"\1?…", text)
