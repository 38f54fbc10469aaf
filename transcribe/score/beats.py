"""Notes → beats, downbeats, tempo; pure.

Beats lie where notes begin, and evenly: a search by dynamic programming (Ellis 2007) for several periods that the
onsets repeat at, of which the one is taken whose beats have most to show for themselves. The numbers were chosen on 76
songs of POP909, from their MIDI, and on made-up pieces of six kinds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from transcribe.events import Metre, Note

MIN_BPM, MAX_BPM = 40.0, 220.0
# What speaks for a period: how strong its beats are, the middles between them, the thirds and the quarters; how far it
# is from a listener's favourite tempo, in octaves and their square; how clearly the onsets repeat after it.
PREFERRED_BPM = 105.0
_ON, _HALVES, _THIRDS, _QUARTERS, _FAST, _FAR, _CLEAR = 2.5, 0.1, -1.55, 2.4, 1.33, -6.0, 0.73
_N_PERIODS = 6
# How much stronger than others the first and the last onset are: music begins and ends on a beat more often than not.
_ENDS = 4.0
# Frames of the search in seconds; how dear uneven beats are.
_STEP, _TIGHTNESS = 0.02, 250.0
# The period is chosen on so much of the music.
_CHOSEN_ON = 180.0
# Fewer onsets than this say nothing about a tempo; and nobody plays for longer, in seconds.
_MIN_ONSETS, _LONGEST = 8, 86_400.0
METRES = (4, 3)
# What it counts that the first note begins a bar, and that a bar has four beats, in standard deviations of the mean.
_BEGUN, _FOUR = 4.0, 1.5
# So many beats at the least, that stray from even ones by so little (in seconds, root mean square and the worst), are
# even; a tempo is a whole number of beats a minute if that moves no beat by more.
_EVEN_BEATS, _EVEN, _EVEN_WORST, _WHOLE = 16, 0.012, 0.045, 0.004
# Beats of 6 to 600 a minute, in seconds.
MIN_GAP, MAX_GAP = 0.1, 10.0


@dataclass(frozen=True)
class Beats:
    """Times of the ``beats`` and of the ``downbeats`` among them, in seconds; ``metre``: beats in most bars, or 0.

    ``confidence`` (0-1) is the probability that a beat is right, on the average; ``confidences`` are those of every
    beat, or empty where they aren't known. ``metres`` are those of the sections.
    """

    beats: tuple[float, ...] = ()
    downbeats: tuple[float, ...] = ()
    metre: int = 0
    confidence: float = 0.0
    confidences: tuple[float, ...] = ()
    metres: tuple[Metre, ...] = ()

    @property
    def tempo(self) -> float | None:
        """Beats a minute, None for fewer than two."""
        return 60 / float(np.median(np.diff(self.beats))) if len(self.beats) > 1 else None


class BeatGrid:
    """Seconds ↔ beats, numbered from 0: evenly between two beats, and at the nearest ones' tempo outside of them.

    Parameters
    ----------
    beats
        Seconds, as :func:`is_grid` wants them.
    """

    def __init__(self, beats: Sequence[float]) -> None:
        inner = np.array(beats, float)
        # So far away that interpolation leads to every time there is.
        far = 1e6
        self._numbers = np.concatenate([[-far], np.arange(len(inner)), [len(inner) - 1 + far]])
        self._seconds = np.concatenate(
            [[inner[0] - far * (inner[1] - inner[0])], inner, [inner[-1] + far * (inner[-1] - inner[-2])]]
        )

    def to_beats(self, seconds: np.ndarray) -> np.ndarray:
        """Convert seconds to beats; as many come back."""
        return np.asarray(np.interp(seconds, self._seconds, self._numbers))

    def to_seconds(self, beats: np.ndarray) -> np.ndarray:
        """Convert beats to seconds; as many come back."""
        return np.asarray(np.interp(beats, self._numbers, self._seconds))


def is_grid(beats: Sequence[float]) -> bool:
    """Whether beats can carry notes: two at least, in order, 0.1 to 10 s apart."""
    gaps = np.diff(np.array(beats, float))
    return len(gaps) > 0 and bool(gaps.min() >= MIN_GAP and gaps.max() <= MAX_GAP)


def steadied(beats: Sequence[float]) -> np.ndarray:
    """Put beats that are evenly spaced, but for what hands and frames stray, exactly even; (n,) seconds.

    Stretches in which the tempo moves stay as they are. A tempo that may be a whole number of beats a minute is one.
    """
    times = np.array(beats, float)
    first = 0
    while first + _EVEN_BEATS <= len(times):
        n_beats = _n_even(times[first:])
        if n_beats:
            start, slope = _line(times[first : first + n_beats])
            whole = 60 / max(1, round(60 / slope))
            if abs(whole - slope) * n_beats / 2 < _WHOLE:
                start, slope = start + (slope - whole) * (n_beats - 1) / 2, whole
            times[first : first + n_beats] = start + slope * np.arange(n_beats)
        first += n_beats or 1
    return times


def _n_even(times: np.ndarray) -> int:
    """Count the beats from the first one on that are even; 0 where they are too few."""
    if not _is_even(times[:_EVEN_BEATS]):
        return 0
    good, bad = _EVEN_BEATS, 2 * _EVEN_BEATS
    while bad <= len(times) and _is_even(times[:bad]):
        good, bad = bad, 2 * bad
    bad = min(bad, len(times) + 1)
    while bad - good > 1:
        middle = (good + bad) // 2
        good, bad = (middle, bad) if _is_even(times[:middle]) else (good, middle)
    return good


def _is_even(times: np.ndarray) -> bool:
    start, slope = _line(times)
    off = times - start - slope * np.arange(len(times))
    return bool(off @ off < len(times) * _EVEN**2 and np.abs(off).max() < _EVEN_WORST)


def _line(times: np.ndarray) -> tuple[float, float]:
    """Fit a line by least squares: its first value, and its slope."""
    number = np.arange(len(times)) - (len(times) - 1) / 2
    slope = float(number @ times / (number @ number))
    return float(times.mean()) + slope * float(number[0]), slope


def find_beats(notes: Sequence[Note], tempo: float | None = None) -> Beats:
    """Find the beats of notes.

    Parameters
    ----------
    notes
        Ordered by onset.
    tempo
        Beats a minute, where they are known.

    Returns
    -------
    Beats
        No beats for fewer than eight notes, nor for more than a day of them.

    References
    ----------
    Ellis, "Beat tracking by dynamic programming", Journal of New Music Research 2007.
    """
    if len(notes) < _MIN_ONSETS or notes[-1].onset - notes[0].onset > _LONGEST:
        return Beats()
    start = notes[0].onset
    strength = onset_strength(notes, start)
    if tempo is None:
        begin = strength[: int(_CHOSEN_ON / _STEP)]
        periods, clarity = _periods(begin)
        tracks = _track(begin, periods)
        octaves = np.log2(60 / (periods * _STEP) / PREFERRED_BPM)
        worth = [_felt(begin, track) for track in tracks] + _FAST * octaves + _FAR * octaves**2
        worth += _CLEAR * np.log(np.maximum(clarity, 1e-3))
        period = periods[int(np.argmax(worth))]
    else:
        period = 60 / tempo / _STEP
    (frames,) = _track(strength, np.array([period]))
    times = start + _refined(strength, frames) * _STEP
    on, between = _strength_at(strength, frames).mean(), _strength_at(strength, (frames[1:] + frames[:-1]) / 2).mean()
    confidence = float(np.clip((on - between) / max(on + between, 1e-9), 0, 1)) if len(frames) > 2 else 0.0
    metre, first = _bars(notes, times)
    beats = tuple(round(float(max(0.0, time)), 4) for time in times)
    return Beats(beats, beats[first::metre] if metre else (), metre, round(confidence, 3))


def onset_strength(notes: Sequence[Note], start: float = 0.0) -> np.ndarray:
    """How strongly notes begin, in frames of 20 ms from ``start`` on, of standard deviation 1.

    Loud notes, long ones, low ones, and several together are strong.
    """
    onsets = np.array([note.onset for note in notes]) - start
    lengths = np.array([min(note.offset - note.onset, 1.0) for note in notes])
    weight = np.array([(note.velocity / 127) ** 2 * (1.5 if note.pitch < 52 else 1.0) for note in notes]) * (
        0.5 + lengths
    )
    ends = [np.abs(onsets - onsets[0]) < _STEP, np.abs(onsets - np.max(onsets)) < _STEP]
    weight[ends[0] | ends[1]] *= _ENDS
    fine = np.zeros(2 * (int(np.max(onsets) / _STEP) + 50), np.float32)
    np.add.at(fine, np.round(2 * onsets / _STEP).astype(int), weight)
    smooth = np.convolve(np.sqrt(fine), np.exp(-0.5 * (np.arange(-6, 7) / 2.0) ** 2), "same")
    strength = smooth[::2]
    return np.asarray(strength / max(float(strength.std()), 1e-9))


def _periods(strength: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find periods, in frames, that the strength repeats at, and how clearly: 1 for the clearest."""
    centred = strength - strength.mean()
    size = 1 << (2 * len(centred)).bit_length()
    correlation = np.fft.irfft(np.abs(np.fft.rfft(centred, size)) ** 2)
    lags = np.arange(int(60 / MAX_BPM / _STEP), int(60 / MIN_BPM / _STEP) + 1)
    # A beat repeats after two and after four of its kind as well.
    clear = correlation[lags] + 0.5 * _highest(correlation, 2 * lags, 1) + 0.25 * _highest(correlation, 4 * lags, 2)
    clear = clear * np.exp(-0.5 * np.log2(60 / (lags * _STEP) / PREFERRED_BPM) ** 2)
    inner = np.arange(1, len(lags) - 1)
    peaks = inner[(clear[inner] >= clear[inner - 1]) & (clear[inner] > clear[inner + 1])]
    if not len(peaks):
        peaks = np.array([int(np.argmax(clear))])
    peaks = peaks[np.argsort(-clear[peaks], kind="stable")][:_N_PERIODS]
    fractions = []
    for peak in peaks:
        before, at, after = clear[max(0, peak - 1)], clear[peak], clear[min(len(clear) - 1, peak + 1)]
        curvature = before - 2 * at + after
        fractions.append(float(np.clip(0.5 * (before - after) / curvature, -0.5, 0.5)) if curvature < 0 else 0.0)
    return lags[peaks] + np.array(fractions), clear[peaks] / max(float(np.max(clear[peaks])), 1e-9)


def _highest(values: np.ndarray, centres: np.ndarray, reach: int) -> np.ndarray:
    around = np.minimum(centres[:, None] + np.arange(-reach, reach + 1), len(values) - 1)
    return np.asarray(values[around].max(1))


def _track(strength: np.ndarray, periods: np.ndarray) -> list[np.ndarray]:
    """Find the frames of the beats for every period: strong, and so far apart."""
    n_frames, n_periods = len(strength), len(periods)
    longest = int(np.ceil(2 * periods.max()))
    back = -np.arange(1, longest + 1)
    ratios = -back[None, :] / periods[:, None]
    cost = np.where((ratios >= 0.5) & (ratios <= 2), -_TIGHTNESS * np.log(ratios) ** 2, -np.inf)
    # Frames before the first hold nothing; the newest is last.
    score = np.full((n_periods, longest + n_frames), -np.inf, np.float32)
    before = np.zeros((n_periods, n_frames), np.int32)
    turned = cost[:, None, ::-1]
    earlier = sliding_window_view(score, longest, axis=1)  # it sees what is written to the scores
    # No beat follows another sooner than half a period: so many frames don't depend on each other.
    n_at_once = int(np.ceil(periods.min() / 2))
    for first in range(0, n_frames, n_at_once):
        last = min(first + n_at_once, n_frames)
        sums = turned + earlier[:, first:last]
        best = sums.argmax(2)
        gain = np.take_along_axis(sums, best[..., None], 2)[..., 0]
        linked = gain > 0
        score[:, longest + first : longest + last] = strength[first:last] + np.where(linked, gain, 0)
        before[:, first:last] = np.where(linked, np.arange(first, last) - longest + best, -1)
    tracks = []
    for row, period in enumerate(periods):
        last = n_frames - 1 - int(np.argmax(score[row, longest:][::-1][: int(2 * period) + 1]))
        frames = [last]
        while before[row, frames[-1]] >= 0:
            frames.append(before[row, frames[-1]])
        tracks.append(np.array(frames[::-1]))
    return tracks


def _felt(strength: np.ndarray, track: np.ndarray) -> float:
    """Say how much the strength speaks for a track of beats."""
    starts, gaps = track[:-1], np.diff(track)
    parts = ((_ON, (0.0,)), (_HALVES, (0.5,)), (_THIRDS, (1 / 3, 2 / 3)), (_QUARTERS, (0.25, 0.75)))
    return float(
        sum(weight * np.mean([_strength_at(strength, starts + gaps * x).mean() for x in at]) for weight, at in parts)
    )


def _strength_at(strength: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """Take the greatest strength within a frame of each, (n,)."""
    around = np.round(frames).astype(int)[:, None] + np.arange(-1, 2)
    return np.asarray(strength[np.clip(around, 0, len(strength) - 1)].max(1)) if len(frames) else np.zeros(1)


def _refined(strength: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """Move each beat to the middle of the strength within a frame of it."""
    around = frames[:, None] + np.arange(-1, 2)
    weight = strength[np.clip(around, 0, len(strength) - 1)]
    total = weight.sum(1)
    return np.asarray(np.where(total > 1e-6, (weight * around).sum(1) / np.maximum(total, 1e-6), frames))


def _bars(notes: Sequence[Note], beats: np.ndarray) -> tuple[int, int]:
    """Choose how many beats a bar has, and the first that begins one: (metre, index); (0, 0) where it isn't clear.

    Bars begin with low and long notes, and with notes that weren't there before: a new harmony.
    """
    if len(beats) < 4 * max(METRES):
        return 0, 0
    accent = np.zeros(len(beats))
    classes = np.zeros((len(beats), 12))
    gaps = np.diff(beats)
    tolerance = 0.25 * float(np.median(gaps))
    for note in notes:
        nearest = _nearest(beats, note.onset)
        long = min(note.offset - note.onset, 2.0)
        if abs(beats[nearest] - note.onset) < tolerance:
            accent[nearest] += (note.velocity / 127) ** 2 * long * (2.0 if note.pitch < 52 else 0.5)
        classes[nearest, note.pitch % 12] += long
    norms = np.linalg.norm(classes, axis=1)
    turn = np.zeros(len(beats))
    for i in range(2, len(beats) - 1):
        old, new = classes[i - 2 : i].sum(0), classes[i : i + 2].sum(0)
        if norms[i - 2 : i].any() and norms[i : i + 2].any():
            turn[i] = 1 - float(old @ new) / float(np.linalg.norm(old) * np.linalg.norm(new))
    felt = accent / max(float(accent.std()), 1e-9) + turn / max(float(turn.std()), 1e-9)
    felt -= felt.mean()
    # The first note may lie before the first beat that was found.
    begun = round(float(BeatGrid(beats.tolist()).to_beats(np.array(notes[0].onset))))
    found = []
    for metre in METRES:
        for first in range(metre):
            on = felt[first::metre]
            prior = _BEGUN * (first == begun % metre) + _FOUR * (metre == 4)
            found.append((float(on.mean() * np.sqrt(len(on))) + prior, metre, first))
    worth, metre, first = max(found)
    return (metre, first) if worth > 1.0 else (0, 0)


def _nearest(values: np.ndarray, value: float) -> int:
    i = int(np.searchsorted(values, value))
    if i == 0 or (i < len(values) and values[i] - value < value - values[i - 1]):
        return i
    return i - 1
