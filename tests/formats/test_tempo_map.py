"""The tempo and the metres of MIDI files."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcribe.events import Key, Metre, Note, Transcription
from transcribe.formats.midi import from_midi, to_midi
from transcribe.formats.tempo_map import TICKS_PER_QUARTER, TempoMap


def grid(start: float, gap: float, n_beats: int, metre: str, length: int, **fields: object) -> Transcription:
    beats = tuple(start + gap * k for k in range(n_beats))
    span = (Metre(beats[0], beats[-1] + gap, metre),)
    return Transcription(beats=beats, downbeats=beats[::length], metres=span, **fields)  # type: ignore[arg-type]


def test_a_steady_tempo_is_one_event_though_times_are_rounded() -> None:
    steady = grid(0.0, 60 / 140, 300, "4/4", 4)
    rounded = Transcription(beats=tuple(round(beat, 4) for beat in steady.beats), downbeats=steady.downbeats)
    assert TempoMap(rounded, 0.0).tempi == [(0, 428571)]


def test_a_lead_in_is_a_shorter_first_bar_at_the_same_tempo() -> None:
    lead = TempoMap(grid(0.3, 0.6, 48, "4/4", 4), 0.0)
    assert lead.tempi == [(0, 600_000)]
    assert lead.metres == [(0, 1, 8), (480, 4, 4)]


def test_a_long_lead_in_is_whole_bars_and_a_rest() -> None:
    lead = TempoMap(grid(2.6, 0.5, 48, "4/4", 4), 0.0)
    # 5.2 quarters: a bar that is longer by 1.2 quarters would be two bars; so one of 1.2, to the nearest 64th.
    first, second = lead.metres
    assert first[1] / first[2] == pytest.approx(0.3, abs=1 / 64)
    assert second[1:] == (4, 4)
    nearly = TempoMap(grid(2.1, 0.5, 48, "4/4", 4), 0.0)
    # 4.2 quarters: a bar of a fifth of a quarter nobody wants; so one longer bar.
    assert nearly.metres[0][1] / nearly.metres[0][2] == pytest.approx(1.05, abs=1 / 64)


def test_beats_of_compound_metres_are_dotted_quarters() -> None:
    compound = TempoMap(grid(0.0, 0.6, 24, "6/8", 2), 0.0)
    assert compound.tempi == [(0, 400_000)]
    assert compound.metres == [(0, 6, 8)]
    assert compound.ticks([0.6]).tolist() == [1440]
    assert TempoMap(grid(0.0, 0.25, 21, "7/8", 7), 0.0).metres == [(0, 7, 8)]


def test_metres_and_keys_change_where_they_do() -> None:
    beats = tuple(0.5 * k for k in range(44))
    downbeats = (*beats[:16:4], *beats[16::3])
    whole = Transcription(
        tuple(Note(beat, 60, beat + 0.4, 64) for beat in beats),
        beats=beats,
        downbeats=downbeats,
        metres=(Metre(0.0, 8.0, "4/4"), Metre(8.0, 22.0, "3/4")),
        keys=(Key(0.0, 8.3, "C major"), Key(8.3, 22.0, "E major")),
    )
    tempo_map = TempoMap(whole, 0.0)
    assert tempo_map.metres == [(0, 4, 4), (16 * TICKS_PER_QUARTER, 3, 4)]
    back = from_midi(to_midi(whole))
    assert [(key.onset, key.label) for key in back.keys] == [(0.0, "C major"), (8.0, "E major")]
    assert [metre.label for metre in back.metres] == ["4/4", "3/4"]


@given(
    gaps=st.lists(st.floats(0.2, 1.5), min_size=2, max_size=40),
    start=st.floats(0.0, 5.0),
    times=st.lists(st.floats(0.0, 60.0), min_size=1, max_size=20),
)
def test_performed_time_is_kept_to_a_millisecond(gaps: list[float], start: float, times: list[float]) -> None:
    beats = tuple((start + np.concatenate([[0.0], np.cumsum(gaps)])).tolist())
    notes = tuple(sorted(Note(time, 60 + i % 40, time + 1.0, 64) for i, time in enumerate(times)))
    back = from_midi(to_midi(Transcription(notes, beats=beats, downbeats=beats[::3])))
    onsets = sorted(note.onset for note in back.notes)
    assert onsets == pytest.approx(sorted(note.onset for note in notes), abs=1e-3)


def test_beats_are_where_they_were_to_a_millisecond(rng: np.random.Generator) -> None:
    beats = 0.4 + np.cumsum(0.5 * np.exp(rng.normal(0, 0.1, 60)))
    tempo_map = TempoMap(Transcription(beats=tuple(beats.tolist()), downbeats=tuple(beats[::4].tolist())), 0.0)
    ticks = tempo_map.ticks(beats)
    assert np.abs(np.diff(ticks) - TICKS_PER_QUARTER).max() <= 5
