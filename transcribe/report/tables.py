"""Tables and reports as plain values, for whoever shows them: a terminal, a page, a notebook."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Protocol, runtime_checkable

from transcribe.report.summary import counted


@dataclass(frozen=True)
class Table:
    """Rows of text under ``columns``; no heads where these are empty.

    ``strong`` is the column that matters most; ``rows`` are as long as ``columns``, or of a name and a value.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    title: str = ""
    strong: int | None = None


class Report(Protocol):
    """What an evaluation found.

    ``conventions`` says how it was measured; ``warnings`` are remarks, one line each. One that leaves out what can't be
    read names it in ``left_out``.
    """

    @property
    def conventions(self) -> str:
        """How it was measured, in a line."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """Remarks for whoever reads the figures, one line each."""

    @property
    def confusion(self) -> Mapping[str, Mapping[str, int]]:
        """Count, for every true label, what it was called; nothing where labels aren't compared."""

    def tables(self) -> Iterator[Table | str]:
        """Lay out the figures: tables, and lines of text between them."""

    def to_dict(self) -> dict[str, object]:
        """Give everything as plain values, for JSON."""


@dataclass(frozen=True)
class Figures:
    """A dataclass of figures, as :class:`Report` wants it."""

    def to_dict(self) -> dict[str, object]:
        """Give everything as plain values."""
        return asdict(self)


@dataclass(frozen=True)
class PlainReport(Figures):
    """What a :class:`Report` is that has no remarks and compares no labels."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """Nothing."""
        return ()

    @property
    def confusion(self) -> Mapping[str, Mapping[str, int]]:
        """Nothing."""
        return {}


@runtime_checkable
class ComparedReport(Protocol):
    """A report whose pieces can be compared with another's, and listed."""

    def compared(self, other: Mapping[str, object]) -> Report:
        """Compare with what ``to_dict`` gave of another system."""

    def to_csv(self) -> bytes:
        """List the pieces."""


@runtime_checkable
class PartialReport(Protocol):
    """A report that is about what could be read."""

    @property
    def left_out(self) -> tuple[str, ...]:
        """What couldn't be, a line each."""


@runtime_checkable
class PagedReport(Protocol):
    """A report that can be looked at piece by piece."""

    @property
    def page(self) -> Callable[..., bytes]:
        """Make an HTML page: called with a title, and what ``evaluate`` gave to ``keep``, a tuple for each piece."""


def class_table(classes: Mapping[str, tuple[float, float, float, int]], n_clips: int) -> Table:
    """Lay out precision, recall, F1 and the number of its clips for every label."""
    rows = (
        (label, f"{precision:.3f}", f"{recall:.3f}", f"{f1:.3f}", str(n_own))
        for label, (precision, recall, f1, n_own) in classes.items()
    )
    return Table(("", "precision", "recall", "F1", "clips"), tuple(rows), counted(n_clips, "clip"), strong=3)


def confusion_table(confusion: Mapping[str, Mapping[str, int]]) -> Table:
    """Lay out which clips were called what: a row for every true label."""
    columns = sorted({called for row in confusion.values() for called in row})
    rows = [(truth, *(str(row.get(called, "")) for called in columns)) for truth, row in sorted(confusion.items())]
    return Table(("true", *columns), tuple(rows), title="called")
