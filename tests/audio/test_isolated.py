"""Decoders that crash: a child dies of them, and a line says so."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.audio.test_decoding import bursts, written
from tests.conftest import EXAMPLE
from tests.signals import RATE
from transcribe.audio import isolated
from transcribe.audio.decoding import Decoder, NotDecodableError
from transcribe.audio.isolated import IsolatedDecoder, open_isolated

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs a fork that libraries bear")
BLOCK = 1 << 12

# The program, with a decoder that crashes on the ``nth`` block of a recording at 11,025 Hz.
CRASHING = """
import os, sys
import soundfile
from transcribe.__main__ import run

read, n_read = soundfile.SoundFile.read, 0
def crashing(file, *arguments, **options):
    global n_read
    n_read += file.samplerate == 11025
    if n_read == {nth}:
        os.kill(os.getpid(), {signal})
    return read(file, *arguments, **options)
soundfile.SoundFile.read = crashing
sys.argv = ["pitchai", *{arguments}]
run()
"""


def content_of(source: bytes | Path) -> io.BytesIO:
    return io.BytesIO(source if isinstance(source, bytes) else source.read_bytes())


def opened(source: bytes | Path) -> IsolatedDecoder:
    decoder = open_isolated(content_of(source), BLOCK)
    assert isinstance(decoder, IsolatedDecoder)
    return decoder


def is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize(
    "source",
    [
        EXAMPLE,
        written("WAV", "PCM_16", np.column_stack([bursts(), -bursts()])),
        written("OGG", "VORBIS") + written("OGG", "VORBIS", bursts()[:RATE]),
        written("WAV", "PCM_16")[:-20_000],
    ],
    ids=["flac", "stereo", "joined", "cut"],
)
def test_a_child_decodes_the_same(source: bytes | Path) -> None:
    decoder, plain = opened(source), Decoder(content_of(source), BLOCK)
    assert (decoder.sample_rate, decoder.duration) == (plain.sample_rate, plain.duration)
    pairs = list(zip(decoder.blocks(), plain.blocks(), strict=True))
    assert len(pairs) > 1
    for found, expected in pairs:
        np.testing.assert_array_equal(found, expected)
    assert decoder.remarks == plain.remarks
    decoder.close()
    plain.close()


def test_what_cannot_be_decoded_is_said_as_ever() -> None:
    with pytest.raises(NotDecodableError) as plain:
        Decoder(io.BytesIO(b"RIFF" + bytes(100)), BLOCK)
    with pytest.raises(NotDecodableError) as isolated:
        open_isolated(io.BytesIO(b"RIFF" + bytes(100)), BLOCK)
    assert str(isolated.value) == str(plain.value)


def test_other_errors_come_out_of_the_child(monkeypatch: pytest.MonkeyPatch) -> None:
    for error, kind, text in [
        (OSError(5, "Input/output error"), OSError, "Input/output error"),
        (MemoryError("none"), MemoryError, "none"),
        (ZeroDivisionError("oh"), RuntimeError, "ZeroDivisionError: oh"),
    ]:

        def fail(*_: object, error: Exception = error) -> Decoder:
            raise error

        monkeypatch.setattr(isolated, "Decoder", fail)
        with pytest.raises(kind, match=text):
            open_isolated(io.BytesIO(b""), BLOCK)


def test_a_child_that_is_not_read_to_its_end_is_ended() -> None:
    decoder = opened(EXAMPLE)
    process = decoder._process
    assert process is not None
    next(decoder.blocks())
    assert is_running(process)
    decoder.close()
    assert not is_running(process)
    decoder.close()  # twice is none too many


def test_where_there_can_be_no_further_process_this_one_decodes(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", refuse)
    with EXAMPLE.open("rb") as file:
        assert isinstance(open_isolated(file, BLOCK), Decoder)
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == set()


def crashed(folder: Path, number: signal.Signals, nth: int, *arguments: str) -> tuple[int, list[str]]:
    """Run the program on a recording that crashes it: exit code, lines of stderr."""
    soundfile.write(folder / "crash.wav", bursts(11_025), 11_025)
    program = CRASHING.format(nth=nth, signal=int(number), arguments=["crash.wav", *arguments])
    run = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=False)
    return run.returncode, run.stderr.splitlines()


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGFPE])
@pytest.mark.parametrize("nth", [1, 3])
def test_a_command_says_what_crashes(tmp_path: Path, number: signal.Signals, nth: int) -> None:
    code, (line,) = crashed(tmp_path, number, nth, "-o", "new.mid", "--model", "small")
    assert code == 3
    assert line.startswith(f"pitchai: crash.wav: can't decode: the decoder crashes on it ({number.name}); ")
    assert [path.name for path in tmp_path.iterdir()] == ["crash.wav"]


def test_a_batch_without_workers_goes_on(tmp_path: Path, wav: Path) -> None:
    code, lines = crashed(tmp_path, signal.SIGABRT, 1, str(wav), "-o", "out/", "--model", "small", "--no-chords")
    assert code == 3
    assert "the decoder crashes on it (SIGABRT)" in lines[0]
    assert lines[-1].startswith("pitchai: 1 of 2 recordings done, 1 failed: ")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["song.mid"]


def test_nothing_decodes_on_when_the_command_is_killed(tmp_path: Path) -> None:
    # The child is the only one of the parent's that has no command of its own.
    soundfile.write(tmp_path / "long.wav", np.zeros(RATE * 3600, np.int16), RATE)
    command = [sys.executable, "-m", "transcribe", "long.wav", "-o", "new.mid", "--model", "small", "--no-chords"]
    run = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL)
    children = Path(f"/proc/{run.pid}/task/{run.pid}/children")
    until(lambda: bool(children.read_text().split()))
    (child,) = map(int, children.read_text().split())
    run.kill()
    run.wait()
    until(lambda: not is_running(child))


def until(happened: Callable[[], bool], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.01)
