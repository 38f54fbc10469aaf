"""How far the work is: a bar on a terminal, a line now and then where stderr goes to a file."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

from tqdm import tqdm

T = TypeVar("T")

# Seconds between two lines.
_PAUSE = 30.0


class Progress(Generic[T]):
    """Go through ``items`` and say how far it is.

    Parameters
    ----------
    items
        What is gone through.
    label
        What it is.
    total
        How many there are, with those before ``first``.
    first
        How many were done before.
    shown
        Whether anything is said at all.
    """

    def __init__(
        self, items: Iterable[T], label: str, total: int | None = None, first: int = 0, shown: bool = True
    ) -> None:
        self._label, self._first, self._shown = label, first, shown
        self._total = total
        self._remark = ""
        on_terminal = sys.stderr.isatty()
        self._lines = shown and not on_terminal
        self._bar = tqdm(items, label, total, initial=first, disable=not (shown and on_terminal))

    def __iter__(self) -> Iterator[T]:
        """Give the items, one by one."""
        started = said = time.monotonic()
        for number, item in enumerate(self._bar, self._first):
            yield item
            now = time.monotonic()
            if self._lines and now - said >= _PAUSE:
                said = now
                self.say(self._state(number + 1, (now - started) / (number + 1 - self._first)))

    def _state(self, done: int, pace: float) -> str:
        """Put into words how far it is; ``pace`` is in seconds an item."""
        words = [f"{self._label} {done}"]
        if self._total is not None:
            left = (self._total - done) * pace
            words[0] += f" of {self._total}, {left / 60:.0f} min left"
        return ", ".join([*words, f"{pace:.2f} s each", *([self._remark] if self._remark else [])])

    def remark(self, **figures: str) -> None:
        """Show figures beside."""
        self._remark = ", ".join(f"{name} {value}" for name, value in figures.items())
        self._bar.set_postfix(figures)

    def say(self, text: str) -> None:
        """Print a line on stderr beside the bar."""
        if self._shown:
            tqdm.write(text, sys.stderr)
            sys.stderr.flush()
