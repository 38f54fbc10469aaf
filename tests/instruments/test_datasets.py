from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.signals import tone
from transcribe.errors import InputError, UsageError
from transcribe.instruments.datasets import (
    DATASETS,
    family_named,
    load_clips,
    load_irmas,
    load_nsynth,
    load_openmic,
    read_spans,
)
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


def test_openmic(tmp_path: Path) -> None:
    for key in ("000046_3840", "000135_483840"):
        tone(tmp_path / f"audio/000/{key}.ogg", 440.0, 0.2)
    (tmp_path / "openmic-2018-aggregated-labels.csv").write_text(
        "sample_key,instrument,relevance,num_responses\n000046_3840,clarinet,0.17,3\n000046_3840,flute,0.0,3\n"
        "000135_483840,mallet_percussion,0.7,3\n000135_483840,guitar,0.5,3\n000135_483840,ukulele,1.0,3\n"
    )
    (tmp_path / "partitions").mkdir()
    (tmp_path / "partitions/split01_train.csv").write_text("000046_3840\n")
    (tmp_path / "partitions/split01_test.csv").write_text("000135_483840\n")
    (clip,) = load_dataset("openmic", tmp_path)
    assert (clip.audio.stem, clip.tags, clip.absent) == ("000135_483840", ("guitar", "mallets"), ())
    (clip,) = DATASETS["openmic"].pieces(tmp_path, "train")
    assert (clip.tags, clip.absent, clip.vocabulary) == ((), ("clarinet", "flute"), "instruments")
    (tmp_path / "openmic-2018-aggregated-labels.csv").write_text("sample_key,instrument\na,b\n")
    with pytest.raises(InputError, match="not OpenMIC's"):
        load_openmic(tmp_path)
    assert load_openmic(tmp_path / "audio") == []


def test_spans(tmp_path: Path) -> None:
    tone(tmp_path / "mix/Song.wav", 440.0, 0.2)
    labels = tmp_path / "labels/Song.instruments.tsv"
    labels.parent.mkdir()
    labels.write_text(
        "0.00\t1.50\tdistorted electric guitar\t02\n0.5\t2\tmale singer\n1\t2\tclaps\n1\t2\tdrum set\t00\n"
    )
    (piece,) = load_dataset("spans", tmp_path)
    assert piece.read is not None
    truth = piece.read(piece.labels)
    assert [(tag.onset, tag.offset, tag.label) for tag in truth.instruments] == [
        (0.0, 1.5, "guitar"),
        (0.5, 2.0, "vocal"),
        (1.0, 2.0, "drums"),
    ]
    assert [family_named(name) for name in ("violin", "Electric Bass", "vibraphone solo", "")] == [
        "string",
        "bass",
        None,
        None,
    ]
    labels.write_text("0 1 guitar\n")
    with pytest.raises(InputError, match="not a table"):
        read_spans(labels)
