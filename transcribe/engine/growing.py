"""A 2-D array that grows by appending rows."""

from __future__ import annotations

import numpy as np


class GrowingArray:
    """An array (n, width) to add rows to.

    One buffer instead of thousands of small arrays, which would fragment the heap over hours of audio.
    """

    def __init__(self) -> None:
        self._held = np.zeros((0, 0))
        self._n_rows = 0

    def __len__(self) -> int:
        return self._n_rows

    def add(self, rows: np.ndarray) -> None:
        """Copy rows (k, width), of the type and width of the first ones, to the end."""
        needed = self._n_rows + len(rows)
        if needed > len(self._held) or not self._n_rows:
            larger = np.empty((max(needed, 2 * self._n_rows, 1024), rows.shape[1]), rows.dtype)
            if self._n_rows:
                larger[: self._n_rows] = self._held[: self._n_rows]
            self._held = larger
        self._held[self._n_rows : needed] = rows
        self._n_rows = needed

    def array(self) -> np.ndarray:
        """All rows, (n, width); no copy."""
        return self._held[: self._n_rows]
