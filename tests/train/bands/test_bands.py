"""Training the notes of any instruments: targets drawn by hand, losses, figures."""

from __future__ import annotations

import re
import tomllib
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pretty_midi
import pytest
import torch
from safetensors.torch import save_file

from tests.conftest import ROOT
from train.bands import export
from train.bands.designs import DESIGNS
from train.bands.excerpts import (
    NOBODY,
    BandExcerpts,
    BandExcerptsOnCard,
    drum_targets,
    family_targets,
    read_labels,
)
from train.bands.losses import BandLosses, rarity
from train.bands.task import BandsTask, _parser, begin_from
from train.bands.validation import figures
from train.cache import Prepared
from train.calibration import Predicted
from train.loop import LoopConfig, train
from transcribe.engine.features import FeatureConfig, FrameGrid
from transcribe.engine.weights import to_bytes
from transcribe.errors import UsageError
from transcribe.events import Drum, Note, Transcription
from transcribe.notes.ensemble import EnsembleActivations, EnsembleDecodingConfig
from transcribe.notes.ensemble_network import EnsembleConfig, EnsembleLogits, EnsembleNetwork
from transcribe.theory.families import DRUMS, FAMILIES

FEATURES = FeatureConfig()
losses = BandLosses(torch.ones(len(FAMILIES)))
PIANO, BASS, FLUTE = (FAMILIES.index(family) for family in ("piano", "bass", "flute"))
LABELS = {
    "notes": np.array([[0.5, 1.0, 60, 80], [0.8, 0.9, 60, 70], [1.0, 1.01, 40, 40]]),
    "families": np.array([PIANO, FLUTE, BASS], np.uint8),
    "drums": np.array([[0.5, 0, 127], [0.61, 2, 64]]),
}


def test_of_two_who_play_a_key_the_later_one_is_told() -> None:
    drawn = family_targets(LABELS, 20, 40, 50.0)
    assert drawn.shape == (40, 88)
    # Key 39: the piano from frame 25 of the piece, the flute from 40 to 45, then the piano that is held to 50.
    assert drawn[:, 39].tolist() == [NOBODY] * 5 + [PIANO] * 15 + [FLUTE] * 5 + [PIANO] * 5 + [NOBODY] * 10
    # A note of half a frame has its family in the frames in which decoders ask.
    assert drawn[29:36, 19].tolist() == [NOBODY] + [BASS] * 5 + [NOBODY]
    assert (drawn[:, 20:39] == NOBODY).all()


def test_strokes_are_drawn_as_triangles() -> None:
    onset, velocity, known = drum_targets(LABELS, 20, 20, 50.0)
    assert onset[3:8, 0].tolist() == [0, 0.5, 1, 0.5, 0]
    assert onset[8:13, 2] == pytest.approx([0, 0.25, 0.75, 0.75, 0.25])
    assert velocity[4:7, 0].tolist() == [1, 1, 1]
    assert known.sum() == 6
    assert not onset[:, 1].any()
    assert not drum_targets(LABELS, 1000, 20, 50.0).any()


def test_labels_name_who_plays(tmp_path: Path) -> None:
    midi = pretty_midi.PrettyMIDI(resolution=960)
    for program, pitch in ((0, 60), (33, 40)):
        midi.instruments.append(pretty_midi.Instrument(program))
        midi.instruments[-1].notes = [pretty_midi.Note(80, pitch, 0.5, 1.0)]
    midi.instruments.append(pretty_midi.Instrument(0, is_drum=True))
    midi.instruments[-1].notes = [pretty_midi.Note(100, key, 0.25, 0.3) for key in (38, 39)]
    midi.write(str(tmp_path / "band.mid"))
    labels = read_labels(tmp_path / "band.mid")
    assert sorted(labels["families"].tolist()) == [PIANO, BASS]
    assert labels["notes"].shape == (2, 4)
    assert labels["drums"] == pytest.approx(np.array([[0.25, 1, 100]]), abs=1e-3)  # a clap is none of the five
    assert "pedals" not in labels  # the piano's can't be told from what the bass holds
    midi.instruments = midi.instruments[1:2]
    midi.write(str(tmp_path / "alone.mid"))
    assert read_labels(tmp_path / "alone.mid")["pedals"].shape == (0, 2)


def recording(folder: Path) -> Prepared:
    log_mel = np.random.default_rng(0).normal(-1, 0.3, (200, FEATURES.n_mels)).astype(np.float16)
    np.save(folder / "features.npy", log_mel)
    return Prepared(folder / "features.npy", 200, LABELS)


def test_excerpts_are_the_same_from_disk_and_from_a_card(tmp_path: Path) -> None:
    arguments = ([recording(tmp_path)], FEATURES, 3, 64, 5, torch.device("cpu"), False)
    for disk, card in zip(BandExcerpts(*arguments)(7), BandExcerptsOnCard(*arguments)(7), strict=True):
        torch.testing.assert_close(disk, card, atol=0.003, rtol=0)
    _, target, families, drums = BandExcerpts(*arguments)(7)
    assert target.shape == (3, 6, 64, 88)
    assert families.shape == (3, 64, 88)
    assert drums.shape == (3, 3, 64, 5)


def perfect(batch: tuple[torch.Tensor, ...], wrong_family: bool = False) -> EnsembleLogits:
    """Logits of who knows all labels, two frames a step."""
    _, target, families, drums = batch

    def logit(probability: torch.Tensor) -> torch.Tensor:
        return torch.logit(probability, 1e-4)

    wanted = families[:, ::2].long().clamp(max=len(FAMILIES) - 1)
    wanted = (wanted + wrong_family) % len(FAMILIES)
    family = 20 * torch.nn.functional.one_hot(wanted, len(FAMILIES)).float()
    onset, frame, offset, velocity = (logit(target[:, row]) for row in range(4))
    pedal = logit(target[:, 5, :, 0].clamp(min=0))
    drum, drum_velocity = logit(drums[:, 0]), logit(drums[:, 1])
    return EnsembleLogits(onset, frame, offset, velocity, pedal, family, drum, drum_velocity)


class Says(torch.nn.Module):
    def __init__(self, logits: EnsembleLogits) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, log_mel: torch.Tensor) -> EnsembleLogits:
        return self.logits


def test_who_knows_families_loses_nothing_by_them(tmp_path: Path) -> None:
    batch = BandExcerpts([recording(tmp_path)], FEATURES, 2, 64, 0, torch.device("cpu"))(0)
    right, wrong = (losses(Says(perfect(batch, wrong)), batch) for wrong in (False, True))
    assert float(right["family"]) < 1e-3 < float(wrong["family"])
    assert all(float(right[name]) == float(wrong[name]) for name in right if name != "family")
    silent = (*batch[:2], torch.full_like(batch[2], NOBODY), batch[3])
    assert float(losses(Says(perfect(silent)), silent)["family"]) == 0


def test_a_family_of_a_quarter_of_the_notes_weighs_twice_as_much_as_one_of_all() -> None:
    labels = LABELS | {"families": np.array([PIANO] * 3 + [FLUTE], np.uint8)}
    weights = rarity([Prepared(Path("a"), 100, labels)])
    assert weights.shape == (12,)
    assert float(weights[FLUTE] / weights[PIANO]) == pytest.approx(3**0.5)
    assert float(0.75 * weights[PIANO] + 0.25 * weights[FLUTE]) == pytest.approx(1)


def test_a_training_goes_on_from_weights_of_its_own_trunk(tmp_path: Path) -> None:
    small = EnsembleConfig(8, 4, 4, (1,), 2, "softmax", 8, 8)
    given, begun = EnsembleNetwork(FEATURES, small), EnsembleNetwork(FEATURES, replace(small, family="staged"))
    path = tmp_path / "given.safetensors"
    save_file(given.state_dict(), path)
    fresh = {name: value.clone() for name, value in begun.family.state_dict().items()}
    begin_from(path, begun)
    trunks = [network.trunk.state_dict() for network in (given, begun)]
    assert all(torch.equal(trunks[0][name], trunks[1][name]) for name in trunks[0])
    assert all(torch.equal(value, fresh[name]) for name, value in begun.family.state_dict().items())


def test_a_larger_network_begins_with_the_notes_of_a_smaller_one(tmp_path: Path) -> None:
    small = EnsembleConfig(8, 4, 4, (1,), 2, "softmax", 8, 8)
    given = EnsembleNetwork(FEATURES, small).eval()
    larger = EnsembleNetwork(FEATURES, replace(small, channels=16, family="clustered")).eval()
    header = {"network": asdict(small), "features": asdict(FEATURES)}
    path = tmp_path / "given.safetensors"
    path.write_bytes(to_bytes(given.state_dict(), header, half=False))
    begin_from(path, larger)
    log_mel = torch.rand(1, 40, FEATURES.n_mels)
    before, after = given(log_mel), larger(log_mel)
    for head in ("onset", "frame", "offset", "velocity"):
        torch.testing.assert_close(getattr(after, head), getattr(before, head), atol=1e-4, rtol=1e-4)
    with pytest.raises(UsageError, match="can't begin with"):
        begin_from(path, EnsembleNetwork(FEATURES, replace(small, channels=4)))


def test_what_is_frozen_stays_as_it_was(tmp_path: Path) -> None:
    sizes = ["--channels", "8", "--stem-channels", "4", "--mix-channels", "4", "--dilations", "1"]
    (tmp_path / "none.mid").write_bytes(b"")
    (tmp_path / "none.wav").write_bytes(b"")
    data = ["--train", f"pairs:{tmp_path}", "--valid", f"pairs:{tmp_path}", "--run", str(tmp_path / "run")]
    task = BandsTask(_parser().parse_args([*data, *sizes, "--frozen", "trunk", "head", "pedal"]))
    network = task.network()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    log_mel = torch.rand(2, 32, FEATURES.n_mels)
    target, drums = torch.zeros(2, 6, 32, 88), torch.zeros(2, 3, 32, 5)
    batch = log_mel, target, torch.full((2, 32, 88), PIANO, dtype=torch.uint8), drums
    config = LoopConfig(steps=3, warmup=1, average=0.0)
    learned = train(network, lambda step, rank: batch, losses, config, None, frozen=task.frozen(network)).state_dict()
    same = {name.split(".")[0] for name, value in learned.items() if torch.equal(value, before[name])}
    moved = {name.split(".")[0] for name, value in learned.items() if not torch.equal(value, before[name])}
    assert {"trunk", "head", "pedal"} <= same
    assert moved == {"family", "drums"}


@pytest.mark.parametrize("design", DESIGNS.values(), ids=DESIGNS)
def test_every_design_learns_from_all_losses(design: EnsembleConfig, tmp_path: Path) -> None:
    torch.manual_seed(0)
    small = EnsembleConfig(8, 4, 4, (1,), 2, design.family, 8, 8)
    network = EnsembleNetwork(FEATURES, small)
    batch = BandExcerpts([recording(tmp_path)], FEATURES, 2, 64, 0, torch.device("cpu"))(0)
    found = losses(network, batch)
    assert set(found) == {"onset", "frame", "offset", "velocity", "pedal", "family", "drum", "drum velocity"}
    torch.stack(list(found.values())).sum().backward()  # type: ignore[no-untyped-call]
    without = [name for name, value in network.named_parameters() if value.grad is None]
    assert not without


REFERENCE = Transcription(
    notes=(Note(0.5, 60, 1.0, 80, instrument="piano"), Note(1.0, 40, 2.0, 80, instrument="bass")),
    drums=(Drum(0.5, "bass drum", 100), Drum(1.0, "bass drum", 100), Drum(1.0, "hi-hat", 80)),
    duration=2.0,
)


def test_figures_counted_by_hand() -> None:
    estimate = Transcription(
        notes=(Note(0.51, 60, 1.0, 80, instrument="piano"), Note(1.0, 40, 2.0, 80, instrument="guitar")),
        drums=(Drum(0.52, "bass drum", 100), Drum(1.1, "bass drum", 100), Drum(1.0, "snare drum", 80)),
        duration=2.0,
    )
    found = figures([(REFERENCE, estimate)])
    assert found["note"] == 1.0
    assert found["note with family"] == 0.5
    assert (found["piano"], found["bass"]) == (1.0, 0.0)
    assert found["bass drum"] == 0.5
    assert found["hi-hat"] == 0.0
    assert "guitar" not in found  # nobody plays one
    assert found["drums"] == 0.25
    assert figures([]) == {}


def test_notes_of_nobody_are_a_pianos() -> None:
    known, unknown = (Transcription(notes=(Note(0.5, 60, 1.0, 80, instrument=who),)) for who in ("piano", None))
    assert figures([(unknown, known)])["note with family"] == figures([(unknown, known)])["piano"] == 1.0


def test_drums_are_tuned_by_class() -> None:
    n_frames = 150
    drum = np.zeros((n_frames, len(DRUMS)), np.float32)
    # The bass drum's strokes are heard a frame late and softly, and there is a louder ghost of a snare drum.
    drum[[26, 51], 0] = 0.3
    drum[50, 2], drum[90, 1] = 0.9, 0.4
    nothing = np.zeros((n_frames, 88), np.float32)
    family = np.zeros((n_frames, 88, len(FAMILIES)), np.float32)
    pedal, velocity = np.zeros(n_frames, np.float32), np.full_like(drum, 0.5)
    grid = FrameGrid(16000, 320)
    heard = EnsembleActivations(nothing, nothing, nothing, nothing, pedal, grid, family, drum, velocity)
    predicted = [Predicted("band", REFERENCE, [heard], 3.0)]
    tuned = export.tune_drums(predicted, EnsembleDecodingConfig(drum_thresholds=(0.2,) * 5))
    assert tuned.drum_thresholds[0] <= 0.3
    assert tuned.drum_thresholds[1] == 0.2  # the validation set has no snare drum: as it was
    assert tuned.drum_shift == pytest.approx(-0.02, abs=0.003)
    assert tuned.drum_shares == (0.0,) * 5  # nothing is won by them


def test_a_family_weighs_what_it_plays_beside_what_is_said() -> None:
    """Half of what a guitar plays is said to be a flute's, by ten notes beside each other."""
    n = 10
    reference = Transcription(notes=tuple(Note(k, 60, k + 0.5, 80, instrument="guitar") for k in range(n)))
    onset = np.zeros((50 * n, 88), np.float32)
    onset[::50, 39] = 0.9
    family = np.zeros((50 * n, 88, len(FAMILIES)), np.float32)
    guitar, flute = FAMILIES.index("guitar"), FAMILIES.index("flute")
    family[..., guitar] = family[..., flute] = 0.5
    drum = np.zeros((50 * n, len(DRUMS)), np.float32)
    heard = EnsembleActivations(onset, onset, onset, onset, onset[:, 0], FrameGrid(16000, 320), family, drum, drum)
    tuned = export.tune_families([Predicted("tune", reference, [heard], float(n))], EnsembleDecodingConfig())
    weights = np.array(tuned.family_weights)
    assert weights[guitar] / weights[flute] == pytest.approx((20 + 10) / 20, rel=0.01)
    others = np.delete(weights, [guitar, flute])
    np.testing.assert_allclose(others, others[0])


def test_every_source_of_the_recordings_is_listed_with_its_licence() -> None:
    recipe = tomllib.loads((ROOT / "train/synthesis/recipes/bands.toml").read_text(encoding="utf-8"))
    named = set()
    for part in (recipe, *recipe["part"]):
        for key in ("midi", "drummers", "fonts", "kits", "pianos", "sampled", "rooms", "sounds"):
            paths = part.get(key, ())
            named |= {Path(path).stem for path in ([paths] if isinstance(paths, str) else paths)}
    rows = [line for line in (ROOT / "train/bands/sources.md").read_text(encoding="utf-8").splitlines() if "|" in line]
    listed = {name for row in rows for name in re.findall("`([^`]+)`", row.split("|")[2])}
    assert named <= listed
    assert all(row.split("|")[3].strip() for row in rows)
