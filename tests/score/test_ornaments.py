"""Trills, tremolos, rolled chords and grace notes, played by the second, and what is none of them."""

from __future__ import annotations

from fractions import Fraction as F  # noqa: N817

from transcribe.events import Note, Pedal, Transcription
from transcribe.score.articulation import STACCATO
from transcribe.score.notation import notate
from transcribe.score.ornaments import ARPEGGIO, TREMOLO, TRILL, find_ornaments, is_lone_grace, split_graces

BEATS = tuple(1.0 + 0.5 * k for k in range(17))


def alternating(pitches: tuple[int, int], step: float, count: int) -> list[Note]:
    return [Note(1 + step * k, pitches[k % 2], 1 + step * (k + 1), 70) for k in range(count)]


def test_a_trill_is_its_lower_note() -> None:
    (trill,) = find_ornaments(alternating((74, 72), 0.07, 12))
    assert (trill.note.pitch, trill.mark, trill.index) == (72, TRILL, 0)
    assert (trill.note.onset, round(trill.note.offset, 2)) == (1.0, 1.84)
    assert trill.others == tuple(range(1, 12))


def test_measured_notes_stay_notes() -> None:
    for notes in (alternating((72, 74), 0.12, 16), alternating((72, 74), 0.07, 6), alternating((60, 67), 0.1, 32)):
        assert [one.note for one in find_ornaments(notes)] == notes


def test_a_tremolo_is_two_notes() -> None:
    low, high = find_ornaments(alternating((48, 60), 0.06, 20))
    assert [(one.note.pitch, one.mark) for one in (low, high)] == [(48, TREMOLO), (60, TREMOLO)]
    assert sorted([low.index, high.index, *low.others, *high.others]) == list(range(20))


def test_a_rolled_chord_is_a_chord() -> None:
    rolled = [Note(1 + 0.06 * k, pitch, 3.0, 70) for k, pitch in enumerate((48, 55, 60, 64))]
    found = find_ornaments(rolled)
    assert {(round(one.note.onset, 2), one.mark) for one in found} == {(1.18, ARPEGGIO)}
    # What is let go one after the other is a figure.
    figure = [Note(1 + 0.06 * k, pitch, 1.06 + 0.06 * k, 70) for k, pitch in enumerate((48, 55, 60, 64))]
    assert {one.mark for one in find_ornaments(figure)} == {""}


def test_what_has_no_place_of_its_own_is_a_grace_note() -> None:
    chord, graces = split_graces([Note(0.95, 71, 1.0, 60), Note(1.0, 72, 1.5, 70), Note(1.0, 64, 1.5, 70)])
    assert (chord, graces) == ([1, 2], {1: [0]})
    # One that is held with the other belongs to the chord.
    assert split_graces([Note(0.95, 71, 1.5, 60), Note(1.0, 72, 1.5, 70)]) == ([0, 1], {})


def test_ornaments_are_written_with_their_notes() -> None:
    melody = [Note(1 + 0.5 * k, 72 + k % 3, 1.48 + 0.5 * k, 70) for k in range(8)]
    notes = tuple(sorted([Note(1.96, 71, 2.0, 50), *melody]))
    notation = notate(Transcription(notes, beats=BEATS, downbeats=BEATS[::4]))
    voice = notation.hands[0][0]
    assert [chord.start for chord in voice] == [F(k) for k in range(8)]
    assert [chord.graces for chord in voice] == [(), (), (71,), (), (), (), (), ()]
    assert voice[2].others == (2,)


def test_short_notes_are_staccato_unless_the_pedal_holds_them() -> None:
    notes = tuple(Note(1 + 0.5 * k, 72, 1.1 + 0.5 * k, 70) for k in range(8))
    played = Transcription(notes, (Pedal(3.0, 6.0),), beats=BEATS, downbeats=BEATS[::4])
    voice = notate(played).hands[0][0]
    assert [chord.length for chord in voice[:-1]] == [F(1)] * 7
    assert [STACCATO in chord.marks for chord in voice[:-1]] == [True] * 4 + [False] * 3


def test_a_lone_short_note_right_before_another_is_its_grace_and_one_of_a_run_is_not() -> None:
    grace = [Note(1.0, 60, 1.4, 64), Note(1.96, 75, 2.0, 64), Note(2.0, 76, 2.5, 64)]
    assert [is_lone_grace(grace, k) for k in (0, 1)] == [False, True]
    run = [Note(0.05 * k, 60 + k, 0.05 * k + 0.05, 64) for k in range(4)]
    assert not any(is_lone_grace(run, k) for k in range(3))
    early = [Note(1.9, 75, 2.0, 64), Note(2.0, 76, 2.5, 64)]  # 100 ms
    assert not is_lone_grace(early, 0)
