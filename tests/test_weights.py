from __future__ import annotations

import hashlib
import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load

from tests.conftest import ROOT
from transcribe import models, weights
from transcribe.decoding import DecodingConfig
from transcribe.errors import UsageError, WeightsError
from transcribe.features import FeatureConfig
from transcribe.models import load_chords_model, load_notes_model, parse_chords_model, parse_notes_model
from transcribe.networks import NotesNetwork, TrunkConfig
from transcribe.weights import default_name, manifest, notes_header, read_header, to_bytes

SMALL = TrunkConfig(4, 4, 2, (1,))


def small_file() -> bytes:
    torch.manual_seed(0)
    network = NotesNetwork(FeatureConfig(), SMALL)
    return to_bytes(network.state_dict(), notes_header(FeatureConfig(), SMALL, DecodingConfig(onset_threshold=0.3)))


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
    for task in ("notes", "chords"):
        assert sum(entry.default for entry in entries.values() if entry.task == task) == 1


def test_the_same_tensors_give_the_same_bytes_and_come_back() -> None:
    assert small_file() == small_file()
    model = parse_notes_model(small_file(), "small")
    assert model.decoding.onset_threshold == 0.3
    assert model.network.config == SMALL
    assert read_header(small_file())["task"] == "notes"


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "weights"
    shutil.copytree(ROOT / "weights", folder)
    monkeypatch.setattr(weights, "weights_folder", lambda: folder)
    models._kept.clear()
    yield folder
    models._kept.clear()


def test_one_changed_byte_is_noticed(copied: Path) -> None:
    path = copied / f"{default_name('notes')}.safetensors"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(WeightsError, match="altered"):
        load_notes_model()


def test_one_changed_byte_of_a_graph_is_noticed(copied: Path) -> None:
    path = copied / f"{default_name('notes')}.onnx"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(WeightsError, match="altered"):
        load_notes_model()
    assert load_notes_model(precision="bfloat16").name == default_name("notes")  # torch needs none


def test_models_can_be_sent_to_other_processes() -> None:
    model = load_notes_model("small")
    there = pickle.loads(pickle.dumps(model))
    log_mel = np.zeros((200, 229), np.float32)
    for here, other in zip(model.network(log_mel), there.network(log_mel), strict=True):
        np.testing.assert_array_equal(here, other)


def test_missing_file_and_damaged_manifest(copied: Path) -> None:
    (copied / f"{default_name('notes')}.safetensors").unlink()
    with pytest.raises(WeightsError, match="can't be read"):
        load_notes_model()
    for text in ("{", "[]", '{"notes-1": {"colour": "red"}}'):
        (copied / "manifest.json").write_text(text)
        with pytest.raises(WeightsError, match="damaged manifest"):
            manifest()
    shutil.copy(ROOT / "weights" / "manifest.json", copied)
    with pytest.raises(UsageError, match="there is no notes model"):
        load_notes_model("notes-0")


@pytest.mark.parametrize("cut", [0, 5, 100, 1000, -1])
def test_a_file_that_breaks_off_is_refused(cut: int) -> None:
    with pytest.raises(WeightsError) as caught:
        parse_notes_model(small_file()[:cut], "small")
    assert "\n" not in str(caught.value)


def test_headers_and_tensors_must_fit_strictly(tmp_path: Path) -> None:
    network = NotesNetwork(FeatureConfig(), SMALL)
    header = notes_header(FeatureConfig(), SMALL, DecodingConfig())
    tensors = network.state_dict()
    for damaged in (
        {**header, "task": "chords"},
        {**header, "network": {**header["network"], "wings": 2}},
        {**header, "network": {**header["network"], "channels": 8}},
        {key: value for key, value in header.items() if key != "decoding"},
    ):
        with pytest.raises(WeightsError):
            parse_notes_model(to_bytes(tensors, damaged), "small")
    with pytest.raises(WeightsError, match="don't fit"):
        parse_notes_model(to_bytes({**tensors, "more": torch.zeros(1)}, header), "small")
    (tmp_path / "mine.safetensors").write_bytes(to_bytes(tensors, header))
    assert load_notes_model(str(tmp_path / "mine.safetensors")).name == "mine"
    with pytest.raises(WeightsError, match="can't be read"):
        load_notes_model(str(tmp_path / "nowhere.safetensors"))
    (tmp_path / "zip.safetensors").write_bytes(b"PK\x03\x04" + bytes(200))
    with pytest.raises(WeightsError):
        load_notes_model(str(tmp_path / "zip.safetensors"))


def test_chords_weights_must_fit_too(copied: Path) -> None:
    path = copied / f"{default_name('chords')}.safetensors"
    content = path.read_bytes()
    header = read_header(content)
    assert parse_chords_model(content, "chords").network.config.front == "mel"
    tensors = load(content)
    for damaged in (
        {**header, "task": "notes"},
        {**header, "network": {**header["network"], "front": "ears"}},
        {**header, "decoding": {**header["decoding"], "stay": 1.0}},
    ):
        with pytest.raises(WeightsError):
            parse_chords_model(to_bytes(tensors, damaged), "chords")
    for cut in (0, 100, 5000, -1):
        with pytest.raises(WeightsError):
            parse_chords_model(content[:cut], "chords")
    path.write_bytes(content[:-1])
    models._kept.clear()
    with pytest.raises(WeightsError, match="altered"):
        load_chords_model()
    models._kept.clear()


def test_manifest_is_sorted_json() -> None:
    text = (ROOT / "weights" / "manifest.json").read_text()
    assert text == json.dumps(json.loads(text), indent=2, sort_keys=True) + "\n"
