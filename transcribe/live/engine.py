"""Samples, as they come, to events: the spectrogram and the network with their state, and what tells the notes.

Nothing here waits, and nothing grows but the score of the take.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from transcribe.engine.features import FeatureConfig, LogMel
from transcribe.engine.tuning import RunningTuning
from transcribe.live.model import LiveListener, LiveModel
from transcribe.live.teller import COMMITTED, Teller
from transcribe.live.tracker import Event


class Spectrogram:
    """Log-mel of a stream: a frame as soon as its window has sounded."""

    def __init__(self, features: FeatureConfig) -> None:
        self.features = features
        self.tuning = RunningTuning(features.sample_rate)
        # Before the beginning there is silence.
        self._held = np.zeros(features.n_fft // 2, np.float32)

    def push(self, samples: np.ndarray) -> np.ndarray:
        """Take in samples, float32 (n,); return the frames that are whole now, (n_frames, n_mels)."""
        hop, size = self.features.hop_length, self.features.n_fft
        self.tuning.push(samples)
        self._held = np.concatenate([self._held, samples])
        if len(self._held) < size:
            return np.zeros((0, self.features.n_mels), np.float32)
        n_frames = 1 + (len(self._held) - size) // hop
        frames = _log_mel(self.features, self.tuning.cents)(self._held[: (n_frames - 1) * hop + size])
        self._held = self._held[n_frames * hop :]
        return frames


class Engine:
    """Hears a stream of samples at ``sample_rate`` and tells what is played.

    Parameters
    ----------
    model
        The network and its thresholds.
    latency
        Milliseconds from a note's onset to the newest sample that it is told by.

    Attributes
    ----------
    score
        What will be written: as the longest latency hears it.
    sent
        The notes as they were told, those withdrawn among them.

    Raises
    ------
    UsageError
        If the network has no heads for the latency.
    """

    def __init__(self, model: LiveModel, latency: int) -> None:
        self.features = model.features
        self.sample_rate = model.features.sample_rate
        self.latency = latency
        self.n_samples = 0
        self._spectrogram = Spectrogram(model.features)
        self._listener = LiveListener(model)
        self._teller = Teller(model, latency)
        self.score, self.sent = self._teller.score, self._teller.sent

    @property
    def time(self) -> float:
        """Seconds that have been heard."""
        return self.n_samples / self.sample_rate

    @property
    def cents(self) -> int:
        """How far the stream lies above A = 440 Hz by what is known."""
        return self._spectrogram.tuning.cents

    @property
    def n_withdrawn(self) -> int:
        """How many notes were told and turned out not to have been played."""
        return self._teller.n_withdrawn

    def push(self, samples: np.ndarray) -> list[Event]:
        """Hear more samples, float32 (n,); return what is known by them, in order."""
        self.n_samples += len(samples)
        return self._hear(samples)

    def finish(self) -> list[Event]:
        """End the stream: hear out what still sounds, and end every note."""
        silence = np.zeros(round((COMMITTED + 100) / 1000 * self.sample_rate), np.float32)
        return self._hear(silence) + self._teller.finish(self.time)

    def _hear(self, samples: np.ndarray) -> list[Event]:
        rows = self._spectrogram.push(samples)
        return [event for row in rows for event in self._teller.push(self._listener(row))]


@lru_cache(8)
def _log_mel(features: FeatureConfig, cents: int) -> LogMel:
    """Build what transforms samples; the filters take a while."""
    return LogMel(features, cents)
