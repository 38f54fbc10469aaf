"""Beats that were tapped → the beats of the whole piece, which go on as they were tapped; pure.

Taps say what a beat is: their tempo (the level) and their phase. A stretch of taps are consecutive beats. Within it the
beats are those; outside of it the search of :mod:`transcribe.beats.decoder` goes on, for beats about as long as the
nearest taps. Its steps from tempo to tempo cost by their squares here: hands play freely, but they slip no half beats.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from transcribe.beats.activations import PERIODS
from transcribe.beats.decoder import BeatDecodingConfig, Heard, Search
from transcribe.beats.features import FRAME_RATE
from transcribe.beats.finder import onto_notes
from transcribe.score.beats import MAX_GAP, MIN_GAP

#: A stretch of taps: consecutive beats, in seconds.
Stretch = tuple[float, ...]
# A tap's activation, and that of what lies between two.
_TAPPED, _BETWEEN = 0.999, 0.001
# What lies so near a stretch, in beats, is none but its own.
_BESIDE = 0.45
# Beats that lie so long before the first onset or after the last, in seconds, aren't looked for.
_BESIDE_NOTES = 0.04
# Music is even where so many gaps between onsets differ by less than so much from the usual one; chords are shorter, in
# seconds.
_MOSTLY, _EVENLY, _TOGETHER = 0.9, 0.1, 0.03
# So much even music, in beats, may lie before the first beat, or after the last.
_SPARE = 0.75
# The activation of every onset of even music.
_ANY_ONSET = 0.3
_LOG_PERIODS = np.log2(PERIODS)


@dataclass(frozen=True)
class FollowingConfig:
    """Weights of the search that follows taps, in natural logarithms of probabilities.

    They were chosen by the beats of ``nasap-score-truth``, of which eight were tapped at a third of each piece.

    Attributes
    ----------
    search
        Those of the search as such.
    octaves
        How many octaves beats may be slower or faster than those that were tapped.
    tapped, heard
        What their tempo counts for a second of music, and what the network's counts.
    sudden
        What it costs that the next beat is longer, or shorter, by the square of the logarithm.
    reach
        Seconds after which the tempo of a stretch gives way to that of all stretches.
    spare
        How many beats of music may lie before the first beat, or after the last, at no cost.
    """

    search: BeatDecodingConfig = BeatDecodingConfig(  # noqa: RUF009 (frozen)
        threshold=0.5,
        lowest_peak=0.05,
        floor=-3.0,
        skip=0.5,
        tempo=0.6,
        whole=0.0,
        most_tempo=20.0,
        comfort=0.0,
        change=2.0,
        most_change=30.0,
        edge=20.0,
    )
    octaves: float = 0.4
    tapped: float = 3.0
    heard: float = 0.5
    sudden: float = 8.0
    reach: float = 8.0
    spare: float = 0.0


class _Following(Search):
    """The search, with its own idea of tempi."""

    def __init__(self, heard: Heard, tempo: np.ndarray, period: float, config: FollowingConfig) -> None:
        super().__init__(heard, config.search)
        self.tempo = tempo
        self._sudden = config.sudden
        self._spare = config.spare * period

    def cost_of_change(self, change: np.ndarray) -> np.ndarray:
        """Say what it costs that beats get longer, or shorter, in natural logarithms."""
        return super().cost_of_change(change) + self._sudden * change**2

    def cost_of_edge(self, seconds: np.ndarray) -> np.ndarray:
        """Say what music costs before the first beat, or after the last one, beyond what is spare."""
        return super().cost_of_edge(np.maximum(0.0, seconds - self._spare))


def follow(
    heard: Heard,
    onsets: np.ndarray,
    stretches: Sequence[Stretch],
    config: FollowingConfig = FollowingConfig(),
) -> np.ndarray:
    """Find the beats of a piece of which some were tapped, (n,) seconds.

    Parameters
    ----------
    heard
        What the network heard.
    onsets
        Of all notes, in order, in seconds.
    stretches
        Of two taps or more each, in order; they don't overlap.
    """
    if not len(heard.beat):
        return _grid(np.concatenate([np.array(stretch) for stretch in stretches]))
    beat = heard.beat.astype(np.float32)
    if _is_even(onsets):
        # No rhythm tells beats from the notes between them: what the network guesses adds up note by note, and would
        # outweigh what it costs to slip once.
        beat, config = _of_onsets(beat, onsets), replace(config, heard=0.0, spare=_SPARE)
    for stretch in stretches:
        first, last = _reach(stretch)
        beat[max(0, round(first * FRAME_RATE)) : max(0, round(last * FRAME_RATE))] = _BETWEEN
    for stretch in stretches:
        frames = np.round(np.array(stretch) * FRAME_RATE).astype(int)
        beat[frames[frames < len(beat)]] = _TAPPED
    found = _Following(replace(heard, beat=beat), _tempi(heard, stretches, config), _usual(stretches), config).beats()
    if len(onsets):
        found = found[(found >= onsets[0] - _BESIDE_NOTES) & (found <= onsets[-1] + _BESIDE_NOTES)]
    for stretch in stretches:
        first, last = _reach(stretch)
        found = np.concatenate([found[(found < first) | (found > last)], stretch])
    found = np.sort(found)
    return _grid(onto_notes(found, onsets) if len(onsets) else found)


def _is_even(onsets: np.ndarray) -> bool:
    """Say whether notes follow each other evenly throughout, chords counted once."""
    gaps = np.diff(onsets)
    gaps = gaps[gaps > _TOGETHER]
    return len(gaps) > 0 and float(np.mean(np.abs(gaps / np.median(gaps) - 1) < _EVENLY)) >= _MOSTLY


def _of_onsets(beat: np.ndarray, onsets: np.ndarray) -> np.ndarray:
    """Make an activation that says of beats only that they lie on notes."""
    even = np.full_like(beat, _BETWEEN)
    frames = np.round(onsets * FRAME_RATE).astype(int)
    even[frames[frames < len(beat)]] = _ANY_ONSET
    return even


def _reach(stretch: Stretch) -> tuple[float, float]:
    """Say from when to when a stretch tells what is a beat and what isn't."""
    return (
        stretch[0] - _BESIDE * (stretch[1] - stretch[0]),
        stretch[-1] + _BESIDE * (stretch[-1] - stretch[-2]),
    )


def _tempi(heard: Heard, stretches: Sequence[Stretch], config: FollowingConfig) -> np.ndarray:
    """Say what beats of each of the ``PERIODS`` are worth, for a second of music, (n, N_TEMPI)."""
    times = np.arange(len(heard.tempo)) * (len(heard.beat) / max(1, len(heard.tempo)) / FRAME_RATE)
    periods = np.array([float(np.log2(np.median(np.diff(stretch)))) for stretch in stretches])
    away = np.array([np.maximum(0, np.maximum(stretch[0] - times, times - stretch[-1])) for stretch in stretches])
    near = away.argmin(0)
    usual = float(np.log2(_usual(stretches)))
    tapped = usual + np.exp(-away.min(0) / config.reach) * (periods[near] - usual)
    worth = config.heard * np.log(np.maximum(heard.tempo.astype(np.float32), 1e-2))
    worth -= config.tapped * 0.5 * ((_LOG_PERIODS - tapped[:, None]) / config.octaves) ** 2
    worth -= worth.max(1, keepdims=True)
    return np.asarray(config.search.tempo * worth, np.float32)


def _usual(stretches: Sequence[Stretch]) -> float:
    """Say how long tapped beats usually are, in seconds."""
    periods = sorted(float(np.median(np.diff(stretch))) for stretch in stretches)
    # Taps in a slowing say little of the rest, and that is where most are needed: of two the faster is usual.
    return periods[(len(periods) - 1) // 2]


def _grid(beats: np.ndarray) -> np.ndarray:
    """Leave out beats that lie too near to the one before, and fill what is too wide for one."""
    kept: list[float] = []
    for beat in np.round(beats, 6).tolist():
        if kept and beat - kept[-1] < MIN_GAP:
            continue
        if kept and beat - kept[-1] > MAX_GAP:
            n_parts = int((beat - kept[-1]) / MAX_GAP) + 1
            kept += np.linspace(kept[-1], beat, n_parts + 1)[1:-1].tolist()
        kept.append(beat)
    return np.array(kept)


def without(stretches: Sequence[Stretch], first: float, last: float) -> tuple[Stretch, ...]:
    """Cut what lies from one time to another out of stretches; what is left of each has two taps at least."""
    left = []
    for stretch in stretches:
        for part in (tuple(t for t in stretch if t < first), tuple(t for t in stretch if t > last)):
            if len(part) > 1:
                left.append(part)
    return tuple(sorted(left))


def bar_lengths(stretches: Sequence[Stretch], downbeats: Sequence[float]) -> tuple[int, ...]:
    """Count the beats of bars of which both lines were tapped, all lengths once."""
    found = set()
    for stretch in stretches:
        places = [
            int(np.abs(np.array(stretch) - time).argmin()) for time in sorted(downbeats) if _within(stretch, time)
        ]
        found |= {after - before for before, after in pairwise(places) if after > before}
    return tuple(sorted(found))


def _within(stretch: Stretch, time: float) -> bool:
    return stretch[0] - MIN_GAP / 2 <= time <= stretch[-1] + MIN_GAP / 2
