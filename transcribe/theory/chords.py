"""Chord labels in Harte's syntax: ``C:maj``, ``Bb:min7/b3``, ``D:sus4(b7)``, ``N`` for no chord, ``X`` for unknown.

The grammar is that of Harte et al. (2005) with the shorthands of mir_eval. A root is kept as a pitch class (0 is C),
so that ``A#:min`` and ``Bb:min`` are the same label, written ``Bb:min`` where no key says otherwise
(:mod:`transcribe.theory.spelling`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from transcribe.events import Chord
from transcribe.theory.fifths import name_at, place_of, readable

ROOTS = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
_NATURALS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_DEGREES = {1: 0, 2: 2, 3: 4, 4: 5, 5: 7, 6: 9, 7: 11}
# Semitones above the root, by shorthand.
SHORTHANDS: dict[str, tuple[int, ...]] = {
    "maj": (0, 4, 7),
    "min": (0, 3, 7),
    "dim": (0, 3, 6),
    "aug": (0, 4, 8),
    "sus2": (0, 2, 7),
    "sus4": (0, 5, 7),
    "7": (0, 4, 7, 10),
    "maj7": (0, 4, 7, 11),
    "min7": (0, 3, 7, 10),
    "minmaj7": (0, 3, 7, 11),
    "hdim7": (0, 3, 6, 10),
    "dim7": (0, 3, 6, 9),
    "maj6": (0, 4, 7, 9),
    "min6": (0, 3, 7, 9),
    "9": (0, 4, 7, 10, 2),
    "maj9": (0, 4, 7, 11, 2),
    "min9": (0, 3, 7, 10, 2),
    "11": (0, 4, 7, 10, 2, 5),
    "min11": (0, 3, 7, 10, 2, 5),
    "13": (0, 4, 7, 10, 2, 5, 9),
    "maj13": (0, 4, 7, 11, 2, 5, 9),
    "min13": (0, 3, 7, 10, 2, 5, 9),
    "5": (0, 7),
    "1": (0,),
    "": (),
}
# How an interval of so many semitones is written as a bass.
_INTERVALS = ("1", "b2", "2", "b3", "3", "4", "b5", "5", "b6", "6", "b7", "7")
# How far such an interval leads on the line of fifths; a few chords have theirs otherwise.
_FIFTHS = (0, -5, 2, -3, 4, -1, 6, 1, -4, 3, -2, 5)
_DIMINISHED_FIFTH, _DIMINISHED_SEVENTH, _AUGMENTED_FIFTH = (6, -6), (9, -9), (8, 8)
_LABEL = re.compile(
    r"(?P<root>[A-G][#b]*)(?::(?P<quality>[a-z0-9]*)(?:\((?P<degrees>[^()]*)\))?)?(?:/(?P<bass>[#b]*\d+))?"
)
_DEGREE = re.compile(r"(?P<omitted>\*?)(?P<accidentals>[#b]*)(?P<number>1[0-3]|[1-9])")
# How guitarists write qualities.
QUALITIES = {
    "maj": "",
    "min": "m",
    "sus4(b7)": "7sus4",
    "min7": "m7",
    "minmaj7": "m(maj7)",
    "hdim7": "m7b5",
    "maj6": "6",
    "min6": "m6",
    "min9": "m9",
}
_SPELLINGS = {
    **{name: quality for quality, name in QUALITIES.items()},
    "M": "maj",
    "major": "maj",
    "minor": "min",
    "mmaj7": "minmaj7",
    "M7": "maj7",
    "o": "dim",
    "o7": "dim7",
    "+": "aug",
    "sus": "sus4",
    "-": "min",
    "-7": "min7",
    "m11": "min11",
    "m13": "min13",
}


@dataclass(frozen=True)
class Label:
    """One chord: ``root`` 0-11 (None for ``N`` and ``X``), ``quality``, and the ``bass`` in semitones above the root.

    ``quality`` is a shorthand, with degrees in brackets where the label has some: ``maj``, ``sus4(b7)``, ``(1,5)``.
    """

    root: int | None
    quality: str = ""
    bass: int = 0

    def __str__(self) -> str:
        return self.quality if self.root is None else self.written(ROOTS[self.root])

    def written(self, root: str) -> str:
        """Write the label in Harte's syntax, its root spelled as is said; there must be one."""
        return f"{root}:{self.quality}{f'/{_INTERVALS[self.bass]}' if self.bass else ''}"

    def transposed(self, semitones: int) -> Label:
        """Move the root, and the bass with it."""
        return self if self.root is None else replace(self, root=(self.root + semitones) % 12)

    @property
    def intervals(self) -> frozenset[int]:
        """Semitones above the root that sound, the bass not counted; none for ``N`` and ``X``."""
        return frozenset() if self.root is None else _intervals(self.quality)

    @property
    def pitch_classes(self) -> frozenset[int]:
        """Pitch classes that sound, the bass with them."""
        if self.root is None:
            return frozenset()
        return frozenset((self.root + interval) % 12 for interval in self.intervals | {self.bass})

    @property
    def name(self) -> str:
        """As guitarists write it: ``Am7/G``; ``N.C.`` for no chord, ``?`` for an unknown one."""
        if self.root is None:
            return "N.C." if self.quality == "N" else "?"
        return self.named(ROOTS[self.root])

    def named(self, root: str) -> str:
        """Name the chord as guitarists do, its root spelled as is said, its bass by the interval; there must be one."""
        bass = f"/{self.bass_name(root)}" if self.bass else ""
        return f"{root}{QUALITIES.get(self.quality, self.quality)}{bass}"

    def bass_name(self, root: str) -> str:
        """Spell the bass by its interval above a root that is spelled: the third of E is G#; the root if it is that."""
        special = {_AUGMENTED_FIFTH} if self.quality == "aug" else set()
        if 6 in self.intervals and 7 not in self.intervals:
            special = {_DIMINISHED_FIFTH, *([_DIMINISHED_SEVENTH] if 9 in self.intervals else [])}
        return name_at(readable(place_of(root) + dict(special).get(self.bass, _FIFTHS[self.bass])))


NO_CHORD = Label(None, "N")
UNKNOWN = Label(None, "X")


def parse(text: str) -> Label:
    """Read a label in Harte's syntax.

    Raises
    ------
    ValueError
        If it isn't one.

    Examples
    --------
    >>> parse("A:min7/b3")
    Label(root=9, quality='min7', bass=3)
    """
    if text in ("N", "X"):
        return NO_CHORD if text == "N" else UNKNOWN
    match = _LABEL.fullmatch(text)
    if match is None or (match["quality"] is not None and match["quality"] not in SHORTHANDS):
        raise ValueError(f"{text!r} is no chord in Harte's syntax, such as C:maj, A:min7/b3 or N")
    quality, degrees = match["quality"], match["degrees"]
    if not quality:
        if quality == "" and degrees is None:
            raise ValueError(f"{text!r}: a quality is missing after the colon")
        quality = "maj" if degrees is None else ""
    if degrees is not None:
        quality += f"({','.join(part.strip() for part in degrees.split(','))})"
        _intervals(quality)
    return Label(_pitch_class(match["root"]), quality, _semitones(match["bass"]) if match["bass"] else 0)


def parse_name(text: str) -> Label:
    """Read a label in Harte's syntax or as people name files and folders: ``Am``, ``Bb``, ``A#_maj``, ``F#m7b5``.

    Raises
    ------
    ValueError
        If it is neither.

    Examples
    --------
    >>> str(parse_name("A#_maj")), str(parse_name("F#m7b5"))
    ('Bb:maj', 'F#:hdim7')
    """
    match = re.fullmatch(r"(?P<root>[A-G][#b]?)[_ :]?(?P<quality>[^/]*)(?:/(?P<bass>[A-G][#b]?))?", text)
    if match is not None:
        quality = _SPELLINGS.get(match["quality"], match["quality"])
        if (quality in SHORTHANDS and quality) or quality == "sus4(b7)":
            root = _pitch_class(match["root"])
            return Label(root, quality, (_pitch_class(match["bass"]) - root) % 12 if match["bass"] else 0)
    return NO_CHORD if text in ("N.C.", "NC") else parse(text)


def chord_name(label: str) -> str:
    """Name a chord as guitarists do, its root as it is spelled; what is no label stays as it is.

    Examples
    --------
    >>> chord_name("A:min7/b3"), chord_name("C#:min/b3")
    ('Am7/C', 'C#m/E')
    """
    try:
        parsed = parse(label)
    except ValueError:
        return label
    return parsed.name if parsed.root is None else parsed.named(root_name(label))


def root_name(label: str) -> str:
    """Read how the root of a label is spelled: ``A#`` of ``A#:min``.

    Raises
    ------
    ValueError
        If it has none.
    """
    match = _LABEL.fullmatch(label)
    if match is None:
        raise ValueError(f"{label!r} has no root")
    return match["root"]


def _pitch_class(name: str) -> int:
    return (_NATURALS[name[0]] + name.count("#") - name.count("b")) % 12


def _semitones(degree: str) -> int:
    match = _DEGREE.fullmatch(degree)
    if match is None:
        raise ValueError(f"{degree!r} is no degree of a scale, such as b7")
    number = (int(match["number"]) - 1) % 7 + 1
    return (_DEGREES[number] + match["accidentals"].count("#") - match["accidentals"].count("b")) % 12


def _intervals(quality: str) -> frozenset[int]:
    shorthand, brackets, degrees = quality.removesuffix(")").partition("(")
    sounding = set(SHORTHANDS[shorthand])
    if not shorthand:
        sounding = {0}
    for degree in degrees.split(",") if brackets else ():
        if degree.startswith("*"):
            sounding.discard(_semitones(degree))
        else:
            sounding.add(_semitones(degree))
    return frozenset(sounding)


def names(chords: Sequence[Chord]) -> list[str]:
    """Name chords as guitarists do, one after the other; a chord that goes on is named once."""
    found: list[str] = []
    for chord in chords:
        name = chord_name(chord.label)
        if not found or found[-1] != name:
            found.append(name)
    return found
