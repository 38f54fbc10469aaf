"""The shape of the program: who may import whom, and what is public."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import transcribe
from tests.conftest import ROOT

FOLDER = ROOT / "transcribe"
# Rooms import from rooms further up this list only, never from their own line.
ORDER = [
    {"errors", "events"},
    {"theory", "matching", "audio"},
    {"engine", "datasets"},
    {"score"},
    {"report"},
    {"formats"},
    {"notes", "chords", "instruments", "genre", "beats"},
    {"registry", "company", "edits"},
    {"automatic"},
    {"transcriber"},
    {"batch"},
    {"live"},
    {"files", "serve"},
    {"assistant"},
    {"cli"},
    {"__main__"},
]
LEVEL = {room: level for level, rooms in enumerate(ORDER) for room in rooms}
# The only modules that import torch as soon as they are imported.
OF_TORCH = {"trunk", "torch_backend", "network", "ensemble_network", "spelling_network"}


def imports_of(path: Path, top_level_only: bool = False) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = set()
    for node in tree.body if top_level_only else ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            # A name may be a module: `from transcribe.formats import schema`.
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path
    for path in sorted(FOLDER.rglob("*.py"))
    if path.name != "__init__.py"
}
IMPORTS = {name: imports_of(path) & set(MODULES) for name, path in MODULES.items()}


def test_imports_point_up() -> None:
    for name, imported in IMPORTS.items():
        room = name.split(".")[1]
        for other in imported:
            theirs = other.split(".")[1]
            assert theirs == room or LEVEL[theirs] < LEVEL[room], f"{name} imports {other}"


def test_there_is_no_circle() -> None:
    TopologicalSorter(IMPORTS).prepare()  # raises CycleError, which names it


def test_the_program_knows_nothing_of_its_training() -> None:
    for name, path in MODULES.items():
        assert not {i.split(".")[0] for i in imports_of(path)} & {"train", "tests", "torchaudio"}, name


def test_few_files_lie_flat() -> None:
    assert len(list(FOLDER.glob("*.py"))) <= 12


def test_torch_is_imported_only_where_tensors_are() -> None:
    for name, path in MODULES.items():
        if path.stem not in OF_TORCH:
            assert not {i.split(".")[0] for i in imports_of(path, top_level_only=True)} & {"torch"}, name


def test_nothing_is_unpickled_or_evaluated() -> None:
    for name, path in MODULES.items():
        text = path.read_text(encoding="utf-8")
        used = re.findall(r"import pickle|pickle\.|torch\.load\b|(?<![\w.])(?:eval|exec)\(|shell=True", text)
        assert not used, f"{name} uses {used}"


def test_all_public_names_can_be_had() -> None:
    assert sorted(transcribe.__all__) == transcribe.__all__ == dir(transcribe)
    for name in transcribe.__all__:
        assert getattr(transcribe, name).__doc__
    for name, module in transcribe._LAZY.items():
        assert getattr(transcribe, name).__module__ == f"transcribe.{module}"


@pytest.mark.parametrize("module", ["transcribe", "transcribe.registry", "transcribe.cli.main"])
def test_importing_costs_nothing(module: str) -> None:
    code = f"import sys, {module}; assert not {{'torch', 'numpy'}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_whatever_is_imported_by_its_name_is_there() -> None:
    for name, path in MODULES.items():
        for place in re.findall(
            r'(?:plain|illustrated|detailed|handed|lazily|Lazy)\("([\w.]+)"\)', path.read_text("utf-8")
        ):
            from transcribe.engine.task import imported

            assert imported(place) is not None, f"{name}: {place}"
