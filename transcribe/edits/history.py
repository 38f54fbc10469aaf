"""Edits with those that were undone: do, undo, redo; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class History:
    """The operations that were done, in order, and those that were undone: the last is done again first."""

    edits: tuple[Mapping[str, Any], ...] = ()
    undone: tuple[Mapping[str, Any], ...] = ()

    def do(self, edit: Mapping[str, Any]) -> History:
        """Do one more; what was undone is forgotten."""
        return History((*self.edits, edit), ())

    def undo(self) -> History:
        """Undo the last one; nothing where there is none."""
        return replace(self, edits=self.edits[:-1], undone=(*self.undone, self.edits[-1])) if self.edits else self

    def redo(self) -> History:
        """Do again what was undone last; nothing where there is none."""
        return replace(self, edits=(*self.edits, self.undone[-1]), undone=self.undone[:-1]) if self.undone else self
