from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch

from train.calibration import temperature_of
from train.genre import table
from transcribe.errors import InputError
from transcribe.genre.features import COLUMNS


def test_the_network_of_a_discriminant_analysis(rng: np.random.Generator) -> None:
    pytest.importorskip("sklearn", reason="scikit-learn isn't installed")
    labels = np.array(["a", "b", "c"])[np.arange(90) % 3]
    rows = np.exp(rng.standard_normal((90, len(COLUMNS)))) * 10.0 ** rng.integers(-3, 6, len(COLUMNS))
    rows[:, 0] += np.arange(90) % 3 * rows[:, 0].std()
    name, make = list(table.classifiers().items())[-1]
    assert "discriminant" in name
    fitted = make().fit(rows, labels)
    with torch.inference_mode():
        found = table.network_of(fitted)(torch.from_numpy(rows).float()).numpy()
    np.testing.assert_allclose(found, fitted.decision_function(rows), rtol=1e-3, atol=1e-2)


def test_statistics_by_hand() -> None:
    assert table.interval(0, 10)[0] == 0.0
    low, high = table.interval(5, 10)
    assert (low, high) == (pytest.approx(0.1871, abs=1e-3), pytest.approx(0.8129, abs=1e-3))
    ours = np.array([True] * 6 + [False] * 1 + [True] * 3)
    theirs = np.array([False] * 6 + [True] * 1 + [True] * 3)
    assert table.mcnemar(ours, theirs) == pytest.approx(2 * (1 + 7) / 2**7)
    assert table.mcnemar(ours, ours) == 1.0
    logits = np.array([[2.0, 0.0]] * 75 + [[0.0, 2.0]] * 25)
    # Right three times in four: the odds are 3, the logits' difference should be log 3.
    assert temperature_of(logits, np.zeros(100, int)) == pytest.approx(2 / np.log(3), rel=0.05)


def test_the_table_is_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="lists"):
        table.read_table(tmp_path)
    for split in ("train", "valid", "test"):
        (tmp_path / f"{split}_filtered.txt").write_text(f"blues/{split}.wav\n")
    with (tmp_path / "features_30_sec.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["filename", "length", *COLUMNS, "label"])
        for i, split in enumerate(("train", "valid", "test")):
            writer.writerow([f"{split}.wav", 661794, *[i] * len(COLUMNS), "blues"])
    read = table.read_table(tmp_path)
    assert read["validation"][0].tolist() == [[1.0] * len(COLUMNS)]
    assert read["test"][1].tolist() == ["blues"]
    (tmp_path / "features_30_sec.csv").write_text("filename,label\ntrain.wav,blues\n")
    with pytest.raises(InputError, match="57 features"):
        table.read_table(tmp_path)
