"""Faults that were seen on real music, each as a small piece of its kind."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from transcribe.events import Metre, Note, Transcription
from transcribe.score.hands import find_hands
from transcribe.score.notation import keys_of_bars, notate
from transcribe.score.quantise import quantize, quantize_hands
from transcribe.theory.keys import find_keys

F = Fraction


def test_known_bars_are_kept_however_fine_the_rhythm_is() -> None:
    beats = tuple(2.0 * k for k in range(17))
    notes = tuple(Note(0.25 * k, 60 + k % 7, 0.25 * k + 0.2, 80) for k in range(128))
    told = Transcription(
        notes, beats=beats, downbeats=beats[::2], metres=(Metre(0.0, 34.0, "2/4"),), beat_confidence=1.0
    )
    notation = notate(told)
    assert {bar.length for bar in notation.bars} == {F(2)}
    assert {bar.beat for bar in notation.bars} == {F(1)}
    assert notation.tempo == 30.0


def test_beats_of_two_and_of_three_parts_keep_their_lengths() -> None:
    # Four bars of 2/4, then four of 6/8, in eighths of half a second.
    beats = (*(1.0 * k for k in range(8)), *(8.0 + 1.5 * k for k in range(9)))
    notes = tuple(Note(0.5 * k, 60 + k % 5, 0.5 * k + 0.45, 80) for k in range(40))
    told = Transcription(
        notes,
        beats=beats,
        downbeats=beats[::2],
        metres=(Metre(0.0, 8.0, "2/4"), Metre(8.0, 20.0, "6/8")),
        beat_confidence=1.0,
    )
    notation = notate(told)
    assert [bar.length for bar in notation.bars][:8] == [F(2)] * 4 + [F(3)] * 4
    written = {i: chord for hand in notation.hands for voice in hand for chord in voice for i in chord.indices}
    assert [written[i].start for i in range(40)] == [F(i, 2) for i in range(40)]


def test_a_figure_is_written_the_same_way_from_bar_to_bar() -> None:
    # Triplets, of which every fourth is hurried so that it lies nearer to sixteenths.
    places = [beat + k / 3 for beat in range(32) for k in range(3)]
    hurried = [beat + ((0, 0.285, 0.58)[k] if beat % 4 == 3 else k / 3) for beat in range(32) for k in range(3)]
    found, divided = quantize(0.6 * np.array(hurried), [0.6 * k for k in range(34)])
    assert found == [F(round(3 * place), 3) for place in places]
    assert set(divided.values()) == {3}


def test_an_even_figure_stays_even_when_it_is_slowed_down() -> None:
    slowed = [beat + x for beat in range(8) for x in (0.0, 0.19, 0.42, 0.69)]
    found, _ = quantize(0.8 * np.array(slowed), [0.8 * k for k in range(10)])
    assert found == [F(k, 4) for k in range(32)]


def test_hands_that_strike_together_are_written_together() -> None:
    right = [0.5 * k for k in range(16)]
    left = [0.5 * k + (0.03 if k % 2 else 0.0) for k in range(16)]
    (upper, _), (lower, _) = quantize_hands([right, left], [1.0 * k for k in range(10)])
    assert upper == lower


def test_an_arpeggio_across_middle_c_is_one_hands() -> None:
    low = [Note(0.4 * k, 36, 0.4 * k + 0.3, 70) for k in range(16)]
    wave = [Note(0.1 * k + 0.002, 55 + (0, 4, 9, 12, 9, 4)[k % 6], 0.1 * k + 0.1, 70) for k in range(64)]
    notes = sorted(low + wave)
    right = find_hands(notes)
    assert [bool(hand) for note, hand in zip(notes, right, strict=True)] == [note.pitch != 36 for note in notes]


def test_each_section_has_its_key() -> None:
    notes, time = [], 0.0
    for tonic in (60, 64, 60):
        for _ in range(20):
            for chord in ((0, 4, 7), (5, 9, 12), (7, 11, 14), (0, 4, 7)):
                notes += [Note(time, tonic + tone, time + 0.5, 80) for tone in chord]
                time += 0.5
    keys = find_keys(notes)
    assert [key.label for key in keys] == ["C major", "E major", "C major"]
    beats = tuple(0.5 * k for k in range(241))
    told = Transcription(tuple(notes), beats=beats, downbeats=beats[::4], keys=keys, key="C major")
    assert set(keys_of_bars(told, notate(told))) == {"C major", "E major"}
