"""File → Transcription: reading, listening, decoding and summing up, in blocks and in flat memory.

The entry points are :func:`transcribe_file` and :func:`transcribe_audio`; :class:`Transcriber` keeps a model loaded
and its settings fixed for many files.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from transcribe.beats.analysis import analysed
from transcribe.engine.inference import infer
from transcribe.engine.models import NotesModel, load_notes_model
from transcribe.errors import UsageError
from transcribe.events import Transcription
from transcribe.listener import SILENCE, Level, Listener, Progress, warn_of_silence, with_settings
from transcribe.notes.decoder import Activations, DecodingConfig, NoteDecoder
from transcribe.recognisers import ChordRecogniser, GenreRecogniser, InstrumentRecogniser
from transcribe.score.analysis import Timing

Keep = Callable[[Activations], None]

# Samples that reach full scale: more than this share of them is clipping.
_CLIPPED_SHARE = 1e-3
# Where something else than a piano is heard more than so much of the time, the notes can't be trusted. Between what
# instruments-3 says of renders of pianos, rooms and other instruments that it never heard.
_NOVEL = 0.65


class Transcriber(Listener[NotesModel]):
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
        Fields of :class:`transcribe.notes.decoder.DecodingConfig` that replace those tuned for the model.

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
        self.decoding: DecodingConfig = with_settings(self.model.decoding, settings)

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
        level = Level(blocks)
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


def _remarks(level: Level, result: Transcription) -> Iterator[str]:
    yield from warn_of_silence(level)
    if level.peak >= SILENCE and not result.notes:
        yield "no notes were heard"
    if level.n_samples and level.n_clipped / level.n_samples > _CLIPPED_SHARE:
        yield f"clipped: {level.n_clipped / level.n_samples:.1%} of the samples are at full scale"
    if result.notes and result.novelty is not None and result.novelty > _NOVEL:
        yield "this doesn't sound like a piano alone, all that the notes' network knows; expect wrong and missing notes"
