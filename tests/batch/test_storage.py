"""Addresses: of clusters, and of recordings and results that are not on this machine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from transcribe.batch import manifest as manifests
from transcribe.batch import storage
from transcribe.batch.cluster import check_address
from transcribe.batch.manifest import Line, Manifest
from transcribe.cli.main import main as cli
from transcribe.errors import UsageError

SMALL = ["--model", "small", "--no-chords", "--no-instruments", "--quiet"]


def test_addresses_and_paths_are_told_apart() -> None:
    for address in ("s3://bucket/a.wav", "gs://b/a.wav", "az://b/a.wav", "memory://a.wav"):
        assert storage.is_remote(address)
        assert storage.plain(address) == storage.absolute(address) == storage.same(address) == address
    for path in ("a.wav", "/in/a.wav", "C:/in/a.wav", "-", "in//a.wav", "file:///in/a.wav"):
        assert not storage.is_remote(storage.plain(path))
    assert storage.plain("file:///in/a.wav") == "/in/a.wav"
    assert storage.join("s3://bucket/out/", Path("deep/a")) == "s3://bucket/out/deep/a"


def test_a_store_that_nobody_knows_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("fsspec")
    assert cli(["nowhere://bucket/a.wav"]) == 2
    assert capsys.readouterr().err.startswith("pitchai: nowhere://bucket/a.wav: ")


def test_what_is_no_address_is_refused() -> None:
    for address in ("auto", "local", "10.0.0.1:6379", "head:6379"):
        check_address(address)
    for address in ("music", "music/", "ray://head:10001", ":6379", "head:"):
        with pytest.raises(UsageError, match="no address"):
            check_address(address)


def test_memory_is_read_and_written_by_one_process(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    source = tmp_path / "in"
    source.mkdir()
    times = np.arange(8000) / 8000
    soundfile.write(source / "000.wav", 0.4 * np.sin(2 * np.pi * 440 * times) * np.exp(-3 * times), 8000)
    memory.put(f"{source}/", "/in/", recursive=True)
    command = ["memory://in", "-o", "memory://out/", *SMALL]
    assert cli(command) == 0
    assert cli([str(source), "-o", f"{tmp_path}/one/", *SMALL]) == 0
    assert memory.cat_file("/out/000.mid") == (tmp_path / "one" / "000.mid").read_bytes()
    assert cli(command) == 5
    assert cli([*command, "--skip-existing"]) == 0
    memory.cp_file("/in/000.wav", "/in/001.wav")
    capsys.readouterr()
    assert cli([*command, "--workers", "2"]) == 2
    assert "this process's own" in capsys.readouterr().err


def test_a_manifest_grows_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    fsspec = pytest.importorskip("fsspec")
    monkeypatch.setattr(manifests, "_PART_SIZE", 250)
    path = "memory://parts/m.jsonl"
    names = [f"memory://in/{i}.wav" for i in range(5)]
    with Manifest(path) as manifest:
        for name in names:
            manifest.add(Line(name, "00", (f"{name}.mid",), 1.0, 3, 0.1, None))
    assert len(fsspec.filesystem("memory").find("/parts")) == 3
    with Manifest(path) as manifest:
        assert manifest.resumed
        assert all(manifest.has(name, [f"{name}.mid"]) for name in names)
        assert not manifest.has("memory://in/5.wav", [])
    with Manifest(path, anew=True) as manifest:
        manifest.begin()
    assert fsspec.filesystem("memory").find("/parts") == ["/parts/m.jsonl"]
