"""Models ready to run: the bytes of a weights file to a network, its front end and the way its output is decoded.

On a CPU in float32 the shipped networks run as ONNX graphs, without torch; anywhere else torch builds and fills them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np

from transcribe.chords.decoder import ChordDecodingConfig
from transcribe.engine.features import FeatureConfig
from transcribe.engine.onnx_backend import OnnxNetwork
from transcribe.engine.weights import FORMAT, REINSTALL, Entry, default_name, manifest, read_header, verified_bytes
from transcribe.errors import UsageError, WeightsError, machine_fault
from transcribe.genre.decoder import GenreDecodingConfig
from transcribe.instruments.decoder import TagDecodingConfig
from transcribe.notes.decoder import DecodingConfig

if TYPE_CHECKING:
    from transcribe.chords.network import ChordsNetwork
    from transcribe.engine.trunk import NotesNetwork
    from transcribe.genre.features import Front
    from transcribe.genre.network import GenreNetwork
    from transcribe.instruments.network import InstrumentsNetwork

_Model = TypeVar("_Model")
_Config = TypeVar("_Config")
# Shipped models stay loaded, by their line in the manifest, device and precision.
_kept: dict[tuple[Entry, str, str], Any] = {}


@dataclass(frozen=True)
class NotesModel:
    """A notes network ready to run, with the front end it reads and the way its output is decoded.

    ``trained_on`` maps data sets to the splits that were used.
    """

    name: str
    network: NotesNetwork | OnnxNetwork
    features: FeatureConfig
    decoding: DecodingConfig
    trained_on: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class ChordsModel:
    """A chords network ready to run, with the front end it reads and the way its output is decoded.

    ``changes``: float32 (n_classes, n_classes), the logarithms of how probably chords follow each other.
    """

    name: str
    network: ChordsNetwork | OnnxNetwork
    features: FeatureConfig
    decoding: ChordDecodingConfig
    changes: np.ndarray


@dataclass(frozen=True)
class InstrumentsModel:
    """An instruments network ready to run, with the front end it reads and the way its output is decoded."""

    name: str
    network: InstrumentsNetwork | OnnxNetwork
    features: FeatureConfig
    decoding: TagDecodingConfig


@dataclass(frozen=True)
class GenreModel:
    """A genre network ready to run, with the front end it reads and the way its output is decoded."""

    name: str
    network: GenreNetwork
    features: Front
    decoding: GenreDecodingConfig


def load_notes_model(name: str | None = None, device: str = "cpu", precision: str = "float32") -> NotesModel:
    """Load a notes network by its name in the manifest, or from the path of a weights file.

    Parameters
    ----------
    name
        The default model where None; a size stands for the model that has it. A path ends in ``.safetensors``; it
        has no line in the manifest, so its checksum isn't checked, and no graph: torch runs it.
    device
        Where the network is put.
    precision
        ``float32`` or ``bfloat16``: what it computes in.

    Raises
    ------
    WeightsError
        If the file is missing, damaged, or doesn't fit the network.
    UsageError
        If there is no model of that name.
    """
    return _loaded("notes", name, parse_notes_model, device, precision)


def load_chords_model(name: str | None = None, device: str = "cpu", precision: str = "float32") -> ChordsModel:
    """Load a chords network; see :func:`load_notes_model` for the parameters and the errors."""
    return _loaded("chords", name, parse_chords_model, device, precision)


def load_instruments_model(
    name: str | None = None, device: str = "cpu", precision: str = "float32"
) -> InstrumentsModel:
    """Load an instruments network; see :func:`load_notes_model` for the parameters and the errors."""
    return _loaded("instruments", name, parse_instruments_model, device, precision)


def load_genre_model(name: str | None = None, device: str = "cpu", precision: str = "float32") -> GenreModel:
    """Load a genre network; see :func:`load_notes_model` for the parameters and the errors.

    It computes in float32 whatever ``precision`` says: a table's figures span too many orders of magnitude.
    """

    def parse(content: bytes, name: str, device: str, *_: Any) -> GenreModel:
        return parse_genre_model(content, name, device)

    return _loaded("genre", name, parse, device, "float32")


def _loaded(task: str, name: str | None, parse: Callable[..., _Model], device: str, precision: str) -> _Model:
    """Read and build a model, or find it among those that stay loaded."""
    found = _find(task, name)
    if isinstance(found, tuple):
        return parse(*found, device, precision)
    key = found, device, precision
    if key not in _kept:
        content = verified_bytes(found.file, found.sha256)
        _kept[key] = parse(content, found.name, device, precision, *_graph(found, device, precision))
    model: _Model = _kept[key]
    return model


def _find(task: str, name: str | None) -> Entry | tuple[bytes, str]:
    """Find a model by its name: a line of the manifest, or the bytes and the name of a weights file."""
    if name is not None and name.endswith(".safetensors"):
        try:
            content = Path(name).read_bytes()
        except OSError as error:
            raise WeightsError(f"{name}: can't be read: {error.strerror}") from None
        # Any bytes may stand in a file's name, but not in the results.
        return content, Path(name).stem.encode("utf-8", "backslashreplace").decode()
    wanted = name or default_name(task)
    known = [entry for entry in manifest().values() if entry.task == task]
    found = [entry for entry in known if wanted in (entry.name, entry.size)]
    if not found:
        names = ", ".join(sorted({text for entry in known for text in (entry.name, entry.size) if text}))
        raise UsageError(f"there is no {task} model {wanted!r}; choose one of {names}")
    return found[0]


def _graph(entry: Entry, device: str, precision: str) -> tuple[bytes, ...]:
    """Read the graph of shipped weights, where there is one and it is what runs."""
    if not entry.graph or device != "cpu" or precision != "float32":
        return ()
    return (verified_bytes(entry.graph, entry.graph_sha256),)


def parse_notes_model(
    content: bytes, name: str, device: str = "cpu", precision: str = "float32", graph: bytes | None = None
) -> NotesModel:
    """Build the notes network that a weights file describes, and fill it; or run its ``graph`` where one is given.

    Raises
    ------
    WeightsError
        If the header or the tensors don't fit.
    """
    with _fitting(name):
        header, features = _checked_header(content, "notes")
        decoding = build(DecodingConfig, header["decoding"])

        def untrained() -> NotesNetwork:
            from transcribe.engine.trunk import NotesNetwork, TrunkConfig

            return NotesNetwork(features, build(TrunkConfig, header["network"]))

        network = _running(untrained, content, device, precision, graph)
        return NotesModel(name, network, features, decoding, dict(header["trained_on"]))


def parse_chords_model(
    content: bytes, name: str, device: str = "cpu", precision: str = "float32", graph: bytes | None = None
) -> ChordsModel:
    """Build the chords network that a weights file describes; see :func:`parse_notes_model`."""
    from safetensors.numpy import load

    with _fitting(name):
        header, features = _checked_header(content, "chords")
        decoding = build(ChordDecodingConfig, header["decoding"])

        def untrained() -> ChordsNetwork:
            from transcribe.chords.network import ChordsConfig, ChordsNetwork

            return ChordsNetwork(features, build(ChordsConfig, header["network"]))

        network = _running(untrained, content, device, precision, graph)
        return ChordsModel(name, network, features, decoding, load(content)["changes"].astype(np.float32))


def parse_instruments_model(
    content: bytes, name: str, device: str = "cpu", precision: str = "float32", graph: bytes | None = None
) -> InstrumentsModel:
    """Build the instruments network that a weights file describes; see :func:`parse_notes_model`."""
    with _fitting(name):
        header, features = _checked_header(content, "instruments")
        decoding = build(TagDecodingConfig, header["decoding"])

        def untrained() -> InstrumentsNetwork:
            from transcribe.instruments.network import InstrumentsConfig, InstrumentsNetwork

            return InstrumentsNetwork(features, build(InstrumentsConfig, header["network"]))

        network = _running(untrained, content, device, precision, graph)
        return InstrumentsModel(name, network, features, decoding)


def parse_genre_model(content: bytes, name: str, device: str = "cpu") -> GenreModel:
    """Build the genre network that a weights file describes; see :func:`parse_notes_model`. It has no graph."""
    from transcribe.genre.features import FRONTS
    from transcribe.genre.network import GenreConfig, GenreNetwork

    with _fitting(name):
        header = _checked_task(content, "genre")
        config = build(GenreConfig, header["network"])
        network = _filled(GenreNetwork(config), content, device, "float32")
        return GenreModel(name, network, FRONTS[config.front], build(GenreDecodingConfig, header["decoding"]))


@contextmanager
def _fitting(name: str) -> Iterator[None]:
    """Turn whatever a strange file leads to into one error."""
    from safetensors import SafetensorError

    try:
        yield
    except (SafetensorError, RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
        fault = machine_fault(error)
        if fault is not None:
            raise WeightsError(f"{name}: can't be loaded: {fault}") from None
        reason = " ".join(str(error).split())[:200]
        raise WeightsError(f"{name}: weights that don't fit: {reason}; {REINSTALL}") from None


def _checked_header(content: bytes, task: str) -> tuple[dict[str, Any], FeatureConfig]:
    header = _checked_task(content, task)
    return header, build(FeatureConfig, header["features"])


def _checked_task(content: bytes, task: str) -> dict[str, Any]:
    header = read_header(content)
    if header["format"] != FORMAT or header["task"] != task:
        raise ValueError(f"made for another version or task of pitchai than {task}; update pitchai")
    return header


class _Fusible(Protocol):
    def fused(self) -> Any: ...


_Network = TypeVar("_Network", bound=_Fusible)


def _running(
    untrained: Callable[[], _Network], content: bytes, device: str, precision: str, graph: bytes | None
) -> _Network | OnnxNetwork:
    """Take the graph where one is given; else build the network, for which torch must be loaded, and fill it."""
    return OnnxNetwork(graph) if graph is not None else _filled(untrained(), content, device, precision)


def _filled(network: _Network, content: bytes, device: str, precision: str) -> _Network:
    """Load the tensors, all of them and no others, each number finite; then fuse and move the network."""
    import torch
    from safetensors.torch import load

    assert isinstance(network, torch.nn.Module)
    tensors = {key: value.float() if value.is_floating_point() else value for key, value in load(content).items()}
    if not all(bool(torch.isfinite(value).all()) for value in tensors.values()):
        raise ValueError("a weight is no finite number")
    network.load_state_dict(tensors, strict=True)
    network.eval().requires_grad_(False)
    network.fused()
    network.to(torch.device(device), torch.bfloat16 if precision == "bfloat16" else torch.float32)
    network.to(memory_format=torch.channels_last)
    return network


def build(kind: type[_Config], values: dict[str, Any]) -> _Config:
    """Make a dataclass of what JSON says of it, lists as tuples.

    Raises
    ------
    ValueError
        If a field is missing or unknown.
    """
    known = {f.name for f in fields(kind)}  # type: ignore[arg-type]
    if set(values) != known:
        raise ValueError(f"{kind.__name__} has other fields: {sorted(set(values) ^ known)}")
    return kind(**{key: tuple(value) if isinstance(value, list) else value for key, value in values.items()})
