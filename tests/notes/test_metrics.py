from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import FIVE_NOTES
from tests.test_datasets import make_maestro
from transcribe.errors import InputError
from transcribe.events import Note, Pedal, Transcription
from transcribe.notes.metrics import (
    NotesReport,
    PieceScores,
    Score,
    compare,
    evaluate,
    judge,
    mean_scores,
    piano_roll,
    score_notes,
)
from transcribe.notes.task import NotesModel
from transcribe.registry import load_dataset
from transcribe.report.tables import Table
from transcribe.transcriber import Transcriber


def approx_score(value: float) -> Score:
    """Precision, recall and F1 that are all of one value, but for rounding."""
    expected: Any = pytest.approx(value)
    return Score(expected, expected, expected)


def test_perfect_is_one() -> None:
    scores = score_notes("a", FIVE_NOTES, FIVE_NOTES)
    assert {score.f1 for score in scores.scores.values()} == {1.0}
    assert scores.exact_slices == 1.0


def test_figures_worked_out_by_hand() -> None:
    estimate = [
        FIVE_NOTES[0],  # right
        replace(FIVE_NOTES[1], offset=1.25),  # ends 250 ms early, allowed 100 ms
        replace(FIVE_NOTES[2], onset=1.56),  # 60 ms late: missed, and one too many
        replace(FIVE_NOTES[3], onset=2.04),  # 40 ms late: right
        Note(2.0, 30, 2.9, 60),  # a ghost
    ]
    scores = score_notes("a", FIVE_NOTES, estimate).scores
    assert scores["note"] == approx_score(3 / 5)
    assert scores["note_offset"] == approx_score(2 / 5)
    # Frames of 10 ms: truth 50 + 50 + 50 + 90 + 90; heard 50 + 25 + 44 + 86 + 90, of which 90 are the ghost's.
    assert scores["frame"].precision == pytest.approx(205 / 295)
    assert scores["frame"].recall == pytest.approx(205 / 330)


def test_an_onset_of_exactly_50_ms_is_still_right() -> None:
    assert score_notes("a", [Note(1.0, 60, 2.0, 64)], [Note(1.05, 60, 2.0, 64)]).scores["note"].f1 == 1.0
    assert score_notes("a", [Note(1.0, 60, 2.0, 64)], [Note(1.051, 60, 2.0, 64)]).scores["note"].f1 == 0.0


def test_velocity_counts_after_a_linear_fit() -> None:
    halved = [replace(note, velocity=note.velocity // 2) for note in FIVE_NOTES]
    assert score_notes("a", FIVE_NOTES, halved).scores["note_velocity"].f1 == 1.0
    mixed = [replace(note, velocity=v) for note, v in zip(FIVE_NOTES, (1, 127, 1, 1, 127), strict=True)]
    assert score_notes("a", FIVE_NOTES, mixed).scores["note_velocity"].f1 < 1.0


def test_nothing_against_nothing_and_against_something() -> None:
    assert score_notes("a", [], []).scores["note"].f1 == 1.0
    assert score_notes("a", FIVE_NOTES, []).scores["note"].f1 == 0.0
    assert score_notes("a", [], FIVE_NOTES).scores["note"].f1 == 0.0
    assert score_notes("a", [], FIVE_NOTES).exact_slices == pytest.approx(50 / 290)


def test_labels_without_velocity_get_no_velocity_figures() -> None:
    silent = [replace(note, velocity=0) for note in FIVE_NOTES]
    assert set(score_notes("a", silent, FIVE_NOTES).scores) == {"note", "note_offset", "frame"}


def test_piano_roll_leaves_out_what_is_off_the_keyboard() -> None:
    roll = piano_roll([Note(0.0, 20, 1.0, 64), Note(0.0, 21, 0.02, 64), Note(0.03, 108, 0.0301, 64)], 5)
    assert roll.shape == (5, 88)
    assert roll[:, 0].tolist() == [True, True, False, False, False]
    assert roll[:, 87].tolist() == [False, False, False, True, False]


def test_means_over_pieces_that_have_the_metric() -> None:
    silent = [replace(note, velocity=0) for note in FIVE_NOTES]
    pieces = [score_notes("a", FIVE_NOTES, FIVE_NOTES), score_notes("b", silent, [])]
    means = mean_scores(pieces)
    assert means["note"].f1 == 0.5
    assert means["note_velocity"].f1 == 1.0
    assert mean_scores([]) == {}


def test_comparing_with_the_pedal() -> None:
    truth = Transcription(notes=(Note(0.0, 60, 0.5, 64),), pedals=(Pedal(0.3, 2.0),))
    heard = Transcription(notes=(Note(0.0, 60, 2.0, 64),))
    assert compare(truth, heard).means["note_offset"].f1 == 0.0
    assert compare(truth, heard, pedal_extended=True).means["note_offset"].f1 == 1.0
    assert "extended" in compare(truth, heard, pedal_extended=True).conventions


def test_a_data_set_is_listened_to_and_flattery_is_named(tmp_path: Path, tiny_model: NotesModel) -> None:
    pieces = load_dataset("maestro", make_maestro(tmp_path), "train")
    trained = replace(tiny_model, header={"trained_on": {"maestro": ["train"]}})
    seconds: list[float] = []
    report = evaluate(
        "maestro",
        pieces,
        Transcriber(tasks=("notes",), model=trained),
        thresholds=[0.5, 0.6],
        progress=lambda s, _: seconds.append(s),
    )
    assert [piece.name for piece in report.pieces] == ["piece0", "piece1"]
    assert report.audio_seconds == pytest.approx(6.0, abs=0.1)
    assert seconds == pytest.approx([3.0, 6.0], abs=0.1)
    assert report.cpu_seconds > 0
    assert set(report.sweep) == {0.5, 0.6}
    assert report.sweep[0.5]["note"] == report.means["note"]
    assert "trained on maestro (train)" in report.warnings[0]
    assert not evaluate("pairs", pieces, Transcriber(tasks=("notes",), model=trained)).warnings
    means: Any = report.to_dict()["means"]
    assert means["note"]["f1"] == report.means["note"].f1


def test_the_pedal_is_compared_frame_by_frame_where_the_labels_tell_it() -> None:
    truth = Transcription(notes=tuple(FIVE_NOTES), pedals=(Pedal(0.0, 1.0), Pedal(2.0, 3.0)))
    heard = replace(truth, pedals=(Pedal(0.5, 1.0), Pedal(2.0, 3.5)))
    pedal = compare(truth, heard).means["pedal"]
    assert (pedal.precision, pedal.recall) == (pytest.approx(1.5 / 2), pytest.approx(1.5 / 2))
    assert compare(truth, replace(heard, pedals=())).means["pedal"].f1 == 0.0
    assert "pedal" not in compare(replace(truth, pedals=()), truth).means


def test_the_pedals_beginnings_and_ends_are_events_too() -> None:
    truth = Transcription(notes=tuple(FIVE_NOTES), pedals=(Pedal(0.0, 1.0), Pedal(2.0, 3.0)))
    # One begins 40 ms late, ends right; one begins right and ends half a second late; one was never pressed.
    heard = replace(truth, pedals=(Pedal(0.04, 1.0), Pedal(2.0, 3.5), Pedal(5.0, 5.5)))
    means = compare(truth, heard).means
    assert means["pedal_onset"] == Score(2 / 3, 1.0, pytest.approx(0.8))  # type: ignore[arg-type]
    assert means["pedal_onset_offset"] == Score(1 / 3, 0.5, pytest.approx(0.4))  # type: ignore[arg-type]


def test_it_says_which_side_was_extended_by_a_pedal() -> None:
    notes = (Note(0.0, 60, 0.5, 64),)
    told, untold = Transcription(notes=notes, pedals=(Pedal(0.3, 2.0),)), Transcription(notes=notes)
    assert "on both sides in 1 of 1 pieces" in compare(told, told, pedal_extended=True).conventions
    assert "of what was heard alone in 1" in compare(untold, told, pedal_extended=True).conventions
    assert "of the labels alone in 1" in compare(told, untold, pedal_extended=True).conventions
    assert "nowhere" in compare(untold, untold, pedal_extended=True).conventions
    assert "key releases" in compare(told, told).conventions


def test_pieces_without_notes_are_reported_apart() -> None:
    right, half, nothing, ghosts = (
        score_notes("right", FIVE_NOTES, FIVE_NOTES),
        score_notes("half", FIVE_NOTES, []),
        score_notes("nothing", [], []),
        replace(score_notes("ghosts", [], FIVE_NOTES[:2]), seconds=30.0),
    )
    report = NotesReport((right, half, replace(nothing, seconds=30.0), ghosts))
    assert report.means["note"].f1 == 0.5
    assert report.exact_slices == pytest.approx((1.0 + half.exact_slices) / 2)
    assert [piece.name for piece in report.silent] == ["nothing", "ghosts"]
    assert "2 pieces without notes: 2 notes were found in them, 2.0 a minute" in list(report.tables())
    assert mean_scores([nothing]) == {}


def test_onsets_may_be_as_late_as_is_asked_for() -> None:
    late = tuple(replace(note, onset=note.onset + 0.08) for note in FIVE_NOTES)
    truth, heard = (Transcription(notes=notes) for notes in (tuple(FIVE_NOTES), late))
    assert compare(truth, heard).means["note"].f1 == 0.0
    report = compare(truth, heard, onset_tolerance=0.1)
    assert report.means["note"].f1 == report.means["note_velocity"].f1 == 1.0
    assert "onsets within 100 ms" in report.conventions


def test_intervals_and_the_comparison_of_two_systems() -> None:
    def pieces(*hits: int) -> tuple[PieceScores, ...]:
        return tuple(score_notes(str(i), FIVE_NOTES, FIVE_NOTES[:n]) for i, n in enumerate(hits))

    ours, theirs = NotesReport(pieces(5, 5, 4, 5)), NotesReport(pieces(4, 5, 5, 1))
    low, high = ours.intervals["note"]
    assert low < ours.means["note"].f1 < high
    # F1 of 4 of 5 notes is 8/9, of 1 of 5 is 1/3.
    difference = ours.compared(json.loads(json.dumps(theirs.to_dict()))).against["note"]
    assert difference.mean == pytest.approx((1 - 8 / 9 + 0 + 8 / 9 - 1 + 1 - 1 / 3) / 4)
    assert (difference.better, difference.worse) == (2, 1)
    assert difference.low < difference.mean < difference.high
    assert any(isinstance(t, Table) and "against" in t.title for t in ours.compared(theirs.to_dict()).tables())
    assert ours.compared({"pieces": []}).against == {}
    wrong: list[dict[str, object]] = [{}, {"pieces": [1]}, {"pieces": {"a": {}}}]
    for nonsense in wrong:
        with pytest.raises(InputError, match="no scores of pieces"):
            ours.compared(nonsense)


def test_a_table_of_pieces() -> None:
    silent = [replace(note, velocity=0) for note in FIVE_NOTES]
    report = NotesReport((score_notes("a, b", FIVE_NOTES, FIVE_NOTES[:4]), score_notes("c", silent, silent)))
    first, second = csv.DictReader(report.to_csv().decode().splitlines())
    assert (first["name"], first["n_reference"], first["n_estimate"]) == ("a, b", "5", "4")
    assert float(first["note_f1"]) == pytest.approx(8 / 9, abs=1e-6)
    assert float(first["note_recall"]) == pytest.approx(0.8)
    assert second["note_velocity_f1"] == ""


def test_confidence_is_compared_with_the_truth_and_what_is_broken_left_out(
    tmp_path: Path, tiny_model: NotesModel
) -> None:
    pieces = load_dataset("maestro", make_maestro(tmp_path), "train")
    pieces[0].audio.write_bytes(b"RIFF of nothing")
    missing = replace(pieces[1], name="missing", audio=tmp_path / "missing.wav")
    report = evaluate("pairs", [*pieces, missing], Transcriber(tasks=("notes",), model=tiny_model), reliability=True)
    assert [piece.name for piece in report.pieces] == ["piece1"]
    assert [any(name in line for name in ("piece0", "missing")) for line in report.left_out] == [True, True]
    for rows in report.reliability.values():
        assert sum(count for *_, count in rows) == report.pieces[0].n_estimate
    with pytest.raises(InputError, match="missing"):
        evaluate("pairs", [missing], Transcriber(tasks=("notes",), model=tiny_model))


def test_right_is_judged_by_the_onset_of_each_note() -> None:
    late = replace(FIVE_NOTES[0], onset=FIVE_NOTES[0].onset + 0.07, confidence=0.9)
    ghost = Note(9.0, 30, 9.5, 64, 0.2)
    assert judge(FIVE_NOTES, [late, ghost], 0.05) == [(0.9, False), (0.2, False)]
    assert judge(FIVE_NOTES, [late, ghost], 0.1) == [(0.9, True), (0.2, False)]


def test_notes_a_minute() -> None:
    report = NotesReport((score_notes("a", FIVE_NOTES, FIVE_NOTES[:2]),), audio_seconds=30.0)
    assert report.notes_a_minute == (10.0, 4.0)
