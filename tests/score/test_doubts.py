from __future__ import annotations

import numpy as np

from transcribe.events import Note, Transcription
from transcribe.score.doubts import DOUBLED, MISSING, OCTAVE, UNSURE, doubts_of, missing_in


def test_the_most_doubtful_come_first_and_the_certain_never() -> None:
    notes = (
        Note(0.5, 60, 1.0, 80, 0.9),
        Note(1.0, 62, 1.5, 80, 0.55),
        Note(1.5, 64, 2.0, 80, 1.0),
        Note(2.0, 60, 3.0, 90, 0.999),
        Note(2.0, 72, 3.0, 30, 0.7),
        Note(2.08, 60, 3.0, 80, 0.6),
    )
    found = doubts_of(Transcription(notes=notes, duration=3.0))
    assert {one.note: one.kind for one in found} == {0: UNSURE, 1: UNSURE, 4: OCTAVE, 5: DOUBLED}
    assert [one.doubt for one in found] == sorted((one.doubt for one in found), reverse=True)
    assert found[0].note == 4  # soft, and the octave of a loud one
    assert "70% sure" in found[0].why


def test_no_notes_no_doubts() -> None:
    assert doubts_of(Transcription()) == []


def test_a_note_that_one_of_many_equal_bars_lacks_may_be_missing() -> None:
    beats = np.arange(0.5, 20.5, 0.5).round(4).tolist()
    notes = [
        Note(round(beat, 4), pitch, round(beat + 0.4, 4), 80, 0.99)
        for k, beat in enumerate(beats)
        for pitch in (48 + k % 4, 60 + 2 * (k % 4))
    ]
    gone = notes.pop(21)
    song = Transcription(notes=tuple(sorted(notes)), beats=tuple(beats), downbeats=tuple(beats[::4]), duration=20.5)
    (one,) = missing_in(song)
    assert (one.kind, one.pitch, one.onset) == (MISSING, gone.pitch, gone.onset)
    assert one.why == "9 of 9 bars like this one have it"
