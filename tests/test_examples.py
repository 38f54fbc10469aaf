from __future__ import annotations

import subprocess
import sys
from pathlib import Path

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


@pytest.mark.slow
def test_the_notebook_runs(tmp_path: Path) -> None:
    pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    (tmp_path / "waltz.flac").write_bytes(EXAMPLE.read_bytes())
    notebook = ROOT / "examples" / "notebook.ipynb"
    # In a process of its own: the kernel's sockets and loops are none of the other tests' business.
    program = (
        "import sys, nbformat; from nbclient import NotebookClient; "
        "book = nbformat.read(sys.argv[1], 4); NotebookClient(book, timeout=300, resources={'metadata': {'path': '.'}})"
        ".execute(); print([cell.outputs[0].output_type for cell in book.cells if cell.cell_type == 'code'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(notebook)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip() == str(["execute_result"] * 5)


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
    played = [chord for chord in chords if chord.label != "N"]  # the last dies away before the file ends
    assert [parse(chord.label).name for chord in played] == ["C", "Am", "G7", "C", "F", "Dm", "G7", "C"]
