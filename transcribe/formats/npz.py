"""A network's output before any threshold, for those who decode it their own way: NumPy's .npz."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np

from transcribe.engine.features import LOWEST_PITCH
from transcribe.engine.task import Activations
from transcribe.errors import UsageError
from transcribe.events import Transcription
from transcribe.formats.format import Rendering


def to_npz(blocks: Sequence[Activations]) -> bytes:
    """Write activations.

    Parameters
    ----------
    blocks
        Of consecutive frames, none for a recording without samples.

    Returns
    -------
    bytes
        Every array of the blocks, in float16 and joined: of notes ``onset``, ``frame``, ``offset``, ``velocity``
        (n_frames, 88) and ``pedal`` (n_frames,), each 0-1; ``frames_per_second``, ``lowest_pitch``; frame i is centred
        on ``i / frames_per_second`` seconds.
    """
    names = [name for name, value in vars(blocks[0]).items() if isinstance(value, np.ndarray)] if blocks else []
    arrays = {name: np.concatenate([getattr(block, name).astype(np.float16) for block in blocks]) for name in names}
    rate = blocks[0].grid.frames_per_second if blocks else 0.0
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, frames_per_second=rate, lowest_pitch=LOWEST_PITCH, **arrays)
    return buffer.getvalue()


def write(_: Transcription, rendering: Rendering) -> bytes:
    """Write the activations that a transcription was made of.

    Raises
    ------
    UsageError
        If they weren't kept.
    """
    if rendering.activations is None:
        raise UsageError("activations (.npz) are written while listening: pitchai song.wav -o song.npz")
    return to_npz(rendering.activations)
