from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load

from tests.test_datasets import make_maestro
from train.calibration import Predicted, fit_shares
from train.notes import export, retune
from train.notes.export import tune_doubt
from transcribe.engine.features import FeatureConfig, FrameGrid
from transcribe.engine.trunk import TrunkConfig
from transcribe.engine.weights import header_of, read_header, to_bytes
from transcribe.events import Note, Transcription
from transcribe.notes.decoder import Activations, DecodingConfig
from transcribe.notes.network import NotesNetwork
from transcribe.notes.task import NOTES
from transcribe.registry import load_dataset

CARD = """# notes-9

Text that stays.

## Figures

stale

12 parameters: TrunkConfig.

## Decoding, tuned on the validation set

stale

## Confidence

stale
"""


def weights(folder: Path) -> bytes:
    torch.manual_seed(0)
    network = NotesNetwork(FeatureConfig(), TrunkConfig(4, 4, 2, (1, 2)))
    header = header_of(NOTES, network.config, DecodingConfig(onset_threshold=0.52), FeatureConfig(), trained_on={})
    del header["decoding"]["offset_weight"]  # older than it
    content = to_bytes(network.state_dict(), header)
    folder.mkdir()
    (folder / "notes-9.safetensors").write_bytes(content)
    line = {"task": "notes", "file": "notes-9.safetensors", "sha256": "x", "licence": "CC0", "graph": "other.onnx"}
    (folder / "manifest.json").write_text(json.dumps({"notes-9": line}))
    (folder / "notes-9.md").write_text(CARD, encoding="utf-8")
    return content


def test_weights_get_other_headers_and_keep_their_tensors(tmp_path: Path) -> None:
    before = weights(tmp_path / "a")
    assert weights(tmp_path / "b") == before
    pieces = load_dataset("maestro", make_maestro(tmp_path / "data"), "all")
    for folder in ("a", "b"):  # the second with what the first has heard
        retune.retune("notes-9", tmp_path / folder, pieces[:2], [("real", pieces[2:3])], tmp_path / "heard")
    content = (tmp_path / "a" / "notes-9.safetensors").read_bytes()
    assert (tmp_path / "b" / "notes-9.safetensors").read_bytes() == content
    assert (tmp_path / "b" / "notes-9.md").read_bytes() == (tmp_path / "a" / "notes-9.md").read_bytes()
    for name, tensor in load(content).items():
        assert torch.equal(tensor, load(before)[name]), name
    decoding = read_header(content)["decoding"]
    assert decoding["onset_threshold"] == 0.52
    assert decoding["offset_weight"] > 0
    line = json.loads((tmp_path / "a" / "manifest.json").read_text())["notes-9"]
    assert line["sha256"] == hashlib.sha256(content).hexdigest()
    assert line["graph"] == "other.onnx"
    card = (tmp_path / "a" / "notes-9.md").read_text(encoding="utf-8")
    assert "Text that stays." in card
    assert "stale" not in card
    assert "| real | 1 |" in card
    assert "12 parameters: TrunkConfig." in card
    assert "offset_weight" in card


def heard(keys: list[int], heights: list[float]) -> Activations:
    onset, frame, offset, velocity = np.zeros((4, 1200, 88), np.float32)
    for i, (key, height) in enumerate(zip(keys, heights, strict=True)):
        onset[20 + 40 * i, key - 21] = 0.9
        frame[20 + 40 * i : 40 + 40 * i, key - 21] = 0.9
        offset[40 + 40 * i, key - 21] = 0.8
        velocity[20 + 40 * i, key - 21] = height
    return Activations(onset, frame, offset, velocity, onset[:, 0], FrameGrid(16000, 320))


def test_velocities_are_brought_to_the_truth_whatever_a_recordings_scale() -> None:
    rng = np.random.default_rng(0)
    predicted = []
    for shift in (0.0, 0.1):
        keys = rng.integers(36, 97, 28).tolist()
        true = rng.uniform(0.3, 0.6, 28)
        # Too loud in the treble by 0.05 an octave, and the second recording by 0.1 altogether.
        loud = [t + 0.05 * (key - 60) / 12 + shift for t, key in zip(true, keys, strict=True)]
        notes = tuple(
            Note(0.4 + 0.8 * i, key, 0.8 + 0.8 * i, round(float(127 * t)))
            for i, (key, t) in enumerate(zip(keys, true, strict=True))
        )
        predicted.append(Predicted("x", Transcription(notes=notes), [heard(keys, loud)], 24.0))
    curve = export._fit_velocities(predicted, DecodingConfig(onset_threshold=0.5))
    assert curve == pytest.approx((-0.05, 0.0, 0.0), abs=0.01)


def test_shares_are_fitted_as_they_were_made() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(5, 2, (400, 2))
    shares = 1 / (1 + np.exp(-(0.5 + 0.3 * features[:, 0] - 0.2 * features[:, 1])))
    assert fit_shares(features, shares, np.full(400, 5.0)) == pytest.approx([0.5, 0.3, -0.2], abs=0.02)


def test_the_doubt_is_tuned_and_nothing_else(tmp_path: Path) -> None:
    weights(tmp_path / "a")
    pieces = load_dataset("maestro", make_maestro(tmp_path / "data"), "all")
    before = read_header((tmp_path / "a" / "notes-9.safetensors").read_bytes())["decoding"]
    retune.retune("notes-9", tmp_path / "a", pieces[:2], [], tuning=tune_doubt)
    after = read_header((tmp_path / "a" / "notes-9.safetensors").read_bytes())["decoding"]
    assert {**after, "offset_doubt": 0.0} == {**before, "offset_doubt": 0.0, "offset_weight": 0.0}


def test_doubt_is_chosen_where_the_nearest_of_several_ends_is_wrong() -> None:
    # Each note lasts 0.8 s; the network is a little surer of an end at 0.4, and spread around the true one.
    onset, frame, offset, velocity = np.zeros((4, 1200, 88), np.float32)
    notes = []
    for i in range(20):
        start, key = 20 + 55 * i, 30 + i
        onset[start, key] = 0.9
        frame[start : start + 20, key], frame[start + 20 : start + 45, key] = 0.9, 0.5
        offset[start + 20, key] = 0.6
        offset[[start + 38, start + 40, start + 42], key] = 0.55
        notes.append(Note(start / 50, key + 21, (start + 40) / 50, 64))
    activations = Activations(onset, frame, offset, velocity, onset[:, 0], FrameGrid(16000, 320))
    piece = Predicted("a", Transcription(tuple(notes)), [activations], 24.0)
    config = DecodingConfig(frame_threshold=0.5, offset_weight=20.0)
    assert tune_doubt([piece], config).offset_doubt > 0
    assert {**asdict(tune_doubt([piece], config)), "offset_doubt": 0.0} == asdict(config)
