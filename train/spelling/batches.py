"""Excerpts → features and names of a step, as a pure function of the seed, the step and the rank; what is minimised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from train.score.batches import excerpt, interpreted
from train.score.corpus import TOLD, UNSPELLED, WRITTEN, Performed
from transcribe.score.spelling import N_FEATURES, PLACES, possible, spelling_features

# So often another key is told, at most so many fifths away; and so often an excerpt is short, in notes.
_OTHER_KEY, _FIFTHS, _SHORT, _FEWEST = 0.15, 4, 0.15, 8
# A piece is played faster or slower, held longer or shorter, less exactly, in another octave, with notes missing.
_FASTER, _HELD, _JITTER, _MISSING = 0.3, 0.4, 0.02, 0.15
# What can't be is so unlikely, as a logit.
_NEVER = -30.0

# Features, which names a note can have, and the number of its name: -1 where it isn't known.
Example = tuple[np.ndarray, np.ndarray, np.ndarray]


def example(piece: Performed, sharps: int) -> Example:
    """Make features and targets of a performance, in a key of so many sharps."""
    name = piece.spelled - sharps - PLACES[0]
    known = (piece.spelled != UNSPELLED) & (name >= 0) & (name < len(PLACES))
    can = possible(piece.notes[:, 2], sharps)
    # A name that isn't one of the pitch is a fault of the alignment.
    known &= can[np.arange(len(name)), np.clip(name, 0, len(PLACES) - 1)]
    return spelling_features(piece.notes, sharps), can, np.where(known, name, -1)


def varied(piece: Performed, rng: np.random.Generator) -> Performed:
    """Play an excerpt otherwise."""
    piece = interpreted(piece, rng) if piece.split == WRITTEN else piece
    notes, n = piece.notes.copy(), len(piece.notes)
    held = (notes[:, 1] - notes[:, 0]) * np.exp(rng.normal(0, _HELD) + rng.normal(0, 0.2, n))
    notes[:, 0] += rng.normal(0, rng.uniform(0, _JITTER), n)
    notes[:, 1] = notes[:, 0] + np.maximum(held, 0.02)
    notes[:, :2] *= np.exp(rng.normal(0, _FASTER))
    notes[:, 2] += 12 * rng.integers(-1, 2)
    order = np.lexsort((notes[:, 2], notes[:, 0]))
    order = order[rng.random(n) >= rng.uniform(0, _MISSING)] if n > 2 else order
    return replace(piece, notes=notes[order], **{name: getattr(piece, name)[order] for name in TOLD})


class Batches:
    """Makes the batch of a step: features (batch, n, N_FEATURES), what can be (batch, n, PLACES), names (batch, n)."""

    def __init__(self, pieces: Sequence[Performed], batch: int, n_notes: int, seed: int, device: torch.device) -> None:
        long = [piece for piece in pieces if len(piece.notes) > 16 and len(piece.bars.beats) > 4]
        self.pieces = [piece for piece in long if (piece.spelled != UNSPELLED).any()]
        if not self.pieces:
            raise ValueError("the corpus has no piece to train on")
        self.batch, self.n_notes, self.seed, self.device = batch, n_notes, seed, device
        titles = [piece.name.rpartition("__")[0] for piece in self.pieces]
        counts = {title: titles.count(title) for title in titles}
        odds = np.array([np.sqrt(len(p.notes) / counts[t]) for p, t in zip(self.pieces, titles, strict=True)])
        self.odds = odds / odds.sum()

    def __call__(self, step: int, rank: int) -> tuple[Tensor, ...]:
        """Make a batch."""
        rng = np.random.default_rng([self.seed, step, rank])
        features = np.zeros((self.batch, self.n_notes, N_FEATURES), np.float32)
        can = np.ones((self.batch, self.n_notes, len(PLACES)), bool)
        names = np.full((self.batch, self.n_notes), -1)
        for row in range(self.batch):
            piece = self.pieces[rng.choice(len(self.pieces), p=self.odds)]
            short = rng.random() < _SHORT
            n_notes = int(rng.integers(_FEWEST, self.n_notes)) if short else self.n_notes
            shift = int(rng.integers(-_FIFTHS, _FIFTHS + 1)) if rng.random() < _OTHER_KEY else 0
            made = example(varied(excerpt(piece, n_notes, rng), rng), piece.sharps + shift)
            n = len(made[0])
            for whole, own in zip((features, can, names), made, strict=True):
                whole[row, :n] = own
        return tuple(torch.from_numpy(array).to(self.device) for array in (features, can, names))


def logits(network: nn.Module, features: Tensor, can: Tensor) -> Tensor:
    """Tell names, (batch, n, PLACES), of those that can be."""
    return cast(Tensor, network(features).places.masked_fill(~can, _NEVER))


def losses(network: nn.Module, batch: tuple[Tensor, ...]) -> dict[str, Tensor]:
    """Loss of a batch of :class:`Batches`."""
    features, can, names = batch
    return {"name": functional.cross_entropy(logits(network, features, can).transpose(1, 2), names, ignore_index=-1)}


def validate(network: nn.Module, pieces: Sequence[Performed]) -> dict[str, float]:
    """Share of the notes whose likeliest name is right; the mean over performances."""
    shares = []
    for piece in pieces:
        features, can, names = example(piece, piece.sharps)
        with torch.inference_mode():
            told = logits(network, torch.from_numpy(features)[None], torch.from_numpy(can)[None])[0]
        known = piece.spelled != UNSPELLED
        if known.any():
            shares.append(float(np.mean((told.argmax(-1).numpy() == names)[known])))
    return {"name": float(np.mean(shares))}
