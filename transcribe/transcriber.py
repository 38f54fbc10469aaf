"""File → Transcription: any tasks, heard together, in blocks and in flat memory.

:func:`transcribe_file` and :func:`transcribe_audio` are for one recording; a :class:`Transcriber` keeps models loaded
and settings fixed for many.
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from transcribe.audio.reader import MAX_DURATION, WHOLE, AudioReader, Excerpt, MeteredBlocks, Mixer, resampled
from transcribe.automatic import AUTO, Automatic, Choice, is_wanted, load_automatic
from transcribe.company import listener, overheard
from transcribe.engine.devices import choose_device, choose_precision, device_of
from transcribe.engine.inference import Infer, Outputs, follow, infer_together
from transcribe.engine.task import (
    Activations,
    AnyActivations,
    AnyModel,
    Decoder,
    ExcerptTask,
    Fields,
    FollowingTask,
    Model,
    NetworkTask,
    Progress,
    Source,
    WindowModel,
    WindowTask,
)
from transcribe.engine.tuning import Tunings, main_tuning, tuned
from transcribe.engine.weights import load_model
from transcribe.errors import UsageError
from transcribe.events import Transcription
from transcribe.registry import TASKS, CompletingTask, ReadingTask, RemarkingTask, Task, task_named
from transcribe.score.analysis import Timing
from transcribe.score.harmony import on_beats, spelled

Keep = Callable[[AnyActivations], None]


class Transcriber:
    """Loaded models with fixed settings; several threads may use one.

    Parameters
    ----------
    tasks
        Names of what is to be heard: ``notes``, ``beats``, ``chords``, ``instruments``, ``genre``, or objects like
        those of :data:`transcribe.registry.TASKS`. Notes, chords and instruments where None.
    model
        Of the first task: a name in the weights' manifest, a size, the path of a ``.safetensors`` file, a loaded model,
        or ``auto``, which chooses for each recording (:mod:`transcribe.automatic`); the default where None.
    device
        ``auto`` (CUDA where there is a GPU), ``cpu``, ``cuda`` or ``cuda:N``; a loaded model stays where it is.
    precision
        ``float32``, ``bfloat16`` (in torch), or ``auto``, which is float32; a loaded model keeps its own.
    threads
        Of the CPU; one a core, at most 8, where None (in torch, its own choice).
    timing
        What is known of the beats, and whether notes are moved onto them.
    max_duration
        Recordings that last longer, in seconds, are refused.
    excerpt
        What is heard of every recording; times of results count from its start.
    isolated
        Decode recordings in a process of their own, which may crash: see :mod:`transcribe.audio.isolated`.
    infer
        Runs the networks instead of :func:`transcribe.engine.inference.infer_together`, which it must equal.
    settings
        Fields of the configuration of the first task's decoder, which replace those tuned for its model.

    Raises
    ------
    UsageError
        If there is no such task or device, or a setting makes no sense.
    WeightsError
        If weights can't be loaded.
    """

    def __init__(
        self,
        *,
        tasks: Sequence[str | Task] | None = None,
        model: str | AnyModel | None = None,
        device: str = "auto",
        precision: str = "auto",
        threads: int | None = None,
        timing: Timing = Timing(),  # noqa: B008 (frozen)
        max_duration: float = MAX_DURATION,
        excerpt: Excerpt = WHOLE,
        isolated: bool = False,
        infer: Infer | None = None,
        **settings: object,
    ) -> None:
        self.tasks = _with_required(tasks)
        self.threads = threads
        self.timing = timing
        self.max_duration = max_duration
        self.excerpt = excerpt
        self.isolated = isolated
        self._infer = infer
        networks = [task for task in self.tasks if isinstance(task, NetworkTask)]
        if not networks:
            raise UsageError("give one task at least")
        asked = self.tasks[0] if not tasks else task_named(tasks[0]) if isinstance(tasks[0], str) else tasks[0]
        self._reads = asked if isinstance(asked, ReadingTask) else None
        stays = isinstance(model, Model) and len(networks) == 1
        device = choose_device(device) if not stays else device_of(model.network)  # type: ignore[union-attr]
        precision = choose_precision(precision)
        self._automatic: Automatic | None = None
        if is_wanted(networks[0].name, model):
            found = load_automatic(device, precision)
            piano, other = (_with_settings(one, settings) for one in (found.piano, found.any))
            self._automatic, model = replace(found, piano=piano, any=other), piano
        names = [model, *(None for _ in networks[1:])]
        models = [
            name if isinstance(name, Model) else load_model(task, name, device, precision)
            for task, name in zip(networks, names, strict=True)
        ]
        #: The model of the first task, with the settings that are in use; the piano's where one is chosen.
        self.model: AnyModel = models[0] if self._automatic else _with_settings(models[0], settings)
        loaded = [self.model, *models[1:]]
        if self._automatic is not None:
            loaded.insert(1, self._automatic.any)
            if all(one is not self._automatic.listener for one in loaded):
                loaded.append(self._automatic.listener)
        windowed = [one for one in loaded if isinstance(one.task, WindowTask)]
        #: The models that hear windows, together, and those that read what these hear.
        self.window_models: list[WindowModel] = [one for one in windowed if not _sources_of(one)]
        self.followers: list[WindowModel] = [one for one in windowed if _sources_of(one)]
        for source in itertools.chain(*map(_sources_of, self.followers)):
            if all(one.task.name != source.task for one in self.window_models):
                followed = task_named(source.task)
                assert isinstance(followed, NetworkTask)
                read = load_model(followed, source.model or None, device, precision)
                # Of its own task, it may have to answer for whoever reads it.
                own = source.task == self.model.task.name
                self.window_models.append(_with_settings(read, settings) if own else read)
        # What can't read anybody who listens is left out: its sources answer for it.
        self.followers = [one for one in self.followers if self._followed_by(one)]
        #: The models that hear excerpts, each in a pass of its own.
        self.excerpt_models: list[AnyModel] = [one for one in loaded if isinstance(one.task, ExcerptTask)]
        self.device = device_of(self.model.network)
        for other in self.window_models[1:]:
            rates = other.features.sample_rate, self.window_models[0].features.sample_rate
            if rates[0] != rates[1]:
                raise UsageError(f"{other.name} listens at {rates[0]} Hz, not at {rates[1]}")
        for follower in self.followers:
            for other in self._followed_by(follower):
                if follower.features.grid != other.features.grid:
                    raise UsageError(f"{follower.name} can't read what {other.name} hears: it has other frames")

    @property
    def sample_rate(self) -> int:
        """The rate in Hz that the first task's model listens at."""
        return int(self.model.features.sample_rate)

    @property
    def tells_instruments(self) -> bool:
        """Whether notes may have instruments."""
        model = self.model if self._automatic is None else self._automatic.any
        return bool(getattr(model.decoding, "tells_instruments", False))

    @property
    def decoding(self) -> Any:
        """The settings of the first task's decoder."""
        return self.model.decoding

    def transcribe_file(
        self, path: str | Path, *, progress: Progress | None = None, keep: Keep | None = None
    ) -> Transcription:
        """Transcribe a recording of any length; ``-`` reads standard input.

        Parameters
        ----------
        path
            The recording.
        progress
            Called with the seconds done, and those in all or None where the file doesn't say.
        keep
            Given the activations of the first task, block by block, before they are forgotten.

        Raises
        ------
        InputError
            If it can't be read.
        UsageError
            If a stream would have to be read twice.
        """
        if self._reads is not None and Path(path).suffix.lower() in self._reads.reads:
            if self.excerpt != WHOLE:
                raise UsageError(f"{Path(path).name}: --start and --end are for recordings, not for notes")
            return self._reads.read(Path(path), self.timing)
        passes = bool(self.window_models) + len(self.excerpt_models)
        stream = str(path) == "-" or (os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path))
        if passes > 1 and stream:
            names = ", ".join(model.task.name for model in self.excerpt_models)
            raise UsageError(f"the {names} needs the recording as a file: a stream can't be read twice")
        result: Transcription | None = None
        if self.window_models:
            with self._reader(path, self.window_models[0]) as reader:
                result = self._hear_windows(reader.blocks(), reader.duration, progress, keep)
                result = replace(result, warnings=(*reader.warnings, *result.warnings))
        for model in self.excerpt_models:
            with self._reader(path, model) as reader:
                watch = progress if result is None else None
                result = self._hear_excerpts(model, reader.blocks(), reader.duration, watch, result, reader.warnings)
        assert result is not None
        if self.excerpt != WHOLE:
            last = None if math.isinf(self.excerpt.end) else self.excerpt.end
            part = {"start": self.excerpt.start, "end": last}
            result = replace(result, settings={**result.settings, "excerpt": part})
        return result

    def transcribe_audio(self, samples: np.ndarray, sample_rate: int, *, keep: Keep | None = None) -> Transcription:
        """Transcribe samples that are in memory.

        Parameters
        ----------
        samples
            Shape (n_samples,), or (n_samples, n_channels) which is mixed down; floats within about -1 … 1.
        sample_rate
            In Hz.
        keep
            As for :meth:`transcribe_file`.

        Raises
        ------
        ValueError
            If the shape, the type or the rate is wrong, or a value isn't finite.
        """
        result: Transcription | None = None
        if self.window_models:
            rate = self.window_models[0].features.sample_rate
            mixer = Mixer(sample_rate)
            mono = resampled(samples, sample_rate, rate, mixer)
            result = self._hear_windows([mono], len(mono) / rate, None, keep)
            result = replace(result, warnings=(*mixer.remarks(), *result.warnings))
        for model in self.excerpt_models:
            rate = model.features.sample_rate
            mixer = Mixer(sample_rate)
            mono = resampled(samples, sample_rate, rate, mixer)
            result = self._hear_excerpts(model, [mono], len(mono) / rate, None, result, tuple(mixer.remarks()))
        assert result is not None
        return result

    def activations(self, blocks: Iterable[np.ndarray]) -> Iterator[AnyActivations]:
        """Hear blocks of samples at :attr:`sample_rate`: the activations of the first task, before any threshold.

        Raises
        ------
        UsageError
            If the first task doesn't hear windows.
        """
        _decoder_of(self.model)
        tunings, blocks = tuned(blocks, self.sample_rate)
        followers = [self.model] if any(one is self.model for one in self.followers) else []
        if self._automatic is not None:
            models = [self._automatic.piano, self._automatic.any, self._automatic.listener]
        else:
            models = self._followed_by(self.model) if followers else [self.model]
        _, _, streams, _ = self._heard(blocks, models, followers, tunings)
        return streams[0]

    def activations_of(self, path: str | Path) -> Iterator[AnyActivations]:
        """Hear a recording with the first task's network: its activations, before any threshold.

        Raises
        ------
        InputError
            If it can't be read.
        """
        with self._reader(path, self.model) as reader:
            yield from self.activations(reader.blocks())

    def decode(self, activations: Iterable[Activations], **settings: object) -> Transcription:
        """Turn activations of the first task, block by block, into what they say; ``settings`` replace its own.

        The tuning isn't told: activations are those of a recording in tune.
        """
        blocks = iter(activations)
        first = list(itertools.islice(blocks, 1))
        made_by = self._automatic.model_of(first[0]) if self._automatic and first else self.model
        model = _with_settings(made_by, settings)
        decoder = _decoder_of(model)
        seconds = 0.0
        for block in itertools.chain(first, blocks):
            decoder.push(block)
            seconds += block.seconds
        return spelled(self._completed(_added(Transcription(duration=seconds), model, decoder.fields(seconds))))

    def _reader(self, path: str | Path, model: AnyModel) -> AudioReader:
        return AudioReader(
            path,
            model.features.sample_rate,
            max_duration=self.max_duration,
            isolated=self.isolated,
            excerpt=self.excerpt,
        )

    def _run(self, blocks: Iterable[np.ndarray], models: Sequence[WindowModel], tunings: Tunings) -> Outputs:
        if self._infer is not None:
            return self._infer(blocks, *models, tunings=tunings)
        return infer_together(blocks, *models, tunings=tunings, threads=self.threads)

    def _followed_by(self, follower: WindowModel) -> list[WindowModel]:
        """Choose the models whose activations another reads: for each source one, or two where one is chosen later.

        None where there is none that it can read.
        """
        found = [[one for one in self.window_models if _is_read(one, source)] for source in _sources_of(follower)]
        return list(itertools.chain(*found)) if all(found) else []

    def _heard(
        self,
        blocks: Iterable[np.ndarray],
        models: Sequence[WindowModel],
        followers: Sequence[WindowModel],
        tunings: Tunings,
    ) -> tuple[list[WindowModel], list[Decoder[AnyActivations]], Outputs, Choice | None]:
        """Run networks, and those that read what they hear.

        Returns
        -------
        tuple
            The models that something is asked of, the first task's first, their decoders and activations, and which
            was chosen, where one was.
        """
        models, decoders = list(models), list(map(_decoder_of, models))
        streams = self._run(blocks, models, tunings)
        place = listener(models)
        chosen: Choice | None = None
        again: Iterator[AnyActivations] | None = None
        if place is not None:  # whoever listens ahead has heard the beginning, which others still need
            streams[place], again = itertools.tee(streams[place])
        if self._automatic is not None:
            models, decoders, streams, chosen = self._automatic.settled(models, decoders, streams)
        place, n_read = listener(models), len(models)
        for follower in followers:
            places = [[i for i in range(n_read) if _is_read(models[i], source)] for source in _sources_of(follower)]
            if not all(places):  # the model that was chosen tells too little
                continue
            read = []
            for i, *_ in places:
                if i == place and again is not None:
                    again, copy = itertools.tee(again)
                else:
                    streams[i], copy = itertools.tee(streams[i])
                read.append(copy)
            models.append(follower)
            decoders.append(_decoder_of(follower))
            streams.append(follow(read, follower, threads=self.threads))
        streams[0] = overheard(models[0], streams[0], again)
        names = [task.name for task in self.tasks]
        asked = [i for i, model in enumerate(models) if model.task.name in names or self._automatic is not None]
        # What follows its own task's network comes before it.
        asked.sort(key=lambda i: (_order(names, models[i]), i < n_read))
        # What nobody reads mustn't be kept: its windows would be.
        return [models[i] for i in asked], [decoders[i] for i in asked], [streams[i] for i in asked], chosen

    def _hear_windows(
        self, blocks: Iterable[np.ndarray], duration: float | None, progress: Progress | None, keep: Keep | None
    ) -> Transcription:
        level = MeteredBlocks(blocks)
        rate = self.window_models[0].features.sample_rate
        tunings, samples = tuned(level, rate)
        models, decoders, streams, chosen = self._heard(samples, self.window_models, self.followers, tunings)
        first, *others = streams
        del streams
        seconds = 0.0
        for block in first:
            if keep is not None:
                keep(block)
            decoders[0].push(block)
            # In turn, so that no network runs ahead of the others.
            for decoder, stream in zip(decoders[1:], others, strict=True):
                for other in itertools.islice(stream, 1):
                    decoder.push(other)
            seconds += block.seconds
            if progress is not None:
                progress(min(seconds, duration or seconds), duration)
        for decoder, stream in zip(decoders[1:], others, strict=True):
            for other in stream:
                decoder.push(other)
        length = level.n_samples / rate
        sections = tunings.sections(length)
        share = None if chosen is None else chosen.piano_share
        result = Transcription(duration=length, tuning=main_tuning(sections), tunings=sections, piano_share=share)
        # Last comes whoever follows its own task's network, which answers where a piano plays alone.
        for model, decoder in sorted(zip(models, decoders, strict=True), key=lambda pair: bool(_sources_of(pair[0]))):
            fields = decoder.fields(length)
            if model.task.name not in [task.name for task in self.tasks]:  # it was only asked who plays
                fields = {name: value for name, value in fields.items() if name == "novelty"}
            if not (model.task.name in result.models and result.piano_alone):
                result = _added(result, model, fields)
        result = self._completed(result)
        if chosen is not None:
            result = replace(result, settings={**result.settings, AUTO: chosen.words})
        if result.piano_alone is False:  # what is foretold, is of pianos
            result = replace(result, forecast=None)
        result = spelled(on_beats(result) if self.timing.snap else result)
        task = models[0].task
        remarks = task.remarks(result, level) if isinstance(task, RemarkingTask) else ()
        return replace(result, warnings=(*_silence(level), *remarks))

    def _hear_excerpts(
        self,
        model: AnyModel,
        blocks: Iterable[np.ndarray],
        duration: float | None,
        progress: Progress | None,
        result: Transcription | None,
        warnings: Sequence[str] = (),
    ) -> Transcription:
        """Hear excerpts, and add what was found to a result; ``warnings`` are the reader's."""
        assert isinstance(model.task, ExcerptTask)
        level = MeteredBlocks(blocks)
        fields = dict(model.task.listen(model, level, duration, progress, self.threads))
        remarks = fields.pop("warnings", ())
        said = (*warnings, *(tuple(_silence(level)) or remarks))
        if result is None:
            result = Transcription(duration=level.n_samples / model.features.sample_rate)
        result = _added(result, model, fields)
        new = (remark for remark in said if remark not in result.warnings)
        return replace(result, warnings=(*result.warnings, *new))

    def _completed(self, result: Transcription) -> Transcription:
        """Add what follows from all that was heard."""
        for task in TASKS:
            if isinstance(task, CompletingTask) and set(task.requires) <= result.models.keys():
                result = task.complete(result, self.timing)
        models = result.models
        order = [*(task.name for task in TASKS), *models]
        return replace(result, models={name: models[name] for name in order if name in models})


def transcribe_file(path: str | Path, *, progress: Progress | None = None, **options: Any) -> Transcription:
    """Transcribe one recording; ``options`` and errors are those of :class:`Transcriber`.

    Examples
    --------
    >>> note = transcribe_file("examples/waltz.flac").notes[0]
    >>> note.pitch, round(note.onset, 1)
    (48, 0.4)
    """
    return Transcriber(**options).transcribe_file(path, progress=progress)


def transcribe_audio(samples: np.ndarray, sample_rate: int, **options: Any) -> Transcription:
    """Transcribe samples in memory; ``options`` and errors are those of :class:`Transcriber`."""
    return Transcriber(**options).transcribe_audio(samples, sample_rate)


def _with_required(tasks: Sequence[str | Task] | None) -> list[Task]:
    """Find the tasks, and put those that they are made from before them."""
    if tasks is None:
        return [task for task in TASKS if task.by_default]
    if isinstance(tasks, str):
        raise UsageError(f"tasks are a sequence of names, such as ({tasks!r},)")
    found: dict[str, Task] = {}
    for one in tasks:
        task = task_named(one) if isinstance(one, str) else one
        found |= {name: task_named(name) for name in task.requires if name not in found}
        found.setdefault(task.name, task)
    return list(found.values())


def _sources_of(model: AnyModel) -> tuple[Source, ...]:
    return model.task.follows(model.header) if isinstance(model.task, FollowingTask) else ()


def _order(names: Sequence[str], model: AnyModel) -> int:
    return names.index(model.task.name) if model.task.name in names else len(names)


def _is_read(model: AnyModel, source: Source) -> bool:
    return model.task.name == source.task and bool(not source.needs or getattr(model.decoding, source.needs, False))


def _added(result: Transcription, model: AnyModel, fields: Fields) -> Transcription:
    """Put what was found into a transcription, with the model and the settings that it comes from."""
    task, decoding = model.task, asdict(model.decoding)
    settings = {task.settings_key: decoding} if task.settings_key else decoding
    models = {**result.models, task.name: model.name}
    return replace(result, **fields, models=models, settings={**result.settings, **settings})


def _with_settings(model: AnyModel, settings: Mapping[str, object]) -> AnyModel:
    try:
        return replace(model, decoding=replace(model.decoding, **settings)) if settings else model
    except (TypeError, ValueError) as error:
        raise UsageError(f"settings: {error}") from None


def _silence(level: MeteredBlocks) -> Iterator[str]:
    """Yield a remark where nothing sounds."""
    if level.silent:
        yield "the recording is silent" if level.n_samples else "the recording holds no samples"


def _decoder_of(model: AnyModel) -> Decoder[AnyActivations]:
    if not isinstance(model.task, WindowTask):
        raise UsageError(f"{model.task.name} has no activations: it hears excerpts")
    return model.task.decoder(model)
