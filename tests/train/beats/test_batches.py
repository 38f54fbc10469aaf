"""Targets, batches, losses, validation, and a training of a few steps."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from tests.train.beats.test_performer import score
from train import loop
from train.beats.batches import Batches, targets, with_drums
from train.beats.corpus import save
from train.beats.export import export, to_onnx
from train.beats.losses import TOLERANCE, losses, shift_tolerant
from train.beats.validation import chosen, f_measure, figures_of, first, peaks
from train.card import Making
from transcribe.beats.activations import METRES, N_TEMPI, PERIODS, BeatActivations
from transcribe.beats.features import N_FEATURES
from transcribe.beats.model import parse_beats_model
from transcribe.beats.network import BeatsConfig, BeatsNetwork
from transcribe.beats.windows import WINDOW_FRAMES
from transcribe.engine.onnx_backend import OnnxNetwork
from transcribe.engine.weights import build

SMALL = BeatsConfig((8, 8, 16), (2, 1), 1, 2, "convolutions", lags=8, salience=2)


def test_targets_lie_on_the_beats() -> None:
    made = targets(score(bars=4), 500)
    assert np.flatnonzero(made.beat).tolist() == list(range(0, 400, 25))
    assert np.flatnonzero(made.downbeat).tolist() == [0, 100, 200, 300]
    assert METRES[made.metre[50]] == 4
    assert made.metre[499] == -1
    assert made.triple[100] == 0
    assert made.triple_weight[100] == 1
    # Half a second a beat; nothing is known after the last.
    assert PERIODS[made.tempo[100].argmax()] == pytest.approx(0.5, rel=0.02)
    np.testing.assert_allclose(made.tempo[:380].sum(-1), 1, rtol=1e-5)
    assert not made.tempo[450].any()
    assert made.beat_weight[395] == 0
    assert made.beat_weight[100] == 1


def test_music_without_beats_has_none_to_find() -> None:
    piece = score(4)
    piece.beats = piece.beats[:0]
    made = targets(piece, 100)
    assert made.beat_weight.all()
    assert not made.beat.any()
    assert not made.tempo.any()


def test_bars_that_nobody_counted_are_left_out() -> None:
    piece = score(4)
    piece.metre[4:8] = 0
    made = targets(piece, 400)
    assert not made.downbeat_weight[100:199].any()
    assert made.downbeat_weight[210]
    assert made.beat_weight[150]


def test_a_loss_forgives_a_beat_that_lies_a_little_off() -> None:
    target = torch.zeros(1, 60)
    target[0, 30] = 1

    def loss(place: int) -> float:
        logits = torch.full((1, 60), -8.0)
        logits[0, place] = 8.0
        return float(shift_tolerant(logits, target, torch.ones(1, 60), 5.0))

    assert loss(30) == loss(30 + TOLERANCE) == loss(30 - TOLERANCE) < 0.3
    assert loss(30 + 3 * TOLERANCE + 1) > 1
    ignored = torch.zeros(1, 60)
    assert float(shift_tolerant(torch.zeros(1, 60), target, ignored, 5.0)) == 0


def test_drums_follow_the_beats_of_a_song() -> None:
    song, drummer = score(8, 0.6), score(2, 0.4)
    hits = np.arange(0, 8 * 0.4, 0.4)
    drummer.drums = np.stack([hits, hits * 0, hits * 0 + 90], 1).astype(np.float32)
    drummer.beats = np.append(drummer.beats, 3.2)
    made = with_drums(song, drummer)
    np.testing.assert_allclose(made.drums[:, 0], song.beats[: len(made.drums)], atol=1e-5)
    assert len(made.drums) >= len(song.beats) - 2


def test_a_batch_depends_on_the_seed_and_the_step_alone() -> None:
    make = Batches([score(40)], 2, 7, torch.device("cpu"))
    once, again, later = make(3, 0), make(3, 0), make(4, 0)
    assert all(torch.equal(a, b) for a, b in zip(once, again, strict=True))
    assert not torch.equal(once[0], later[0])
    assert once[0].shape == (2, WINDOW_FRAMES, N_FEATURES)
    assert once[7].shape == (2, WINDOW_FRAMES, N_TEMPI)
    with pytest.raises(ValueError, match="no piece"):
        Batches([], 2, 7, torch.device("cpu"))


def test_losses_fall_while_a_small_network_learns() -> None:
    torch.manual_seed(0)
    network = BeatsNetwork(SMALL)
    batch = Batches([score(40)], 2, 0, torch.device("cpu"))(0, 0)
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    values = []
    for _ in range(12):
        parts = losses(network, batch)
        total = torch.stack(list(parts.values())).sum()
        optimizer.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        values.append(float(total.detach()))
    assert set(parts) == {"beat", "downbeat", "triple", "tempo", "metre"}
    assert values[-1] < 0.8 * values[0]


def test_peaks_are_single_and_high() -> None:
    activation = np.zeros(200, np.float32)
    activation[[20, 21, 100, 140]] = [0.9, 0.9, 0.3, 0.6]
    np.testing.assert_allclose(peaks(activation, 0.5), [0.4, 2.8])
    assert f_measure(np.arange(0, 20, 0.5), np.arange(0, 20, 0.5) + 0.06) == 1
    assert f_measure(np.arange(0, 20, 0.5), np.zeros(0)) == 0


def test_truth_as_activations_is_scored_right() -> None:
    piece = score(8)
    made = targets(piece, 900)
    metre = functional.one_hot(torch.from_numpy(np.maximum(made.metre, 0)), len(METRES)).float().numpy()
    said = BeatActivations(made.beat, made.downbeat, made.triple, made.tempo, metre)
    figures = figures_of(piece, said)
    assert figures["beats"] == figures["downbeats"] == figures["tempo"] == figures["metre"] == figures["triple"] == 1


def test_validation_takes_pieces_held_out_alone() -> None:
    names = ["a__1__x", "a__1__y", "a__1__z", "b__1__x"]
    pieces = [score() for _ in names]
    for piece, name in zip(pieces, names, strict=True):
        piece.name, piece.source, piece.split = name, "asap", "valid"
    pieces[3].split = "train"
    assert [p.name for p in chosen(pieces)] == ["a__1__x", "a__1__y"]
    assert first(pieces[0], 4.0).beats.tolist() == [0.5 * i for i in range(8)]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    pieces = [score(40), score(24)]
    pieces[1].name, pieces[1].source, pieces[1].split = "a__1__x", "asap", "valid"
    save(pieces, tmp_path / "corpus.npz")
    return tmp_path / "corpus.npz"


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="this torch is too old to export graphs")
def test_the_command_trains_resumes_and_exports(tmp_path: Path, corpus: Path) -> None:
    run = tmp_path / "run"
    command = [sys.executable, "-m", "train.beats", "--corpus", str(corpus), "--run", str(run), "--batch", "1"]
    command += ["--widths", "8", "8", "16", "--blocks", "2", "1", "--layers", "1", "--heads", "2", "--lags", "8"]
    command += ["--bottom", "convolutions", "--device", "cpu", "--validate-every", "0", "--salience", "2"]
    done = subprocess.run([*command, "--steps", "2"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "asap/beats" in done.stdout
    assert json.loads((run / "config.json").read_text()) == json.loads(json.dumps(asdict(SMALL)))
    again = subprocess.run([*command, "--steps", "2"], capture_output=True, text=True)
    assert again.returncode == 0
    assert again.stdout == done.stdout

    network = loop.load_run(run, lambda config: BeatsNetwork(build(BeatsConfig, config)))
    folder = tmp_path / "weights"
    making = Making("beats-9", "terms", "command", folder, default=True, text="What it does.")
    export(network, making, {"asap/beats": 0.5})
    entry = json.loads((folder / "manifest.json").read_text())["beats-9"]
    assert entry["task"] == "beats"
    assert entry["default"]
    features = np.random.default_rng(0).random((WINDOW_FRAMES, N_FEATURES), np.float32)
    in_torch = parse_beats_model((folder / entry["file"]).read_bytes(), "beats-9").network(features)
    in_onnx = OnnxNetwork((folder / entry["graph"]).read_bytes())(features)
    for a, b in zip(in_torch, in_onnx, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)
    assert to_onnx(network) == to_onnx(network)
    card = (folder / "beats-9.md").read_text(encoding="utf-8")
    assert card.startswith("# beats-9\n\nWhat it does.\n")
    assert "| asap | 0.500 | – | – | – | – |" in card
