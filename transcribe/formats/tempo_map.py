"""Beats → the tempo and the metres of a MIDI file: seconds → ticks, 960 a quarter.

Beats are quarters, or what their metre says (a beat of 6/8 is a dotted quarter). The tempo changes where beats move by
more than half a tick from where an even tempo would put them. What precedes the first beat is a shorter or a longer
first bar, at the tempo of the beats that follow; its length is a simple fraction of a whole note. Notes keep their
times: ticks are as fine as that allows, 0.5 ms at 120 quarters a minute, and at most 1 ms off from 31 a minute on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction

import numpy as np

from transcribe.events import Transcription
from transcribe.score.beats import is_grid
from transcribe.theory.metres import beat_length, parse_metre

TICKS_PER_QUARTER = 960
# Where there are no beats, in seconds: 120 a minute.
QUARTER = 0.5
# A file holds so many ticks at the most, and a quarter so many microseconds. Without beats ticks may be coarser, so
# that they are no more than pretty_midi reads.
MAX_TICKS, _MAX_TEMPO, _READABLE_TICKS = 2**31, 2**24 - 1, 9_800_000
# A beat may lie so far from where the tempo puts it, in ticks: what lies on a beat lies on its tick.
_TOLERANCE = 0.45
# Where quarters are longer than this, in seconds, ticks are too coarse: beats of no metre count for several quarters.
_LONGEST_QUARTER, _WANTED_QUARTER = 1.92, 1.0
# The first bar is a whole number of the first of these notes that fits to a millisecond, or within so many seconds; or
# else of the last.
_LEAD_UNITS, _LEAD_FITS = (4, 8, 16, 32, 64), (0.001, 0.010)
# A first bar that would be shorter than so many quarters is put together with the next one.
_SHORTEST_LEAD = Fraction(1, 2)
_MOST_UNITS = 255


class TempoMap:
    """Seconds → ticks, and the tempo and the metre that lead from one to the other.

    Parameters
    ----------
    transcription
        Where it has no beats that can carry notes, there are 120 quarters a minute and no metre; fewer in hours.
    end
        Seconds that the map leads to at the least.

    Attributes
    ----------
    tempi
        Tick and microseconds a quarter, where the tempo changes, from tick 0 on.
    metres
        Tick, numerator and denominator, where the metre changes.
    """

    def __init__(self, transcription: Transcription, end: float) -> None:
        self.metres: list[tuple[int, int, int]] = []
        self.tempi: list[tuple[int, int]] = []
        if not self._fits(transcription.beats, end):
            quarter = min(max(QUARTER, end * TICKS_PER_QUARTER / _READABLE_TICKS), _LONGEST_QUARTER)
            self.tempi = [(0, round(quarter * 1e6))]
            self._lay()
            return
        beats = np.array(transcription.beats)
        bars = _bars(transcription)
        lengths = _beat_lengths(len(beats), bars, beats)
        lead = Fraction(float(beats[0]) / float(beats[1] - beats[0])) * lengths[0]
        self.metres, lead_ticks = _metres(bars, lengths, lead, float(beats[1] - beats[0]) / float(lengths[0]))
        ticks = lead_ticks + np.cumsum([0, *(int(length * TICKS_PER_QUARTER) for length in lengths[:-1])])
        self._follow(ticks, beats * 1e6)
        self._lay()

    @staticmethod
    def _fits(beats: Sequence[float], end: float) -> bool:
        """Whether beats can be written: even a file of the fastest of them has no more ticks than fit."""
        return is_grid(beats) and max(end, beats[0]) / min(np.diff(beats)) * 4 * TICKS_PER_QUARTER < MAX_TICKS

    def _follow(self, ticks: np.ndarray, microseconds: np.ndarray) -> None:
        """Lay the longest stretches of one tempo each that pass no beat by more than the tolerance."""
        self.tempi = []
        quarters = ticks / TICKS_PER_QUARTER
        end, tempo = _even_stretch(quarters, microseconds, 0, float(microseconds[0]))
        if end == len(ticks):  # one tempo: what the first bar's length doesn't tell is left to the beats
            self.tempi = [(0, tempo)]
            return
        time, first = 0.0, 0
        if ticks[0] > 0:
            self.tempi.append((0, _tempo(microseconds[0] / quarters[0])))
            time = self.tempi[0][1] * quarters[0]
        while first < len(ticks) - 1:
            end, tempo = _even_stretch(quarters, microseconds, first, time)
            last = end - 1
            if not self.tempi or self.tempi[-1][1] != tempo:
                self.tempi.append((int(ticks[first]), tempo))
            time += tempo * (quarters[last] - quarters[first])
            first = last

    def _lay(self) -> None:
        """See how many microseconds it takes to where the tempo changes, and far beyond."""
        starts = np.array([tick for tick, _ in self.tempi])
        tempi = np.array([tempo for _, tempo in self.tempi], float) / TICKS_PER_QUARTER
        begun = np.concatenate([[0.0], np.cumsum(np.diff(starts) * tempi[:-1])])
        self._ticks = np.append(starts, MAX_TICKS).astype(float)
        self._microseconds = np.append(begun, begun[-1] + (MAX_TICKS - starts[-1]) * tempi[-1])

    @property
    def tick(self) -> float:
        """Seconds of the longest tick."""
        return max(tempo for _, tempo in self.tempi) / 1e6 / TICKS_PER_QUARTER

    def ticks(self, times: Iterable[float]) -> np.ndarray:
        """Convert seconds, (n,), to ticks."""
        microseconds = np.fromiter(times, float) * 1e6
        return np.asarray(np.round(np.interp(microseconds, self._microseconds, self._ticks)).astype(np.int64))


def _tempo(microseconds: float) -> int:
    return min(max(1, round(microseconds)), _MAX_TEMPO)


def _even_stretch(quarters: np.ndarray, microseconds: np.ndarray, first: int, time: float) -> tuple[int, int]:
    """Find the longest stretch of beats from the first on, which lies at ``time``, that one tempo fits.

    Returns
    -------
    int, int
        Its end, and the tempo: whole microseconds a quarter.
    """
    low, high, tempo = 0.0, np.inf, 1
    for beat in range(first + 1, len(quarters)):
        length = quarters[beat] - quarters[first]
        wanted = (microseconds[beat] - time) / length
        tolerance = _TOLERANCE * wanted / TICKS_PER_QUARTER / length
        low, high = max(low, wanted - tolerance), min(high, wanted + tolerance)
        if beat > first + 1 and np.ceil(low) > high:
            return beat, tempo
        tempo = _tempo(min(max(wanted, np.ceil(low)), np.floor(high)))
    return len(quarters), tempo


# A bar: the number of its first beat, and its metre; None where only its beats are known.
_Bar = tuple[int, str | None]


def _bars(t: Transcription) -> list[_Bar]:
    places = np.searchsorted(t.beats, np.array(t.downbeats) - 1e-6).tolist()
    onsets = [metre.onset for metre in t.metres]
    bars = []
    for place in sorted({place for place in places if place < len(t.beats)}):
        section = int(np.searchsorted(onsets, t.beats[place] + 1e-3)) - 1
        bars.append((place, t.metres[max(section, 0)].label if onsets else None))
    return bars


def _beat_lengths(n_beats: int, bars: Sequence[_Bar], beats: np.ndarray) -> list[Fraction]:
    """Say how many quarters each beat has."""
    if not bars:
        longest = float(np.percentile(np.diff(beats), 90))
        length = Fraction(1)
        if longest > _LONGEST_QUARTER:
            length = Fraction(2 ** int(np.ceil(np.log2(longest / _WANTED_QUARTER))))
        return [length] * n_beats
    lengths = [Fraction(1) if label is None else beat_length(label) for _, label in bars]
    owner = np.maximum(np.searchsorted([place for place, _ in bars], np.arange(n_beats), side="right") - 1, 0)
    return [lengths[bar] for bar in owner]


def _metres(
    bars: Sequence[_Bar], lengths: Sequence[Fraction], lead: Fraction, quarter: float
) -> tuple[list[tuple[int, int, int]], int]:
    """Say where the metre changes, and at which tick the first beat lies.

    ``lead`` is how many quarters precede the first beat, ``quarter`` how long each of them is, in seconds.
    """
    signed = [(place, *_signature(bars, i, len(lengths))) for i, (place, _) in enumerate(bars)]
    pick_up = sum(lengths[: bars[0][0]], Fraction(0)) if bars else Fraction(0)
    before = lead + pick_up
    whole = Fraction(4 * signed[0][1], signed[0][2]) if bars else lengths[0]
    n_whole = int(before // whole)
    if n_whole and before - n_whole * whole < _SHORTEST_LEAD:
        n_whole -= 1
    first = _simplest(before - n_whole * whole, quarter)
    origin = int((first + n_whole * whole) * TICKS_PER_QUARTER)
    lead_ticks = max(0, origin - int(pick_up * TICKS_PER_QUARTER))
    origin = lead_ticks + int(pick_up * TICKS_PER_QUARTER)
    found: list[tuple[int, int, int]] = [(0, *_written(first))] if first else []
    if not bars:  # a bar for every beat where they don't begin with the file: no more is known
        return [*found, (int(first * TICKS_PER_QUARTER), *_written(whole))] if first else [], lead_ticks
    if n_whole:
        found.append((int(first * TICKS_PER_QUARTER), *signed[0][1:]))
    tick = origin
    for i, (place, numerator, unit) in enumerate(signed):
        if not found or found[-1][1:] != (numerator, unit):
            found.append((tick, numerator, unit))
        following = signed[i + 1][0] if i + 1 < len(signed) else place
        tick += int(sum(lengths[place:following], Fraction(0)) * TICKS_PER_QUARTER)
    return found, lead_ticks


def _signature(bars: Sequence[_Bar], number: int, n_beats: int) -> tuple[int, int]:
    """Give the numerator and the denominator of a bar: of as many beats as it has; of the last, as the one before."""
    place, label = bars[number]
    if number + 1 < len(bars):
        count = bars[number + 1][0] - place
    elif label is not None:
        return parse_metre(label)
    else:
        count = place - bars[number - 1][0] if number else n_beats - place
    length = count * (Fraction(1) if label is None else beat_length(label))
    unit = 4 if label is None else parse_metre(label)[1]
    return min(int(length * unit / 4), _MOST_UNITS), unit


def _simplest(quarters: Fraction, quarter: float) -> Fraction:
    """Round a length to the coarsest notes that it nearly is a number of."""
    rounded = [Fraction(round(quarters * unit / 4) * 4, unit) for unit in _LEAD_UNITS]
    off = [abs(float(length - quarters)) * quarter for length in rounded]
    for fit in _LEAD_FITS:
        for length, distance in zip(rounded, off, strict=True):
            if distance <= fit:
                return length
    return rounded[-1]


def _written(quarters: Fraction) -> tuple[int, int]:
    """Write a length as a metre; in quarters at the coarsest."""
    whole = quarters / 4
    unit = max(4, whole.denominator)
    return min(int(whole * unit), _MOST_UNITS), unit
