"""A network's output before any threshold, for those who decode it their own way: NumPy's .npz."""

from __future__ import annotations

import contextlib
import io
import shutil
import tempfile
import zipfile
from collections.abc import Sequence
from typing import IO

import numpy as np
from numpy.lib import format as npy

from transcribe.engine.features import LOWEST_PITCH
from transcribe.engine.task import Activations
from transcribe.errors import OutputError, UsageError
from transcribe.events import Transcription
from transcribe.formats.format import Rendering

# Bytes that are compressed at a time.
_PIECE = 1 << 20


class Collected(contextlib.ExitStack):
    """Activations of a recording, block by block, in temporary files until they are written: of hours they are much.

    A context manager, whose end deletes the files.
    """

    def __init__(self) -> None:
        super().__init__()
        self._files: dict[str, IO[bytes]] = {}
        self._widths: dict[str, tuple[int, ...]] = {}
        self._n_frames = 0
        self._rate = 0.0

    def add(self, block: Activations) -> None:
        """Add the next frames.

        Raises
        ------
        OutputError
            If there is no room for temporary files.
        """
        try:
            for name, value in vars(block).items():
                if not isinstance(value, np.ndarray):
                    continue
                roll = value.astype(np.float16)
                if name not in self._files:
                    self._files[name] = self.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - it is
                    self._widths[name] = roll.shape[1:]
                self._files[name].write(roll.tobytes())
        except OSError as error:
            raise OutputError(f"activations can't be kept in temporary files: {error.strerror}") from None
        self._n_frames += len(block)
        self._rate = block.grid.frames_per_second

    def write(self, output: IO[bytes]) -> None:
        """Write what was added as :func:`numpy.savez_compressed` does."""
        with zipfile.ZipFile(output, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, value in (("frames_per_second", self._rate), ("lowest_pitch", LOWEST_PITCH)):
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    npy.write_array(member, np.asanyarray(value), allow_pickle=False)
            for name, file in self._files.items():
                shape = (self._n_frames, *self._widths[name])
                header = {"descr": npy.dtype_to_descr(np.dtype(np.float16)), "fortran_order": False, "shape": shape}
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    npy.write_array_header_1_0(member, header)
                    file.seek(0)
                    shutil.copyfileobj(file, member, _PIECE)


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
    buffer = io.BytesIO()
    with Collected() as collected:
        for block in blocks:
            collected.add(block)
        collected.write(buffer)
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
