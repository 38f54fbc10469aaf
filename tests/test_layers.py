"""The shape of the program: who may import whom, and what is public."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import transcribe
from tests.conftest import ROOT

# Imports point up this list only.
LAYERS = [
    {"errors", "events", "harte", "rows", "onnx_network", "devices", "matching"},
    {"audio", "features", "tuning", "genre_features", "decoding", "chords", "tags", "genre", "output"}
    | {"beats", "key", "rhythm", "hands", "voices", "analysis", "notation"},
    {"networks"},
    {"chord_network", "instrument_network", "genre_network"},
    {"weights", "windows"},
    {"models"},
    {"inference"},
    {"listener"},
    {"recognisers"},
    {"pipeline", "datasets", "instrument_datasets", "genre_datasets"},
    {
        "evaluation",
        "beat_evaluation",
        "chord_evaluation",
        "genre_evaluation",
        "instrument_evaluation",
        "doctor",
    },
    {"scale", "console", "options"},
    {"jobs"},
    {"judging"},
    {"cli"},
    {"__main__"},
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
# What imports torch only where something is computed with it.
TORCH_LATE = {"devices", "weights", "models", "windows", "inference", "recognisers"}
# What never imports it.
TORCH_FREE = {
    "errors",
    "events",
    "harte",
    "rows",
    "matching",
    "console",
    "audio",
    "features",
    "tuning",
    "onnx_network",
    "listener",
    "pipeline",
    "decoding",
    "chords",
    "tags",
    "genre",
    "genre_features",
    "beats",
    "key",
    "rhythm",
    "hands",
    "voices",
    "analysis",
    "notation",
    "output",
    "datasets",
    "scale",
    "options",
    "jobs",
    "judging",
    "cli",
}


def imports_of(path: Path, top_level_only: bool = False) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = tree.body if top_level_only else list(ast.walk(tree))
    found = set()
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


def modules() -> list[tuple[str, Path]]:
    folder = ROOT / "transcribe"
    return [
        (path.relative_to(folder).with_suffix("").parts[0], path)
        for path in sorted(folder.rglob("*.py"))
        if path != folder / "__init__.py"
    ]


def test_imports_point_up() -> None:
    for name, path in modules():
        for imported in imports_of(path):
            parts = imported.split(".")
            if parts[0] == "transcribe" and len(parts) > 1:
                assert LEVEL[parts[1]] <= LEVEL[name], f"{path.name} imports {imported}"
            assert parts[0] not in {"train", "tests"}, f"{path.name} imports {imported}"


def test_torch_is_imported_only_where_tensors_are() -> None:
    for name, path in modules():
        if name in TORCH_FREE:
            assert not {i.split(".")[0] for i in imports_of(path)} & {"torch", "torchaudio"}, path
        if name in TORCH_LATE:
            assert "torch" not in imports_of(path, top_level_only=True), path


def test_nothing_is_unpickled_or_evaluated() -> None:
    for _, path in modules():
        text = path.read_text(encoding="utf-8")
        used = re.findall(r"import pickle|pickle\.|torch\.load\b|(?<![\w.])(?:eval|exec)\(|shell=True", text)
        assert not used, f"{path.name} uses {used}"


def test_all_public_names_can_be_had() -> None:
    assert sorted(transcribe.__all__) == transcribe.__all__
    for name in transcribe.__all__:
        assert getattr(transcribe, name).__doc__
    for name, module in transcribe._LAZY.items():
        assert getattr(transcribe, name).__module__ == f"transcribe.{module}"
    assert set(transcribe.__all__) <= set(dir(transcribe))


def test_importing_the_package_is_free() -> None:
    code = "import sys, transcribe; assert not {'torch', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
