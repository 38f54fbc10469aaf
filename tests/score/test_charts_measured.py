"""What the benchmark of charts says of answers whose faults are known."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from tests.benchmark.charts import Figures, Truth, judge, merged, weak_share
from transcribe.events import Chord, Key, Transcription

BEATS = 1 + 0.5 * np.arange(64)
LABELS = ("E:maj", "C#:min", "A:maj", "B:7")
# A chord a bar of four beats, from the second beat found on.
TRUTH = Truth(
    tuple((float(BEATS[4 * i + 1]), LABELS[i % 4]) for i in range(15)),
    BEATS,
    np.arange(64) % 4 == 1,
    (Key(0.0, 40.0, "E major"),),
)


def answer(
    step: int = 1, first: int = 1, bar: int = 4, late: int = 0, labels: tuple[str, ...] = LABELS
) -> Transcription:
    """The truth with every ``step``-th beat, bars from one on, and chords that are late by so many beats."""
    beats = tuple(BEATS[first % step :: step].tolist())
    onsets = [float(BEATS[4 * i + 1 + late]) for i in range(15)]
    ends = [*onsets[1:], float(BEATS[-1]) + 0.5]
    chords = tuple(Chord(a, b, labels[i % 4]) for i, (a, b) in enumerate(zip(onsets, ends, strict=True)))
    return Transcription(beats=beats, downbeats=beats[first // step :: bar], chords=chords, duration=34.0)


def test_what_is_right_is_right() -> None:
    assert judge(answer(), TRUTH) == Figures(15, 15, 15, 15, 15, 15, 0)
    assert weak_share(TRUTH) == 0


def test_every_fault_has_its_name() -> None:
    assert judge(answer(first=2), TRUTH).faults == Counter(phase=15)
    slow = judge(answer(step=2, bar=4), TRUTH)
    assert (slow.placed, slow.level, slow.faults) == (0, 15, Counter(tempo=15))
    # Bars of two slow beats are bars of four beats.
    assert judge(answer(step=2, bar=2), TRUTH).placed == 15
    assert judge(answer(late=1), TRUTH).faults["snapped"] + judge(answer(late=1), TRUTH).faults["missed"] == 15
    wrong = judge(answer(labels=("E:maj", "C#:min", "A:maj", "D:maj")), TRUTH)
    assert (wrong.placed, wrong.change, wrong.faults) == (12, 15, Counter(missed=3))
    flat = judge(answer(labels=("E:maj", "Db:min", "A:maj", "B:7")), TRUTH)
    assert flat.placed == flat.spelled == 15  # charts spell by the key that they find
    assert judge(replace(answer(), key="F minor"), TRUTH).spelled < 15
    nothing = judge(Transcription(), TRUTH)
    assert (nothing.placed, nothing.n_cells, nothing.faults) == (0, 0, Counter(beats=15))


def test_chords_are_merged_by_root_and_triad() -> None:
    chords = [(0.0, "N"), (1.0, "C:maj"), (2.0, "C:7/b7"), (3.0, "N"), (4.0, "C:maj"), (5.0, "C:min7"), (6.0, "G:sus4")]
    assert [onset for onset, _ in merged(chords)] == [1.0, 4.0, 5.0, 6.0]
