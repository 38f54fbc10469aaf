from __future__ import annotations

import pytest

from transcribe.events import Note
from transcribe.live.harmony import find_chord, find_key_lately, lately


@pytest.mark.parametrize(
    ("pitches", "key", "name"),
    [
        ([48, 52, 55, 60], None, "C"),
        ([52, 55, 60], None, "C/E"),
        ([45, 48, 52, 55], None, "Am7"),
        ([43, 47, 50, 53], None, "G7"),
        ([47, 50, 53, 56], None, "Bdim7"),
        ([49, 53, 56], "F# major", "C#"),
        ([49, 53, 56], "Db major", "Db"),
        ([48, 53, 55], None, "Csus4"),
        ([48, 60], None, None),
        ([48, 49, 50], None, None),
        ([], None, None),
    ],
)
def test_chords_of_what_sounds(pitches: list[int], key: str | None, name: str | None) -> None:
    assert find_chord(pitches, key) == name


def test_broken_chords_linger_a_moment() -> None:
    notes = [Note(k / 4, pitch, (k + 1) / 4, 80) for k, pitch in enumerate((48, 52, 55, 60))]
    assert lately(notes, 1.0) == [60, 55]
    assert lately(notes, 5.0) == []


def test_the_key_is_that_of_the_last_half_minute() -> None:
    def scale(root: int, start: float) -> list[Note]:
        steps = (0, 2, 4, 5, 7, 9, 11, 12, 7, 4, 0)
        return [Note(start + k / 2, root + step, start + k / 2 + 0.5, 80) for k, step in enumerate(steps)]

    notes = [*scale(60, 0.0), *scale(66, 60.0)]
    assert find_key_lately(notes[:11], 6.0) == "C major"
    assert find_key_lately(notes, 66.0) == "F# major"
    assert find_key_lately(notes[:3], 2.0) is None
