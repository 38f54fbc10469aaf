from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load

from transcribe.chords.task import CHORDS
from transcribe.engine.features import FeatureConfig
from transcribe.engine.trunk import TrunkConfig
from transcribe.engine.weights import (
    default_name,
    header_of,
    load_model,
    manifest,
    parse_model,
    read_header,
    to_bytes,
    weights_folder,
)
from transcribe.errors import WeightsError
from transcribe.genre.task import GENRE
from transcribe.notes.decoder import DecodingConfig
from transcribe.notes.network import NotesNetwork
from transcribe.notes.task import NOTES

SMALL = TrunkConfig(4, 4, 2, (1,))


def small_file() -> bytes:
    torch.manual_seed(0)
    network = NotesNetwork(FeatureConfig(), SMALL)
    return to_bytes(network.state_dict(), header_of(NOTES, SMALL, DecodingConfig(onset_threshold=0.3), FeatureConfig()))


def test_the_same_tensors_give_the_same_bytes_and_come_back() -> None:
    assert small_file() == small_file()
    model = parse_model(NOTES, small_file(), "small")
    assert model.decoding.onset_threshold == 0.3
    assert model.network.config == SMALL
    assert read_header(small_file())["task"] == "notes"


def test_models_can_be_sent_to_other_processes() -> None:
    model = load_model(NOTES, "small")
    there = pickle.loads(pickle.dumps(model))
    log_mel = np.zeros((200, 229), np.float32)
    for here, other in zip(model.network(log_mel), there.network(log_mel), strict=True):
        np.testing.assert_array_equal(here, other)


def test_shipped_models_stay_loaded_each_as_it_was_asked_for(tmp_path: Path) -> None:
    assert load_model(NOTES, "small") is load_model(NOTES, "small")
    assert load_model(NOTES, "small") is not load_model(NOTES, "small", precision="bfloat16")
    assert load_model(GENRE, precision="bfloat16") is load_model(GENRE)
    path = tmp_path / "mine.safetensors"
    path.write_bytes(small_file())
    assert load_model(NOTES, str(path)) is not load_model(NOTES, str(path))


@pytest.mark.parametrize("cut", [0, 5, 100, 1000, -1])
def test_a_file_that_breaks_off_is_refused(cut: int) -> None:
    with pytest.raises(WeightsError) as caught:
        parse_model(NOTES, small_file()[:cut], "small")
    assert "\n" not in str(caught.value)


def test_headers_and_tensors_must_fit_strictly(tmp_path: Path) -> None:
    network = NotesNetwork(FeatureConfig(), SMALL)
    header = header_of(NOTES, SMALL, DecodingConfig(), FeatureConfig())
    tensors = network.state_dict()
    for damaged in (
        {**header, "task": "chords"},
        {**header, "network": {**header["network"], "wings": 2}},
        {**header, "network": {**header["network"], "channels": 8}},
        {key: value for key, value in header.items() if key != "decoding"},
    ):
        with pytest.raises(WeightsError):
            parse_model(NOTES, to_bytes(tensors, damaged), "small")
    with pytest.raises(WeightsError, match="don't fit"):
        parse_model(NOTES, to_bytes({**tensors, "more": torch.zeros(1)}, header), "small")
    (tmp_path / "mine.safetensors").write_bytes(to_bytes(tensors, header))
    assert load_model(NOTES, str(tmp_path / "mine.safetensors")).name == "mine"
    with pytest.raises(WeightsError, match="can't be read"):
        load_model(NOTES, str(tmp_path / "nowhere.safetensors"))
    (tmp_path / "zip.safetensors").write_bytes(b"PK\x03\x04" + bytes(200))
    with pytest.raises(WeightsError):
        load_model(NOTES, str(tmp_path / "zip.safetensors"))


def test_chords_weights_must_fit_too() -> None:
    content = (weights_folder() / manifest()[default_name("chords")].file).read_bytes()
    header = read_header(content)
    assert parse_model(CHORDS, content, "chords").network.config.front == "notes"
    tensors = load(content)
    for damaged in (
        {**header, "task": "notes"},
        {**header, "network": {**header["network"], "front": "ears"}},
        {**header, "decoding": {**header["decoding"], "stay": 1.0}},
    ):
        with pytest.raises(WeightsError):
            parse_model(CHORDS, to_bytes(tensors, damaged), "chords")
    for cut in (0, 100, 5000, -1):
        with pytest.raises(WeightsError):
            parse_model(CHORDS, content[:cut], "chords")
