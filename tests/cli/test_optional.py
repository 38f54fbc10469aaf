"""Packages that only some of the program needs: where one is missing, a line says what to install."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Call, one_line
from transcribe.batch.pool import sendable
from transcribe.cli.console import describe
from transcribe.events import Note, Transcription
from transcribe.files import save


@pytest.mark.parametrize(
    ("missing", "arguments", "remedy"),
    [
        ("ray", "song.wav --ray -o out", "'pitchai[ray]'"),
        ("fsspec", "s3://bucket/in -o out", "'pitchai[ray]'"),
        ("fsspec", "https://here.invalid/song.wav -o new.mid", "'pitchai[ray]'"),
        ("fsspec", "chords https://here.invalid/song.wav", "'pitchai[ray]'"),
        ("fsspec", "song.wav -o s3://bucket/out", "'pitchai[ray]'"),
        ("fsspec", "song.wav -o new.mid --manifest s3://bucket/m.jsonl", "'pitchai[ray]'"),
        ("s3fs", "s3://bucket/in -o out", "s3fs"),
        ("s3fs", "song.wav -o s3://bucket/out/", "s3fs"),
        ("gcsfs", "gs://bucket/in -o out", "gcsfs"),
        ("adlfs", "az://bucket/in -o out", "adlfs"),
        ("aiohttp", "chords https://here.invalid/song.wav", "'fsspec[http]'"),
        ("music21", "song.wav -o song.musicxml", "'pitchai[score]'"),
        ("music21", "convert song.json song.mxl", "'pitchai[score]'"),
        ("verovio", "convert song.json song.score.svg", "'pitchai[score]'"),
        ("verovio", "song.wav -o song.pdf", "'pitchai[score]'"),
        ("typst", "convert song.json song.pdf", "'pitchai[score]'"),
        ("uvicorn", "serve", "'pitchai[serve]'"),
        ("starlette", "serve song.wav", "'pitchai[serve]'"),
        ("websockets", "serve", "'pitchai[serve]'"),
        ("librosa", "genre song.wav", "'pitchai[genre]'"),
        ("librosa", "song.wav --genre -o song.mid", "'pitchai[genre]'"),
        ("mcp", "mcp .", "'pitchai[mcp]'"),
        ("torch", "song.wav --device cuda -o song.mid", "'pitchai[gpu]'"),
        ("sounddevice", "live", "'pitchai[live]'"),
        ("rtmidi", "live --input song.wav --midi-out pitchai", "'pitchai[live]'"),
        ("soxr", "song.wav -o song.mid --no-chords --no-instruments", "soxr"),
        ("matplotlib", "convert song.json song.png", "matplotlib"),
    ],
)
def test_one_line_says_what_to_install(
    call: Call, wav: Path, monkeypatch: pytest.MonkeyPatch, missing: str, arguments: str, remedy: str
) -> None:
    if missing == "librosa":
        pytest.importorskip("torch", reason="the genre's network is run by torch, which is missed first")
    monkeypatch.chdir(wav.parent)
    save(Transcription((Note(0.0, 60, 1.0, 64),), duration=1.0), "song.json")
    if "://" in arguments and missing != "fsspec":
        registry = pytest.importorskip("fsspec.registry", reason="fsspec isn't installed")
        monkeypatch.setattr(registry, "_registry", {})  # which keeps what has been imported
        monkeypatch.setattr(registry, "registry", registry._registry)
        monkeypatch.delitem(sys.modules, "fsspec.implementations.http", raising=False)
    for name in [name for name in sys.modules if name.partition(".")[0] == missing]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    before = sorted(Path().rglob("*"))
    code, out, err = call(*arguments.split())
    assert (code, out) == (2, "")
    assert one_line(err)
    assert err.endswith(f": pip install {remedy}\n")
    assert sorted(Path().rglob("*")) == before


def test_a_worker_tells_what_is_missing() -> None:
    with pytest.raises(ModuleNotFoundError) as missing:
        import nowhere_at_all  # type: ignore[import-not-found]  # noqa: F401
    assert describe(sendable(missing.value)) == (
        "nowhere_at_all isn't installed, and is needed for this: pip install nowhere_at_all",
        2,
    )
