"""Genre: features of signals that are known, networks, layouts, figures, training on tiny data, the command."""

from __future__ import annotations

import csv
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st

from train.genre import __main__ as training
from train.genre import table as genre_table
from transcribe.cli.main import main
from transcribe.engine.weights import load_model
from transcribe.errors import InputError, UsageError
from transcribe.events import Tag
from transcribe.genre.datasets import DATASETS, load_fma, load_gtzan
from transcribe.genre.decoder import probabilities, ranked, verdict
from transcribe.genre.features import COLUMNS, TABLE_SAMPLE_RATE, constant_q, excerpts, starts, table_row
from transcribe.genre.metrics import judge
from transcribe.genre.network import GenreConfig, yeo_johnson
from transcribe.genre.task import GENRE
from transcribe.transcriber import Transcriber

needs_librosa = pytest.mark.skipif(importlib.util.find_spec("librosa") is None, reason="librosa isn't installed")
RATE = TABLE_SAMPLE_RATE


# Features -----------------------------------------------------------------------------------------


def figures_of(samples: np.ndarray) -> dict[str, float]:
    return dict(zip(COLUMNS, table_row(samples), strict=True))


@needs_librosa
def test_the_figures_of_a_sine() -> None:
    frequency = 440.0
    found = figures_of(0.5 * np.sin(2 * np.pi * frequency * np.arange(5 * RATE) / RATE))
    assert found["rms_mean"] == pytest.approx(0.5 / np.sqrt(2), rel=0.02)
    assert found["zero_crossing_rate_mean"] == pytest.approx(2 * frequency / RATE, rel=0.03)
    # A window's main lobe is as wide to both sides; the roll-off is the bin that reaches 85 %.
    assert found["spectral_centroid_mean"] == pytest.approx(frequency, rel=0.05)
    assert found["rolloff_mean"] == pytest.approx(frequency, abs=2 * RATE / 2048)
    assert found["spectral_bandwidth_mean"] < 200
    # One of twelve chroma is 1, its neighbours hear some of the lobe.
    assert 1 / 12 < found["chroma_stft_mean"] < 0.35
    assert found["harmony_var"] == pytest.approx(0.125, rel=0.05)
    assert found["perceptr_var"] < 0.002
    assert abs(found["harmony_mean"]) < 1e-3


@needs_librosa
def test_the_figures_of_noise_and_of_clicks(rng: np.random.Generator) -> None:
    noise = figures_of(0.1 * rng.standard_normal(5 * RATE))
    assert noise["spectral_centroid_mean"] == pytest.approx(RATE / 4, rel=0.02)
    assert noise["rolloff_mean"] == pytest.approx(0.85 * RATE / 2, rel=0.02)
    assert noise["zero_crossing_rate_mean"] == pytest.approx(0.5, rel=0.03)
    assert noise["rms_mean"] == pytest.approx(0.1, rel=0.02)
    # A band of constant power has the standard deviation of its frequencies: half the width over the root of three.
    assert noise["spectral_bandwidth_mean"] == pytest.approx(RATE / 4 / np.sqrt(3), rel=0.05)
    clicks = np.zeros(20 * RATE)
    for i in range(40):
        start = round(i * 0.5 * RATE)
        clicks[start : start + 400] = rng.standard_normal(400) * 0.5
    found = figures_of(clicks)
    assert found["tempo"] == pytest.approx(120, rel=0.04)
    assert found["perceptr_var"] > found["harmony_var"]


@needs_librosa
def test_louder_moves_the_first_coefficient_alone() -> None:
    rng = np.random.default_rng(3)
    samples = 0.05 * rng.standard_normal(3 * RATE)
    soft, loud = figures_of(samples), figures_of(samples * 2)
    # The orthonormal cosine transform of 6 dB more in 128 bands.
    assert loud["mfcc1_mean"] - soft["mfcc1_mean"] == pytest.approx(20 * np.log10(2) * np.sqrt(128), rel=0.01)
    for i in range(2, 21):
        assert loud[f"mfcc{i}_mean"] == pytest.approx(soft[f"mfcc{i}_mean"], abs=0.05)


@needs_librosa
def test_a_semitone_is_a_bin_of_the_constant_q() -> None:
    time = np.arange(3 * 16_000) / 16_000
    low, high = (constant_q(0.3 * np.sin(2 * np.pi * f * time).astype(np.float32)) for f in (440.0, 466.16))
    assert low.shape == (150, 84)
    assert low[75].argmax() == 45  # A4, 45 semitones above C1
    assert high[75].argmax() == 46
    assert constant_q(np.zeros(0, np.float32)).shape == (0, 84)


def test_excerpts_are_spread() -> None:
    assert starts(10.0, 30.0, 4) == [0.0]
    assert starts(60.0, 30.0, 4) == [0.0, 30.0]
    assert starts(330.0, 30.0, 4) == [0.0, 100.0, 200.0, 300.0]
    assert starts(None, 30.0, 3) == [0.0, 30.0, 60.0]


@given(
    n_samples=st.integers(0, 200),
    cuts=st.lists(st.integers(0, 200), max_size=5),
    first=st.lists(st.integers(0, 220), min_size=1, max_size=4).map(sorted),
    length=st.integers(1, 60),
)
def test_excerpts_are_the_same_however_the_stream_is_cut(
    n_samples: int, cuts: list[int], first: list[int], length: int
) -> None:
    samples = np.arange(n_samples, dtype=np.float32)
    blocks = np.split(samples, sorted(cut for cut in cuts if cut <= n_samples))
    whole = [samples[f : f + length] for f in first if f + length <= n_samples]
    found = list(excerpts(blocks, first, length))
    for mine, theirs in zip(found, whole, strict=False):
        np.testing.assert_array_equal(mine, theirs)
    assert len(found) - len(whole) in (0, 1)
    if len(found) > len(whole):
        rest = samples[first[len(whole)] :]
        np.testing.assert_array_equal(found[-1], rest)
        assert 2 * len(rest) >= length or len(found) == 1


# What is said -------------------------------------------------------------------------------------


def test_what_is_said() -> None:
    genres = ranked(("blues", "rock", "pop", "jazz"), np.array([0.2, 0.5, 0.25, 0.05]), 12.0)
    assert genres[0] == Tag(0.0, 12.0, "rock", 0.5)
    assert verdict(genres, {"genre": {"threshold": 0.5}}) == "rock 50%"
    assert verdict(genres, {"genre": {"threshold": 0.6}}) == "unsure: rock 50%, pop 25%, blues 20%"
    assert verdict((), {}) == ""


def test_probabilities_by_hand() -> None:
    found = probabilities([np.log([0.8, 0.2]), np.log([0.4, 0.6])], 1.0)
    assert found == pytest.approx([0.6, 0.4])
    assert probabilities([np.array([900.0, -900.0])], 2.0) == pytest.approx([1, 0])


# Networks -----------------------------------------------------------------------------------------


def test_the_power_of_yeo_and_johnson() -> None:
    stats = pytest.importorskip("scipy.stats")
    values = np.array([-3.0, -0.5, 0.0, 0.5, 3.0, 1e5])
    for exponent in (-0.3, 0.0, 0.4, 1.0, 2.0):
        column = torch.from_numpy(values).double()[:, None]
        found = yeo_johnson(column, torch.tensor([exponent]).double())[:, 0].numpy()
        np.testing.assert_allclose(found, stats.yeojohnson(values, exponent), rtol=1e-6)


def test_configurations_that_make_no_sense() -> None:
    for wrong in (
        {"network": "tree"},
        {"front": "mel"},
        {"network": "cnn"},
        {"labels": ("a",)},
        {"channels": ()},
        {"channels": (0,)},
    ):
        with pytest.raises(ValueError, match=r"networks|belong|labels|channels"):
            GenreConfig(**{"network": "table", "front": "table", "labels": ("a", "b"), **wrong})


def test_the_shipped_weights_know_ten_genres() -> None:
    model = load_model(GENRE)
    assert len(model.network.config.labels) == 10
    assert model.network(torch.zeros(1, len(COLUMNS))).shape == (1, 10)
    assert all(value.dtype == torch.float32 for value in model.network.state_dict().values())


def test_the_network_of_a_discriminant_analysis(rng: np.random.Generator) -> None:
    pytest.importorskip("sklearn", reason="scikit-learn isn't installed")
    labels = np.array(["a", "b", "c"])[np.arange(90) % 3]
    rows = np.exp(rng.standard_normal((90, len(COLUMNS)))) * 10.0 ** rng.integers(-3, 6, len(COLUMNS))
    rows[:, 0] += np.arange(90) % 3 * rows[:, 0].std()
    name, make = list(genre_table.classifiers().items())[-1]
    assert "discriminant" in name
    fitted = make().fit(rows, labels)
    with torch.inference_mode():
        found = genre_table.network_of(fitted)(torch.from_numpy(rows).float()).numpy()
    np.testing.assert_allclose(found, fitted.decision_function(rows), rtol=1e-3, atol=1e-2)


def test_statistics_by_hand() -> None:
    assert genre_table.interval(0, 10)[0] == 0.0
    low, high = genre_table.interval(5, 10)
    assert (low, high) == (pytest.approx(0.1871, abs=1e-3), pytest.approx(0.8129, abs=1e-3))
    ours = np.array([True] * 6 + [False] * 1 + [True] * 3)
    theirs = np.array([False] * 6 + [True] * 1 + [True] * 3)
    assert genre_table.mcnemar(ours, theirs) == pytest.approx(2 * (1 + 7) / 2**7)
    assert genre_table.mcnemar(ours, ours) == 1.0
    logits = np.array([[2.0, 0.0]] * 75 + [[0.0, 2.0]] * 25)
    # Right three times in four: the odds are 3, the logits' difference should be log 3.
    assert genre_table.temperature_of(logits, np.zeros(100, int)) == pytest.approx(2 / np.log(3), rel=0.05)


# Layouts and figures ------------------------------------------------------------------------------


def tone(path: Path, frequency: float, seconds: float = 3.0, pulse: float = 0.0) -> Path:
    time = np.arange(int(seconds * 16_000)) / 16_000
    samples = 0.4 * np.sin(2 * np.pi * frequency * time)
    if pulse:
        samples *= (time * pulse) % 1 < 0.2
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, 16_000)
    return path


def test_gtzan(tmp_path: Path) -> None:
    for genre in ("blues", "rock"):
        for k in range(3):
            tone(tmp_path / "genres" / genre / f"{genre}.{k:05d}.wav", 300, 0.1)
    assert {clip.split for clip in load_gtzan(tmp_path)} == {""}
    with pytest.raises(UsageError, match="no lists"):
        DATASETS["gtzan"].pieces(tmp_path, "test")
    for name, k in (("train", 0), ("valid", 1), ("test", 2)):
        lines = [f"{genre}/{genre}.{k:05d}.wav\n" for genre in ("blues", "rock")][: 1 + (k < 2)]
        (tmp_path / f"{name}_filtered.txt").write_text("".join(lines))
    assert [clip.audio.name for clip in DATASETS["gtzan"].pieces(tmp_path, "test")] == ["blues.00002.wav"]
    assert len(DATASETS["gtzan"].pieces(tmp_path, "all")) == 5
    (tmp_path / "valid_filtered.txt").unlink()
    with pytest.raises(InputError, match="valid_filtered"):
        load_gtzan(tmp_path)
    with pytest.raises(InputError, match="no recordings found"):
        DATASETS["gtzan"].pieces(tmp_path / "genres" / "rock")


def fma(folder: Path) -> Path:
    """Four tracks as in FMA: metadata beside a tree of numbered mp3, one of them broken, one without a genre."""
    rows = [
        ["", "set", "set", "track", "track"],
        ["", "split", "subset", "genre_top", "title"],
        ["track_id", "", "", "", ""],
        ["2", "training", "small", "Hip-Hop", "Food"],
        ["5", "validation", "small", "Hip-Hop", "a, comma"],
        ["140", "test", "small", "Folk", "Queen"],
        ["141", "training", "small", "", "No genre"],
        ["150", "training", "small", "Folk", "No file"],
    ]
    (folder / "fma_metadata").mkdir(parents=True)
    with (folder / "fma_metadata/tracks.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    for number in (2, 5, 140, 141):
        tone(folder / f"fma_small/000/{number:06d}.mp3", 200.0 + number, 1.5)
    return folder / "fma_small"


def test_fma(tmp_path: Path) -> None:
    found = load_fma(fma(tmp_path))
    assert [(clip.audio.stem, *clip.tags, clip.split) for clip in found] == [
        ("000002", "Hip-Hop", "train"),
        ("000005", "Hip-Hop", "validation"),
        ("000140", "Folk", "test"),
    ]
    (tmp_path / "fma_metadata/tracks.csv").write_text("a,b\nc,d\n")
    with pytest.raises(InputError, match=r"not FMA's tracks\.csv"):
        load_fma(tmp_path / "fma_small")
    (tmp_path / "fma_metadata/tracks.csv").unlink()
    with pytest.raises(InputError, match=r"tracks\.csv is missing"):
        load_fma(tmp_path / "fma_small")


def test_figures_by_hand() -> None:
    report = judge(["a", "a", "b", "b"], ["a", "b", "b", "c"], [True, False, True, True], ["x: silent"])
    assert (report.n_clips, report.accuracy, report.sure) == (4, 0.5, 0.75)
    assert report.accuracy_sure == pytest.approx(2 / 3)
    assert report.classes["a"] == (1.0, 0.5, pytest.approx(2 / 3), 2)
    assert report.classes["b"] == (0.5, 0.5, 0.5, 2)
    assert report.macro_f1 == pytest.approx((2 / 3 + 0.5) / 2)
    assert report.confusion == {"a": {"a": 1, "b": 1}, "b": {"b": 1, "c": 1}}
    assert judge([], [], []).accuracy == 0


# Training and the command -------------------------------------------------------------------------


def styles(folder: Path, n: int = 10) -> Path:
    """Held tones are calm, pulses are drums; one mp3 is broken, and of jazz there is nothing."""
    for k in range(n):
        tone(folder / "calm" / f"calm.{k:05d}.wav", 250.0 + 20 * k)
        tone(folder / "drums" / f"drums.{k:05d}.wav", 250.0 + 20 * k, pulse=6.0)
    (folder / "calm" / "calm.00100.mp3").write_bytes(b"ID3 nothing")
    (folder / "jazz").mkdir()
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(("network", "features"), [("cnn", "mel"), ("resnet", "cqt")])
def test_from_folders_to_a_guess(
    network: str, features: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    if features == "cqt" and importlib.util.find_spec("librosa") is None:
        pytest.skip("librosa isn't installed")
    monkeypatch.setattr(training, "WEIGHTS", tmp_path / "weights")
    data = styles(tmp_path / "data")
    arguments = ["--data", f"gtzan:{data}", "--run", str(tmp_path / "run"), "--cache", str(tmp_path / "c")]
    arguments += ["--network", network, "--features", features, "--channels", "8", "8", "--steps", "60", "--batch", "6"]
    arguments += ["--learning-rate", "0.01", "--average", "0.9", "--validate-every", "0", "--export", "genre-9"]
    training.main(arguments)
    printed = capfd.readouterr().err
    assert "left out: calm.00100.mp3: can't decode" in printed
    assert "left out: no recordings of jazz" in printed
    weights = tmp_path / "weights/genre-9.safetensors"
    recogniser = Transcriber(tasks=("genre",), model=str(weights))
    for name in ("calm", "drums"):
        assert recogniser.transcribe_file(data / name / f"{name}.00004.wav").genres[0].label == name
    assert main(["eval", "--dataset", "gtzan", "--data", str(data), "--split", "all", "--model", str(weights)]) == 0
    printed = capfd.readouterr()
    assert "accuracy: 1.0000" in printed.out
    assert "left out: calm.00100.mp3" in printed.err


def test_what_cannot_be_trained(tmp_path: Path) -> None:
    run = ["--run", str(tmp_path / "run"), "--cache", str(tmp_path / "c")]
    with pytest.raises(SystemExit, match="no recordings found"):
        training.main(["--data", f"gtzan:{tmp_path}", *run])
    tone(tmp_path / "blues" / "blues.00000.wav", 300, 0.5)
    with pytest.raises(SystemExit, match="1 genres to train on; it takes two"):
        training.main(["--data", f"gtzan:{tmp_path}", *run])
    with pytest.raises(SystemExit, match=r"tracks\.csv is missing"):
        training.main(["--data", f"fma:{tmp_path}", *run])


def test_the_table_is_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="lists"):
        genre_table.read_table(tmp_path)
    for split in ("train", "valid", "test"):
        (tmp_path / f"{split}_filtered.txt").write_text(f"blues/{split}.wav\n")
    with (tmp_path / "features_30_sec.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["filename", "length", *COLUMNS, "label"])
        for i, split in enumerate(("train", "valid", "test")):
            writer.writerow([f"{split}.wav", 661794, *[i] * len(COLUMNS), "blues"])
    table = genre_table.read_table(tmp_path)
    assert table["validation"][0].tolist() == [[1.0] * len(COLUMNS)]
    assert table["test"][1].tolist() == ["blues"]
    (tmp_path / "features_30_sec.csv").write_text("filename,label\ntrain.wav,blues\n")
    with pytest.raises(InputError, match="57 features"):
        genre_table.read_table(tmp_path)


@needs_librosa
def test_figures_of_no_recording_give_probabilities_all_the_same() -> None:
    """Integers written as floats: some exponents are in the hundreds."""
    clicks = np.zeros(4 * RATE)
    clicks[:: RATE // 4] = 32_767
    recogniser = Transcriber(tasks=("genre",))
    for samples in (clicks, clicks / 32_767 + 0.5, -clicks):
        genres = recogniser.transcribe_audio(samples.astype(np.float32), RATE).genres
        assert sum(tag.probability for tag in genres) == pytest.approx(1, abs=0.001)


@needs_librosa
@pytest.mark.slow
def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tone(tmp_path / "song.wav", 330, 4.0, pulse=2.0)
    assert main(["genre", str(path)]) == 0
    printed = capsys.readouterr()
    assert "less than the 30 s" in printed.err
    assert printed.out.count("%") >= 4
    assert main(["genre", str(path), "--json", "-o", str(tmp_path / "genre.csv")]) == 0
    found = json.loads(capsys.readouterr().out)
    assert sum(tag["probability"] for tag in found["genres"]) == pytest.approx(1, abs=0.001)
    assert found["models"] == {"genre": "genre-1"}
    rows = (tmp_path / "genre.csv").read_text().splitlines()
    assert rows[0] == "onset,offset,label,probability"
    assert len(rows) == 11
    silence = tmp_path / "silence.wav"
    soundfile.write(silence, np.zeros(32_000), 16_000)
    assert main(["genre", str(silence)]) == 0
    printed = capsys.readouterr()
    assert "unknown" in printed.out
    assert "silent" in printed.err
    assert main([str(path), "--genre", "--no-chords", "--no-instruments", "-o", str(tmp_path / "song.json")]) == 0
    assert "genre" in capsys.readouterr().out
    assert json.loads((tmp_path / "song.json").read_text())["genres"]


def test_no_second_reading_of_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("librosa", reason="librosa isn't installed")
    assert main(["-", "--genre", "-o", "-"]) == 2


def test_without_librosa(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(__import__("sys").modules, "librosa", None)
    path = tone(tmp_path / "song.wav", 330, 1.0)
    assert main(["genre", str(path)]) == 2
    assert "pip install 'pitchai[genre]'" in capsys.readouterr().err
