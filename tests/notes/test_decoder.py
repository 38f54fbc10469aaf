from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import notes
from transcribe.engine.features import FrameGrid
from transcribe.events import Note, Pedal
from transcribe.notes.decoder import Activations, DecodingConfig, decode, decode_blocks

GRID = FrameGrid(16000, 320)
HOP = 0.02
CONFIG = DecodingConfig(onset_threshold=0.5, frame_threshold=0.5)


def empty(n_frames: int) -> Activations:
    onset, frame, offset, velocity = (np.zeros((n_frames, 88), np.float32) for _ in range(4))
    return Activations(onset, frame, offset, velocity, np.zeros(n_frames, np.float32), GRID)


def drawn(truth: tuple[Note, ...], n_frames: int) -> Activations:
    """What a perfect network would hear."""
    a = empty(n_frames)
    frames = np.arange(n_frames)
    for note in truth:
        key, start, end = note.pitch - 21, note.onset / HOP, note.offset / HOP
        a.onset[:, key] = np.maximum(a.onset[:, key], 1 - np.abs(frames - start) / 2)
        a.frame[(frames >= start) & (frames < end), key] = 1
        near = np.abs(frames - start) <= 1.5
        a.velocity[near, key] = note.velocity / 127
    return a


def cut(a: Activations, edges: list[int]) -> list[Activations]:
    bounds = [0, *sorted(edges), len(a)]
    return [
        Activations(a.onset[i:j], a.frame[i:j], a.offset[i:j], a.velocity[i:j], a.pedal[i:j], GRID)
        for i, j in itertools.pairwise(bounds)
    ]


def test_five_notes_written_by_hand() -> None:
    truth = (Note(0.10, 60, 0.50, 64), Note(0.10, 64, 0.30, 80), Note(0.61, 60, 0.90, 100), Note(0.7, 21, 0.8, 20))
    found, pedals = decode(drawn(truth, 60), CONFIG)
    assert [(n.pitch, n.velocity) for n in found] == [(60, 64), (64, 80), (60, 100), (21, 20)]
    assert [n.onset for n in found] == pytest.approx([n.onset for n in truth], abs=1e-3)
    assert [n.offset for n in found] == pytest.approx([n.offset for n in truth], abs=HOP)
    assert pedals == []


def test_an_onset_without_frames_is_two_frames_long() -> None:
    a = empty(50)
    a.onset[10, 40] = 0.9
    (note,) = decode(a, CONFIG)[0]
    assert note.offset - note.onset == pytest.approx(2 * HOP)
    late = empty(50)
    late.onset[10, 40] = 0.9
    late.frame[12:30, 40] = 1
    (note,) = decode(late, CONFIG)[0]
    assert note.offset == pytest.approx(30 * HOP, abs=HOP)


def test_silence_gives_nothing() -> None:
    assert decode(empty(100), CONFIG) == ([], [])
    assert decode(empty(0), CONFIG) == ([], [])
    assert decode_blocks([], CONFIG) == ([], [])


@pytest.mark.parametrize(("height", "count"), [(0.49, 0), (0.5, 1), (0.51, 1)])
def test_onset_threshold_is_inclusive(height: float, count: int) -> None:
    a = empty(50)
    a.onset[10, 40] = height
    a.frame[10:20, 40] = 1
    assert len(decode(a, CONFIG)[0]) == count


def test_onset_falls_between_frames() -> None:
    a = empty(50)
    a.onset[9:12, 40] = [0.25, 0.75, 0.75]  # a triangle of +-2 frames centred on frame 10.5
    a.onset[12, 40] = 0.25
    a.frame[11:20, 40] = 1
    assert decode(a, CONFIG)[0][0].onset == pytest.approx(10.5 * HOP, abs=1e-6)


def test_struck_again_ends_the_note_before() -> None:
    a = empty(60)
    a.onset[[10, 30], 40] = 1
    a.frame[10:50, 40] = 1
    first, second = decode(a, CONFIG)[0]
    assert first.offset == pytest.approx(second.onset)
    assert second.offset == pytest.approx(50 * HOP, abs=HOP)


def test_one_low_frame_does_not_end_a_note() -> None:
    a = empty(60)
    a.onset[10, 40] = 1
    a.frame[10:50, 40] = 1
    a.frame[25, 40] = 0
    (note,) = decode(a, CONFIG)[0]
    assert note.offset == pytest.approx(50 * HOP, abs=HOP)


def test_offset_peak_ends_a_note_when_asked() -> None:
    a = empty(60)
    a.onset[10, 40] = 1
    a.frame[10:50, 40] = np.linspace(1, 0.6, 40)
    a.offset[30, 40] = 0.9
    (note,) = decode(a, replace(CONFIG, offset_threshold=0.5))[0]
    assert note.offset == pytest.approx(30 * HOP, abs=2 * HOP)
    (note,) = decode(a, CONFIG)[0]
    assert note.offset == pytest.approx(50 * HOP, abs=HOP)


def test_note_that_never_ends_ends_with_the_recording() -> None:
    a = empty(60)
    a.onset[10, 40] = 1
    a.frame[10:, 40] = 1
    assert decode(a, CONFIG)[0][0].offset == pytest.approx(60 * HOP)


def test_min_note_length_and_pitch_range() -> None:
    a = drawn((Note(0.1, 60, 0.14, 64), Note(0.1, 62, 0.6, 64), Note(0.1, 90, 0.6, 64)), 60)
    assert [n.pitch for n in decode(a, replace(CONFIG, min_note_length=0.1))[0]] == [62, 90]
    assert [n.pitch for n in decode(a, replace(CONFIG, min_pitch=61, max_pitch=62))[0]] == [62]
    assert [n.pitch for n in decode(a, replace(CONFIG, min_pitch=60, max_pitch=60))[0]] == [60]
    assert decode(a, replace(CONFIG, min_pitch=110, max_pitch=127))[0] == []


@pytest.mark.parametrize("weight", [0.0, 9.0])
def test_at_another_hop_the_same_sound_gives_the_same_notes(weight: float) -> None:
    truth = (Note(0.1, 60, 0.5, 64), Note(0.61, 60, 0.9, 100), Note(0.7, 30, 0.8, 20))
    config = replace(CONFIG, offset_weight=weight)
    coarse = decode(drawn(truth, 60), config)[0]
    a = drawn(truth, 60)
    onset, frame, offset, velocity, pedal = (
        np.repeat(array, 2, axis=0) for array in (a.onset, a.frame, a.offset, a.velocity, a.pedal)
    )
    times = np.arange(120) * HOP / 2
    for note in truth:  # triangles of 40 ms to each side, without steps
        near = np.abs(times - note.onset) < 0.04
        onset[near, note.pitch - 21] = 1 - np.abs(times[near] - note.onset) / 0.04
    found = decode(Activations(onset, frame, offset, velocity, pedal, FrameGrid(16000, 160)), config)[0]
    assert [(n.pitch, n.velocity) for n in found] == [(n.pitch, n.velocity) for n in coarse]
    for ours, theirs in zip(found, coarse, strict=True):
        assert ours.onset == pytest.approx(theirs.onset, abs=HOP / 2)
        assert ours.offset == pytest.approx(theirs.offset, abs=1.5 * HOP)


def test_onset_shift_moves_onsets_not_offsets() -> None:
    a = drawn((Note(0.2, 60, 0.6, 64),), 60)
    (plain,), (shifted,) = decode(a, CONFIG)[0], decode(a, replace(CONFIG, onset_shift=-0.01))[0]
    assert shifted.onset == pytest.approx(plain.onset - 0.01)
    assert shifted.offset == plain.offset


def test_confidence_grows_with_the_activation() -> None:
    a = empty(60)
    a.onset[10, [40, 41]] = [0.6, 0.95]
    a.frame[10:30, [40, 41]] = 0.9
    low, high = decode(a, CONFIG)[0]
    assert 0.55 < low.confidence < 0.65 < high.confidence == pytest.approx(0.95, abs=1e-3)


# Keys that are let go under a pedal from 0.2 to 1.2 s.
LET_GO = (Note(0.3, 60, 0.5, 64), Note(0.5, 64, 0.7, 64), Note(0.6, 67, 0.75, 64))


def test_pedal_spans_even_across_blocks() -> None:
    a = drawn(LET_GO, 100)
    a.pedal[10:50] = 0.9
    a.pedal[90:] = 0.9
    # Between the last frame without it and the first with it; the last one lasts until the end.
    expected = [Pedal(0.19, 0.99), Pedal(1.79, 2.0)]
    for blocks in ([a], cut(a, [10, 25, 50, 95])):
        found = decode_blocks(blocks, CONFIG)[1]
        np.testing.assert_allclose([(p.onset, p.offset) for p in found], [(p.onset, p.offset) for p in expected])


def test_a_flickering_pedal_is_one_pedal() -> None:
    a = drawn(LET_GO, 100)
    a.pedal[10:60:2] = 0.9
    a.pedal[11:60:4] = 0.9
    a.pedal[80] = 0.9
    (pedal,) = decode(a, CONFIG)[1]
    assert (pedal.onset, pedal.offset) == (pytest.approx(0.19), pytest.approx(1.18, abs=1.5 * HOP))


def test_what_no_key_is_let_go_under_is_no_pedal() -> None:
    held = drawn((Note(0.1, 69, 1.9, 64),), 100)
    held.pedal[:] = 0.95  # as networks hear a sine
    assert decode(held, CONFIG)[1] == []


def test_a_pedal_that_is_never_sure_needs_many_keys_let_go() -> None:
    a = drawn(LET_GO, 500)
    a.pedal[10:400] = 0.9
    assert len(decode(a, CONFIG)[1]) == 1
    a.pedal[10:400] = 0.6  # three keys in eight seconds
    assert decode(a, CONFIG)[1] == []
    a.pedal[60:] = 0.0  # in one: too short to tell
    assert len(decode(a, CONFIG)[1]) == 1
    busy = drawn(tuple(Note(0.1 + 0.2 * i, 40 + i, 0.25 + 0.2 * i, 64) for i in range(40)), 500)
    busy.pedal[10:400] = 0.6
    assert len(decode(busy, CONFIG)[1]) == 1


SEGMENTED = replace(CONFIG, offset_weight=9.0)


def test_a_note_ends_where_its_offset_speaks_for_it() -> None:
    a = empty(100)
    a.onset[10, 40] = 1
    a.frame[10:40, 40] = 0.9
    a.frame[40:60, 40] = 0.4  # rings on, not quite let go
    a.offset[:, 40] = 0.01
    a.offset[39:42, 40] = [0.4, 0.8, 0.4]
    (note,) = decode(a, SEGMENTED)[0]
    assert note.offset == pytest.approx(40 * HOP)
    # Between frames, as onsets.
    a.offset[39:43, 40] = [0.2, 0.7, 0.7, 0.2]
    (note,) = decode(a, SEGMENTED)[0]
    assert note.offset == pytest.approx(40.5 * HOP)


@pytest.mark.parametrize("edges", [[], [20, 45], list(range(1, 120))])
def test_in_doubt_a_note_ends_where_most_of_what_is_likely_is_near(edges: list[int]) -> None:
    a = empty(120)
    a.onset[10, 40] = 1
    a.frame[10:60, 40] = 0.7
    a.frame[60:, 40] = 0.05
    a.offset[:, 40] = 1e-4
    # The likeliest end, and three that are nearly as likely, each within a fifth of the note's length of the others.
    a.offset[25, 40] = 0.9
    a.offset[[56, 60, 64], 40] = [0.3, 0.4, 0.8]
    sure = replace(SEGMENTED, offset_weight=5.0, frame_threshold=0.7)
    a.frame[26:66, 40] = 0.699
    (note,) = decode_blocks(cut(a, edges), sure)[0]
    assert note.offset == pytest.approx(25 * HOP)
    (note,) = decode_blocks(cut(a, edges), replace(sure, offset_doubt=5.0))[0]
    assert 56 * HOP <= note.offset <= 64 * HOP
    # Of a single end there is no doubt; to the end of the recording a note may sound on.
    a.offset[[25, 56, 60], 40] = 1e-4
    (note,) = decode_blocks(cut(a, edges), replace(sure, offset_doubt=0.1))[0]
    assert note.offset == pytest.approx(64 * HOP)
    a.frame[10:, 40] = 0.99
    (note,) = decode_blocks(cut(a, edges), replace(sure, offset_doubt=2.0))[0]
    assert note.offset == pytest.approx(120 * HOP)


def test_a_gap_in_the_frames_ends_no_note_without_an_offset() -> None:
    a = empty(100)
    a.onset[10, 40] = 1
    a.frame[10:60, 40] = 0.9
    a.frame[25:28, 40] = 0.2
    a.offset[60, 40] = 0.8
    (note,) = decode(a, SEGMENTED)[0]
    assert note.offset == pytest.approx(60 * HOP)
    # The old way takes the gap for an end.
    assert decode(a, CONFIG)[0][0].offset < 26 * HOP


def test_segments_reach_to_the_next_onset_or_the_end_of_the_recording() -> None:
    a = empty(100)
    a.onset[[10, 40], 40] = 1
    a.frame[10:, 40] = 0.9
    a.offset[70, 41] = 0.9  # of another key
    first, second = decode(a, SEGMENTED)[0]
    assert first.offset == pytest.approx(second.onset)
    assert second.offset == pytest.approx(100 * HOP)
    # After the onset no end is heard at all: as long as its frames sound.
    a.frame[30:40, 40] = a.frame[80:, 40] = 0
    first, second = decode(a, SEGMENTED)[0]
    assert first.offset == pytest.approx(30 * HOP, abs=HOP)
    assert second.offset == pytest.approx(80 * HOP, abs=HOP)


def test_what_comes_long_after_a_note_says_nothing_of_its_end() -> None:
    a = empty(400)
    a.onset[10, 40] = 1
    a.frame[10:40, 40] = 0.9
    a.offset[40, 40] = 0.7
    a.frame[200:300, 40] = 0.9  # without an onset
    a.offset[300, 40] = 0.99
    assert decode(a, SEGMENTED)[0][0].offset == pytest.approx(40 * HOP)


def test_velocities_are_corrected_by_the_key() -> None:
    a = drawn((Note(0.2, 48, 0.6, 60), Note(0.2, 60, 0.6, 60), Note(0.2, 72, 0.6, 60), Note(0.2, 84, 0.6, 120)), 60)
    found = decode(a, replace(CONFIG, velocity_curve=(0.1, 0.02)))[0]
    # Octaves above middle C: -1, 0, 1, 2.
    expected = [60 + 127 * (-0.1 + 0.02), 60, 60 + 127 * (0.1 + 0.02), 127]
    assert [note.velocity for note in found] == pytest.approx(expected, abs=0.5)


def test_input_is_not_changed() -> None:
    a = drawn((Note(0.2, 60, 0.6, 64),), 60)
    copies = [x.copy() for x in (a.onset, a.frame, a.offset, a.velocity)]
    decode(a, CONFIG)
    for array, copy in zip((a.onset, a.frame, a.offset, a.velocity), copies, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_wrong_shapes_and_settings_raise() -> None:
    narrow = np.zeros((5, 3), np.float32)
    with pytest.raises(ValueError, match="88"):
        decode(Activations(narrow, narrow, narrow, narrow, np.zeros(5), GRID))
    with pytest.raises(ValueError, match="onset_threshold"):
        DecodingConfig(onset_threshold=1.5)
    with pytest.raises(ValueError, match="offset_weight"):
        DecodingConfig(offset_weight=-1.0)
    with pytest.raises(ValueError, match="offset_doubt"):
        DecodingConfig(offset_doubt=np.nan)
    with pytest.raises(ValueError, match="min_pitch"):
        DecodingConfig(min_pitch=70, max_pitch=60)


@given(truth=notes(), edges=st.lists(st.integers(0, 1000), max_size=8))
def test_what_is_drawn_is_found_however_it_is_cut(truth: tuple[Note, ...], edges: list[int]) -> None:
    # Closer than four frames two onsets are one to any decoder of this hop.
    apart = tuple(
        note
        for note in truth
        if not any(o.pitch == note.pitch and o.onset != note.onset and abs(o.onset - note.onset) < 0.09 for o in truth)
    )
    a = drawn(apart, 1000)
    found = decode(a, CONFIG)[0]
    by_pitch = [sorted((n.pitch, n.onset) for n in notes) for notes in (found, apart)]
    assert [pitch for pitch, _ in by_pitch[0]] == [pitch for pitch, _ in by_pitch[1]]
    assert [t for _, t in by_pitch[0]] == pytest.approx([t for _, t in by_pitch[1]], abs=HOP)
    assert decode_blocks(cut(a, edges), CONFIG)[0] == found


@given(seed=st.integers(0, 10_000), edges=st.lists(st.integers(0, 200), max_size=6))
def test_any_activations_give_valid_notes_however_they_are_cut(seed: int, edges: list[int]) -> None:
    rng = np.random.default_rng(seed)
    onset, frame, offset, velocity = (rng.random((200, 88), np.float32) ** rng.uniform(0.3, 4) for _ in range(4))
    a = Activations(onset, frame, offset, velocity, rng.random(200).astype(np.float32), GRID)
    config = DecodingConfig(
        onset_threshold=rng.random(),
        frame_threshold=rng.random(),
        offset_threshold=rng.random(),
        offset_weight=rng.choice([0.0, 1.0, 30.0]),
        offset_doubt=rng.choice([0.0, 2.0]),
    )
    found, pedals = decode(a, config)
    assert decode_blocks(cut(a, edges), config) == (found, pedals)
    assert [(n.onset, n.pitch) for n in found] == sorted((n.onset, n.pitch) for n in found)
    last: dict[int, float] = {}
    for note in found:
        assert 0 <= note.onset < note.offset <= 4.0 + 1e-3
        assert 1 <= note.velocity <= 127
        assert 0 <= note.confidence <= 1
        assert note.onset >= last.get(note.pitch, 0) - 2e-3
        last[note.pitch] = note.offset
