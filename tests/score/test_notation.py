"""Hands, voices, rhythm and bars of notes whose notation is known."""

from __future__ import annotations

from fractions import Fraction as F  # noqa: N817
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import transcriptions
from transcribe.beats.analysis import analysed
from transcribe.errors import InputError
from transcribe.events import Metre, Note, Transcription
from transcribe.score.analysis import Timing, metre
from transcribe.score.articulation import STACCATO
from transcribe.score.barring import cut, in_bars
from transcribe.score.bars import Bar, Chord
from transcribe.score.beats import BeatGrid, Beats, is_grid
from transcribe.score.hands import find_hands, struck_together
from transcribe.score.notation import notate
from transcribe.score.placing import quantized
from transcribe.score.quantise import is_compound, quantize
from transcribe.score.voices import Struck, find_voices
from transcribe.theory.keys import find_keys, signature, usual

BEATS = tuple(1.0 + 0.5 * k for k in range(33))


def at(beat: float) -> float:
    return 1.0 + 0.5 * beat


def test_beats_and_seconds_are_each_others_inverse() -> None:
    grid = BeatGrid([1.0, 1.5, 2.1, 2.5])
    assert grid.to_beats(np.array([0.0, 1.25, 2.5, 3.3])).tolist() == pytest.approx([-2.0, 0.5, 3.0, 5.0])
    assert grid.to_seconds(np.array([-2.0, 0.5, 3.0, 5.0])).tolist() == pytest.approx([0.0, 1.25, 2.5, 3.3])


@pytest.mark.parametrize(
    ("beats", "good"), [((), False), ((1.0,), False), ((1.0, 1.05), False), ((1.0, 0.5), False), ((0.0, 0.5), True)]
)
def test_what_a_grid_is(beats: tuple[float, ...], good: bool) -> None:
    assert is_grid(beats) is good


def test_simple_rhythms_are_found_under_the_jitter() -> None:
    wanted = [F(0), F(1), F(3, 2), F(2), F(9, 4), F(5, 2), F(11, 4), F(3), F(10, 3), F(11, 3), F(4)]
    late = [0.01, -0.01, 0.012, 0.0, 0.01, -0.01, 0.0, 0.005, -0.004, 0.004, 0.0]
    found, divided = quantize([at(float(x)) + off for x, off in zip(wanted, late, strict=True)], BEATS)
    assert found == wanted
    assert divided == {0: 1, 1: 2, 2: 4, 3: 3, 4: 1}


def test_a_note_just_before_the_beat_is_on_it() -> None:
    assert quantize([at(2.97)], BEATS)[0] == [F(3)]


def test_eighths_in_threes_are_compound() -> None:
    threes = [at(k / 3) for k in range(60)]
    assert is_compound(threes, BEATS)
    assert not is_compound([at(k / 4) for k in range(60)], BEATS)
    assert not is_compound([], BEATS)


@given(transcriptions(), st.floats(0.2, 5))
def test_quantized_notes_lie_on_parts_of_beats_and_stay_near(whole: Transcription, detail: float) -> None:
    known = Timing(beats=Beats(BEATS, BEATS[::4]), quantize=True, detail=detail)
    moved = analysed(whole, known)
    # Of notes of one pitch that come to lie on one place one is left: none is lost that is a beat from the one before.
    for pitch in {note.pitch for note in whole.notes}:
        onsets = sorted(note.onset for note in whole.notes if note.pitch == pitch)
        apart = 1 + sum(b - a >= 0.5 for a, b in pairwise(onsets))
        assert apart <= sum(note.pitch == pitch for note in moved.notes) <= len(onsets)
    for note in moved.notes:
        beat = (note.onset - 1.0) / 0.5
        assert note.offset > note.onset or note.onset == 0
        assert note.onset == 0 or min(abs(beat * n - round(beat * n)) for n in (12, 8)) < 2e-3


def test_without_beats_nothing_is_moved() -> None:
    whole = Transcription((Note(0.11, 60, 0.37, 64),))
    assert quantized(whole) == whole


def test_known_beats_and_tempo_override_what_would_be_found() -> None:
    notes = tuple(Note(0.5 * k, 60 + k % 5, 0.5 * k + 0.4, 64) for k in range(32))
    known = Beats((0.0, 0.7, 1.4, 2.1), (0.0, 1.4), confidence=1.0)
    assert analysed(Transcription(notes), Timing(beats=known)).beats == known.beats
    assert analysed(Transcription(notes), Timing(tempo=60.0)).tempo == pytest.approx(60, rel=0.02)
    assert analysed(Transcription(notes, beats=known.beats)).beats == known.beats
    assert analysed(Transcription(notes)).settings == {}
    assert analysed(Transcription(notes), Timing(60.0, quantize=True)).settings == {
        "tempo": 60.0,
        "quantize": True,
        "detail": 1.0,
    }


def test_metres() -> None:
    assert metre(BEATS, BEATS[1::3]) == 3
    assert metre(BEATS, BEATS[:1]) == 0
    assert metre((), ()) == 0


def test_hands_in_their_places() -> None:
    notes = [Note(0.5 * k, pitch, 0.5 * k + 0.4, 64) for k in range(8) for pitch in (36, 43, 48, 72, 76)]
    assert find_hands(notes).tolist() == [False, False, False, True, True] * 8
    assert find_hands([]).tolist() == []


def test_a_hand_follows_its_line_past_middle_c() -> None:
    left = [Note(0.25 * k, 48 + 2 * k, 0.25 * k + 0.2, 64) for k in range(9)]
    right = [Note(0.25 * k, 72 + 2 * k, 0.25 * k + 0.2, 64) for k in range(9)]
    notes = sorted(left + right)
    assert find_hands(notes).tolist() == [note in right for note in notes]


def test_what_is_struck_together() -> None:
    assert struck_together(np.array([0.0, 0.01, 0.03, 0.2, 0.5, 0.51])) == [[0, 1, 2], [3], [4, 5]]


def test_a_note_held_while_others_move_has_a_voice_of_its_own() -> None:
    struck = [
        Struck(F(0), (48, 60), (4.0, 1.0), (0, 1)),
        *(Struck(F(k), (60 + k,), (k + 1.0,), (k + 1,)) for k in (1, 2, 3)),
    ]
    upper, lower = find_voices(struck)
    assert [chord.pitches for chord in upper] == [(60,), (61,), (62,), (63,)]
    assert [chord.pitches for chord in lower] == [(48,)]


def test_chords_alone_are_one_voice() -> None:
    struck = [Struck(F(k), (48, 52, 55), (k + 1.0, k + 0.9, k + 1.0), (0, 1, 2)) for k in range(4)]
    upper, lower = find_voices(struck)
    assert len(upper) == 4
    assert lower == []
    assert find_voices([]) == ([], [])


FOUR = Bar(F(8), F(4), F(1), 3)
SIX_EIGHT = Bar(F(3), F(3), F(3, 2), 2)


@pytest.mark.parametrize(
    ("bar", "start", "end", "pieces"),
    [
        (FOUR, F(0), F(4), [F(4)]),
        (FOUR, F(1, 2), F(3, 2), [F(1)]),
        (FOUR, F(3, 2), F(5, 2), [F(1, 2), F(1, 2)]),
        (FOUR, F(1), F(3), [F(2)]),
        (FOUR, F(0), F(5, 2), [F(2), F(1, 2)]),
        (FOUR, F(2, 3), F(4, 3), [F(1, 3), F(1, 3)]),
        (FOUR, F(0), F(7, 2), [F(2), F(3, 2)]),
        (SIX_EIGHT, F(0), F(3), [F(3)]),
        (SIX_EIGHT, F(1), F(2), [F(1, 2), F(1, 2)]),
        (SIX_EIGHT, F(0), F(1), [F(1)]),
    ],
)
def test_lengths_are_cut_so_that_the_beat_is_seen(bar: Bar, start: F, end: F, pieces: list[F]) -> None:
    assert [b - a for a, b in cut(bar.start + start, bar.start + end, bar)] == pieces


@given(
    st.sampled_from([(F(4), F(1)), (F(3), F(1)), (F(5), F(1)), (F(3), F(3, 2)), (F(9, 2), F(3, 2)), (F(1), F(1))]),
    st.data(),
)
def test_any_span_is_cut_into_notes_that_there_are(size: tuple[F, F], data: st.DataObject) -> None:
    bar = Bar(F(6), size[0], size[1], 1)
    kinds = (1, 2, 3, 4, 6, 8) if bar.beat == 1 else (1, 2, 3, 4, 6, 12)
    edges = []
    for _ in range(2):
        cell, parts = data.draw(st.integers(0, int(bar.length / bar.beat) - 1)), data.draw(st.sampled_from(kinds))
        edges.append((cell, parts, (cell + F(data.draw(st.integers(0, parts)), parts)) * bar.beat))
    (cell, parts, start), (other, others, end) = sorted(edges, key=lambda edge: edge[2])
    if cell == other and parts != others:
        return
    pieces = cut(bar.start + start, bar.start + end, bar)
    assert sum(b - a for a, b in pieces) == end - start
    lengths = [F(n) * base for base in (F(4), F(2), F(1), F(1, 2), F(1, 4), F(1, 8), F(1, 16)) for n in (1, F(3, 2))]
    for a, b in pieces:
        assert b - a in lengths or (b - a) * F(3, 2) in lengths


def test_bars_are_filled_and_ties_are_told() -> None:
    bars = [Bar(F(0), F(4), F(1), 1), Bar(F(4), F(4), F(1), 2)]
    (_, first), (_, second) = in_bars([Chord(F(2), F(4), (60,), (0,))], bars)
    assert [(w.chord.length, w.chord.pitches, w.from_before, w.to_next) for w in first] == [
        (F(2), (), False, False),
        (F(2), (60,), False, True),
    ]
    assert [(w.chord.length, w.chord.pitches, w.from_before, w.to_next) for w in second] == [
        (F(2), (60,), True, False),
        (F(2), (), False, False),
    ]


def test_notes_last_until_the_next_unless_they_clearly_do_not() -> None:
    legato = [Note(at(k), 72, at(k + 0.9), 64) for k in range(8)]
    staccato = [Note(at(k), 48, at(k + 0.3), 64) for k in range(8)]
    notation = notate(Transcription(tuple(sorted(legato + staccato)), beats=BEATS, downbeats=BEATS[::4]))
    right, left = (hand[0] for hand in notation.hands)
    assert {chord.length for chord in right} == {F(1)}
    # What follows would be a rest each time: it is a dot instead.
    assert {(chord.length, chord.marks) for chord in left[:-1]} == {(F(1), frozenset({STACCATO}))}
    assert left[-1].length < 1 or STACCATO in left[-1].marks


@given(transcriptions())
def test_every_note_is_written_once(whole: Transcription) -> None:
    notation = notate(analysed(whole))
    written = [i for hand in notation.hands for voice in hand for chord in voice for i in chord.indices]
    assert len(written) == len(set(written)) <= len(whole.notes)
    for hand in notation.hands:
        for voice in hand:
            ends = [chord.start + chord.length for chord in voice]
            assert all(chord.length > 0 for chord in voice)
            assert all(end <= chord.start for end, chord in zip(ends, voice[1:], strict=False))


def test_a_score_of_a_month_is_refused() -> None:
    with pytest.raises(InputError, match="more than 10000 bars"):
        notate(Transcription((Note(0.0, 60, 1.0, 64), Note(2e6, 60, 2e6 + 1, 64))))
    notes = tuple(Note(1e5 * k, 60, 1e5 * k + 1, 64) for k in range(9))
    assert analysed(Transcription(notes)).beats == ()


def test_demisemiquavers_halve_the_beat() -> None:
    notes = tuple(Note(at(k / 8 * 2), 60 + k % 5, at(k / 8 * 2) + 0.1, 64) for k in range(100))
    slow = tuple(1.0 + k for k in range(18))
    notation = notate(Transcription(notes, beats=slow, downbeats=slow[::4]))
    assert notation.tempo == pytest.approx(120)
    assert {chord.length for chord in notation.hands[0][0][:-1]} | {F(1, 4)} == {F(1, 4)}
    stray = notate(Transcription(notes, beats=slow, downbeats=(*slow[::4], 21.0, 23.0, 25.0)))
    assert stray.tempo == pytest.approx(120)


def test_a_change_of_key_is_found() -> None:
    def scale(tonic: int, start: float) -> list[Note]:
        steps = (0, 4, 7, 12, 11, 9, 7, 5, 4, 2, 0, 7)
        return [Note(start + 0.5 * k, 60 + tonic + steps[k % 12], start + 0.5 * k + 0.4, 64) for k in range(60)]

    found = find_keys(scale(0, 0.0) + scale(6, 30.0))
    assert [key.label for key in found] == ["C major", "F# major"]
    assert found[0].offset == found[1].onset == pytest.approx(30, abs=4)
    assert find_keys([]) == ()


@pytest.mark.parametrize(
    ("key", "wanted"),
    [("C major", (0, False)), ("Eb major", (-3, False)), ("F# minor", (3, True)), ("G# minor", (5, True))],
)
def test_signatures(key: str, wanted: tuple[int, bool]) -> None:
    assert signature(key) == wanted


def test_usual_names_of_keys() -> None:
    assert [usual(key) for key in ("Cb major", "C# major", "A# minor", "Eb major")] == [
        "B major",
        "Db major",
        "Bb minor",
        "Eb major",
    ]


@pytest.mark.parametrize("key", ["", "C", "H major", "C dur", "Cx major", "C#### major"])
def test_what_is_no_key(key: str) -> None:
    with pytest.raises(ValueError, match="is no key"):
        signature(key)


def test_rests_in_triplets_show_its_notes_where_sounds_may_be_dotted() -> None:
    start, end = F(8) + F(1, 3), F(8) + F(5, 6)
    assert cut(start, end, FOUR) == [(start, end)]
    assert cut(start, end, FOUR, rest=True) == [(start, F(8) + F(2, 3)), (F(8) + F(2, 3), end)]


def test_a_chord_held_for_a_bar_of_nine_eighths_is_cut_at_its_beats() -> None:
    bar = Bar(F(0), F(9, 2), F(3, 2), 1, "9/8")
    assert cut(F(0), F(9, 2), bar) == [(F(0), F(3)), (F(3), F(9, 2))]


def test_bars_have_the_beats_of_their_own_metre() -> None:
    # Four bars of nine eighths, then eight of two quarters.
    beats = [0.9 * k for k in range(13)]
    beats += [beats[-1] + 0.6 * k for k in range(1, 17)]
    metres = (Metre(0.0, 10.8, "9/8"), Metre(10.8, 20.4, "2/4"))
    notes = [Note(beat, 48 + k % 2, beat + 0.5, 70) for k, beat in enumerate(beats[:-1])]
    notes += [Note(2.7 * k + 0.001, 72, 2.7 * k + 2.65, 70) for k in range(4)]
    downbeats = (*beats[:12:3], *beats[12::2])
    whole = Transcription(
        tuple(sorted(notes)),
        beats=tuple(beats),
        downbeats=downbeats,
        metres=metres,
        beat_confidence=1.0,
    )
    bars = notate(whole).bars
    assert [(bar.length, bar.beat) for bar in bars[:4]] == [(F(9, 2), F(3, 2))] * 4
    assert {(bar.length, bar.beat) for bar in bars[4:12]} == {(F(2), F(1))}
