"""Families and drums against the names of General MIDI's Level 1 sound set."""

import pytest

from transcribe.theory.families import (
    DRUM_KEYS,
    DRUM_OF_KEY,
    DRUMS,
    FAMILIES,
    FAMILY_OF_PROGRAM,
    PROGRAMS,
)


def test_every_family_has_a_program_of_its_own() -> None:
    assert list(PROGRAMS) == list(FAMILIES)
    assert [FAMILY_OF_PROGRAM[program] for program in PROGRAMS.values()] == list(FAMILIES)


@pytest.mark.parametrize(
    ("program", "family"),
    [
        (0, "piano"), (3, "piano"), (4, "keys"), (6, "keys"), (8, "mallet"), (16, "organ"), (30, "guitar"),
        (32, "bass"), (40, "strings"), (46, "strings"), (47, "mallet"), (48, "strings"), (53, "voice"), (56, "brass"),
        (65, "reed"), (73, "flute"), (81, "synth"), (103, "synth"), (105, "guitar"), (109, "reed"), (110, "strings"),
        (114, "mallet"), (115, None), (127, None),
    ],
)  # fmt: skip
def test_programs_belong_to_families(program: int, family: str | None) -> None:
    assert len(FAMILY_OF_PROGRAM) == 128
    assert FAMILY_OF_PROGRAM[program] == family


def test_every_drum_has_a_key_of_its_own() -> None:
    assert list(DRUM_KEYS) == list(DRUMS)
    assert [DRUM_OF_KEY[key] for key in DRUM_KEYS.values()] == list(DRUMS)


@pytest.mark.parametrize(
    ("key", "label"),
    [(27, None), (35, "bass drum"), (37, "snare drum"), (44, "hi-hat"), (50, "toms"), (53, "cymbals"), (54, None),
     (87, None)],
)  # fmt: skip
def test_keys_belong_to_drums(key: int, label: str | None) -> None:
    assert list(DRUM_OF_KEY) == list(range(27, 88))
    assert DRUM_OF_KEY[key] == label
