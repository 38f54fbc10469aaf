"""The command ``pitchai``: its subcommands, and which of them is called; exit codes.

stdout is the result; stderr is progress, warnings and errors. Heavy modules are imported inside the commands, so that
``--help`` is quick.
"""

from __future__ import annotations

import os
import re
import sys
import warnings
from difflib import get_close_matches
from typing import Any

import typer

from transcribe.cli import console, doctor, evaluate, files, listen, signals
from transcribe.cli.options import unpacked
from transcribe.errors import UsageError
from transcribe.registry import TASKS

_SETTINGS: dict[str, Any] = {
    "add_completion": False,
    "pretty_exceptions_enable": False,
    "context_settings": {"help_option_names": ["-h", "--help"]},
}
# Two programs under one name: `pitchai song.wav` needs no subcommand, and its help shows its options.
transcribing = typer.Typer(**_SETTINGS)
commands = typer.Typer(**_SETTINGS)

for _task in TASKS:
    if _task is not listen.NOTES:  # whose command has no name
        commands.command(_task.name)(listen.command_of(_task))
commands.command("eval")(unpacked(evaluate.evaluate, without=["max_duration"]))
for _command in (files.convert, files.show, files.schema, doctor.doctor):
    commands.command(_command.__name__)(unpacked(_command))

# Each with the first sentence of its help.
COMMANDS = {
    str(command.name): re.split(r"[.:](?:\s|$)", command.callback.__doc__ or "")[0]
    for command in commands.registered_commands
    if command.callback is not None
}
_LISTED = ", ".join(f"[bold]{name}[/] ({text[0].lower()}{text[1:]})" for name, text in COMMANDS.items())
_EPILOG = f"Other commands: {_LISTED}. Each has its own --help. A file of such a name works as ./eval."
transcribing.command(epilog=_EPILOG)(listen.default_command())


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return the exit code; nothing is raised."""
    console.open_streams()
    signals.install()
    warnings.showwarning = _say_warning
    code = 0
    try:
        with console.writing_stdout():
            code = _run((sys.argv[1:] if arguments is None else arguments) or ["--help"])
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 0
    except Exception as error:
        if not signals.received:  # which libraries make errors of their own of
            return console.report_error(error)
    # A signal inside a decoder was only remembered.
    code = code or next(iter(signals.received), 0)
    signals.received.clear()
    signals.announce(code)
    return code


def _run(words: list[str]) -> int:
    """Call the command that the first word names, else the one that transcribes."""
    words = _with_address(words)
    if words[0] not in COMMANDS:
        _check_first(words[0])
    program = commands if words[0] in COMMANDS else transcribing
    return int(program(words, prog_name="pitchai", standalone_mode=False) or 0)


def _check_first(word: str) -> None:
    """Refuse a first word that is no file but looks like a command, whatever follows it."""
    looks_like = get_close_matches(word, COMMANDS, n=1, cutoff=0.7) if word.isalpha() else []
    if looks_like and not os.path.lexists(word):
        raise UsageError(f"{word}: no such command or file; did you mean {looks_like[0]}?")


def _with_address(words: list[str]) -> list[str]:
    """Say ``auto`` where ``--ray`` has no address: typer knows no option whose value may be left out."""
    following = [*words[1:], "-"]
    return [
        "--ray=auto" if word == "--ray" and after.startswith("-") else word
        for word, after in zip(words, following, strict=True)
    ]


def _say_warning(message: Warning | str, *_: object, **__: object) -> None:
    console.say(" ".join(str(message).split()))
