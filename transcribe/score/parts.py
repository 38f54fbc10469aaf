"""Some of the instruments of a transcription; pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from transcribe.events import Transcription
from transcribe.theory.families import FAMILIES

DRUMS = "drums"
#: What can be kept.
PARTS = (*FAMILIES, DRUMS)
# Notes whose instrument isn't known were heard by a piano's network. Only these families have a pedal.
_UNKNOWN = "piano"
_PEDALLED = frozenset({"piano", "keys"})


def only(t: Transcription, parts: Collection[str]) -> Transcription:
    """Keep the notes of some families, and drums if they are among ``parts``; of the rest (beats, chords) all.

    The settings tell what was kept; without ``parts`` all is.
    """
    if not parts:
        return t
    return replace(
        t,
        notes=tuple(note for note in t.notes if (note.instrument or _UNKNOWN) in parts),
        drums=t.drums if DRUMS in parts else (),
        pedals=t.pedals if _PEDALLED.intersection(parts) else (),
        settings={**t.settings, "kept": [name for name in PARTS if name in parts]},
    )
