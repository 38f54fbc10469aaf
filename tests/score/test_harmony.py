from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcribe.errors import UsageError
from transcribe.events import Chord, Key, Note, Transcription
from transcribe.score.harmony import chord_tones, on_beats, spelled, transposed
from transcribe.theory.chords import parse


def song(labels: str) -> Transcription:
    chords = tuple(Chord(2.0 * i, 2.0 * i + 2, label) for i, label in enumerate(labels.split()))
    return Transcription(chords=chords, duration=2.0 * len(chords))


def labels_of(transcription: Transcription) -> str:
    return " ".join(chord.label for chord in transcription.chords)


def test_the_chords_tell_their_key() -> None:
    found = spelled(song("E:maj B:maj Db:min A:maj E:maj B:7 Ab:min A:maj B:maj E:maj"))
    assert labels_of(found) == "E:maj B:maj C#:min A:maj E:maj B:7 G#:min A:maj B:maj E:maj"
    assert found.key == "E major"
    found = spelled(song("F:min Db:maj Ab:maj Eb:maj F:min Bb:min C:7 F:min"))
    assert labels_of(found) == "F:min Db:maj Ab:maj Eb:maj F:min Bb:min C:7 F:min"
    assert found.key == "F minor"


def test_one_chord_is_spelled_but_tells_no_key() -> None:
    assert spelled(song("Db:min")) == replace(song("C#:min"), key=None)
    assert spelled(song("N")) == song("N")


def test_a_key_that_is_known_stays() -> None:
    known = replace(song("Gb:maj F#:min"), key="F# minor")
    assert labels_of(spelled(known)) == "F#:maj F#:min"
    assert spelled(known).key == "F# minor"
    sections = replace(song("Gb:maj F#:maj"), keys=(Key(0, 2, "D major"), Key(2, 4, "Db major")))
    assert labels_of(spelled(sections)) == "F#:maj Gb:maj"


def test_notes_tell_the_key_where_there_are_any() -> None:
    notes = tuple(Note(0.5 * i, pitch, 0.5 * i + 0.5, 80) for i, pitch in enumerate((64, 66, 68, 69, 71, 73, 75, 76)))
    found = spelled(replace(song("Db:min"), notes=notes))
    assert (labels_of(found), found.key) == ("C#:min", "E major")


def test_chord_tones_by_hand() -> None:
    assert [note.pitch for note in chord_tones(song("A:min/5 N").chords)] == [57, 60, 64, 69]


def test_transposing_by_hand() -> None:
    known = replace(
        song("E:maj C#:min"),
        key="E major",
        keys=(Key(0, 4, "E major"),),
        notes=(Note(0, 60, 1, 80), Note(1, 127, 2, 9)),
    )
    down = transposed(known, -4)
    assert (labels_of(down), down.key, down.keys) == ("C:maj A:min", "C major", (Key(0, 4, "C major"),))
    assert [note.pitch for note in down.notes] == [56, 123]
    assert down.settings == {"transpose": -4}
    assert transposed(known, 0) is known
    with pytest.raises(UsageError, match="out of MIDI's range"):
        transposed(known, 1)


@given(
    st.lists(st.sampled_from(["C:maj", "Db:min7/b3", "Ab:dim7", "N", "F#:sus4(b7)"]), max_size=9), st.integers(-24, 24)
)
def test_transposing_there_and_back(labels: list[str], semitones: int) -> None:
    known = spelled(song(" ".join(labels)))
    moved = transposed(known, semitones)
    for before, after in zip(known.chords, moved.chords, strict=True):
        assert parse(after.label) == parse(before.label).transposed(semitones)
    back = transposed(moved, -semitones)
    assert (back.chords, back.key, back.keys) == (known.chords, known.key, known.keys)


def changing(*edges: float, **told: object) -> Transcription:
    chords = tuple(
        Chord(a, b, label) for (a, b), label in zip(pairwise(edges), ["C:maj", "A:min", "F:maj", "G:7"], strict=False)
    )
    beats = {"beats": tuple(0.5 * i for i in range(1, 20)), "beat_confidence": 0.9}
    return Transcription(chords=chords, duration=edges[-1], **{**beats, **told})  # type: ignore[arg-type]


def edges_of(transcription: Transcription) -> list[float]:
    return [chord.onset for chord in transcription.chords] + [transcription.chords[-1].offset]


def test_chords_change_on_the_beats() -> None:
    assert edges_of(on_beats(changing(0.0, 1.92, 4.11, 6.25, 9.0))) == [0.0, 2.0, 4.0, 6.25, 9.0]
    # Before the first beat and after the last none is near.
    assert edges_of(on_beats(changing(0.0, 0.2, 9.7, 12.0, 13.0))) == [0.0, 0.2, 9.7, 12.0, 13.0]
    assert edges_of(on_beats(changing(0.0, 1.94, 2.06, 4.02, 5.0))) == [0.0, 1.94, 2.06, 4.0, 5.0]


def test_where_beats_are_guessed_chords_stay() -> None:
    heard = changing(0.0, 1.92, 4.11, 6.25, 9.0, beat_confidence=0.3)
    assert on_beats(heard) == heard
    assert on_beats(changing(0.0, 1.92, 4.11, 6.25, 9.0, beats=())) == replace(heard, beats=(), beat_confidence=0.9)
    assert on_beats(Transcription(beats=(1.0, 2.0), beat_confidence=1.0)).chords == ()


@given(st.lists(st.floats(0.01, 20), min_size=2, max_size=5, unique=True), st.lists(st.floats(0, 20), max_size=30))
def test_chords_on_beats_abut_as_before(edges: list[float], beats: list[float]) -> None:
    before = changing(0.0, *sorted(edges)[:4], beats=tuple(sorted(set(beats))))
    after = edges_of(on_beats(before))
    assert len(after) == len(edges_of(before))
    assert all(a < b for a, b in pairwise(after))
    assert max(abs(a - b) for a, b in zip(after, edges_of(before), strict=True)) <= 0.15
