from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import FIVE_NOTES
from tests.signals import RATE, silence, sine, white_noise
from transcribe.audio.reader import resampled
from transcribe.engine.tuning import SEGMENT, Tunings, find_tuning, main_tuning, tuned
from transcribe.events import Transcription
from transcribe.report import sonify
from transcribe.transcriber import Transcriber

PIANO = resampled(sonify.synthesise(Transcription(notes=tuple(FIVE_NOTES), duration=3.0)), sonify.SAMPLE_RATE, RATE)


def detuned(samples: np.ndarray, cents: float) -> np.ndarray:
    """Play it faster or slower."""
    times = np.arange(0, len(samples) - 1, 2 ** (cents / 1200))
    return np.asarray(np.interp(times, np.arange(len(samples)), samples), np.float32)


@given(cents=st.integers(-48, 40).filter(lambda c: abs(c) >= 15))
@settings(max_examples=15)
def test_a_piano_out_of_tune_is_found_out(cents: int) -> None:
    assert find_tuning(detuned(PIANO, cents), RATE) == pytest.approx(cents, abs=4)


@pytest.mark.parametrize(("cents", "found"), [(-52, -52), (-47, -47), (43, 43), (48, -52)])
def test_a_quarter_tone_flat_is_flat(cents: int, found: int) -> None:
    assert find_tuning(sine(440 * 2 ** (cents / 1200), 3.0), RATE) == pytest.approx(found, abs=1)


@pytest.mark.parametrize(("frequency", "cents"), [(440, 0), (450, 39), (430, -40), (880 * 2 ** (20 / 1200), 20)])
def test_a_sine(frequency: float, cents: int) -> None:
    assert find_tuning(sine(frequency, 3.0), RATE) == pytest.approx(cents, abs=1)


def test_in_tune_is_not_the_same_as_not_known(rng: np.random.Generator) -> None:
    assert find_tuning(PIANO, RATE) == 0
    for samples in (white_noise(rng, 20.0), silence(5.0), np.zeros(0, np.float32), np.ones(RATE, np.float32)):
        assert find_tuning(samples, RATE) is None
    assert find_tuning(PIANO[::4], RATE // 4) is None


@given(edges=st.lists(st.integers(0, 70 * RATE), max_size=5))
@settings(max_examples=10)
def test_a_stream_comes_back_whole_and_blocks_do_not_matter(edges: list[int]) -> None:
    samples = np.concatenate([detuned(np.tile(PIANO, 21), 30), white_noise(np.random.default_rng(1), 9.0)])[: 70 * RATE]
    tunings, blocks = tuned(np.split(samples, sorted(edges)), RATE)
    np.testing.assert_array_equal(np.concatenate(list(blocks)), samples)
    assert tunings == followed(samples)
    assert tunings.cents == [find_tuning(samples[: 60 * RATE], RATE)] * 14
    tunings, blocks = tuned([], RATE)
    assert list(blocks) == tunings.cents == []


def followed(samples: np.ndarray) -> Tunings:
    tunings, blocks = tuned([samples], RATE)
    for _ in blocks:
        pass
    return tunings


def applause(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """Many hands, each clap a burst of noise."""
    claps = rng.random(round(seconds * RATE)) < 50 / RATE
    noise = white_noise(rng, 0.02, 0.3) * np.exp(-np.arange(round(0.02 * RATE)) / 60)
    return np.convolve(claps * rng.uniform(0.3, 1, len(claps)), noise, "same").astype(np.float32)


def piano(cents: int, seconds: float) -> np.ndarray:
    return detuned(np.tile(PIANO, round(seconds / 2) + 2), cents)[: round(seconds * RATE)]


@pytest.mark.parametrize("lead", ["silence", "applause", "noise", "hum"])
@pytest.mark.parametrize("seconds", [20, 62])
def test_the_tuning_may_be_known_late(lead: str, seconds: int, rng: np.random.Generator) -> None:
    beginning = {
        "silence": silence(seconds),
        "applause": applause(rng, seconds),
        "noise": white_noise(rng, seconds, 0.05),
        "hum": sine(50, seconds, amplitude=0.1),
    }[lead]
    tunings = followed(np.concatenate([beginning, piano(-38, 40)]))
    (section,) = tunings.sections(seconds + 40.0)
    assert section.offset == seconds + 40
    assert set(tunings.cents[round(seconds / SEGMENT) :]) == {section.cents}
    assert section.cents == pytest.approx(-38, abs=4)


@pytest.mark.parametrize("cents", [[0, 45], [-45, 0], [30, -30], [40, 0, 40], [45, -30, 20]])
@pytest.mark.parametrize("seconds", [25, 70])
def test_the_tuning_may_change(cents: list[int], seconds: int) -> None:
    tunings = followed(np.concatenate([piano(c, seconds) for c in cents]))
    for number, expected in enumerate(cents):
        part = tunings.cents[round(number * seconds / SEGMENT) : round((number + 1) * seconds / SEGMENT)]
        assert part == [pytest.approx(expected, abs=5)] * len(part), number
    sections = tunings.sections(len(cents) * float(seconds))
    assert [section.onset for section in sections] == [seconds * number for number in range(len(cents))]
    assert main_tuning(sections) in [section.cents for section in sections]


def test_a_last_note_that_rings_on_changes_nothing() -> None:
    rings = sine(440 * 2 ** (0.3 / 12), 4.0, amplitude=0.01)
    assert set(followed(np.concatenate([piano(0, 60), rings])).cents) == {0}


def test_frames_have_the_tuning_of_their_segment() -> None:
    tunings = Tunings([None, -20, 30])
    assert list(tunings.of_frames(-4, 254, RATE, 320)) == [(254, 0)]
    assert list(tunings.of_frames(240, 520, RATE, 320)) == [(10, 0), (250, -20), (260, 30)]
    assert list(Tunings().of_frames(0, 10, RATE, 320)) == [(10, 0)]


def test_a_recording_out_of_tune_is_heard_like_one_in_tune() -> None:
    transcriber = Transcriber(tasks=("notes",), model="small")
    there = transcriber.transcribe_audio(PIANO, RATE)
    flat = transcriber.transcribe_audio(detuned(PIANO, -40), RATE)
    assert there.tuning == 0
    assert transcriber.transcribe_audio(silence(3.0), RATE).tuning is None
    assert flat.tuning == pytest.approx(-40, abs=4)
    assert sorted(note.pitch for note in flat.notes) == sorted(note.pitch for note in there.notes)


def test_what_changes_its_tuning_is_heard_like_one_in_tune(rng: np.random.Generator) -> None:
    transcriber = Transcriber(tasks=("notes",), model="small")
    expected = [note.pitch for note in transcriber.transcribe_audio(PIANO, RATE).notes]
    samples = np.concatenate([applause(rng, 17.0), detuned(np.tile(PIANO, 8), 44), silence(3.0), np.tile(PIANO, 8)])
    heard = transcriber.transcribe_audio(samples, RATE)
    # What clapping sounds like is no matter here.
    pitches = sorted(note.pitch for note in heard.notes if note.onset > 20 and note.pitch in expected)
    assert pitches.count(64) >= 14
    assert len(heard.tunings) == 2
    assert [section.cents for section in heard.tunings] == [pytest.approx(44, abs=4), 0]
