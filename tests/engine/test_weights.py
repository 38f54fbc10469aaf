from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT, needs_torch
from transcribe.engine import weights
from transcribe.engine.weights import default_name, load_model, manifest
from transcribe.errors import UsageError, WeightsError
from transcribe.notes.task import NOTES


def test_every_shipped_file_is_in_the_manifest_with_its_checksum_and_card() -> None:
    folder = ROOT / "weights"
    entries = manifest()
    assert {entry.file for entry in entries.values()} == {path.name for path in folder.glob("*.safetensors")}
    for entry in entries.values():
        content = (folder / entry.file).read_bytes()
        assert hashlib.sha256(content).hexdigest() == entry.sha256
        assert len(content) < 16e6
        assert entry.licence
        card = (folder / f"{entry.name}.md").read_text()
        assert entry.licence.split(" (")[0] in card
    tasks = {entry.task for entry in entries.values()}
    assert tasks >= {"notes", "chords", "instruments", "genre"}
    for task in tasks:
        assert sum(entry.default for entry in entries.values() if entry.task == task) == 1


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "weights"
    shutil.copytree(ROOT / "weights", folder)
    monkeypatch.setattr(weights, "weights_folder", lambda: folder)
    weights._kept.clear()
    yield folder
    weights._kept.clear()


def test_one_changed_byte_is_noticed(copied: Path) -> None:
    path = copied / f"{default_name('notes')}.safetensors"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(WeightsError, match="altered"):
        load_model(NOTES)


@needs_torch
def test_one_changed_byte_of_a_graph_is_noticed(copied: Path) -> None:
    path = copied / f"{default_name('notes')}.onnx"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(WeightsError, match="altered"):
        load_model(NOTES)
    assert load_model(NOTES, precision="bfloat16").name == default_name("notes")  # torch needs none


def test_missing_file_and_damaged_manifest(copied: Path) -> None:
    (copied / f"{default_name('notes')}.safetensors").unlink()
    with pytest.raises(WeightsError, match="can't be read"):
        load_model(NOTES)
    for text in ("{", "[]", '{"notes-1": {"colour": "red"}}'):
        (copied / "manifest.json").write_text(text)
        with pytest.raises(WeightsError, match="damaged manifest"):
            manifest()
    shutil.copy(ROOT / "weights" / "manifest.json", copied)
    with pytest.raises(UsageError, match="there is no notes model"):
        load_model(NOTES, "notes-0")


def test_manifest_is_sorted_json() -> None:
    text = (ROOT / "weights" / "manifest.json").read_text()
    assert text == json.dumps(json.loads(text), indent=2, sort_keys=True) + "\n"
