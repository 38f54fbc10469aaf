"""How pitches and lengths of time are written for people."""

from __future__ import annotations


def pitch_name(pitch: int) -> str:
    """Name a MIDI number in scientific notation: 60 is C4."""
    names = ("C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B")
    return f"{names[pitch % 12]}{pitch // 12 - 1}"


def minutes(seconds: float) -> str:
    """Write a length of time for people: ``3.0 s``, ``2:05``, ``1:02:03``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"


def clock(seconds: float) -> str:
    """Write a time within a recording, to a hundredth of a second: ``2:05.25``."""
    hundredths = round(100 * seconds)
    return f"{hundredths // 6000}:{hundredths % 6000 / 100:05.2f}"
