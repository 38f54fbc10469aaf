from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcribe.beats.decoder import BeatDecoder
from transcribe.beats.finder import listened
from transcribe.beats.taps import bar_lengths, follow, without
from transcribe.events import Note
from transcribe.score.beats import is_grid

pytest.importorskip("onnxruntime")


def steady(n: int, gap: float) -> tuple[Note, ...]:
    return tuple(Note(1 + k * gap, 48 + 12 * (k % 2) + k % 7, 1 + (k + 0.9) * gap, 80) for k in range(n))


@pytest.mark.parametrize("gap", [0.25, 0.3, 0.4])
def test_beats_go_on_as_they_were_tapped(gap: float) -> None:
    """At every level, from every note on: on the beats that the network hears, and off them."""
    from transcribe.beats.analysis import default_beats_model

    notes = steady(80, gap)
    onsets = np.array([note.onset for note in notes])
    heard = listened(notes, default_beats_model().network)
    for n_notes in (2, 3, 4):  # that a beat lasts
        for first in range(30, 30 + n_notes):
            taps = tuple(onsets[first : first + 6 * n_notes : n_notes].tolist())
            found = follow(heard, onsets, [taps])
            assert found == pytest.approx(onsets[first % n_notes :: n_notes], abs=1e-3)


def test_without_notes_the_taps_are_all() -> None:
    assert follow(BeatDecoder().heard(), np.zeros(0), [(1.0, 1.5), (3.0, 3.5, 4.0)]).tolist() == [1, 1.5, 3, 3.5, 4]


@given(st.lists(st.floats(0.11, 2.0), min_size=2, max_size=12), st.floats(0, 20), st.floats(0, 20))
def test_taps_replace_what_they_cover(gaps: list[float], first: float, length: float) -> None:
    stretch = tuple(np.cumsum(gaps).tolist())
    left = without([stretch], first, first + length)
    assert all(len(part) > 1 and is_grid(part) for part in left)
    assert not any(first <= time <= first + length for part in left for time in part)


def test_bars_are_as_long_as_their_lines_are_apart() -> None:
    assert bar_lengths([(1.0, 1.5, 2.0, 2.5)], [1.0, 2.5]) == (3,)
    assert bar_lengths([(1.0, 1.5, 2.0, 2.5)], [1.5]) == ()
    assert bar_lengths([(1.0, 1.5), (4.0, 4.5, 5.0)], [1.0, 4.0, 5.0]) == (2,)
