"""Sound that comes block by block from elsewhere, at rates of its own."""

from __future__ import annotations

import struct
import time

import numpy as np
import pytest

from tests.live.test_session import TUNE
from tests.signals import melody
from transcribe.errors import InputError
from transcribe.live.engine import Engine
from transcribe.live.model import load_live_model
from transcribe.live.remote import RemoteSource
from transcribe.live.session import Session
from transcribe.matching import match_notes

SECONDS = 4.5


def block(place: int, samples: np.ndarray) -> bytes:
    return struct.pack("<I", place) + samples.astype("<i2").tobytes()


@pytest.mark.parametrize("rate", [16_000, 22_050, 44_100, 96_000])
def test_a_melody_is_heard_at_every_rate(rate: int) -> None:
    samples = np.round(32767 * melody(TUNE, SECONDS, rate)).astype(np.int16)
    kept: list[np.ndarray] = []
    source = RemoteSource(rate, 16_000, kept.append)
    n = rate // 20
    for first in range(0, len(samples), n):
        source.push(block(first, samples[first : first + n]))
    source.end(1.0)
    session = Session(source, Engine(load_live_model(), 200))
    session.run()
    notes = session.engine.sent.sorted_notes()
    found = match_notes(TUNE, notes)
    assert len(found) >= len(TUNE) - 1
    # A resampler has its delay, which isn't heard.
    assert abs(float(np.median([notes[j].onset - TUNE[i].onset for i, j in found]))) < 0.02
    assert session.engine.time == pytest.approx(SECONDS, abs=0.02)
    np.testing.assert_array_equal(np.concatenate(kept), samples)


def test_what_never_came_is_silence_in_the_recording_and_lost_in_the_stream() -> None:
    kept: list[np.ndarray] = []
    source = RemoteSource(48_000, 16_000, kept.append)
    source.push(block(0, np.full(480, 7)))
    source.push(block(480 + 48_000, np.full(480, -32_768)))
    first, second = source.next(0.1), source.next(0.1)
    assert first is not None
    assert second is not None
    assert (first.lost, second.lost) == (0, 16_000)
    assert (second.peak, second.clipped) == (1.0, 480)
    recorded = np.concatenate(kept)
    assert recorded.tolist() == [7] * 480 + [0] * 48_000 + [-32_768] * 480


def test_full_of_blocks_it_loses_some_and_says_so_with_the_next() -> None:
    source = RemoteSource(16_000, 16_000)
    for k in range(450):  # there is room for 400
        source.push(block(k, np.ones(1)))
    for _ in range(400):
        assert source.next(0.0) is not None
    source.push(block(450, np.ones(1)))
    late = source.next(0.0)
    assert late is not None
    assert late.lost == 50


def test_it_began_when_the_quickest_block_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """A block that a network held back doesn't make all that follows seem early."""
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    source = RemoteSource(16_000, 16_000)
    source.push(block(0, np.ones(1_600)))  # 0.1 s
    assert source.began() == pytest.approx(99.9)
    source.push(block(1_600, np.ones(1_600)))  # came together with the first
    assert source.began() == pytest.approx(99.8)
    now = 101.0
    source.push(block(3_200, np.ones(1_600)))  # late
    assert source.began() == pytest.approx(99.8)


@pytest.mark.parametrize(
    "content", [b"", b"\0" * 4, b"\0" * 5, b"\0" * 7, b"\0" * ((1 << 16) + 2), block(16_000 * 9, np.ones(160))]
)
def test_what_is_no_block_is_refused(content: bytes) -> None:
    source = RemoteSource(16_000, 16_000)
    with pytest.raises(InputError):
        source.push(content)
    assert source.waiting() == 0


def test_nobody_is_faster_than_the_sound() -> None:
    source = RemoteSource(16_000, 16_000)
    for k in range(5):  # a second each
        source.push(block(k * 16_000, np.ones(16_000)))
    with pytest.raises(InputError, match="sooner"):
        source.push(block(80_000, np.ones(24_000)))
    assert source.waiting() == 5
    with pytest.raises(InputError, match="twice"):
        source.push(block(0, np.ones(160)))
