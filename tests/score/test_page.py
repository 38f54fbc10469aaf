"""Dynamics, octave lines and repeats: made-up music and what a score shows of it."""

from __future__ import annotations

from fractions import Fraction as F  # noqa: N817

from transcribe.events import Note, Transcription
from transcribe.score.bars import Chord
from transcribe.score.dynamics import Dynamic, Hairpin, find_dynamics
from transcribe.score.notation import notate
from transcribe.score.octaves import OctaveLine, find_octave_lines
from transcribe.score.repeats import Content, Repeat, find_repeats


def played(loudness: list[int]) -> Transcription:
    """Quarters at 120 a minute, four a bar; one loudness a bar."""
    beats = tuple(0.5 * k for k in range(4 * len(loudness) + 1))
    notes = tuple(Note(t, 72, t + 0.45, loudness[k // 4]) for k, t in enumerate(beats[:-1]))
    return Transcription(notes, beats=beats, downbeats=beats[::4])


def dynamics(loudness: list[int]) -> tuple[list[Dynamic], list[Hairpin]]:
    t = played(loudness)
    return find_dynamics(t.notes, notate(t))


def test_phrases_have_marks_and_single_bars_do_not() -> None:
    assert dynamics([50] * 4 + [95] * 4)[0] == [Dynamic(F(0), "p"), Dynamic(F(16), "f")]
    assert dynamics([50, 52, 80, 49, 51, 50, 48, 50])[0] == [Dynamic(F(0), "p")]
    assert dynamics([64] * 6) == ([], [])


def test_a_hairpin_leads_where_it_becomes_louder_bar_by_bar() -> None:
    marks, hairpins = dynamics([48] * 4 + [60, 74, 88, 96, 96, 96, 96])
    assert [mark.mark for mark in marks][:: len(marks) - 1] == ["p", "f"]
    assert [(hairpin.louder, hairpin.end) for hairpin in hairpins][-1] == (True, marks[-1].place)
    assert dynamics([48] * 4 + [96] * 4)[1] == []


def chords(pitches: list[int]) -> list[Chord]:
    return [Chord(F(k), F(1), (pitch,), (k,)) for k, pitch in enumerate(pitches)]


def test_towers_of_ledger_lines_are_written_an_octave_lower() -> None:
    high = chords([72, 91, 93, 96, 93, 91, 76])
    every = [True] * 7
    assert find_octave_lines(high, every, every) == [OctaveLine(1, 5, True)]
    assert find_octave_lines(high, [False] * 7, every) == []
    assert find_octave_lines(high, every, [True, True, False, True, True, True, True]) == []
    assert find_octave_lines(chords([72, 91, 72]), [True] * 3, [True] * 3) == []
    low = chords([48, 28, 26, 24, 26, 48])
    assert find_octave_lines(low, [False] * 6, [True] * 6) == [OctaveLine(1, 4, False)]


def bars(names: str) -> list[Content]:
    """Bars of four notes; those of one letter are the same."""
    return [("4/4", frozenset((beat, name) for beat in range(4))) for name in names]


def repeats(names: str, tied: int | None = None) -> list[Repeat]:
    return find_repeats(bars(names), [number == tied for number in range(len(names))])


def test_what_returns_at_once_is_written_once() -> None:
    assert repeats("abcdabcdefgh") == [Repeat(0, 4)]
    assert repeats("xabcdabcdy") == [Repeat(1, 4)]
    assert repeats("abcdefghijklmnop") == []
    assert repeats("abcabc") == []
    assert repeats("abcdxabcd") == []


def test_the_last_bar_may_differ() -> None:
    found = repeats("abcdefgxabcdefgy")
    assert found == [Repeat(0, 8, 1)]
    assert found[0].second_ending == 15


def test_no_repeat_begins_or_ends_within_a_note() -> None:
    assert repeats("abcdabcdefgh", tied=4) == []
    assert repeats("abcdabcdefgh", tied=2) == [Repeat(0, 4)]


def test_the_longest_repeat_is_taken() -> None:
    assert repeats("abcdabcd" * 2) == [Repeat(0, 8)]
