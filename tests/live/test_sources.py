"""Sources of sound: a file at its own pace, and a sound card that is made up."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile

from tests.signals import RATE, sine
from transcribe.errors import InputError, UsageError
from transcribe.live.sources import Block, DeviceSource, FileSource, devices


def all_of(source: FileSource | DeviceSource, stop: Callable[[], bool] = lambda: False) -> list[Block]:
    found = []
    while not stop():
        try:
            block = source.next(0.05)
        except EOFError:
            break
        if block is not None:
            found.append(block)
    return found


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    path = tmp_path / "song.wav"
    soundfile.write(path, sine(440.0, 0.5), RATE, subtype="FLOAT")
    return path


def test_a_file_is_played_at_its_own_pace(wav: Path) -> None:
    began = time.monotonic()
    with FileSource(wav, RATE) as source:
        blocks = all_of(source)
    assert 0.48 < time.monotonic() - began < 2.0
    np.testing.assert_array_equal(np.concatenate([block.samples for block in blocks]), sine(440.0, 0.5))
    assert {len(block.samples) for block in blocks} == {160}
    assert not any(block.lost for block in blocks)


def test_a_file_may_be_played_quickly(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "long.wav", sine(440.0, 20.0), RATE)
    began = time.monotonic()
    with FileSource(tmp_path / "long.wav", RATE, paced=False) as source:
        blocks = all_of(source)
    assert time.monotonic() - began < 10.0
    assert sum(len(block.samples) for block in blocks) == 20 * RATE


def test_a_card_doesnt_wait_and_what_is_lost_is_counted(wav: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with FileSource(wav, RATE) as source:
        time.sleep(0.1)
        source._began -= 1.0  # as if the machine had stood still for a second: all the rest is late
        blocks = all_of(source)
    kept, lost = sum(len(block.samples) for block in blocks), sum(block.lost for block in blocks) + source._lost
    assert kept + lost == RATE // 2
    assert lost > 0


def test_a_file_that_cant_be_read_says_so(tmp_path: Path) -> None:
    (tmp_path / "words.wav").write_text("no sound")
    with pytest.raises(InputError, match="can't decode"):
        FileSource(tmp_path / "words.wav", RATE)


class Card:
    """Stands in for sounddevice: one stereo microphone at 48 kHz that plays a sine, and loses a block if told to."""

    PortAudioError = OSError
    rates = (48000,)

    def __init__(self, overflows: int | None = None) -> None:
        self.overflows = overflows
        self.default = SimpleNamespace(device=(0, 1))
        self.about = {"name": "Card", "max_input_channels": 2, "default_samplerate": 48000.0}

    def query_devices(self, device: object = None, kind: str | None = None) -> Any:
        if device not in (None, 0, "Card"):
            raise ValueError(f"No input device matching {device!r}")
        return (
            [self.about, {**self.about, "name": "Loudspeaker", "max_input_channels": 0}] if kind is None else self.about
        )

    def InputStream(self, **options: Any) -> Stream:  # noqa: N802
        if options["samplerate"] not in self.rates:
            raise OSError("Invalid sample rate")
        return Stream(self, options)


class Stream:
    def __init__(self, card: Card, options: dict[str, Any]) -> None:
        self.card, self.options = card, options
        self.running = threading.Event()
        self.done = threading.Event()
        self.thread = threading.Thread(target=self.play)

    def start(self) -> None:
        self.thread.start()

    def play(self) -> None:
        rate, size = self.options["samplerate"], self.options["blocksize"]
        left = sine(440.0, 1.0, rate)
        stereo = np.stack([left, left], axis=1)
        for number in range(rate // size):
            if self.card.overflows is not None and number == self.card.overflows:
                continue  # nobody hears of this one
            status = SimpleNamespace(input_overflow=number - 1 == self.card.overflows)
            moments = SimpleNamespace(inputBufferAdcTime=100.0 + number * size / rate)
            self.options["callback"](stereo[number * size : (number + 1) * size], size, moments, status)
            time.sleep(0.001)
        self.done.set()

    def stop(self) -> None:
        self.thread.join()

    def close(self) -> None:
        pass


def played(card: Card, monkeypatch: pytest.MonkeyPatch) -> list[Block]:
    monkeypatch.setitem(sys.modules, "sounddevice", card)
    with DeviceSource(None, RATE) as source:
        assert source.name == "Card"
        stream: Any = source._stream
        return all_of(source, lambda: stream.done.is_set() and not source.waiting())


def test_a_card_at_another_rate_is_resampled(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = played(Card(), monkeypatch)
    samples = np.concatenate([block.samples for block in blocks])
    assert 0.95 * RATE < len(samples) <= RATE
    middle = samples[RATE // 4 : RATE // 2]
    assert np.abs(np.fft.rfft(middle)).argmax() == 440 * len(middle) // RATE
    assert not any(block.lost for block in blocks)
    assert max(block.peak for block in blocks) == pytest.approx(0.5, abs=0.01)


def test_a_drop_out_is_counted_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = played(Card(overflows=20), monkeypatch)
    assert [(number, block.lost) for number, block in enumerate(blocks) if block.lost] == [(20, 160)]


def test_a_device_that_isnt_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", Card())
    with pytest.raises(UsageError, match="no such input"):
        DeviceSource("Violin", RATE)
    monkeypatch.setattr(Card, "rates", ())
    with pytest.raises(InputError, match="can't be opened: Invalid sample rate"):
        DeviceSource("Card", RATE)
    assert devices() == [(0, "Card", 2, True)]


def test_without_sounddevice_a_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(UsageError, match=r"pip install 'pitchai\[live\]'"):
        devices()
