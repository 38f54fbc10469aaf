"""What a name says of who is there: labels of both vocabularies, as places in all of them, families first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from transcribe.errors import UsageError
from transcribe.instruments.decoder import FAMILIES, INSTRUMENTS

N_LABELS = len(FAMILIES) + len(INSTRUMENTS)
_INSTRUMENTS = list(INSTRUMENTS)
# Folders of train/synthesis/solos.py that are none of the instruments: (instrument, family), None where it is open.
OTHERS: dict[str, tuple[str | None, str | None]] = {
    "plucked double bass": ("double bass", None),
    "electric piano": (None, "keyboard"),
    "harpsichord": (None, "keyboard"),
    "accordion": (None, "reed"),
    "harmonica": (None, "reed"),
    "english horn": (None, "reed"),
    "viola": (None, "string"),
    "tuba": (None, "brass"),
    "brass section": (None, "brass"),
    "recorder": (None, "flute"),
    "banjo": (None, "guitar"),
}
# Of a drummer, and of single strokes.
OF_DRUMS = (FAMILIES.index("drums"), len(FAMILIES) + _INSTRUMENTS.index("drums"))
DRUM_CLASSES = {name: (len(FAMILIES) + _INSTRUMENTS.index(name),) for name in ("bass drum", "snare drum", "hi-hat")}


@dataclass(frozen=True)
class Truth:
    """What a clip's name says: labels that are there, and labels that nobody knows of; indices into all labels."""

    there: tuple[int, ...]
    open: tuple[int, ...]


def truth_of(name: str, vocabulary: str = "instruments") -> Truth:
    """Tell which labels a clip of this name has.

    Raises
    ------
    UsageError
        If the name is none that is known.
    """
    n_families = len(FAMILIES)
    if name == "noise":
        return Truth((), ())
    if name == "speech":
        return Truth((), (FAMILIES.index("vocal"), n_families + _INSTRUMENTS.index("voice")))
    instrument, family = OTHERS.get(name, (name, INSTRUMENTS.get(name)))
    if vocabulary == "families":
        instrument, family = None, name
    if (instrument is None or instrument in INSTRUMENTS) and (family is None or family in FAMILIES):
        there = [n_families + _INSTRUMENTS.index(instrument)] if instrument else []
        unknown = []
        if family:
            there.append(FAMILIES.index(family))
        else:  # bowed it is a string, plucked a bass
            unknown += [FAMILIES.index("bass"), FAMILIES.index("string")]
        if instrument is None:
            unknown += [n_families + i for i, kin in enumerate(INSTRUMENTS.values()) if kin == family]
        if instrument == "drums":
            unknown += [n_families + _INSTRUMENTS.index(drum) for drum in ("bass drum", "snare drum", "hi-hat")]
        if instrument in ("bass drum", "snare drum", "hi-hat"):
            there.append(n_families + _INSTRUMENTS.index("drums"))
        return Truth(tuple(there), tuple(unknown))
    raise UsageError(f"{name!r} is neither an instrument nor a family, nor one of {', '.join(OTHERS)}")


def combined(truths: Sequence[Truth]) -> Truth:
    """Put together what several names say of one clip."""
    there = {label for truth in truths for label in truth.there}
    return Truth(tuple(sorted(there)), tuple(sorted({label for truth in truths for label in truth.open} - there)))
