"""Notes → features of the beat network."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from transcribe.beats.features import (
    FRAME_RATE,
    N_FEATURES,
    N_PITCHES,
    drum_array,
    n_frames_of,
    note_array,
    note_features,
)
from transcribe.events import Drum, Note


def test_an_onset_on_a_frame_is_at_that_frame_alone() -> None:
    features = note_features(np.array([[0.1, 0.2, 60, 127]]), 0, 20)
    assert features.shape == (20, N_FEATURES)
    assert features.dtype == np.float32
    onsets = features[:, :N_PITCHES]
    assert onsets[5, 60 - 21] == 1.0
    assert np.count_nonzero(onsets) == 1
    assert np.flatnonzero(features[:, N_PITCHES + 60 - 21]).tolist() == [5, 6, 7, 8, 9]


def test_an_onset_between_frames_is_shared_out() -> None:
    onsets = note_features(np.array([[0.105, 0.2, 60, 127]]), 0, 20)[:, 60 - 21]
    np.testing.assert_allclose(onsets[[5, 6]], [0.75, 0.25], atol=1e-6)


def test_soft_notes_are_weaker_and_old_ones_fade() -> None:
    features = note_features(np.array([[0.0, 9.0, 60, 0], [0.0, 9.0, 62, 127]]), 0, 250)
    np.testing.assert_allclose(features[0, [39, 41]], [0.3, 1.0], atol=1e-6)
    held = features[:, N_PITCHES + 39]
    assert held[0] == 1
    assert np.all(np.diff(held[:200]) < 0)
    np.testing.assert_allclose(held[35], np.exp(-1), rtol=1e-5)  # 0.7 s
    assert not held[201:].any()


def test_pitches_off_the_keyboard_are_put_in_its_nearest_octave() -> None:
    features = note_features(np.array([[0.0, 0.1, 12, 127], [0.0, 0.1, 120, 127]]), 0, 5)
    assert np.flatnonzero(features[0, :N_PITCHES]).tolist() == [24 - 21, 108 - 21]


def test_no_notes_are_no_features() -> None:
    nothing = note_array([])
    assert nothing.shape == (0, 4)
    assert n_frames_of(nothing) == 0
    assert not note_features(nothing, 0, 8).any()


def test_notes_are_ordered_by_onset() -> None:
    notes = note_array([Note(1.0, 60, 2.0, 80), Note(0.5, 62, 1.0, 70)])
    assert notes[:, 2].tolist() == [62, 60]


@given(
    st.lists(st.tuples(st.floats(0, 8), st.floats(0.01, 6), st.integers(21, 108), st.integers(1, 127)), max_size=12),
    st.integers(0, 300),
)
def test_a_span_is_what_is_cut_from_the_whole(rows: list[tuple[float, float, int, int]], first: int) -> None:
    notes = np.array(sorted((on, on + length, pitch, velocity) for on, length, pitch, velocity in rows), float)
    notes = notes.reshape(-1, 4)
    whole = note_features(notes, 0, 10 * FRAME_RATE)
    np.testing.assert_allclose(note_features(notes, first, 100), whole[first : first + 100], atol=1e-6)


def test_drums_have_rows_of_their_own() -> None:
    drums = drum_array([Drum(0.2, "cymbals", 127), Drum(0.1, "bass drum", 127), Drum(0.1, "toms", 127)])
    features = note_features(note_array([]), 0, 20, drums)
    assert np.flatnonzero(features.any(0)).tolist() == [2 * 88, 2 * 88 + 1, 2 * 88 + 2]
    np.testing.assert_allclose(features[5, -3:], [1, 1, 0], atol=1e-6)
    np.testing.assert_allclose(features[10, -3:], [0, 0, 1], atol=1e-6)
    later = note_features(note_array([]), 5, 10, drums)
    np.testing.assert_allclose(later, features[5:15], atol=1e-6)


def test_no_drums_are_an_empty_array() -> None:
    assert drum_array([]).shape == (0, 3)
    assert not note_features(note_array([]), 0, 8, drum_array([])).any()
