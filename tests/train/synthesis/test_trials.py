from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.signals import pluck, strum
from train.synthesis import sounds, trials
from train.synthesis.performances import Performance
from train.synthesis.piano import SAMPLE_RATE
from train.synthesis.render import write_pair
from transcribe.beats.metrics import read_truth
from transcribe.chords.datasets import read_chords
from transcribe.events import Note, Transcription
from transcribe.formats.midi import to_midi
from transcribe.notes.datasets import read_labels
from transcribe.registry import load_dataset


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    folder = tmp_path / "recordings"
    folder.mkdir()
    samples = np.zeros(3 * SAMPLE_RATE, np.float32)
    for start, pitch in ((0.5, 69), (1.5, 81)):
        samples[int(start * SAMPLE_RATE) :] += pluck(pitch, 3 - start)
    write_pair(folder, "a", samples, Performance(np.array([[0.5, 1.0, 69, 80], [1.5, 2.5, 81, 60]]), None))
    return folder


def test_degraded_recordings_keep_their_notes(recordings: Path, tmp_path: Path) -> None:
    trials.degraded(load_dataset("pairs", recordings), tmp_path / "out")
    clean, _ = soundfile.read(recordings / "a.flac")
    found = {folder.name: folder for folder in (tmp_path / "out").iterdir()}
    assert set(found) == {*trials.DEGRADATIONS, "sharp", "flat"}
    for name, folder in found.items():
        samples, rate = soundfile.read(folder / "a.flac")
        notes = read_labels(folder / "a.mid").notes
        ratio = len(clean) / len(samples)
        assert rate == SAMPLE_RATE
        assert [note.pitch for note in notes] == [69, 81]
        assert notes[1].onset * ratio == pytest.approx(1.5, abs=2e-3)
        if name in ("sharp", "flat"):
            cents = 1200 * np.log2(_loudest_frequency(samples[: int(1.4 * SAMPLE_RATE / ratio)]) / 440)
            assert cents == pytest.approx(40 if name == "sharp" else -40, abs=3)
            assert cents == pytest.approx(1200 * np.log2(ratio), abs=3)
        else:
            assert len(samples) == len(clean)
    noisy, _ = soundfile.read(found["noise"] / "a.flac")
    assert np.mean(clean**2) / np.mean((noisy - clean) ** 2) == pytest.approx(10, rel=0.02)
    assert np.abs(soundfile.read(found["quiet"] / "a.flac")[0]).max() == pytest.approx(0.01, rel=0.01)


def _loudest_frequency(samples: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), 1 << 18))
    return float(np.argmax(spectrum)) * SAMPLE_RATE / (1 << 18)


def test_reverberation_has_the_length_and_ratio_it_says() -> None:
    impulse = np.zeros(2 * SAMPLE_RATE)
    impulse[0] = 1
    response = trials.reverberation(impulse, np.random.default_rng(0))
    assert 10 * np.log10(response[0] ** 2 / (response[1:] ** 2).sum()) == pytest.approx(-3, abs=0.01)
    energy = 10 * np.log10(np.cumsum(response[1:][::-1] ** 2)[::-1] / (response[1:] ** 2).sum() + 1e-12)
    assert (np.argmax(energy < -35) - np.argmax(energy < -5)) / SAMPLE_RATE == pytest.approx(0.5, abs=0.03)


def test_velocities_that_nobody_knows_stay_unknown(tmp_path: Path) -> None:
    trials._write(tmp_path, "a", pluck(60, 1.0), np.array([[0.1, 0.5, 60, 0]]))
    assert [note.velocity for note in read_labels(load_dataset("pairs", tmp_path)[0].labels).notes] == [0]


def test_what_is_no_music_has_no_notes(tmp_path: Path) -> None:
    sounds = tmp_path / "sounds"
    sounds.mkdir()
    for kind in ("speech", "drums"):
        soundfile.write(sounds / f"{kind}-000.flac", pluck(40, 1.0), SAMPLE_RATE)
    trials.non_music(sounds, tmp_path / "non_music", minutes=1)
    for kind in ("silence", "noise", "speech", "drums"):
        (piece,) = load_dataset("pairs", tmp_path / "non_music" / kind)
        assert soundfile.info(piece.audio).duration == 60
        assert not read_labels(piece.labels).notes


@pytest.fixture
def bank(tmp_path: Path) -> Path:
    folder = tmp_path / "bank"
    folder.mkdir()
    soundfile.write(folder / "60.flac", pluck(60, 2.0), SAMPLE_RATE)
    (folder / "samples.csv").write_text("file,pitch,velocity_layer,microphone\n60.flac,60,1,\n")
    return folder


def test_songs_keep_their_beats_and_keys(bank: Path, tmp_path: Path) -> None:
    midi = tmp_path / "midi"
    midi.mkdir()
    for name in ("001", "002"):
        notes = tuple(Note(0.5 * k, 60 + k % 5, 0.5 * k + 0.4, 64) for k in range(20))
        (midi / f"{name}.mid").write_bytes(to_midi(Transcription(notes)))
        lines = (f"{0.5 * k} {float(k % 2 == 0)} {float(k % 4 == 1)}\n" for k in range(20))
        (midi / f"{name}_beat_midi.txt").write_text("".join(lines))
        (midi / f"{name}_key_audio.txt").write_text("0.0\t3.0\tC:maj\n3.0\t30.0\tEb:min\n")
    np.savez(tmp_path / "rooms.npz", a=np.array([1.0, 0.0, 0.2], np.float32))
    trials.songs(midi, bank, tmp_path / "rooms.npz", tmp_path / "songs", seconds=8.0)
    (piece,) = load_dataset("beats", tmp_path / "songs")
    truth = read_truth(piece)
    assert piece.name == "002"  # every ninth from the second on
    assert soundfile.info(piece.audio).duration == pytest.approx(8, abs=0.1)
    assert truth.beats == pytest.approx([0.5 * k for k in range(16)])
    assert truth.downbeats == pytest.approx([0.5, 2.5, 4.5, 6.5])
    assert truth.key == "Eb minor"  # the longest section's
    assert (tmp_path / "songs" / "002.key").read_text() == "0.0\t3.0\tC major\n3.0\t8.0\tEb minor\n"


def test_repeats_are_fast(bank: Path, tmp_path: Path) -> None:
    trials.repeats(bank, tmp_path / "repeats", minutes=1)
    (piece,) = load_dataset("pairs", tmp_path / "repeats")
    notes = read_labels(piece.labels).notes
    gaps = np.array([b.onset - a.onset for a, b in pairwise(notes) if a.pitch == b.pitch and b.onset - a.onset < 0.2])
    assert len(gaps) > 100
    assert 1 / 15 < gaps.min() < gaps.max() < 1 / 7


def test_a_sound_font_that_is_none_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.sf2").write_bytes(b"no")
    with pytest.raises(ValueError, match="no sound font"):
        sounds.drums(tmp_path / "a.sf2", 1.0, np.random.default_rng(0))


def test_a_simulated_room_begins_with_the_direct_path() -> None:
    pytest.importorskip("pyroomacoustics")
    from train.synthesis import rooms

    for seed in range(4):
        response = rooms.response(seed)
        assert np.argmax(np.abs(response)) < 0.05 * rooms.SAMPLE_RATE
        assert np.abs(response[:16]).max() == pytest.approx(1.0)
        assert len(response) <= rooms.LONGEST * rooms.SAMPLE_RATE
        np.testing.assert_array_equal(response, rooms.response(seed))


def test_strums_keep_their_chords(tmp_path: Path) -> None:
    for name, pitches in (("C", [48, 52, 55]), ("A#_min", [46, 53, 61])):
        (tmp_path / name).mkdir()
        sound = np.concatenate([np.zeros(SAMPLE_RATE // 2), strum(pitches, 1.0)])
        soundfile.write(tmp_path / name / "1.wav", sound, SAMPLE_RATE)
    trials.strums(load_dataset("chords", tmp_path), tmp_path / "out")
    for kind, ratio in (("noise", 1.0), ("sharp", 2 ** (-40 / 1200)), ("flat", 2 ** (40 / 1200))):
        pieces = load_dataset("chords", tmp_path / "out" / kind)
        assert [piece.labels.name for piece in pieces] == ["A#_min", "C"]
        assert soundfile.info(pieces[1].audio).duration == pytest.approx(1.5 * ratio, rel=1e-3)
    first, second = load_dataset("chords", tmp_path / "out" / "streams")
    labels = [chord.label for piece in (first, second) for chord in read_chords(piece.labels)]
    assert labels == ["Bb:min", "N", "C:maj", "N"]
    strummed, pause = read_chords(first.labels)
    assert strummed.offset < 1.01  # half a second of silence is gone
    assert pause.offset - pause.onset == pytest.approx(0.5)
