"""The time base and the spectrogram front end.

Frame ``i`` is centred on sample ``i * hop_length``; whatever lies outside the recording is digital silence.
A log-mel frame is ``10 * log10(power + floor)``, shifted and scaled to about -2 … 2 for music at usual levels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

LOWEST_PITCH = 21
N_PITCHES = 88
# The largest sample_rate, hop_length, n_fft and n_mels that are believed.
_LIMITS = (384_000, 65_536, 65_536, 4_096)
# What is transformed at once stays in the processor's cache.
_FRAMES_AT_ONCE = 64


@dataclass(frozen=True)
class FrameGrid:
    """The time base: frame ``i`` stands at ``i * hop_length / sample_rate`` seconds.

    The rate of frames is never stored rounded, so nothing drifts over hours.
    """

    sample_rate: int
    hop_length: int

    @property
    def frames_per_second(self) -> float:
        """The exact rate of frames; not a whole number in general."""
        return self.sample_rate / self.hop_length

    def frames_to_time(self, frames: float | np.ndarray) -> float | np.ndarray:
        """Seconds at which (fractional) frames are centred."""
        return frames * self.hop_length / self.sample_rate

    def n_frames(self, n_samples: int) -> int:
        """Count the frames whose centre lies within ``n_samples`` samples; 0 for none.

        Examples
        --------
        >>> FrameGrid(16000, 320).n_frames(16001)
        51
        """
        return -(-n_samples // self.hop_length)


@dataclass(frozen=True)
class FeatureConfig:
    """The spectrogram front end; stored in every weights file.

    ``f_min`` and ``f_max`` in Hz; ``floor_db`` is the power added before the logarithm; ``offset_db`` and
    ``scale_db`` bring decibels to the network's range: ``(db + offset_db) / scale_db``.
    """

    sample_rate: int = 16000
    hop_length: int = 320
    n_fft: int = 2048
    n_mels: int = 229
    f_min: float = 30.0
    f_max: float = 8000.0
    floor_db: float = -100.0
    offset_db: float = 60.0
    scale_db: float = 20.0

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises
        ------
        ValueError
            If a size or a frequency makes no sense.
        """
        sizes = (self.sample_rate, self.hop_length, self.n_fft, self.n_mels)
        if not all(isinstance(size, int) and 0 < size <= limit for size, limit in zip(sizes, _LIMITS, strict=True)):
            raise ValueError("sample_rate, hop_length, n_fft and n_mels must be whole numbers of a sensible size")
        if not 0 <= self.f_min < self.f_max <= self.sample_rate / 2:
            raise ValueError("f_min and f_max must lie between 0 and half the sample_rate, the lower first")
        if not (math.isfinite(self.floor_db) and math.isfinite(self.offset_db) and 0 < self.scale_db < math.inf):
            raise ValueError("floor_db and offset_db must be finite, scale_db positive")

    @property
    def grid(self) -> FrameGrid:
        """The time base of these features."""
        return FrameGrid(self.sample_rate, self.hop_length)

    @property
    def silence(self) -> float:
        """What every band has where nothing sounds."""
        return (self.floor_db + self.offset_db) / self.scale_db

    def span_samples(self, n_frames: int) -> int:
        """Count the samples that ``n_frames`` frames need: ``n_fft / 2`` before the first centre, as many after."""
        return (n_frames - 1) * self.hop_length + self.n_fft

    def mel_frequencies(self) -> np.ndarray:
        """Centre frequencies of the mel bands in Hz, shape (n_mels,), on the HTK mel scale."""
        return _mel_frequencies(self, self.n_mels + 2)[1:-1]


def _bins(config: FeatureConfig, tuning: float) -> np.ndarray:
    """Frequencies of a spectrum in Hz, as they would be if the recording were in tune."""
    resolution = config.sample_rate / config.n_fft * 2.0 ** (-tuning / 1200)
    return np.asarray(np.arange(config.n_fft // 2 + 1) * resolution)


def _mel_frequencies(config: FeatureConfig, n: int) -> np.ndarray:
    """Equal steps of the mel scale from ``f_min`` to ``f_max``, in Hz."""
    mel = np.linspace(_hz_to_mel(config.f_min), _hz_to_mel(config.f_max), n)
    return np.asarray(700.0 * (10.0 ** (mel / 2595.0) - 1.0))


def _hz_to_mel(frequency: float) -> float:
    return 2595.0 * math.log10(1.0 + frequency / 700.0)


class LogMel:
    """Log-mel spectrogram in NumPy, of spans cut anywhere on the frame grid.

    Parameters
    ----------
    config
        Sizes, range and scaling.
    tuning
        Cents by which the recording lies above A = 440 Hz: its spectrum is seen as if it lay there.
    """

    def __init__(self, config: FeatureConfig, tuning: float = 0.0) -> None:
        self.config = config
        window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(config.n_fft) / config.n_fft)
        # A full-scale sine has a peak power of 1, whatever the window.
        self.window = (window * (2.0 / window.sum())).astype(np.float32)
        self._bands = _Bands(config, tuning)

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        """Transform a span of samples.

        Parameters
        ----------
        samples
            float32, shape (n_samples,); the first frame is centred on sample ``n_fft // 2``.

        Returns
        -------
        np.ndarray
            float32, shape (n_frames, n_mels).
        """
        config = self.config
        frames = np.lib.stride_tricks.sliding_window_view(samples, config.n_fft)[:: config.hop_length]
        log_mel = np.empty((len(frames), config.n_mels), np.float32)
        for first in range(0, len(frames), _FRAMES_AT_ONCE):
            rows = slice(first, first + _FRAMES_AT_ONCE)
            # In single precision from NumPy 2 on.
            spectrum = np.fft.rfft(frames[rows] * self.window)
            power = np.square(spectrum.real) + np.square(spectrum.imag)
            log_mel[rows] = self._bands(power)
        log_mel += np.float32(10.0 ** (config.floor_db / 10.0))
        np.log10(log_mel, out=log_mel)
        log_mel *= 10.0 / config.scale_db
        log_mel += config.offset_db / config.scale_db
        return log_mel

    def whole(self, samples: np.ndarray) -> np.ndarray:
        """Log-mel of a whole recording at this sample rate.

        Parameters
        ----------
        samples
            float32, shape (n_samples,), mono.

        Returns
        -------
        np.ndarray
            float32, shape (n_frames, n_mels); no frames for no samples.
        """
        config = self.config
        n_frames = config.grid.n_frames(len(samples))
        if not n_frames:
            return np.zeros((0, config.n_mels), np.float32)
        before = config.n_fft // 2
        after = config.span_samples(n_frames) - before - len(samples)
        return self(np.pad(samples.astype(np.float32, copy=False), (before, max(after, 0))))


class _Bands:
    """Power in the triangles of :func:`mel_filters`.

    Every bin lies on the slopes of two bands, so that sums over the bins between neighbouring edges are all it takes:
    sooner done than a matrix product, whose threads would get in the way of the networks'.
    """

    def __init__(self, config: FeatureConfig, tuning: float) -> None:
        filters = mel_filters(config, tuning)
        edges = _mel_frequencies(config, config.n_mels + 2)
        between = np.searchsorted(edges, _bins(config, tuning), side="right") - 1
        starts = np.searchsorted(between, np.arange(config.n_mels + 1))
        self._n_mels, self._used = config.n_mels, int(np.searchsorted(between, config.n_mels + 1))
        # Where no bin lies between two edges, the sum would be that of the next; there is none above the last bin.
        self._there = (np.diff(starts, append=self._used) > 0).astype(np.float32)[starts < self._used]
        self._starts = starts[starts < self._used]
        slope, row = np.clip(between, 0, config.n_mels), np.arange(len(between))
        rising = filters[row, np.minimum(slope, config.n_mels - 1)] * (slope < config.n_mels)
        falling = filters[row, np.maximum(slope - 1, 0)] * (slope > 0)
        self._rising, self._falling = (weights[: self._used].astype(np.float32) for weights in (rising, falling))

    def __call__(self, power: np.ndarray) -> np.ndarray:
        """(n_frames, n_fft // 2 + 1) -> (n_frames, n_mels)."""
        power = power[:, : self._used].astype(np.float32, copy=False)
        up, down = np.zeros((2, len(power), self._n_mels + 1), np.float32)
        for sums, weights in ((up, self._rising), (down, self._falling)):
            sums[:, : len(self._starts)] = np.add.reduceat(power * weights, self._starts, axis=1) * self._there
        bands: np.ndarray = up[:, :-1] + down[:, 1:]
        return bands


def mel_filters(config: FeatureConfig, tuning: float = 0.0) -> np.ndarray:
    """Triangles on the HTK mel scale, their peaks 1, as a matrix: float32 (n_fft // 2 + 1, n_mels).

    They are moved up by ``tuning`` cents.
    """
    edges = _mel_frequencies(config, config.n_mels + 2)
    bins = _bins(config, tuning)[:, None]
    widths = np.diff(edges)
    rising, falling = (bins - edges[:-2]) / widths[:-1], (edges[2:] - bins) / widths[1:]
    filters: np.ndarray = np.maximum(0, np.minimum(rising, falling)).astype(np.float32)
    return filters
