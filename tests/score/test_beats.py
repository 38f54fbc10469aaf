"""Beats, bars, tempo and key of notes that are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcribe.events import Note
from transcribe.score.beats import find_beats
from transcribe.theory.keys import find_key, likenesses, pitch_classes


def off_by(found: tuple[float, ...], wanted: np.ndarray) -> float:
    """The median distance of the wanted times to the nearest found, in seconds."""
    return float(np.median([np.abs(np.array(found) - time).min() for time in wanted]))


def accompaniment(times: np.ndarray, metre: int, rng: np.random.Generator) -> list[Note]:
    """A bass at the start of every bar, in turn on four harmonies, and chords on every beat."""
    notes = []
    for i, time in enumerate(times):
        late = time + rng.normal(0, 0.01)
        root = (48, 45, 41, 43)[i // metre % 4]
        if i % metre == 0:
            notes.append(Note(late, root - 12, late + 0.9 * metre * np.diff(times)[0], 90))
        notes += [Note(late, root + step, late + 0.2, 60) for step in (12, 16, 19)]
    return sorted(Note(float(max(0, n.onset)), n.pitch, float(n.offset), n.velocity) for n in notes)


@pytest.mark.parametrize("bpm", [72, 96, 110])
@pytest.mark.parametrize("metre", [3, 4])
def test_a_steady_accompaniment(bpm: float, metre: int, rng: np.random.Generator) -> None:
    times = 0.7 + np.arange(64) * 60 / bpm
    found = find_beats(accompaniment(times, metre, rng))
    assert found.tempo == pytest.approx(bpm, rel=0.01)
    assert off_by(found.beats, times) < 0.02
    assert found.metre == metre
    assert off_by(found.downbeats, times[::metre]) < 0.02
    assert len(found.downbeats) <= len(found.beats) / metre + 1
    assert found.confidence > 0.5


def test_a_tempo_that_drifts_is_followed(rng: np.random.Generator) -> None:
    times = 0.5 + np.cumsum(np.linspace(0.5, 0.6, 80))
    found = find_beats(accompaniment(times, 4, rng))
    assert off_by(found.beats, times) < 0.03


def test_a_tempo_that_is_known(rng: np.random.Generator) -> None:
    times = 0.5 + np.arange(60) * 0.5
    assert find_beats(accompaniment(times, 4, rng), tempo=60).tempo == pytest.approx(60, rel=0.02)
    assert find_beats(accompaniment(times, 4, rng), tempo=120).tempo == pytest.approx(120, rel=0.02)


def test_too_little_to_tell() -> None:
    assert find_beats([]).tempo is None
    assert find_beats([Note(float(i), 60, i + 0.5, 64) for i in range(7)]).beats == ()
    assert find_beats([Note(1.0, 40 + i, 2.0, 64) for i in range(20)]).tempo is None


@given(onsets=st.lists(st.floats(0, 60), min_size=8, max_size=60))
def test_any_notes_give_ordered_beats(onsets: list[float]) -> None:
    found = find_beats(sorted(Note(time, 60, time + 0.1, 64) for time in onsets))
    assert list(found.beats) == sorted(found.beats)
    assert set(found.downbeats) <= set(found.beats)
    assert 0 <= found.confidence <= 1


@pytest.mark.parametrize(("key", "scale"), [("C major", (0, 2, 4, 5, 7, 9, 11)), ("A minor", (9, 11, 0, 2, 4, 5, 8))])
def test_scales_and_their_chords_have_their_key(key: str, scale: tuple[int, ...]) -> None:
    tonic, third, fifth = scale[0], scale[2], scale[4]
    pitches = [*scale, tonic, tonic, third, fifth, scale[3], scale[4], tonic]
    notes = [Note(0.5 * i, 60 + pitch, 0.5 * i + 0.5, 70) for i, pitch in enumerate(pitches)]
    assert find_key(notes) == key
    up = [Note(n.onset, n.pitch + 3, n.offset, n.velocity) for n in notes]
    assert find_key(up) == {"C major": "Eb major", "A minor": "C minor"}[key]


def test_no_key_of_two_notes() -> None:
    assert find_key([]) is None
    assert find_key([Note(0.0, 60, 1.0, 64), Note(0.0, 67, 1.0, 64)]) is None


@given(seconds=st.lists(st.floats(0, 100), min_size=12, max_size=12), shift=st.integers(0, 11))
def test_keys_move_with_the_notes(seconds: list[float], shift: int) -> None:
    found, moved = likenesses(np.array(seconds)), likenesses(np.roll(seconds, shift))
    np.testing.assert_allclose(np.roll(found.reshape(2, 12), shift, axis=1), moved.reshape(2, 12), atol=1e-6)


def test_a_pedal_point_counts_for_two_seconds() -> None:
    assert pitch_classes([Note(0.0, 60, 60.0, 64), Note(0.0, 64, 1.5, 64)]).tolist() == [2, 0, 0, 0, 1.5, *[0] * 7]
