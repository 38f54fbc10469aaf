from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from train import compositions
from transcribe.events import Note


def piece(seed: int, count: int = 200) -> list[Note]:
    rng = np.random.default_rng(seed)
    pitches = np.clip(60 + np.cumsum(rng.integers(-4, 5, count)), 30, 90)
    return [Note(0.2 * i, int(pitch), 0.2 * i + 0.15, 64) for i, pitch in enumerate(pitches)]


def test_another_performance_in_another_key_is_the_same_composition() -> None:
    rng = np.random.default_rng(9)
    first = piece(1)
    # Slower, a fourth higher, one note in twenty wrong, and only the second half of it.
    second = [
        Note(1.3 * n.onset + 5, n.pitch + 5 + int(rng.random() < 0.05), 1.3 * n.offset + 5, 30) for n in first[100:]
    ]
    assert compositions.is_same(compositions.phrases(first), compositions.phrases(second))
    assert not compositions.is_same(compositions.phrases(first), compositions.phrases(piece(2)))
    assert compositions.shared(compositions.phrases(first), compositions.phrases([])) == 0


def test_chords_are_the_same_however_they_are_broken() -> None:
    chord = [Note(1.0, 60, 2.0, 64), Note(1.01, 64, 2.0, 64), Note(1.02, 67, 2.0, 64), Note(1.02, 72, 2.0, 64)]
    broken = [Note(1.0, 72, 2.0, 64), Note(1.02, 60, 2.0, 64), Note(1.03, 67, 2.0, 64), Note(1.04, 64, 2.0, 64)]
    tail = [Note(2.0 + 0.3 * i, 60 + i, 2.2 + 0.3 * i, 64) for i in range(6)]
    assert compositions.phrases(chord + tail) == compositions.phrases(broken + tail)


def test_it_names_who_plays_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder, name, seed in (("real", "x", 1), ("other", "etude", 1), ("other", "waltz", 2)):
        (tmp_path / folder).mkdir(exist_ok=True)
        rows = [f"{n.onset}\t{n.offset}\t{n.pitch}\t64" for n in piece(seed)]
        (tmp_path / folder / f"{name}.tsv").write_text("\n".join(rows))
    (tmp_path / "other" / "beats.txt").write_text("no notes at all\n")
    compositions.main(["--of", str(tmp_path / "real"), "--among", str(tmp_path / "other")])
    assert capsys.readouterr().out == "x.tsv\tetude.tsv\t1.00\n"
