"""Music made up by rule for two hands, whose score is known: stride, broken and held chords, basses, tunes, thirds.

Annotated piano music has little of dances, songs and exercises; hands lie there where a textbook has them.
"""

from __future__ import annotations

import numpy as np

from train.score.corpus import TICKS, UNSPELLED, Performed
from transcribe.score.features import Bars

# Beats a bar, whether they divide in three, beats a minute.
_METRES = ((4, False, 105), (3, False, 120), (2, False, 92), (2, True, 70), (4, False, 80), (3, True, 60))
_SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10))
# Rhythms of a tune, in parts of two beats, by how many parts a beat has.
_RHYTHMS = {
    2: ((2, 2), (1, 1, 2), (1, 2, 1), (3, 1), (4,), (1, 1, 1, 1), (2, 1, 1)),
    4: ((1, 2, 1, 2, 2), (2, 2, 1, 2, 1), (1,) * 8, (4, 2, 2), (3, 1, 4), (2, 1, 1, 2, 2), (4, 3, 1), (1, 2, 1, 4)),
    3: ((3, 3), (2, 1, 2, 1), (1,) * 6, (3, 2, 1), (6,), (2, 1, 3), (1, 1, 1, 3)),
}
# A note as it is written: place and length in ticks of a beat, pitch, staff.
_Note = tuple[int, int, int, int]


class _Style:
    """What stays the same throughout a piece."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.n_beats, self.triple, bpm = _METRES[rng.integers(len(_METRES))]
        self.bpm = float(np.clip(bpm * np.exp(rng.normal(0, 0.25)), 45, 200))
        self.key, self.scale = int(rng.integers(12)), _SCALES[rng.integers(2)]
        self.chords = [0, *rng.choice([0, 3, 4, 5, 1], int(rng.choice([1, 3, 7]))).tolist()]
        self.parts = 3 if self.triple else int(rng.choice([2, 4]))

    def pitch(self, degree: int, near: float) -> int:
        """Name a degree of the scale in the octave nearest to a pitch."""
        octave, step = divmod(degree, 7)
        pitch = self.key + self.scale[step] + 12 * octave
        return int(pitch + 12 * round((near - pitch) / 12))


def invent(rng: np.random.Generator, n_bars: int = 28) -> Performed:
    """Make up a piece, and play it."""
    style = _Style(rng)
    kind, thick = int(rng.integers(6)), int(rng.integers(4))
    around, melody = float(rng.integers(66, 80)), 0
    low = float(rng.integers(36, 50))
    written: list[_Note] = []
    bar_ticks = style.n_beats * TICKS
    for bar in range(n_bars):
        root, start = int(style.chords[bar % len(style.chords)]), bar * bar_ticks
        if bar % 8 == 0 and rng.random() < 0.3:
            kind = int(rng.integers(6))
        written += [(start + place, length, pitch, 2) for place, length, pitch in _left(style, kind, root, low)]
        place = 0
        while place < bar_ticks:
            rhythms = _RHYTHMS[style.parts]
            for parts in rhythms[rng.integers(len(rhythms))]:
                length = min(parts * TICKS // style.parts, bar_ticks - place)
                if length <= 0:
                    break
                if rng.random() > 0.06:
                    melody = int(np.clip(melody + rng.integers(-2, 3), -6, 6))
                    degree = root + melody
                    pitch = style.pitch(degree, around + 1.7 * melody)
                    written.append((start + place, length, pitch, 1))
                    if thick == 1:
                        written.append((start + place, length, pitch - 12, 1))
                    elif thick == 2 and rng.random() < 0.7:
                        written.append((start + place, length, style.pitch(degree - 2, pitch - 4), 1))
                    elif thick == 3 and place % TICKS == 0:
                        written += [(start + place, length, style.pitch(degree - k, pitch - 2 * k), 1) for k in (2, 4)]
                place += length
    return _performed(style, written, n_bars)


def _left(style: _Style, kind: int, root: int, low: float) -> list[tuple[int, int, int]]:
    """Make a bar of the left hand: place, length, pitch."""
    n, rng = style.n_beats, style.rng
    bass, triad = style.pitch(root, low), [style.pitch(root + k, low + 15) for k in (0, 2, 4)]
    half = TICKS // style.parts * (style.parts - style.parts // 2) if style.triple else TICKS // 2
    found: list[tuple[int, int, int]] = []
    if kind == 0:  # a bass on the beat, a chord after it
        for beat in range(n):
            own = bass if beat % 2 == 0 else style.pitch(root + 4, low)
            found.append((beat * TICKS, half, own))
            if low > 40:
                found.append((beat * TICKS, half, own - 12))
            found += [(beat * TICKS + half, TICKS - half, pitch) for pitch in triad]
    elif kind == 1:  # a bass on the first beat, chords on the others
        found.append((0, TICKS, bass))
        found += [(beat * TICKS, TICKS, pitch) for beat in range(1, n) for pitch in triad]
    elif kind == 2:  # broken chords
        parts = 3 if style.triple else int(rng.choice([2, 4]))
        order = [(0, 4, 2, 4), (0, 2, 4, 2), (0, 2, 4, 7), (0, 4, 7, 9)][rng.integers(4)]
        for i in range(n * parts):
            found.append(
                (i * TICKS // parts, TICKS // parts, style.pitch(root + order[i % 4], low + order[i % 4] * 1.7))
            )
    elif kind == 3:  # held chords
        found += [(0, n * TICKS, pitch) for pitch in (bass, *triad)]
    elif kind == 4:  # single notes
        found += [(beat * TICKS, TICKS, style.pitch(root + 2 * (beat % 3), low + 3 * beat)) for beat in range(n)]
    else:  # a hymn's two lower voices
        for beat in range(n):
            found += [
                (beat * TICKS, TICKS, style.pitch(root + 2 * (beat % 2), low + 4)),
                (beat * TICKS, TICKS, triad[0]),
            ]
    return found


def _performed(style: _Style, written: list[_Note], n_bars: int) -> Performed:
    """Play what is written: the tempo drifts, notes stray, and are let go early."""
    rng = style.rng
    unique = {(place, pitch): (place, length, pitch, staff) for place, length, pitch, staff in written}
    notes = np.array(sorted(unique.values(), key=lambda note: (note[0], note[2])))
    n = style.n_beats * n_bars + 1
    drift = np.cumsum(rng.normal(0, rng.choice([0.002, 0.006, 0.012]), n))
    beats = 0.5 + np.concatenate([[0.0], np.cumsum(60 / style.bpm * np.exp(drift - drift.mean()))])[:n]
    numbers = np.arange(n)
    onset = np.interp(notes[:, 0] / TICKS, numbers, beats) + rng.normal(0, rng.uniform(0, 0.02), len(notes))
    held = rng.uniform(0.5, 1.0, 2)[notes[:, 3] - 1] * np.exp(rng.normal(0, 0.08, len(notes)))
    end = np.interp((notes[:, 0] + held * notes[:, 1]) / TICKS, numbers, beats)
    loud = np.where(notes[:, 3] == 1, 76, 62) + rng.normal(0, 5, len(notes)) + 6 * (notes[:, 0] % TICKS == 0)
    rows = np.stack([onset, np.maximum(end, onset + 0.03), notes[:, 2], np.clip(loud, 10, 120)], 1)
    order = np.lexsort((rows[:, 2], rows[:, 0]))
    quarters = np.full(n, 1.5 if style.triple else 1.0)
    count = np.full(n, style.n_beats)
    bars = Bars(beats, numbers % style.n_beats, count, quarters, np.full(n, style.triple))
    length = (notes[:, 1] * quarters[0]).astype(int)
    unknown = np.full(len(rows), UNSPELLED)
    return Performed(
        "invented", "train", rows[order], notes[order, 0], length[order], notes[order, 3], bars, unknown, 0
    )
