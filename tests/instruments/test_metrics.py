from __future__ import annotations

import pytest

from transcribe.instruments.metrics import judge


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
