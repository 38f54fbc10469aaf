"""The command ``pitchai``: its subcommands, and which of them is called; exit codes.

stdout is the result; stderr is progress, warnings and errors. Heavy modules are imported inside the commands, so that
``--help`` is quick.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable
from difflib import get_close_matches
from functools import cache, partial

import typer
from typer.main import get_command

from transcribe.cli import assistant, console, doctor, evaluate, files, listen, serve, signals
from transcribe.cli import live as playing
from transcribe.cli.groups import unpacked
from transcribe.cli.help import Command, first_sentence
from transcribe.errors import InputError, UsageError
from transcribe.registry import TASKS

_program = partial(
    typer.Typer,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
# What is called without a task.
_OTHERS: dict[str, Callable[..., None]] = {
    "live": playing.live,
    "convert": files.convert,
    "show": files.show,
    "eval": evaluate.evaluate,
    "schema": files.schema,
    "serve": serve.serve,
    "mcp": assistant.mcp,
    "doctor": doctor.doctor,
}
# Notes have no command: `pitchai song.wav` needs no name, and its help shows its options.
_TASKS = {task.name: task for task in TASKS if task is not listen.NOTES}
COMMANDS = (*_TASKS, *_OTHERS)
_HELP = "help"
# What other programs call it, or people expect.
_NEEDLESS = ("transcribe", "notes", "listen", "midi", "score", "run")
_EXAMPLES = (
    "[bold]pitchai song.wav[/] writes song.mid beside it; [bold]-o song.pdf[/] writes a score, [bold]-o song.html[/] a "
    "page to listen to. A file that has the name of a command works as ./eval."
)


@cache
def commands() -> typer.Typer:
    """Make the program of all commands that have a name."""
    program = _program(add_completion=False)
    for name, task in _TASKS.items():
        program.command(name, cls=Command)(listen.command_of(task))
    for name, command in _OTHERS.items():
        helps = {"dataset": evaluate.datasets_help()}
        program.command(name, cls=Command)(unpacked(command, helps=helps, without=["max_duration"]))
    return program


@cache
def transcribing() -> typer.Typer:
    """Make the program without a name, whose help lists the others."""

    class Main(Command):
        others = summaries()

    program = _program(add_completion=True)
    program.command(cls=Main, epilog=_EXAMPLES)(listen.default_command())
    return program


def summaries() -> dict[str, str]:
    """Say of every command in a sentence what it does."""
    texts = {**{name: task.help for name, task in _TASKS.items()}, **{n: c.__doc__ or "" for n, c in _OTHERS.items()}}
    return {**{n: f"{first_sentence(text)}." for n, text in texts.items()}, "help COMMAND": "Show a command's help."}


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return the exit code; nothing is raised."""
    console.open_streams()
    signals.install()
    warnings.showwarning = _say_warning
    code = 0
    try:
        with console.writing_stdout():
            code = _complete() or _run((sys.argv[1:] if arguments is None else arguments) or ["--help"])
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
    if words[0] == _HELP and not os.path.lexists(_HELP):
        words = [*words[1:2], "--help"]
    if words[0] not in COMMANDS:
        _check_first(words[0])
    program = commands() if words[0] in COMMANDS else transcribing()
    return int(program(words, prog_name="pitchai", standalone_mode=False) or 0)


def _complete() -> int:
    """Answer a shell that asks how the line could go on, and leave; else do nothing."""
    if "_PITCHAI_COMPLETE" not in os.environ:
        return 0
    get_command(_program(add_completion=True, callback=lambda: None))  # which makes the shells known to typer
    asked = os.environ.get("COMP_WORDS") or os.environ.get("_TYPER_COMPLETE_ARGS", "")
    words = asked.split()[1:]
    named = not words or words[0] in COMMANDS or (len(words) == 1 and not words[0].startswith("-"))
    program = get_command(commands() if named else transcribing())
    return int(program(prog_name="pitchai", standalone_mode=False) or 0)


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
    if not word.isalpha() or os.path.lexists(word):
        return
    if word in _NEEDLESS:
        raise UsageError(f"{word}: no such file, and no command is needed: pitchai song.wav; see pitchai --help")
    looks_like = get_close_matches(word, (*COMMANDS, _HELP), n=1, cutoff=0.6)
    if looks_like:
        raise UsageError(f"{word}: no such command or file; did you mean {looks_like[0]}?")
    raise InputError(f"{word}: no such command or file; see pitchai --help")


def _with_address(words: list[str]) -> list[str]:
    """Say ``auto`` where ``--ray`` has no address: typer knows no option whose value may be left out."""
    following = [*words[1:], "-"]
    return [
        "--ray=auto" if word == "--ray" and after.startswith("-") else word
        for word, after in zip(words, following, strict=True)
    ]


def _say_warning(message: Warning | str, *_: object, **__: object) -> None:
    console.say(" ".join(str(message).split()))
