from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcribe.chords.decoder import N_CLASSES, NONE, label_of
from transcribe.events import Chord, Key
from transcribe.theory.chords import chord_name, parse, root_name
from transcribe.theory.fifths import name_at, place_of, readable
from transcribe.theory.keys import name_of, signature, transposed_key
from transcribe.theory.spelling import root_in_key, spelled_chords, tone_name

KEYS = [name_of(index) for index in range(24)]
SCALES = {
    "C major": "C D E F G A B",
    "E major": "E F# G# A B C# D#",
    "C# minor": "C# D# E F# G# A B",
    "Gb major": "Gb Ab Bb Cb Db Eb F",
    "Eb minor": "Eb F Gb Ab Bb Cb Db",
    "B major": "B C# D# E F# G# A#",
    "F minor": "F G Ab Bb C Db Eb",
}


@pytest.mark.parametrize(("key", "scale"), SCALES.items())
def test_chords_of_a_scale_have_its_names(key: str, scale: str) -> None:
    for name in scale.split():
        label = parse(f"{name}:maj")
        assert root_in_key(label, key) == name
        assert root_in_key(parse(f"{name}:min7"), key) == name


@pytest.mark.parametrize(
    ("key", "label", "spelled"),
    [
        ("E major", "Db:min", "C#:min"),
        ("E major", "Ab:7/b7", "G#:7/b7"),
        ("C major", "G#:maj", "Ab:maj"),  # borrowed from C minor
        ("C major", "C#:maj", "Db:maj"),
        ("C major", "Ab:dim7", "G#:dim7"),  # leads to A minor
        ("A minor", "Ab:dim", "G#:dim"),
        ("C major", "Eb:hdim7", "D#:hdim7"),
        ("G minor", "Gb:dim7", "F#:dim7"),
        ("Gb major", "G:maj", "G:maj"),  # nobody reads Abb
        ("Eb major", "N", "N"),
        ("Eb major", "X", "X"),
    ],
)
def test_chords_beside_the_scale(key: str, label: str, spelled: str) -> None:
    (found,) = spelled_chords([Chord(0, 1, label, 0.5)], [Key(0, 1, key)])
    assert found == Chord(0, 1, spelled, 0.5)


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("C#:min/b3", "C#m/E"),
        ("Db:min", "Dbm"),
        ("E:maj/3", "E/G#"),
        ("Ab:min/b3", "Abm/Cb"),
        ("D:7/3", "D7/F#"),
        ("B:dim7/b5", "Bdim7/F"),
        ("G#:dim7/6", "G#dim7/F"),
        ("C:aug/b6", "Caug/G#"),
        ("F:maj/b5", "F/B"),
        ("N", "N.C."),
        ("no label", "no label"),
    ],
)
def test_names_keep_the_spelling(label: str, name: str) -> None:
    assert chord_name(label) == name


def test_each_section_has_its_key() -> None:
    keys = [Key(0, 10, "E major"), Key(10, 20, "Ab major")]
    chords = [Chord(0, 9, "Ab:min"), Chord(9, 12, "Ab:min"), Chord(12, 30, "Db:maj")]
    assert [chord.label for chord in spelled_chords(chords, keys)] == ["G#:min", "Ab:min", "Db:maj"]
    assert spelled_chords(chords, []) == tuple(chords)


@given(st.integers(0, N_CLASSES - 1), st.sampled_from(KEYS))
def test_spelling_keeps_the_chord(number: int, key: str) -> None:
    label = label_of(number)
    (found,) = spelled_chords([Chord(0, 1, str(label))], [Key(0, 1, key)])
    assert parse(found.label) == label
    if number != NONE:
        assert len(root_name(found.label)) <= 2


@given(st.integers(0, 127), st.sampled_from(KEYS))
def test_tones_keep_their_pitch(pitch: int, key: str) -> None:
    name, octave = tone_name(pitch, key)
    natural = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}[name[0]]
    assert natural + name.count("#") - name.count("b") + 12 * (octave + 1) == pitch


@given(st.integers(-30, 30))
def test_the_line_of_fifths(place: int) -> None:
    assert place_of(name_at(place)) == place
    assert (readable(place) - place) % 12 == 0
    assert len(name_at(readable(place))) <= 2


def test_places_by_hand() -> None:
    assert [name_at(place) for place in (-8, -1, 0, 6, 7, 14)] == ["Bbb", "Bb", "F", "B", "F#", "F##"]


@given(st.sampled_from(KEYS), st.integers(-24, 24))
def test_keys_are_transposed(key: str, semitones: int) -> None:
    moved = transposed_key(key, semitones)
    assert moved in KEYS
    assert signature(moved)[1] == signature(key)[1]
    assert (signature(moved)[0] - signature(key)[0] - 7 * semitones) % 12 == 0
    assert transposed_key(moved, -semitones) == key
