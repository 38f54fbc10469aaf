from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from transcribe.engine.weights import load_model
from transcribe.genre.features import COLUMNS
from transcribe.genre.network import GenreConfig, yeo_johnson
from transcribe.genre.task import GENRE


def test_the_power_of_yeo_and_johnson() -> None:
    stats = pytest.importorskip("scipy.stats")
    values = np.array([-3.0, -0.5, 0.0, 0.5, 3.0, 1e5])
    for exponent in (-0.3, 0.0, 0.4, 1.0, 2.0):
        column = torch.from_numpy(values).double()[:, None]
        found = yeo_johnson(column, torch.tensor([exponent]).double())[:, 0].numpy()
        np.testing.assert_allclose(found, stats.yeojohnson(values, exponent), rtol=1e-6)


def test_configurations_that_make_no_sense() -> None:
    wrongs: tuple[dict[str, Any], ...] = (
        {"network": "tree"},
        {"front": "mel"},
        {"network": "cnn"},
        {"labels": ("a",)},
        {"channels": ()},
        {"channels": (0,)},
    )
    for wrong in wrongs:
        with pytest.raises(ValueError, match=r"networks|belong|labels|channels"):
            GenreConfig(**{"network": "table", "front": "table", "labels": ("a", "b"), **wrong})


def test_the_shipped_weights_know_ten_genres() -> None:
    model = load_model(GENRE)
    assert len(model.network.config.labels) == 10
    assert model.network(torch.zeros(1, len(COLUMNS))).shape == (1, 10)
    assert all(value.dtype == torch.float32 for value in model.network.state_dict().values())
