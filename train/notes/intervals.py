"""A loss for whole notes: how sure the decoder's own score is of where they end.

The decoder ends a note where the sum of its frames' logits and the logarithm of the offset, weighted, is greatest
(:class:`transcribe.notes.ends.SegmentedEnds`). Of all the ends that a note could have, until its key is struck again or
the excerpt ends, the softmax of that score says how likely each is; the loss is the surprise at the true end, within
what metrics allow (compare Yan et al. 2021, who learn the score of every interval).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

# In seconds: no note is shorter for the decoder; ends so near the true one are right, or nearer than this share of the
# note's length; no end is looked for later.
_SHORTEST = 0.04
_NEAR, _NEAR_SHARE = 0.05, 0.2
_LONGEST = 4.0
# What the logarithm of the offset counts beside a frame of 20 ms.
_OFFSET_WEIGHT = 9.0
# A triangle's height from which on its highest frame is a mark.
_MARK = 0.5


def interval_loss(frame: Tensor, offset: Tensor, target: Tensor, frames_per_second: float) -> Tensor:
    """Compute the mean surprise, in nats, at the ends of the notes that begin and end within their excerpt.

    Parameters
    ----------
    frame, offset
        Logits, (batch, n_frames, 88).
    target
        As :func:`train.notes.excerpts.targets` draws it, (batch, 6, n_frames, 88).
    frames_per_second
        Of the features.
    """
    n_frames = frame.shape[1]
    where, began, ended, limit = _notes(target[:, 0], target[:, 2])
    # Time last, a row a note: the sum of the logits before each frame, and the offset's.
    rows = frame.float().transpose(1, 2)[where[:, 0], where[:, 1]] * (50 / frames_per_second)
    sums = rows.cumsum(1) - rows
    ends = nn.functional.logsigmoid(offset.float().transpose(1, 2)[where[:, 0], where[:, 1]])
    score = sums + _OFFSET_WEIGHT * ends
    time = torch.arange(n_frames, device=frame.device)
    first, last = began + max(1, round(_SHORTEST * frames_per_second)), began + round(_LONGEST * frames_per_second)
    possible = (time >= first[:, None]) & (time <= torch.minimum(limit, last)[:, None])
    near = torch.clamp(_NEAR_SHARE * (ended - began), min=_NEAR * frames_per_second)
    right = possible & ((time - ended[:, None]).abs() <= near[:, None])
    known = right.any(1)
    score = score.masked_fill(~possible, -torch.inf)[known]
    surprise = score.logsumexp(1) - score.masked_fill(~right[known], -torch.inf).logsumexp(1)
    return surprise.sum() / known.sum().clamp(min=1)


def _notes(onset: Tensor, offset: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Find notes in their marks, (batch, n_frames, 88).

    Returns
    -------
    tuple of Tensor
        Excerpt and key of each note, (n, 2); the frames at which it begins and ends; the last frame at which it could
        end: where its key is struck again, or the excerpt's last.
    """
    n_frames = onset.shape[1]
    starts = _marks(onset).transpose(1, 2)
    stops = _marks(offset).transpose(1, 2)
    time = torch.arange(n_frames, device=onset.device)
    # The first frame from each on that is marked.
    following = [torch.where(marks, time, n_frames).flip(2).cummin(2).values.flip(2) for marks in (starts, stops)]
    batch, key, began = starts.nonzero(as_tuple=True)
    later = (began + 1).clamp(max=n_frames - 1)
    struck, ended = (after[batch, key, later] for after in following)
    within = (ended < n_frames) & (ended <= struck) & (began + 1 < n_frames)
    limit = struck.clamp(max=n_frames - 1)
    return torch.stack([batch, key], 1)[within], began[within], ended[within], limit[within]


def _marks(triangles: Tensor) -> Tensor:
    """Tell at which frames triangles have their highest point."""
    silent = torch.zeros_like(triangles[:, :1])
    before, after = torch.cat([silent, triangles[:, :-1]], 1), torch.cat([triangles[:, 1:], silent], 1)
    return (triangles >= _MARK) & (triangles > before) & (triangles >= after)
