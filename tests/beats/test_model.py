"""Loading the beat network: checked, strict, one line for every fault."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from transcribe.beats.features import N_FEATURES
from transcribe.beats.model import load_beats_model, parse_beats_model
from transcribe.beats.network import BeatsConfig, BeatsNetwork
from transcribe.beats.windows import WINDOW_FRAMES, predict
from transcribe.engine.onnx_backend import OnnxNetwork
from transcribe.engine.weights import default_name, manifest, to_bytes, weights_folder
from transcribe.errors import UsageError, WeightsError

SMALL = BeatsConfig((8, 8, 16), (2, 1), 1, 2, "convolutions", lags=8, salience=2)


def weights(task: str = "beats") -> bytes:
    return to_bytes(BeatsNetwork(SMALL).state_dict(), {"task": task, "network": asdict(SMALL)})


def test_a_weights_file_describes_the_network_that_it_fills(tmp_path: Path) -> None:
    (tmp_path / "mine.safetensors").write_bytes(weights())
    model = load_beats_model(str(tmp_path / "mine.safetensors"))
    assert model.name == "mine"
    beat, *_ = model.network(np.zeros((WINDOW_FRAMES, N_FEATURES), np.float32))
    assert beat.shape == (WINDOW_FRAMES,)


@pytest.mark.parametrize("content", [b"", weights()[:-100], weights("chords")])
def test_weights_that_do_not_fit_are_refused(content: bytes) -> None:
    with pytest.raises(WeightsError, match="weights that don't fit"):
        parse_beats_model(content, "mine")


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="can't be read"):
        load_beats_model(str(tmp_path / "none.safetensors"))
    with pytest.raises(UsageError, match="no beats model 'none'"):
        load_beats_model("none")


def test_the_shipped_graph_says_what_torch_says() -> None:
    entry = manifest()[default_name("beats")]
    graph, torchs = load_beats_model(), load_beats_model(str(weights_folder() / entry.file))
    assert isinstance(graph.network, OnnxNetwork)
    assert not isinstance(torchs.network, OnnxNetwork)
    features = np.random.default_rng(0).random((WINDOW_FRAMES, N_FEATURES)).astype(np.float32) ** 8
    for here, there in zip(graph.network(features), torchs.network(features), strict=True):
        np.testing.assert_allclose(here, there, atol=1e-4)


def test_the_shipped_network_finds_the_beats_of_a_march() -> None:
    beat = 0.6
    rows = []
    for number in range(64):
        onset = 1.0 + number * beat
        rows.append((onset, onset + beat, 36 + 7 * (number % 2), 90 if number % 2 == 0 else 60))
        rows += [
            (onset + part * beat / 4, onset + (part + 1) * beat / 4, 67 + part, 70 - 10 * part) for part in range(4)
        ]
    said = predict(np.array(sorted(rows), float), load_beats_model().network)
    beats = np.round((1.0 + beat * np.arange(4, 60)) * 50).astype(int)
    between = beats + round(beat * 25)
    assert said.beat[beats].mean() > said.beat[between].mean() + 0.3
