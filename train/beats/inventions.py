"""Music made up by rule: a progression, an accompaniment, a tune, now and then drums, in any metre.

Annotated music has few bars of five and seven, few simple exercises, and no loops; people play and write all of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from train.beats.corpus import Rhythm

# Beats a bar, whether they divide in three, how usual that is here, and beats a minute: the middle and the spread.
_METRES = (
    (4, False, 0.30, 105, 0.35), (3, False, 0.18, 115, 0.35), (2, False, 0.12, 100, 0.3), (2, True, 0.12, 75, 0.3),
    (5, False, 0.08, 120, 0.3), (7, False, 0.06, 190, 0.25), (3, True, 0.05, 75, 0.25), (4, True, 0.05, 75, 0.25),
    (6, False, 0.04, 120, 0.25),
)  # fmt: skip
_SLOWEST, _FASTEST = 40, 235
_SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10))
# Parts of a beat that tunes and accompaniments move in, and how usual they are.
_DIVISIONS = {False: ((1, 0.3), (2, 0.5), (4, 0.2)), True: ((1, 0.2), (3, 0.7), (6, 0.1))}
_SECONDS = 100.0


@dataclass(frozen=True)
class _Style:
    """What stays the same throughout a piece."""

    n_beats: int
    triple: bool
    key: int
    scale: tuple[int, ...]
    accents: float

    def velocity(self, place: float, rng: np.random.Generator) -> float:
        strength = 1.0 if place == 0 else 0.5 if place == int(place) else 0.0
        return float(np.clip(68 + self.accents * (strength - 0.4) * 40 + rng.normal(0, 4), 20, 120))

    def pitch(self, degree: int, around: int) -> int:
        octave, step = divmod(degree, 7)
        return around + self.key + 12 * octave + self.scale[step]


def invent(rng: np.random.Generator) -> Rhythm:
    """Make up a piece of about a hundred seconds; half are scores, which want a performer."""
    n_beats, triple, _, middle, spread = _METRES[rng.choice(len(_METRES), p=_shares([row[2] for row in _METRES]))]
    bpm = float(np.clip(middle * np.exp(rng.normal(0, spread)), _SLOWEST, _FASTEST))
    style = _Style(n_beats, triple, int(rng.integers(12)), _SCALES[rng.integers(2)], float(rng.uniform(0, 1.2)))
    n_bars = max(4, round(_SECONDS * bpm / 60 / n_beats))
    chords = [int(rng.choice([0, 3, 4, 5, 1])) for _ in range(rng.choice([2, 4, 4, 8]))]
    chords[0] = 0
    left, tunes = _accompaniment(style, rng), [_tune(style, rng) for _ in range(rng.integers(1, 5))]
    same_pitches = rng.random() < 0.4
    rows: list[tuple[float, float, float, float]] = []
    for bar in range(n_bars):
        root = chords[bar % len(chords)]
        for place, degree, length in left:
            rows.append((bar * n_beats + place, length, style.pitch(root + degree, 48), style.velocity(place, rng)))
        for place, degree, length in tunes[(bar // 2) % len(tunes)]:
            stray = 0 if same_pitches else int(rng.integers(-1, 2))
            pitch = style.pitch(root + degree + stray, 72)
            rows.append((bar * n_beats + place, length, pitch, style.velocity(place, rng) + 6))
    notes = np.array(rows, float).reshape(-1, 4)
    drums = _drums(style, n_bars, rng) if rng.random() < 0.25 else np.zeros((0, 3))
    if rng.random() < 0.25:  # a pick-up
        begin = n_beats - rng.integers(1, n_beats) if n_beats > 1 else 0
        notes, drums = notes[notes[:, 0] >= begin], drums[drums[:, 0] >= begin]
    if not triple and rng.random() < 0.12:
        swing = rng.uniform(0.08, 0.17)
        for places in (notes[:, 0], drums[:, 0]):
            half = np.isclose(places % 1, 0.5)
            places[half] += swing
    return _performed(style, bpm, n_bars, notes, drums, rng)


def _performed(
    style: _Style, bpm: float, n_bars: int, notes: np.ndarray, drums: np.ndarray, rng: np.random.Generator
) -> Rhythm:
    """Put beats into seconds: evenly for a performer, who does the rest, or with a drift of the tempo and jitter."""
    score = bool(rng.random() < 0.5)
    n = style.n_beats * n_bars
    drift = np.zeros(n + 1) if score else np.cumsum(rng.normal(0, rng.choice([0.0, 0.002, 0.006, 0.012]), n + 1))
    grid = np.concatenate([[0.0], np.cumsum(60 / bpm * np.exp(drift - drift.mean()))])
    jitter = 0.0 if score else rng.choice([0.0, 0.006, 0.015])

    def at(places: np.ndarray) -> np.ndarray:
        return np.asarray(np.interp(places, np.arange(len(grid)), grid))

    onsets = np.maximum(at(notes[:, 0]) + rng.normal(0, jitter, len(notes)), 0)
    ends = np.maximum(at(notes[:, 0] + notes[:, 1]), onsets + 0.03)
    played = np.stack([onsets, ends, np.clip(notes[:, 2], 22, 107), np.clip(notes[:, 3], 1, 127)], 1)
    strokes = drums.copy()
    strokes[:, 0] = np.maximum(at(drums[:, 0]) + rng.normal(0, jitter / 2, len(drums)), 0)
    first = float(played[:, 0].min(initial=0.0))
    places = np.arange(n)
    kept = grid[:n] >= first - 0.05
    return Rhythm(
        "", "invented", "train", played[np.argsort(played[:, 0], kind="stable")].astype(np.float32), grid[:n][kept],
        (places % style.n_beats == 0)[kept], np.full(n, style.n_beats, np.int8)[kept],
        np.full(n, style.triple, np.int8)[kept], score,
        strokes[np.argsort(strokes[:, 0], kind="stable")].astype(np.float32),
    )  # fmt: skip


def _tune(style: _Style, rng: np.random.Generator) -> list[tuple[float, int, float]]:
    """Make a bar of a tune: places in beats, degrees of the scale above the root, lengths in beats."""
    divisions, shares = zip(*_DIVISIONS[style.triple], strict=True)
    usual = rng.choice(divisions, p=shares)
    found, degree = [], int(rng.integers(0, 5))
    for beat in range(style.n_beats):
        parts = usual if rng.random() < 0.7 else rng.choice(divisions, p=shares)
        for k in range(parts):
            if k and rng.random() < 0.12:
                continue
            degree = int(np.clip(degree + rng.integers(-2, 3), -3, 9))
            found.append((beat + k / parts, degree, rng.uniform(0.6, 1.0) / parts))
    return found


def _accompaniment(style: _Style, rng: np.random.Generator) -> list[tuple[float, int, float]]:
    """Make a bar of an accompaniment: a bass and chords, broken ones, or held ones; sometimes nothing."""
    n, kind = style.n_beats, rng.random()
    bass = [(0.0, -7, n - 0.1)] if rng.random() < 0.75 else []
    if kind < 0.35:
        begin = 1 if bass else 0
        return bass + [(float(beat), degree, 0.7) for beat in range(begin, n) for degree in (0, 2, 4)]
    if kind < 0.65:
        parts = 3 if style.triple else int(rng.choice([1, 2, 2, 4]))
        order = [(0, 4, 2, 4), (0, 2, 4, 2), (0, 2, 4, 7), (4, 2, 0, 2)][rng.integers(4)]
        places = np.arange(n * parts) / parts
        return bass + [(float(place), order[i % 4], 0.9 / parts) for i, place in enumerate(places)]
    if kind < 0.85:
        return bass + [(0.0, degree, n - 0.2) for degree in (0, 2, 4)]
    return bass


def _drums(style: _Style, n_bars: int, rng: np.random.Generator) -> np.ndarray:
    """Make drums: the bass drum where bars begin, the snare on every other beat, cymbals on parts of beats."""
    n, parts = style.n_beats, 3 if style.triple else int(rng.choice([1, 2, 2, 4]))
    bar = [(0.0, 0, 100.0)]
    bar += [(float(beat), 1 if (beat % 2 == 1 or n == 3) else 0, 95.0) for beat in range(1, n) if rng.random() < 0.9]
    bar += [(place, 2, 70.0) for place in (np.arange(n * parts) / parts).tolist() if rng.random() < 0.95]
    rows = [(k * n + place, kind, velocity) for k in range(n_bars) for place, kind, velocity in bar]
    return np.array(rows, float).reshape(-1, 3)


def _shares(weights: list[float]) -> np.ndarray:
    return np.array(weights) / sum(weights)
