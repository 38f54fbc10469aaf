from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.signals import RATE
from train.instruments import labelled
from train.synthesis import solos
from transcribe.instruments.decoder import FAMILIES
from transcribe.registry import load_dataset


def test_labelled_sets_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def by_font(soundfont: Path, program: int, notes: solos.Notes, **_: object) -> np.ndarray:
        return np.asarray(np.sin(np.arange(4 * RATE) * 0.1 * (1 + program)) * notes[0][3] / 127)

    monkeypatch.setattr(labelled, "by_font", by_font)
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
