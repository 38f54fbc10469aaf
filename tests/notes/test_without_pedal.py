"""Sounds that have no pedal get none, as the smallest network hears them."""

from __future__ import annotations

import numpy as np
import pytest

from tests.signals import RATE
from transcribe.transcriber import Transcriber


def voice(pitch: int, seconds: float, partials: int) -> np.ndarray:
    """A held tone with partials that fall by an octave's 6 dB; 5 ms of attack, 20 ms of release."""
    time = np.arange(round(seconds * RATE)) / RATE
    phase = 2 * np.pi * 440 * 2 ** ((pitch - 69) / 12) * time
    tone = np.sum([np.sin(k * phase) / k for k in range(1, partials + 1)], axis=0)
    return np.asarray(tone * np.minimum(1, np.minimum(time / 0.005, (seconds - time) / 0.02)))


def played(notes: list[tuple[float, float, int]], partials: int) -> np.ndarray:
    samples = np.zeros(round((max(on + length for on, length, _ in notes) + 1) * RATE))
    for onset, length, pitch in notes:
        first = round(onset * RATE)
        tone = voice(pitch, length, partials)
        samples[first : first + len(tone)] += tone
    return np.asarray(0.5 * samples / np.abs(samples).max(), np.float32)


HELD = [(0.0, 15.0, 69)]
LOOP = [(0.25 * i, 0.24, (48, 55, 60, 64, 67, 64, 60, 55)[i % 8]) for i in range(60)]
LEGATO = [(0.5 * i, 0.55, 60 + (0, 2, 4, 5, 7, 5, 4, 2)[i % 8]) for i in range(30)]
OVER_A_BASS = [*LEGATO, *((4.0 * i, 4.0, (36, 41, 43, 36)[i]) for i in range(4))]


@pytest.mark.parametrize("partials", [1, 8], ids=["sine", "saw"])
@pytest.mark.parametrize("notes", [HELD, LOOP, LEGATO, OVER_A_BASS], ids=["held", "loop", "legato", "over a bass"])
def test_sounds_without_a_pedal_get_none(notes: list[tuple[float, float, int]], partials: int) -> None:
    heard = Transcriber(tasks=("notes",), model="small", threads=1).transcribe_audio(played(notes, partials), RATE)
    assert heard.notes
    assert heard.pedals == ()
