"""Weights on disk: a manifest with a sha256 for every file, safetensors with one header, strict loading.

``weights/manifest.json`` maps a name (``notes-medium-8``) to its file, task, checksum and terms. A file holds tensors
in half precision and one metadata key ``pitchai``: JSON with everything needed to build the network and decode its
output. Beside it may lie the same network as an ONNX graph, with a checksum of its own, which the CPU runs. Nothing is
ever unpickled.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transcribe.errors import WeightsError

if TYPE_CHECKING:
    import torch

    from transcribe.chords.decoder import ChordDecodingConfig
    from transcribe.engine.features import FeatureConfig
    from transcribe.genre.decoder import GenreDecodingConfig
    from transcribe.instruments.decoder import TagDecodingConfig
    from transcribe.notes.decoder import DecodingConfig

FORMAT = 1
REINSTALL = "reinstall pitchai"


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
        texts = [v for e in entries.values() for k, v in asdict(e).items() if k != "default"]
        if not all(isinstance(text, str) for text in texts):
            raise ValueError("all but default must be text")
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
