from __future__ import annotations

import numpy as np
import pytest

from transcribe.beats import estimate_tempo
from transcribe.events import Note


@pytest.mark.parametrize("bpm", [72, 96, 120, 150])
def test_steady_beats_have_their_tempo(bpm: float, rng: np.random.Generator) -> None:
    times = np.arange(60) * 60 / bpm + rng.normal(0, 0.01, 60)
    notes = [Note(float(t), 60, float(t) + 0.2, 100 if i % 2 == 0 else 70) for i, t in enumerate(times)]
    tempo = estimate_tempo(sorted(notes))
    assert tempo is not None
    assert min(abs(tempo / bpm - ratio) for ratio in (0.5, 1, 2)) < 0.02


def test_too_little_to_tell() -> None:
    assert estimate_tempo([]) is None
    assert estimate_tempo([Note(float(i), 60, i + 0.5, 64) for i in range(7)]) is None
    assert estimate_tempo([Note(1.0, 40 + i, 2.0, 64) for i in range(20)]) is None
