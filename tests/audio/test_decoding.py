"""Odd recordings, each with what is right: bursts of sound whose times are known."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
import pytest
import soundfile
from av import AudioStream

from tests.signals import RATE
from transcribe.audio import decoding, reader
from transcribe.audio.containers import find_parts
from transcribe.audio.reader import AudioReader, Mixer
from transcribe.errors import InputError

TIMES = [0.5, 2.0, 3.5, 5.0]
SECONDS = 6.0


def bursts(sample_rate: int = RATE) -> np.ndarray:
    """Four notes, which begin at ``TIMES``, above faint noise."""
    samples = 0.002 * np.random.default_rng(0).standard_normal(round(SECONDS * sample_rate))
    time = np.arange(round(0.3 * sample_rate)) / sample_rate
    for number, begin in enumerate(TIMES, 1):
        first = round(begin * sample_rate)
        samples[first : first + len(time)] += 0.5 * np.sin(2 * np.pi * 440 * number * time) * np.exp(-6 * time)
    return samples.astype(np.float32)


def read(path: Path) -> tuple[np.ndarray, list[str]]:
    with AudioReader(path, RATE) as reader:
        samples = np.concatenate([np.zeros(0, np.float32), *reader.blocks()])
        return samples, reader.warnings


def times(samples: np.ndarray) -> list[float]:
    """When bursts begin in samples, in seconds."""
    loud = np.nonzero(np.abs(samples) > 0.05)[0] / RATE
    return [float(time) for i, time in enumerate(loud) if i == 0 or time > loud[i - 1] + 0.3]


def near(expected: float | list[float], tolerance: float = 0.03) -> object:
    return pytest.approx(expected, abs=tolerance)


def written(container: str, encoding: str, samples: np.ndarray | None = None, rate: int = RATE) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, bursts(rate) if samples is None else samples, rate, format=container, subtype=encoding)
    return buffer.getvalue()


def muxed(
    path: Path,
    codec: str,
    late: float = 0.0,
    video: bool = False,
    missing: tuple[tuple[float, float], ...] = (),
    default: int | None = None,
    streams: int = 1,
) -> Path:
    """Encode the bursts at 48 kHz; of several streams the default one alone holds them."""
    rate = 48_000
    with av.open(str(path), "w") as container:
        picture = container.add_stream("mpeg4", rate=10) if video else None
        outputs = [cast(AudioStream, container.add_stream(codec, rate=rate, layout="mono")) for _ in range(streams)]
        for number, stream in enumerate(outputs):
            if default is not None:
                stream.disposition = av.stream.Disposition(int(number == default))
        if picture is not None:
            picture.width = picture.height = 64
            for number in range(100):
                frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
                frame.pts, frame.time_base = number, Fraction(1, 10)
                container.mux(picture.encode(frame))
            container.mux(picture.encode(None))
        for number, stream in enumerate(outputs):
            samples = bursts(rate)[None] * np.float32(number == (default or 0))
            whole = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
            whole.sample_rate, whole.pts, whole.time_base = rate, round(late * rate), Fraction(1, rate)
            context = stream.codec_context
            resampler = av.AudioResampler(context.format, "mono", rate, frame_size=context.frame_size or 1024)
            for sound in (*resampler.resample(whole), *resampler.resample(None), None):
                for packet in stream.encode(sound):
                    assert packet.pts is not None
                    at = float(packet.pts * packet.time_base)
                    if not any(begin <= at < end for begin, end in missing):
                        container.mux(packet)
    return path


# Several recordings in one file -----------------------------------------------------------------------------------

KINDS = [
    ("OGG", "VORBIS", "ogg"),
    ("OGG", "OPUS", "opus"),
    ("MP3", "MPEG_LAYER_III", "mp3"),
    ("FLAC", "PCM_16", "flac"),
    ("WAV", "PCM_16", "wav"),
    ("AIFF", "PCM_16", "aiff"),
]


@pytest.mark.parametrize(("container", "encoding", "suffix"), KINDS)
@pytest.mark.parametrize("n", [2, 3])
def test_joined_recordings_are_all_read(tmp_path: Path, container: str, encoding: str, suffix: str, n: int) -> None:
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(n * written(container, encoding))
    samples, warnings = read(path)
    assert len(samples) == n * SECONDS * RATE
    assert times(samples) == near([time + i * SECONDS for i in range(n) for time in TIMES])
    assert warnings == [f"{n} recordings one after the other in one file: all are read"]


def test_joined_recordings_may_differ(tmp_path: Path) -> None:
    stereo = np.stack([bursts(44_100)] * 2, axis=1)
    tags = b"TAG".ljust(128, b"x") + b"ID3\x03\0\0\0\0\x01\0" + bytes(128)
    for suffix, content in {
        "ogg": written("OGG", "VORBIS") + written("OGG", "VORBIS", stereo, 44_100),
        "mp3": written("MP3", "MPEG_LAYER_III") + tags + written("MP3", "MPEG_LAYER_III", rate=48_000),
        "flac": written("FLAC", "PCM_24") + written("FLAC", "PCM_16", stereo, 44_100),
    }.items():
        (tmp_path / f"a.{suffix}").write_bytes(content)
        samples, _ = read(tmp_path / f"a.{suffix}")
        assert times(samples) == near([*TIMES, *(time + SECONDS for time in TIMES)]), suffix
    (tmp_path / "a.ogg").write_bytes(written("OGG", "VORBIS") + b"rubbish" * 1000)
    assert times(read(tmp_path / "a.ogg")[0]) == near(TIMES)


@pytest.mark.parametrize(("container", "encoding", "suffix"), KINDS)
def test_one_recording_is_one_part(container: str, encoding: str, suffix: str) -> None:
    content = written(container, encoding)
    (part,) = find_parts(io.BytesIO(content))
    assert (part.first, part.last, part.patch, part.remark) == (0, len(content), None, "")


# Headers that were never finished, or lie -------------------------------------------------------------------------


def with_length(content: bytes, length: int) -> bytes:
    place = content.index(b"data") + 4
    return content[:place] + struct.pack("<I", length) + content[place + 4 :]


@pytest.mark.parametrize("encoding", ["PCM_16", "PCM_24", "FLOAT"])
@pytest.mark.parametrize("length", [0, 32_000])
def test_a_header_that_was_never_finished(tmp_path: Path, encoding: str, length: int) -> None:
    path = tmp_path / "killed.wav"
    path.write_bytes(with_length(written("WAV", encoding), length))
    samples, warnings = read(path)
    assert times(samples) == near(TIMES)
    assert warnings == [
        "its header says " + ("of 32000 bytes of sound" if length else "that it holds no sound")
        + "; all up to the end of the file is read"
    ]  # fmt: skip


def test_lengths_of_zero_elsewhere(tmp_path: Path) -> None:
    rf64, sun = bytearray(written("RF64", "PCM_16")), bytearray(written("AU", "PCM_16"))
    place = rf64.index(b"ds64") + 8
    rf64[place : place + 24] = bytes(24)
    sun[8:12] = bytes(4)
    for name, content in {"a.wav": rf64, "a.au": sun}.items():
        (tmp_path / name).write_bytes(content)
        assert times(read(tmp_path / name)[0]) == near(TIMES), name


@pytest.mark.parametrize("length", [0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000, 0x80000000 - 44])
def test_a_piped_recording_breaks_off_nowhere(tmp_path: Path, length: int) -> None:
    (tmp_path / "piped.wav").write_bytes(with_length(written("WAV", "PCM_16"), length))
    samples, warnings = read(tmp_path / "piped.wav")
    assert times(samples) == near(TIMES)
    assert warnings == []


@pytest.mark.parametrize("tail", [b"LIST\x04\0\0\0INFOid3 \x02\0\0\0ab", b"TAG".ljust(128, b"x"), bytes(5000), b"\1"])
def test_what_follows_the_sound_is_no_sound(tmp_path: Path, tail: bytes) -> None:
    (tmp_path / "a.wav").write_bytes(written("WAV", "PCM_16") + tail)
    samples, warnings = read(tmp_path / "a.wav")
    assert (len(samples), warnings) == (SECONDS * RATE, [])


def flac_of_unknown_length() -> bytes:
    content = bytearray(written("FLAC", "PCM_16"))
    content[21] &= 0xF0
    content[22:26] = bytes(4)
    return bytes(content)


def test_a_flac_of_unknown_length(tmp_path: Path) -> None:
    (tmp_path / "a.flac").write_bytes(flac_of_unknown_length())
    samples, warnings = read(tmp_path / "a.flac")
    assert (len(samples), times(samples), warnings) == (SECONDS * RATE, near(TIMES), [])


@pytest.mark.parametrize("size", [0, 100_000])
@pytest.mark.parametrize(
    "junk", [bytes(5000), b"rubbish" * 500, 2 * (b"ID3\x03\0\0\0\0\x01\0" + bytes(128)) + bytes(999)]
)
def test_rubbish_before_an_mp3_shifts_nothing(tmp_path: Path, junk: bytes, size: int) -> None:
    (tmp_path / "a.mp3").write_bytes(junk + bytes(size) + written("MP3", "MPEG_LAYER_III"))
    samples, warnings = read(tmp_path / "a.mp3")
    assert (len(samples), times(samples), warnings) == (SECONDS * RATE, near(TIMES, 0.005), [])


def test_an_mp3_without_an_info_frame_promises_nothing(tmp_path: Path) -> None:
    content = written("MP3", "MPEG_LAYER_III")
    place = max(content.find(b"Info"), content.find(b"Xing"))
    # The frame of silence that it is stays, as other programs write it.
    (tmp_path / "a.mp3").write_bytes(content[:place] + bytes(4) + content[place + 4 :])
    samples, warnings = read(tmp_path / "a.mp3")
    # A frame, and the delay of the encoder and the decoder, are heard.
    assert times(samples) == near([time + (576 + 1105) / RATE for time in TIMES])
    assert warnings == []


def test_an_info_frame_that_promises_too_little(tmp_path: Path) -> None:
    content = bytearray(written("MP3", "MPEG_LAYER_III"))
    place = max(content.find(b"Info"), content.find(b"Xing"))
    content[place + 8 : place + 12] = struct.pack(">I", 40)
    (tmp_path / "a.mp3").write_bytes(content)
    assert times(read(tmp_path / "a.mp3")[0]) == near(TIMES)


# Damage -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("container", "encoding", "suffix"), [kind for kind in KINDS if kind[2] not in ("ogg", "opus")]
)
def test_what_is_cut_off_is_counted(tmp_path: Path, container: str, encoding: str, suffix: str) -> None:
    path = tmp_path / f"cut.{suffix}"
    content = written(container, encoding)
    path.write_bytes(content[: len(content) * 6 // 10])
    samples, warnings = read(path)
    seconds = len(samples) / RATE
    assert seconds == pytest.approx(0.6 * SECONDS, abs=0.3)
    assert times(samples) == near([time for time in TIMES if time < seconds])
    (warning,) = (text for text in warnings if "missing" in text or "left out" in text)
    assert f"{SECONDS - seconds:.1f} s" in warning


@pytest.mark.parametrize("replaced", [bytes(3000), b""])
def test_a_damaged_flac_is_read_past_the_damage(tmp_path: Path, replaced: bytes) -> None:
    content = written("FLAC", "PCM_16")
    middle = len(content) // 2
    (tmp_path / "a.flac").write_bytes(content[:middle] + replaced + content[middle + 3000 :])
    samples, warnings = read(tmp_path / "a.flac")
    assert times(samples) == near(TIMES)
    assert any("damaged" in text for text in warnings)
    assert any("silence takes" in text for text in warnings)


def test_missing_pages_of_an_ogg_are_silence(tmp_path: Path) -> None:
    content, pages = written("OGG", "VORBIS"), []
    while content:
        size = 27 + content[26] + sum(content[27 : 27 + content[26]])
        pages.append(content[:size])
        content = content[size:]
    (tmp_path / "a.ogg").write_bytes(b"".join(pages[:3] + pages[4:]))
    samples, warnings = read(tmp_path / "a.ogg")
    assert set(np.round(times(samples), 1)) <= set(TIMES)
    assert len(samples) / RATE == pytest.approx(SECONDS, abs=0.03)
    assert any("missing" in text for text in warnings)


# Time stamps ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "codec", "late"),
    [("a.mp4", "aac", 2.0), ("a.mkv", "libopus", 3.0), ("a.mov", "pcm_s16le", 1.0), ("a.ts", "aac", 2.5)],
)
def test_sound_that_begins_late_in_a_video_is_late(tmp_path: Path, name: str, codec: str, late: float) -> None:
    samples, warnings = read(muxed(tmp_path / name, codec, late, video=True))
    assert times(samples) == near([time + late for time in TIMES])
    assert any("its sound starts after" in text for text in warnings)


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mp4", "aac"), ("a.webm", "libopus"), ("a.mka", "flac"), ("a.ts", "aac")]
)
def test_missing_packets_are_silence(tmp_path: Path, name: str, codec: str) -> None:
    samples, warnings = read(muxed(tmp_path / name, codec, missing=((1.0, 1.8), (2.6, 3.3))))
    assert times(samples) == near(TIMES)
    assert any("1.5 s of sound are missing at 2 places" in text or "1.4 s" in text for text in warnings), warnings


@pytest.mark.parametrize(
    ("name", "codec", "streams"), [("a.mkv", "aac", 2), ("a.mp4", "aac", 2), ("a.webm", "libopus", 3)]
)
def test_the_default_stream_is_taken(tmp_path: Path, name: str, codec: str, streams: int) -> None:
    samples, warnings = read(muxed(tmp_path / name, codec, streams=streams, default=streams - 1))
    assert len(times(samples)) == 4
    assert f"has {streams} sound streams; number {streams}, the default, is taken" in warnings


# Channels and level -----------------------------------------------------------------------------------------------

MIXES: list[tuple[str, Callable[[np.ndarray], list[np.ndarray]], bool]] = [
    ("the same", lambda x: [x, x], False),
    ("one alone", lambda x: [x, 0 * x], False),
    ("apart", lambda x: [x, np.roll(x, 8000)], False),
    ("turned", lambda x: [x, -x], True),
    ("turned and softer", lambda x: [-0.6 * x, x], True),
    ("turned among six", lambda x: [x, -x, 0 * x, 0 * x, x, -x], True),
    ("turned among four, alike in none", lambda x: [x, -x, 0.9 * x, -x], True),
]


@pytest.mark.parametrize(("name", "channels", "turned"), MIXES, ids=[mix[0] for mix in MIXES])
@pytest.mark.parametrize("n_block", [100, 5000, 10**6])
def test_channels_that_cancel_are_heard(
    name: str, channels: Callable[[np.ndarray], list[np.ndarray]], turned: bool, n_block: int
) -> None:
    block = np.stack(channels(bursts()), axis=1)
    mixer = Mixer(RATE)
    parts = [part for i in range(0, len(block), n_block) for part in mixer.mixed(block[i : i + n_block])]
    mixed = np.concatenate([*parts, *mixer.rest()])
    assert times(mixed)[0] == near(0.5)
    assert len(mixed) == len(block)
    assert any("out of phase" in text for text in mixer.remarks()) == turned
    if turned:
        share = np.mean(np.abs(block[:, np.any(block != 0, axis=0)]), axis=1)
        assert np.abs(mixed).max() > 0.4 * share.max()
    else:
        np.testing.assert_array_equal(mixed, block.mean(axis=1, dtype=np.float32))


def test_a_turned_channel_that_begins_in_the_middle(tmp_path: Path) -> None:
    x = bursts()
    both = np.concatenate([np.stack([x, x], axis=1), np.stack([x, -x], axis=1)])
    soundfile.write(tmp_path / "a.wav", both, RATE)
    samples, warnings = read(tmp_path / "a.wav")
    assert times(samples) == near([*TIMES, *(time + SECONDS for time in TIMES)])
    assert warnings == ["its channels are out of phase for 6.0 s: there one is turned over, so that both are heard"]


@pytest.mark.parametrize("bits", [8, 16, 24, 32])
def test_floats_in_the_scale_of_integers(tmp_path: Path, bits: int) -> None:
    soundfile.write(tmp_path / "a.wav", bursts() * 2.0 ** (bits - 1), RATE, subtype="FLOAT")
    samples, (warning,) = read(tmp_path / "a.wav")
    np.testing.assert_allclose(samples, bursts(), atol=1e-6)
    assert f"read as those of {bits} bits" in warning


def test_what_is_said_of_the_level(tmp_path: Path) -> None:
    said = {0.5: "", 1e-3: "very quiet", 4.0: "clipped"}
    for gain, expected in said.items():
        soundfile.write(tmp_path / "a.wav", np.clip(bursts() * gain, -1, 1), RATE, subtype="PCM_24")
        warnings = read(tmp_path / "a.wav")[1]
        assert len(warnings) == bool(expected)
        assert all(expected in text for text in warnings)
    # Louder than full scale isn't clipped where a sample can be.
    soundfile.write(tmp_path / "a.wav", bursts() * 6, RATE, subtype="FLOAT")
    assert read(tmp_path / "a.wav")[1] == []


# What kills a decoder ---------------------------------------------------------------------------------------------


def test_what_kills_a_decoder_kills_a_process_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"nothing that is known" * 100)
    monkeypatch.setattr(decoding, "_TRIAL", [sys.executable, "-c", "import os; os.kill(os.getpid(), 8)"])
    with pytest.raises(InputError, match=r"^a\.bin: can't decode: the decoder crashes on it \(SIGFPE\); .*$"):
        AudioReader(path, RATE)
    # What begins like a recording costs no process, unless it is very large.
    soundfile.write(tmp_path / "a.wav", bursts(), RATE)
    assert len(times(read(tmp_path / "a.wav")[0])) == 4
    monkeypatch.setattr(decoding, "_LARGE", 1000)
    with pytest.raises(InputError, match="crashes"):
        AudioReader(tmp_path / "a.wav", RATE)


def test_four_gigabytes_of_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    with path.open("wb") as file:
        file.truncate(1 << 32)
    run = subprocess.run([sys.executable, "-m", "transcribe", path], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr.count("\n")) == (3, 1)
    assert run.stderr.startswith("pitchai: a.wav: can't decode: ")


def test_silence_is_known_before_the_mix() -> None:
    mixer = Mixer(RATE)
    list(mixer.mixed(np.full((RATE, 2), [0.5, -0.5], np.float32)))
    assert mixer.level.peak == 0.5 > reader.SILENCE
