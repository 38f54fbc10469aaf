"""Weights on disk to models ready to run: a manifest with checksums, safetensors with one header, strict loading.

``weights/manifest.json`` maps a name (``notes-medium-8``) to its file, task, checksum and terms. A file holds tensors
in half precision and one metadata key ``pitchai``: JSON with everything needed to build the network and decode its
output. Beside it may lie the same network as an ONNX graph, with a checksum of its own: on a CPU in float32 it is what
runs, without torch; anywhere else torch builds the network and fills it. Nothing is ever unpickled.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from transcribe.engine.features import FeatureConfig
from transcribe.engine.onnx_backend import OnnxNetwork
from transcribe.engine.task import AnyModel, AnyNetwork, Header, Model, Network, NetworkTask, VariedTask
from transcribe.errors import UsageError, WeightsError, machine_fault

if TYPE_CHECKING:
    import torch
    from _typeshed import DataclassInstance

_Config = TypeVar("_Config", bound="DataclassInstance")

FORMAT = 1
REINSTALL = "reinstall pitchai"


@dataclass(frozen=True)
class Entry:
    """One line of the manifest; ``size`` names the newest of several, such as ``small``.

    ``graph`` is what the CPU runs, where there is one: the same network as an ONNX file. ``elsewhere``: it is the
    default for recordings of what the ``default`` doesn't know (:mod:`transcribe.automatic`).
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
    elsewhere: bool = False


def weights_folder() -> Path:
    """Find the weights: inside an installed package, or at the top of a checkout.

    Raises
    ------
    WeightsError
        If there are none.
    """
    package = Path(__file__).parent.parent
    for folder in (package / "weights", package.parent / "weights"):
        if (folder / "manifest.json").is_file():
            return folder
    raise WeightsError(f"weights are missing: there is no weights/manifest.json beside {package}; {REINSTALL}")


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
        texts = [v for e in entries.values() for k, v in asdict(e).items() if k not in ("default", "elsewhere")]
        if not all(isinstance(text, str) for text in texts):
            raise ValueError("all but default and elsewhere must be text")
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise WeightsError(f"{path}: damaged manifest ({error}); {REINSTALL}") from None
    return entries


def default_name(task: str) -> str:
    """Name the weights that a task uses unless told otherwise."""
    names = [entry.name for entry in manifest().values() if entry.task == task and entry.default]
    if not names:
        raise WeightsError(f"no weights for {task}; {REINSTALL}")
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
        raise WeightsError(f"{path}: can't be read: {error.strerror}; {REINSTALL}") from None
    digest = hashlib.sha256(content).hexdigest()
    if digest != sha256:
        raise WeightsError(f"{path}: altered (sha256 {digest[:12]}…, not {sha256[:12]}…); {REINSTALL}")
    return content


def load_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Read the tensors of a weights file in float32, to train on from there."""
    from safetensors.torch import load_file

    return {key: value.float() if value.is_floating_point() else value for key, value in load_file(path).items()}


def read_header(content: bytes) -> Header:
    """Parse the ``pitchai`` metadata of a weights file.

    Raises
    ------
    ValueError
        If there is none.
    """
    length = int.from_bytes(content[:8], "little")
    try:
        header: Header = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["pitchai"])
    except (KeyError, UnicodeDecodeError) as error:
        raise ValueError(f"no pitchai header ({error})") from None
    return header


def to_bytes(tensors: Mapping[str, torch.Tensor], header: Header, half: bool = True) -> bytes:
    """Serialise weights, in half precision or as they are; the same tensors and header give the same bytes."""
    import torch
    from safetensors.torch import save

    halves = {
        key: (value.half() if half and torch.is_floating_point(value) else value).contiguous()
        for key, value in tensors.items()
    }
    return bytes(save(halves, {"pitchai": json.dumps({"format": FORMAT, **header}, sort_keys=True)}))


def header_of(
    task: NetworkTask,
    network: DataclassInstance,
    decoding: DataclassInstance,
    features: DataclassInstance | None = None,
    **more: object,
) -> Header:
    """Describe a network for its weights file; ``features`` where the task's front end is configured."""
    front = {} if features is None else {"features": asdict(features)}
    return {"task": task.name, **front, "network": asdict(network), "decoding": asdict(decoding), **more}


def log_mel_config(header: Header) -> FeatureConfig:
    """Read the configuration of the front end that most networks share: a task's ``features``.

    Raises
    ------
    ValueError
        If a value makes no sense.
    """
    return build(FeatureConfig, header["features"])


# Shipped models stay loaded, by their line in the manifest, device and precision.
_kept: dict[tuple[Entry, str, str], AnyModel] = {}


def load_model(task: NetworkTask, name: str | None = None, device: str = "cpu", precision: str = "float32") -> AnyModel:
    """Load a task's network by its name in the manifest, or from the path of a weights file.

    Parameters
    ----------
    task
        What it is to hear.
    name
        The default model where None; a size stands for the model that has it. A path ends in ``.safetensors``; it
        has no line in the manifest, so its checksum isn't checked, and no graph: torch runs it.
    device
        Where the network is put.
    precision
        ``float32`` or ``bfloat16``: what it computes in, if the task's networks can.

    Raises
    ------
    WeightsError
        If the file is missing, damaged, or doesn't fit the network.
    UsageError
        If there is no model of that name.
    """
    if precision not in task.precisions:
        precision = task.precisions[0]
    found = _find(task.name, name)
    if isinstance(found, tuple):
        return parse_model(task, *found, device, precision)
    key = found, device, precision
    if key not in _kept:
        content = verified_bytes(found.file, found.sha256)
        _kept[key] = parse_model(task, content, found.name, device, precision, *_graph(found, device, precision))
    return _kept[key]


def _find(task: str, name: str | None) -> Entry | tuple[bytes, str]:
    """Find a model by its name: a line of the manifest, or the bytes and the name of a weights file."""
    if name is not None and name.endswith(".safetensors"):
        try:
            content = Path(name).read_bytes()
        except OSError as error:
            raise WeightsError(f"{name}: can't be read: {error.strerror}") from None
        # A file's name may hold whatever bytes, the results may not.
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


def parse_model(
    task: NetworkTask,
    content: bytes,
    name: str,
    device: str = "cpu",
    precision: str = "float32",
    graph: bytes | None = None,
) -> AnyModel:
    """Build the network that a weights file describes, and fill it; or run its ``graph`` where one is given.

    Raises
    ------
    WeightsError
        If the header or the tensors don't fit.
    """
    from safetensors.numpy import load

    with _fitting(name):
        header = read_header(content)
        if header["format"] != FORMAT or header["task"] != task.name:
            raise ValueError(f"made for another version or task of pitchai than {task.name}; update pitchai")
        tensors = load(content) if task.constants else {}
        return Model(
            task,
            name,
            _filled(task.network(header), content, device, precision) if graph is None else OnnxNetwork(graph),
            task.features(header),
            build(task.decoding_of(header) if isinstance(task, VariedTask) else task.decoding, header["decoding"]),
            {key: tensors[key].astype(np.float32) for key in task.constants},
            header,
        )


@contextmanager
def _fitting(name: str) -> Iterator[None]:
    """Report any failure to parse a weights file as a WeightsError."""
    from safetensors import SafetensorError

    try:
        yield
    except (SafetensorError, RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
        fault = machine_fault(error)
        if fault is not None:
            raise WeightsError(f"{name}: can't be loaded: {fault}") from None
        reason = " ".join(str(error).split())[:200]
        raise WeightsError(f"{name}: weights that don't fit: {reason}; {REINSTALL}") from None


def _filled(network: AnyNetwork, content: bytes, device: str, precision: str) -> Network:
    """Load the tensors, all of them and no others, each number finite; then fuse and move the network."""
    import torch
    from safetensors.torch import load

    tensors = {key: value.float() if value.is_floating_point() else value for key, value in load(content).items()}
    if not all(bool(torch.isfinite(value).all()) for value in tensors.values()):
        raise ValueError("a weight is no finite number")
    network.load_state_dict(tensors, strict=True)
    network.eval().requires_grad_(False)
    network.fused()
    network.to(torch.device(device), torch.bfloat16 if precision == "bfloat16" else torch.float32)
    network.to(memory_format=torch.channels_last)
    filled: Network = network
    return filled


def build(kind: type[_Config], values: Mapping[str, object]) -> _Config:
    """Make a dataclass of what JSON says of it, lists as tuples.

    Raises
    ------
    ValueError
        If a field is missing or unknown.
    """
    known = {f.name for f in fields(kind)}
    # A class may name fields that came later: older files don't have them.
    other = set(values) ^ known
    if not other <= known & getattr(kind, "added", frozenset()):
        raise ValueError(f"{kind.__name__} has other fields: {sorted(other)}")
    return kind(**{key: tuple(value) if isinstance(value, list) else value for key, value in values.items()})
