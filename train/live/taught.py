"""What a teacher says of the recordings, computed once and kept beside their features; and excerpts with it.

The teacher hears a recording as it is, past and future, at a fraction of the cost of hearing every batch anew. What
:mod:`train.augment` hides of an excerpt it has heard all the same; hardly anything is hidden whole.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from train.cache import Prepared
from train.notes.excerpts import Excerpts
from transcribe.engine.features import N_PITCHES
from transcribe.engine.weights import load_model
from transcribe.engine.windows import cut_windows
from transcribe.notes.task import NOTES

# What a teacher says, each in 255ths: onset, frame, offset and velocity of every pitch, and the pedal.
N_SAID = 4 * N_PITCHES + 1
# Its plane in the targets.
_PEDAL = 5


def teach(pieces: Sequence[Prepared], teacher: str) -> list[Path]:
    """Let a shipped notes network hear recordings, those that it hasn't heard yet; on one thread of the CPU.

    Returns
    -------
    list of Path
        For every piece an ``.npy`` file, uint8 (n_frames, 353).
    """
    model = load_model(NOTES, teacher)
    paths = [piece.features.with_suffix(f".{model.name}.npy") for piece in pieces]
    for piece, path in zip(tqdm(pieces, desc=model.name), paths, strict=True):
        if path.exists():
            continue
        frames = [(piece.span(0, piece.n_frames).astype(np.float32), 0, piece.n_frames)]
        border, rows = model.network.border, []
        for window, count in cut_windows(iter(frames), border, model.features.silence):
            heads = [head[border : border + count].reshape(count, -1) for head in model.network(window)]
            rows.append(np.concatenate(heads, axis=1))
        part = path.with_suffix(f".{os.getpid()}.part.npy")
        np.save(part, (np.concatenate(rows) * 255).round().astype(np.uint8))
        part.replace(path)
    return paths


@dataclass(eq=False)
class TaughtExcerpts(Excerpts):
    """Excerpts whose targets are mixed: ``share`` (0-1) of what a teacher says, the rest the labels'.

    Of the pedal the teacher alone speaks where the labels say nothing.
    """

    said: list[Path] = field(default_factory=list)
    share: float = 0.7

    def read(self, spans: Sequence[tuple[int, int]]) -> tuple[Tensor, Tensor]:
        """Read excerpts, each a piece and its first frame, from disk."""
        log_mel, target = super().read(spans)
        said = torch.zeros(len(spans), self.n_frames, N_SAID, dtype=torch.uint8)
        for row, (index, first) in zip(said, spans, strict=True):
            found = np.load(self.said[index], mmap_mode="r")[first : first + self.n_frames]
            row[: len(found)] = torch.from_numpy(np.array(found))
        taught = said.to(self.device).float() / 255
        heads = taught[..., :-1].view(len(spans), self.n_frames, 4, N_PITCHES).transpose(1, 2)
        target[:, :4].lerp_(heads, self.share)
        pedal = taught[..., -1:].expand(-1, -1, N_PITCHES)
        labelled = target[:, _PEDAL]
        target[:, _PEDAL] = torch.where(labelled < 0, pedal, labelled.lerp(pedal, self.share))
        return log_mel, target
