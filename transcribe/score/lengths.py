"""Chords of a voice → how long each is written; pure.

Hands let go long before a note has lasted what is written (they lift for the next one, the pedal holds it, it is
played short), so a release says little by itself. Of the lengths that are possible, the next note of the voice being
one's end, the likeliest is chosen: a conditional logit model (McFadden 1974) of what is simple to read, and of how
long notes of the same rhythm around are held.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import pairwise

import numpy as np

from transcribe.score.beats import BeatGrid
from transcribe.score.features import LENGTHS
from transcribe.score.model import Told
from transcribe.score.voices import Struck

F = Fraction
# Lengths that a note may have beside the time to the next one, in quarters.
PALETTE = (
    F(1, 16), F(1, 12), F(1, 8), F(1, 6), F(1, 4), F(1, 3), F(3, 8), F(1, 2), F(2, 3), F(3, 4), F(1), F(4, 3), F(3, 2),
    F(2), F(3), F(4), F(6),
)  # fmt: skip
# So many quarters before and after a note others of its rhythm say how it is held.
_AROUND = 8
# Ratios of times are taken for at most so many octaves.
_MOST = 3.0
# What the network tells is at most so unlikely, as a logarithm.
_UNLIKELY = -7.0
# Nothing is held for less, in beats.
_SHORTEST = 0.02
# Fitted to 70 performances of ASAP's training pieces (22,000 chords), with the true beats.
WEIGHTS = {
    "end2": 0.062,
    "end3": -0.802,
    "end4": -1.282,
    "end8": -0.488,
    "full_gap": 0.79,
    "full_gap2": 0.415,
    "full_held": 0.091,
    "full_held2": 0.008,
    "full_left": 0.048,
    "full_long": -0.277,
    "full_long_own": 0.482,
    "full_lower": -0.966,
    "full_lower_own": 0.4,
    "full_odd": -1.937,
    "full_over": -0.917,
    "full_own": -0.111,
    "full_own2": -0.156,
    "full_played": -0.127,
    "full_seconds": -0.335,
    "half": 0.514,
    "held": 0.279,
    "last": -0.062,
    "longer": 0.062,
    "longer2": 0.143,
    "onto_beat": -0.013,
    "power": -0.667,
    "power2": -0.205,
    "rest": -2.301,
    "rest_of": -0.006,
    "rest_ratio": -0.024,
    "rest_simple": 0.188,
    "seconds": -0.501,
    "shorter": -2.872,
    "shorter2": 0.135,
    "told": 1.0,
    "undotted": 1.005,
    "unit": 0.417,
    "whole": -0.984,
    "within": 0.892,
}


@dataclass(frozen=True)
class Rhythm:
    """What is known of a chord, in quarters.

    Attributes
    ----------
    start
        Where it begins.
    played
        How long it is held.
    gap
        When the next chord of its voice begins; None after the last one.
    held
        How much of the gap chords of the same gap around are held, as a binary logarithm, on the average.
    quarter
        Seconds of a quarter.
    lower, left
        Whether it is of the lower voice, of the left hand.
    told
        Logarithms of probabilities of lengths of so many beats as the network names, and quarters of such a beat.
    """

    start: Fraction
    played: float
    gap: Fraction | None
    held: float
    quarter: float
    lower: bool
    left: bool
    told: tuple[list[float], float] | None = None


def rhythms(
    voices: Sequence[Sequence[Struck]], quarters: Fraction, grid: BeatGrid, left: bool, told: Told | None = None
) -> list[list[Rhythm]]:
    """Describe the chords of a hand's voices.

    Parameters
    ----------
    voices
        Upper and lower, places in beats.
    quarters
        Of a beat.
    grid
        Of the beats.
    left
        Whether it is the left hand.
    told
        What the network tells of the notes.
    """
    found = []
    for number, voice in enumerate(voices):
        starts = [chord.place * quarters for chord in voice]
        gaps: list[Fraction | None] = [*(b - a for a, b in pairwise(starts)), *[None] * bool(voice)]
        played = [max(chord.end - float(chord.place), _SHORTEST) * float(quarters) for chord in voice]
        habits = _habits(starts, gaps, played)
        cells = np.floor([float(chord.place) for chord in voice])
        beats = (grid.to_seconds(cells + 1) - grid.to_seconds(cells)).tolist()
        own = []
        for i, (start, gap) in enumerate(zip(starts, gaps, strict=True)):
            likely = None
            if told is not None:
                members = list(voice[i].indices)
                likely = (told.lengths[members].mean(0).tolist(), float(told.quarters[members[0]]))
            own.append(Rhythm(start, played[i], gap, habits[i], beats[i] / float(quarters), number == 1, left, likely))
        found.append(own)
    return found


def _habits(starts: Sequence[Fraction], gaps: Sequence[Fraction | None], played: Sequence[float]) -> list[float]:
    """Tell for each chord how much of the gap is held where it is as long, nearby: the median of the logarithms."""
    alike: dict[Fraction, list[int]] = defaultdict(list)
    for i, gap in enumerate(gaps):
        if gap is not None:
            alike[gap].append(i)
    held = [0.0] * len(starts)
    for gap, members in alike.items():
        places = np.array([float(starts[i]) for i in members])
        ratios = np.array([_ratio(played[i], gap) for i in members])
        firsts = np.searchsorted(places, places - _AROUND)
        lasts = np.searchsorted(places, places + _AROUND, "right")
        for i, first, last in zip(members, firsts, lasts, strict=True):
            held[i] = float(np.median(ratios[first:last]))
    return held


def _ratio(played: float, length: Fraction) -> float:
    return max(-_MOST, min(_MOST, math.log2(played / float(length))))


def candidates(chord: Rhythm) -> list[Fraction]:
    """List the lengths that a chord may have."""
    if chord.gap is None:
        grid = chord.start.denominator
        return [length for length in PALETTE if length >= F(1, 4) or (chord.start + length).denominator <= grid]
    fitting = [length for length in PALETTE if length < chord.gap and _usable(chord, length)]
    return [*fitting, chord.gap]


def _usable(chord: Rhythm, length: Fraction) -> bool:
    """Whether a length ends on a place that is written without more ado: on a part of what the start and gap have."""
    assert chord.gap is not None
    finest = math.lcm(chord.start.denominator, (chord.start + chord.gap).denominator, 4)
    return finest % (chord.start + length).denominator == 0


def features(chord: Rhythm, length: Fraction) -> dict[str, float]:
    """Measure what speaks for and against a length."""
    ratio = _ratio(chord.played, length)
    full = chord.gap is not None and length == chord.gap
    end = (chord.start + length).denominator
    power = math.log2(float(length))
    told = 0.0
    if chord.told is not None:
        likely, quarters = chord.told
        told = max(likely[_nearest_length(length / Fraction(quarters))], _UNLIKELY)
    found = {
        "longer": max(0.0, -ratio),
        "longer2": max(0.0, -ratio) ** 2,
        "shorter": max(0.0, ratio),
        "shorter2": max(0.0, ratio) ** 2,
        "told": told,
        "seconds": math.log2(max(float(length) * chord.quarter, 0.01)),
        "end2": float(end == 2),
        "end4": float(end == 4),
        "end8": float(end >= 8 and end % 3 != 0),
        "end3": float(end % 3 == 0),
        "undotted": float(length.numerator & (length.numerator - 1) == 0),
        "whole": float(length.numerator in (1, 2, 3, 4)),
        "power": power,
        "power2": power * power,
        "onto_beat": float(end == 1 and chord.start.denominator > 1),
        "within": float(math.floor(chord.start) == math.ceil(chord.start + length) - 1),
        "unit": float(length.denominator >= chord.start.denominator),
    }
    if chord.gap is not None:
        lacks = math.log2(float(chord.gap / length))
        found |= {
            "held": abs(ratio - (chord.held if full else 0.0)),
            "rest": float(not full),
            "rest_of": lacks,
            "rest_ratio": lacks * ratio,
            "half": float(length * 2 == chord.gap),
            "rest_simple": float(not full and (chord.gap - length).numerator == 1),
        }
        if full:
            own = _ratio(chord.played, chord.gap)
            gap = float(chord.gap)
            found |= {
                "full_own": own,
                "full_own2": own * own,
                "full_over": max(0.0, own),
                "full_held": chord.held,
                "full_held2": chord.held**2,
                "full_seconds": math.log2(gap * chord.quarter),
                "full_gap": math.log2(gap),
                "full_gap2": math.log2(gap) ** 2,
                "full_long": max(0.0, gap - 2),
                "full_long_own": own * max(0.0, math.log2(gap)),
                "full_lower": float(chord.lower),
                "full_left": float(chord.left),
                "full_lower_own": chord.lower * own,
                "full_odd": float(chord.gap.numerator not in (1, 2, 3, 4, 6)),
                "full_played": math.log2(max(chord.played * chord.quarter, 0.02)),
            }
    else:
        found["last"] = abs(ratio)
    return found


@cache
def _nearest_length(beats: Fraction) -> int:
    """Find which of the lengths that the network knows is nearest, by ratio."""
    return int(np.argmin([abs(math.log(float(length / beats))) for length in LENGTHS]))


def choose_length(chord: Rhythm) -> Fraction:
    """Choose the likeliest length, in quarters."""
    return max(
        candidates(chord), key=lambda length: sum(WEIGHTS.get(k, 0.0) * v for k, v in features(chord, length).items())
    )
