from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from transcribe.engine.features import N_PITCHES, FrameGrid
from transcribe.live.tracker import Event, Kind, NoteTracker, Said, Score, TrackerConfig, track

GRID = FrameGrid(16000, 320)
HEARD, TOLD = (0, 1, 2, 3), (1,)
CONFIG = TrackerConfig(onset_threshold=0.5, frame_threshold=0.5, offset_threshold=1.0)
C4 = 60
ROW = C4 - 21


def said(
    n_frames: int,
    onsets: Sequence[tuple[int, float]] = (),
    sounding: Sequence[tuple[int, int]] = (),
    pedal: Sequence[tuple[int, int]] = (),
    velocity: float = 0.5,
) -> list[Said]:
    """What a network says that is of one mind with every delay: onsets are triangles of two frames to either side."""
    onset, frame = np.zeros((2, n_frames + 8, N_PITCHES), np.float32)
    down = np.zeros(n_frames + 8, np.float32)
    for at, height in onsets:
        for k in (-1, 0, 1):
            onset[at + k, ROW] = max(onset[at + k, ROW], height * (1 - abs(k) / 2))
    for first, last in sounding:
        frame[first:last, ROW] = 1.0
    for first, last in pedal:
        down[first:last] = 1.0
    loudness = np.full((n_frames + 8, N_PITCHES), velocity, np.float32)
    nothing = np.zeros((1, N_PITCHES), np.float32)
    rows = []
    for newest in range(n_frames):
        heard = np.stack([onset[newest - d] if newest >= d else nothing[0] for d in HEARD])
        at = newest - TOLD[0]
        frames, speeds = (array[at : at + 1] if at >= 0 else nothing for array in (frame, loudness))
        rows.append(Said(heard, frames, nothing, speeds, down[max(at, 0) : max(at, 0) + 1]))
    return rows


def tracker(config: TrackerConfig = CONFIG) -> NoteTracker:
    return NoteTracker(config, 1, HEARD, TOLD, GRID)


def events_of(rows: list[Said], config: TrackerConfig = CONFIG) -> list[tuple[int, Event]]:
    one = tracker(config)
    return [(n, event) for n, row in enumerate(rows) for event in one.push(row)]


def test_a_note_is_told_once_and_as_soon_as_its_delay_allows() -> None:
    found = events_of(said(60, onsets=[(20, 0.9)], sounding=[(20, 40)]))
    assert [(n, event.kind, event.pitch) for n, event in found] == [
        (21, Kind.NOTE_ON, C4),
        (42, Kind.NOTE_OFF, C4),  # two low frames
    ]
    on, off = (event for _, event in found)
    assert on.time == pytest.approx(0.40)
    assert off.time == pytest.approx(0.79, abs=0.011)
    assert on.velocity == 64


def test_what_is_struck_again_ends_first() -> None:
    found = [event.kind for _, event in events_of(said(60, [(10, 0.9), (25, 0.8)], [(10, 50)]))]
    assert found == [Kind.NOTE_ON, Kind.NOTE_OFF, Kind.NOTE_ON, Kind.NOTE_OFF]


def test_an_onset_too_soon_after_another_is_the_same() -> None:
    assert [event.kind for _, event in events_of(said(30, [(10, 0.9), (12, 0.95)], [(10, 30)]))] == [Kind.NOTE_ON]


def test_a_peak_that_is_seen_a_frame_late_is_told_all_the_same() -> None:
    rows = said(40, [(20, 0.9)], [(20, 40)])
    # When frame 20 is decided it is thought to be softer than it is; a frame later it is not.
    rows[21].onset[1, ROW] = 0.1
    found = events_of(rows)
    assert [(n, event.kind) for n, event in found] == [(22, Kind.NOTE_ON)]
    assert found[0][1].time == pytest.approx(0.40)


def test_soft_onsets_are_none() -> None:
    assert not events_of(said(40, [(20, 0.45)], [(20, 40)]))


def test_no_note_is_left_hanging() -> None:
    score = track(tracker(), said(50, [(20, 0.9)], [(20, 50)], pedal=[(10, 50)]))
    ((note,), (pedal,)) = score.notes, score.pedals
    assert note.offset == pytest.approx(0.96)
    assert pedal.offset == pytest.approx(0.96)
    one = tracker()
    for row in said(50, [(20, 0.9)], [(20, 50)]):
        one.push(row)
    assert [event.kind for event in one.finish()] == [Kind.NOTE_OFF]
    assert one.finish() == []


def test_a_pedal_must_be_held_to_be_believed() -> None:
    found = events_of(said(80, pedal=[(10, 12), (20, 50)]))
    assert [event.kind for _, event in found] == [Kind.PEDAL_DOWN, Kind.PEDAL_UP]
    assert [event.time for _, event in found] == pytest.approx([0.39, 0.99], abs=0.03)


def test_what_is_withdrawn_ends_once() -> None:
    one = tracker()
    for row in said(30, [(20, 0.9)], [(20, 50)]):
        one.push(row)
    assert [event.kind for event in one.release(C4)] == [Kind.NOTE_OFF]
    assert one.release(C4) == []
    assert one.finish() == []


def test_a_score_closes_what_is_open() -> None:
    score = Score()
    score.add([Event(Kind.NOTE_ON, 1.0, C4, 64), Event(Kind.NOTE_ON, 2.0, C4, 80), Event(Kind.PEDAL_DOWN, 2.0)])
    assert list(score.sounding) == [C4]
    score.close(3.0)
    assert [(note.onset, note.offset, note.velocity) for note in score.sorted_notes()] == [
        (1.0, 2.0, 64),
        (2.0, 3.0, 80),
    ]
    assert not score.sounding
    assert not score.pedal_down


@pytest.mark.parametrize(
    "wrong", [{"onset_threshold": 1.5}, {"pedal_threshold": -1}, {"onset_shift": np.inf}, {"confidence": (0.0,)}]
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"must"):
        TrackerConfig(**wrong)  # type: ignore[arg-type]
