"""Weights on disk: a manifest with a sha256 for every file, safetensors with one header, strict loading.

``weights/manifest.json`` maps a name (``notes-large-4``) to its file, task, checksum and terms. A file holds tensors in
half precision and one metadata key ``pitchai``: JSON with everything needed to build the network and decode its
output. Beside it may lie the same network as an ONNX graph, with a checksum of its own, which the CPU runs. Nothing is
ever unpickled.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np

from transcribe.chords import ChordDecodingConfig
from transcribe.decoding import DecodingConfig
from transcribe.errors import UsageError, WeightsError
from transcribe.features import FeatureConfig
from transcribe.genre import GenreDecodingConfig
from transcribe.onnx_network import OnnxNetwork
from transcribe.tags import TagDecodingConfig

if TYPE_CHECKING:
    import torch

    from transcribe.chord_network import ChordsNetwork
    from transcribe.genre_features import Front
    from transcribe.genre_network import GenreNetwork
    from transcribe.instrument_network import InstrumentsNetwork
    from transcribe.networks import NotesNetwork

FORMAT = 1
_REINSTALL = "reinstall pitchai"


@dataclass(frozen=True)
class Entry:
    """One line of the manifest; ``size`` names the newest of several, such as ``small``.

    ``graph`` is what the CPU runs, where there is one: the same network as an ONNX file.
    """

    name: str
    task: str
    file: str
    sha256: str
    licence: str
    size: str = ""
    default: bool = False
    graph: str = ""
    graph_sha256: str = ""


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


def weights_folder() -> Path:
    """Find the weights: inside an installed package, or at the top of a checkout.

    Raises
    ------
    WeightsError
        If there are none.
    """
    package = Path(__file__).parent
    for folder in (package / "weights", package.parent / "weights"):
        if (folder / "manifest.json").is_file():
            return folder
    raise WeightsError(f"weights are missing: there is no weights/manifest.json beside {package}; {_REINSTALL}")


def manifest() -> dict[str, Entry]:
    """All shipped weights by name.

    Raises
    ------
    WeightsError
        If the manifest is missing or damaged.
    """
    path = weights_folder() / "manifest.json"
    try:
        lines = json.loads(path.read_text(encoding="utf-8"))
        entries = {name: Entry(name=name, **line) for name, line in lines.items()}
        texts = [v for e in entries.values() for k, v in asdict(e).items() if k != "default"]
        if not all(isinstance(text, str) for text in texts):
            raise ValueError("all but default must be text")
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise WeightsError(f"{path}: damaged manifest ({error}); {_REINSTALL}") from None
    return entries


def default_name(task: str) -> str:
    """Name the weights that a task uses unless told otherwise."""
    names = [entry.name for entry in manifest().values() if entry.task == task and entry.default]
    if not names:
        raise WeightsError(f"no weights for {task}; {_REINSTALL}")
    return names[0]


def verified_bytes(file: str, sha256: str) -> bytes:
    """Read a file of the weights' folder and check its sha256.

    Raises
    ------
    WeightsError
        If it is missing or differs from the manifest by as much as a bit.
    """
    path = weights_folder() / file
    try:
        content = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"{path}: can't be read: {error.strerror}; {_REINSTALL}") from None
    digest = hashlib.sha256(content).hexdigest()
    if digest != sha256:
        raise WeightsError(f"{path}: altered (sha256 {digest[:12]}…, not {sha256[:12]}…); {_REINSTALL}")
    return content


@dataclass(frozen=True)
class InstrumentsModel:
    """An instruments network ready to run, with the front end it reads and the way its output is decoded."""

    name: str
    network: InstrumentsNetwork | OnnxNetwork
    features: FeatureConfig
    decoding: TagDecodingConfig


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
    found = _find("notes", name)
    if isinstance(found, tuple):
        return parse_notes_model(*found, device, precision)
    return _cached_notes(found, device, precision)


def load_chords_model(name: str | None = None, device: str = "cpu", precision: str = "float32") -> ChordsModel:
    """Load a chords network; see :func:`load_notes_model` for the parameters and the errors."""
    found = _find("chords", name)
    if isinstance(found, tuple):
        return parse_chords_model(*found, device, precision)
    return _cached_chords(found, device, precision)


def load_instruments_model(
    name: str | None = None, device: str = "cpu", precision: str = "float32"
) -> InstrumentsModel:
    """Load an instruments network; see :func:`load_notes_model` for the parameters and the errors."""
    found = _find("instruments", name)
    if isinstance(found, tuple):
        return parse_instruments_model(*found, device, precision)
    return _cached_instruments(found, device, precision)


def load_genre_model(name: str | None = None, device: str = "cpu", precision: str = "float32") -> GenreModel:
    """Load a genre network; see :func:`load_notes_model` for the parameters and the errors.

    It computes in float32 whatever ``precision`` says: a table's figures span too many orders of magnitude.
    """
    found = _find("genre", name)
    if isinstance(found, tuple):
        return parse_genre_model(*found, device)
    return _cached_genre(found, device)


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


@cache
def _cached_notes(entry: Entry, device: str, precision: str) -> NotesModel:
    return parse_notes_model(*_contents(entry), device, precision, _graph(entry, device, precision))


@cache
def _cached_chords(entry: Entry, device: str, precision: str) -> ChordsModel:
    return parse_chords_model(*_contents(entry), device, precision, _graph(entry, device, precision))


@cache
def _cached_instruments(entry: Entry, device: str, precision: str) -> InstrumentsModel:
    return parse_instruments_model(*_contents(entry), device, precision, _graph(entry, device, precision))


@cache
def _cached_genre(entry: Entry, device: str) -> GenreModel:
    return parse_genre_model(*_contents(entry), device)


def _contents(entry: Entry) -> tuple[bytes, str]:
    return verified_bytes(entry.file, entry.sha256), entry.name


def _graph(entry: Entry, device: str, precision: str) -> bytes | None:
    """Read the graph of shipped weights, where it is what runs."""
    if not entry.graph or device != "cpu" or precision != "float32":
        return None
    return verified_bytes(entry.graph, entry.graph_sha256)


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
        decoding = _build(DecodingConfig, header["decoding"])

        def untrained() -> NotesNetwork:
            from transcribe.networks import NotesNetwork, TrunkConfig

            return NotesNetwork(features, _build(TrunkConfig, header["network"]))

        network = _running(untrained, content, device, precision, graph)
        return NotesModel(name, network, features, decoding, dict(header["trained_on"]))


def parse_chords_model(
    content: bytes, name: str, device: str = "cpu", precision: str = "float32", graph: bytes | None = None
) -> ChordsModel:
    """Build the chords network that a weights file describes; see :func:`parse_notes_model`."""
    from safetensors.numpy import load

    with _fitting(name):
        header, features = _checked_header(content, "chords")
        decoding = _build(ChordDecodingConfig, header["decoding"])

        def untrained() -> ChordsNetwork:
            from transcribe.chord_network import ChordsConfig, ChordsNetwork

            return ChordsNetwork(features, _build(ChordsConfig, header["network"]))

        network = _running(untrained, content, device, precision, graph)
        return ChordsModel(name, network, features, decoding, load(content)["changes"].astype(np.float32))


def parse_instruments_model(
    content: bytes, name: str, device: str = "cpu", precision: str = "float32", graph: bytes | None = None
) -> InstrumentsModel:
    """Build the instruments network that a weights file describes; see :func:`parse_notes_model`."""
    with _fitting(name):
        header, features = _checked_header(content, "instruments")
        decoding = _build(TagDecodingConfig, header["decoding"])

        def untrained() -> InstrumentsNetwork:
            from transcribe.instrument_network import InstrumentsConfig, InstrumentsNetwork

            return InstrumentsNetwork(features, _build(InstrumentsConfig, header["network"]))

        network = _running(untrained, content, device, precision, graph)
        return InstrumentsModel(name, network, features, decoding)


def parse_genre_model(content: bytes, name: str, device: str = "cpu") -> GenreModel:
    """Build the genre network that a weights file describes; see :func:`parse_notes_model`."""
    from transcribe.genre_features import FRONTS
    from transcribe.genre_network import GenreConfig, GenreNetwork

    with _fitting(name):
        header = _checked_task(content, "genre")
        config = _build(GenreConfig, header["network"])
        network = _filled(GenreNetwork(config), content, device, "float32")
        return GenreModel(name, network, FRONTS[config.front], _build(GenreDecodingConfig, header["decoding"]))


@contextmanager
def _fitting(name: str) -> Iterator[None]:
    """Turn whatever a strange file leads to into one error."""
    from safetensors import SafetensorError

    try:
        yield
    except (SafetensorError, RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise WeightsError(f"{name}: weights that don't fit: {reason}; {_REINSTALL}") from None


def _checked_header(content: bytes, task: str) -> tuple[dict[str, Any], FeatureConfig]:
    header = _checked_task(content, task)
    return header, _build(FeatureConfig, header["features"])


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


def load_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Read the tensors of a weights file in float32, to train on from there."""
    from safetensors.torch import load_file

    return {key: value.float() if value.is_floating_point() else value for key, value in load_file(path).items()}


def read_header(content: bytes) -> dict[str, Any]:
    """Parse the ``pitchai`` metadata of a weights file.

    Raises
    ------
    ValueError
        If there is none.
    """
    length = int.from_bytes(content[:8], "little")
    try:
        header: dict[str, Any] = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["pitchai"])
    except (KeyError, UnicodeDecodeError) as error:
        raise ValueError(f"no pitchai header ({error})") from None
    return header


def to_bytes(tensors: dict[str, torch.Tensor], header: dict[str, Any], half: bool = True) -> bytes:
    """Serialise weights, in half precision or as they are; the same tensors and header give the same bytes."""
    import torch
    from safetensors.torch import save

    halves = {
        key: (value.half() if half and torch.is_floating_point(value) else value).contiguous()
        for key, value in tensors.items()
    }
    return bytes(save(halves, {"pitchai": json.dumps({"format": FORMAT, **header}, sort_keys=True)}))


def notes_header(features: FeatureConfig, network: Any, decoding: DecodingConfig, **more: Any) -> dict[str, Any]:
    """Describe a notes network for its weights file."""
    return {"trained_on": {}, **_header("notes", features, network, decoding), **more}


def chords_header(features: FeatureConfig, network: Any, decoding: ChordDecodingConfig, **more: Any) -> dict[str, Any]:
    """Describe a chords network for its weights file."""
    return {**_header("chords", features, network, decoding), **more}


def instruments_header(
    features: FeatureConfig, network: Any, decoding: TagDecodingConfig, **more: Any
) -> dict[str, Any]:
    """Describe an instruments network for its weights file."""
    return {**_header("instruments", features, network, decoding), **more}


def genre_header(network: Any, decoding: GenreDecodingConfig, **more: Any) -> dict[str, Any]:
    """Describe a genre network for its weights file."""
    return {"task": "genre", "network": asdict(network), "decoding": asdict(decoding), **more}


def _header(task: str, features: FeatureConfig, network: Any, decoding: Any) -> dict[str, Any]:
    return {
        "task": task,
        "features": asdict(features),
        "network": asdict(network),
        "decoding": asdict(decoding),
    }


_Config = TypeVar("_Config")


def _build(kind: type[_Config], values: dict[str, Any]) -> _Config:
    known = {f.name for f in fields(kind)}  # type: ignore[arg-type]
    if set(values) != known:
        raise ValueError(f"{kind.__name__} has other fields: {sorted(set(values) ^ known)}")
    return kind(**{key: tuple(value) if isinstance(value, list) else value for key, value in values.items()})
