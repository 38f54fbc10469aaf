from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.signals import RATE, tone
from train.synthesis import solos


def test_solos_are_made_up(rng: np.random.Generator, tmp_path: Path) -> None:
    for sound in solos.SOUNDS.values():
        notes = solos.line(sound, rng)
        assert notes
        assert all(sound.low <= pitch <= sound.high and 0 <= on < off <= solos.SECONDS for on, off, pitch, _ in notes)
        bends, controls = solos.touch_of(sound, rng)
        assert all(-200 < cents < 200 for _, cents in bends)
        assert all(0 <= value <= 127 for _, _, value in controls)
        if not sound.chords:
            assert len({on for on, *_ in notes}) == len(notes)
    paths = [tone(tmp_path / f"{k}.wav", 200.0 * k, 0.5) for k in (1, 2)]
    strung = solos.strung_together(paths, rng)
    assert len(strung) == solos.SECONDS * RATE
    assert np.sqrt(np.mean(strung**2)) > 0.01
