"""What is worth saying about a transcription, in a few lines for a person."""

from __future__ import annotations

from collections.abc import Iterator

from transcribe.events import Transcription
from transcribe.formats import chart
from transcribe.genre.decoder import verdict
from transcribe.instruments.decoder import summed_up

# No more chords, and no more keys, than this are named.
SHOWN_CHORDS, SHOWN_KEYS = 16, 4


def rows(result: Transcription) -> Iterator[tuple[str, str]]:
    """Name and value of whatever was heard, the most important first."""
    yield "duration", minutes(result.duration)
    yield "notes", str(len(result.notes))
    if result.notes:
        pitches = [note.pitch for note in result.notes]
        velocities = sorted(note.velocity for note in result.notes)
        sure = sum(note.confidence for note in result.notes) / len(result.notes)
        yield "range", f"{pitch_name(min(pitches))} – {pitch_name(max(pitches))}"
        yield "velocity", f"{velocities[0]} – {velocities[-1]}, median {velocities[len(velocities) // 2]}"
        # The calibration is off by a point or two itself: nothing is certain.
        yield "confidence", f"{min(sure, 0.99):.0%} of the notes are expected to be right"
    if result.pedals:
        held = sum(pedal.offset - pedal.onset for pedal in result.pedals)
        yield "pedal", f"{len(result.pedals)} × down, {held / max(result.duration, 1e-9):.0%} of the time"
    if result.tuning:
        where = "above" if result.tuning > 0 else "below"
        frequency = 440 * 2 ** (result.tuning / 1200)
        yield "tuning", f"{abs(result.tuning)} cents {where} A = 440 Hz: A = {frequency:.0f} Hz"
    if result.tempo is not None:
        yield "tempo", f"about {result.tempo:.0f} beats a minute (a guess)"
    if result.key is not None:
        sections = [section.label for section in result.keys]
        yield "key", f"{', then '.join(sections if 1 < len(sections) <= SHOWN_KEYS else [result.key])} (a guess)"
    if result.chords:
        found = chart.names(result.chords)
        more = f" … ({len(found)} in all)" if len(found) > SHOWN_CHORDS else ""
        yield "chords", " ".join(found[:SHOWN_CHORDS]) + more
    if result.instruments:
        found = [f"{label} {sure:.0%}" for label, sure, _ in summed_up(result.instruments, result.duration)]
        yield "instruments", ", ".join(found)
    if result.genres:
        yield "genre", verdict(result.genres, result.settings)


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
