"""Voices cut at the bar lines and within bars, so that every piece is a note or a rest that can be written; pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from transcribe.score.bars import Bar, Chord

# What one note shows within a triplet, in 48ths of a quarter, without a dot and with one.
_IN_TRIPLETS, _DOTTED_IN_TRIPLETS = (1, 2, 4, 8, 16, 32), (12, 24)
# What is no longer than this isn't cut.
_SHORTEST = Fraction(1, 48)


@dataclass(frozen=True)
class Written:
    """A chord or a rest that one note can show; whether it is tied to the one before it, and to the one after it."""

    chord: Chord
    from_before: bool = False
    to_next: bool = False


def in_bars(voice: Sequence[Chord], bars: Sequence[Bar]) -> Iterator[tuple[Bar, list[Written]]]:
    """Cut a voice at the bar lines, and fill what is empty with rests; yield every bar with what lies in it."""
    rest = iter(voice)
    current = next(rest, None)
    begun = False
    for bar in bars:
        inside: list[Written] = []
        place = bar.start
        while current is not None and current.start < bar.end:
            inside += [Written(Chord(a, b - a)) for a, b in cut(place, current.start, bar, rest=True)]
            place = min(current.start + current.length, bar.end)
            goes_on = current.start + current.length > place
            pieces = cut(current.start, place, bar)
            for number, (a, b) in enumerate(pieces, 1):
                chord = replace(current, start=a, length=b - a, graces=() if begun or number > 1 else current.graces)
                inside.append(Written(chord, begun or number > 1, goes_on or number < len(pieces)))
            begun = goes_on
            if goes_on:
                current = replace(current, start=place, length=current.start + current.length - place)
                break
            current = next(rest, None)
        if inside:
            inside += [Written(Chord(a, b - a)) for a, b in cut(place, bar.end, bar, rest=True)]
        yield bar, inside or [Written(Chord(bar.start, bar.length))]


def dotted_in_triplet(one: Written, bar: Bar) -> bool:
    """Tell whether a note lies within a triplet and is as long as one of its notes with a dot.

    By its length alone it would be a plain note: a dotted eighth of a triplet is as long as an eighth.
    """
    place, length = one.chord.start - bar.start, one.chord.length
    return bar.beat == 1 and place.denominator % 3 == 0 and length * 48 in _DOTTED_IN_TRIPLETS


def cut(start: Fraction, end: Fraction, bar: Bar, rest: bool = False) -> list[tuple[Fraction, Fraction]]:
    """Cut a span within a bar into ones that a single note or rest can show without hiding the beat."""
    if start >= end:
        return []
    if end - start <= _SHORTEST or _readable(start - bar.start, end - bar.start, bar, rest):
        return [(start, end)]
    inner = _strongest(start - bar.start, end - bar.start, bar)
    return [*cut(start, bar.start + inner, bar, rest), *cut(bar.start + inner, end, bar, rest)]


def _readable(start: Fraction, end: Fraction, bar: Bar, rest: bool) -> bool:
    length = end - start
    if start == 0 and length == bar.length:
        return _base(length) is not None
    if bar.beat != 1:
        return _readable_in_compound(start, end, bar.beat)
    first, last = start.numerator // start.denominator, -(-end.numerator // end.denominator)
    if any(edge.denominator % 3 == 0 for edge in (start, end)):
        # Triplets stay within their beat.
        shown = _IN_TRIPLETS if rest else (*_IN_TRIPLETS, *_DOTTED_IN_TRIPLETS)
        return last - first == 1 and length * 48 in shown
    base = _base(length)
    if base is None:
        return False
    if base == length:
        on = start % length == 0 or (not rest and start % (length / 2) == 0)
    elif length >= 1:
        on = not rest and start % (base / 2) == 0 and (start % 1 == 0 or end % 1 == 0)
    else:
        on = last - first == 1
    # Nothing but what fills it from an edge hides the middle of four beats.
    middle = bar.length / 2
    hides = bar.length % 4 == 0 and start < middle < end and length < 2
    return on and not hides


def _readable_in_compound(start: Fraction, end: Fraction, beat: Fraction) -> bool:
    if start % beat == 0 and end % beat == 0:
        return _base(end - start) is not None
    within = start // beat == (end - Fraction(1, 1000)) // beat
    return bool(within and _base(end - start) is not None and (end - start) * 16 % 1 == 0)


def _base(length: Fraction) -> Fraction | None:
    """Find the undotted length of a note that is so long, with a dot or without; None where there is none."""
    for base in (length, length * 2 / 3):
        if base.numerator & (base.numerator - 1) == 0 and base.denominator & (base.denominator - 1) == 0:
            return base if Fraction(1, 32) <= base <= 4 else None
    return None


def _strongest(start: Fraction, end: Fraction, bar: Bar) -> Fraction:
    """Find the strongest place strictly inside a span of a bar."""
    thirds = any((edge / bar.beat).denominator % 3 == 0 for edge in (start, end))
    parts = (3, 6, 12) if thirds else (2, 4, 8, 16, 32) if bar.beat == 1 else (3, 6, 12, 24)
    halves = bar.length % 4 == 0 or (bar.beat != 1 and bar.length % (2 * bar.beat) == 0)
    units = [bar.length / 2] if halves else []
    units += [bar.beat * 2, bar.beat, *(bar.beat / part for part in parts)]
    for unit in units:
        place = (start // unit + 1) * unit
        if place < end:
            return place
    return (start + end) / 2
