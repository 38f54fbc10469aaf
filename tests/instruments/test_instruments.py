"""Instruments: layouts, figures, mixtures, training on tiny data, weights."""

from __future__ import annotations

import importlib.util
import itertools
import json
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from tests.signals import RATE
from train.augment import augment
from train.cache import Prepared
from train.instruments import __main__ as instruments
from train.instruments import export as instrument_export
from train.instruments import forest as instrument_forest
from train.instruments import inputs as instrument_inputs
from train.instruments import labelled
from train.synthesis import solos
from transcribe.engine.features import FeatureConfig
from transcribe.engine.weights import load_model
from transcribe.errors import InputError, UsageError
from transcribe.instruments.datasets import load_clips, load_irmas, load_nsynth
from transcribe.instruments.decoder import FAMILIES, INSTRUMENTS, likelihoods
from transcribe.instruments.metrics import judge
from transcribe.instruments.network import STRIDE, InstrumentsConfig, InstrumentsNetwork
from transcribe.instruments.task import INSTRUMENTS as TASK
from transcribe.registry import load_dataset
from transcribe.transcriber import Transcriber

FEATURES, CPU = FeatureConfig(), torch.device("cpu")
SMALL = InstrumentsConfig((4, 4, 4, 8, 8), 16)


def tone(path: Path, frequency: float, seconds: float = 2.0, buzz: bool = False) -> Path:
    """A sine, or a saw-tooth with all its partials."""
    time = np.arange(int(seconds * RATE)) / RATE
    samples = 0.5 * np.sin(2 * np.pi * frequency * time)
    if buzz:
        samples = 0.3 * (2 * ((frequency * time) % 1) - 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, RATE)
    return path


# Layouts and figures ------------------------------------------------------------------------------


def test_nsynth(tmp_path: Path) -> None:
    names = {"guitar_acoustic_001-060-100": "guitar", "synth_lead_synthetic_011-050-050": "synth_lead"}
    for name in names:
        tone(tmp_path / "audio" / f"{name}.wav", 440.0, 0.2)
    examples = {name: {"instrument_family_str": family, "pitch": 60} for name, family in names.items()}
    (tmp_path / "examples.json").write_text(json.dumps(examples))
    clips = load_dataset("nsynth", tmp_path)
    assert [(clip.audio.stem, clip.tags, clip.vocabulary) for clip in clips] == [
        ("guitar_acoustic_001-060-100", ("guitar",), "families"),
        ("synth_lead_synthetic_011-050-050", ("synth lead",), "families"),
    ]
    (tmp_path / "examples.json").write_text(json.dumps({"x": {"instrument_family_str": "kazoo"}}))
    with pytest.raises(InputError, match="kazoo"):
        load_nsynth(tmp_path)
    (tmp_path / "examples.json").write_text("[")
    with pytest.raises(InputError, match="not NSynth's"):
        load_nsynth(tmp_path)


def test_irmas(tmp_path: Path) -> None:
    tone(tmp_path / "IRMAS-TrainingData/cel/[cel][cla]0001__1.wav", 440.0, 0.2)
    test = tone(tmp_path / "IRMAS-TestingData-Part1/01 - song-8.wav", 440.0, 0.2)
    test.with_suffix(".txt").write_text("pia\t\nvoi\t\n")
    clips = load_dataset("irmas", tmp_path)
    assert sorted(clip.tags for clip in clips) == [("cello",), ("piano", "voice")]
    test.with_suffix(".txt").write_text("kaz\n")
    with pytest.raises(InputError, match="kaz"):
        load_irmas(tmp_path)


def test_folders_of_clips(tmp_path: Path) -> None:
    for name in ("Violin_or_fiddle", "Hi_hat", "Double_bass"):
        tone(tmp_path / "a" / name / "1.ogg", 440.0, 0.2)
    assert [clip.tags for clip in load_clips(tmp_path / "a")] == [("double bass",), ("hi-hat",), ("violin",)]
    tone(tmp_path / "b/guitar/1.wav", 440.0, 0.2)
    tone(tmp_path / "b/flute/1.wav", 440.0, 0.2)
    assert {(clip.tags, clip.vocabulary) for clip in load_clips(tmp_path / "b")} == {
        (("flute",), "families"),
        (("guitar",), "families"),
    }
    tone(tmp_path / "c/kazoo/1.wav", 440.0, 0.2)
    with pytest.raises(InputError, match="kazoo"):
        load_dataset("clips", tmp_path / "c")
    for folder in (tmp_path / "none", tmp_path / "a" / "Hi_hat" / "empty"):
        if folder.name == "empty":
            folder.mkdir()
        with pytest.raises(InputError, match=folder.name):
            load_dataset("clips", folder)
    with pytest.raises(UsageError, match="no data set"):
        load_dataset("audioset", tmp_path)


def test_figures_by_hand() -> None:
    truths = [("piano",), ("violin",), ("piano", "violin"), ("flute",)]
    found = [
        {"piano": 0.9, "violin": 0.2, "flute": 0.1, "drums": 0.99},  # drums are true of nothing here
        {"piano": 0.6, "violin": 0.5, "flute": 0.1},
        {"piano": 0.7, "violin": 0.8, "flute": 0.1},
        {"piano": 0.1, "violin": 0.2, "flute": 0.3},
    ]
    report = judge(truths, found, 0.5)
    assert (report.n_clips, report.accuracy, report.exact) == (4, 0.75, 0.75)
    assert report.classes["piano"] == (pytest.approx(2 / 3), 1.0, pytest.approx(0.8), 2)
    assert report.classes["violin"] == (1.0, 1.0, 1.0, 2)
    assert report.classes["flute"] == (0.0, 0.0, 0.0, 1)
    assert report.macro_f1 == pytest.approx(1.8 / 3)
    assert report.micro_f1 == pytest.approx(2 * (4 / 5) * (4 / 5) / (8 / 5))
    assert report.lrap == pytest.approx((1 + 0.5 + 1 + 1) / 4)
    assert report.confusion["violin"] == {"piano": 1}
    assert report.confusion["piano+violin"] == {"piano+violin": 1}
    report = judge([("piano", "violin"), ("violin",)], [{"violin": 0.9, "piano": 0.3}, {"violin": 0.2}], 0.5)
    assert report.confusion == {"piano+violin": {"violin": 1}, "violin": {"violin": 1}}
    report = judge([("piano", "violin"), ("flute",)], [{"violin": 0.9, "piano": 0.3}, {"violin": 0.2}], 0.5)
    assert report.confusion["piano+violin"] == {"other": 1}
    assert judge([], [], 0.5).accuracy == 0


# Truth and mixtures -------------------------------------------------------------------------------


def names_of(labels: tuple[int, ...]) -> set[str]:
    every = [*(f"family {name}" for name in FAMILIES), *INSTRUMENTS]
    return {every[label] for label in labels}


def test_what_a_name_says() -> None:
    truth = instruments.truth_of("violin")
    assert names_of(truth.there) == {"violin", "family string"}
    assert truth.open == ()
    viola = instruments.truth_of("viola")
    assert names_of(viola.there) == {"family string"}
    assert names_of(viola.open) == {"cello", "violin", "double bass", "harp", "string section"}
    kick = instruments.truth_of("bass drum")
    assert names_of(kick.there) == {"bass drum", "drums", "family drums"}
    assert names_of(instruments.truth_of("drums").open) == {"bass drum", "snare drum", "hi-hat"}
    assert names_of(instruments.truth_of("speech").open) == {"voice", "family vocal"}
    assert names_of(instruments.truth_of("plucked double bass").open) == {"family bass", "family string"}
    assert names_of(instruments.truth_of("guitar", "families").there) == {"family guitar"}
    both = instruments.combined([instruments.truth_of("viola"), instruments.truth_of("cello")])
    assert "cello" in names_of(both.there) - names_of(both.open)
    with pytest.raises(UsageError, match="kazoo"):
        instruments.truth_of("kazoo")
    for name in (*solos.SOUNDS, *solos.NOTES.values(), *solos.DRUMS, "drums", "speech"):
        instruments.truth_of(name)


def clip(folder: Path, name: str, level: float, first: int = 0, last: int = 400) -> instruments.Clip:
    """A clip whose every band has a level, in units of 20 dB, from a frame to another."""
    log_mel = np.full((400, FEATURES.n_mels), -2.0, np.float16)
    log_mel[first:last] = level
    path = folder / f"{name}{level}.npy"
    np.save(path, log_mel)
    return instruments.Clip(Prepared(path, 400, {}), instruments.truth_of(name), name)


def test_a_mixture_has_the_power_of_both(tmp_path: Path) -> None:
    clips = [clip(tmp_path, "piano", 0.0), clip(tmp_path, "violin", 0.5, 0, 200)]
    batches = instruments.Mixtures(clips, instruments.Spectra(), 1, 400, 0, CPU, {2: 1.0}, augmented=False)
    log_mel, target = batches(0)
    assert log_mel.shape == (1, 400, FEATURES.n_mels)
    both, alone = float(log_mel[0, 100, 0]), float(log_mel[0, 300, 0])
    # Each is as loud as the other within 6 dB, whatever it was; the power of both adds up.
    assert abs(alone) <= 0.3 + 1e-3
    assert both > alone
    labels = {name: target[0, :, len(FAMILIES) + i] for i, name in enumerate(INSTRUMENTS)}
    assert labels["piano"].tolist() == [1.0] * 50
    assert labels["violin"].tolist() == [1.0] * 25 + [0.0] * 25
    assert labels["flute"].unique().tolist() == [0.0]
    torch.testing.assert_close(batches(3)[0], batches(3)[0], rtol=0, atol=0)
    assert not torch.equal(batches(3)[0], batches(4)[0])


def test_what_is_drowned_is_open() -> None:
    own, whole = np.zeros(32), np.array([0.0] * 8 + [20.0] * 8 + [30.0] * 8 + [0.0] * 8)
    own[24:] = -60
    assert instruments.heard(own, whole, 0.0).tolist() == [1, 1, -1, 0]


def test_silence_has_no_labels(tmp_path: Path) -> None:
    batches = instruments.Mixtures([clip(tmp_path, "piano", 0.0)], instruments.Spectra(), 2, 80, 0, CPU, {0: 1.0})
    log_mel, target = batches(0)
    assert not target.any()
    assert torch.isfinite(augment(log_mel, torch.Generator())).all()


def test_solos_are_made_up(rng: np.random.Generator, tmp_path: Path) -> None:
    for sound in solos.SOUNDS.values():
        notes = solos.line(sound, rng)
        assert notes
        assert all(sound.low <= pitch <= sound.high and 0 <= on < off <= solos.SECONDS for on, off, pitch, _ in notes)
        bends, controls = solos.touch_of(sound, rng)
        assert all(-200 < cents < 200 for _, cents in bends)
        assert all(0 <= value <= 127 for _, _, value in controls)
        if not sound.chords:
            assert len({on for on, *_ in notes}) == len(notes)
    paths = [tone(tmp_path / f"{k}.wav", 200.0 * k, 0.5) for k in (1, 2)]
    strung = solos.strung_together(paths, rng)
    assert len(strung) == solos.SECONDS * RATE
    assert np.sqrt(np.mean(strung**2)) > 0.01


def test_labelled_sets_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def synthesised(soundfont: Path, program: int, notes: solos.Notes, **_: object) -> np.ndarray:
        return np.sin(np.arange(4 * RATE) * 0.1 * (1 + program)) * notes[0][3] / 127

    monkeypatch.setattr(labelled, "synthesised", synthesised)
    labelled.main(["notes", "--out", str(tmp_path / "n"), "--soundfonts", "x.sf2", "--clips", "22"])
    labelled.main(["four", "--out", str(tmp_path / "f"), "--soundfonts", "x.sf2", "--clips", "12"])
    notes, singles, pairs = (
        load_dataset("nsynth", tmp_path / "n"),
        load_dataset("irmas", tmp_path / "f" / "single"),
        load_dataset("irmas", tmp_path / "f" / "pairs"),
    )
    assert Counter(clip.tags[0] for clip in notes) == {f: 2 for f in FAMILIES if f != "drums"}
    assert Counter(clip.tags[0] for clip in singles) == dict.fromkeys(labelled.FOUR, 3)
    assert {clip.tags for clip in pairs} == set(itertools.combinations(sorted(labelled.FOUR), 2))
    samples, rate = soundfile.read(singles[0].audio)
    assert len(samples) == 3 * rate
    assert np.sqrt(np.mean(samples**2)) == pytest.approx(0.1, rel=0.01)


# The network, its training, its weights -----------------------------------------------------------


def test_the_border_covers_what_a_step_sees() -> None:
    torch.manual_seed(0)
    network = InstrumentsNetwork(FEATURES, SMALL).eval()
    features = torch.randn(1, 480, FEATURES.n_mels, requires_grad=True)
    network(features).families[0, 30].sum().backward()
    assert features.grad is not None
    reached = features.grad[0].abs().sum(1).nonzero().flatten()
    assert 240 - int(reached.min()) <= network.border
    assert int(reached.max()) - 247 <= network.border
    assert network.border % STRIDE == 0
    with pytest.raises(ValueError, match="multiple of the stride"):
        network(torch.zeros(1, 12, FEATURES.n_mels))


def test_folding_changes_nothing() -> None:
    torch.manual_seed(1)
    network = InstrumentsNetwork(FEATURES, SMALL)
    features = torch.randn(2, 64, FEATURES.n_mels)
    network(features)
    network.eval()
    with torch.inference_mode():
        before, after = network(features), network.fused()(features)
    torch.testing.assert_close(before.instruments, after.instruments, atol=1e-4, rtol=1e-4)


def test_cosines_are_orthonormal() -> None:
    basis = instrument_inputs.cosines(20, 20)
    np.testing.assert_allclose(basis.T @ basis, np.eye(20), atol=1e-5)


def test_waves_add_up_and_are_of_one_loudness(rng: np.random.Generator) -> None:
    samples = rng.standard_normal(1000).astype(np.float32)
    frames = instrument_inputs.frames_of_samples(samples)
    assert frames.shape == (4, 320)
    np.testing.assert_array_equal(frames.ravel()[:1000], samples)
    waves = instrument_inputs.Waves()
    assert waves.levels(frames[:3] * waves.gain(20.0)) == pytest.approx(waves.levels(frames[:3]) + 20, abs=1e-3)
    plain = waves.plain(torch.from_numpy(frames)[None] * 7)
    assert float(plain.square().mean()) == pytest.approx(1.0, rel=1e-4)
    batch = torch.ones(6, 16, 320)
    inverted = instrument_inputs.InvertedWaves().augmented(batch, torch.Generator().manual_seed(3)).mean((1, 2)).sign()
    assert set(inverted.tolist()) == {-1.0, 1.0}


def test_spec_augment_hides_some(rng: np.random.Generator) -> None:
    batch = torch.from_numpy(rng.normal(0, 1, (4, 64, FEATURES.n_mels)).astype(np.float32))
    hidden = instruments.Spectra().augmented(batch, torch.Generator().manual_seed(0))
    plain = instrument_inputs.Unmasked().augmented(batch, torch.Generator().manual_seed(0))
    assert 0.02 < float((hidden != plain).float().mean()) < 0.7


def test_a_transposed_peak_stands_where_its_frequency_does(rng: np.random.Generator) -> None:
    frequencies = FEATURES.mel_frequencies()
    band = int(np.argmin(np.abs(frequencies - 880)))
    peak = np.exp(-(((np.arange(FEATURES.n_mels) - band) / 3) ** 2))
    moved = np.interp(instruments.Spectra().transposed(12), np.arange(FEATURES.n_mels), peak)
    assert frequencies[moved.argmax()] == pytest.approx(2 * frequencies[band], rel=0.02)
    varied = instruments.Spectra().varied(np.tile(peak.astype(np.float32), (64, 1)), rng)
    assert 50 < len(varied) < 81
    assert np.abs(np.log2(frequencies[varied[0].argmax()] / frequencies[band])) < 0.36


def two_sounds(folder: Path) -> Path:
    """Sines for flutes, saw-teeth for violins."""
    for k in range(8):
        tone(folder / "flute" / f"{k}.flac", 300.0 + 40 * k, 3.0)
        tone(folder / "violin" / f"{k}.flac", 300.0 + 40 * k, 3.0, buzz=True)
    return folder


@pytest.mark.slow
def test_every_input_is_trained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = f"clips:{two_sounds(tmp_path / 'data')}"
    names = ["log-mel, without SpecAugment", "MFCC", "waveform, sign inverted"]
    if importlib.util.find_spec("librosa"):
        names.append("constant-Q")
    common = ["--train", data, "--valid", data, "--cache", str(tmp_path / "c")]
    instrument_inputs.main([*common, "--inputs", *names, "--steps", "2", "--batch", "2", "--frames", "64"])
    rows = [line.split("|") for line in capsys.readouterr().out.splitlines()[2:]]
    assert [row[1].strip() for row in rows] == names
    assert all(0 <= float(row[4]) <= 1 for row in rows)


@pytest.mark.slow
def test_a_forest_tells_sines_from_saw_teeth(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("sklearn", reason="scikit-learn isn't installed")
    data = f"clips:{two_sounds(tmp_path / 'data')}"
    instrument_forest.main(["--train", data, "--valid", data, "--cache", str(tmp_path / "c")])
    printed = capsys.readouterr().out
    assert "| 12 | 1.000 |" in printed
    assert "% of the importance" in printed


@pytest.mark.slow
def test_from_folders_to_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sines are flutes and saw-teeth are violins; a few steps tell them apart."""
    two_sounds(tmp_path / "data")
    weights = tmp_path / "weights"
    monkeypatch.setattr(instrument_export, "WEIGHTS", weights)
    common = ["--train", f"clips:{tmp_path}/data", "--valid", f"clips:{tmp_path}/data", "--cache", str(tmp_path / "c")]
    common += ["--channels", "8", "8", "8", "8", "8", "--width", "16", "--batch", "6", "--frames", "64"]
    first = [
        "--run",
        str(tmp_path / "1"),
        "--steps",
        "60",
        "--learning-rate",
        "0.01",
        "--average",
        "0.9",
        "--validate-every",
        "60",
    ]
    instruments.main([*common, *first])
    second = ["--run", str(tmp_path / "2"), "--steps", "4", "--mixtures", "--frozen", "--validate-every", "0"]
    instruments.main([*common, *second, "--init-from", str(tmp_path / "1")])
    arguments = ["x", "--run", str(tmp_path / "1"), "--name", "instruments-9", "--valid", f"clips:{tmp_path}/data"]
    arguments += ["--cache", str(tmp_path / "c"), "--report", f"sines:clips:{tmp_path}/data"]
    monkeypatch.setattr(sys, "argv", arguments)
    instrument_export.main()
    model = load_model(TASK, str(weights / "instruments-9.safetensors"))
    recogniser = Transcriber(tasks=("instruments",), model=model)
    found = likelihoods(recogniser.activations_of(tmp_path / "data/flute/0.flac"), recogniser.decoding.vocabulary)
    assert found["flute"] > found["violin"]
    assert "| sines | 16 |" in (weights / "instruments-9.md").read_text()
