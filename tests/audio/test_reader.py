from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from tests import corpus
from tests.signals import RATE, sine, white_noise
from transcribe.audio.reader import AudioReader, load_audio
from transcribe.errors import InputError

CONTAINERS = [
    ("wav", "PCM_16", 2e-4),
    ("wav", "PCM_U8", 1e-2),
    ("wav", "FLOAT", 1e-6),
    ("wav", "DOUBLE", 1e-6),
    ("flac", "PCM_24", 1e-6),
    ("aiff", "PCM_16", 2e-4),
    ("ogg", "VORBIS", 0.05),
    ("mp3", "MPEG_LAYER_III", 0.05),
]


def write_av(path: Path, samples: np.ndarray, codec: str, rate: int = 48000, streams: int = 1) -> None:
    with av.open(str(path), "w") as container:
        outputs = [container.add_stream(codec, rate=rate, layout="mono") for _ in range(streams)]
        for stream in outputs:
            assert isinstance(stream, av.AudioStream)
            size = stream.codec_context.frame_size or 1024
            for first in range(0, len(samples) - size + 1, size):
                frame = av.AudioFrame.from_ndarray(samples[None, first : first + size], format="fltp", layout="mono")
                frame.sample_rate, frame.pts, frame.time_base = rate, first, Fraction(1, rate)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))


@pytest.mark.parametrize(("suffix", "subtype", "tolerance"), CONTAINERS)
def test_soundfile_containers(tmp_path: Path, suffix: str, subtype: str, tolerance: float) -> None:
    samples = sine(440, 1.0)
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, samples, RATE, subtype=subtype)
    audio = load_audio(path, RATE)
    assert audio.duration == pytest.approx(1.0, abs=0.1)
    assert audio.samples.dtype == np.float32
    n = min(len(samples), len(audio.samples))
    assert np.abs(audio.samples[: n - 600] - samples[: n - 600])[600:].max() < tolerance


@pytest.mark.parametrize(("name", "codec"), [("a.m4a", "aac"), ("a.opus", "libopus"), ("a.webm", "libopus")])
def test_containers_of_av(tmp_path: Path, name: str, codec: str) -> None:
    write_av(tmp_path / name, sine(440, 2.0, 48000), codec)
    audio = load_audio(tmp_path / name, RATE)
    assert audio.duration == pytest.approx(2.0, abs=0.1)
    spectrum = np.abs(np.fft.rfft(audio.samples[4000:20000]))
    assert np.argmax(spectrum) == pytest.approx(440, abs=1)


def test_sound_of_a_video(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "clip.mp4"), "w") as container:
        video = container.add_stream("mpeg4", rate=10)
        video.width = video.height = 64
        sound = container.add_stream("aac", rate=48000, layout="mono")
        for _ in range(10):
            picture = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
            container.mux(video.encode(picture))
        samples = sine(440, 1.0, 48000)
        for first in range(0, len(samples) - 1023, 1024):
            frame = av.AudioFrame.from_ndarray(samples[None, first : first + 1024], format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = 48000, first, Fraction(1, 48000)
            container.mux(sound.encode(frame))
        container.mux(video.encode(None))
        container.mux(sound.encode(None))
    assert load_audio(tmp_path / "clip.mp4", RATE).duration == pytest.approx(1.0, abs=0.1)


def test_video_without_sound_is_an_error(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "mute.mp4"), "w") as container:
        video = container.add_stream("mpeg4", rate=10)
        video.width = video.height = 64
        container.mux(video.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")))
        container.mux(video.encode(None))
    with pytest.raises(InputError, match="no sound"):
        load_audio(tmp_path / "mute.mp4", RATE)


def test_of_several_streams_the_first_is_taken_with_a_word(tmp_path: Path) -> None:
    write_av(tmp_path / "two.mkv", sine(440, 1.0, 48000), "aac", streams=2)
    with AudioReader(tmp_path / "two.mkv", RATE) as reader:
        assert sum(len(block) for block in reader.blocks()) == pytest.approx(RATE, abs=1600)
        assert any("2 sound streams" in warning for warning in reader.warnings)


@pytest.mark.parametrize("rate", [1000, 8000, 11025, 22050, 44100, 48000, 96000, 192000, 384000])
def test_any_rate_keeps_pitch_and_length(tmp_path: Path, rate: int) -> None:
    soundfile.write(tmp_path / "a.wav", sine(220, 1.0, rate), rate)
    audio = load_audio(tmp_path / "a.wav", RATE)
    assert audio.duration == pytest.approx(1.0, abs=1e-3)
    assert np.argmax(np.abs(np.fft.rfft(audio.samples))) == pytest.approx(220, abs=1)


@pytest.mark.parametrize("rate", [999, 400000])
def test_rates_beyond_reason_are_refused(tmp_path: Path, rate: int) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(100), rate)
    with pytest.raises(InputError, match="1-384 kHz"):
        load_audio(tmp_path / "a.wav", RATE)


@pytest.mark.parametrize("n_channels", [1, 2, 6, 32])
def test_channels_are_averaged(tmp_path: Path, n_channels: int) -> None:
    samples = np.stack([np.full(1000, k / 64) for k in range(n_channels)], axis=1)
    soundfile.write(tmp_path / "a.wav", samples, RATE, subtype="FLOAT")
    np.testing.assert_allclose(load_audio(tmp_path / "a.wav", RATE).samples, samples.mean(axis=1), atol=1e-6)


@given(block_values=st.integers(1, 60_000), rate=st.sampled_from([8000, 16000, 44100]))
def test_blocks_do_not_change_the_samples(block_values: int, rate: int) -> None:
    noise = np.random.default_rng(1).standard_normal((rate // 2, 2)).astype(np.float32) * 0.1
    path = Path(os.environ.get("TMPDIR", "/tmp")) / f"pitchai-test-{os.getpid()}-{rate}.wav"
    if not path.exists():
        soundfile.write(path, noise, rate, subtype="FLOAT")
    with AudioReader(path, RATE, max(200, block_values)) as reader:
        samples = np.concatenate(list(reader.blocks()))
    np.testing.assert_array_equal(samples, load_audio(path, RATE).samples)


def test_empty_one_sample_and_no_samples(tmp_path: Path) -> None:
    (tmp_path / "empty.wav").touch()
    with pytest.raises(InputError, match="empty"):
        load_audio(tmp_path / "empty.wav", RATE)
    soundfile.write(tmp_path / "one.wav", np.ones(1), RATE, subtype="FLOAT")
    assert load_audio(tmp_path / "one.wav", RATE).samples.tolist() == [1.0]
    soundfile.write(tmp_path / "none.wav", np.zeros(0), RATE)
    assert len(load_audio(tmp_path / "none.wav", RATE).samples) == 0
    soundfile.write(tmp_path / "none44.wav", np.zeros(0), 44100)
    assert len(load_audio(tmp_path / "none44.wav", RATE).samples) == 0


def test_values_that_are_no_numbers_count_as_silence(tmp_path: Path) -> None:
    samples = sine(440, 0.1)
    samples[[10, 20, 30]] = [np.nan, np.inf, 1e30]
    soundfile.write(tmp_path / "a.wav", samples, RATE, subtype="FLOAT")
    with AudioReader(tmp_path / "a.wav", RATE) as reader:
        read = np.concatenate(list(reader.blocks()))
        assert len(reader.warnings) == 1
    assert read[[10, 20, 30]].tolist() == [0, 0, 0]
    assert np.isfinite(read).all()


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.mp3"])
def test_truncated_gives_what_is_there_or_an_error(tmp_path: Path, name: str, rng: np.random.Generator) -> None:
    soundfile.write(tmp_path / name, white_noise(rng, 5.0), RATE)
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    with AudioReader(tmp_path / name, RATE) as reader:
        n_samples = sum(len(block) for block in reader.blocks())
    assert 0 < n_samples < 5 * RATE
    (tmp_path / name).write_bytes(whole[:20])
    with pytest.raises(InputError), AudioReader(tmp_path / name, RATE) as reader:
        assert sum(len(block) for block in reader.blocks()) > 0


@pytest.mark.parametrize("content", [b"Dear diary,\n" * 100, b"RIFF", b"\x00" * 1000, b"%PDF-1.7 " * 50, b"\xff" * 999])
def test_what_is_no_recording_is_an_error_of_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "song.wav").write_bytes(content)
    with pytest.raises(InputError) as caught:
        load_audio(tmp_path / "song.wav", RATE)
    assert "\n" not in str(caught.value)
    assert "song.wav" in str(caught.value)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        load_audio(tmp_path / "nowhere.wav", RATE)
    with pytest.raises(InputError, match="folder"):
        load_audio(tmp_path, RATE)


def test_standard_input(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    soundfile.write(buffer, sine(440, 0.5), RATE, format="FLAC")
    code = "from transcribe.audio.reader import load_audio; print(len(load_audio('-', 16000).samples))"
    done = subprocess.run([sys.executable, "-c", code], input=buffer.getvalue(), capture_output=True, check=True)
    assert int(done.stdout) == RATE // 2


def test_more_channels_than_planes_of_a_frame(tmp_path: Path) -> None:
    """A chunk that belongs to one channel makes libsndfile refuse twelve; FFmpeg doesn't mind."""
    samples = corpus.sound(1.5)[:11_520]
    content = bytearray(corpus.written("WAV", "FLOAT", samples))
    assert b"PEAK" in content
    content[22:24], content[28:36] = struct.pack("<H", 12), struct.pack("<IHH", 8000 * 48, 48, 32)
    path = tmp_path / "twelve.wav"
    path.write_bytes(content)
    audio = load_audio(path, 8000)
    np.testing.assert_allclose(audio.samples, samples.reshape(-1, 12).mean(1), atol=1e-6)
