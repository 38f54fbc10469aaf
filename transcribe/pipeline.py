"""File → Transcription: reading, listening, decoding and summing up, in blocks and in flat memory.

The entry points are :func:`transcribe_file` and :func:`transcribe_audio`; :class:`Transcriber` keeps a model loaded
and its settings fixed for many files.
"""

from __future__ import annotations

import itertools
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from transcribe.analysis import Timing, analysed
from transcribe.audio import MAX_DURATION, AudioReader
from transcribe.chords import ChordDecoder, ChordDecodingConfig, likeliest
from transcribe.decoding import Activations, DecodingConfig, NoteDecoder
from transcribe.errors import UsageError
from transcribe.events import Transcription
from transcribe.genre import GenreDecodingConfig, probabilities, ranked
from transcribe.genre_features import excerpts, import_librosa, starts
from transcribe.harte import Label
from transcribe.tags import TagDecoder, TagDecodingConfig, likelihoods
from transcribe.tuning import tuned
from transcribe.weights import (
    ChordsModel,
    GenreModel,
    InstrumentsModel,
    NotesModel,
    load_chords_model,
    load_genre_model,
    load_instruments_model,
    load_notes_model,
)

# (seconds done, seconds in all or None where the file doesn't say)
Progress = Callable[[float, float | None], None]
Keep = Callable[[Activations], None]
# Runs networks over a stream of samples, as transcribe.inference.infer_together
Infer = Callable[..., list[Iterator[Any]]]

# A peak under -80 dBFS is silence.
_SILENCE = 1e-4
# Shorter excerpts tell nothing of a genre, in seconds.
_SHORTEST = 1.0
# Samples that reach full scale: more than this share of them is clipping.
_CLIPPED_SHARE = 1e-3
# Where something else than a piano is heard more than so much of the time, the notes can't be trusted. Between what
# instruments-3 says of renders of pianos, rooms and other instruments that it never heard.
_NOVEL = 0.65

_Model = TypeVar("_Model", bound=NotesModel | ChordsModel | InstrumentsModel | GenreModel)
_StepModel = TypeVar("_StepModel", bound=ChordsModel | InstrumentsModel)
_Config = TypeVar("_Config", DecodingConfig, ChordDecodingConfig, TagDecodingConfig, GenreDecodingConfig)


class _Listener(ABC, Generic[_Model]):
    """A loaded model, and what it takes to listen to recordings with it.

    ``max_duration``: recordings that last longer, in seconds, are refused. ``infer``, where it is set, runs the
    networks instead of :func:`transcribe.inference.infer_together`, which it must equal.
    """

    max_duration = MAX_DURATION
    infer: Infer | None = None

    def __init__(
        self, model: str | _Model | None, load: Callable[[str | None, str, str], _Model], device: str, precision: str
    ) -> None:
        from transcribe.inference import choose_device, choose_precision, device_of

        if model is None or isinstance(model, str):
            device = choose_device(device)
            model = load(model, device, choose_precision(precision))
        self.model: _Model = model
        self.device = device_of(model)

    @property
    def sample_rate(self) -> int:
        """The rate in Hz that the model listens at."""
        return self.model.features.sample_rate

    def _together(self, blocks: Iterable[np.ndarray]) -> tuple[int, list[Iterator[Any]]]:
        """Find the tuning, then run the networks, which hear the recording as if it were in tune."""
        from transcribe.inference import infer_together

        tuning, blocks = tuned(blocks, self.sample_rate)
        return tuning, (self.infer or infer_together)(blocks, *self.models, tuning=tuning)

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
        mono = resampled(samples, sample_rate, self.sample_rate)
        return self._listen([mono], len(mono) / self.sample_rate, None)


class Transcriber(_Listener[NotesModel]):
    """A loaded model with fixed settings.

    Parameters
    ----------
    model
        A name in the weights' manifest, the path of a ``.safetensors`` file, or a loaded model; the default
        weights where None.
    device
        ``auto`` (CUDA where there is a GPU), ``cpu``, ``cuda`` or ``cuda:N``; a loaded model stays where it is.
    chords
        Listens for chords too; no chords where None.
    precision
        ``float32``, ``bfloat16`` (in torch), or ``auto``, which is float32; a loaded model keeps its own.
    instruments
        Listens for instruments too; they are not told where None.
    genre
        Judges the genre of files too, reading them a second time; not told where None.
    timing
        What is known of the beats, and whether notes are moved onto them.
    settings
        Fields of :class:`transcribe.decoding.DecodingConfig` that replace those tuned for the model.

    Raises
    ------
    UsageError
        If the device isn't there or a setting makes no sense.
    WeightsError
        If the weights can't be loaded.
    """

    def __init__(
        self,
        model: str | NotesModel | None = None,
        device: str = "auto",
        chords: ChordRecogniser | None = None,
        precision: str = "auto",
        instruments: InstrumentRecogniser | None = None,
        genre: GenreRecogniser | None = None,
        timing: Timing = Timing(),  # noqa: B008 (frozen)
        **settings: float,
    ) -> None:
        super().__init__(model, load_notes_model, device, precision)
        self.timing = timing
        self.chords = chords
        self.instruments = instruments
        self.genre = genre
        self._keep: Keep | None = None
        for other in (chords, instruments):
            if other is not None and other.sample_rate != self.sample_rate:
                raise UsageError(f"{other.model.name} listens at {other.sample_rate} Hz, not at {self.sample_rate}")
        self.decoding: DecodingConfig = _with_settings(self.model.decoding, settings)

    def transcribe_file(
        self, path: str | Path, progress: Progress | None = None, keep: Keep | None = None
    ) -> Transcription:
        """Transcribe a recording of any length; ``-`` reads standard input.

        ``keep`` is given the activations, block by block, before they are forgotten.

        Raises
        ------
        InputError
            If it can't be read.
        UsageError
            If a stream is to be judged by its genre too: it can't be read twice.
        """
        stream = str(path) == "-" or (os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path))
        if self.genre is not None and stream:
            raise UsageError("the genre needs the recording as a file: a stream can't be read twice")
        self._keep = keep
        try:
            result = self._listen_to_file(path, progress)
        finally:
            self._keep = None
        if self.genre is None:
            return result
        self.genre.max_duration = self.max_duration
        told = self.genre.recognise_file(path)
        return replace(
            result,
            genres=told.genres,
            warnings=(*result.warnings, *(said for said in told.warnings if said not in result.warnings)),
            models={**result.models, **told.models},
            settings={**result.settings, **told.settings},
        )

    def transcribe_audio(self, samples: np.ndarray, sample_rate: int) -> Transcription:
        """Transcribe samples that are in memory.

        Parameters
        ----------
        samples
            Shape (n_samples,), or (n_samples, n_channels) which is mixed down; floats within about -1 … 1.
        sample_rate
            In Hz.

        Raises
        ------
        ValueError
            If the shape, the type or the rate is wrong, or a value isn't finite.
        """
        return self._listen_to_audio(samples, sample_rate)

    @property
    def models(self) -> tuple[Any, ...]:
        """The models whose networks listen together: the notes' first."""
        return (self.model, *(other.model for other in (self.chords, self.instruments) if other is not None))

    def activations(self, blocks: Iterable[np.ndarray]) -> Iterator[Activations]:
        """Listen to blocks of samples at :attr:`sample_rate`: what the network hears, before any threshold."""
        from transcribe.inference import infer

        return infer(blocks, self.model)

    def decode(self, activations: Iterable[Activations], **settings: float) -> Transcription:
        """Turn activations, block by block, into notes and pedal; ``settings`` replace the transcriber's own.

        The tuning isn't told: activations are those of a recording in tune.
        """
        decoding = replace(self.decoding, **settings)  # type: ignore[arg-type]
        decoder = NoteDecoder(decoding)
        seconds = 0.0
        for block in activations:
            decoder.push(block)
            seconds += len(block) / block.grid.frames_per_second
        notes, pedals = decoder.finish()
        heard = Transcription(
            notes=tuple(notes),
            pedals=tuple(pedals),
            duration=seconds,
            models={"notes": self.model.name},
            settings=asdict(decoding),
        )
        return analysed(heard, self.timing)

    def _listen(self, blocks: Iterable[np.ndarray], duration: float | None, progress: Progress | None) -> Transcription:
        level = _Level(blocks)
        others: list[Any] = [other for other in (self.chords, self.instruments) if other is not None]
        decoders = [other.decoder() for other in others]
        tuning, (heard, *heard_beside) = self._together(level)

        def watched() -> Iterator[Activations]:
            seconds = 0.0
            for block in heard:
                if self._keep is not None:
                    self._keep(block)
                yield block
                # In turn, so that no network runs ahead of the others.
                for decoder, stream in zip(decoders, heard_beside, strict=True):
                    for other in itertools.islice(stream, 1):
                        decoder.push(other)
                seconds += len(block) / block.grid.frames_per_second
                if progress is not None:
                    progress(min(seconds, duration or seconds), duration)

        result = self.decode(watched())
        seconds = level.n_samples / self.sample_rate
        result = replace(result, duration=seconds, tuning=tuning)
        for other, decoder, stream in zip(others, decoders, heard_beside, strict=True):
            for block in stream:
                decoder.push(block)
            result = other.added(result, decoder, seconds)
        return replace(result, warnings=tuple(_remarks(level, result)))


def _with_settings(decoding: _Config, settings: Mapping[str, Any]) -> _Config:
    try:
        return replace(decoding, **settings)
    except (TypeError, ValueError) as error:
        raise UsageError(f"settings: {error}") from None


class _Recogniser(_Listener[_Model]):
    """What tells something about the whole sound, without regard to its notes."""

    def recognise_file(self, path: str | Path, progress: Progress | None = None) -> Transcription:
        """Listen to a recording of any length; ``-`` reads standard input.

        Raises
        ------
        InputError
            If it can't be read.
        """
        return self._listen_to_file(path, progress)

    def recognise_audio(self, samples: np.ndarray, sample_rate: int) -> Transcription:
        """Listen to samples in memory; see :meth:`Transcriber.transcribe_audio`."""
        return self._listen_to_audio(samples, sample_rate)


class _StepRecogniser(_Recogniser[_StepModel]):
    """What tells it step by step."""

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
    def added(self, result: Transcription, decoder: Any, duration: float) -> Transcription:
        """Put what was found into a transcription, with the model and the settings it comes from."""

    def _remarks(self, result: Transcription) -> Iterator[str]:
        yield from ()

    def _listen(self, blocks: Iterable[np.ndarray], duration: float | None, progress: Progress | None) -> Transcription:
        level, decoder = _Level(blocks), self.decoder()
        seconds = 0.0
        tuning, (heard,) = self._together(level)
        for block in heard:
            decoder.push(block)
            seconds += len(block) * block.seconds_a_step
            if progress is not None:
                progress(min(seconds, duration or seconds), duration)
        length = level.n_samples / self.sample_rate
        result = self.added(Transcription(duration=length, tuning=tuning), decoder, length)
        return replace(result, warnings=tuple(_silence(level)) or tuple(self._remarks(result)))


class ChordRecogniser(_StepRecogniser[ChordsModel]):
    """A loaded chords model with fixed settings.

    Parameters
    ----------
    model
        A name in the weights' manifest, the path of a ``.safetensors`` file, or a loaded model; the default
        weights where None.
    device
        ``auto`` (CUDA where there is a GPU), ``cpu``, ``cuda`` or ``cuda:N``; a loaded model stays where it is.
    precision
        As for :class:`Transcriber`.
    settings
        Fields of :class:`transcribe.chords.ChordDecodingConfig` that replace those tuned for the model.

    Raises
    ------
    UsageError
        If the device isn't there or a setting makes no sense.
    WeightsError
        If the weights can't be loaded.
    """

    def __init__(
        self,
        model: str | ChordsModel | None = None,
        device: str = "auto",
        precision: str = "auto",
        **settings: Any,
    ) -> None:
        super().__init__(model, load_chords_model, device, precision)
        self.decoding = _with_settings(self.model.decoding, settings)

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

    def added(self, result: Transcription, decoder: ChordDecoder, duration: float) -> Transcription:
        """Put the chords into a transcription, with the model and the settings they come from."""
        return replace(
            result,
            chords=tuple(decoder.finish(duration)),
            models={**result.models, "chords": self.model.name},
            settings={**result.settings, "chords": asdict(self.decoding)},
        )

    def _remarks(self, result: Transcription) -> Iterator[str]:
        if all(chord.label == "N" for chord in result.chords):
            yield "no chords were heard"


class InstrumentRecogniser(_StepRecogniser[InstrumentsModel]):
    """A loaded instruments model with fixed settings.

    Parameters
    ----------
    model
        A name in the weights' manifest, the path of a ``.safetensors`` file, or a loaded model; the default
        weights where None.
    device
        ``auto`` (CUDA where there is a GPU), ``cpu``, ``cuda`` or ``cuda:N``; a loaded model stays where it is.
    precision
        As for :class:`Transcriber`.
    settings
        Fields of :class:`transcribe.tags.TagDecodingConfig` that replace those tuned for the model.

    Raises
    ------
    UsageError
        If the device isn't there or a setting makes no sense.
    WeightsError
        If the weights can't be loaded.
    """

    def __init__(
        self,
        model: str | InstrumentsModel | None = None,
        device: str = "auto",
        precision: str = "auto",
        **settings: Any,
    ) -> None:
        super().__init__(model, load_instruments_model, device, precision)
        self.decoding = _with_settings(self.model.decoding, settings)

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

    def added(self, result: Transcription, decoder: TagDecoder, duration: float) -> Transcription:
        """Put the instruments into a transcription, with the model and the settings they come from."""
        return replace(
            result,
            instruments=tuple(decoder.finish(duration)),
            novelty=decoder.share_of_others("keyboard"),
            models={**result.models, "instruments": self.model.name},
            settings={**result.settings, "instruments": asdict(self.decoding)},
        )


class GenreRecogniser(_Recogniser[GenreModel]):
    """A loaded genre model with fixed settings; it listens to excerpts.

    Parameters
    ----------
    model
        A name in the weights' manifest, the path of a ``.safetensors`` file, or a loaded model; the default
        weights where None.
    device
        As for :class:`Transcriber`.
    settings
        Fields of :class:`transcribe.genre.GenreDecodingConfig` that replace those tuned for the model.

    Raises
    ------
    UsageError
        If the device isn't there, a setting makes no sense, or librosa isn't installed and the model needs it.
    WeightsError
        If the weights can't be loaded.
    """

    def __init__(self, model: str | GenreModel | None = None, device: str = "auto", **settings: Any) -> None:
        super().__init__(model, load_genre_model, device, "float32")
        self.decoding = _with_settings(self.model.decoding, settings)
        if self.model.network.config.front != "mel":
            import_librosa()

    def judge(self, excerpt: np.ndarray) -> np.ndarray:
        """Give the logits (n_labels,) of an excerpt at :attr:`sample_rate`."""
        import torch

        from transcribe.inference import set_torch_threads

        set_torch_threads()
        features = torch.from_numpy(self.model.features.compute(excerpt).astype(np.float32))
        with torch.inference_mode():
            return np.asarray(self.model.network(features[None].to(self.device))[0].float().cpu().numpy())

    def _listen(self, blocks: Iterable[np.ndarray], duration: float | None, progress: Progress | None) -> Transcription:
        front, level = self.model.features, _Level(blocks)
        first = [
            round(start * front.sample_rate) for start in starts(duration, front.seconds, self.decoding.n_excerpts)
        ]
        length = round(front.seconds * front.sample_rate)
        logits = []
        for number, excerpt in enumerate(excerpts(level, first, length), 1):
            if len(excerpt) >= _SHORTEST * front.sample_rate and np.abs(excerpt).max() >= _SILENCE:
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
            warnings=tuple(_silence(level)) or tuple(self._short(seconds, bool(logits))),
        )

    def _short(self, seconds: float, judged: bool) -> Iterator[str]:
        if not judged:
            yield "too little sounds to tell a genre"
        elif seconds < self.model.features.seconds:
            wanted = self.model.features.seconds
            yield f"{seconds:.1f} s are less than the {wanted:.0f} s that {self.model.name} was trained on"


def transcribe_file(
    path: str | Path, model: str | None = None, device: str = "auto", precision: str = "auto", **settings: float
) -> Transcription:
    """Transcribe one recording; see :class:`Transcriber` for the parameters and the errors.

    Examples
    --------
    >>> transcription = transcribe_file("song.wav")  # doctest: +SKIP
    >>> transcription.notes[0]  # doctest: +SKIP
    Note(onset=0.512, pitch=60, offset=1.024, velocity=74, confidence=0.98)
    """
    return _with_all(model, device, precision, **settings).transcribe_file(path)


def transcribe_audio(
    samples: np.ndarray,
    sample_rate: int,
    model: str | None = None,
    device: str = "auto",
    precision: str = "auto",
    **settings: float,
) -> Transcription:
    """Transcribe samples in memory; see :class:`Transcriber` for the parameters and the errors."""
    return _with_all(model, device, precision, **settings).transcribe_audio(samples, sample_rate)


def _with_all(model: str | None, device: str, precision: str, **settings: float) -> Transcriber:
    chords = ChordRecogniser(device=device, precision=precision)
    instruments = InstrumentRecogniser(device=device, precision=precision)
    return Transcriber(model, device, chords, precision, instruments, None, Timing(), **settings)


class _Level:
    """Pass blocks on and keep their count, peak and clipping."""

    def __init__(self, blocks: Iterable[np.ndarray]) -> None:
        self._blocks = blocks
        self.n_samples = 0
        self.n_clipped = 0
        self.peak = 0.0

    def __iter__(self) -> Iterator[np.ndarray]:
        for block in self._blocks:
            if len(block):
                size = np.abs(block)
                self.n_samples += len(block)
                self.n_clipped += int(np.count_nonzero(size >= 0.999))
                self.peak = max(self.peak, float(size.max()))
            yield block


def _silence(level: _Level) -> Iterator[str]:
    if level.peak < _SILENCE:
        yield "the recording is silent" if level.n_samples else "the recording holds no samples"


def _remarks(level: _Level, result: Transcription) -> Iterator[str]:
    yield from _silence(level)
    if level.peak >= _SILENCE and not result.notes:
        yield "no notes were heard"
    if level.n_samples and level.n_clipped / level.n_samples > _CLIPPED_SHARE:
        yield f"clipped: {level.n_clipped / level.n_samples:.1%} of the samples are at full scale"
    if result.notes and result.novelty is not None and result.novelty > _NOVEL:
        yield "this doesn't sound like a piano alone, all that the notes' network knows; expect wrong and missing notes"


def resampled(samples: np.ndarray, sample_rate: int, wanted_rate: int) -> np.ndarray:
    """Mix samples down and bring them to another rate.

    Raises
    ------
    ValueError
        If the shape, the type or the rate is wrong, or a value isn't finite.
    """
    mono = _to_mono(samples)
    if sample_rate <= 0:
        raise ValueError("sample_rate must be positive")
    if sample_rate != wanted_rate:
        import soxr

        mono = soxr.resample(mono, sample_rate, wanted_rate)
    return mono


def _to_mono(samples: Any) -> np.ndarray:
    array = np.asarray(samples)
    if array.ndim not in (1, 2) or not np.issubdtype(array.dtype, np.floating):
        raise ValueError("samples must be floats of shape (n_samples,) or (n_samples, n_channels)")
    if array.ndim == 2:
        if array.shape[1] == 0:
            raise ValueError("samples have no channels")
        array = array.mean(axis=1)
    if not np.isfinite(array).all():
        raise ValueError("samples must be finite; replace NaN and infinity first")
    return np.ascontiguousarray(array, np.float32)
