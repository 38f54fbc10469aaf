from __future__ import annotations

import pytest

from transcribe.genre.metrics import judge


def test_figures_by_hand() -> None:
    report = judge(["a", "a", "b", "b"], ["a", "b", "b", "c"], [True, False, True, True], ["x: silent"])
    assert (report.n_clips, report.accuracy, report.sure) == (4, 0.5, 0.75)
    assert report.accuracy_sure == pytest.approx(2 / 3)
    assert report.classes["a"] == (1.0, 0.5, pytest.approx(2 / 3), 2)
    assert report.classes["b"] == (0.5, 0.5, 0.5, 2)
    assert report.macro_f1 == pytest.approx((2 / 3 + 0.5) / 2)
    assert report.confusion == {"a": {"a": 1, "b": 1}, "b": {"b": 1, "c": 1}}
    assert judge([], [], []).accuracy == 0
