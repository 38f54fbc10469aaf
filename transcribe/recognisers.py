"""What tells something about the whole sound, without regard to its notes: chords, instruments, genre."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from transcribe.audio import SILENCE, AudioReader
from transcribe.chords.decoder import ChordDecoder, ChordDecodingConfig, likeliest
from transcribe.engine.devices import set_torch_threads
from transcribe.engine.models import (
    ChordsModel,
    GenreModel,
    InstrumentsModel,
    load_chords_model,
    load_genre_model,
    load_instruments_model,
)
from transcribe.events import Transcription
from transcribe.genre.decoder import probabilities, ranked
from transcribe.genre.features import excerpts, import_librosa, starts
from transcribe.instruments.decoder import TagDecoder, TagDecodingConfig, likelihoods
from transcribe.listener import (
    AnyModel,
    Level,
    Listener,
    Progress,
    warn_of_silence,
    with_settings,
    with_tunings,
)
from transcribe.theory.chords import Label

# Shorter excerpts tell nothing of a genre, in seconds.
_SHORTEST = 1.0

_StepModel = TypeVar("_StepModel", bound=ChordsModel | InstrumentsModel)


class Recogniser(Listener[AnyModel]):
    """A listener that recognises something in files and in samples."""

    def recognise_file(self, path: str | Path, progress: Progress | None = None) -> Transcription:
        """Listen to a recording of any length; ``-`` reads standard input.

        Raises
        ------
        InputError
            If it can't be read.
        """
        return self._listen_to_file(path, progress)

    def recognise_audio(self, samples: np.ndarray, sample_rate: int) -> Transcription:
        """Listen to samples in memory; see :meth:`transcribe.pipeline.Transcriber.transcribe_audio`."""
        return self._listen_to_audio(samples, sample_rate)


class StepRecogniser(Recogniser[_StepModel]):
    """A recogniser whose network answers step by step, and is decoded as it does.

    ``task`` is what its model and its settings are called in a transcription.
    """

    task: str
    decoding: ChordDecodingConfig | TagDecodingConfig

    def activations(self, blocks: Iterable[np.ndarray]) -> Iterator[Any]:
        """Listen to blocks of samples at :attr:`sample_rate`: what the network hears, before it is decoded."""
        return self._together(blocks)[1][0]

    def clip(self, path: str | Path) -> list[Any]:
        """Listen to a whole recording: what the network hears.

        Raises
        ------
        InputError
            If it can't be read.
        """
        with AudioReader(path, self.sample_rate) as reader:
            return list(self.activations(reader.blocks()))

    @abstractmethod
    def decoder(self) -> Any:
        """Begin to decode: something with ``push`` and ``finish``."""

    @abstractmethod
    def found(self, decoder: Any, duration: float) -> dict[str, Any]:
        """End the decoding: what was found, as fields of a transcription."""

    def added(self, result: Transcription, decoder: Any, duration: float) -> Transcription:
        """Put what was found into a transcription, with the model and the settings it comes from."""
        return replace(
            result,
            **self.found(decoder, duration),
            models={**result.models, self.task: self.model.name},
            settings={**result.settings, self.task: asdict(self.decoding)},
        )

    def _remarks(self, result: Transcription) -> Iterator[str]:
        yield from ()

    def _listen(self, blocks: Iterable[np.ndarray], duration: float | None, progress: Progress | None) -> Transcription:
        level, decoder = Level(blocks), self.decoder()
        seconds = 0.0
        tunings, (heard,) = self._together(level)
        for block in heard:
            decoder.push(block)
            seconds += len(block) * block.seconds_a_step
            if progress is not None:
                progress(min(seconds, duration or seconds), duration)
        length = level.n_samples / self.sample_rate
        result = self.added(with_tunings(Transcription(duration=length), tunings), decoder, length)
        return replace(result, warnings=tuple(warn_of_silence(level)) or tuple(self._remarks(result)))


class ChordRecogniser(StepRecogniser[ChordsModel]):
    """A loaded chords model with fixed settings.

    Parameters
    ----------
    model, device, precision
        As for :class:`transcribe.pipeline.Transcriber`.
    settings
        Fields of :class:`transcribe.chords.decoder.ChordDecodingConfig` that replace those tuned for the model.

    Raises
    ------
    UsageError
        If the device isn't there or a setting makes no sense.
    WeightsError
        If the weights can't be loaded.
    """

    task = "chords"
    decoding: ChordDecodingConfig

    def __init__(
        self,
        model: str | ChordsModel | None = None,
        device: str = "auto",
        precision: str = "auto",
        **settings: Any,
    ) -> None:
        super().__init__(model, load_chords_model, device, precision)
        self.decoding = with_settings(self.model.decoding, settings)

    def recognise_clip(self, path: str | Path, labels: Sequence[Label] = (), vocabulary: str = "full") -> Label:
        """Name the one chord of a clip: the likeliest of ``labels``, or of a vocabulary where none are given.

        Raises
        ------
        InputError
            If it can't be read.
        """
        return likeliest(self.clip(path), labels, vocabulary)

    def decoder(self) -> ChordDecoder:
        """Begin a search for chords."""
        return ChordDecoder(self.model.changes, self.decoding)

    def found(self, decoder: ChordDecoder, duration: float) -> dict[str, Any]:
        """End the search: the chords."""
        return {"chords": tuple(decoder.finish(duration))}

    def _remarks(self, result: Transcription) -> Iterator[str]:
        if all(chord.label == "N" for chord in result.chords):
            yield "no chords were heard"


class InstrumentRecogniser(StepRecogniser[InstrumentsModel]):
    """A loaded instruments model with fixed settings.

    Parameters
    ----------
    model, device, precision
        As for :class:`transcribe.pipeline.Transcriber`.
    settings
        Fields of :class:`transcribe.instruments.decoder.TagDecodingConfig` that replace those tuned for the model.

    Raises
    ------
    UsageError
        If the device isn't there or a setting makes no sense.
    WeightsError
        If the weights can't be loaded.
    """

    task = "instruments"
    decoding: TagDecodingConfig

    def __init__(
        self,
        model: str | InstrumentsModel | None = None,
        device: str = "auto",
        precision: str = "auto",
        **settings: Any,
    ) -> None:
        super().__init__(model, load_instruments_model, device, precision)
        self.decoding = with_settings(self.model.decoding, settings)

    def recognise_clip(self, path: str | Path, vocabulary: str | None = None) -> dict[str, float]:
        """Tell how probably each instrument plays in a clip; no probabilities for no samples.

        Raises
        ------
        InputError
            If it can't be read.
        """
        return likelihoods(self.clip(path), vocabulary or self.decoding.vocabulary)

    def decoder(self) -> TagDecoder:
        """Begin to collect who plays."""
        return TagDecoder(self.decoding)

    def found(self, decoder: TagDecoder, duration: float) -> dict[str, Any]:
        """End the collecting: the instruments, and how much else than a keyboard there is."""
        return {
            "instruments": tuple(decoder.finish(duration)),
            "novelty": decoder.share_of_others("keyboard"),
        }


class GenreRecogniser(Recogniser[GenreModel]):
    """A loaded genre model with fixed settings; it listens to excerpts.

    Parameters
    ----------
    model, device
        As for :class:`transcribe.pipeline.Transcriber`.
    settings
        Fields of :class:`transcribe.genre.decoder.GenreDecodingConfig` that replace those tuned for the model.

    Raises
    ------
    UsageError
        If the device isn't there, a setting makes no sense, or librosa isn't installed and the model needs it.
    WeightsError
        If the weights can't be loaded.
    """

    def __init__(self, model: str | GenreModel | None = None, device: str = "auto", **settings: Any) -> None:
        super().__init__(model, load_genre_model, device, "float32")
        self.decoding = with_settings(self.model.decoding, settings)
        if self.model.network.config.front != "mel":
            import_librosa()

    def judge(self, excerpt: np.ndarray) -> np.ndarray:
        """Give the logits (n_labels,) of an excerpt at :attr:`sample_rate`."""
        import torch

        set_torch_threads()
        features = torch.from_numpy(self.model.features.compute(excerpt).astype(np.float32))
        with torch.inference_mode():
            return np.asarray(self.model.network(features[None].to(self.device))[0].float().cpu().numpy())

    def _listen(self, blocks: Iterable[np.ndarray], duration: float | None, progress: Progress | None) -> Transcription:
        front, level = self.model.features, Level(blocks)
        first = [
            round(start * front.sample_rate) for start in starts(duration, front.seconds, self.decoding.n_excerpts)
        ]
        length = round(front.seconds * front.sample_rate)
        logits = []
        for number, excerpt in enumerate(excerpts(level, first, length), 1):
            if len(excerpt) >= _SHORTEST * front.sample_rate and np.abs(excerpt).max() >= SILENCE:
                logits.append(self.judge(excerpt))
            if progress is not None:
                progress(number / len(first) * (duration or 0.0), duration)
        seconds = level.n_samples / front.sample_rate
        labels = self.model.network.config.labels
        return Transcription(
            genres=ranked(labels, probabilities(logits, self.decoding.temperature), seconds) if logits else (),
            duration=seconds,
            models={"genre": self.model.name},
            settings={"genre": asdict(self.decoding)},
            warnings=tuple(warn_of_silence(level)) or tuple(self._short(seconds, bool(logits))),
        )

    def _short(self, seconds: float, judged: bool) -> Iterator[str]:
        if not judged:
            yield "too little sounds to tell a genre"
        elif seconds < self.model.features.seconds:
            wanted = self.model.features.seconds
            yield f"{seconds:.1f} s are less than the {wanted:.0f} s that {self.model.name} was trained on"
