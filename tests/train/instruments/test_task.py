from __future__ import annotations

from pathlib import Path

import pytest

from tests.signals import two_sounds
from train.instruments import task
from transcribe.engine.weights import load_model
from transcribe.instruments.decoder import likelihoods
from transcribe.instruments.task import INSTRUMENTS
from transcribe.transcriber import Transcriber


@pytest.mark.slow
def test_from_folders_to_weights(tmp_path: Path) -> None:
    """Sines are flutes and saw-teeth are violins; a few steps tell them apart."""
    data = two_sounds(tmp_path / "data")
    weights = tmp_path / "weights"
    common = f"--train clips:{data} --valid clips:{data} --cache {tmp_path}/c"
    common += " --channels 8 8 8 8 8 --width 16 --batch 6 --seconds 1.28"
    first = f"--run {tmp_path}/1 --steps 30 --learning-rate 0.02 --average 0.8 --validate-every 30"
    task.main(f"{common} {first}".split())
    second = f"--run {tmp_path}/2 --steps 4 --mixtures --frozen --validate-every 0 --init-from {tmp_path}/1"
    task.main(f"{common} {second}".split())
    # The first run is at its end: it is only exported.
    before = (tmp_path / "1" / "checkpoint.pt").stat().st_mtime_ns
    task.main(f"{common} {first} --export instruments-9 --weights {weights} --report sines:clips:{data}".split())
    assert (tmp_path / "1" / "checkpoint.pt").stat().st_mtime_ns == before
    model = load_model(INSTRUMENTS, str(weights / "instruments-9.safetensors"))
    transcriber = Transcriber(tasks=("instruments",), model=model)
    found = likelihoods(transcriber.activations_of(data / "flute/0.flac"), transcriber.decoding.vocabulary)
    assert found["flute"] > found["violin"]
    assert "| sines | 16 |" in (weights / "instruments-9.md").read_text()
