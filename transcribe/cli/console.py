"""What people see: lines, tables and bars. stdout is the result; stderr is progress, warnings and errors."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, Any

from transcribe.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rich.table import Table
    from rich.text import Text

    from transcribe.engine.task import Progress
    from transcribe.events import Transcription
    from transcribe.report.tables import Table as Plain


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
    try:
        sys.stdout.flush()
        stream = getattr(sys.stdout, "buffer", None)
        if stream is None:  # a stream of text alone, as tests put there
            sys.stdout.write(content.decode("utf-8", "surrogateescape"))
        else:
            stream.write(content)
            stream.flush()
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - lives as long as the process
    except OSError as error:
        raise OutputError(f"standard output can't be written: {error.strerror or error}") from None


def print_tables(*tables: Table | Text | str) -> None:
    """Print to stdout; what is not a terminal has no width, so nothing is folded there."""
    from rich.console import Console

    console = Console(highlight=False, width=None if sys.stdout.isatty() else 10_000)
    with console.capture() as captured:
        for table in tables:
            console.print(table)
    print_line(captured.get().rstrip("\n"))


def say(message: str) -> None:
    """Say one line on stderr."""
    with contextlib.suppress(OSError):
        print(f"pitchai: {clean(message)}", file=sys.stderr, flush=True)


def clean(text: str) -> str:
    """Show control characters instead of obeying them: file names may hold anything."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)
    return shown.encode("utf-8", "backslashreplace").decode()


class ProgressBar:
    """A bar on stderr where that is a terminal, nothing elsewhere; gives the callback that moves it."""

    def __init__(self, label: str, quiet: bool) -> None:
        self._label = clean(label)
        self._shown = sys.stderr.isatty() and not quiet
        self._bar: Any = None

    def __enter__(self) -> Progress | None:
        if not self._shown:
            return None
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
        self._bar.start()
        task = self._bar.add_task(self._label, total=None)
        return lambda done, total: self._bar.update(task, completed=done, total=total)

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()


class BatchBar:
    """A bar for many recordings: how many are done, audio hours an hour, and the time left; as :class:`ProgressBar`."""

    def __init__(self, total: int, quiet: bool) -> None:
        self._total = total
        self._shown = sys.stderr.isatty() and not quiet
        self._bar: Any = None

    def __enter__(self) -> Callable[[int, float], None]:
        if not self._shown:
            return lambda done, rate: None
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (MofNCompleteColumn(), BarColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
        self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
        self._bar.start()
        task = self._bar.add_task("", total=self._total)
        return lambda done, rate: self._bar.update(
            task, completed=done, description=f"{rate:.0f} hours of audio an hour"
        )

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()


def facts(title: str, lines: Iterable[tuple[str, ...]]) -> Table:
    """Lay out names and values; any text may stand in them."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(clean(title)), show_header=False, title_justify="left", title_style="bold")
    table.add_column(style="cyan")
    table.add_column(overflow="fold")
    for name, value in lines:
        table.add_row(Text(clean(name)), Text(clean(value)))
    return table


def summary(title: str, result: Transcription, device: str = "", written: Iterable[str] = ()) -> Table:
    """Sum up a transcription for a person."""
    from transcribe.registry import summary as rows

    found = list(rows(result))
    if result.models:
        found.append(("heard by", ", ".join(result.models.values()) + (f" on {device}" if device else "")))
    return facts(title, [*found, *(("written", path) for path in written)])


def roll(result: Transcription, width: int) -> Text:
    """Draw notes in ``width`` columns, a row for every two semitones; nothing for no notes."""
    from rich.text import Text

    from transcribe.report.summary import minutes, pitch_name

    if not result.notes:
        return Text("")
    low, high = (choose(note.pitch for note in result.notes) for choose in (min, max))
    seconds = max(result.duration, *(note.offset for note in result.notes), 1e-9)
    pitches = range(high + 1 if (high - low) % 2 == 0 else high, low - 1, -1)
    cells = {pitch: [False] * width for pitch in pitches}
    for note in result.notes:
        first = min(int(note.onset / seconds * width), width - 1)
        last = max(first + 1, round(note.offset / seconds * width))
        cells[note.pitch][first:last] = [True] * (min(last, width) - first)
    lines = []
    for upper, lower in zip(pitches[::2], pitches[1::2], strict=True):
        row = "".join(" ▄▀█"[2 * up + down] for up, down in zip(cells[upper], cells[lower], strict=True))
        lines.append(f"{pitch_name(lower):>4} {row.rstrip()}")
    return Text("\n".join([*lines, f"{'':4} 0{minutes(seconds):>{width - 1}}"]), no_wrap=True)


def laid_out(part: Plain | str) -> Table | Text:
    """Lay out a table or lines of a report or a result; any text may stand in them."""
    from rich.table import Column, Table
    from rich.text import Text

    if isinstance(part, str):
        return Text("\n".join(map(clean, part.split("\n"))))
    if not part.columns:
        return facts(part.title, part.rows)
    heads = (Column(Text(clean(head))) for head in part.columns)
    table = Table(*heads, title=Text(clean(part.title)) if part.title else None, title_justify="left")
    for row in part.rows:
        table.add_row(*(Text(clean(v), style="bold" if i == part.strong else "") for i, v in enumerate(row)))
    return table
