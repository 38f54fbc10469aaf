"""What is told early, what is held back: with what a network might say, made by hand."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from transcribe.engine.features import N_PITCHES, FeatureConfig, FrameGrid
from transcribe.live.delays import HEARD, TOLD, delay_of
from transcribe.live.model import LiveModel
from transcribe.live.teller import COMMITTED, Teller
from transcribe.live.tracker import Event, Kind, NoteTracker, Said, TrackerConfig

GRID = FrameGrid(16000, 320)
LATENCY = 120
LOUD, SOFT = 0.99, 0.6
C4 = 60


def model() -> LiveModel:
    """Trackers without a network; a confidence is the onset's activation."""

    def tracker(latency: int) -> NoteTracker:
        config = TrackerConfig(onset_threshold=0.5, offset_threshold=1.0)
        return NoteTracker(config, delay_of(latency), HEARD, TOLD, GRID)

    return cast(LiveModel, SimpleNamespace(features=FeatureConfig(), tracker=tracker))


def said(
    seconds: float, early: Sequence[tuple[float, float]], late: Sequence[float], length: float = 1.0
) -> list[Said]:
    """Onsets (time, height) as the short delays hear them, times as the longest does; all of C4."""
    n_frames, row = round(50 * seconds), C4 - 21
    heights = np.zeros((2, n_frames + 50), np.float32)
    frame = np.zeros(n_frames + 50, np.float32)
    for which, onsets in enumerate((early, [(time, LOUD) for time in late])):
        for time, height in onsets:
            at = round(50 * time)
            heights[which, at - 1 : at + 2] = height * np.array([0.5, 1.0, 0.5])
            frame[at : at + round(50 * length)] = 1.0
    rows = []
    for newest in range(n_frames):
        onset, frames = np.zeros((len(HEARD), N_PITCHES)), np.zeros((len(TOLD), N_PITCHES))
        for k, delay in enumerate(HEARD):
            onset[k, row] = heights[int(delay > 20), max(newest - delay, 0)]
        for k, delay in enumerate(TOLD):
            frames[k, row] = frame[max(newest - delay, 0)]
        rows.append(Said(onset, frames, np.zeros_like(frames), np.full_like(frames, 0.5), np.zeros(len(TOLD))))
    return rows


def follow(teller: Teller, rows: Sequence[Said]) -> list[tuple[float, Event]]:
    """When each event was told, and it."""
    told = [(n / 50, event) for n, row in enumerate(rows) for event in teller.push(row)]
    return told + [(len(rows) / 50, event) for event in teller.finish(len(rows) / 50)]


def begun(told: Sequence[tuple[float, Event]]) -> list[tuple[float, float]]:
    """When the notes were told, and when they began."""
    return [(round(at, 2), round(event.time, 2)) for at, event in told if event.kind is Kind.NOTE_ON]


def test_what_is_never_borne_out_is_not_told() -> None:
    times = np.arange(1, 59, 2.0)
    teller = Teller(model(), LATENCY)
    assert follow(teller, said(60, [(time, SOFT) for time in times], [])) == []
    assert not teller.sent.notes
    assert teller.n_withdrawn == 0


def test_before_anything_was_played_a_doubtful_note_is_told_when_it_is_borne_out() -> None:
    told = follow(Teller(model(), LATENCY), said(4, [(1.0, SOFT)], [1.0]))
    assert begun(told) == [(1.44, 1.0)]
    assert [event.kind for _, event in told] == [Kind.NOTE_ON, Kind.NOTE_OFF]


def test_one_that_has_ended_by_then_is_written_and_not_told() -> None:
    teller = Teller(model(), LATENCY)
    assert follow(teller, said(4, [(1.0, SOFT)], [1.0], length=0.2)) == []
    assert len(teller.score.notes) == 1


def test_a_note_that_is_sure_is_told_at_once_and_stays_if_it_is_borne_out() -> None:
    teller = Teller(model(), LATENCY)
    told = follow(teller, said(4, [(1.0, LOUD)], [1.0]))
    assert begun(told) == [(1.06, 1.0)]
    assert teller.n_withdrawn == 0
    assert teller.sent.notes[0].offset == pytest.approx(2.0, abs=0.03)


def test_while_somebody_plays_every_note_is_told_at_once_and_after_a_pause_no_more() -> None:
    times = [1.0, 3.0, 5.0, 7.0, 30.0]
    told = follow(Teller(model(), LATENCY), said(34, [(time, SOFT) for time in times], times))
    delays = [round(at - time, 2) for at, time in begun(told)]
    assert delays == [0.44, 0.44, 0.44, 0.06, 0.44]


def test_what_was_told_and_is_not_borne_out_ends_and_opens_nothing() -> None:
    teller = Teller(model(), LATENCY)
    told = follow(teller, said(6, [(1.0, LOUD), (3.0, SOFT)], [], length=1.5))
    assert [event.kind for _, event in told] == [Kind.NOTE_ON, Kind.NOTE_OFF]
    assert told[1][0] < 1.7
    assert teller.n_withdrawn == 1
    assert not teller.score.notes


def test_the_longest_latency_holds_nothing_back() -> None:
    told = follow(Teller(model(), COMMITTED), said(4, [(1.0, SOFT)], [1.0]))
    assert begun(told) == [(1.44, 1.0)]


@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_said_every_note_begins_before_it_ends_and_ends(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(200):
        frame, offset, velocity = rng.random((3, len(TOLD), N_PITCHES)) ** 4
        rows.append(Said(rng.random((len(HEARD), N_PITCHES)) ** 4, frame, offset, velocity, rng.random(len(TOLD))))
    teller = Teller(model(), LATENCY)
    sounding: set[int] = set()
    for _, event in follow(teller, rows):
        if event.kind is Kind.NOTE_ON:
            assert event.pitch not in sounding
            sounding.add(event.pitch)
        elif event.kind is Kind.NOTE_OFF:
            sounding.remove(event.pitch)
    assert not sounding
    assert teller.sent.notes
