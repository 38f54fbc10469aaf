from __future__ import annotations

import numpy as np
import pytest

from train.synthesis.loudness import rises
from transcribe.events import Note


def test_what_onsets_add_by_key_and_velocity() -> None:
    rate, samples, notes = 16000, np.zeros(16000 * 12, np.float32), []
    for i in range(20):
        pitch, velocity = 48 + 2 * i, (40, 80)[i % 2]
        onset = 0.3 + 0.5 * i
        # 2 dB softer an octave, 6 dB louder at twice the velocity.
        loud = 0.1 * 10 ** ((-2 * (pitch - 60) / 12 + 6 * (velocity == 80)) / 20)
        time = np.arange(int(0.3 * rate))
        first = round(onset * rate)
        samples[first : first + len(time)] += loud * np.sin(2 * np.pi * 500 * time / rate)
        notes.append(Note(onset, pitch, onset + 0.3, velocity))
    crowded = Note(notes[5].onset + 0.03, 90, notes[5].offset, 64)
    found = rises(samples, sorted([*notes, crowded]))
    assert len(found) == 19  # not the two that come together
    columns = np.column_stack([found[:, 0], found[:, 1], np.ones(len(found))])
    slope, doubling, _ = np.linalg.lstsq(columns, found[:, 2], rcond=None)[0]
    assert slope == pytest.approx(-2.0, abs=0.05)
    assert doubling == pytest.approx(6.0, abs=0.05)
