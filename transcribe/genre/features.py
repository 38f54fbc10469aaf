"""What a genre is judged by: excerpts as a row of figures, as log-mel or as a constant-Q transform.

The row is that of the table of GTZAN's features that is handed around: librosa's defaults at 22,050 Hz over 30 s, mean
and variance over the frames. The table doesn't say how it was made; its columns' names, its sampling and its tempi
(multiples of librosa's default resolution) agree with what is done here. ``harmony`` and ``perceptr`` are taken as the
harmonic and the percussive part of the waveform, the tempo as the beat tracker's.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import ModuleType

import numpy as np

from transcribe.engine.features import FeatureConfig
from transcribe.errors import import_optional

N_MFCC = 20
_MEANS = ("chroma_stft", "rms", "spectral_centroid", "spectral_bandwidth", "rolloff", "zero_crossing_rate")
# Mean and variance of each but the tempo.
COLUMNS = (
    *(f"{name}_{kind}" for name in (*_MEANS, "harmony", "perceptr") for kind in ("mean", "var")),
    "tempo",
    *(f"mfcc{i}_{kind}" for i in range(1, N_MFCC + 1) for kind in ("mean", "var")),
)
CQT_BINS, CQT_LOWEST = 84, 32.703  # Hz, C1


def import_librosa() -> ModuleType:
    """Import librosa, which is heavy and needed for nothing else; see :func:`transcribe.errors.import_optional`."""
    return import_optional("librosa", "genres are judged by librosa's features", "genre")


def table_row(samples: np.ndarray) -> np.ndarray:
    """Compute the figures of :data:`COLUMNS`, float64 (57,), of samples at 22,050 Hz."""
    librosa = import_librosa()
    y: np.ndarray = np.ascontiguousarray(samples, np.float32)
    sr = TABLE_SAMPLE_RATE
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of music without a pitch, or too short for a window
        harmonic, percussive = librosa.effects.hpss(y)
        tempo, _ = librosa.beat.beat_track(y=y, sr=sr)
        varying = [
            librosa.feature.chroma_stft(y=y, sr=sr),
            librosa.feature.rms(y=y),
            librosa.feature.spectral_centroid(y=y, sr=sr),
            librosa.feature.spectral_bandwidth(y=y, sr=sr),
            librosa.feature.spectral_rolloff(y=y, sr=sr),
            librosa.feature.zero_crossing_rate(y),
            harmonic,
            percussive,
        ]
        cepstra = librosa.feature.mfcc(y=y, sr=sr, n_mfcc=N_MFCC)
    row = [figure for values in varying for figure in (np.mean(values), np.var(values))]
    row.append(np.ravel(tempo)[0])
    for coefficient in cepstra:
        row += [np.mean(coefficient), np.var(coefficient)]
    return np.array(row, np.float64)


def log_mel(samples: np.ndarray) -> np.ndarray:
    """Compute the log-mel of the other networks, out of tune where the samples are: float32 (n_frames, n_mels)."""
    from transcribe.engine.features import LogMel

    return LogMel(FeatureConfig()).whole(samples)


def constant_q(samples: np.ndarray) -> np.ndarray:
    """Compute constant-Q magnitudes (84 bins from C1) in the units of the log-mel, float32 (n_frames, 84)."""
    features = FeatureConfig()
    n_frames = features.grid.n_frames(len(samples))
    if not n_frames:
        return np.zeros((0, CQT_BINS), np.float32)
    sizes = {
        "sr": features.sample_rate,
        "hop_length": features.hop_length,
        "fmin": CQT_LOWEST,
        "n_bins": CQT_BINS,
    }
    magnitudes = np.abs(import_librosa().cqt(samples.astype(np.float32), **sizes)).T[:n_frames]
    decibels = 20 * np.log10(magnitudes + 10 ** (features.floor_db / 20))
    padded = np.pad(decibels, ((0, n_frames - len(decibels)), (0, 0)), "edge")
    return np.asarray((padded + features.offset_db) / features.scale_db, np.float32)


@dataclass(frozen=True)
class Front:
    """A way to hear an excerpt: its length in seconds, the rate, and what is computed of it, ``n_bands`` wide."""

    sample_rate: int
    seconds: float
    n_bands: int
    compute: Callable[[np.ndarray], np.ndarray]


TABLE_SAMPLE_RATE = 22_050
FRONTS = {
    "table": Front(TABLE_SAMPLE_RATE, 30.0, len(COLUMNS), table_row),
    "mel": Front(FeatureConfig().sample_rate, 10.0, FeatureConfig().n_mels, log_mel),
    "cqt": Front(FeatureConfig().sample_rate, 10.0, CQT_BINS, constant_q),
}


def starts(duration: float | None, seconds: float, most: int) -> list[float]:
    """Choose where excerpts begin: spread evenly, the whole if it is short, the first ones if the end is unknown."""
    if duration is None:
        return [i * seconds for i in range(most)]
    n_excerpts = min(most, max(1, int(np.ceil(duration / seconds))))
    return [float(start) for start in np.linspace(0, max(0.0, duration - seconds), n_excerpts)]


def excerpts(blocks: Iterable[np.ndarray], first: Sequence[int], n_samples: int) -> Iterator[np.ndarray]:
    """Cut excerpts out of a stream, which is read to its end.

    Parameters
    ----------
    blocks
        Samples in consecutive arrays (n,).
    first
        First samples of the excerpts, ascending.
    n_samples
        Their length. What the stream ends in is passed on if it is half of one, or if there is nothing else.
    """
    waiting = list(first)
    held, position, n_passed = np.zeros(0, np.float32), 0, 0
    for block in blocks:
        held = np.concatenate([held, block])
        while waiting and position + len(held) >= waiting[0] + n_samples:
            begin = waiting.pop(0) - position
            yield held[begin : begin + n_samples]
            n_passed += 1
        # Forget what no excerpt needs.
        needed = max(0, (waiting[0] if waiting else position + len(held)) - position)
        held, position = held[needed:], position + min(needed, len(held))
    if waiting:
        rest = held[max(0, waiting[0] - position) :]
        if len(rest) and (2 * len(rest) >= n_samples or not n_passed):
            yield rest
