from __future__ import annotations

import numpy as np
import pytest

from transcribe.events import Note
from transcribe.matching import match_notes, to_arrays


def note(onset: float, offset: float, pitch: int) -> Note:
    return Note(onset, pitch, offset, 64)


REFERENCE = [note(0.0, 0.5, 60), note(1.0, 1.5, 64), note(2.0, 4.0, 67)]


def test_pitch_and_onset_decide() -> None:
    # A twin, a neighbour's key, one just within 50 ms with a wrong offset.
    estimate = [note(0.01, 0.2, 60), note(0.0, 0.5, 60), note(1.0, 1.5, 65), note(2.049, 2.2, 67)]
    assert sorted(match_notes(REFERENCE, estimate)) in ([(0, 0), (2, 3)], [(0, 1), (2, 3)])
    assert match_notes(REFERENCE, [note(2.051, 4.0, 67)]) == []


def test_offsets_within_a_share_of_the_length() -> None:
    estimate = [note(0.0, 0.61, 60), note(1.0, 1.54, 64), note(2.0, 3.65, 67)]
    assert match_notes(REFERENCE, estimate, offset_ratio=0.2) == [(1, 1), (2, 2)]


@pytest.mark.parametrize(("reference", "estimate"), [([], []), (REFERENCE, []), ([], REFERENCE)])
def test_nothing_matches_nothing(reference: list[Note], estimate: list[Note]) -> None:
    assert match_notes(reference, estimate) == []


def test_lengths_are_positive() -> None:
    intervals, frequencies = to_arrays([note(1.0, 1.0, 69)])
    assert intervals[0, 1] > intervals[0, 0] == 1.0
    np.testing.assert_allclose(frequencies, [440.0])
    assert [array.shape for array in to_arrays([])] == [(0, 2), (0,)]
