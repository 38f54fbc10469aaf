"""The help of a command: what it takes, in panels by aim; the same for the screen and for the documents."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from typer.core import TyperCommand

if TYPE_CHECKING:
    from rich.panel import Panel as Box

# No line is longer, on however wide a terminal.
_WIDTH = 110
_ABOUT = "Other options"


@dataclass(frozen=True)
class Line:
    """What is typed (``-o, --output PLACE``), and what it does."""

    typed: str
    text: str


@dataclass(frozen=True)
class Panel:
    """Options, arguments or commands with one aim."""

    title: str
    lines: tuple[Line, ...]


class Command(TyperCommand):
    """A command with this help; ``others`` are the commands that stand in it, name to text."""

    others: Mapping[str, str] = {}

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the help."""
        from rich.console import Console
        from rich.padding import Padding
        from rich.text import Text

        console = Console(highlight=False)
        console.width = min(console.width, _WIDTH)
        console.print(
            Padding(Text.assemble(("Usage: ", "yellow"), (usage(self, ctx.command_path), "bold")), (1, 1, 1, 1))
        )
        console.print(Padding(Text.from_markup(_reflowed(self.help or "")), (0, 1, 1, 1)))
        for panel in panels(self):
            console.print(_boxed(panel))
        if self.epilog:
            console.print(Padding(Text.from_markup(self.epilog), (1, 1, 0, 1)))


def usage(command: Any, path: str) -> str:
    """Say how a command is typed."""
    arguments = [parameter.metavar for parameter in command.params if not _is_option(parameter)]
    return " ".join((path, *arguments, "[OPTIONS]"))


def panels(command: Any) -> Iterator[Panel]:
    """Yield what a command takes: arguments, other commands, options by aim."""
    arguments = [Line(p.metavar, p.help or "") for p in command.params if not _is_option(p) and not p.hidden]
    if arguments:
        yield Panel("What is given", tuple(arguments))
    if others := getattr(command, "others", {}):
        yield Panel("Commands", tuple(Line(f"pitchai {name}", text) for name, text in others.items()))
    found: dict[str, list[Line]] = {}
    options = [p for p in command.params if _is_option(p) and not p.hidden]
    for one in options:
        found.setdefault(one.rich_help_panel or _ABOUT, []).append(Line(_typed(one), one.help or ""))
    about = (*found.pop(_ABOUT, ()), Line("-h, --help", "Show this help."))
    for title, lines in found.items():
        yield Panel(title, tuple(lines))
    yield Panel(_ABOUT, about)


def first_sentence(text: str) -> str:
    """Cut a text after its first sentence, or at its first colon."""
    return re.split(r"[.:](?:\s|$)", text)[0]


def _is_option(parameter: Any) -> bool:
    return bool(parameter.param_type_name == "option")


def _typed(option: Any) -> str:
    names = ", ".join(sorted((*option.opts, *option.secondary_opts), key=len))
    return f"{names} {option.metavar}" if option.metavar else names


def _reflowed(text: str) -> str:
    """Join the lines of each paragraph."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def _boxed(panel: Panel) -> Box:
    from rich.panel import Panel as Box
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2), expand=True)
    table.add_column(style="cyan", max_width=34)
    table.add_column(ratio=1)
    for line in panel.lines:
        table.add_row(Text(line.typed), Text.from_markup(line.text))
    return Box(table, title=panel.title, title_align="left", border_style="dim")
