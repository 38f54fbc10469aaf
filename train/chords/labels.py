"""Labels of recordings as arrays: when which class and which bass sound."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from transcribe.chords.datasets import read_chords
from transcribe.chords.decoder import class_of
from transcribe.theory.chords import Label, parse

IGNORED = -1


def read_labels(path: Path) -> dict[str, np.ndarray]:
    """Read ``times`` (n, 2) in s, and ``classes`` and ``basses`` (n,): -1 where there is none, or nobody knows."""
    chords = read_chords(path)
    labels = [parse(chord.label) for chord in chords]
    classes = [class_of(label) for label in labels]
    return {
        "times": np.array([(chord.onset, chord.offset) for chord in chords], float).reshape(-1, 2),
        "classes": np.array([IGNORED if number is None else number for number in classes], np.int64),
        "basses": np.array([_bass(label) for label in labels], np.int64),
    }


def _bass(label: Label) -> int:
    return IGNORED if label.root is None else (label.root + label.bass) % 12
