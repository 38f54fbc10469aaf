from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import EXAMPLE, ROOT
from transcribe import Transcriber
from transcribe.formats.table import read_transcription
from transcribe.notes.metrics import score
from transcribe.theory.chords import parse

# On a piano that the networks learned from, so no figure of how good they are: below this something is broken.
FLOORS = {"small": (0.90, 0.78, 0.50), "medium": (0.95, 0.80, 0.80), "large": (0.95, 0.80, 0.80)}  # onset, frame, pedal


@pytest.mark.parametrize("name", [path.name for path in sorted((ROOT / "examples").glob("*.py"))])
def test_every_example_runs(name: str) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / name), str(EXAMPLE)], check=True, capture_output=True, text=True
    )
    assert done.stdout.strip()
    assert not done.stderr


@pytest.mark.parametrize("model", FLOORS)
def test_the_shipped_weights_hear_the_example(model: str) -> None:
    truth = read_transcription(EXAMPLE.with_suffix(".mid"))
    result = Transcriber(tasks=("notes",), model=model, device="cpu").transcribe_file(EXAMPLE)
    scores = score("waltz", truth, result).scores
    for metric, floor in zip(("note", "frame", "pedal"), FLOORS[model], strict=True):
        assert scores[metric].f1 >= floor
    assert not result.warnings


def test_the_shipped_weights_name_the_examples_chords() -> None:
    chords = Transcriber(tasks=("chords",), device="cpu").transcribe_file(EXAMPLE).chords
    assert [parse(chord.label).name for chord in chords] == ["C", "Am", "G7", "C", "F", "Dm", "G7", "C"]
