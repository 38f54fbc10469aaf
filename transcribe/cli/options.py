"""The options that commands share, each declared once: groups of them are frozen dataclasses.

A command takes groups as its arguments, and :func:`unpacked` makes of every field an option for typer. To offer one
more option to all commands of a group is to add a field; to offer a group to a command is to name it as an argument.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from copy import copy
from dataclasses import MISSING, asdict, dataclass, fields, is_dataclass, make_dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer
from typer.models import OptionInfo

from transcribe.errors import UsageError

if TYPE_CHECKING:
    from transcribe.registry import Task
    from transcribe.score.analysis import Timing


@dataclass(frozen=True)
class Batch:
    """Recordings and results."""

    inputs: Annotated[
        list[str], typer.Argument(metavar="INPUT…", help="Recordings, folders or globs; - is standard input.")
    ]
    output: Annotated[
        list[str] | None,
        typer.Option("--output", "-o", help="A file, a folder, or - for stdout. Nothing is written if not given."),
    ] = None
    formats: Annotated[
        list[str] | None, typer.Option("--format", "-f", help="What to write, where -o's suffix doesn't say.")
    ] = None
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="Search folders within folders.")] = False
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace results that exist.")] = False
    skip_existing: Annotated[
        bool, typer.Option("--skip-existing", help="Leave out recordings whose results exist.")
    ] = False
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document a recording.")] = False
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only the paths written.")] = False
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=1024,
            help="Processes that work side by side, one thread each. If one dies, only its recording fails.",
        ),
    ] = None
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="[ADDRESS]",
            help="Work on a Ray cluster: machine:port, local, or auto (the cluster that runs here, else local). "
            "--workers is then the highest number of actors.",
        ),
    ] = None
    manifest: Annotated[
        str | None,
        typer.Option(
            help="Write a line of JSON for every recording; with --workers or --ray and -o DIR: DIR/pitchai.jsonl."
        ),
    ] = None

    @property
    def parallel(self) -> bool:
        """Whether other processes do the work, several recordings at once."""
        return self.workers is not None or self.ray is not None

    def check(self, writes_by_default: bool) -> None:
        """Refuse options that contradict each other.

        Raises
        ------
        UsageError
            If two of them do, or Ray is asked for and isn't installed.
        """
        if self.overwrite and self.skip_existing:
            raise UsageError("--overwrite and --skip-existing exclude each other")
        if self.as_json and "-" in (self.output or []):
            raise UsageError("--json and -o - would both write to stdout; choose one")
        if self.quiet and not (writes_by_default or self.output or self.formats or self.as_json):
            raise UsageError("--quiet without -o would print nothing; give -o, or leave out --quiet")
        if self.ray is not None:
            from transcribe.batch.cluster import check_address, import_ray

            check_address(self.ray)
            import_ray()


@dataclass(frozen=True)
class Computing:
    """Model and machine."""

    model: Annotated[str | None, typer.Option(help="A .safetensors file.", show_default=False)] = None
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto"
    precision: Annotated[
        str, typer.Option(help="auto, float32 or bfloat16; bfloat16 needs torch and a processor that computes in it.")
    ] = "auto"
    threads: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=64,
            help="CPU threads, some 70 MB each; one a core, at most 8, if not given; 1 with --workers or --ray.",
        ),
    ] = None
    max_duration: Annotated[
        float, typer.Option(min=0.0, help="Hours; longer recordings are refused.", metavar="HOURS")
    ] = 24.0

    def n_threads(self, parallel: bool) -> int | None:
        """Give each worker one thread unless told otherwise: results don't depend on how many workers there are."""
        return 1 if parallel and self.threads is None else self.threads


@dataclass(frozen=True)
class KnownBeats:
    """What is known of the rhythm and the key."""

    tempo: Annotated[
        float | None,
        typer.Option(min=10.0, max=600.0, help="Beats a minute, the same throughout.", show_default=False),
    ] = None
    metre: Annotated[str | None, typer.Option(help="3/4, 6/8 or another.", show_default=False)] = None
    pickup: Annotated[
        float | None,
        typer.Option(min=0.0, max=63.0, help="Beats from the first note to the first bar line.", show_default=False),
    ] = None
    beat: Annotated[
        str | None,
        typer.Option(
            metavar="half|double", help="Half as many beats as are found without it, or twice.", show_default=False
        ),
    ] = None
    key: Annotated[str | None, typer.Option(help="'E minor' or another.", show_default=False)] = None
    beats: Annotated[
        Path | None,
        typer.Option(help="A file of beats: lines of a time and a number within the bar, or a result."),
    ] = None


@dataclass(frozen=True)
class Rhythm:
    """Rhythm."""

    quantize: Annotated[bool, typer.Option("--quantize", help="Move the notes onto the beats and their parts.")] = False
    quantize_strength: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="How far --quantize moves them: 1 all the way.")
    ] = 1.0
    quantize_grid: Annotated[
        str | None,
        typer.Option(
            help="1/8, 1/16, or 1/8t for triplets: --quantize moves the notes onto these; if not given, to where a "
            "score shows them.",
            show_default=False,
        ),
    ] = None
    detail: Annotated[
        float, typer.Option(min=0.1, max=10.0, help="Rhythms of scores and --quantize: above 1 finer, below simpler.")
    ] = 1.0


def timing(known: KnownBeats, rhythm: Rhythm, n_recordings: int = 1) -> Timing:
    """Put together what is known of the beats and how notes are moved onto them.

    Raises
    ------
    UsageError
        If two things that are known exclude each other.
    InputError
        If a file of beats can't be read.
    """
    from transcribe.beats.datasets import read_beats
    from transcribe.score.analysis import Timing

    if known.beats is not None and known.tempo is not None:
        raise UsageError("--tempo and --beats exclude each other: beats have a tempo")
    if known.beat is not None and (known.beats is not None or known.tempo is not None):
        raise UsageError("--beat halves or doubles beats that are found; it doesn't go with --tempo or --beats")
    if not rhythm.quantize and (rhythm.quantize_grid is not None or rhythm.quantize_strength != 1.0):
        raise UsageError("--quantize-strength and --quantize-grid go with --quantize")
    if known.beats is not None and n_recordings > 1:
        raise UsageError("--beats takes one recording")
    beats = None if known.beats is None else read_beats(known.beats)
    try:
        return Timing(
            tempo=known.tempo,
            beats=beats,
            quantize=rhythm.quantize,
            detail=rhythm.detail,
            metre=known.metre,
            pickup=known.pickup,
            level=known.beat,
            key=known.key,
            strength=rhythm.quantize_strength,
            grid=None if rhythm.quantize_grid is None else _grid(rhythm.quantize_grid),
        )
    except ValueError as error:
        raise UsageError(str(error)) from None


def _grid(note: str) -> Fraction:
    """Read the length of a note, ``1/16`` or ``1/8t`` of a triplet, in quarters.

    Raises
    ------
    ValueError
        If it is no such note.
    """
    written = re.fullmatch(r"1/(1|2|4|8|16|32|64)(t?)", note)
    if written is None:
        raise ValueError(f"--quantize-grid: {note!r} is no note such as 1/16, or 1/8t of a triplet")
    return Fraction(4, int(written[1])) * (Fraction(2, 3) if written[2] else 1)


@dataclass(frozen=True)
class Reference:
    """Pictures and pages."""

    plot_reference: Annotated[
        Path | None,
        typer.Option(help="The true notes: a picture shows hits, misses and false notes.", show_default=False),
    ] = None


@dataclass(frozen=True)
class Pictures(Reference):
    """Pictures and pages."""

    spectrogram: Annotated[bool, typer.Option("--spectrogram", help="Draw it behind the notes of a .png or .svg.")] = (
        False
    )
    no_sound: Annotated[
        bool, typer.Option("--no-sound", help="Leave recording and piano out of an .html: 60 MB less an hour.")
    ] = False


@dataclass(frozen=True)
class Sound:
    """Sound."""

    sonify: Annotated[
        Path | None,
        typer.Option(help="Play the notes on a piano, into a .wav, .flac, .ogg or .mp3.", show_default=False),
    ] = None
    one_ear: Annotated[bool, typer.Option("--one-ear", help="With --sonify: the recording left, the notes right.")] = (
        False
    )


@dataclass(frozen=True)
class Printing:
    """What is printed."""

    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print no progress and no warnings.")] = False


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
            offered[argument] = _parameter(argument, kind, inspect.signature(command).parameters[argument].default)
            continue
        own = get_type_hints(kind, include_extras=True)
        members[argument] = [f.name for f in fields(kind) if f.name not in without]
        for field in (f for f in fields(kind) if f.name in members[argument]):
            if field.name in offered:
                raise ValueError(f"{command.__name__} would have two options {field.name}")
            panel, text = (kind.__doc__ or "").splitlines()[0].rstrip("."), (helps or {}).get(field.name)
            default = inspect.Parameter.empty if field.default is MISSING else field.default
            offered[field.name] = _parameter(field.name, _described(own[field.name], text, panel), default)

    def call(**values: Any) -> None:
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


def _described(annotation: Any, text: str | None, panel: str) -> Any:
    """Put an option into its group's panel of the help, and give it another text if there is one."""
    kind, about = annotation.__origin__, copy(annotation.__metadata__[0])
    about.help = text or about.help
    about.rich_help_panel = panel if isinstance(about, OptionInfo) else None
    return Annotated[kind, about]


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


def given(settings: Any) -> dict[str, Any]:
    """Keep the settings that were given; the model's own stand for the others."""
    return {name: value for name, value in asdict(settings).items() if value is not None}


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


def switched_on(switches: Any, tasks: Sequence[Task]) -> list[Task]:
    """Choose the tasks that are asked for."""
    return [task for task in tasks if getattr(switches, task.name) != task.by_default]
