from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings

from tests.conftest import FIVE_NOTES
from tests.strategies import transcriptions
from transcribe import Transcriber
from transcribe.errors import UsageError
from transcribe.events import Note, Pedal, Transcription
from transcribe.notes.metrics import score
from transcribe.report import sonify

RATE = sonify.SAMPLE_RATE
SONG = Transcription(notes=tuple(FIVE_NOTES), duration=3.0)


@pytest.mark.parametrize("pitch", [21, 40, 60, 69, 85, 96])
def test_a_note_has_its_pitch_its_time_and_its_loudness(pitch: int) -> None:
    loud, soft = (
        sonify.synthesise(Transcription(notes=(Note(0.5, pitch, 1.0, velocity),), duration=2.0))
        for velocity in (120, 40)
    )
    assert not loud[: RATE // 2 - 1].any()
    assert np.abs(loud[RATE // 2 :]).argmax() < RATE // 4
    assert np.abs(soft).max() < 0.3 * np.abs(loud).max()
    spectrum = np.abs(np.fft.rfft(loud, 1 << 17))
    frequency = 440 * 2 ** ((pitch - 69) / 12)
    # The bass of an upright hardly has a fundamental: look for any of the first partials.
    peak = np.argmax(spectrum) * RATE / (1 << 17) / frequency
    assert abs(1200 * np.log2(peak / max(1, round(peak)))) < 50


def test_keys_and_pedal_damp() -> None:
    note = Note(0.0, 60, 0.5, 100)
    dry = sonify.synthesise(Transcription(notes=(note,), duration=3.0))
    held = sonify.synthesise(Transcription(notes=(note,), pedals=(Pedal(0.4, 2.0),), duration=3.0))
    assert np.abs(dry[RATE:]).max() < 1e-3
    assert np.abs(held[RATE : 2 * RATE]).max() > 1e-2
    assert np.abs(held[int(2.7 * RATE) :]).max() < 1e-3


def test_what_is_played_is_heard_again() -> None:
    heard = Transcriber(tasks=("notes",), device="cpu").transcribe_audio(sonify.synthesise(SONG), RATE)
    assert score("song", SONG, heard).scores["note"].f1 == 1.0


@given(transcriptions())
@settings(max_examples=20)
def test_any_transcription_can_be_played(transcription: Transcription) -> None:
    samples = sonify.synthesise(transcription)
    assert len(samples) >= round(transcription.duration * RATE)
    assert np.abs(samples).max(initial=0.0) <= 0.9 + 1e-6
    assert bool(samples.any()) == bool(transcription.notes)


@pytest.mark.parametrize("suffix", sonify.SUFFIXES)
def test_files_and_the_recording_in_the_other_ear(suffix: str) -> None:
    long = replace(SONG, duration=30.0)
    samples, rate = soundfile.read(io.BytesIO(sonify.to_audio(long, suffix)))
    assert (rate, samples.ndim) == (RATE, 1)
    assert len(samples) / RATE == pytest.approx(30.0, abs=0.15)
    recording = np.full(RATE, 0.5, np.float32)
    both, _ = soundfile.read(io.BytesIO(sonify.to_audio(SONG, suffix, recording)))
    assert both[RATE // 2, 0] == pytest.approx(0.5, abs=0.1)
    assert np.abs(both[2 * RATE :, 0]).max() < 0.01
    assert np.abs(both[2 * RATE :, 1]).max() > 0.01


def test_other_suffixes_are_refused() -> None:
    with pytest.raises(UsageError, match=r"\.wav"):
        sonify.to_audio(SONG, ".aac")
