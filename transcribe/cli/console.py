"""Lines and bars. stdout is the result; stderr is progress, warnings and errors."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from transcribe.errors import OutputError, PitchaiError, UsageError, machine_fault, without_secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from rich.progress import Progress as Bar

    from transcribe.engine.task import Progress
    from transcribe.events import Transcription

# What the system says of a standard output that takes no more: a full disk, a closed descriptor, a quota.
_REFUSED = (errno.ENOSPC, errno.EBADF, errno.EIO, errno.EFBIG, errno.EDQUOT)


def open_streams() -> None:
    """See that there are a stdout and a stderr to print to, in which no character is impossible."""
    # Who closed one of them before the start gets nothing there, least of all the other's words.
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


@contextlib.contextmanager
def writing_stdout() -> Iterator[None]:
    """Make one kind of error of whatever stdout refuses; who has stopped reading there misses the rest.

    Raises
    ------
    OutputError
        If it can't be written; not where the reader has gone.
    """
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        _forget_stdout()
    except SystemExit as error:  # rich's answer to the same
        if not isinstance(error.__context__, BrokenPipeError):
            raise
        _forget_stdout()
    except OSError as error:
        if error.errno not in _REFUSED or error.filename is not None:
            raise
        _forget_stdout()
        raise OutputError(f"standard output can't be written: {error.strerror or error}") from None


def _forget_stdout() -> None:
    """Print to nowhere from now on, and leave Python nothing to flush at its end."""
    with contextlib.suppress(OSError, ValueError):  # a stream of text alone has no descriptor
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - lives as long as the process


def print_line(text: str) -> None:
    """Print to stdout; whoever has stopped reading there misses it, and the work goes on."""
    write((text + "\n").encode("utf-8", "surrogateescape"))


def print_paths(paths: Iterable[str]) -> None:
    """Print paths as they are for programs, without control characters for people."""
    print_line("\n".join(clean(path) if sys.stdout.isatty() else path for path in paths))


def write(content: bytes) -> None:
    """Write bytes to stdout.

    Raises
    ------
    OutputError
        If they can't be written; not where the reader has gone.
    """
    with writing_stdout():
        sys.stdout.flush()
        stream = getattr(sys.stdout, "buffer", None)
        if stream is None:  # a stream of text alone, as tests put there
            sys.stdout.write(content.decode("utf-8", "surrogateescape"))
        else:
            stream.write(content)
            stream.flush()


def say(message: str) -> None:
    """Say one line on stderr; nothing where that can't be written."""
    try:
        print(f"pitchai: {clean(without_secrets(message))}", file=sys.stderr, flush=True)
    except OSError:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - Python flushes it at its end


def report_error(error: Exception) -> int:
    """Say on one line what went wrong, and return the exit code for it."""
    if os.environ.get("PITCHAI_TRACEBACK") and not (
        isinstance(error, PitchaiError) or hasattr(error, "format_message")
    ):
        raise error
    text, exit_code = describe(error)
    say(text)
    return exit_code


def describe(error: Exception) -> tuple[str, int]:
    """Put into a line what went wrong, and choose the exit code for it."""
    if isinstance(error, PitchaiError):
        return str(error), error.exit_code
    complain = getattr(error, "format_message", None)
    if complain is not None:  # typer's own complaints about the arguments
        asked = getattr(getattr(error, "ctx", None), "command_path", None) or "pitchai"
        return f"{complain().rstrip('.')}; see {asked} --help", UsageError.exit_code
    package = (getattr(error, "name", None) or "").partition(".")[0]
    if isinstance(error, ModuleNotFoundError) and package not in ("", "transcribe"):
        wanted = {"torch": "'pitchai[gpu]'"}.get(package, package)
        return f"{package} isn't installed, and is needed for this: pip install {wanted}", UsageError.exit_code
    if isinstance(error, FileNotFoundError) and not _has_working_folder():
        return "the working folder has been deleted; change to another, or give absolute paths", OutputError.exit_code
    fault = machine_fault(error)
    if fault is not None:
        return f"the system refuses: {fault}", UsageError.exit_code
    reason = " ".join(str(error).split())[:300]
    found = f"a bug: {type(error).__name__}: {reason}; please report it (PITCHAI_TRACEBACK=1 shows where)"
    return found, PitchaiError.exit_code


def _has_working_folder() -> bool:
    try:
        Path.cwd()
    except FileNotFoundError:
        return False
    return True


def say_remarks(source: Path, result: Transcription) -> None:
    """Say what was odd when a result was heard or read."""
    for warning in result.warnings:
        say(f"{source.name}: {warning}")


def clean(text: str) -> str:
    """Show control characters instead of obeying them: file names may hold anything."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)
    return shown.encode("utf-8", "backslashreplace").decode()


class ProgressBar:
    """A bar on stderr where that is a terminal, nothing elsewhere; gives the callback that moves it."""

    def __init__(self, label: str, quiet: bool) -> None:
        self._label = clean(label)
        self._shown = sys.stderr.isatty() and not quiet
        self._bar: Bar | None = None

    def __enter__(self) -> Progress | None:
        if not self._shown:
            return None
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeRemainingColumn())
        bar = self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
        bar.start()
        task = bar.add_task(self._label, total=None)
        return lambda done, total: bar.update(task, completed=done, total=total)

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()


class BatchBar:
    """A bar for many recordings: how many are done, audio hours an hour, and the time left; as :class:`ProgressBar`."""

    def __init__(self, total: int, quiet: bool) -> None:
        self._total = total
        self._shown = sys.stderr.isatty() and not quiet
        self._bar: Bar | None = None

    def __enter__(self) -> Callable[[int, float], None]:
        if not self._shown:
            return lambda done, rate: None
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (MofNCompleteColumn(), BarColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
        bar = self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
        bar.start()
        task = bar.add_task("", total=self._total)
        return lambda done, rate: bar.update(task, completed=done, description=f"{rate:.0f} hours of audio an hour")

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()
