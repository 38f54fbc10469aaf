"""Families of instruments and classes of drums, and what General MIDI calls them.

Programs are numbered from 0, as in a MIDI file; a percussion key is the pitch of a note on channel 10.
"""

from __future__ import annotations

from itertools import pairwise
from types import MappingProxyType

FAMILIES = (
    "piano", "keys", "organ", "guitar", "bass", "strings", "brass", "reed", "flute", "voice", "mallet", "synth",
)  # fmt: skip
#: The General MIDI program that plays a family.
PROGRAMS = MappingProxyType(
    {
        "piano": 0,  # acoustic grand piano
        "keys": 4,  # electric piano 1
        "organ": 19,  # church organ
        "guitar": 24,  # acoustic guitar (nylon)
        "bass": 33,  # electric bass (finger)
        "strings": 48,  # string ensemble 1
        "brass": 61,  # brass section
        "reed": 71,  # clarinet
        "flute": 73,  # flute
        "voice": 52,  # choir aahs
        "mallet": 12,  # marimba
        "synth": 81,  # lead 2 (sawtooth)
    }
)

# First program of each run of one family; None where General MIDI has percussion without a pitch, and effects.
_RUNS: tuple[tuple[int, str | None], ...] = (
    (0, "piano"), (4, "keys"), (8, "mallet"), (16, "organ"), (24, "guitar"), (32, "bass"),
    (40, "strings"), (47, "mallet"),  # timpani
    (48, "strings"), (52, "voice"), (55, "synth"),  # orchestra hit
    (56, "brass"), (64, "reed"), (72, "flute"), (80, "synth"),
    (104, "guitar"),  # sitar, banjo, shamisen, koto
    (108, "mallet"),  # kalimba
    (109, "reed"),  # bagpipe
    (110, "strings"),  # fiddle
    (111, "reed"),  # shanai
    (112, "mallet"),  # tinkle bell, agogo, steel drums
    (115, None), (128, None),
)  # fmt: skip
#: The family of each of the 128 General MIDI programs.
FAMILY_OF_PROGRAM: tuple[str | None, ...] = tuple(
    family for (first, family), (end, _) in pairwise(_RUNS) for _ in range(first, end)
)

DRUMS = ("bass drum", "snare drum", "hi-hat", "toms", "cymbals")
#: The General MIDI percussion key that plays a class of drums.
DRUM_KEYS = MappingProxyType({"bass drum": 36, "snare drum": 38, "hi-hat": 42, "toms": 45, "cymbals": 49})
_CLASSES = {
    "bass drum": (35, 36),
    "snare drum": (37, 38, 40),  # side stick, acoustic, electric
    "hi-hat": (42, 44, 46),
    "toms": (41, 43, 45, 47, 48, 50),
    "cymbals": (49, 51, 52, 53, 55, 57, 59),  # crash, ride, Chinese, ride bell, splash
}
#: The class of each percussion key 27-87, those of General MIDI 2; None where it is none of the five.
DRUM_OF_KEY: MappingProxyType[int, str | None] = MappingProxyType(
    {key: next((label for label, keys in _CLASSES.items() if key in keys), None) for key in range(27, 88)}
)
