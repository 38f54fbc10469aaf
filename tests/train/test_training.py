from __future__ import annotations

import dataclasses
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch import nn

from tests.conftest import ROOT
from tests.signals import sine
from tests.test_datasets import make_maestro
from train import loop
from train.augment import augment, narrow
from train.cache import Prepared, prepare
from train.calibration import Predicted, fit_logistic
from train.notes import export
from train.notes import task as notes
from train.notes.excerpts import Excerpts, ExcerptsOnCard, choose_excerpts, fit_on_card, targets
from train.notes.grow import grow
from transcribe.engine.features import FeatureConfig, FrameGrid
from transcribe.engine.trunk import TrunkConfig
from transcribe.engine.weights import load_model
from transcribe.errors import UsageError
from transcribe.events import Note, Pedal, Transcription
from transcribe.notes.decoder import Activations, DecodingConfig
from transcribe.notes.network import NotesLogits, NotesNetwork
from transcribe.notes.task import NOTES
from transcribe.registry import load_dataset
from transcribe.report.statistics import calibration_error

FEATURES = FeatureConfig()
SMALL = TrunkConfig(8, 8, 4, (1, 2))
CPU = torch.device("cpu")
HEADS = ("onset", "frame", "offset", "velocity", "pedal")


def piece(folder: Path, n_frames: int = 400, seed: int = 0) -> Prepared:
    rng = np.random.default_rng(seed)
    labels = np.array([[0.5, 1.0, 60, 80], [1.0, 2.0, 64, 40], [2.0, 2.5, 60, 120]])
    log_mel = rng.normal(-1, 0.1, (n_frames, 229)).astype(np.float16)
    for onset, offset, pitch, _ in labels:
        log_mel[round(onset * 50) : round(offset * 50), int(pitch) * 2 : int(pitch) * 2 + 4] += 2
    path = folder / f"{n_frames}-{seed}.npy"
    np.save(path, log_mel)
    return Prepared(path, n_frames, {"notes": labels, "pedals": np.array([[0.4, 1.2]])})


def test_targets_drawn_by_hand(tmp_path: Path) -> None:
    onset, frame, offset, velocity, weight, pedal = targets(piece(tmp_path).labels, 20, 60, 50.0)
    # The first note: onset at frame 25 of the piece, 5 of the excerpt; offset at 30; key 39.
    assert onset[3:8, 39].tolist() == [0, 0.5, 1, 0.5, 0]
    assert frame[4:31, 39].tolist() == [0] + [1] * 25 + [0]
    assert offset[28:33, 39].tolist() == [0, 0.5, 1, 0.5, 0]
    assert velocity[4:7, 39] == pytest.approx(np.full(3, 80 / 127))
    assert weight[3:8, 39].tolist() == [0, 1, 1, 1, 0]
    assert pedal[:41, 0].tolist() == [1] * 40 + [0]
    assert onset.sum() == 4.0
    unknown = targets({"notes": np.zeros((0, 4))}, 0, 10, 50.0)
    assert (unknown[5] == -1).all()
    assert not unknown[:5].any()


def test_targets_are_as_wide_in_time_at_another_hop() -> None:
    onset, frame, _, velocity, _, _ = targets({"notes": np.array([[0.5, 1.0, 60, 80]])}, 0, 120, 100.0)
    # 40 ms to each side of frame 50; the velocity 20 ms.
    assert onset[46:55, 39].tolist() == pytest.approx([0, 0.25, 0.5, 0.75, 1, 0.75, 0.5, 0.25, 0])
    assert np.flatnonzero(velocity[:, 39]).tolist() == [48, 49, 50, 51, 52]
    assert frame[:, 39].sum() == 50


def test_onsets_between_frames_are_drawn_between_them(tmp_path: Path) -> None:
    drawn = targets({"notes": np.array([[0.21, 0.5, 60, 64]])}, 0, 30, 50.0)[0, 8:14, 39]
    assert drawn.tolist() == pytest.approx([0, 0.25, 0.75, 0.75, 0.25, 0])


def test_excerpts_depend_on_seed_step_and_rank_alone(tmp_path: Path) -> None:
    pieces = [piece(tmp_path), piece(tmp_path, 300, 1)]
    batches = Excerpts(pieces, FEATURES, 3, 64, 5, CPU)
    again = Excerpts(pieces, FEATURES, 3, 64, 5, CPU)
    for a, b in zip(batches(7, 0), again(7, 0), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)
    assert not torch.equal(batches(7, 0)[0], batches(8, 0)[0])
    assert not torch.equal(batches(7, 0)[0], batches(7, 1)[0])
    short = Excerpts([piece(tmp_path, 10)], FEATURES, 1, 64, 5, CPU, augmented=False)
    assert set(short(0)[0][0, 20:].flatten().tolist()) == {-2.0}


def test_notes_that_overlap_and_end_early_are_drawn_as_one_by_one() -> None:
    rng = np.random.default_rng(1)
    onsets = rng.uniform(-1, 3, 60)
    ends = onsets + rng.uniform(-0.2, 1, 60)
    labels = {"notes": np.stack([onsets, ends, rng.integers(60, 63, 60), rng.integers(0, 3, 60) * 40], 1)}
    drawn = targets(labels, 10, 120, 50.0)
    one_by_one = [targets({"notes": labels["notes"][i : i + 1]}, 10, 120, 50.0) for i in range(60)]
    np.testing.assert_allclose(drawn[:3], np.max(one_by_one, axis=0)[:3], atol=1e-6)
    for k in range(60):  # of velocities the last one stays
        known = np.zeros((120, 88), bool)
        middle = round(float(onsets[k]) * 50 - 10)
        known[max(0, middle - 1) : max(0, middle + 2), int(labels["notes"][k, 2]) - 21] = True
        later = np.any([one_by_one[i][0] > 0 for i in range(k + 1, 60)], axis=0) if k < 59 else np.zeros_like(known)
        assert (drawn[3][known & ~later] == np.float32(labels["notes"][k, 3] / 127)).all()


def test_excerpts_on_the_card_are_those_on_disk(tmp_path: Path) -> None:
    unknown = piece(tmp_path, 300, 1)
    del unknown.labels["pedals"]
    pieces = [piece(tmp_path), piece(tmp_path, 30, 2), unknown]
    on_disk, on_card = (kind(pieces, FEATURES, 8, 64, 5, CPU) for kind in (Excerpts, ExcerptsOnCard))
    spans = [(0, 0), (0, 335), (1, 0), (2, 10)]
    (features, drawn), (same, packed) = on_disk.read(spans), on_card.read(spans)
    torch.testing.assert_close(features, same, rtol=0, atol=0)
    for row, atol in enumerate((0.5 / 255 + 1e-6, 0, 0.5 / 255 + 1e-6, 1e-7, 0, 0)):
        torch.testing.assert_close(drawn[:, row], packed[:, row], rtol=0, atol=atol)
    assert packed[2, 0].max() == 1  # the short one has its note, and silence after its end
    assert set(features[2, 30:].flatten().tolist()) == {-2.0}
    assert set(packed[3, 5].flatten().tolist()) == {-1}
    torch.testing.assert_close(on_disk(8)[0], on_card(8)[0])


def test_recordings_lie_on_the_card_where_they_fit(tmp_path: Path) -> None:
    pieces = [piece(tmp_path), piece(tmp_path, 10, 2)]
    needed = (400 + 64) * (229 * 2 + 353)  # the short one takes the room of an excerpt
    assert fit_on_card(pieces, FEATURES, 64, round(needed / 0.6) + 2)
    assert not fit_on_card(pieces, FEATURES, 64, round(needed / 0.6) - 2)
    for where, kind in (("auto", Excerpts), ("disk", Excerpts), ("card", ExcerptsOnCard)):
        assert type(choose_excerpts(pieces, FEATURES, 2, 64, 5, CPU, where)) is kind
    with pytest.raises(ValueError, match="no recordings"):
        choose_excerpts([], FEATURES, 2, 64, 5, CPU)


@pytest.mark.parametrize("dilations", [(1, 2), (1, 4, 2, 8)])
def test_a_grown_network_begins_with_what_the_smaller_one_hears(dilations: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    small = NotesNetwork(FEATURES, SMALL)
    with torch.no_grad():
        for name, values in small.state_dict().items():
            if values.ndim:
                values.uniform_(0.5, 2) if name.endswith("running_var") else values.add_(0.3 * torch.randn_like(values))
    large = grow(small, FEATURES, TrunkConfig(16, 12, 6, dilations))
    log_mel = torch.randn(1, 64, 229) - 1
    learning = grow(small, FEATURES, TrunkConfig(16, 12, 6, dilations))
    optimizer = torch.optim.SGD(learning.parameters(), 1e-6)
    for _ in range(2):  # the first step lets the new channels be seen
        optimizer.zero_grad()
        logits = learning(log_mel)
        sum(getattr(logits, head).sum() for head in HEADS).backward()
        optimizer.step()
    for name, parameter in learning.named_parameters():
        assert parameter.grad is not None, name
        if "mix" in name or "squeeze" in name:  # new channels and new blocks learn as well
            assert parameter.grad.abs().max() > 0, name
        if parameter.ndim > 1 and len(parameter) in (16, 12, 6):
            assert (parameter.grad.flatten(1)[len(parameter) // 2 :].abs().sum(1) > 0).float().mean() > 0.5, name
    # Without the new blocks, which have next to no voice, it is the same to rounding.
    with torch.no_grad():
        for name, parameter in large.named_parameters():
            if name.endswith("mix_norm.weight") and (parameter == 0.05).all():
                parameter.zero_()
        heard, before = large.eval()(log_mel), small.eval()(log_mel)
    for head in HEADS:
        torch.testing.assert_close(getattr(heard, head), getattr(before, head), rtol=1e-4, atol=1e-3)


def test_a_network_grows_only_into_a_larger_one() -> None:
    small = NotesNetwork(FEATURES, SMALL)
    for config in (
        TrunkConfig(4, 8, 4, (1, 2)),
        TrunkConfig(8, 4, 4, (1, 2)),
        TrunkConfig(8, 8, 4, (1,)),
        TrunkConfig(8, 8, 4, (2, 1)),
        TrunkConfig(8, 8, 4, (1, 2), 4),
    ):
        with pytest.raises(ValueError, match="can't begin with"):
            grow(small, FEATURES, config)


def test_augmentation_keeps_shape_and_stays_finite() -> None:
    log_mel = torch.full((8, 20, 229), -2.0)
    changed = augment(log_mel, torch.Generator().manual_seed(1))
    assert changed.shape == log_mel.shape
    assert torch.isfinite(changed).all()
    torch.testing.assert_close(changed, augment(log_mel, torch.Generator().manual_seed(1)))
    assert changed.std() > 0.1


def test_narrow_cuts_the_ends_of_the_band_down_to_the_floor() -> None:
    log_mel = torch.zeros((16, 3, 229))
    log_mel[:, 0] = -2.0
    frequencies = FEATURES.mel_frequencies()
    cut = narrow(log_mel, torch.Generator().manual_seed(2), frequencies, share=1.0)
    speech = torch.from_numpy((frequencies > 500) & (frequencies < 2500))
    torch.testing.assert_close(cut[..., speech], log_mel[..., speech])
    assert cut[:, 1:, frequencies < 50].max() < -0.5
    assert cut[:, 1:, frequencies > 7900].max() < 0
    assert cut.min() == -2.0
    many = torch.zeros((64, 2, 229))
    changed = (narrow(many, torch.Generator().manual_seed(3), frequencies, share=0.5) != many).any(2).any(1)
    assert 16 < changed.sum() < 48
    torch.testing.assert_close(narrow(log_mel, torch.Generator(), frequencies, share=0.0), log_mel)


def test_of_thresholds_that_hardly_differ_the_more_cautious_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = FrameGrid(16000, 320)
    onset, frame = np.zeros((2, 200, 88), np.float32)
    for first, key, sure in ((10, 40, 0.9), (60, 44, 0.46), (110, 47, 0.28)):
        onset[first, key], frame[first : first + 20, key] = sure, 0.9
    activations = Activations(onset, frame, np.zeros_like(onset), np.full_like(onset, 0.5), onset[:, 0], grid)
    truth = (Note(0.2, 61, 0.6, 64), Note(1.2, 65, 1.6, 64))
    predicted = Predicted("piece", Transcription(notes=truth), [activations], 4.0)
    assert export.tune([predicted], DecodingConfig()).onset_threshold == 0.45
    monkeypatch.setattr(export, "_FLAT", 0.4)  # F1 without the second note is 0.667
    assert export.tune([predicted], DecodingConfig()).onset_threshold == 0.85


def test_of_pedal_thresholds_that_hardly_differ_the_lowest_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing, pedal = np.zeros((200, 88), np.float32), np.zeros((200, 1), np.float32)
    pedal[50:100], pedal[120:150] = 0.9, 0.37  # the second was never pressed
    activations = Activations(nothing, nothing, nothing, nothing, pedal[:, 0], FrameGrid(16000, 320))
    predicted = Predicted("piece", Transcription(pedals=(Pedal(1.0, 2.0),)), [activations], 4.0)
    assert export.tune([predicted], DecodingConfig()).pedal_threshold == 0.4
    monkeypatch.setattr(export, "_FLAT", 0.5)
    assert export.tune([predicted], DecodingConfig()).pedal_threshold == 0.1
    monkeypatch.undo()
    unknown = Predicted("piece", Transcription(), [activations], 4.0)
    assert export.tune([unknown], DecodingConfig(pedal_threshold=0.44)).pedal_threshold == 0.44


def test_a_piece_without_notes_does_not_outweigh_those_with_notes() -> None:
    grid = FrameGrid(16000, 320)
    onset, frame, nothing = np.zeros((3, 200, 88), np.float32)
    onset[10, 40], frame[10:30, 40] = 0.45, 0.9
    activations = [Activations(onset, frame, nothing, np.full_like(onset, 0.5), onset[:, 0], grid)]
    music = Predicted("music", Transcription(notes=(Note(0.2, 61, 0.6, 64),)), activations, 4.0)
    silence = Predicted("silence", Transcription(), activations, 4.0)
    # Above 0.45 nothing would be heard in the silences, nor the note.
    assert export.tune([music, silence, silence], DecodingConfig()).onset_threshold == 0.45


def small_network(seed: int = 0) -> NotesNetwork:
    torch.manual_seed(seed)
    return NotesNetwork(FEATURES, SMALL)


@pytest.mark.slow
def test_two_clips_are_learned_by_heart(tmp_path: Path) -> None:
    batches = Excerpts([piece(tmp_path), piece(tmp_path, 400, 1)], FEATURES, 2, 64, 0, CPU, augmented=False)
    start = sum(float(v.detach()) for v in notes.losses(small_network(), batches(0)).values())
    config = loop.LoopConfig(steps=50, learning_rate=2e-2, warmup=5, average=0.8)
    trained = loop.train(small_network(), batches, notes.losses, config, tmp_path)
    end = sum(float(v.detach()) for v in notes.losses(trained, batches(0)).values())
    assert end < start / 10
    assert list(tmp_path.glob("events.*"))


class Sure(nn.Module):
    """A teacher that hears everything everywhere, and a network that guesses."""

    def __init__(self, logit: float) -> None:
        super().__init__()
        self.logit = logit

    def forward(self, log_mel: torch.Tensor) -> NotesLogits:
        head = torch.full((*log_mel.shape[:2], 88), self.logit)
        return NotesLogits(head, head, head, head, torch.full(log_mel.shape[:2], self.logit))


def test_a_teacher_says_what_the_labels_do_not() -> None:
    log_mel, target = torch.zeros(2, 30, 229), torch.zeros(2, 6, 30, 88)
    target[1, 5] = -1  # nothing is known of this one's pedal
    guesses = Sure(0.0)
    told = notes.Distilled(Sure(100.0), 0.25)(guesses, (log_mel, target))
    by_hand = target.clone()
    by_hand[:, :4] = 0.25
    by_hand[0, 5] = 0.25
    for name, loss in notes.losses(guesses, (log_mel, by_hand)).items():
        torch.testing.assert_close(told[name], loss)
    untold = notes.Distilled(Sure(100.0), 0.0)(guesses, (log_mel, target))
    torch.testing.assert_close(untold, notes.losses(guesses, (log_mel, target)))
    assert told["onset"] > untold["onset"]


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_run_that_was_stopped_ends_the_same_to_the_bit(tmp_path: Path, optimizer: str) -> None:
    batches = Excerpts([piece(tmp_path)], FEATURES, 2, 64, 0, CPU)
    config = loop.LoopConfig(steps=8, warmup=2, optimizer=optimizer)
    straight = loop.train(small_network(), batches, notes.losses, config, tmp_path / "a").state_dict()

    calls = 0

    def stopped(step: int, rank: int) -> tuple[torch.Tensor, ...]:
        nonlocal calls
        calls += 1
        if calls == 6:
            raise KeyboardInterrupt
        return batches(step, rank)

    eager = dataclasses.replace(config, checkpoint_minutes=0.0)
    with pytest.raises(KeyboardInterrupt):
        loop.train(small_network(), stopped, notes.losses, eager, tmp_path / "b")
    resumed = loop.train(small_network(1), batches, notes.losses, config, tmp_path / "b").state_dict()
    assert straight.keys() == resumed.keys()
    for name in straight:
        assert torch.equal(straight[name], resumed[name]), name


def test_a_loss_that_is_no_number_ends_the_training_and_keeps_the_checkpoint(tmp_path: Path) -> None:
    def losses(network: torch.nn.Module, batch: tuple[torch.Tensor, ...]) -> dict[str, torch.Tensor]:
        return {"onset": network(batch[0]).onset.sum() * float("nan")}

    def batches(step: int, rank: int) -> tuple[torch.Tensor, ...]:
        return (torch.zeros(1, 64, 229),)

    with pytest.raises(FloatingPointError, match="no number after step 3"):
        loop.train(small_network(), batches, losses, loop.LoopConfig(steps=3), tmp_path)
    assert not (tmp_path / "checkpoint.pt").exists()


def test_gradients_that_are_no_numbers_end_the_training_before_a_checkpoint(tmp_path: Path) -> None:
    def losses(network: torch.nn.Module, batch: tuple[torch.Tensor, ...]) -> dict[str, torch.Tensor]:
        return {"onset": (network(batch[0]).onset.sum() * 0).abs().sqrt()}  # 0, but its slope is infinite

    eager = loop.LoopConfig(steps=3, checkpoint_minutes=0.0)
    with pytest.raises(FloatingPointError, match="no number after step 1"):
        loop.train(small_network(), lambda *_: (torch.zeros(1, 64, 229),), losses, eager, tmp_path)
    assert not (tmp_path / "checkpoint.pt").exists()


def test_a_run_goes_on_as_it_was_begun_or_not_at_all(tmp_path: Path) -> None:
    batches = Excerpts([piece(tmp_path)], FEATURES, 1, 64, 0, CPU)
    config = loop.LoopConfig(steps=1, warmup=1)
    loop.train(small_network(), batches, notes.losses, config, tmp_path)
    for other, what in (({"optimizer": "muon"}, "optimizer adamw, not muon"), ({"steps": 2}, "steps 1, not 2")):
        with pytest.raises(UsageError, match=what):
            loop.train(small_network(), batches, notes.losses, dataclasses.replace(config, **other), tmp_path)
    loop.train(small_network(), batches, notes.losses, dataclasses.replace(config, validate_every=5), tmp_path)


def test_features_are_kept_and_what_cannot_be_read_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    soundfile.write(tmp_path / "a.wav", sine(440, 1.0), 16000)
    (tmp_path / "a.txt").write_text("0.1 0.9 69\n")
    soundfile.write(tmp_path / "b.wav", sine(440, 1.0), 16000)
    (tmp_path / "b.txt").write_text("no labels\n")
    pieces = load_dataset("pairs", tmp_path)
    (prepared,) = prepare(pieces, tmp_path / "cache", notes.read_labels)
    assert "b.txt" in capsys.readouterr().err
    np.testing.assert_allclose(prepared.labels["notes"], [[0.1, 0.9, 69, 0]])
    assert len(prepared.span(0, 1000)) == prepared.n_frames > 40
    before = prepared.features.stat().st_mtime_ns
    (again,) = prepare(pieces[:1], tmp_path / "cache", notes.read_labels)
    assert again.features.stat().st_mtime_ns == before
    # Another reader of labels finds other arrays.
    (other,) = prepare(pieces[:1], tmp_path / "cache", read_lengths)
    assert other.labels["lengths"].tolist() == [11]


def read_lengths(path: Path) -> dict[str, np.ndarray]:
    return {"lengths": np.array([len(path.read_text())])}


def test_the_learning_rate_rises_and_falls() -> None:
    config = loop.LoopConfig(steps=100, learning_rate=1.0, warmup=10)
    rates = [loop.learning_rate(step, config) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == pytest.approx(1.0)
    assert rates[100] == pytest.approx(0.01)


def test_gradients_are_clipped_before_the_step(tmp_path: Path) -> None:
    class Steep(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(1))

    norms: list[float] = []
    network = Steep()

    def losses(module: nn.Module, _: tuple[torch.Tensor, ...]) -> dict[str, torch.Tensor]:
        assert isinstance(module, Steep)
        return {"steep": 1e6 * module.weight.sum()}

    original = torch.optim.AdamW.step

    def step(self: torch.optim.AdamW, *args: object) -> None:
        norms.append(float(network.weight.grad.abs().item() if network.weight.grad is not None else 0))
        original(self)

    torch.optim.AdamW.step = step  # type: ignore[method-assign, assignment]
    try:
        loop.train(network, lambda *_: (), losses, loop.LoopConfig(steps=2, clip_norm=3.0), tmp_path)
    finally:
        torch.optim.AdamW.step = original  # type: ignore[method-assign]
    assert norms == pytest.approx([3.0, 3.0], rel=1e-3)


def test_logistic_regression_finds_what_made_the_data(rng: np.random.Generator) -> None:
    features = rng.normal(size=(5000, 2))
    truth = rng.random(5000) < 1 / (1 + np.exp(-(0.5 + 2 * features[:, 0] - features[:, 1])))
    np.testing.assert_allclose(fit_logistic(features, truth.astype(float)), [0.5, 2, -1], atol=0.2)


def test_calibration_error() -> None:
    assert calibration_error([(0.5, 0.5, 10), (0.9, 0.9, 5)]) == 0
    assert calibration_error([(0.5, 0.4, 10), (0.9, 1.0, 10)]) == pytest.approx(0.1)
    assert calibration_error([]) == 0


@pytest.mark.slow
def test_from_maestros_tree_to_weights(tmp_path: Path) -> None:
    data = make_maestro(tmp_path / "maestro")
    command = ["--train", f"maestro:{data}", "--valid", f"maestro:{data}", "--run", str(tmp_path / "run")]
    command += ["--cache", str(tmp_path / "cache"), "--steps", "4", "--batch", "2", "--seconds", "1.28"]
    command += ["--device", "cpu"]
    command += ["--channels", "4", "--mix-channels", "2", "--dilations", "1", "2", "--validate-every", "2"]
    notes.main([*command, "--export", "notes-9", "--licence", "CC0", "--weights", str(tmp_path / "weights")])
    model = load_model(NOTES, str(tmp_path / "weights" / "notes-9.safetensors"))
    assert model.header["trained_on"] == {"maestro": ["train"]}
    card = (tmp_path / "weights" / "notes-9.md").read_text(encoding="utf-8")
    assert "| validation | 1 |" in card
    assert "CC0" in card
    assert "--steps 4" in card
    manifest = json.loads((tmp_path / "weights" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["notes-9"]["default"] is False
    more = ["--init-from", str(tmp_path / "weights" / "notes-9.safetensors"), "--run", str(tmp_path / "more")]
    notes.main([*command, *more])
    assert (tmp_path / "more" / "checkpoint.pt").exists()
    # A run is learned from as weights are, and what is begun with may be smaller.
    larger = ["--init-from", str(tmp_path / "more"), "--teacher", str(tmp_path / "run"), "--channels", "6"]
    notes.main([*command, *larger, "--run", str(tmp_path / "larger")])
    assert loop.load_run(tmp_path / "larger", notes.bare).config.channels == 6
    # At another hop, which the run, the weights and what goes on from them remember.
    finer = [*command, "--hop", "0.01", "--n-mels", "120"]
    notes.main(
        [*finer, "--run", str(tmp_path / "finer"), "--export", "notes-10", "--weights", str(tmp_path / "weights")]
    )
    model = load_model(NOTES, str(tmp_path / "weights" / "notes-10.safetensors"))
    assert (model.features.hop_length, model.features.n_mels) == (160, 120)
    assert notes.load_network(tmp_path / "finer").config.channels == 4
    with pytest.raises(SystemExit, match="reads other features"):
        notes.main([*command, "--run", str(tmp_path / "other"), "--init-from", str(tmp_path / "finer")])


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="gloo over TCP on one machine")
def test_two_processes_train_together(tmp_path: Path) -> None:
    data = make_maestro(tmp_path / "maestro")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "train.notes", "--train", f"maestro:{data}", "--valid", f"maestro:{data}"]
    command += ["--run", str(tmp_path / "run"), "--cache", str(tmp_path / "cache"), "--steps", "3", "--batch", "1"]
    command += ["--seconds", "1.28", "--channels", "4", "--mix-channels", "2", "--dilations", "1", "--device", "cpu"]
    processes = []
    for rank in range(2):
        place = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "MASTER_PORT": str(port)}
        environment = {**os.environ, "MASTER_ADDR": "127.0.0.1", "OMP_NUM_THREADS": "1", **place}
        processes.append(
            subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        )
    for process in processes:
        output, _ = process.communicate(timeout=300)
        assert process.returncode == 0, output.decode()
    state = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)
    assert state["step"] == 3
