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
from transcribe.instruments.datasets import load_tagged
from transcribe.instruments.decoder import FAMILIES


def test_labelled_sets_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def synthesised(soundfont: Path, program: int, notes: solos.Notes, **_: object) -> np.ndarray:
        return np.asarray(np.sin(np.arange(4 * RATE) * 0.1 * (1 + program)) * notes[0][3] / 127)

    monkeypatch.setattr(labelled, "synthesised", synthesised)
    labelled.main(["notes", "--out", str(tmp_path / "n"), "--soundfonts", "x.sf2", "--clips", "22"])
    labelled.main(["four", "--out", str(tmp_path / "f"), "--soundfonts", "x.sf2", "--clips", "12"])
    notes, singles, pairs = (
        load_tagged("nsynth", tmp_path / "n"),
        load_tagged("irmas", tmp_path / "f" / "single"),
        load_tagged("irmas", tmp_path / "f" / "pairs"),
    )
    assert Counter(clip.labels[0] for clip in notes) == {f: 2 for f in FAMILIES if f != "drums"}
    assert Counter(clip.labels[0] for clip in singles) == dict.fromkeys(labelled.FOUR, 3)
    assert {clip.labels for clip in pairs} == set(itertools.combinations(sorted(labelled.FOUR), 2))
    samples, rate = soundfile.read(singles[0].audio)
    assert len(samples) == 3 * rate
    assert np.sqrt(np.mean(samples**2)) == pytest.approx(0.1, rel=0.01)
