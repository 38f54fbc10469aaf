"""The time base and the spectrogram front end.

Frame ``i`` is centred on sample ``i * hop_length``; whatever lies outside the recording is digital silence.
A log-mel frame is ``10 * log10(power + floor)``, shifted and scaled to about -2 … 2 for music at usual levels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

LOWEST_PITCH = 21
N_PITCHES = 88
# The largest sample_rate, hop_length, n_fft and n_mels that are believed.
_LIMITS = (384_000, 65_536, 65_536, 4_096)


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
        """Count the frames whose centre lies within ``n_samples`` samples; 0 for none."""
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

    def span_samples(self, n_frames: int) -> int:
        """Count the samples that ``n_frames`` frames need: ``n_fft / 2`` before the first centre, as many after."""
        return (n_frames - 1) * self.hop_length + self.n_fft

    def mel_frequencies(self) -> np.ndarray:
        """Centre frequencies of the mel bands in Hz, shape (n_mels,), on the HTK mel scale."""
        mel = np.linspace(_hz_to_mel(self.f_min), _hz_to_mel(self.f_max), self.n_mels + 2)[1:-1]
        return np.asarray(700.0 * (10.0 ** (mel / 2595.0) - 1.0))


def _hz_to_mel(frequency: float) -> float:
    return 2595.0 * math.log10(1.0 + frequency / 700.0)


class LogMel:
    """Log-mel spectrogram on torchaudio's mel filters, of spans cut anywhere on the frame grid.

    Parameters
    ----------
    config
        Sizes, range and scaling.
    device
        Where the transform runs: a torch device or its name.
    """

    def __init__(self, config: FeatureConfig, device: str | torch.device = "cpu") -> None:
        import torch
        from torchaudio.functional import melscale_fbanks

        self.config = config
        window = torch.hann_window(config.n_fft)
        # A full-scale sine has a peak power of 1, whatever the window.
        self.window = (window * (2.0 / window.sum())).to(device)
        self.filters = melscale_fbanks(
            config.n_fft // 2 + 1, config.f_min, config.f_max, config.n_mels, config.sample_rate
        ).to(device)

    def span_samples(self, n_frames: int) -> int:
        """Count the samples that ``n_frames`` frames need, as :meth:`FeatureConfig.span_samples`."""
        return self.config.span_samples(n_frames)

    def __call__(self, samples: torch.Tensor) -> torch.Tensor:
        """Transform spans of samples.

        Parameters
        ----------
        samples
            Shape (..., n_samples); the first frame is centred on sample ``n_fft // 2``.

        Returns
        -------
        torch.Tensor
            Shape (..., n_frames, n_mels).
        """
        import torch

        config = self.config
        frames = samples.unfold(-1, config.n_fft, config.hop_length) * self.window
        # Real and imaginary part apart: a complex magnitude takes a root that would only be squared again.
        spectrum = torch.view_as_real(torch.fft.rfft(frames))
        power = spectrum[..., 0].square().addcmul_(spectrum[..., 1], spectrum[..., 1]) @ self.filters
        decibels = 10.0 * (power + 10.0 ** (config.floor_db / 10.0)).log10()
        scaled: torch.Tensor = (decibels + config.offset_db) / config.scale_db
        return scaled

    def whole(self, samples: np.ndarray, chunk_frames: int = 3000) -> np.ndarray:
        """Log-mel of a whole recording at this sample rate, computed in chunks.

        Parameters
        ----------
        samples
            float32, shape (n_samples,), mono.

        Returns
        -------
        np.ndarray
            float32, shape (n_frames, n_mels); no frames for no samples.
        """
        import torch

        config = self.config
        half = config.n_fft // 2
        n_frames = config.grid.n_frames(len(samples))
        padded = np.concatenate([np.zeros(half, np.float32), samples, np.zeros(half + config.hop_length, np.float32)])
        chunks = [np.zeros((0, config.n_mels), np.float32)]
        for first in range(0, n_frames, chunk_frames):
            start = first * config.hop_length
            span = padded[start : start + self.span_samples(min(chunk_frames, n_frames - first))]
            chunks.append(self(torch.from_numpy(span)).numpy())
        return np.concatenate(chunks)
