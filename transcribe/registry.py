"""The list of tasks, and what each must have. Adding a task means a folder and a line in :data:`TASKS`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from transcribe.beats.task import BEATS
from transcribe.chords.task import CHORDS
from transcribe.engine.task import Option
from transcribe.errors import UsageError, suggestion
from transcribe.genre.task import GENRE
from transcribe.instruments.task import INSTRUMENTS
from transcribe.notes.task import NOTES
from transcribe.report.summary import minutes

if TYPE_CHECKING:
    from transcribe.audio.reader import MeteredBlocks
    from transcribe.datasets import Dataset, Piece
    from transcribe.events import Transcription
    from transcribe.formats.format import Format
    from transcribe.report.tables import Report, Table
    from transcribe.score.analysis import Timing


class Task(Protocol):
    """A task as the program sees it.

    Most are a :class:`transcribe.engine.task.WindowTask` too, or an :class:`~transcribe.engine.task.ExcerptTask`; what
    a task may be besides are the protocols below.

    Attributes
    ----------
    name
        The subcommand, the key of ``models`` and ``settings`` in a transcription, the task in the weights' manifest.
    help
        What the command does, in a line.
    by_default
        Whether it is heard where no tasks are named.
    requires
        Names of the tasks whose results its own are made from; they are heard too.
    options
        Settings that its command offers, fields of its decoder's configuration.
    formats
        What its command writes, by name.
    datasets
        What it is evaluated on, by name.
    evaluation_options
        Keyword arguments that :meth:`evaluate` (and ``compare``) take beyond those that all tasks have.
    """

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def help(self) -> str: ...  # noqa: D102

    @property
    def by_default(self) -> bool: ...  # noqa: D102

    @property
    def requires(self) -> tuple[str, ...]: ...  # noqa: D102

    @property
    def options(self) -> tuple[Option, ...]: ...  # noqa: D102

    @property
    def formats(self) -> Mapping[str, Format]: ...  # noqa: D102

    @property
    def datasets(self) -> Mapping[str, Dataset]: ...  # noqa: D102

    @property
    def evaluation_options(self) -> frozenset[str]: ...  # noqa: D102

    def rows(self, result: Transcription) -> Iterator[tuple[str, str]]:
        """Yield the task's part of a summary: name and value; nothing where it found nothing."""

    def tables(self, title: str, result: Transcription) -> Iterator[Table | str]:
        """Lay out what its command prints where nothing is written."""

    @property
    def evaluate(self) -> Callable[..., Report]:
        """Hear the pieces of a data set and score what was found.

        Called with the data set's name, its pieces, a transcriber that has this task as its first, and by keyword
        ``progress`` and what stands in :attr:`evaluation_options`; see ``NotesTask.evaluate``.

        Raises
        ------
        InputError
            If a recording or its labels can't be read.
        UsageError
            If the model knows nothing of what is to be measured.
        """


@runtime_checkable
class CompletingTask(Protocol):
    """A task whose results follow from those of the tasks that it requires, and are made whenever these are heard."""

    @property
    def requires(self) -> tuple[str, ...]: ...  # noqa: D102

    def complete(self, result: Transcription, timing: Timing) -> Transcription:
        """Add what follows from the fields of the required task, which are there; those of later tasks aren't yet."""


@runtime_checkable
class ReadingTask(Protocol):
    """A task that can do without a recording where the results that it requires are given in a file."""

    @property
    def reads(self) -> frozenset[str]:
        """Suffixes of the files that it reads."""

    def read(self, path: Path, timing: Timing) -> Transcription:
        """Make the task's results from a file.

        Raises
        ------
        InputError
            If it can't be read or holds nothing that they could be made from.
        """


@runtime_checkable
class RemarkingTask(Protocol):
    """A task that has something to say of odd recordings."""

    def remarks(self, result: Transcription, level: MeteredBlocks) -> Iterator[str]:
        """Yield what should be known of a result, a line each; that it is silent is said already.

        Only the first of several tasks is asked: who wants notes need not be told that there are no chords.
        """


@runtime_checkable
class ComparingTask(Task, Protocol):
    """A task that can compare two files of results."""

    @property
    def reference_suffixes(self) -> tuple[str, ...]:
        """Suffixes of the files that it compares."""

    @property
    def compare(self) -> Callable[..., Report]:
        """Score an estimate against the truth: called with two paths, and options as :attr:`Task.evaluate` has.

        Raises
        ------
        InputError
            If one can't be read.
        """


# The order is that of a summary, and of listening: what comes first decides the sample rate.
TASKS: tuple[Task, ...] = (NOTES, BEATS, CHORDS, INSTRUMENTS, GENRE)


def task_named(name: str) -> Task:
    """Find a task.

    Raises
    ------
    UsageError
        If there is none of that name.
    """
    for task in TASKS:
        if task.name == name:
            return task
    raise UsageError(f"there is no task {name!r}; choose of {', '.join(task.name for task in TASKS)}")


def task_of_dataset(name: str) -> Task:
    """Find the task that a data set is about.

    Raises
    ------
    UsageError
        If there is no data set of that name.
    """
    for task in TASKS:
        if name in task.datasets:
            return task
    known = [dataset for task in TASKS for dataset in task.datasets]
    by_task = "; ".join(f"{', '.join(task.datasets)} ({task.name})" for task in TASKS if task.datasets)
    raise UsageError(f"there is no data set {name!r}; {suggestion(name, known)}choose one of {by_task}")


def load_dataset(
    name: str, folder: Path | None = None, split: str | None = None, labels: Path | None = None
) -> list[Piece]:
    """List the pieces of a data set; see :meth:`transcribe.datasets.Dataset.pieces`.

    Raises
    ------
    UsageError
        If there is no data set of that name, or nothing says where it is.
    InputError
        If its folder is missing or holds nothing of the kind.
    """
    return task_of_dataset(name).datasets[name].pieces(folder, split, labels)


def summary(result: Transcription) -> Iterator[tuple[str, str]]:
    """Yield name and value of whatever was found, the most important first."""
    yield "duration", minutes(result.duration)
    for task in TASKS:
        yield from task.rows(result)
