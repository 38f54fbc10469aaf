"""What the beat network says of every frame, and the scales that its numbers stand on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from transcribe.beats.features import FRAME_RATE

# Beats a minute that are told apart: steps of 2.9 %, the beats between 25 and 240 a minute.
N_TEMPI = 80
SLOWEST, FASTEST = 25.0, 240.0
# Seconds from beat to beat, the longest first.
PERIODS = 60 / np.geomspace(SLOWEST, FASTEST, N_TEMPI)
# Beats in a bar that are told apart; in compound metres a beat is the dotted note (6/8 has two, 12/8 four).
METRES = (1, 2, 3, 4, 5, 6, 7, 8, 9, 12)


@dataclass(frozen=True)
class BeatActivations:
    """Probabilities of n frames, ``FRAME_RATE`` a second from the start of the music.

    A beat is what musicians count: the dotted note in 6/8, 9/8 and 12/8, the denominator's note in all other metres.

    Attributes
    ----------
    beat, downbeat
        float32 (n,): that a beat, and that the first beat of a bar, lies at this frame. A downbeat is a beat too.
    triple
        float32 (n,): that the beat here divides in three by its metre.
    tempo
        float32 (n, N_TEMPI): that beats here are ``PERIODS`` apart; a frame's sum is 1.
    metre
        float32 (n, len(METRES)): that the bar here has ``METRES`` beats; a frame's sum is 1.
    """

    beat: np.ndarray
    downbeat: np.ndarray
    triple: np.ndarray
    tempo: np.ndarray
    metre: np.ndarray

    def __len__(self) -> int:
        return len(self.beat)

    @property
    def times(self) -> np.ndarray:
        """Seconds of the frames, (n,)."""
        return np.arange(len(self)) / FRAME_RATE
