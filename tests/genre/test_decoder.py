from __future__ import annotations

import numpy as np
import pytest

from transcribe.events import Tag
from transcribe.genre.decoder import probabilities, ranked, verdict


def test_what_is_said() -> None:
    genres = ranked(("blues", "rock", "pop", "jazz"), np.array([0.2, 0.5, 0.25, 0.05]), 12.0)
    assert genres[0] == Tag(0.0, 12.0, "rock", 0.5)
    assert verdict(genres, {"genre": {"threshold": 0.5}}) == "rock 50%"
    assert verdict(genres, {"genre": {"threshold": 0.6}}) == "unsure: rock 50%, pop 25%, blues 20%"
    assert verdict((), {}) == ""


def test_probabilities_by_hand() -> None:
    found = probabilities([np.log([0.8, 0.2]), np.log([0.4, 0.6])], 1.0)
    assert found == pytest.approx([0.6, 0.4])
    assert probabilities([np.array([900.0, -900.0])], 2.0) == pytest.approx([1, 0])
