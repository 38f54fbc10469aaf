"""Samples, as they come, to events: the spectrogram and the network with their state, and a tracker for each latency.

Nothing here waits, and nothing grows but the score of the take.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import numpy as np

from transcribe.engine.features import FeatureConfig, LogMel
from transcribe.engine.tuning import RunningTuning
from transcribe.live.delays import LATENCIES
from transcribe.live.model import LiveListener, LiveModel
from transcribe.live.tracker import Event, Kind, Said, Score

# Notes that were sent early are looked for, among those that the longest latency hears, so near, in seconds.
_SAME = 0.08
# What is commited to waits for the longest latency, in milliseconds.
COMMITTED = max(LATENCIES)


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
        self.score, self.sent = Score(), Score()
        self.n_samples = 0
        self.n_withdrawn = 0
        self._spectrogram = Spectrogram(model.features)
        self._listener = LiveListener(model)
        self._early = model.tracker(latency)
        self._late = model.tracker(COMMITTED) if latency < COMMITTED else self._early
        # Notes that were told and not yet heard by the longest latency.
        self._open: list[Event] = []

    @property
    def time(self) -> float:
        """Seconds that have been heard."""
        return self.n_samples / self.sample_rate

    @property
    def cents(self) -> int:
        """How far the stream lies above A = 440 Hz by what is known."""
        return self._spectrogram.tuning.cents

    def push(self, samples: np.ndarray) -> list[Event]:
        """Hear more samples, float32 (n,); return what is known by them, in order."""
        self.n_samples += len(samples)
        events: list[Event] = []
        for row in self._spectrogram.push(samples):
            events += self._step(self._listener(row))
        return events

    def finish(self) -> list[Event]:
        """End the stream: hear out what still sounds, and end every note."""
        end = self.time
        silence = np.zeros(round((COMMITTED + 100) / 1000 * self.sample_rate), np.float32)
        events: list[Event] = []
        for row in self._spectrogram.push(silence):
            events += self._step(self._listener(row))
        events += self._told(self._early.finish())
        if self._late is not self._early:
            self.score.add(self._late.finish())
        self.score.close(end)
        self.sent.close(end)
        return events

    def _step(self, said: Said) -> list[Event]:
        events = self._early.push(said)
        if self._late is self._early:
            self.score.add(events)
        else:
            committed = self._late.push(said)
            self.score.add(committed)
            events += self._withdrawn(committed)
        return self._told(events)

    def _told(self, events: list[Event]) -> list[Event]:
        self.sent.add(events)
        if self._late is not self._early:
            self._open += [event for event in events if event.kind is Kind.NOTE_ON]
        return events

    def _withdrawn(self, committed: Iterable[Event]) -> list[Event]:
        """End what was told and turns out not to have been played."""
        for event in committed:
            if event.kind is Kind.NOTE_ON:
                self._open = [
                    told for told in self._open if told.pitch != event.pitch or abs(told.time - event.time) > _SAME
                ]
        # The latest at which the longest latency may still tell of a note.
        heard = self._late.time - _SAME - 2 * self.features.hop_length / self.sample_rate
        gone = [told for told in self._open if told.time < heard]
        if not gone:
            return []
        self._open = [told for told in self._open if told.time >= heard]
        events: list[Event] = []
        for told in gone:
            now = self.sent.sounding.get(told.pitch)
            self.n_withdrawn += 1
            if now is not None and now.time == told.time:
                events += self._early.release(told.pitch)
        return events


@lru_cache(8)
def _log_mel(features: FeatureConfig, cents: int) -> LogMel:
    """Build what transforms samples; the filters take a while."""
    return LogMel(features, cents)
