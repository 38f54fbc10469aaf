"""How results are laid out for people, in tables of rich."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from transcribe.cli.console import clean, print_line
from transcribe.report import tables as plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.table import Table
    from rich.text import Text

    from transcribe.events import Transcription


# Columns that the names of pitches take beside a roll.
ROLL_MARGIN = 5


def print_tables(*tables: Table | Text | plain.Table | str) -> None:
    """Print to stdout; what is not a terminal has no width, so nothing is folded there."""
    from rich.console import Console

    console = Console(highlight=False, width=None if sys.stdout.isatty() else 10_000)
    with console.capture() as captured:
        for table in tables:
            console.print(_rendered(table))
    print_line(captured.get().rstrip("\n"))


def _rendered(table: Table | Text | plain.Table | str) -> Table | Text:
    """Lay out plain values; any text may stand in them."""
    from rich.table import Column, Table
    from rich.text import Text

    if isinstance(table, str):
        return Text("\n".join(map(clean, table.split("\n"))))
    if not isinstance(table, plain.Table):
        return table
    if not table.columns:
        return facts(table.title, table.rows)
    columns = (
        Column(Text(clean(name)), style="bold" if number == table.strong else "")
        for number, name in enumerate(table.columns)
    )
    laid_out = Table(*columns, title=Text(clean(table.title)) if table.title else None, title_justify="left")
    for row in table.rows:
        laid_out.add_row(*(Text(clean(cell)) for cell in row))
    return laid_out


def facts(title: str, rows: Iterable[Sequence[str]]) -> Table:
    """Lay out names and values; any text may stand in them."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(clean(title)), show_header=False, title_justify="left", title_style="bold")
    table.add_column(style="cyan")
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(Text(clean(name)), Text(clean(value)))
    return table


def summed_up(title: str, result: Transcription, device: str = "", written: Iterable[str] = ()) -> Table:
    """Sum up a transcription: what each task found, the models, the files written."""
    from transcribe.registry import summary

    found = list(summary(result))
    if result.models:
        found.append(("models", ", ".join(result.models.values()) + (f" on {device}" if device else "")))
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
