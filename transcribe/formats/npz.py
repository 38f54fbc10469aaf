"""What the network heard, before any threshold, for those who decode it their own way: NumPy's .npz."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np

from transcribe.engine.features import LOWEST_PITCH
from transcribe.errors import UsageError
from transcribe.events import Transcription
from transcribe.notes.decoder import Activations


def to_npz(blocks: Sequence[Activations]) -> bytes:
    """Write activations.

    Parameters
    ----------
    blocks
        Of consecutive frames, none for a recording without samples.

    Returns
    -------
    bytes
        ``onset``, ``frame``, ``offset``, ``velocity`` float16 (n_frames, 88) and ``pedal`` (n_frames,), each 0-1;
        ``frames_per_second``, ``lowest_pitch``; frame i is centred on ``i / frames_per_second`` seconds.
    """
    arrays = {
        name: np.concatenate([getattr(block, name).astype(np.float16) for block in blocks])
        for name in ("onset", "frame", "offset", "velocity", "pedal")
        if blocks
    }
    rate = blocks[0].grid.frames_per_second if blocks else 0.0
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, frames_per_second=rate, lowest_pitch=LOWEST_PITCH, **arrays)
    return buffer.getvalue()


def refuse(_: Transcription) -> bytes:
    """Stand for the writer where there is a transcription only."""
    raise UsageError("activations (.npz) are written while listening: pitchai song.wav -o song.npz")
