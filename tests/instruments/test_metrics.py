from __future__ import annotations

import pytest

from transcribe.events import Tag
from transcribe.instruments.metrics import judge, judge_spans


def test_figures_by_hand() -> None:
    truths = [("piano",), ("violin",), ("piano", "violin"), ("flute",)]
    found = [
        {"piano": 0.9, "violin": 0.2, "flute": 0.1, "drums": 0.99},  # drums are true of nothing here
        {"piano": 0.6, "violin": 0.5, "flute": 0.1},
        {"piano": 0.7, "violin": 0.8, "flute": 0.1},
        {"piano": 0.1, "violin": 0.2, "flute": 0.3},
    ]
    report = judge(truths, found, 0.5)
    assert (report.n_clips, report.accuracy, report.exact) == (4, 0.75, 0.75)
    assert report.classes["piano"] == (pytest.approx(2 / 3), 1.0, pytest.approx(0.8), 2)
    assert report.classes["violin"] == (1.0, 1.0, 1.0, 2)
    assert report.classes["flute"] == (0.0, 0.0, 0.0, 1)
    assert report.macro_f1 == pytest.approx(1.8 / 3)
    assert report.micro_f1 == pytest.approx(2 * (4 / 5) * (4 / 5) / (8 / 5))
    assert report.lrap == pytest.approx((1 + 0.5 + 1 + 1) / 4)
    assert report.confusion["violin"] == {"piano": 1}
    assert report.confusion["piano+violin"] == {"piano+violin": 1}
    report = judge([("piano", "violin"), ("violin",)], [{"violin": 0.9, "piano": 0.3}, {"violin": 0.2}], 0.5)
    assert report.confusion == {"piano+violin": {"violin": 1}, "violin": {"violin": 1}}
    report = judge([("piano", "violin"), ("flute",)], [{"violin": 0.9, "piano": 0.3}, {"violin": 0.2}], 0.5)
    assert report.confusion["piano+violin"] == {"other": 1}
    assert judge([], [], 0.5).accuracy == 0


def test_what_nobody_knows_does_not_count() -> None:
    truths, absent = [("guitar",), (), ("flute",)], [("flute",), ("flute",), None]
    found = [
        {"acoustic guitar": 0.1, "electric guitar": 0.7, "flute": 0.3},  # a guitar is either
        {"electric guitar": 0.9, "flute": 0.6},
        {"electric guitar": 0.2, "flute": 0.5},
    ]
    report = judge(truths, found, 0.5, absent)
    assert report.accuracy == report.exact == report.lrap == 1.0
    assert report.classes["guitar"] == (1.0, 1.0, 1.0, 1)
    assert report.classes["flute"] == (0.5, 1.0, pytest.approx(2 / 3), 1)
    assert report.mean_precision == pytest.approx((1 + 0.5) / 2)  # of flutes 0.6 is surer than 0.5
    assert report.of_all is None
    assert not report.confusion
    assert judge([()], [{"flute": 0.9}], 0.5, [("flute",)]).n_clips == 1


def test_the_likeliest_of_all_labels() -> None:
    found = [{"violin": 0.8, "cello": 0.1}, {"trumpet": 0.6, "cello": 0.5}, {"drums": 0.9, "snare drum": 0.8}]
    report = judge([("violin",), ("cello",), ("snare drum",)], found, 0.5)
    assert report.accuracy == 1.0  # no clip is a trumpet
    assert report.of_all == pytest.approx(2 / 3)
    assert report.calibration_error == pytest.approx((0.2 + 0.6 + 0.1) / 3)


def test_who_plays_when_by_hand() -> None:
    truth = [[Tag(0.0, 1.0, "drums", 1.0), Tag(0.0, 2.0, "bass", 1.0)], [Tag(0.0, 1.0, "drums", 1.0)]]
    found = [[Tag(0.0, 2.0, "drums", 0.9), Tag(0.0, 1.5, "bass", 0.9), Tag(0.0, 2.0, "flute", 0.9)], []]
    report = judge_spans(truth, found, [2.0, 1.0])
    assert report.classes["drums"] == (0.5, 0.5, 0.5, 2)
    assert report.classes["bass"] == (1.0, 0.75, pytest.approx(6 / 7), 2)
    assert report.micro_f1 == pytest.approx(2 * 25 / (35 + 40))  # a flute plays nowhere: it isn't asked for
