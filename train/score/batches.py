"""Excerpts → features and targets of a step, as a pure function of the seed, the step and the rank."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from train.score.corpus import TICKS, TOLD, WRITTEN, Performed
from train.score.inventions import invent
from transcribe.score.features import LENGTHS, N_FEATURES, PHASES, Bars, note_features

# A piece is heard at another pitch, another tempo, less exactly, with notes missing; on beats that stray, that are
# halved or doubled, without bars.
_TRANSPOSED, _FASTER, _JITTER, _HELD, _MISSING = 6, 0.25, 0.012, 0.25, 0.04
_BEAT_JITTER, _OTHER_LEVEL, _WITHOUT_BARS = 0.012, 0.2, 0.15
# So much of training is made up; and so much of the rest is scores that nobody plays, where the corpus has some.
_INVENTED, _WRITTEN = 0.2, 0.2
# Lengths this near to one of LENGTHS, as ratios, are it.
_NEAR = 1.02
_PHASE = np.full(TICKS, -1)
_PHASE[[int(phase * TICKS) for phase in PHASES]] = np.arange(len(PHASES))
_LOG_LENGTHS = np.log([float(length) for length in LENGTHS])

# Features, classes of phase and length, and staff: 1 right, 0 left; -1 where nothing is known.
Example = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def example(piece: Performed) -> Example:
    """Make features and targets of a performance as it is."""
    known = (piece.place >= 0) | (piece.length > 0)
    phase = np.where(known & (piece.place != -1), _PHASE[piece.place % TICKS], -1)
    cell = np.clip(np.searchsorted(piece.bars.beats, piece.notes[:, 0] + 1e-9) - 1, 0, len(piece.bars.beats) - 1)
    beats = np.log(np.maximum(piece.length, 1) / TICKS / piece.bars.quarters[cell])
    off = np.abs(beats[:, None] - _LOG_LENGTHS)
    length = np.where((piece.length > 0) & (off.min(1) < np.log(_NEAR)), off.argmin(1), -1)
    staff = np.select([piece.staff == 1, piece.staff == 2], [1, 0], -1)
    return note_features(piece.notes, piece.bars), phase, length, staff


def excerpt(piece: Performed, n_notes: int, rng: np.random.Generator) -> Performed:
    """Cut an excerpt out of a performance."""
    first = int(rng.integers(max(1, len(piece.notes) - n_notes + 1)))
    part = slice(first, first + n_notes)
    onsets = piece.notes[part, 0]
    low = max(0, int(np.searchsorted(piece.bars.beats, onsets[0])) - 4)
    high = int(np.searchsorted(piece.bars.beats, onsets[-1])) + 4
    cut = slice(low, max(high, low + 2)) if len(piece.bars.beats[low:high]) > 1 else slice(-2, None)
    low = cut.indices(len(piece.bars.beats))[0]
    bars = Bars(*(getattr(piece.bars, name)[cut] for name in ("beats", "number", "count", "quarters", "compound")))
    place = np.where(piece.place[part] >= 0, piece.place[part] - low * TICKS, -1)
    told = {name: getattr(piece, name)[part] for name in TOLD} | {"place": place}
    return replace(piece, notes=piece.notes[part], bars=bars, **told)


def interpreted(piece: Performed, rng: np.random.Generator) -> Performed:
    """Play what a machine would: the tempo drifts, notes stray, hands let go early, one is louder."""
    beats, notes = piece.bars.beats, piece.notes.copy()
    drift = np.cumsum(rng.normal(0, rng.choice([0.004, 0.012, 0.025]), len(beats) - 1))
    pace = np.exp(drift - drift.mean() + rng.normal(0, 0.02, len(beats) - 1))
    warped = beats[0] + np.concatenate([[0.0], np.cumsum(np.diff(beats) * pace)])
    held = notes[:, 1] - notes[:, 0]
    held *= rng.uniform(0.4, 1.05, 2)[(piece.staff == 1).astype(int)] * np.exp(rng.normal(0, 0.12, len(held)))
    for column, times in ((1, notes[:, 0] + held), (0, notes[:, 0])):
        # Beyond the outer beats it goes on as there.
        inside = np.clip(times, beats[0], beats[-1])
        notes[:, column] = np.interp(inside, beats, warped) + times - inside
    # A hand's chord is rolled a little, and one hand may come late.
    late = rng.normal(0, 0.008, 2)[(piece.staff == 1).astype(int)]
    notes[:, 0] += late + rng.normal(0, rng.uniform(0.003, 0.02), len(notes))
    notes[:, 1] = np.maximum(notes[:, 1], notes[:, 0] + 0.03)
    loud = rng.normal([58, 70], 6)[(piece.staff == 1).astype(int)] + rng.normal(0, 6, len(notes))
    notes[:, 3] = np.clip(loud, 10, 120)
    order = np.lexsort((notes[:, 2], notes[:, 0]))
    told = {name: getattr(piece, name)[order] for name in TOLD}
    return replace(piece, notes=notes[order], bars=replace(piece.bars, beats=warped), **told)


def varied(piece: Performed, rng: np.random.Generator) -> Performed:
    """Play an excerpt otherwise, and tell other beats of it."""
    if piece.split == WRITTEN:
        piece = interpreted(piece, rng)
    piece = _on_another_level(piece, rng) if rng.random() < _OTHER_LEVEL else piece
    bars = piece.bars
    if rng.random() < _WITHOUT_BARS:
        bars = replace(bars, number=0 * bars.number, count=0 * bars.count)
    notes = piece.notes.copy()
    n = len(notes)
    shift = int(rng.integers(-_TRANSPOSED, _TRANSPOSED + 1))
    if notes[:, 2].min() + shift >= 21 and notes[:, 2].max() + shift <= 108:
        notes[:, 2] += shift
    held = (notes[:, 1] - notes[:, 0]) * np.exp(rng.normal(0, _HELD) + rng.normal(0, 0.1, n))
    notes[:, 0] += rng.normal(0, rng.uniform(0, _JITTER), n)
    notes[:, 1] = notes[:, 0] + np.maximum(held, 0.02)
    notes[:, 3] = np.clip(notes[:, 3] * np.exp(rng.normal(0, 0.2)), 1, 127)
    speed = float(np.exp(rng.normal(0, _FASTER)))
    notes[:, :2] *= speed
    beats = bars.beats * speed
    gaps = np.diff(beats)
    room = np.minimum(np.append(gaps, gaps[-1]), np.insert(gaps, 0, gaps[0]))
    beats = beats + np.clip(rng.normal(0, rng.uniform(0, _BEAT_JITTER), len(beats)), -0.2 * room, 0.2 * room)
    order = np.lexsort((notes[:, 2], notes[:, 0]))
    order = order[rng.random(n) > rng.uniform(0, _MISSING)] if n > 2 else order
    told = {name: getattr(piece, name)[order] for name in TOLD}
    return replace(piece, notes=notes[order], bars=replace(bars, beats=beats), **told)


def _on_another_level(piece: Performed, rng: np.random.Generator) -> Performed:
    """Halve the beats, or leave every second one out; both count as quarters less or more."""
    bars = piece.bars
    if rng.random() < 0.5:
        beats = np.interp(np.arange(2 * len(bars.beats) - 1) / 2, np.arange(len(bars.beats)), bars.beats)
        of = np.arange(len(beats)) // 2
        twice = Bars(
            beats, 2 * bars.number[of] + np.arange(len(beats)) % 2, 2 * bars.count[of], bars.quarters[of],
            np.zeros(len(of), bool),
        )  # fmt: skip
        # A half is told to be a quarter: lengths are twice as long as the score says.
        return replace(
            piece, place=np.where(piece.place >= 0, 2 * piece.place, -1),
            length=np.where(piece.length > 0, 2 * piece.length, -1), bars=twice,
        )  # fmt: skip
    first = int(np.argmax(bars.number == 0)) % 2 if len(bars.beats) > 4 else 0
    of = np.arange(first, len(bars.beats), 2)
    if len(of) < 2:
        return piece
    half = Bars(bars.beats[of], bars.number[of] // 2, bars.count[of] // 2, bars.quarters[of], bars.compound[of])
    place = piece.place - first * TICKS
    known = (piece.place >= 0) & (place >= 0) & (place % 2 == 0)
    return replace(
        piece,
        place=np.where(known, place // 2, -1),
        length=np.where(piece.length > 1, piece.length // 2, -1),
        bars=half,
    )


class Batches:
    """Makes the batch of a step: features (batch, n, N_FEATURES), then phase, length and staff (batch, n)."""

    def __init__(self, pieces: Sequence[Performed], batch: int, n_notes: int, seed: int, device: torch.device) -> None:
        self.pieces = [piece for piece in pieces if len(piece.notes) > 16 and len(piece.bars.beats) > 4]
        if not self.pieces:
            raise ValueError("the corpus has no piece to train on")
        self.batch, self.n_notes, self.seed, self.device = batch, n_notes, seed, device
        titles = [piece.name.rpartition("__")[0] for piece in self.pieces]
        counts = {title: titles.count(title) for title in titles}
        # A long piece has more to say than a short one, and many performances less than as many pieces.
        odds = np.array([np.sqrt(len(p.notes) / counts[t]) for p, t in zip(self.pieces, titles, strict=True)])
        written = np.array([piece.split == WRITTEN for piece in self.pieces])
        for own, share in ((written, _WRITTEN), (~written, 1 - _WRITTEN)):
            odds[own] *= share / max(odds[own].sum(), 1e-9)
        self.odds = odds / odds.sum()

    def __call__(self, step: int, rank: int) -> tuple[Tensor, ...]:
        """Make a batch."""
        rng = np.random.default_rng([self.seed, step, rank])
        features = np.zeros((self.batch, self.n_notes, N_FEATURES), np.float32)
        told = [np.full((self.batch, self.n_notes), -1) for _ in range(3)]
        for row in range(self.batch):
            made_up = rng.random() < _INVENTED
            piece = invent(rng) if made_up else self.pieces[rng.choice(len(self.pieces), p=self.odds)]
            made = example(varied(excerpt(piece, self.n_notes, rng), rng))
            n = len(made[0])
            features[row, :n] = made[0]
            for whole, own in zip(told, made[1:], strict=True):
                whole[row, :n] = own
        return tuple(torch.from_numpy(array).to(self.device) for array in (features, *told))
