"""What a score shows, as data: bars, hands, voices, chords; pure."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from transcribe.score.beats import BeatGrid


@dataclass(frozen=True)
class Chord:
    """Notes struck together, or a rest where there are no pitches.

    Attributes
    ----------
    start, length
        In quarters.
    pitches
        From the lowest on.
    indices
        Of the notes of the transcription, one a pitch; of an ornament's notes that of the first.
    marks
        How it is played: those of :mod:`transcribe.score.ornaments` and :mod:`transcribe.score.articulation`.
    graces
        Pitches of the grace notes before it.
    others
        Further notes of the transcription that are written as its ornaments.
    """

    start: Fraction
    length: Fraction
    pitches: tuple[int, ...] = ()
    indices: tuple[int, ...] = ()
    marks: frozenset[str] = frozenset()
    graces: tuple[int, ...] = ()
    others: tuple[int, ...] = ()


@dataclass(frozen=True)
class Bar:
    """A bar: where it begins and how long it is, in quarters; how long its beats are; its number, 0 for a pick-up.

    ``metre`` is what it is written in (``6/8``), empty where nobody knows.
    """

    start: Fraction
    length: Fraction
    beat: Fraction
    number: int
    metre: str = ""

    @property
    def end(self) -> Fraction:
        """Where the next one begins."""
        return self.start + self.length


@dataclass(frozen=True)
class Notation:
    """What a score shows.

    ``hands``: right and left, each an upper and a lower voice, which may be empty; ``tempo`` in quarters a minute.
    ``grid``, ``quarters_a_beat`` and ``origin`` (in beats) lead from seconds to quarters.
    """

    bars: tuple[Bar, ...]
    hands: tuple[tuple[tuple[Chord, ...], ...], ...]
    tempo: float
    grid: BeatGrid
    quarters_a_beat: Fraction
    origin: Fraction

    def quarters(self, seconds: float) -> float:
        """Convert seconds to quarters from the start of the first bar."""
        return float(self.grid.to_beats(np.array([seconds]))[0] - float(self.origin)) * float(self.quarters_a_beat)
