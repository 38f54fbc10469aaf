"""The command ``pitchai``: its subcommands, and which of them is called; exit codes.

stdout is the result; stderr is progress, warnings and errors. Heavy modules are imported inside the commands, so that
``--help`` is quick.
"""

from __future__ import annotations

import os
import re
import sys
import warnings
from collections.abc import Callable
from difflib import get_close_matches
from functools import cache, partial

import typer

from transcribe.cli import console, doctor, evaluate, files, listen, signals
from transcribe.cli import live as playing
from transcribe.cli.groups import unpacked
from transcribe.errors import UsageError
from transcribe.registry import TASKS

_program = partial(
    typer.Typer,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
# What is called without a task.
_OTHERS: dict[str, Callable[..., None]] = {
    "live": playing.live,
    "eval": evaluate.evaluate,
    "convert": files.convert,
    "show": files.show,
    "schema": files.schema,
    "doctor": doctor.doctor,
}
# Notes have no command: `pitchai song.wav` needs no name, and its help shows its options.
_TASKS = {task.name: task for task in TASKS if task is not listen.NOTES}
COMMANDS = (*_TASKS, *_OTHERS)


@cache
def commands() -> typer.Typer:
    """Make the program of all commands that have a name."""
    program = _program()
    for name, task in _TASKS.items():
        program.command(name)(listen.command_of(task))
    for name, command in _OTHERS.items():
        helps = {"dataset": evaluate.datasets_help()}
        program.command(name)(unpacked(command, helps=helps, without=["max_duration"]))
    return program


@cache
def transcribing() -> typer.Typer:
    """Make the program without a name, whose help ends with a list of the others."""
    texts = {**{name: task.help for name, task in _TASKS.items()}, **{n: c.__doc__ or "" for n, c in _OTHERS.items()}}
    first = {name: re.split(r"[.:](?:\s|$)", text)[0] for name, text in texts.items()}
    listed = ", ".join(f"[bold]{name}[/] ({text[0].lower()}{text[1:]})" for name, text in first.items())
    program = _program()
    program.command(
        epilog=f"Other commands: {listed}. Each has its own --help. A file of such a name works as ./eval."
    )(listen.default_command())
    return program


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
    # A signal inside a decoder was only remembered, and Ray makes an exit code of its own of one.
    code = next(iter(signals.received), code)
    signals.received.clear()
    signals.announce(code)
    return code


def _run(words: list[str]) -> int:
    """Call the command that the first word names, else the one that transcribes."""
    words = _with_address(words)
    _check_text(words)
    if words[0] not in COMMANDS:
        _check_first(words[0])
    program = commands() if words[0] in COMMANDS else transcribing()
    return int(program(words, prog_name="pitchai", standalone_mode=False) or 0)


def _check_text(words: list[str]) -> None:
    """Refuse what no system passes on, but a program that calls :func:`main` may."""
    for word in words:
        try:
            os.fsencode(word)
        except UnicodeEncodeError as error:
            raise UsageError(f"{word!r} holds half a character: {error.reason}") from None
        if "\0" in word:
            raise UsageError(f"{word!r} holds a character that no name may have")


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
