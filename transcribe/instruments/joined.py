"""What a network of any instruments' notes and one of the spectrum say, as the rows that a third one reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from transcribe.engine.features import N_PITCHES
from transcribe.instruments.decoder import FAMILIES, INSTRUMENTS
from transcribe.theory.families import DRUMS
from transcribe.theory.families import FAMILIES as OF_NOTES

if TYPE_CHECKING:
    from transcribe.instruments.decoder import TagActivations

N_LABELS = len(FAMILIES) + len(INSTRUMENTS)
# The columns of a row, by what they are: logits of the network of the spectrum, above the lowest; of each family of
# notes the sum and the maximum of what sounds over keys, the sum of onsets, the mean key; how much sounds, the lowest,
# the highest and the mean key; each class of drums, and the surest onset.
COLUMNS = {
    "logits": N_LABELS, "sounding": len(OF_NOTES), "surest": len(OF_NOTES), "beginning": len(OF_NOTES),
    "keys": len(OF_NOTES), "amount": 1, "range": 3, "drums": len(DRUMS), "onset": 1,
}  # fmt: skip
N_INPUTS = sum(COLUMNS.values())
# Probabilities this near to 0 and 1 are taken for no nearer. The lowest logit, so that a row of zeros is silence.
_LEAST = 1e-4
LOWEST = float(np.log(_LEAST / (1 - _LEAST)))
# A key sounds from this activation on. Frames that are taken together.
_SOUNDS, _PAIR = 0.5, 2


class Ensemble(Protocol):
    """What a network of any instruments hears: see :class:`transcribe.notes.ensemble.EnsembleActivations`."""

    @property
    def onset(self) -> np.ndarray: ...  # noqa: D102
    @property
    def frame(self) -> np.ndarray: ...  # noqa: D102
    @property
    def family(self) -> np.ndarray: ...  # noqa: D102
    @property
    def drum(self) -> np.ndarray: ...  # noqa: D102
    def __len__(self) -> int: ...


def rows(notes: Ensemble, heard: TagActivations) -> np.ndarray:
    """Make rows of blocks of the same frames, float32 (n_frames, N_INPUTS): those of a step are alike."""
    stride = heard.stride
    steps = np.concatenate([logits(heard), pooled(notes, stride)], axis=1)
    return np.repeat(steps, stride, axis=0)[: len(notes)].astype(np.float32)


def logits(heard: TagActivations) -> np.ndarray:
    """Give the logits of both vocabularies above the lowest, (n_steps, N_LABELS)."""
    found = np.clip(np.concatenate([heard.families, heard.instruments], axis=1), _LEAST, 1 - _LEAST)
    return np.asarray(np.log(found / (1 - found)) - LOWEST)


def pooled(notes: Ensemble, stride: int) -> np.ndarray:
    """Sum up what is heard of notes in every step of ``stride`` frames, (n_steps, the other columns).

    Two frames are taken together: families are told for as many.
    """
    n_steps = -(-len(notes) // stride)

    def cut(values: np.ndarray, size: int) -> np.ndarray:
        """Cut (n, …) into parts of ``size``, as many as the steps have in all; the last goes on to their end."""
        missing = n_steps * stride - len(values)
        padded = np.pad(values, ((0, missing), *((0, 0),) * (values.ndim - 1)), mode="edge")
        return padded.reshape(-1, size, *values.shape[1:])

    n_pairs = stride // _PAIR
    onset, frame = cut(notes.onset, _PAIR).max(1), cut(notes.frame, _PAIR).mean(1)
    family = cut(notes.family, _PAIR)[:, 0]
    key = np.arange(N_PITCHES, dtype=np.float32) / N_PITCHES
    sounding, beginning, keys = (np.matmul(each[:, None], family)[:, 0] for each in (frame, onset, frame * key))
    surest = (frame[..., None] * family).max(1)
    amount, sounds = frame.sum(1, keepdims=True), frame > _SOUNDS
    some = sounds.any(1)
    lowest = np.where(some, sounds.argmax(1), 0) / N_PITCHES
    highest = np.where(some, N_PITCHES - 1 - sounds[:, ::-1].argmax(1), 0) / N_PITCHES
    mean = (frame @ key) / (amount[:, 0] + 1e-3)

    def steps(values: np.ndarray) -> np.ndarray:
        return values.reshape(n_steps, n_pairs, -1)

    of_all = steps(sounding).mean(1)
    return np.concatenate(
        [
            of_all, steps(surest).max(1), steps(beginning).mean(1), steps(keys).mean(1) / (of_all + 0.02),
            steps(amount).mean(1), steps(np.stack([lowest, highest, mean], axis=1)).mean(1),
            cut(notes.drum, stride).max(1), cut(notes.onset.max(1, keepdims=True), stride).max(1),
        ], axis=1,
    )  # fmt: skip
