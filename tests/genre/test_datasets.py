from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tests.signals import tone
from transcribe.errors import InputError, UsageError
from transcribe.genre.datasets import DATASETS, load_fma, load_gtzan


def test_gtzan(tmp_path: Path) -> None:
    for genre in ("blues", "rock"):
        for k in range(3):
            tone(tmp_path / "genres" / genre / f"{genre}.{k:05d}.wav", 300, 0.1)
    assert {clip.split for clip in load_gtzan(tmp_path)} == {""}
    with pytest.raises(UsageError, match="no lists"):
        DATASETS["gtzan"].pieces(tmp_path, "test")
    for name, k in (("train", 0), ("valid", 1), ("test", 2)):
        lines = [f"{genre}/{genre}.{k:05d}.wav\n" for genre in ("blues", "rock")][: 1 + (k < 2)]
        (tmp_path / f"{name}_filtered.txt").write_text("".join(lines))
    assert [clip.audio.name for clip in DATASETS["gtzan"].pieces(tmp_path, "test")] == ["blues.00002.wav"]
    assert len(DATASETS["gtzan"].pieces(tmp_path, "all")) == 5
    (tmp_path / "valid_filtered.txt").unlink()
    with pytest.raises(InputError, match="valid_filtered"):
        load_gtzan(tmp_path)
    with pytest.raises(InputError, match="no recordings found"):
        DATASETS["gtzan"].pieces(tmp_path / "genres" / "rock")


def fma(folder: Path) -> Path:
    """Four tracks as in FMA: metadata beside a tree of numbered mp3, one of them broken, one without a genre."""
    rows = [
        ["", "set", "set", "track", "track"],
        ["", "split", "subset", "genre_top", "title"],
        ["track_id", "", "", "", ""],
        ["2", "training", "small", "Hip-Hop", "Food"],
        ["5", "validation", "small", "Hip-Hop", "a, comma"],
        ["140", "test", "small", "Folk", "Queen"],
        ["141", "training", "small", "", "No genre"],
        ["150", "training", "small", "Folk", "No file"],
    ]
    (folder / "fma_metadata").mkdir(parents=True)
    with (folder / "fma_metadata/tracks.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    for number in (2, 5, 140, 141):
        tone(folder / f"fma_small/000/{number:06d}.mp3", 200.0 + number, 1.5)
    return folder / "fma_small"


def test_fma(tmp_path: Path) -> None:
    found = load_fma(fma(tmp_path))
    assert [(clip.audio.stem, *clip.tags, clip.split) for clip in found] == [
        ("000002", "Hip-Hop", "train"),
        ("000005", "Hip-Hop", "validation"),
        ("000140", "Folk", "test"),
    ]
    (tmp_path / "fma_metadata/tracks.csv").write_text("a,b\nc,d\n")
    with pytest.raises(InputError, match=r"not FMA's tracks\.csv"):
        load_fma(tmp_path / "fma_small")
    (tmp_path / "fma_metadata/tracks.csv").unlink()
    with pytest.raises(InputError, match=r"tracks\.csv is missing"):
        load_fma(tmp_path / "fma_small")
