"""Keys of notes that are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcribe.events import Note
from transcribe.theory.keys import find_key, find_keys, likenesses, pitch_classes, signature


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


def chords_in(key: int, minor: bool, start: float, n_bars: int) -> list[Note]:
    """Bars of 2 s: tonic, subdominant, dominant, tonic; a scale above them."""
    scale = (0, 2, 3, 5, 7, 8, 11) if minor else (0, 2, 4, 5, 7, 9, 11)
    notes = []
    for bar in range(n_bars):
        degree = (0, 3, 4, 0)[bar % 4]
        begin = start + 2.0 * bar
        notes += [Note(begin, 48 + key + scale[(degree + step) % 7], begin + 1.9, 70) for step in (0, 2, 4)]
        notes += [
            Note(begin + 0.5 * k, 72 + key + scale[(degree + k) % 7], begin + 0.5 * k + 0.45, 80) for k in range(4)
        ]
    return notes


@pytest.mark.parametrize(("first", "second"), [(0, 4), (0, 7), (5, 2), (3, 10)])
@pytest.mark.parametrize("minor", [False, True])
def test_changes_of_key_are_found_within_two_bars(first: int, second: int, minor: bool) -> None:
    notes = sorted(chords_in(first, False, 0.5, 16) + chords_in(second, minor, 32.5, 16))
    sections = find_keys(notes)
    assert len(sections) == 2
    assert sections[1].onset == pytest.approx(32.5, abs=4.0)
    wanted = [signature(find_key(chords_in(*one, 0.0, 16)) or "") for one in ((first, False), (second, minor))]
    assert [signature(section.label) for section in sections] == wanted


def test_the_beginning_and_the_end_tell_the_key() -> None:
    # Most of it is in G, but it begins and ends in C.
    notes = chords_in(0, False, 0.0, 12) + chords_in(7, False, 24.0, 14) + chords_in(0, False, 52.0, 2)
    assert find_key(sorted(notes)) == "C major"
