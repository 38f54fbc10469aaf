"""Networks in torch: on a GPU in batches, on a CPU window by window; and the spectrogram that a GPU computes."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor, nn

from transcribe.engine.devices import set_torch_threads
from transcribe.engine.features import FeatureConfig, mel_filters
from transcribe.engine.task import Frames, Heads


class TorchLogMel(nn.Module):
    """What :class:`transcribe.engine.features.LogMel` computes, on a GPU."""

    window: Tensor  # (n_fft,)
    filters: Tensor  # (n_fft // 2 + 1, n_mels)

    def __init__(self, features: FeatureConfig, tuning: float = 0.0) -> None:
        super().__init__()
        self.features = features
        self.register_buffer("window", torch.hann_window(features.n_fft))
        self.register_buffer("filters", torch.from_numpy(mel_filters(features, tuning)))
        # A full-scale sine has a peak power of 1, whatever the window.
        self.scale = (2.0 / float(self.window.sum())) ** 2

    def forward(self, samples: Tensor) -> Tensor:
        """(…, n_samples) -> (…, n_frames, n_mels); the first frame is centred on sample ``n_fft // 2``."""
        features = self.features
        spectrum = torch.stft(
            samples, features.n_fft, features.hop_length, window=self.window, center=False, return_complex=True
        )
        power = spectrum.abs().pow(2.0).transpose(-1, -2) @ self.filters * self.scale
        decibels = 10.0 * (power + 10.0 ** (features.floor_db / 10.0)).log10()
        log_mel: Tensor = (decibels + features.offset_db) / features.scale_db
        return log_mel


def run_in_torch(
    windows: Iterable[Frames], network: nn.Module, batch_size: int, threads: int | None = None
) -> Iterator[tuple[Heads, int]]:
    """Run a network over windows: its activations, and how many frames each window answers for.

    ``batch_size`` is that of a GPU. A CPU takes one at a time: a batch would only leave its cache.
    """
    set_torch_threads(threads)
    parameter = next(network.parameters())
    size = batch_size if parameter.device.type == "cuda" else 1

    def predict(log_mel: Tensor) -> tuple[Tensor, ...]:
        heads: tuple[Tensor, ...] = network(log_mel).activations()
        return heads

    for batch in _batches(windows, size):
        # A batch is filled up, so that its size never changes the arithmetic.
        rows = [torch.as_tensor(window) for window, _ in batch]
        rows += rows[:1] * (size - len(rows))
        # TF32 would cost three of the digits in which devices agree.
        with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            heads = within_memory(predict, torch.stack(rows).to(parameter.dtype), network)
            arrays = [head.cpu().numpy() for head in heads]
        for row, (_, n_frames) in enumerate(batch):
            yield tuple(array[row] for array in arrays), n_frames


def within_memory(
    predict: Callable[[Tensor], tuple[Tensor, ...]], batch: Tensor, network: nn.Module
) -> tuple[Tensor, ...]:
    """Run a network; where a GPU's memory doesn't do, on halves of the batch, and in the end on the CPU."""
    device = next(network.parameters()).device
    try:
        return predict(batch.to(device))
    except torch.OutOfMemoryError:
        if device.type == "cpu":
            raise
    torch.cuda.empty_cache()
    if len(batch) > 1:
        halves = [within_memory(predict, half, network) for half in batch.chunk(2)]
        return tuple(torch.cat([a.cpu(), b.cpu()]) for a, b in zip(*halves, strict=True))
    warnings.warn(f"{device} is out of memory: the rest is done on the CPU, which takes longer", stacklevel=2)
    network.to("cpu")
    return predict(batch.cpu())


def _batches(windows: Iterable[Frames], size: int) -> Iterator[list[Frames]]:
    """Put windows together, up to ``size`` of the same length."""
    batch: list[Frames] = []
    for window in windows:
        if batch and (len(batch) == size or len(window[0]) != len(batch[0][0])):
            yield batch
            batch = []
        batch.append(window)
    if batch:
        yield batch
