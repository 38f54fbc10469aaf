from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.signals import tone
from transcribe.errors import InputError, UsageError
from transcribe.instruments.datasets import load_clips, load_irmas, load_nsynth
from transcribe.registry import load_dataset


def test_nsynth(tmp_path: Path) -> None:
    names = {"guitar_acoustic_001-060-100": "guitar", "synth_lead_synthetic_011-050-050": "synth_lead"}
    for name in names:
        tone(tmp_path / "audio" / f"{name}.wav", 440.0, 0.2)
    examples = {name: {"instrument_family_str": family, "pitch": 60} for name, family in names.items()}
    (tmp_path / "examples.json").write_text(json.dumps(examples))
    clips = load_dataset("nsynth", tmp_path)
    assert [(clip.audio.stem, clip.tags, clip.vocabulary) for clip in clips] == [
        ("guitar_acoustic_001-060-100", ("guitar",), "families"),
        ("synth_lead_synthetic_011-050-050", ("synth lead",), "families"),
    ]
    (tmp_path / "examples.json").write_text(json.dumps({"x": {"instrument_family_str": "kazoo"}}))
    with pytest.raises(InputError, match="kazoo"):
        load_nsynth(tmp_path)
    (tmp_path / "examples.json").write_text("[")
    with pytest.raises(InputError, match="not NSynth's"):
        load_nsynth(tmp_path)


def test_irmas(tmp_path: Path) -> None:
    tone(tmp_path / "IRMAS-TrainingData/cel/[cel][cla]0001__1.wav", 440.0, 0.2)
    test = tone(tmp_path / "IRMAS-TestingData-Part1/01 - song-8.wav", 440.0, 0.2)
    test.with_suffix(".txt").write_text("pia\t\nvoi\t\n")
    clips = load_dataset("irmas", tmp_path)
    assert sorted(clip.tags for clip in clips) == [("cello",), ("piano", "voice")]
    test.with_suffix(".txt").write_text("kaz\n")
    with pytest.raises(InputError, match="kaz"):
        load_irmas(tmp_path)


def test_folders_of_clips(tmp_path: Path) -> None:
    for name in ("Violin_or_fiddle", "Hi_hat", "Double_bass"):
        tone(tmp_path / "a" / name / "1.ogg", 440.0, 0.2)
    assert [clip.tags for clip in load_clips(tmp_path / "a")] == [("double bass",), ("hi-hat",), ("violin",)]
    tone(tmp_path / "b/guitar/1.wav", 440.0, 0.2)
    tone(tmp_path / "b/flute/1.wav", 440.0, 0.2)
    assert {(clip.tags, clip.vocabulary) for clip in load_clips(tmp_path / "b")} == {
        (("flute",), "families"),
        (("guitar",), "families"),
    }
    tone(tmp_path / "c/kazoo/1.wav", 440.0, 0.2)
    with pytest.raises(InputError, match="kazoo"):
        load_dataset("clips", tmp_path / "c")
    for folder in (tmp_path / "none", tmp_path / "a" / "Hi_hat" / "empty"):
        if folder.name == "empty":
            folder.mkdir()
        with pytest.raises(InputError, match=folder.name):
            load_dataset("clips", folder)
    with pytest.raises(UsageError, match="no data set"):
        load_dataset("audioset", tmp_path)
