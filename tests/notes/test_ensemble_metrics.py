"""Figures of instruments and drums, by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.formats.test_parts import BAND
from transcribe.events import Drum, Note, Transcription
from transcribe.notes.ensemble_metrics import (
    Counts,
    count_families,
    match_strokes,
    score_drums,
    score_families,
    score_together,
    total,
)
from transcribe.notes.metrics import METRICS, compare, score

REFERENCE = [Note(0.0, 60, 1.0, 80, 1.0, "piano"), Note(0.0, 67, 1.0, 80, 1.0, "voice"), Note(2.0, 60, 3.0, 80)]


def test_a_note_of_the_wrong_family_is_wrong() -> None:
    estimate = [REFERENCE[0], replace(REFERENCE[1], instrument="reed"), REFERENCE[2]]
    assert score_families(REFERENCE, REFERENCE) == (1.0, 1.0, 1.0)
    assert score_families(REFERENCE, estimate) == pytest.approx((2 / 3, 2 / 3, 2 / 3))


def test_onsets_and_offsets_count_as_elsewhere() -> None:
    late = [replace(REFERENCE[0], onset=0.04, offset=1.5), replace(REFERENCE[1], onset=0.06)]
    assert score_families(REFERENCE, late) == pytest.approx((1 / 2, 1 / 3, 2 / 5))
    assert score_families(REFERENCE, late, 0.2) == (0.0, 0.0, 0.0)


def test_nothing_of_nothing_is_right_and_something_of_nothing_wrong() -> None:
    assert score_families([], []) == (1.0, 1.0, 1.0)
    assert score_families(REFERENCE, []) == score_families([], REFERENCE) == (0.0, 0.0, 0.0)
    assert score_drums([], []) == {"drums": (1.0, 1.0, 1.0)}


def test_strokes_match_once_within_50_ms() -> None:
    assert match_strokes([1.0], [1.04]) == [(0, 0)]
    assert len(match_strokes([1.0, 2.0], [1.04, 1.045, 2.06])) == 1
    assert match_strokes([], [1.0]) == []


def test_counts_of_each_family_add_up() -> None:
    estimate = [REFERENCE[0], replace(REFERENCE[1], instrument="reed"), REFERENCE[2]]
    counts = count_families(REFERENCE, estimate)
    assert counts == {None: (1, 1, 1), "piano": (1, 1, 1), "reed": (0, 0, 1), "voice": (0, 1, 0)}
    assert total(counts.values()) == (2, 3, 3)
    assert total([]) == Counts(0, 0, 0)


def test_a_wider_tolerance_counts_for_instruments_too() -> None:
    labels, late = (Transcription(notes=(Note(at, 60, at + 1, 80, 1.0, "reed"),)) for at in (0.0, 0.08))
    assert score("a", labels, late).scores["note_instrument"].f1 == 0
    assert score("a", labels, late, onset_tolerance=0.1).scores["note_instrument"].f1 == 1


def test_multi_counts_notes_with_offsets_and_drums_by_onset() -> None:
    """As mt3 counts them: two notes and two strokes of which one each is right."""
    labels = REFERENCE[:2], [Drum(0.0, "bass drum", 0), Drum(0.5, "hi-hat", 0)]
    found = [REFERENCE[0], replace(REFERENCE[1], offset=2.0)], [Drum(0.01, "bass drum", 0)]
    assert score_together(labels, found) == pytest.approx((2 / 3, 2 / 4, 4 / 7))
    assert score_together(([], []), ([], [])) == (1.0, 1.0, 1.0)


def test_strokes_within_50_ms_of_of_their_class() -> None:
    reference = [Drum(0.0, "bass drum", 0), Drum(0.5, "bass drum", 0), Drum(0.5, "hi-hat", 0)]
    estimate = [Drum(0.04, "bass drum", 90), Drum(0.56, "bass drum", 90), Drum(0.5, "snare drum", 90)]
    assert score_drums(reference, estimate) == {
        "drums": pytest.approx((1 / 3, 1 / 3, 1 / 3)),
        "bass drum": (0.5, 0.5, 0.5),
        "hi-hat": (0.0, 0.0, 0.0),
    }


def test_the_report_has_them_where_the_labels_do() -> None:
    everything = score("a", BAND, BAND).scores
    assert {"note", "note_instrument", "note_offset_instrument", "multi", "pedal", "drums", "snare drum"} <= set(
        everything
    )
    assert "toms" not in everything
    assert all(one.f1 == 1 for one in everything.values())
    assert set(everything) <= set(METRICS)
    plain = Transcription(notes=(Note(0.0, 60, 1.0, 80),))
    assert not {"note_instrument", "multi", "drums"} & set(score("a", plain, BAND).scores)


def test_of_drums_alone_nothing_is_said_about_notes() -> None:
    drums = Transcription(drums=BAND.drums, duration=1.0)
    report = compare(drums, BAND)
    assert set(report.means) == {"drums", "bass drum", "snare drum", "hi-hat"}
    assert b"drums 1.000" in report.page("a", [(report.pieces[0], drums, BAND)])
