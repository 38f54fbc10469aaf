"""A score in MusicXML as it sounds when it is played as written: notes, beats and bars in seconds.

Repeats are played once, dynamics aren't heard: all notes are equally loud. Tempo changes where a bar begins.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from fractions import Fraction
from xml.etree import ElementTree

from transcribe.errors import InputError
from transcribe.events import Key, Metre, Note, Transcription
from transcribe.formats.beats import tempo_of
from transcribe.formats.format import checked
from transcribe.formats.musicxml_reader import FAULTS, Bar, ScoreNote, read_part, read_root
from transcribe.formats.reading import check_count
from transcribe.theory.keys import key_of
from transcribe.theory.metres import beat_length

# Quarters a minute where a score tells no tempo, and the velocity of all notes.
_TEMPO, _VELOCITY = 120.0, 64
_UNITS = {"whole": 4.0, "half": 2.0, "quarter": 1.0, "eighth": 0.5, "16th": 0.25}


def from_musicxml(content: bytes) -> Transcription:
    """Read a score, compressed or not.

    Raises
    ------
    InputError
        If it is something else.
    """
    check_count(content.count(b"<note"))
    try:
        root = read_root(content)
        parts = [(part, *read_part(part)) for part in root.iter("part")]
        if not parts:
            raise ValueError("it has no parts")
        first, _, bars = max(parts, key=lambda part: len(part[2]))
        clock = _Clock(bars, list(_tempi(first)))
        written = sorted((note for _, notes, _ in parts for note in notes), key=lambda note: note.bar)
        beats, downbeats = _beats(bars)
        times = tuple(map(clock, beats))
        result = Transcription(
            notes=tuple(sorted(_played(written, bars, clock))),
            beats=times,
            downbeats=tuple(map(clock, downbeats)),
            duration=clock(bars[-1].end) if bars else 0.0,
            tempo=tempo_of(times),
            metres=tuple(Metre(a, b, label) for a, b, label in _spans(bars, [bar.metre for bar in bars], clock)),
            keys=tuple(_keys(written, bars, clock)),
        )
        return checked(result)
    except FAULTS as error:
        raise InputError(f"no score in MusicXML: {error}") from None


class _Clock:
    """Quarters from the start of the score to seconds."""

    def __init__(self, bars: Sequence[Bar], tempi: Sequence[tuple[int, float]]) -> None:
        self._places, self._times, self._speeds = [0.0], [0.0], [_TEMPO / 60]
        for bar, tempo in tempi:
            place = float(max(bars[bar].start, Fraction(0)))
            self._times.append(self._at(place))
            self._places.append(place)
            self._speeds.append(tempo / 60)

    def __call__(self, place: Fraction) -> float:
        return self._at(float(place))

    def _at(self, place: float) -> float:
        i = max(bisect_right(self._places, place) - 1, 0)
        return self._times[i] + (place - self._places[i]) / self._speeds[i]


def _tempi(part: ElementTree.Element) -> Iterator[tuple[int, float]]:
    """Yield the number of a bar and quarters a minute, where they change."""
    for number, measure in enumerate(part.iter("measure")):
        told = [float(sound.get("tempo", "")) for sound in measure.iter("sound") if sound.get("tempo")]
        for mark in measure.iter("metronome"):
            unit, speed = _UNITS.get(mark.findtext("beat-unit") or ""), mark.findtext("per-minute") or ""
            if unit and speed.replace(".", "", 1).isdigit():
                told.append(float(speed) * unit * (1.5 if mark.find("beat-unit-dot") is not None else 1))
        if told and 0 < told[0] < 10_000:
            yield number, told[0]


def _played(written: Sequence[ScoreNote], bars: Sequence[Bar], clock: _Clock) -> Iterator[Note]:
    for note in written:
        start = max(bars[note.bar].start + note.place, Fraction(0))
        if note.length:  # grace notes have no time of their own
            yield Note(clock(start), note.pitch, clock(start + note.length), _VELOCITY)


def _beats(bars: Sequence[Bar]) -> tuple[list[Fraction], list[Fraction]]:
    """Find the beats, and those that begin bars: not in the second part of a bar that a repeat sign divides."""
    beats: list[Fraction] = []
    downbeats = []
    for bar in bars:
        if not bar.metre:
            continue
        begun = max(bar.start, beats[-1] + Fraction(1, 1000) if beats else Fraction(0))
        step, place = beat_length(bar.metre), bar.start
        if place >= begun:
            downbeats.append(place)
        check_count(len(beats) + int((bar.end - place) / step))
        while place < bar.end:
            if place >= begun:
                beats.append(place)
            place += step
    return beats, downbeats


def _keys(written: Sequence[ScoreNote], bars: Sequence[Bar], clock: _Clock) -> Iterator[Key]:
    """Yield the keys of the signatures, as major: whether they are minor isn't always said."""
    sharps: list[int] = []
    for note in written:
        sharps += [sharps[-1] if sharps else note.sharps] * (note.bar - len(sharps))
        if note.bar >= len(sharps):
            sharps.append(note.sharps)
    sharps += sharps[-1:] * (len(bars) - len(sharps))
    for onset, offset, label in _spans(bars, [key_of(count, minor=False) for count in sharps], clock):
        yield Key(onset, offset, label)


def _spans(bars: Sequence[Bar], labels: Sequence[str], clock: _Clock) -> Iterator[tuple[float, float, str]]:
    """Join bars with one label; those without any are left out."""
    begun = 0
    for i, label in enumerate(labels):
        if i + 1 == len(labels) or labels[i + 1] != label:
            if label:
                yield clock(max(bars[begun].start, Fraction(0))), clock(bars[i].end), label
            begun = i + 1
