"""A picture of what was taken for what: the confusion matrix of labelled clips."""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np


def to_png(confusion: Mapping[str, Mapping[str, int]]) -> bytes:
    """Draw a confusion matrix: a row for every true label, as shares of the row; counts in the cells.

    Parameters
    ----------
    confusion
        Counts: what the clips of every true label were called.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = sorted(confusion)
    columns = sorted({*rows, *(called for row in confusion.values() for called in row)})
    counts = np.array([[confusion[row].get(column, 0) for column in columns] for row in rows], float)
    counts = counts.reshape(len(rows), len(columns))
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    figure = Figure(figsize=(2 + 0.42 * len(columns), 1.6 + 0.36 * len(rows)), layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    axes.set_xticks(range(len(columns)), columns, rotation=60, ha="right")
    axes.set_yticks(range(len(rows)), rows)
    axes.set_xlabel("called")
    axes.set_ylabel("true")
    for i, j in np.argwhere(counts):
        colour = "white" if shares[i, j] > 0.6 else "black"
        axes.text(j, i, f"{counts[i, j]:.0f}", ha="center", va="center", color=colour, fontsize=8)
    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_png(buffer)  # type: ignore[no-untyped-call]
    return buffer.getvalue()
