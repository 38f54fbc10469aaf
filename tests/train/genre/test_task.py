from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from tests.signals import tone
from train.genre import task
from transcribe.cli.main import main
from transcribe.transcriber import Transcriber


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
    network: str, features: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    if features == "cqt" and importlib.util.find_spec("librosa") is None:
        pytest.skip("librosa isn't installed")
    data = styles(tmp_path / "data")
    arguments = ["--data", f"gtzan:{data}", "--run", str(tmp_path / "run"), "--cache", str(tmp_path / "c")]
    arguments += ["--network", network, "--features", features, "--channels", "8", "8", "--steps", "60", "--batch", "6"]
    arguments += ["--learning-rate", "0.01", "--average", "0.9", "--validate-every", "0", "--export", "genre-9"]
    arguments += ["--weights", str(tmp_path / "weights")]
    task.main(arguments)
    printed = capfd.readouterr().err
    assert "left out: calm.00100.mp3: can't decode" in printed
    assert "left out: no recordings of jazz" in printed
    weights = tmp_path / "weights/genre-9.safetensors"
    recogniser = Transcriber(tasks=("genre",), model=str(weights))
    for name in ("calm", "drums"):
        assert recogniser.transcribe_file(data / name / f"{name}.00004.wav").genres[0].label == name
    # 3: one recording can't be read, and the figures are of the others.
    assert main(["eval", "--dataset", "gtzan", "--data", str(data), "--split", "all", "--model", str(weights)]) == 3
    evaluated = capfd.readouterr()
    assert "accuracy: 1.0000" in evaluated.out
    assert "left out: calm.00100.mp3" in evaluated.err


def test_what_cannot_be_trained(tmp_path: Path) -> None:
    run = ["--run", str(tmp_path / "run"), "--cache", str(tmp_path / "c")]
    with pytest.raises(SystemExit, match="no recordings found"):
        task.main(["--data", f"gtzan:{tmp_path}", *run])
    tone(tmp_path / "blues" / "blues.00000.wav", 300, 0.5)
    with pytest.raises(SystemExit, match="1 genres to train on; it takes two"):
        task.main(["--data", f"gtzan:{tmp_path}", *run])
    with pytest.raises(SystemExit, match=r"tracks\.csv is missing"):
        task.main(["--data", f"fma:{tmp_path}", *run])
