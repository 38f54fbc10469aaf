"""What the score network is given, and that what is shipped says what was trained."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from transcribe.engine import weights
from transcribe.engine.weights import default_name, load_tensors, manifest, read_header, weights_folder
from transcribe.errors import WeightsError
from transcribe.events import Metre, Note
from transcribe.score import shipped
from transcribe.score.features import LENGTHS, N_FEATURES, PHASES, bars_of, note_features
from transcribe.score.model import tell
from transcribe.score.shipped import default_network

BEATS = tuple(0.5 * k for k in range(33))


def test_beats_are_described_by_their_bars() -> None:
    metres = (Metre(0.0, 4.0, "3/4"), Metre(4.0, 8.0, "6/8"))
    bars = bars_of(BEATS[:12], (BEATS[1], BEATS[4], BEATS[7]), metres)
    assert bars.number.tolist() == [2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1]
    assert set(bars.count.tolist()) == {3}
    assert bars.quarters.tolist() == [1.0] * 8 + [1.5] * 4
    assert bars.compound.tolist() == [False] * 8 + [True] * 4


def test_what_is_told_of_a_note_moves_with_the_music() -> None:
    rows = np.array([[k * 0.25, k * 0.25 + 0.2, 60 + k % 5, 64] for k in range(16)], float)
    later = rows + np.array([10.0, 10.0, 0.0, 0.0])
    here = note_features(rows, bars_of(BEATS, BEATS[::4], ()))
    there = note_features(later, bars_of([beat + 10 for beat in BEATS], [beat + 10 for beat in BEATS[::4]], ()))
    assert here.shape == (16, N_FEATURES)
    np.testing.assert_allclose(here, there, atol=1e-5)


def test_nothing_is_told_of_no_notes() -> None:
    told = tell((), BEATS, BEATS[::4])
    assert told.phases.shape == (0, len(PHASES))
    assert told.lengths.shape == (0, len(LENGTHS))


def test_a_march_is_told_as_it_is_written() -> None:
    notes = []
    for k, beat in enumerate(BEATS[:-1]):
        notes += [Note(beat, 36 + 7 * (k % 2), beat + 0.45, 70)]
        notes += [Note(beat + part * 0.25, 72 + (k + part) % 5, beat + part * 0.25 + 0.22, 80) for part in range(2)]
    notes.sort()
    told = tell(notes, BEATS, BEATS[::4], (Metre(0.0, 16.0, "4/4"),))
    half = [PHASES[i] for i in told.phases.argmax(1)]
    assert np.mean([place == note.onset % 0.5 * 2 for place, note in zip(half, notes, strict=True)]) > 0.98
    assert np.mean([(right > 0.5) == (note.pitch > 60) for right, note in zip(told.right, notes, strict=True)]) > 0.98
    # However many notes are read at a time.
    blocks = tell(
        notes, BEATS, BEATS[::4], (Metre(0.0, 16.0, "4/4"),), network=lambda part: default_network("score")(part)
    )
    np.testing.assert_allclose(told.right, blocks.right)


def test_notes_are_read_in_blocks_that_join(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    onsets = np.sort(rng.uniform(0, 16, 400)).tolist()
    notes = [Note(onset, int(rng.integers(40, 90)), onset + 0.3, 64) for onset in onsets]
    whole = tell(notes, BEATS, BEATS[::4])
    monkeypatch.setattr(shipped, "_BLOCK", 37)
    np.testing.assert_allclose(tell(notes, BEATS, BEATS[::4]).right, whole.right, atol=1e-4)


def test_the_shipped_graph_says_what_torch_says() -> None:
    torch = pytest.importorskip("torch")
    from transcribe.engine.weights import build
    from transcribe.score.network import ScoreConfig, ScoreNetwork

    file = weights_folder() / manifest()[default_name("score")].file
    network = ScoreNetwork(build(ScoreConfig, read_header(file.read_bytes())["network"]))
    network.load_state_dict(load_tensors(file))
    features = np.random.default_rng(0).normal(size=(200, N_FEATURES)).astype(np.float32)
    with torch.inference_mode():
        there = network.eval()(torch.from_numpy(features)[None]).activations()
    for here, other in zip(default_network("score")(features), there, strict=True):
        np.testing.assert_allclose(here, other[0].numpy(), atol=1e-3)


def test_a_graph_that_was_altered_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    lines = json.loads((weights_folder() / "manifest.json").read_text(encoding="utf-8"))
    (tmp_path / "manifest.json").write_text(json.dumps(lines))
    (tmp_path / lines[default_name("score")]["graph"]).write_bytes(b"none")
    monkeypatch.setattr(weights, "weights_folder", lambda: tmp_path)
    with pytest.raises(WeightsError, match="altered"):
        default_network.__wrapped__("score")
