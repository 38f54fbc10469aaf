"""What the notes network learns from: random excerpts of recordings, and their labels drawn frame by frame."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from train.augment import augment, narrow
from train.cache import Prepared, draw_spans, read_spans, shares_of, silence
from transcribe.engine.features import LOWEST_PITCH, N_PITCHES, FeatureConfig

# Half the width of the triangles that mark onsets and offsets, and how far around an onset its velocity stands, in s.
_REACH = 0.04
_VELOCITY_REACH = 0.02
# Of a graphics card's free memory, what recordings may take; the network needs the rest: the largest so far took 6 GB
# with 64 excerpts a batch.
_SHARE_OF_CARD = 0.6
# Bytes a frame there: onset, frame, offset and velocity of every pitch, and the pedal.
_PACKED = 4 * N_PITCHES + 1
# The pedal's mark where nobody knows it.
_UNKNOWN = 2


def target_reach(frames_per_second: float) -> float:
    """Give half the width of the triangles that mark onsets and offsets, in frames."""
    return _REACH * frames_per_second


def targets(labels: dict[str, np.ndarray], first: int, n_frames: int, frames_per_second: float) -> np.ndarray:
    """Draw the labels of a span of frames.

    Parameters
    ----------
    labels
        ``notes`` (n, 4), onset and offset in s, pitch, velocity (0 where unknown), and ``pedals`` (m, 2) in s where the
        pedal is known.
    first
        The span's first frame.
    n_frames
        Of the span; it may go beyond the recording.
    frames_per_second
        Of the features.

    Returns
    -------
    np.ndarray
        float32 (6, n_frames, 88): onset, frame, offset (onset and offset as triangles), velocity (0-1, at onsets),
        whether a velocity is known there, and the pedal (over all pitches; -1 where it is not known).
    """
    drawn = np.zeros((6, n_frames, N_PITCHES), np.float32)
    onset, frame, offset, velocity, weight, pedal = drawn
    reach = target_reach(frames_per_second)
    times = np.maximum.accumulate(labels["notes"][:, :2], axis=1) * frames_per_second - first  # no end before its start
    keys = labels["notes"][:, 2].astype(int) - LOWEST_PITCH
    near = (times[:, 0] < n_frames + reach) & (times[:, 1] > -reach) & (keys >= 0) & (keys < N_PITCHES)
    times, keys, loudness = times[near], keys[near], labels["notes"][near, 3]
    for target, centres in ((onset, times[:, 0]), (offset, times[:, 1])):
        frames = np.ceil(centres[:, None] - reach).astype(int) + np.arange(round(2 * reach) + 1)
        heights = 1 - np.abs(frames - centres[:, None]) / reach
        seen = np.nonzero((frames >= 0) & (frames < n_frames) & (heights > 0))
        np.maximum.at(target, (frames[seen], keys[seen[0]]), heights[seen])
    sounding = np.zeros((n_frames + 1, N_PITCHES), np.int32)
    for moments, change in ((times[:, 0], 1), (times[:, 1], -1)):
        np.add.at(sounding, (np.clip(np.ceil(moments), 0, n_frames).astype(int), keys), change)
    frame[:] = sounding.cumsum(0)[:-1] > 0
    around = round(_VELOCITY_REACH * frames_per_second)
    frames = np.round(times[:, :1]).astype(int) + np.arange(-around, around + 1)
    seen = np.nonzero((frames >= 0) & (frames < n_frames))
    places = frames[seen], keys[seen[0]]
    velocity[places] = loudness[seen[0]] / 127
    weight[places] = loudness[seen[0]] > 0
    if "pedals" not in labels:
        pedal[:] = -1
    else:
        for start, end in labels["pedals"] * frames_per_second - first:
            pedal[max(0, int(np.ceil(start))) : max(0, int(np.ceil(end)))] = 1
    return drawn


@dataclass(eq=False)
class Excerpts:
    """Random excerpts of pieces as batches; which ones depends on the seed, the step and the rank alone.

    (How they are augmented depends on the kind of device too: each has random numbers of its own.)

    Parameters
    ----------
    pieces
        At least one; the longer, the likelier.
    features
        What they were prepared with.
    n_batch, n_frames
        Excerpts a batch, frames an excerpt.
    seed
        Of all randomness.
    device
        Where batches lie.
    augmented
        Whether :mod:`train.augment` changes the features.

    Raises
    ------
    ValueError
        If there are no pieces.
    """

    pieces: list[Prepared]
    features: FeatureConfig
    n_batch: int
    n_frames: int
    seed: int
    device: torch.device
    augmented: bool = True

    def __post_init__(self) -> None:
        """Get ready to draw."""
        if not self.pieces:
            raise ValueError("no recordings with labels to learn from")
        self.shares = shares_of([piece.n_frames for piece in self.pieces])
        self.frequencies = self.features.mel_frequencies()

    def __call__(self, step: int, rank: int = 0) -> tuple[Tensor, Tensor]:
        """Features (batch, n_frames, n_mels) and targets (batch, 6, n_frames, 88)."""
        rng = np.random.default_rng([self.seed, step, rank])
        log_mel, target = self.read(draw_spans(self.pieces, self.shares, self.n_frames, self.n_batch, rng))
        if self.augmented:
            generator = torch.Generator(self.device).manual_seed(int(rng.integers(1 << 62)))
            log_mel = augment(narrow(log_mel, generator, self.frequencies), generator)
        return log_mel, target

    def read(self, spans: Sequence[tuple[int, int]]) -> tuple[Tensor, Tensor]:
        """Read excerpts, each a piece and its first frame, from disk."""
        log_mel = read_spans(self.pieces, spans, self.n_frames, self.features)
        rate = self.features.grid.frames_per_second
        target = np.stack([targets(self.pieces[index].labels, first, self.n_frames, rate) for index, first in spans])
        return torch.from_numpy(log_mel).to(self.device), torch.from_numpy(target).to(self.device)


@dataclass(eq=False)
class ExcerptsOnCard(Excerpts):
    """The same excerpts from recordings that lie in a graphics card's memory: 0.15 GB an hour, a byte a target.

    Onsets and offsets are rounded to 255ths. To read and draw 64 excerpts keeps a core busy for 35 ms, as long as an
    H200 takes for a step.
    """

    def __post_init__(self) -> None:
        """Put all recordings on the card."""
        super().__post_init__()
        device, n_mels = self.device, self.features.n_mels
        ends = np.cumsum([_room(piece, self.n_frames) for piece in self.pieces])
        self.starts = [0, *ends[:-1].tolist()]
        total = int(ends[-1])
        self.log_mel = torch.full((total, n_mels), silence(self.features), dtype=torch.float16, device=device)
        self.packed = torch.zeros((total, _PACKED), dtype=torch.uint8, device=device)
        self.scale = torch.tensor([[255.0], [1.0], [255.0], [127.0]], device=device)
        self.frames = torch.arange(self.n_frames, device=device)
        with ThreadPoolExecutor(4) as pool:  # a piece takes 7 kB a frame until it is packed
            for _ in pool.map(self._load, self.pieces, self.starts):
                pass

    def _load(self, piece: Prepared, start: int) -> None:
        span = piece.span(0, piece.n_frames)
        self.log_mel[start : start + len(span)] = torch.from_numpy(span).to(self.device)
        n_frames = _room(piece, self.n_frames)
        onset, frame, offset, velocity, _, pedal = targets(
            piece.labels, 0, n_frames, self.features.grid.frames_per_second
        )
        heads = np.stack([onset * 255, frame, offset * 255, velocity * 127], 1).reshape(n_frames, -1)
        known = np.where(pedal[:, :1] < 0, _UNKNOWN, pedal[:, :1])
        packed = torch.from_numpy(np.hstack([heads.round(), known]).astype(np.uint8))
        self.packed[start : start + n_frames] = packed.to(self.device)

    def read(self, spans: Sequence[tuple[int, int]]) -> tuple[Tensor, Tensor]:
        """Read excerpts, each a piece and its first frame, from the card."""
        firsts = torch.tensor([self.starts[index] + first for index, first in spans])
        # Not to wait here for the step that is under way.
        frames = firsts.to(self.device, non_blocking=True)[:, None] + self.frames
        packed = self.packed[frames].float()
        onset, frame, offset, velocity = (packed[..., :-1].view(*frames.shape, 4, N_PITCHES) / self.scale).unbind(2)
        pedal = torch.where(packed[..., -1:] == _UNKNOWN, -1.0, packed[..., -1:]).expand_as(onset)
        target = torch.stack([onset, frame, offset, velocity, (velocity > 0).float(), pedal], 1)
        return self.log_mel[frames].float(), target


def _room(piece: Prepared, n_frames: int) -> int:
    """Count the frames that a piece takes on the card: those of an excerpt at least."""
    return max(piece.n_frames, n_frames)


def fit_on_card(pieces: list[Prepared], features: FeatureConfig, n_frames: int, free: int) -> bool:
    """Say whether recordings fit in ``free`` bytes beside the network that learns from them."""
    needed = sum(_room(piece, n_frames) for piece in pieces) * (2 * features.n_mels + _PACKED)
    return needed < _SHARE_OF_CARD * free


def lie_on_card(
    pieces: list[Prepared], features: FeatureConfig, n_frames: int, device: torch.device, where: str
) -> bool:
    """Say whether recordings are to lie on the ``card`` or on ``disk``; ``auto``: on the card where they fit on one."""
    if where == "auto" and device.type == "cuda":
        return fit_on_card(pieces, features, n_frames, torch.cuda.mem_get_info(device)[0])
    return where == "card"


def choose_excerpts(
    pieces: list[Prepared],
    features: FeatureConfig,
    n_batch: int,
    n_frames: int,
    seed: int,
    device: torch.device,
    where: str = "auto",
) -> Excerpts:
    """Make excerpts of recordings on the ``card`` or on ``disk``; ``auto``: on the card where they fit on one."""
    on_card = lie_on_card(pieces, features, n_frames, device, where)
    return (ExcerptsOnCard if on_card else Excerpts)(pieces, features, n_batch, n_frames, seed, device)
