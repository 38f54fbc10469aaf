"""The line of fifths (… Bb F C G D A E B F# …), on which a name's neighbours are those that music uses beside it.

Places are counted from F, which is 0; sharps lie above B (6), flats below F.
"""

from __future__ import annotations

LETTERS = "FCGDAEB"


def name_at(place: int) -> str:
    """Name a place: ``F`` is 0, ``Bb`` -1, ``F#`` 7."""
    accidentals, letter = divmod(place, len(LETTERS))
    return LETTERS[letter] + ("#" if accidentals > 0 else "b") * abs(accidentals)


def place_of(name: str) -> int:
    """Find a name's place, the inverse of :func:`name_at`."""
    return LETTERS.index(name[0]) + len(LETTERS) * (name.count("#") - name.count("b"))


def pitch_class(name: str) -> int:
    """Give the pitch class of a name: 0 is C, and B sharp."""
    return (place_of(name) * 7 + 5) % 12


def readable(place: int) -> int:
    """Give the place of the same pitch class whose name has one accidental at the most."""
    while place >= 2 * len(LETTERS):
        place -= 12
    while place < -len(LETTERS):
        place += 12
    return place
