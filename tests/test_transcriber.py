from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tests.conftest import FIVE_NOTES
from tests.signals import RATE, melody, silence, sine
from transcribe import load, save
from transcribe.errors import InputError, OutputError, UsageError
from transcribe.events import Chord, Transcription
from transcribe.notes.task import NotesModel
from transcribe.transcriber import Transcriber, transcribe_audio, transcribe_file


@pytest.fixture(scope="module")
def tiny(tiny_model: NotesModel) -> Transcriber:
    return Transcriber(tasks=("notes",), model=tiny_model)


def test_file_and_samples_give_the_same(wav: Path) -> None:
    transcriber = Transcriber(tasks=("notes",), device="cpu")
    from_file = transcriber.transcribe_file(wav)
    samples, rate = soundfile.read(wav, dtype="float32")
    from_samples = transcriber.transcribe_audio(samples, rate)
    assert from_file == from_samples
    assert from_file.duration == pytest.approx(3.0)
    assert from_file.models["notes"] == transcriber.model.name
    assert from_file.settings["onset_threshold"] == transcriber.decoding.onset_threshold


def test_module_functions_take_settings(wav: Path) -> None:
    every = transcribe_file(wav, device="cpu", onset_threshold=0.05)
    none = transcribe_audio(melody(FIVE_NOTES, 3.0), RATE, device="cpu", onset_threshold=1.0)
    assert len(every.notes) > 0 == len(none.notes)


def test_other_rates_and_channels_are_taken(tiny: Transcriber) -> None:
    stereo = np.stack([sine(440, 1.0, 44100)] * 2, axis=1)
    with pytest.raises(ValueError, match=r"channels first; pass samples\.T"):
        tiny.transcribe_audio(stereo.T, 44100)
    turned = tiny.transcribe_audio(stereo * [1, -1], 44100)
    assert [text for text in turned.warnings if "out of phase" in text]
    assert not [text for text in turned.warnings if "silent" in text]
    assert tiny.transcribe_audio(stereo, 44100).duration == pytest.approx(1.0, abs=0.01)
    assert tiny.transcribe_audio(stereo.astype(np.float64), 44100).duration == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize(
    ("samples", "rate", "match"),
    [
        (np.zeros((2, 2, 2), np.float32), RATE, "shape"),
        (np.zeros((5, 0), np.float32), RATE, "channels"),
        (np.zeros(100, np.int16), RATE, "floats"),
        (np.array([0.0, np.nan]), RATE, "finite"),
        (np.zeros(100), 0, "positive"),
    ],
)
def test_wrong_arrays_raise(samples: np.ndarray, rate: int, match: str, tiny: Transcriber) -> None:
    with pytest.raises(ValueError, match=match):
        tiny.transcribe_audio(samples, rate)


def test_wrong_settings_are_usage_errors(tiny_model: NotesModel) -> None:
    with pytest.raises(UsageError, match="onset_threshold"):
        Transcriber(tasks=("notes",), model=tiny_model, onset_threshold=2.0)
    with pytest.raises(UsageError, match="colour"):
        Transcriber(tasks=("notes",), model=tiny_model, colour=1.0)
    with pytest.raises(UsageError, match="no notes model"):
        Transcriber(model="nothing", device="cpu")


@pytest.mark.parametrize(
    ("samples", "remark"),
    [
        (silence(1.0), "silent"),
        (np.zeros(0, np.float32), "no samples"),
        (np.sign(sine(100, 1.0)), "clipped"),
    ],
)
def test_odd_recordings_get_a_remark(samples: np.ndarray, remark: str) -> None:
    result = transcribe_audio(samples, RATE, device="cpu")
    assert any(remark in warning for warning in result.warnings)


def test_one_sample_is_a_recording(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "one.wav", np.ones(1), 44100, subtype="FLOAT")
    assert transcribe_file(tmp_path / "one.wav", device="cpu").notes == ()


def test_damage_is_told(tmp_path: Path, tiny: Transcriber) -> None:
    samples = melody(FIVE_NOTES, 3.0)
    samples[500] = np.nan
    soundfile.write(tmp_path / "nan.wav", samples, RATE, subtype="FLOAT")
    assert any("NaN" in warning for warning in tiny.transcribe_file(tmp_path / "nan.wav").warnings)
    with pytest.raises(InputError):
        tiny.transcribe_file(tmp_path / "nowhere.wav")


def test_progress_runs_to_the_end(wav: Path, tiny: Transcriber) -> None:
    calls: list[tuple[float, float | None]] = []
    tiny.transcribe_file(wav, progress=lambda done, total: calls.append((done, total)))
    assert calls[-1] == (pytest.approx(3.0), pytest.approx(3.0))


@given(
    samples=arrays.arrays(
        np.float32, st.integers(0, 4000), elements=st.floats(-1e6, 1e6, width=32, allow_subnormal=True)
    )
)
@settings(max_examples=20)
def test_any_finite_audio_gives_a_valid_transcription(samples: np.ndarray, tiny: Transcriber) -> None:
    result = tiny.transcribe_audio(samples, RATE)
    assert result.duration == pytest.approx(len(samples) / RATE)
    for note in result.notes:
        assert 0 <= note.onset < note.offset
        assert 1 <= note.velocity <= 127


def test_threads_do_not_get_each_others_activations(tiny: Transcriber, tmp_path: Path) -> None:
    """A transcriber holds nothing of a call: what two threads keep of two recordings is what each has alone."""
    paths = [tmp_path / f"{number}.wav" for number in range(2)]
    for number, path in enumerate(paths):
        soundfile.write(path, melody(FIVE_NOTES, 25.0 + 20 * number), RATE)

    def kept(path: Path) -> list[np.ndarray]:
        blocks: list[np.ndarray] = []
        tiny.transcribe_file(path, keep=lambda block: blocks.append(block.onset))
        return blocks

    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(kept, paths))
    for alone, found in zip(map(kept, paths), together, strict=True):
        np.testing.assert_array_equal(np.concatenate(found), np.concatenate(alone))


def test_tasks_are_heard_as_they_are_named(wav: Path) -> None:
    assert set(Transcriber(device="cpu").transcribe_file(wav).models) == {"notes", "chords", "instruments"}
    beats = Transcriber(tasks=("beats",), device="cpu")
    assert [task.name for task in beats.tasks] == ["notes", "beats"]
    with pytest.raises(UsageError, match="no task"):
        Transcriber(tasks=("lyrics",))
    with pytest.raises(UsageError, match="sequence"):
        Transcriber(tasks="notes")
    with pytest.raises(UsageError, match="one task"):
        Transcriber(tasks=())


def test_a_result_is_saved_and_loaded(tmp_path: Path) -> None:
    song = Transcription(
        notes=tuple(FIVE_NOTES), chords=(Chord(0.0, 3.0, "C:maj"),), duration=3.0, models={"notes": "<b>mine</b>"}
    )
    for suffix in (".json", ".mid", ".csv", ".lab", ".musicxml", ".svg", ".html", ".txt"):
        if suffix == ".musicxml":
            pytest.importorskip("music21")
        save(song, tmp_path / f"song{suffix}")
        assert (tmp_path / f"song{suffix}").stat().st_size > 0
    assert load(tmp_path / "song.json") == song
    assert load(tmp_path / "song.csv").notes == song.notes
    assert load(tmp_path / "song.lab").chords == (Chord(0.0, 3.0, "C:maj"),)
    save(song, tmp_path / "chords.csv", task="chords")
    assert load(tmp_path / "chords.csv").chords == song.chords
    with pytest.raises(OutputError, match="exists"):
        song.save(tmp_path / "song.mid")
    song.save(tmp_path / "song.mid", overwrite=True)
    with pytest.raises(UsageError, match="no chords"):
        save(Transcription(), tmp_path / "empty.lab")
    with pytest.raises(UsageError, match="listening"):
        save(song, tmp_path / "song.npz")
    with pytest.raises(UsageError, match="unknown format"):
        save(song, tmp_path / "song.xyz")


def test_a_result_is_shown_in_a_line_and_in_a_table() -> None:
    song = Transcription(notes=tuple(FIVE_NOTES), chords=(Chord(0.0, 3.0, "C:maj"),), duration=3.0, key="C major")
    assert repr(song) == "<Transcription: notes=5, chords=1, duration=3.0, key='C major'>"
    table = song._repr_html_()
    assert "<tr><th>notes</th><td>5</td></tr>" in table
    assert "<tr><th>chords</th><td>C</td></tr>" in table
