"""How pitches and lengths of time are written for people."""

from __future__ import annotations

from collections.abc import Iterable


def tuning_name(cents: int, sections: Iterable[int]) -> str:
    """Say how far a recording lies from A = 440 Hz: as a whole, and where ``sections`` differ, from where to where."""
    all_cents = set(sections)
    if len(all_cents) > 1:
        return f"it changes, from {min(all_cents):+d} to {max(all_cents):+d} cents beside A = 440 Hz"
    if not cents:
        return "A = 440 Hz"
    where = "above" if cents > 0 else "below"
    return f"{abs(cents)} cents {where} A = 440 Hz: A = {440 * 2 ** (cents / 1200):.0f} Hz"


def counted(number: int, noun: str) -> str:
    """Count things.

    Examples
    --------
    >>> counted(1, "piece"), counted(2, "piece")
    ('1 piece', '2 pieces')
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def pitch_name(pitch: int) -> str:
    """Name a MIDI number in scientific notation.

    Examples
    --------
    >>> pitch_name(60), pitch_name(70)
    ('C4', 'B♭4')
    """
    names = ("C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B")
    return f"{names[pitch % 12]}{pitch // 12 - 1}"


def minutes(seconds: float) -> str:
    """Write a length of time for people.

    Examples
    --------
    >>> minutes(3), minutes(125), minutes(3723)
    ('3.0 s', '2:05', '1:02:03')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"


def clock(seconds: float) -> str:
    """Write a time within a recording, to a hundredth of a second: ``2:05.25``."""
    hundredths = round(100 * seconds)
    return f"{hundredths // 6000}:{hundredths % 6000 / 100:05.2f}"
