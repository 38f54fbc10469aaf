"""Excerpts → features and targets of a step, as a pure function of the seed, the step and the rank."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from train.beats.corpus import HEARD, Rhythm
from train.beats.inventions import invent
from train.beats.performer import excerpt
from transcribe.beats.activations import METRES, N_TEMPI, PERIODS
from transcribe.beats.features import FRAME_RATE, N_FEATURES, note_features
from transcribe.beats.windows import WINDOW_FRAMES

# How much of training comes from where; what is missing is left out.
SHARES = {
    "asap": 0.28, HEARD: 0.14, "piano-midi-de": 0.13, "maps": 0.05, "pop909": 0.14, "mutopia": 0.09,
    "openscore-lieder": 0.06, "openscore-quartets": 0.04, "openscore-orchestra": 0.01, "openhymnal": 0.02,
    "irish-cre": 0.01, "polish-scores": 0.02, "freedoom": 0.04, "groove": 0.03,
}  # fmt: skip
# Notes without any beat, two excerpts one after the other, made-up music, drums under a song.
_NOISE, _TWO, _INVENTED, _DRUMS = 0.015, 0.06, 0.12, 0.4
# Spread of a tempo's target, in steps.
_SPREAD = 1.2
SECONDS = WINDOW_FRAMES / FRAME_RATE


@dataclass
class Targets:
    """Targets of one excerpt: arrays of n frames; a weight of 0 leaves a frame out.

    ``beat``, ``downbeat`` 0 or 1; ``triple`` 0, 1; ``tempo`` (n, N_TEMPI) sums to 1 or is 0 where unknown; ``metre`` a
    class, -1 where unknown.
    """

    beat: np.ndarray
    beat_weight: np.ndarray
    downbeat: np.ndarray
    downbeat_weight: np.ndarray
    triple: np.ndarray
    triple_weight: np.ndarray
    tempo: np.ndarray
    metre: np.ndarray

    def arrays(self) -> tuple[np.ndarray, ...]:
        """All of them, in order."""
        return tuple(vars(self).values())


def targets(piece: Rhythm, n_frames: int) -> Targets:
    """Make the targets of the first ``n_frames`` of a piece."""
    zeros = np.zeros(n_frames, np.float32)
    made = Targets(
        zeros.copy(), np.ones(n_frames, np.float32), zeros.copy(), np.ones(n_frames, np.float32), zeros.copy(),
        zeros.copy(), np.zeros((n_frames, N_TEMPI), np.float32), np.full(n_frames, -1),
    )  # fmt: skip
    beats = piece.beats
    if len(beats) < 3:
        return made
    times = np.arange(n_frames) / FRAME_RATE
    gaps = np.diff(beats)
    # Nobody knows how the beats go on next to the first and the last one.
    for edge, gap in ((beats[0], -gaps[0]), (beats[-1], gaps[-1])):
        low, high = sorted((edge + 0.3 * gap, edge + np.sign(gap) * max(3.0, 2 * abs(gap))))
        made.beat_weight[(times > low) & (times < high)] = 0
    # Nor across a gap in the annotation.
    for i in np.flatnonzero(gaps > 3.5 * np.median(gaps)):
        made.beat_weight[(times > beats[i] + 0.1) & (times < beats[i + 1] - 0.1)] = 0
    made.downbeat_weight[:] = made.beat_weight
    frames = np.round(beats * FRAME_RATE).astype(int)
    inside = (frames >= 0) & (frames < n_frames)
    made.beat[frames[inside]] = 1
    made.downbeat[frames[inside & piece.downbeat]] = 1
    index = np.clip(np.searchsorted(beats, times + 0.02, side="right") - 1, 0, len(beats) - 1)
    known = (times >= beats[0]) & (times < beats[-1] + gaps[-1])
    metre = piece.metre[index]
    near = (times > beats[0] - 0.5) & (times < beats[-1] + 0.5)
    made.downbeat_weight[near & (metre == 0)] = 0
    classes = np.full(128, -1)
    classes[list(METRES)] = np.arange(len(METRES))
    made.metre[:] = np.where(known, classes[metre], -1)
    triple = piece.triple[index]
    made.triple[:] = triple == 1
    made.triple_weight[:] = known & (triple >= 0)
    made.tempo[known] = _tempo_targets(gaps, np.minimum(index, len(gaps) - 1)[known])
    return made


def _tempo_targets(gaps: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Bumps round the logarithm of the median of five gaps."""
    padded = np.pad(np.log(gaps), 2, mode="edge")
    local = np.median(np.lib.stride_tricks.sliding_window_view(padded, 5), axis=-1)
    scale = np.log(PERIODS)
    step = scale[0] - scale[1]
    distance = (scale[None] - np.clip(local, scale[-1], scale[0])[:, None]) / step / _SPREAD
    bumps = np.exp(-0.5 * distance**2)
    return np.asarray((bumps / bumps.sum(-1, keepdims=True))[index], np.float32)


class Batches:
    """Makes the batch of a step: features, then :class:`Targets`' arrays, each (batch, WINDOW_FRAMES, ...)."""

    def __init__(self, pieces: Sequence[Rhythm], batch: int, seed: int, device: torch.device) -> None:
        self.batch, self.seed, self.device = batch, seed, device
        self.pools: dict[str, list[Rhythm]] = {}
        for piece in pieces:
            if piece.source in SHARES and len(piece.beats) >= 16:
                self.pools.setdefault(piece.source, []).append(piece)
        if not self.pools:
            raise ValueError("the corpus has no piece to train on")
        self.sources = sorted(self.pools)
        shares = np.array([SHARES[source] for source in self.sources])
        self.shares = shares / shares.sum()
        # A long piece has more to say than a short one.
        self.odds = {s: _shared(np.sqrt([p.beats[-1] - p.beats[0] for p in pool])) for s, pool in self.pools.items()}

    def draw(self, rng: np.random.Generator, seconds: float = SECONDS) -> Rhythm:
        """Draw one excerpt."""
        kind = rng.random()
        if kind < _NOISE:
            return _noise(seconds, rng)
        if kind < _NOISE + _TWO and seconds == SECONDS:
            edge = rng.uniform(0.3, 0.7) * seconds
            return _joined(self.draw(rng, edge), self.draw(rng, seconds - edge), edge, rng)
        if rng.random() < _INVENTED:
            return excerpt(invent(rng), seconds, rng)
        source = str(rng.choice(self.sources, p=self.shares))
        piece = self.pools[source][rng.choice(len(self.pools[source]), p=self.odds[source])]
        if source == "pop909" and "groove" in self.pools and rng.random() < _DRUMS:
            piece = with_drums(piece, self.pools["groove"][rng.integers(len(self.pools["groove"]))])
        return excerpt(piece, seconds, rng)

    def __call__(self, step: int, rank: int) -> tuple[Tensor, ...]:
        """Make a batch."""
        rng = np.random.default_rng([self.seed, step, rank])
        features = np.zeros((self.batch, WINDOW_FRAMES, N_FEATURES), np.float32)
        made = []
        for row in range(self.batch):
            piece = self.draw(rng)
            features[row] = note_features(piece.notes.astype(float), 0, WINDOW_FRAMES, piece.drums.astype(float))
            made.append(targets(piece, WINDOW_FRAMES).arrays())
        stacked = [features, *(np.stack(part) for part in zip(*made, strict=True))]
        return tuple(torch.from_numpy(array).to(self.device) for array in stacked)


def _shared(weights: np.ndarray) -> np.ndarray:
    return np.asarray(weights / weights.sum())


def with_drums(song: Rhythm, drummer: Rhythm) -> Rhythm:
    """Put a drummer's bars under a song of the same metre, over and over."""
    starts = np.flatnonzero(song.downbeat)
    if not len(starts) or len(drummer.beats) < 5 or drummer.metre[0] != 4:
        return song
    n_beats = (len(drummer.beats) - 1) // 4 * 4
    places = np.interp(drummer.drums[:, 0], drummer.beats, np.arange(len(drummer.beats)))
    hits = drummer.drums[places < n_beats]
    places = places[places < n_beats]
    numbers = np.arange(len(song.beats))
    rows = []
    for start in range(int(starts[0]), len(song.beats) - 1, n_beats):
        part = hits.copy()
        part[:, 0] = np.interp(places + start, numbers, song.beats)
        rows.append(part[places + start < len(song.beats) - 1])
    drums = np.concatenate(rows) if rows else song.drums
    return Rhythm(
        song.name, song.source, song.split, song.notes, song.beats, song.downbeat, song.metre, song.triple, song.score,
        drums,
    )  # fmt: skip


def _noise(seconds: float, rng: np.random.Generator) -> Rhythm:
    """Draw notes without beats: what a transcriber hears in speech and noise; sometimes nothing at all."""
    count = rng.poisson(seconds * rng.choice([0.0, 0.3, 2.0, 6.0]))
    onsets = np.sort(rng.uniform(0, seconds, count))
    lengths = rng.exponential(0.2, count)
    centre = rng.uniform(35, 80)
    pitches = np.clip(np.round(rng.normal(centre, 10, count)), 21, 108)
    notes = np.stack([onsets, onsets + lengths, pitches, rng.integers(10, 90, count)], 1).astype(np.float32)
    none = np.zeros(0)
    return Rhythm("", "noise", "train", notes, none, none.astype(bool), none.astype(np.int8), none.astype(np.int8))


def _joined(first: Rhythm, second: Rhythm, edge: float, rng: np.random.Generator) -> Rhythm:
    """One after the other; the beats of the first end where the second begins."""
    begin = edge + rng.uniform(0, 1.0)
    keep = (first.beats < edge) & (first.beats >= 0)
    own = (second.beats >= 0) & (second.beats < SECONDS)
    later, strokes = second.notes.copy(), second.drums.copy()
    later[:, :2] += begin
    strokes[:, 0] += begin
    return Rhythm(
        "", "two", "train", np.concatenate([first.notes[first.notes[:, 0] < edge], later]),
        np.concatenate([first.beats[keep], second.beats[own] + begin]),
        np.concatenate([first.downbeat[keep], second.downbeat[own]]),
        np.concatenate([first.metre[keep], second.metre[own]]),
        np.concatenate([first.triple[keep], second.triple[own]]),
        drums=np.concatenate([first.drums[first.drums[:, 0] < edge], strokes]),
    )  # fmt: skip
