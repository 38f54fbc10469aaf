from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcribe.events import Chord, Metre, Transcription
from transcribe.score.chart import Section, bars_and_beats, has_bars, make_chart
from transcribe.score.sections import sections_of


def song(chords: str, beats: int = 40, first: int = 0, n_beats: int = 4) -> Transcription:
    """Chords as ``beat:label``, at two beats a second from 1 s on; the last ends with the last beat."""
    parsed = [part.split("=") for part in chords.split()]
    starts = [1 + float(beat) / 2 for beat, _ in parsed] + [1 + beats / 2]
    found = [Chord(on, off, label) for (on, off), (_, label) in zip(pairwise(starts), parsed, strict=True)]
    times = tuple(1 + i / 2 for i in range(beats))
    return Transcription(
        chords=tuple(found),
        beats=times,
        downbeats=times[first::n_beats],
        tempo=120.0,
        key="C major",
        duration=starts[-1],
    )


def test_a_chart_by_hand() -> None:
    chart = make_chart(song("-2=N 0=C:maj 4=A:min 5.9=F:maj 8.2=G:7 11.45=C:maj", beats=14))
    assert chart is not None
    assert (chart.lead_in, chart.n_beats, chart.time, chart.key, chart.tempo) == ((), 4, "4/4", "C major", 120.0)
    assert chart.sections == (
        Section(
            "",
            (
                ("C:maj",) * 4,
                ("A:min", "A:min", "F:maj", "F:maj"),
                ("G:7", "G:7", "G:7", "C:maj"),
                ("C:maj", "C:maj", "N", "N"),
            ),
        ),
    )


def test_a_lead_in_stands_apart() -> None:
    chart = make_chart(song("0=N 1=G:7 3=C:maj", beats=11, first=3))
    assert chart is not None
    assert chart.lead_in == (("G:7", "G:7"),)
    assert chart.sections == (Section("", (("C:maj",) * 4, ("C:maj",) * 4)),)
    chart = make_chart(song("-6=D:min 1=G:7 3=C:maj", beats=11, first=3))
    assert chart is not None
    assert chart.lead_in == (("D:min",), ("D:min",) * 4, ("D:min", "D:min", "G:7", "G:7"))


def test_bars_go_on_after_the_last_beat() -> None:
    chart = make_chart(song("0=C:maj 12=G:maj 16=F:maj 30=C:maj", beats=34))
    cut = song("0=C:maj 12=G:maj 16=F:maj 30=C:maj", beats=34)
    shorter = Transcription(
        chords=cut.chords, beats=cut.beats[:9], downbeats=cut.downbeats[:2], tempo=120.0, key="C major"
    )
    assert make_chart(shorter) == chart


def test_what_lasts_for_less_than_half_a_beat_is_left_out() -> None:
    chart = make_chart(song("0=C:maj 3.6=E:maj 3.9=A:min 4.3=F:maj", beats=8))
    assert chart is not None
    assert chart.sections[0].bars == (("C:maj",) * 4, ("F:maj",) * 4)


def test_without_bars_there_is_no_chart() -> None:
    t = song("0=C:maj")
    for lacking in (
        Transcription(chords=t.chords),
        Transcription(chords=t.chords, beats=t.beats),
        Transcription(chords=t.chords, beats=t.beats, downbeats=t.beats[:1]),
    ):
        assert not has_bars(lacking)
        assert make_chart(lacking) is None
        assert bars_and_beats(lacking) == [None]
    assert make_chart(Transcription(beats=t.beats, downbeats=t.downbeats)) is None
    assert make_chart(song("0=N")) is None
    far = Chord(200_000.0, 200_001.0, "C:maj")
    assert make_chart(Transcription(chords=(*t.chords, far), beats=t.beats, downbeats=t.downbeats)) is None


def test_places_by_hand() -> None:
    t = song("-5=N -1=C:maj 0=F:maj 1.6=G:maj 3=C:maj 12.4=A:min 50=F:maj", beats=52, first=3)
    assert bars_and_beats(t) == [(0, 1), (0, 1), (0, 2), (0, 4), (1, 1), (3, 2), (12, 4)]
    uneven = Transcription(
        chords=(Chord(1.5, 2.5, "C:maj"), Chord(2.5, 9, "F:maj")),
        beats=(0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0),
        downbeats=(0.0, 1.5, 2.5, 4.0),
    )
    assert bars_and_beats(uneven) == [(2, 1), (3, 1)]
    chart = make_chart(uneven)
    assert chart is not None
    assert [len(bar) for bar in chart.lead_in + chart.sections[0].bars[:4]] == [3, 2, 3, 3]


@given(
    st.lists(st.tuples(st.integers(1, 9), st.sampled_from(["C:maj", "A:min", "F:maj", "N"])), min_size=1, max_size=20),
    st.integers(0, 4),
    st.integers(2, 5),
    st.floats(-0.45, 0.45),
)
def test_chords_on_beats_stay_there(chords: list[tuple[int, str]], first: int, n_beats: int, shift: float) -> None:
    beats, on, words = [], 0, []
    for length, label in chords:
        words.append(f"{on + shift}={label}")
        beats += [label] * length
        on += length
    words.append(f"{on}=N")
    t = song(" ".join(words), beats=max(on, first + n_beats) + 1, first=first, n_beats=n_beats)
    starts = [sum(length for length, _ in chords[:i]) for i in range(len(chords))]
    for (bar, beat), start in zip([place or (-1, 0) for place in bars_and_beats(t)][:-1], starts, strict=True):
        expected = ((start - first) // n_beats + 1, (start - first) % n_beats + 1) if start >= first else (0, beat)
        assert (bar, beat) == expected
    chart = make_chart(t)
    if set(beats) == {"N"}:
        assert chart is None
        return
    assert chart is not None
    shown = [label for bar in (*chart.lead_in, *(b for s in chart.sections for b in s.bars)) for label in bar]
    wanted = beats[min(first, next(i for i, label in enumerate(beats) if label != "N")) :]
    while wanted[-1] == "N":
        wanted.pop()
    assert shown[: len(wanted)] == wanted
    assert set(shown[len(wanted) :]) <= {"N"}


@pytest.mark.parametrize(
    ("bars", "sections"),
    [
        ("", []),
        ("C F", [("", 2)]),
        ("C A F G D E B C", [("", 8)]),
        ("C A F G C A F G", [("A", 4), ("A", 4)]),
        ("C A F G D D E E C A F G", [("A", 4), ("B", 4), ("A", 4)]),
        ("X Y C A F G C A D E C A F G C A D E", [("A", 2), ("B", 8), ("B", 8)]),
        # AABA in 32 bars, with a coda.
        (
            "C A F G C A D E " * 2 + "F F G G D D E E " + "C A F G C A D E " + "C",
            [("A", 8), ("A", 8), ("B", 8), ("A", 8), ("C", 1)],
        ),
        # One beat of sixteen may differ.
        ("C A F G D D E E C A F F/G", [("A", 4), ("B", 4), ("A", 4)]),
    ],
)
def test_sections_by_hand(bars: str, sections: list[tuple[str, int]]) -> None:
    assert (
        sections_of([(name.split("/") * 4)[:4] if "/" not in name else ["F", "F", "G", "G"] for name in bars.split()])
        == sections
    )


@given(st.lists(st.lists(st.sampled_from("CFG"), min_size=2, max_size=4), max_size=30))
def test_sections_hold_every_bar(bars: list[list[str]]) -> None:
    found = sections_of(bars)
    assert sum(n for _, n in found) == len(bars)
    assert all(n > 0 for _, n in found)
    names = [name for name, _ in found]
    if len(found) > 1:
        assert names[0] == "A"
        assert "" not in names
        assert len(set(names)) < len(names)


def test_the_letters_go_on() -> None:
    phrase = [["C"], ["A"], ["F"], ["G"]]
    bars = [bar for i in range(30) for bar in [*phrase, *3 * [[f"{i}"]]]]
    names = [name for name, _ in sections_of(bars)]
    assert names[:4] == ["A", "B", "A", "C"]
    assert names[-1] == "AE"
    assert sections_of([["C"]] * 601) == [("", 601)]


def test_the_metre_that_was_found_is_named() -> None:
    beats = tuple(0.5 * k for k in range(17))
    t = Transcription(
        beats=beats, downbeats=beats[::2], chords=(Chord(0.0, 8.0, "C:maj"),), metres=(Metre(0.0, 8.0, "6/8"),)
    )
    chart = make_chart(t)
    assert chart is not None
    assert chart.time == "6/8"
    plain = make_chart(replace(t, metres=()))
    assert plain is not None
    assert plain.time == "2/4"
