from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import EXAMPLE, ROOT
from transcribe import score_notes, transcribe_file
from transcribe.output.formats import read_transcription

# On this piano, which the network learned from; the floor that the model card promises.
FLOOR_ONSET, FLOOR_FRAME = 0.95, 0.80


@pytest.mark.parametrize("name", [path.name for path in sorted((ROOT / "examples").glob("*.py"))])
def test_every_example_runs(name: str) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / name), str(EXAMPLE)], check=True, capture_output=True, text=True
    )
    assert done.stdout.strip()
    assert not done.stderr


def test_the_shipped_weights_hear_the_example() -> None:
    truth = read_transcription(EXAMPLE.with_suffix(".mid"))
    result = transcribe_file(EXAMPLE, device="cpu")
    scores = score_notes("waltz", truth.notes, result.notes).scores
    assert scores["note"].f1 >= FLOOR_ONSET
    assert scores["frame"].f1 >= FLOOR_FRAME
    assert not result.warnings
