"""What everything that listens has in common: a loaded model, an opened file or samples, a watch on their level."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from transcribe.audio import MAX_DURATION, SILENCE, AudioReader, Mixer
from transcribe.chords.decoder import ChordDecodingConfig
from transcribe.engine.devices import choose_device, choose_precision, device_of
from transcribe.engine.inference import infer_together
from transcribe.engine.models import ChordsModel, GenreModel, InstrumentsModel, NotesModel
from transcribe.engine.tuning import Tunings, main_tuning, tuned
from transcribe.errors import UsageError
from transcribe.events import Transcription
from transcribe.genre.decoder import GenreDecodingConfig
from transcribe.instruments.decoder import TagDecodingConfig
from transcribe.notes.decoder import DecodingConfig

# (seconds done, seconds in all or None where the file doesn't say)
Progress = Callable[[float, float | None], None]
# Runs networks over a stream of samples, as transcribe.engine.inference.infer_together
Infer = Callable[..., list[Iterator[Any]]]

# More channels than samples are samples that lie the other way round.
_MOST_CHANNELS = 64

AnyModel = TypeVar("AnyModel", bound=NotesModel | ChordsModel | InstrumentsModel | GenreModel)
_Config = TypeVar("_Config", DecodingConfig, ChordDecodingConfig, TagDecodingConfig, GenreDecodingConfig)


class Listener(ABC, Generic[AnyModel]):
    """A loaded model, and what it takes to listen to recordings with it.

    ``max_duration``: recordings that last longer, in seconds, are refused. ``infer``, where it is set, runs the
    networks instead of :func:`transcribe.engine.inference.infer_together`, which it must equal.
    """

    max_duration = MAX_DURATION
    infer: Infer | None = None

    def __init__(
        self,
        model: str | AnyModel | None,
        load: Callable[[str | None, str, str], AnyModel],
        device: str,
        precision: str,
    ) -> None:
        if model is None or isinstance(model, str):
            device = choose_device(device)
            model = load(model, device, choose_precision(precision))
        self.model: AnyModel = model
        self.device = device_of(model.network)

    @property
    def sample_rate(self) -> int:
        """The rate in Hz that the model listens at."""
        return self.model.features.sample_rate

    def _together(self, blocks: Iterable[np.ndarray]) -> tuple[Tunings, list[Iterator[Any]]]:
        """Follow the tuning, and run the networks, which hear the recording as if it were in tune."""
        tunings, blocks = tuned(blocks, self.sample_rate)
        return tunings, (self.infer or infer_together)(blocks, *self.models, tunings=tunings)

    @property
    def models(self) -> tuple[Any, ...]:
        """The models whose networks listen together."""
        return (self.model,)

    @abstractmethod
    def _listen(
        self, blocks: Iterable[np.ndarray], duration: float | None, progress: Progress | None
    ) -> Transcription: ...

    def _listen_to_file(self, path: str | Path, progress: Progress | None) -> Transcription:
        with AudioReader(path, self.sample_rate, max_duration=self.max_duration) as reader:
            result = self._listen(reader.blocks(), reader.duration, progress)
            return replace(result, warnings=(*reader.warnings, *result.warnings))

    def _listen_to_audio(self, samples: np.ndarray, sample_rate: int) -> Transcription:
        mixer = Mixer(sample_rate)
        mono = resampled(samples, sample_rate, self.sample_rate, mixer)
        result = self._listen([mono], len(mono) / self.sample_rate, None)
        return replace(result, warnings=(*mixer.remarks(), *result.warnings))


def with_tunings(result: Transcription, tunings: Tunings) -> Transcription:
    """Put what was found of the tuning into a transcription."""
    sections = tunings.sections(result.duration)
    return replace(result, tuning=main_tuning(sections), tunings=sections)


def with_settings(decoding: _Config, settings: Mapping[str, Any]) -> _Config:
    """Replace some of the settings that were tuned for a model.

    Raises
    ------
    UsageError
        If there is no such setting, or it makes no sense.
    """
    try:
        return replace(decoding, **settings)
    except (TypeError, ValueError) as error:
        raise UsageError(f"settings: {error}") from None


class Level:
    """Pass blocks on and keep their count and peak."""

    def __init__(self, blocks: Iterable[np.ndarray]) -> None:
        self._blocks = blocks
        self.n_samples = 0
        self.peak = 0.0

    def __iter__(self) -> Iterator[np.ndarray]:
        for block in self._blocks:
            if len(block):
                size = np.abs(block)
                self.n_samples += len(block)
                self.peak = max(self.peak, float(size.max()))
            yield block


def warn_of_silence(level: Level) -> Iterator[str]:
    """Yield a remark where nothing sounds."""
    if level.peak < SILENCE:
        yield "the recording is silent" if level.n_samples else "the recording holds no samples"


def resampled(samples: np.ndarray, sample_rate: int, wanted_rate: int, mixer: Mixer | None = None) -> np.ndarray:
    """Mix samples down, as ``mixer`` does and keeps account of, and bring them to another rate.

    Raises
    ------
    ValueError
        If the shape, the type or the rate is wrong, or a value isn't finite.
    """
    if sample_rate <= 0:
        raise ValueError("sample_rate must be positive")
    mono = _to_mono(samples, mixer or Mixer(sample_rate))
    if sample_rate != wanted_rate:
        import soxr

        mono = soxr.resample(mono, sample_rate, wanted_rate)
    return mono


def _to_mono(samples: Any, mixer: Mixer) -> np.ndarray:
    array = np.asarray(samples)
    if array.ndim not in (1, 2) or not np.issubdtype(array.dtype, np.floating):
        raise ValueError("samples must be floats of shape (n_samples,) or (n_samples, n_channels)")
    if array.ndim == 2:
        if array.shape[1] == 0:
            raise ValueError("samples have no channels")
        if array.shape[1] > max(array.shape[0], _MOST_CHANNELS):
            raise ValueError(f"samples of shape {array.shape} have their channels first; pass samples.T")
    if not np.isfinite(array).all():
        raise ValueError("samples must be finite; replace NaN and infinity first")
    columns = np.ascontiguousarray(array[:, None] if array.ndim == 1 else array, np.float32)
    return np.concatenate([np.zeros(0, np.float32), *mixer.mixed(columns), *mixer.rest()])
