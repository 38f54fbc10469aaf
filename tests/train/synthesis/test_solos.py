from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.signals import RATE, tone
from train.synthesis import solos
from train.synthesis.fonts import Timbre
from train.synthesis.players import Played


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


def test_a_players_touch_reaches_the_font(monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator) -> None:
    asked: list[tuple[Played, Timbre]] = []

    class Fake:
        def play(self, played: Played, seconds: float, timbre: Timbre) -> np.ndarray:
            asked.append((played, timbre))
            return np.zeros(round(seconds * RATE), np.float32)

    monkeypatch.setattr(solos, "_font", lambda path: Fake())
    notes = [(2.0, 3.0, 62, 90), (0.5, 1.0, 60, 80)]
    touch = ([(0.0, -50.0), (10.0, 50.0)], [(0.0, 11, 127.0), (20.0, 11, 0.0)])
    samples = solos.by_font(Path("x.sf2"), 40, notes, touch=touch)
    assert len(samples) == solos.SECONDS * RATE
    (played, timbre), *_ = asked
    assert timbre == Timbre()  # the font's own sound
    assert played.program == 40
    assert played.part.notes[:, 2].tolist() == [60, 62]  # by their onsets
    assert played.cents is not None
    assert played.loudness is not None
    assert played.cents[250] == pytest.approx(0.0)  # after 5 s
    assert played.loudness[0] == 1.0
    assert played.loudness[500] == pytest.approx(0.5, abs=0.01)
    solos.by_font(Path("x.sf2"), 0, notes, rng, is_drum=True)
    assert asked[1][0].part.is_drums
    assert asked[1][1].attack == 0.0  # of a drum only the colour is changed
