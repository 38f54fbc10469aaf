"""Groups of options, which are dataclasses, as commands of typer; groups made of what a task offers."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from copy import copy
from dataclasses import MISSING, fields, is_dataclass, make_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_type_hints

import typer
from typer.models import OptionInfo

if TYPE_CHECKING:
    from transcribe.registry import Task

# Settings of a task by their names.
Settings = dict[str, Any]


def unpacked(
    command: Callable[..., None],
    *,
    helps: Mapping[str, str] | None = None,
    without: Collection[str] = (),
    **groups: type,
) -> Callable[..., None]:
    """Make of a function that takes groups of options one that takes each option, as typer wants it.

    Parameters
    ----------
    command
        The function; arguments that are annotated with a dataclass are groups.
    helps
        Other texts of help, by the fields' names.
    without
        Fields that the command doesn't offer; they keep their defaults.
    groups
        The dataclasses of arguments whose annotation isn't one.

    Raises
    ------
    ValueError
        If two groups have an option of one name.
    """
    hints = {**get_type_hints(command, include_extras=True), **groups}
    hints.pop("return", None)
    offered: dict[str, inspect.Parameter] = {}
    members: dict[str, list[str]] = {}
    for argument, kind in hints.items():
        if not is_dataclass(kind):
            default = inspect.signature(command).parameters[argument].default
            offered[argument] = _parameter(
                argument, _described(kind, (helps or {}).get(argument), None, default), default
            )
            continue
        own = get_type_hints(kind, include_extras=True)
        members[argument] = [f.name for f in fields(kind) if f.name not in without]
        for field in (f for f in fields(kind) if f.name in members[argument]):
            if field.name in offered:
                raise ValueError(f"{command.__name__} would have two options {field.name}")
            panel, text = (kind.__doc__ or "").splitlines()[0].rstrip("."), (helps or {}).get(field.name)
            default = inspect.Parameter.empty if field.default is MISSING else field.default
            described = _described(own[field.name], text, panel, default)
            offered[field.name] = _parameter(field.name, described, default)

    def call(**values: object) -> None:
        collected = {
            argument: hints[argument](**{name: values.pop(name) for name in names})
            for argument, names in members.items()
        }
        command(**collected, **values)

    call.__name__, call.__doc__ = command.__name__, command.__doc__
    call.__annotations__ = {name: parameter.annotation for name, parameter in offered.items()}
    call.__signature__ = inspect.Signature(list(offered.values()))  # type: ignore[attr-defined]
    return call


def _parameter(name: str, annotation: object, default: object) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


# What stands for a value in the help, where an option doesn't say.
_VALUES = {int: "N", float: "NUMBER", str: "TEXT", Path: "FILE", bool: ""}


def _described(annotation: Any, text: str | None, panel: str | None, default: object) -> object:
    """Put an option into its group's panel of the help, with its value, its range and what it is if not given."""
    kind, about = get_args(annotation)
    about = copy(about)
    about.help = text or about.help or ""
    (plain,) = {*(get_args(kind) or [kind])} & set(_VALUES) or {str}
    if about.metavar is None:
        about.metavar = _VALUES[plain]
    if isinstance(about, OptionInfo):
        about.rich_help_panel = about.rich_help_panel or panel
        shown = about.show_default if isinstance(about.show_default, str) else default if about.show_default else None
        about.help += _range(about.min, about.max, shown if plain is not bool else None)
    return Annotated[kind, about]


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _range(low: float | None, high: float | None, default: object) -> str:
    """Say between what a value lies, and what it is if it isn't given."""
    said = [
        "" if low is None and high is None else f"at least {low:g}" if high is None else f"{low or 0:g} to {high:g}",
        "" if default in (None, "", inspect.Parameter.empty) else f"{_plain(default)} if not given",
    ]
    found = "; ".join(filter(None, said))
    return f" [dim]({found})[/]" if found else ""


def settings_of(task: Task) -> type:
    """Make a group of the settings that a task's command offers."""
    members = [
        (
            option.name,
            Annotated[
                option.kind | None,
                typer.Option(
                    min=option.minimum, max=option.maximum, help=option.help, show_default=option.default or False
                ),
            ],
            None,
        )
        for option in task.options
    ]
    group = make_dataclass("Settings", members, frozen=True)
    group.__doc__ = f"Settings of the {task.name}."
    return group


def given(settings: object) -> Settings:
    """Keep the settings that were given; the model's own stand for the others."""
    return {name: value for name, value in vars(settings).items() if value is not None}


def switches_of(tasks: Sequence[Task]) -> type:
    """Make a group of one switch a task: ``--no-NAME`` where it is heard by default, ``--NAME`` where not."""
    members = []
    for task in tasks:
        if task.by_default:
            option = typer.Option(f"--no-{task.name}", help=f"Leave out the {task.name}: a little faster.")
        else:
            option = typer.Option(f"--{task.name}", help=f"Find the {task.name} too: slower.")
        members.append((task.name, Annotated[bool, option], False))
    group = make_dataclass("Switches", members, frozen=True)
    group.__doc__ = "What is heard beside the notes."
    return group


def switched_on(switches: object, tasks: Sequence[Task]) -> list[Task]:
    """Choose the tasks that are asked for."""
    return [task for task in tasks if getattr(switches, task.name) != task.by_default]
