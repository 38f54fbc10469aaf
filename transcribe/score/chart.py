"""Chords and beats → a chart to play from: bars, the chords on their beats, sections; pure.

A chord begins on the beat that is nearest to its onset; where two do on the same one, the earlier, which lasted for
less than half of it, is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np

from transcribe.events import Transcription
from transcribe.score.analysis import metre
from transcribe.score.beats import BeatGrid, is_grid
from transcribe.score.harmony import spelled
from transcribe.score.sections import sections_of
from transcribe.theory.chords import NO_CHORD, parse
from transcribe.theory.metres import beats_in_bar

_SILENT = str(NO_CHORD)
# What has more beats is no music to play from.
_MOST_BEATS = 100_000

# The labels of a bar in Harte's syntax, one a beat.
Bar = tuple[str, ...]


@dataclass(frozen=True)
class Section:
    """Bars that are played one after the other; ``name`` is that of all that have the same chords, such as ``A``."""

    name: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True)
class Chart:
    """Chords in bars.

    Attributes
    ----------
    lead_in
        What precedes the first bar line, cut into bars, of which the first may be short; empty where nothing sounds.
    sections
        All bars from the first bar line on; one section without a name where nothing returns.
    n_beats
        Beats of most bars.
    time
        The time signature: beats are taken for quarters.
    key, tempo
        The key of most of it, and beats a minute; None where they aren't known.
    """

    lead_in: tuple[Bar, ...]
    sections: tuple[Section, ...]
    n_beats: int
    time: str
    key: str | None
    tempo: float | None


def _time(transcription: Transcription, n_beats: int) -> str:
    """Name the metre of most bars: as it was found, or that of so many quarters where nothing was."""
    seconds: dict[str, float] = {}
    for section in transcription.metres:
        if beats_in_bar(section.label) == n_beats:
            seconds[section.label] = seconds.get(section.label, 0.0) + section.offset - section.onset
    return max(seconds, key=lambda label: seconds[label]) if seconds else f"{n_beats}/4"


class Places:
    """Where times lie in the bars; beats and bars go on before the first and after the last that were found.

    Parameters
    ----------
    transcription
        One that :func:`has_bars`.
    """

    def __init__(self, transcription: Transcription) -> None:
        t = transcription
        first = set(t.downbeats)
        self.n_beats = metre(t.beats, t.downbeats)
        self.lines = [i for i, beat in enumerate(t.beats) if beat in first]
        self._grid = BeatGrid(t.beats)

    def beat(self, time: float) -> int:
        """Find the number of the beat nearest to a time: 0 is the first that was found, what lies before is less."""
        return int(np.floor(float(self._grid.to_beats(np.array(time))) + 0.5))

    def place(self, time: float) -> tuple[int, int]:
        """Tell the bar, and the beat within it, that are nearest to a time: from 1, but bar 0 for all of a lead-in."""
        beat = self.beat(time)
        bar = int(np.searchsorted(self.lines, beat, side="right"))
        if bar == 0:
            return 0, (beat - self.lines[0]) % self.n_beats + 1
        more, within = divmod(beat - self.lines[-1], self.n_beats)
        return (bar + more, within + 1) if bar == len(self.lines) else (bar, beat - self.lines[bar - 1] + 1)


def has_bars(transcription: Transcription) -> bool:
    """Whether beats are known, and at least two bar lines among them."""
    return is_grid(transcription.beats) and metre(transcription.beats, transcription.downbeats) > 0


def bars_and_beats(transcription: Transcription) -> list[tuple[int, int] | None]:
    """Tell the bar and the beat on which every chord begins (:meth:`Places.place`); None where there are no bars."""
    places = Places(transcription) if has_bars(transcription) else None
    return [None if places is None else places.place(chord.onset) for chord in transcription.chords]


def make_chart(transcription: Transcription) -> Chart | None:
    """Lay the chords out in bars; None where there are no bars, or no chords.

    The chords are spelled by :func:`transcribe.score.harmony.spelled`. Silence after the last chord is left out, and
    a lead-in begins with its first chord.
    """
    t = spelled(transcription)
    if not t.chords or not has_bars(t):
        return None
    places = Places(t)
    spans = [(places.beat(c.onset), places.beat(c.offset), c.label) for c in t.chords if c.label != _SILENT]
    spans = [(start, end, label) for start, end, label in spans if start < end]
    if not spans or spans[-1][1] - spans[0][0] > _MOST_BEATS:
        return None
    lines = _lines(places, spans[0][0], max(end for _, end, _ in spans))
    labels = [_SILENT] * (lines[-1] - lines[0])
    for start, end, label in spans:
        labels[start - lines[0] : end - lines[0]] = [label] * (end - start)
    bars = [(line, tuple(labels[line - lines[0] : after - lines[0]])) for line, after in pairwise(lines)]
    while set(bars[-1][1]) == {_SILENT}:
        bars.pop()
    lead_in = tuple(bar for line, bar in bars if line < places.lines[0])
    rest = tuple(bar for line, bar in bars if line >= places.lines[0])
    return Chart(lead_in, _sections(rest), places.n_beats, _time(t, places.n_beats), t.key, t.tempo)


def _lines(places: Places, first: int, last: int) -> list[int]:
    """List the beats that begin bars, from ``first``, which may lie within one, to the end of the bar of ``last``."""
    lines = list(places.lines)
    while lines[-1] < last:
        lines.append(lines[-1] + places.n_beats)
    before = [*range(lines[0] - places.n_beats, first, -places.n_beats)][::-1]
    return [*([first] if first < (before or lines)[0] else []), *before, *lines]


def _sections(bars: tuple[Bar, ...]) -> tuple[Section, ...]:
    # A sixth or a seventh more, or another bass, doesn't make another section.
    simple = tuple(tuple(map(_simple, bar)) for bar in bars)
    found, start = [], 0
    for name, n_bars in _named(simple):
        found.append(Section(name, bars[start : start + n_bars]))
        start += n_bars
    return tuple(found)


@lru_cache(8)
def _named(simple: tuple[Bar, ...]) -> tuple[tuple[str, int], ...]:
    """Cut bars into sections; who edits notes asks again and again for the same."""
    return tuple(sections_of(simple))


def _simple(label: str) -> str:
    chord = parse(label)
    return label if chord.root is None else f"{chord.root}{'m' if 3 in chord.intervals else ''}"
