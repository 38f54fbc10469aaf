"""A simulated performer, and what a transcriber makes of a performance: notes and beats in, notes and beats out.

``play`` gives a score tempo, phrasing, hands and touch; ``imitate`` adds the faults of a transcriber; ``stretch``
and ``cut`` make an excerpt of either. All are pure functions of their arguments and the generator.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np

from train.beats.corpus import HEARD, Rhythm

# Shortest and longest beat of a performance, in seconds.
_SHORTEST, _LONGEST = 0.25, 2.6
# With no more notes than this, drums are all that tells beats.
_FEW = 20


def excerpt(piece: Rhythm, seconds: float, rng: np.random.Generator) -> Rhythm:
    """Draw an excerpt of ``seconds`` at another tempo, played where it is a score, as a transcriber hears it."""
    stretch = float(np.exp(np.clip(rng.normal(0, 0.2), np.log(0.6), np.log(1.6))))
    if piece.score:
        # Twice as much, so that enough is left however fast it is played.
        part = cut(piece, _start(piece, 1.6 * seconds, rng), 1.6 * seconds)
        part = play(part, rng, stretch)
        start = min(0.0, seconds - _end(part)) if rng.random() < 0.3 else 0.0
        return imitate(_shifted(cut(part, max(0.0, -start), seconds), rng.uniform(0, 0.5)), rng)
    part = cut(piece, _start(piece, seconds / stretch, rng), seconds / stretch)
    part = _moved(part, lambda times: times * stretch)
    if len(part.drums) and rng.random() < 0.5:
        part.drums = part.drums[:0] if len(part.notes) > _FEW else part.drums
    return imitate(part, rng, faulty=piece.source != HEARD)


def _end(piece: Rhythm) -> float:
    return float(max(piece.notes[:, 0].max(initial=0), piece.drums[:, 0].max(initial=0)))


def _start(piece: Rhythm, seconds: float, rng: np.random.Generator) -> float:
    """Where an excerpt begins: often where the piece does, sometimes so that it ends with it."""
    latest = _end(piece) - seconds + 2
    if latest <= 0:
        return -rng.uniform(0, 1) if rng.random() < 0.7 else 0.0
    kind = rng.random()
    return float(-rng.uniform(0, 2) if kind < 0.1 else latest if kind < 0.15 else rng.uniform(0, latest))


def cut(piece: Rhythm, start: float, seconds: float) -> Rhythm:
    """Cut ``seconds`` from ``start``, which becomes 0."""
    notes = piece.notes[(piece.notes[:, 0] >= start) & (piece.notes[:, 0] < start + seconds)].copy()
    notes[:, :2] -= start
    drums = piece.drums[(piece.drums[:, 0] >= start) & (piece.drums[:, 0] < start + seconds)].copy()
    drums[:, 0] -= start
    inside = (piece.beats >= start - 4) & (piece.beats < start + seconds + 4)
    return Rhythm(
        piece.name, piece.source, piece.split, notes, piece.beats[inside] - start, piece.downbeat[inside],
        piece.metre[inside], piece.triple[inside], piece.score, drums,
    )  # fmt: skip


def _shifted(piece: Rhythm, seconds: float) -> Rhythm:
    return _moved(piece, lambda times: times + seconds)


def _moved(piece: Rhythm, clock: Callable[[np.ndarray], np.ndarray]) -> Rhythm:
    """Put everything at other times."""
    notes, drums = piece.notes.copy(), piece.drums.copy()
    notes[:, 0], notes[:, 1] = clock(notes[:, 0]), clock(notes[:, 1])
    drums[:, 0] = clock(drums[:, 0])
    return Rhythm(
        piece.name, piece.source, piece.split, notes, clock(piece.beats), piece.downbeat, piece.metre, piece.triple,
        piece.score, drums,
    )  # fmt: skip


def tempo_curve(downbeat: np.ndarray, freedom: float, rng: np.random.Generator) -> np.ndarray:
    """Logarithms by which the beats of a performance are longer than those of the score, (n,).

    Parameters
    ----------
    downbeat
        Whether a beat begins a bar, (n,).
    freedom
        0 for a machine, 1 for a free player.
    rng
        Draws phrases, ritardandi, fermatas and changes of tempo.
    """
    n = len(downbeat)
    curve = np.zeros(n)
    if freedom == 0 or n < 2:
        return curve
    # Slow drift, and beats that are uneven.
    drift = np.cumsum(rng.normal(0, 0.02 * freedom, n))
    curve += drift - np.linspace(drift[0], drift[-1], n) * 0.8
    curve += rng.normal(0, 0.03 * freedom, n)
    # Phrases of some bars: faster to their middle, slower to their end.
    bars = np.flatnonzero(downbeat)
    size = int(rng.choice([2, 4, 4, 8]))
    arch, last = rng.uniform(0, 0.16) * freedom, rng.uniform(0, 0.3) * freedom
    edges = [0, *bars[size::size], n]
    for start, stop in itertools.pairwise(edges):
        place = np.linspace(-1, 1, stop - start) if stop - start > 1 else np.zeros(stop - start)
        curve[start:stop] += arch * (place**2 - 0.5) * rng.uniform(0.5, 1.5)
        curve[stop - min(2, stop - start) : stop] += last * rng.uniform(0, 1)
    for _ in range(rng.poisson(0.5 * freedom)):  # ritardando and accelerando
        length = int(rng.integers(3, 17))
        start = int(rng.integers(0, n))
        ramp = np.linspace(0, rng.uniform(0.2, 0.7) * rng.choice([1, 1, -0.6]), length)[: n - start]
        curve[start : start + len(ramp)] += ramp
    for _ in range(rng.poisson(0.4 * freedom)):  # fermatas and breaths
        curve[rng.integers(0, n)] += rng.uniform(0.2, 1.1)
    if rng.random() < 0.25 * freedom and len(bars) > 2:  # another tempo from a bar on
        curve[int(rng.choice(bars[1:])) :] += rng.uniform(-0.6, 0.6)
    # First or last beats of the bar a little longer.
    curve[downbeat] += rng.normal(0, 0.03) * freedom
    return curve


def play(score: Rhythm, rng: np.random.Generator, stretch: float = 1.0) -> Rhythm:
    """Play a score: tempo, phrases, agogics, hands apart, swing, rolled chords, ornaments, touch, faults."""
    if len(score.beats) < 3 or not len(score.notes):
        return score
    freedom = float(rng.choice([0.0, rng.uniform(0.1, 0.5), rng.uniform(0.5, 1.3)], p=[0.15, 0.35, 0.5]))
    gaps = np.diff(score.beats)
    gaps = np.append(gaps, gaps[-1])
    played = np.clip(gaps * stretch * np.exp(tempo_curve(score.downbeat, freedom, rng)), _SHORTEST, _LONGEST)
    beats = score.beats[0] * stretch + np.concatenate([[0], np.cumsum(played)])
    numbers = np.arange(len(score.beats))
    swing = rng.uniform(0.55, 0.68) if rng.random() < 0.12 and not (score.triple == 1).any() else 0.5

    def clock(times: np.ndarray) -> np.ndarray:
        place = np.interp(times, score.beats, numbers)
        before, after = times < score.beats[0], times > score.beats[-1]
        whole = np.floor(place)
        part = np.interp(place - whole, [0, 0.5, 1], [0, swing, 1])
        seconds = np.interp(whole + part, np.arange(len(beats)), beats)
        seconds[before] = beats[0] - (score.beats[0] - times[before]) * played[0] / gaps[0]
        seconds[after] = beats[-2] + (times[after] - score.beats[-1]) * played[-1] / gaps[-1]
        return np.asarray(seconds)

    ornamented = _ornaments(score.notes, float(np.median(gaps)), rng)
    notes = ornamented.astype(float)
    strength = _metrical_strength(notes[:, 0], score)
    _, chord = np.unique(np.round(notes[:, 0] * 200), return_inverse=True)
    lengths = clock(notes[:, 1]) - clock(notes[:, 0])
    notes[:, 0] = clock(notes[:, 0])
    if freedom > 0:
        notes[:, 0] += _asynchrony(notes, chord, freedom, rng)
    notes[:, 1] = notes[:, 0] + np.maximum(0.04, lengths * np.exp(rng.normal(rng.uniform(-0.6, 0.15), 0.2, len(notes))))
    notes[:, 3] = _touch(notes, strength, freedom, rng)
    keep = notes[:, 0] >= 0
    out = _moved(score, clock)
    out.notes = notes[keep][np.argsort(notes[keep][:, 0], kind="stable")].astype(np.float32)
    out.beats = beats[:-1]
    return out


def _metrical_strength(onsets: np.ndarray, score: Rhythm) -> np.ndarray:
    """1 on downbeats, 0.5 on other beats, 0 between them."""
    index = np.clip(np.searchsorted(score.beats, onsets - 0.02), 0, len(score.beats) - 1)
    near = np.abs(score.beats[index] - onsets) < 0.02
    return np.asarray(near * np.where(score.downbeat[index], 1.0, 0.5))


def _asynchrony(notes: np.ndarray, chord: np.ndarray, freedom: float, rng: np.random.Generator) -> np.ndarray:
    """Seconds by which notes come late: fingers, hands, melody first, rolled chords."""
    late = rng.normal(0, rng.uniform(0.002, 0.014), len(notes))
    split = np.median(notes[:, 2])
    low = notes[:, 2] < split
    late += low * (rng.normal(0, 0.012) * freedom + rng.normal(0, 0.01 * freedom, chord.max() + 1)[chord])
    top = np.full(chord.max() + 1, 0.0)
    np.maximum.at(top, chord, notes[:, 2])
    late -= (notes[:, 2] == top[chord]) * rng.uniform(0, 0.025) * freedom
    bottom = np.full(chord.max() + 1, 200.0)
    np.minimum.at(bottom, chord, notes[:, 2])
    # Rolled chords: from below, a quick roll before the beat or from it on.
    wide = rng.random(chord.max() + 1) < rng.choice([0.0, 0.03, 0.2])
    spread = rng.uniform(0.004, 0.012, chord.max() + 1) * wide
    before = rng.random() < 0.5
    rise = (notes[:, 2] - (top if before else bottom)[chord]) * spread[chord]
    return np.asarray(late + np.clip(rise, -0.35, 0.35))


def _touch(notes: np.ndarray, strength: np.ndarray, freedom: float, rng: np.random.Generator) -> np.ndarray:
    """Velocities: the score's, waves of loudness, metrical accents, the upper voice, fingers."""
    wave = 12 * freedom * np.sin(notes[:, 0] * 2 * np.pi / rng.uniform(4, 20) + rng.uniform(0, 6))
    accents = rng.uniform(-2, 14) * strength
    melody = rng.uniform(0, 0.5) * (notes[:, 2] - 60)
    base = notes[:, 3] * rng.uniform(0.6, 1.1)
    return np.asarray(np.clip(base + wave + accents + melody + rng.normal(0, rng.uniform(1, 9), len(notes)), 5, 127))


def _ornaments(notes: np.ndarray, beat: float, rng: np.random.Generator) -> np.ndarray:
    """Trills, mordents and grace notes here and there, and a few wrong notes."""
    share = rng.choice([0.0, 0.004, 0.02])
    added = []
    kept = np.ones(len(notes), bool)
    for i in np.flatnonzero(rng.random(len(notes)) < share):
        onset, offset, pitch, velocity = notes[i]
        step = int(rng.choice([1, 2]))
        kind = rng.random()
        if kind < 0.4 and offset - onset > 0.6 * beat:
            width = beat / rng.uniform(6, 10)
            times = np.arange(onset, offset - width, width)
            kept[i] = False
            added += [(t, t + width, pitch + step * (k % 2), velocity) for k, t in enumerate(times)]
        elif kind < 0.7:
            added.append((onset - rng.uniform(0.04, 0.12), onset, pitch + step * rng.choice([-1, 1]), velocity * 0.8))
        else:
            added += [(onset, onset + 0.07, pitch, velocity), (onset + 0.07, onset + 0.14, pitch + step, velocity)]
    wrong = notes[rng.random(len(notes)) < rng.choice([0.0, 0.01])].copy()
    wrong[:, 2] += rng.choice([-2, -1, 1, 2], len(wrong))
    parts = [notes[kept], wrong, np.array(added, float).reshape(-1, 4)]
    merged = np.concatenate(parts)
    return np.asarray(merged[np.argsort(merged[:, 0], kind="stable")])


def imitate(piece: Rhythm, rng: np.random.Generator, faulty: bool = True) -> Rhythm:
    """Make of a performance what a transcriber might: late, missing, doubled and invented notes, ragged releases.

    A fifth stays as it is but for its key; drums become the notes that are heard where they sound, and are told by a
    transcriber of drums besides, or are not. What isn't to be made ``faulty``, as a transcriber made it, only changes
    its key.
    """
    notes = np.concatenate([_part(piece.notes, rng) if faulty else piece.notes, _heard_drums(piece.drums, rng)]).astype(
        float
    )
    if faulty and rng.random() > 0.2 and len(notes):
        notes = notes[rng.random(len(notes)) > rng.choice([0.0, 0.03, 0.1, 0.25], p=[0.3, 0.4, 0.25, 0.05])]
        notes[:, 0] += rng.normal(0, rng.choice([0.0, 0.005, 0.01, 0.02]), len(notes))
        again = notes[rng.random(len(notes)) < rng.choice([0.0, 0.02, 0.06])].copy()
        again[:, 0] += rng.uniform(0.05, 0.4, len(again))
        octave = notes[rng.random(len(notes)) < rng.choice([0.0, 0.02, 0.06])].copy()
        octave[:, 2] += rng.choice([-12, 12, 12, 19, 24], len(octave))
        octave[:, 3] *= 0.6
        length = float(notes[:, 0].max(initial=1.0))
        count = rng.poisson(rng.choice([0.0, 0.1, 0.5]) * length)
        begun = rng.uniform(0, length, count)
        ghosts = np.stack([begun, begun + 0.1, rng.integers(30, 95, count), rng.integers(10, 60, count)], 1)
        notes = np.concatenate([notes, again, octave, ghosts])
    if faulty and len(notes):
        kind = rng.random()
        if kind < 0.12:  # releases that say nothing
            notes[:, 1] = notes[:, 0] + rng.uniform(0.05, 0.5)
        elif kind < 0.6:
            notes[:, 1] = notes[:, 0] + (notes[:, 1] - notes[:, 0]) * np.exp(rng.normal(0, 0.4, len(notes)))
        kind = rng.random()
        if kind < 0.12:
            notes[:, 3] = rng.integers(40, 110)
        elif kind < 0.6:
            mean = notes[:, 3].mean()
            notes[:, 3] = mean * rng.uniform(0.6, 1.3) + (notes[:, 3] - mean) * rng.uniform(0.4, 1.2)
            notes[:, 3] += rng.normal(0, 4, len(notes))
    notes[:, 2] += rng.integers(-7, 8)
    notes[:, 3] = np.clip(notes[:, 3], 1, 127)
    notes = notes[notes[:, 0] >= 0]
    if len(piece.notes) <= _FEW or rng.random() < 0.6:
        piece.drums = _told_drums(piece.drums, rng)
    else:
        piece.drums = piece.drums[:0]
    piece.notes = notes[np.argsort(notes[:, 0], kind="stable")].astype(np.float32)
    return piece


def _part(notes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Leave out a hand now and then, or what lies beyond a key: no part of the music may be what beats are known by."""
    if len(notes) < 2 * _FEW or rng.random() > 0.2:
        return notes
    edge = np.quantile(notes[:, 2], rng.uniform(0.25, 0.6))
    kept = notes[:, 2] > edge if rng.random() < 0.5 else notes[:, 2] <= edge
    return np.asarray(notes[kept] if np.count_nonzero(kept) > _FEW else notes)


def _told_drums(drums: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Make of drums what a transcriber of drums might: late, missing, and taken for others."""
    told = drums[rng.random(len(drums)) > rng.choice([0.0, 0.05, 0.2])].copy()
    told[:, 0] += rng.normal(0, rng.choice([0.0, 0.005, 0.01]), len(told))
    wrong = rng.random(len(told)) < rng.choice([0.0, 0.03, 0.1])
    told[wrong, 1] = rng.integers(0, 3, np.count_nonzero(wrong))
    if rng.random() < 0.15:  # a drum that isn't heard
        told = told[told[:, 1] != rng.integers(0, 3)]
    told[:, 2] = np.clip(told[:, 2] * rng.uniform(0.6, 1.2), 1, 127)
    return np.asarray(told[np.argsort(told[:, 0], kind="stable")])


def _heard_drums(drums: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Make the notes that a transcriber of pitched notes writes for drums: more for a kick than for a cymbal."""
    if not len(drums):
        return np.zeros((0, 4))
    rows = []
    shares = rng.uniform(0, 1, 3) * [0.9, 0.7, 0.3]
    # A drum is heard as the same few keys throughout.
    keys = [rng.integers(24, 46, 3), rng.integers(42, 76, 4), rng.integers(70, 104, 4)]
    for onset, kind, velocity in drums:
        kind = int(kind)
        if rng.random() < shares[kind]:
            for key in rng.choice(keys[kind], rng.integers(1, 3), replace=False):
                rows.append((onset, onset + rng.uniform(0.04, 0.2), key, velocity * rng.uniform(0.3, 0.9)))
    return np.array(rows, float).reshape(-1, 4)
