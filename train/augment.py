"""Random changes to a batch of log-mel features: what costs nothing here and would cost time in the renderer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


def augment(log_mel: Tensor, generator: torch.Generator, colour: float = 0.12, noisiest: float = -0.2) -> Tensor:
    """Change loudness, colour and noise floor of every excerpt on its own.

    Gain within +-8 dB, a smooth equalisation of about +-4 dB, and, for half of them, a noise floor of a random
    colour that hides what is softer.

    Parameters
    ----------
    log_mel
        Shape (batch, n_frames, n_mels), in units of 20 dB.
    generator
        All randomness comes from it; on the CPU or where the features are.
    colour
        Standard deviation of the equalisation's seven points; 0.12 is 2.4 dB.
    noisiest
        The highest noise floor; -0.2 is -64 dB, 0.8 is -44 dB.
    """
    n_batch, n_frames, n_mels = log_mel.shape

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, device=generator.device).to(log_mel.device)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        lot = torch.rand(shape, generator=generator, device=generator.device)
        return (lot * (high - low) + low).to(log_mel.device)

    def curve(spread: float) -> Tensor:
        knots = normal(n_batch, 1, 7) * spread
        return torch.nn.functional.interpolate(knots, n_mels, mode="linear", align_corners=True)

    changed = log_mel + uniform(-0.4, 0.4, n_batch, 1, 1) + curve(colour)
    noisy = (uniform(0, 1, n_batch, 1, 1) < 0.5).float()
    # The floor lies above -2.2 (-104 dB: nothing), its power exponentially distributed.
    floor = uniform(-2.2, noisiest, n_batch, 1, 1) + curve(0.3) - 3.0 * (1 - noisy)
    grain = uniform(0.02, 1, n_batch, n_frames, n_mels).log().neg().log10() * 0.5
    natural = 2 * 2.302585  # a unit is 20 dB: the exponent of power is 2 * ln 10
    return torch.logaddexp(changed * natural, (floor + grain) * natural) / natural


def narrow(log_mel: Tensor, generator: torch.Generator, frequencies: np.ndarray, share: float = 0.15) -> Tensor:
    """Cut the band of a ``share`` of the excerpts as telephones and small loudspeakers do.

    Below 100-500 Hz and above 2.5-7 kHz they fall by 12-96 dB an octave.

    Parameters
    ----------
    log_mel
        Shape (batch, n_frames, n_mels), in units of 20 dB.
    generator
        All randomness comes from it; on the CPU or where the features are.
    frequencies
        Of the bands, in Hz.
    share
        0-1.
    """
    octaves = torch.from_numpy(np.log2(frequencies)).float().to(generator.device, non_blocking=True)
    low, high, slope, lot = torch.rand((4, len(log_mel), 1, 1), generator=generator, device=generator.device)
    below = (np.log2(100) + low * np.log2(5) - octaves).clamp(min=0)
    above = (octaves - np.log2(2500) - high * np.log2(2.8)).clamp(min=0)
    cut = (below + above) * (0.6 + 4.2 * slope) * (lot < share)
    floor = log_mel.clamp(max=-2.0)  # -100 dB: the features know nothing softer
    return torch.maximum(log_mel - cut.to(log_mel.device), floor)


def hide(log_mel: Tensor, generator: torch.Generator, spans: Sequence[tuple[int, int]]) -> Tensor:
    """Hide spans of every excerpt behind its mean (SpecAugment, Park et al. 2019).

    Parameters
    ----------
    log_mel
        Shape (batch, n_frames, n_bands).
    generator
        On the CPU; all randomness comes from it.
    spans
        For each span the axis, 1 for time or 2 for frequency, and its greatest width.
    """
    for axis, widest in spans:
        place = torch.arange(log_mel.shape[axis])
        width = torch.randint(0, widest + 1, (len(log_mel), 1), generator=generator)
        first = (torch.rand((len(log_mel), 1), generator=generator) * (log_mel.shape[axis] - width)).long()
        hidden = ((place >= first) & (place < first + width)).unsqueeze(2 if axis == 1 else 1)
        log_mel = torch.where(hidden.to(log_mel.device), log_mel.mean((1, 2), keepdim=True), log_mel)
    return log_mel
