"""What a task is to the engine: a network with its front end, and a way from its output to events.

The engine loads, runs and stitches networks for any task and knows none by name. What the program asks of a task
beyond that (its command, formats, data sets and metrics) is :class:`transcribe.registry.Task`.

A task is of one of three kinds: a :class:`WindowTask` hears a recording window by window, together with others; an
:class:`ExcerptTask` hears excerpts, in a pass of its own; a task with neither is made from the results of those that
it ``requires``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeAlias, TypeVar, runtime_checkable

if TYPE_CHECKING:  # a task costs nothing before it is at work, so that the command line can list them all
    import numpy as np
    from _typeshed import DataclassInstance

    from transcribe.audio.reader import MeteredBlocks
    from transcribe.engine.features import FeatureConfig, FrameGrid
    from transcribe.events import Transcription

# (seconds done, seconds in all or None where the file doesn't say)
Progress = Callable[[float, float | None], None]
# Fields of a Transcription, by name.
Fields = Mapping[str, Any]
# The JSON in the header of a weights file.
Header = Mapping[str, Any]
# An array of NumPy's, or a tensor where the work is done in torch, which isn't imported for a type.
Array = Any
# A task's own class of network or of activations, where it isn't known of which task.
AnyNetwork = Any
AnyActivations = Any
# Features (n_frames, n_mels), and how many of the frames lie within the recording.
Frames = tuple[Array, int]
# A network's output for a window: arrays with a row for each step.
Heads = tuple["np.ndarray", ...]

T = TypeVar("T")
A_in = TypeVar("A_in", contravariant=True)
A_out = TypeVar("A_out", covariant=True)
Config = TypeVar("Config", covariant=True)
Front = TypeVar("Front", bound="FrontEnd", covariant=True)


def imported(place: str) -> Any:
    """Import what is named by its place below ``transcribe``, such as ``formats.midi.to_midi``."""
    module, _, name = place.rpartition(".")
    return getattr(import_module(f"transcribe.{module}"), name)


class Lazy(Generic[T]):
    """An attribute of a class that is imported when it is first asked for, by its place below ``transcribe``."""

    def __init__(self, place: str) -> None:
        self.place = place

    def __get__(self, _: object, __: type | None = None) -> T:
        """Import it."""
        found: T = imported(self.place)
        return found


class Activations(Protocol):
    """A block of a network's output, in 0-1, for consecutive frames or steps of frames."""

    @property
    def grid(self) -> FrameGrid:
        """The time base of the frames."""

    @property
    def seconds(self) -> float:
        """How much of the recording the block covers."""

    def __len__(self) -> int: ...


class Decoder(Protocol[A_in]):
    """Activations, block by block, to events."""

    def push(self, block: A_in, /) -> None:
        """Take in the block that follows."""

    def fields(self, duration: float, /) -> Fields:
        """End the decoding of a recording of ``duration`` seconds: the fields of its transcription."""


class Network(Protocol):
    """A network: a torch module that gives logits with ``activations()``, or a graph that gives activations."""

    def __call__(self, features: Array, /) -> object:
        """Features of a window, or of a batch of them, to the network's output."""


class FrontEnd(Protocol):
    """What turns samples into a network's input."""

    @property
    def sample_rate(self) -> int:
        """The rate in Hz of the samples that it takes."""


@dataclass(frozen=True)
class Model(Generic[Config, Front]):
    """A task's network ready to run, with the front end it reads and the way its output is decoded.

    ``decoding`` are the decoder's settings, those of the weights file or others. ``constants`` are the tensors of the
    file that the decoder reads, float32; ``header`` is the file's own.
    """

    task: NetworkTask
    name: str
    network: AnyNetwork
    features: Front
    decoding: Config
    constants: Mapping[str, np.ndarray] = field(default_factory=dict)
    header: Header = field(default_factory=dict)


# A model of some task, where it isn't known of which.
AnyModel = Model[Any, Any]
# One whose task hears windows.
WindowModel: TypeAlias = "Model[Any, FeatureConfig]"


@runtime_checkable
class NetworkTask(Protocol):
    """A task with weights of its own: what the loader asks.

    Attributes
    ----------
    name
        What its command, its entries in the manifest, its models and its settings are called.
    decoding
        The dataclass of its decoder's settings; tuned values stand in every weights file.
    constants
        The tensors of a weights file that the decoder reads.
    precisions
        What the network may compute in; the first where it is asked for another.
    settings_key
        Where the decoder's settings stand in those of a transcription; empty: beside the other entries.
    """

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def decoding(self) -> type[DataclassInstance]: ...  # noqa: D102

    @property
    def constants(self) -> tuple[str, ...]: ...  # noqa: D102

    @property
    def precisions(self) -> tuple[str, ...]: ...  # noqa: D102

    @property
    def settings_key(self) -> str: ...  # noqa: D102

    def features(self, header: Header) -> FrontEnd:
        """Choose the front end that a weights file names.

        Raises
        ------
        ValueError
            If it makes no sense; so for :meth:`network`.
        """

    def network(self, header: Header) -> Network:
        """Build the network that a weights file describes, untrained. torch is imported here, not before."""


@runtime_checkable
class VariedTask(NetworkTask, Protocol):
    """A task whose models hear different things, and so have decoders with different settings."""

    def decoding_of(self, header: Header) -> type[DataclassInstance]:
        """Choose the dataclass of the settings that a weights file holds."""


@runtime_checkable
class WindowTask(NetworkTask, Protocol):
    """A task that hears a recording window by window; those that share a front end are run together.

    Its networks have ``border``, frames at each end of a window that see past it.
    """

    def stride(self, network: AnyNetwork) -> int:
        """Count the frames of a step of the network's output."""

    def activations(self, heads: Heads, grid: FrameGrid, stride: int) -> Activations:
        """Name the arrays of the network's output for a window, without its borders."""

    def decoder(self, model: WindowModel) -> Decoder[AnyActivations]:
        """Begin to decode a recording."""


@dataclass(frozen=True)
class Source:
    """Whose activations a network reads: those of a ``task``.

    ``model`` of that task listens where the task isn't asked for; its default where empty. ``needs``: what the settings
    of the model's decoder must say is true of it; where another listens, the network isn't run.
    """

    task: str
    model: str = ""
    needs: str = ""


@runtime_checkable
class FollowingTask(WindowTask, Protocol):
    """A task with networks that read what other networks hear, in the same pass, instead of the spectrum.

    Such a network sees windows of rows, one a frame of the others' grid, with zeros before the recording and after it.
    One of those that it reads may be its own task's, which then answers wherever this one isn't run.
    """

    def follows(self, header: Header) -> tuple[Source, ...]:
        """Say what a weights file's network reads; nothing for the spectrum."""

    def inputs(self, header: Header, *heard: AnyActivations) -> np.ndarray:
        """Make rows, float32 (n_frames, n_inputs), of blocks of the others' activations, in the sources' order."""


@runtime_checkable
class ExcerptTask(NetworkTask, Protocol):
    """A task that hears excerpts of a recording, in a pass of its own over the file."""

    def listen(
        self,
        model: AnyModel,
        blocks: MeteredBlocks,
        duration: float | None,
        progress: Progress | None,
        threads: int | None,
    ) -> Fields:
        """Hear a recording, whose ``duration`` in seconds isn't always known: the fields of its transcription.

        Among them ``warnings``, which need not say that it is silent.
        """


class Listener(Protocol[A_out]):
    """A :class:`transcribe.transcriber.Transcriber` as metrics see it: what they measure."""

    @property
    def model(self) -> AnyModel:
        """The model of the first task, with the settings that are in use."""

    def transcribe_file(self, path: str | Path, *, progress: Progress | None = None) -> Transcription:
        """Transcribe a recording."""

    def activations_of(self, path: str | Path) -> Iterator[A_out]:
        """Hear a recording with the first task's network, block by block, before anything is decoded."""

    def decode(self, activations: Iterable[Activations], **settings: object) -> Transcription:
        """Decode the activations of the first task; ``settings`` replace the listener's own."""


@dataclass(frozen=True)
class Option:
    """A setting that a task's command offers: a field of its decoder's configuration.

    ``default`` is what the help shows for it, where the model's own value is no help.
    """

    name: str
    kind: type[int] | type[float] | type[str]
    help: str
    minimum: float | None = None
    maximum: float | None = None
    default: str = ""
