"""What the network of any instruments learns from: the notes' excerpts, with a family for each key, and drums."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from train.augment import augment, narrow
from train.cache import Prepared, draw_spans
from train.notes.excerpts import Excerpts, ExcerptsOnCard, lie_on_card, target_reach
from transcribe.engine.features import LOWEST_PITCH, N_PITCHES, FeatureConfig
from transcribe.notes.datasets import read_labels as read_reference
from transcribe.theory.families import DRUMS, FAMILIES

# The mark of a key that nobody plays.
NOBODY = 255
# Frames after its onset in which a note has its family at least: decoders ask there.
_SHORTEST = 5


def read_labels(path: Path) -> dict[str, np.ndarray]:
    """Read what is played and by whom.

    Returns
    -------
    dict
        ``notes`` (n, 4), onset and offset in s, pitch, velocity; ``families`` (n,), indices of ``FAMILIES``, a piano's
        where the labels name none; ``drums`` (m, 3), onset in s, index of ``DRUMS``, velocity; ``pedals`` (k, 2) in s,
        where a piano plays alone or nobody could have one.
    """
    heard = read_reference(path)
    notes = [(note.onset, note.offset, note.pitch, note.velocity) for note in heard.notes]
    families = [FAMILIES.index(note.instrument or "piano") for note in heard.notes]
    drums = [(drum.onset, DRUMS.index(drum.label), drum.velocity) for drum in heard.drums]
    arrays = {
        "notes": np.array(notes, float).reshape(-1, 4),
        "families": np.array(families, np.uint8),
        "drums": np.array(drums, float).reshape(-1, 3),
    }
    if len(set(families)) < 2 or FAMILIES.index("piano") not in families:
        arrays["pedals"] = np.array([(p.onset, p.offset) for p in heard.pedals], float).reshape(-1, 2)
    return arrays


def family_targets(labels: dict[str, np.ndarray], first: int, n_frames: int, frames_per_second: float) -> np.ndarray:
    """Say who plays each key: uint8 (n_frames, 88), ``NOBODY`` where it is silent; of two, who began later."""
    drawn = np.full((n_frames, N_PITCHES), NOBODY, np.uint8)
    times = labels["notes"][:, :2] * frames_per_second - first
    begins = np.floor(times[:, 0]).astype(int)
    ends = np.maximum(np.ceil(times[:, 1]).astype(int), begins + _SHORTEST)
    keys = labels["notes"][:, 2].astype(int) - LOWEST_PITCH
    near = np.flatnonzero((begins < n_frames) & (ends > 0) & (keys >= 0) & (keys < N_PITCHES))
    for i in near[np.argsort(begins[near], kind="stable")]:
        drawn[max(0, begins[i]) : ends[i], keys[i]] = labels["families"][i]
    return drawn


def drum_targets(labels: dict[str, np.ndarray], first: int, n_frames: int, frames_per_second: float) -> np.ndarray:
    """Draw drums: float32 (3, n_frames, 5), onsets as triangles, velocities (0-1), and where they are known."""
    drawn = np.zeros((3, n_frames, len(DRUMS)), np.float32)
    reach = target_reach(frames_per_second)
    for onset, drum, velocity in labels["drums"]:
        centre = onset * frames_per_second - first
        if not -reach < centre < n_frames + reach:
            continue
        frames = np.arange(max(0, int(np.ceil(centre - reach))), min(n_frames, int(centre + reach) + 1))
        column = drawn[:, frames, int(drum)]
        column[0] = np.maximum(column[0], 1 - np.abs(frames - centre) / reach)
        nearest = np.abs(frames - round(centre)) <= 1
        column[1, nearest], column[2, nearest] = velocity / 127, 1.0
        drawn[:, frames, int(drum)] = column
    return drawn


class BandExcerpts(Excerpts):
    """Excerpts from disk: those of notes (:class:`train.notes.excerpts.Excerpts`), with families and drums."""

    def __call__(self, step: int, rank: int = 0) -> tuple[Tensor, ...]:  # type: ignore[override]
        """Features (B, T, n_mels), notes (B, 6, T, 88), families (B, T, 88), drums (B, 3, T, 5)."""
        rng = np.random.default_rng([self.seed, step, rank])
        spans = draw_spans(self.pieces, self.shares, self.n_frames, self.n_batch, rng)
        log_mel, target = self.read(spans)
        if self.augmented:
            generator = torch.Generator(self.device).manual_seed(int(rng.integers(1 << 62)))
            log_mel = augment(narrow(log_mel, generator, self.frequencies), generator)
        return log_mel, target, *self.read_more(spans)

    def read_more(self, spans: Sequence[tuple[int, int]]) -> tuple[Tensor, Tensor]:
        """Draw who plays, and drums."""
        rate = self.features.grid.frames_per_second
        families, drums = (
            np.stack([draw(self.pieces[index].labels, first, self.n_frames, rate) for index, first in spans])
            for draw in (family_targets, drum_targets)
        )
        return torch.from_numpy(families).to(self.device), torch.from_numpy(drums).to(self.device)


class BandExcerptsOnCard(BandExcerpts, ExcerptsOnCard):
    """The same from recordings that lie in a graphics card's memory: 0.17 GB an hour."""

    def __post_init__(self) -> None:
        """Put all recordings on the card."""
        total = sum(max(piece.n_frames, self.n_frames) for piece in self.pieces)
        self.families = torch.full((total, N_PITCHES), NOBODY, dtype=torch.uint8, device=self.device)
        self.drums = torch.zeros((total, 3, len(DRUMS)), dtype=torch.uint8, device=self.device)
        super().__post_init__()

    def _load(self, piece: Prepared, start: int) -> None:
        super()._load(piece, start)
        n_frames = max(piece.n_frames, self.n_frames)
        rate = self.features.grid.frames_per_second
        families = family_targets(piece.labels, 0, n_frames, rate)
        drums = (drum_targets(piece.labels, 0, n_frames, rate).transpose(1, 0, 2) * 255).round().astype(np.uint8)
        self.families[start : start + n_frames] = torch.from_numpy(families).to(self.device)
        self.drums[start : start + n_frames] = torch.from_numpy(drums).to(self.device)

    def read_more(self, spans: Sequence[tuple[int, int]]) -> tuple[Tensor, Tensor]:
        """Read who plays, and drums, from the card."""
        firsts = torch.tensor([self.starts[index] + first for index, first in spans])
        frames = firsts.to(self.device, non_blocking=True)[:, None] + self.frames
        return self.families[frames], self.drums[frames].float().div(255).transpose(1, 2)


def choose_band_excerpts(
    pieces: list[Prepared],
    features: FeatureConfig,
    n_batch: int,
    n_frames: int,
    seed: int,
    device: torch.device,
    where: str = "auto",
) -> BandExcerpts:
    """Make excerpts of recordings on the ``card`` or on ``disk``; ``auto``: on the card where they fit on one."""
    on_card = lie_on_card(pieces, features, n_frames, device, where)
    return (BandExcerptsOnCard if on_card else BandExcerpts)(pieces, features, n_batch, n_frames, seed, device)
