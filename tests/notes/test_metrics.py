from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import FIVE_NOTES
from tests.test_datasets import make_maestro
from transcribe.events import Note, Pedal, Transcription
from transcribe.notes.metrics import NotesReport, Score, compare, evaluate, mean_scores, piano_roll, score_notes
from transcribe.notes.task import NotesModel
from transcribe.registry import load_dataset
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


def test_notes_a_minute() -> None:
    report = NotesReport((score_notes("a", FIVE_NOTES, FIVE_NOTES[:2]),), audio_seconds=30.0)
    assert report.notes_a_minute == (10.0, 4.0)
