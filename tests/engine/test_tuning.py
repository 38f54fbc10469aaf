from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import FIVE_NOTES
from tests.signals import RATE, silence, sine, white_noise
from transcribe.audio import resampled
from transcribe.engine.tuning import find_tuning, tuned
from transcribe.events import Transcription
from transcribe.report import sonify
from transcribe.transcriber import Transcriber

PIANO = resampled(sonify.synthesise(Transcription(notes=tuple(FIVE_NOTES), duration=3.0)), sonify.SAMPLE_RATE, RATE)


def detuned(samples: np.ndarray, cents: float) -> np.ndarray:
    """Play it faster or slower."""
    times = np.arange(0, len(samples) - 1, 2 ** (cents / 1200))
    return np.interp(times, np.arange(len(samples)), samples).astype(np.float32)


@given(cents=st.integers(-45, 45).filter(lambda c: abs(c) >= 15))
@settings(max_examples=15)
def test_a_piano_out_of_tune_is_found_out(cents: int) -> None:
    assert find_tuning(detuned(PIANO, cents), RATE) == pytest.approx(cents, abs=4)


@pytest.mark.parametrize(("frequency", "cents"), [(440, 0), (450, 39), (430, -40), (880 * 2 ** (20 / 1200), 20)])
def test_a_sine(frequency: float, cents: int) -> None:
    assert find_tuning(sine(frequency, 3.0), RATE) == pytest.approx(cents, abs=1)


def test_nothing_is_said_of_what_is_in_tune_or_has_no_pitch(rng: np.random.Generator) -> None:
    assert find_tuning(PIANO, RATE) == 0
    for samples in (white_noise(rng, 20.0), silence(5.0), np.zeros(0, np.float32), np.ones(RATE, np.float32)):
        assert find_tuning(samples, RATE) == 0


@given(edges=st.lists(st.integers(0, 70 * RATE), max_size=5))
@settings(max_examples=10)
def test_a_stream_comes_back_whole_and_blocks_do_not_matter(edges: list[int]) -> None:
    samples = np.concatenate([detuned(np.tile(PIANO, 21), 30), white_noise(np.random.default_rng(1), 9.0)])[: 70 * RATE]
    tuning, blocks = tuned(np.split(samples, sorted(edges)), RATE)
    assert tuning == find_tuning(samples[: 60 * RATE], RATE)
    np.testing.assert_array_equal(np.concatenate(list(blocks)), samples)
    assert tuned([], RATE)[0] == 0


def test_a_recording_out_of_tune_is_heard_like_one_in_tune() -> None:
    transcriber = Transcriber(tasks=("notes",), model="small")
    there = transcriber.transcribe_audio(PIANO, RATE)
    flat = transcriber.transcribe_audio(detuned(PIANO, -40), RATE)
    assert there.tuning == 0
    assert flat.tuning == pytest.approx(-40, abs=4)
    assert sorted(note.pitch for note in flat.notes) == sorted(note.pitch for note in there.notes)
