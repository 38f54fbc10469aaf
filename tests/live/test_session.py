"""Takes with the shipped network: a melody of plucked strings, cut, broken off and lost in places."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
import pytest

from tests.signals import RATE, melody, silence, white_noise
from transcribe.events import Note
from transcribe.live.engine import Engine
from transcribe.live.model import LiveModel, load_live_model
from transcribe.live.ports import MidiOut
from transcribe.live.session import Session
from transcribe.live.sources import Block
from transcribe.live.tracker import Event, Kind
from transcribe.matching import match_notes

TUNE = [Note(0.5 + 0.4 * k, pitch, 0.9 + 0.4 * k, 90) for k, pitch in enumerate((60, 64, 67, 72, 71, 67, 65, 62))]
SECONDS = 5.0


@pytest.fixture(scope="module")
def model() -> LiveModel:
    return load_live_model()


class Given:
    """A source that has all its blocks at once."""

    name = "given"

    def __init__(self, blocks: Sequence[Block], then: Exception | None = None) -> None:
        self.blocks, self.then = list(blocks), then or EOFError()

    def __enter__(self) -> Given:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def next(self, timeout: float) -> Block | None:
        if not self.blocks:
            raise self.then
        return self.blocks.pop(0)

    def began(self) -> float:
        return 0.0

    def waiting(self) -> int:
        return len(self.blocks)


class Kept:
    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def send(self, message: bytes) -> None:
        self.sent.append(message)

    def close(self) -> None:
        self.sent.append(b"closed")


def blocks_of(samples: np.ndarray, n: int = 160) -> list[Block]:
    return [Block(samples[first : first + n]) for first in range(0, len(samples), n)]


def balanced(events: Sequence[Event]) -> bool:
    """Whether every note begins before it ends, and ends."""
    sounding: set[int] = set()
    for event in events:
        if event.kind is Kind.NOTE_ON:
            if event.pitch in sounding:
                return False
            sounding.add(event.pitch)
        elif event.kind is Kind.NOTE_OFF:
            if event.pitch not in sounding:
                return False
            sounding.discard(event.pitch)
    return not sounding


@pytest.mark.parametrize("latency", [60, 120, 200, 500])
def test_a_melody_is_heard_with_every_latency(model: LiveModel, latency: int) -> None:
    engine = Engine(model, latency)
    events, told = [], {}
    for block in blocks_of(melody(TUNE, SECONDS)):
        for event in engine.push(block.samples):
            events.append(event)
            if event.kind is Kind.NOTE_ON:
                told[event.pitch, event.time] = engine.time
    events += engine.finish()
    assert balanced(events)
    sent = engine.sent.sorted_notes()
    pairs = match_notes(TUNE, sent)
    assert len(pairs) >= len(TUNE) - 1
    # By the newest sample when it is told, which is what a latency promises: and a hop, and a block.
    late = [
        told[sent[j].pitch, sent[j].onset] - TUNE[i].onset for i, j in pairs if (sent[j].pitch, sent[j].onset) in told
    ]
    assert 1000 * float(np.median(late)) <= latency + 30
    heard = match_notes(TUNE, engine.score.sorted_notes())
    assert len(heard) == len(TUNE)


def test_how_the_sound_is_cut_changes_nothing(model: LiveModel) -> None:
    samples = melody(TUNE, SECONDS)
    rng = np.random.default_rng(0)
    cuts = [*np.sort(rng.integers(0, len(samples), 30)).tolist()]
    found = []
    for parts in (np.array_split(samples, 500), np.split(samples, cuts), [samples]):
        engine = Engine(model, 120)
        events = [event for part in parts for event in engine.push(part)]
        found.append(events + engine.finish())
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("sound", [silence(10.0), white_noise(np.random.default_rng(0), 10.0, 0.05)])
def test_where_nothing_is_played_nothing_is_told(model: LiveModel, sound: np.ndarray) -> None:
    engine = Engine(model, 120)
    engine.push(sound)
    engine.finish()
    assert engine.sent.notes == engine.score.notes == []


def test_lost_sound_is_filled_and_counted_and_time_goes_on(model: LiveModel) -> None:
    samples = melody(TUNE, SECONDS)
    first, lost = round(1.9 * RATE), 2 * RATE
    later = [Note(note.onset + 2.0, note.pitch, note.offset + 2.0, note.velocity) for note in TUNE]
    blocks = blocks_of(samples[:first])
    after = blocks_of(melody(later, 7.0)[first + lost :])
    after[0] = Block(after[0].samples, lost=lost)
    words: list[str] = []
    wire = Kept()
    session = Session(Given([*blocks, *after]), Engine(model, 120), MidiOut(wire), say=words.append)
    session.run()
    assert words == ["2.0 s of sound were lost: the machine was busy elsewhere"]
    assert (session.health.lost, session.health.n_gaps) == (2.0, 1)
    assert session.engine.time == pytest.approx(7.0)
    assert any("lost in 1 gaps" in remark for remark in session.result("live").warnings)
    expected = [note for note in later if note.onset > 4.0]
    assert len(match_notes(expected, session.engine.score.sorted_notes())) >= len(expected) - 1
    assert wire.sent[-1] == b"closed"
    on, off = ([m[1] for m in wire.sent if m[0] == status] for status in (0x90, 0x80))
    assert sorted(on) == sorted(off)


def test_a_take_that_breaks_off_leaves_nothing_hanging(model: LiveModel) -> None:
    wire = Kept()
    broken = Given(blocks_of(melody(TUNE, 1.2)), OSError("unplugged"))
    session = Session(broken, Engine(model, 60), MidiOut(wire))
    with pytest.raises(OSError, match="unplugged"):
        session.run()
    on, off = ([m[1] for m in wire.sent if m[0] == status] for status in (0x90, 0x80))
    assert on
    assert sorted(on) == sorted(off)


def test_clipping_and_level_are_told(model: LiveModel) -> None:
    words: list[str] = []
    loud = [Block(np.full(160, 1.0, np.float32), peak=1.0, clipped=160), Block(np.zeros(160, np.float32))]
    session = Session(Given(loud), Engine(model, 500), say=words.append)
    session.run()
    assert words == ["too loud: samples reach full scale; turn the input down"]
    assert session.health.n_clipped == 160
    assert -1.0 < session.health.level < 0.0
    assert session.health.peak == 0.0


def test_whoever_asks_ends_it(model: LiveModel) -> None:
    class Endless(Given):
        def next(self, timeout: float) -> Block | None:
            return Block(np.zeros(160, np.float32))

    session = Session(Endless([]), Engine(model, 120))
    threading.Timer(0.3, session.stop.set).start()
    session.run()
    assert session.engine.time > 0
