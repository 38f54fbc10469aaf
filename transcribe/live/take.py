"""The sound of a take, kept on disk while it lasts: for a second hearing, or for good."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import IO

import numpy as np

from transcribe.batch.atomic import write_atomically
from transcribe.errors import OutputError


class Take:
    """A WAV file of 16 bits in the folder of temporary files, gone at the end.

    Parameters
    ----------
    sample_rate
        Hz.
    """

    def __init__(self, sample_rate: int) -> None:
        self._rate = sample_rate

    def __enter__(self) -> Take:
        import soundfile

        self._folder = tempfile.TemporaryDirectory(prefix="pitchai-")
        self.path = Path(self._folder.name) / "take.wav"
        self._file = soundfile.SoundFile(self.path, "w", self._rate, 1, "PCM_16")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Forget the sound."""
        self._file.close()
        self._folder.cleanup()

    def add(self, samples: np.ndarray) -> None:
        """Keep more samples, float32 (n,).

        Raises
        ------
        OutputError
            If the disk is full.
        """
        try:
            self._file.write(np.clip(samples, -1, 1))
        except (OSError, RuntimeError) as error:
            raise OutputError(f"{self._folder.name}: the sound can't be kept: {error}") from None

    def write(self, path: Path, overwrite: bool) -> None:
        """Copy the sound to where it is to stay; nothing is added after that."""
        self._file.flush()

        def content(file: IO[bytes]) -> None:
            with open(self.path, "rb") as kept:
                shutil.copyfileobj(kept, file)

        write_atomically(path, content, overwrite)
