"""Manifests that are torn, shared, full."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from transcribe.batch import manifest as manifests
from transcribe.batch.manifest import Line, Manifest
from transcribe.errors import OutputError


def line(name: str) -> Line:
    return Line(name, "00", (f"{name}.mid",), 1.0, 3, 0.1, None)


def done(path: Path, *names: str) -> list[bool]:
    manifest = Manifest(path)
    return [manifest.has(name, [f"{name}.mid"]) for name in names]


def written(path: Path, *names: str) -> Path:
    with Manifest(path) as manifest:
        for name in names:
            manifest.add(line(name))
    return path


def text(name: str) -> bytes:
    return json.dumps(line(name).__dict__).encode() + b"\n"


TORN = {
    "the last line is cut": (text("a") + text("b")[:30], "ab", [True, False]),
    "the next line is glued to it": (text("a") + text("b")[:30] + text("c"), "abc", [True, False, True]),
    "a line of its own": (text("a")[:40] + b"\n" + text("b"), "ab", [False, True]),
    "cut within its beginning": (text("a") + text("b")[:5], "ab", [True, False]),
    "zeros of a disk that lost power": (text("a") + b"\0" * 100 + b"\n" + text("c"), "ac", [True, True]),
    "two in a row": (text("a")[:20] + text("b")[:20] + text("c"), "abc", [False, False, True]),
}


@pytest.mark.parametrize("case", TORN)
def test_a_torn_line_is_a_recording_to_do_again(tmp_path: Path, case: str) -> None:
    content, names, expected = TORN[case]
    path = tmp_path / "m.jsonl"
    path.write_bytes(content)
    with pytest.warns(UserWarning, match="torn in"):
        assert done(path, *names) == expected
    with pytest.warns(UserWarning, match="torn in"):
        written(path, "z")
    assert path.read_bytes().endswith(text("z"))
    assert path.read_bytes().splitlines(keepends=True)[-1] == text("z")


def test_somebody_elses_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    for content in (b"my notes\n", b'{"input": "a.wav", "text": "b"}\n', b"[1]\n", b"12\n", b"\xff\xfe\n"):
        path.write_bytes(content)
        with pytest.raises(OutputError, match="line 1 is no line"):
            Manifest(path)
        assert path.read_bytes() == content


def test_nobody_cuts_off_what_another_writes(tmp_path: Path) -> None:
    path = written(tmp_path / "m.jsonl", "a")
    first, second = Manifest(path), Manifest(path)
    first.begin()
    second.begin()
    first.add(line("b"))
    second.add(line("c"))
    with pytest.raises(OutputError, match="another batch is writing it"):
        Manifest(path, anew=True).begin()
    # What another has not finished yet, as it seems, isn't cut off either.
    with path.open("ab") as file:
        file.write(text("d")[:20])
    with pytest.warns(UserWarning, match="torn"):
        third = Manifest(path)
    third.add(line("e"))
    for manifest in (first, second, third):
        manifest.__exit__(None, None, None)
    with pytest.warns(UserWarning, match="torn"):
        assert done(path, *"abcde") == [True, True, True, False, True]
    with Manifest(path, anew=True) as manifest:
        manifest.begin()
    assert path.read_bytes() == b""


def test_many_processes_lose_no_line(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    code = (
        "import sys; from tests.batch.test_manifest import line; from transcribe.batch.manifest import Manifest\n"
        "with Manifest(sys.argv[1]) as m:\n for i in range(200): m.add(line(f'{sys.argv[2]}-{i}-' + 'x' * 300))"
    )
    runs = [subprocess.Popen([sys.executable, "-c", code, str(path), str(i)]) for i in range(4)]
    assert [run.wait(60) for run in runs] == [0] * 4
    names = [json.loads(each)["input"] for each in path.read_text().splitlines()]
    assert len(set(names)) == len(names) == 800


@pytest.mark.skipif(sys.platform != "linux", reason="limits of a process")
def test_a_disk_that_fills_in_the_middle_of_a_line(tmp_path: Path) -> None:
    path = written(tmp_path / "m.jsonl", "a")
    size = path.stat().st_size
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Manifest(path) as manifest:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20, before[1]))
        try:
            with pytest.raises(OutputError, match="can't be written"):
                manifest.add(line("b"))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert path.read_bytes() == text("a")  # nothing of it stays
        manifest.add(line("c"))
    assert done(path, *"abc") == [True, False, True]


@pytest.mark.skipif(sys.platform != "linux", reason="limits of a process")
def test_a_disk_that_fills_while_another_writes(tmp_path: Path) -> None:
    path = written(tmp_path / "m.jsonl", "a")
    other = Manifest(path)
    other.begin()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Manifest(path) as manifest:
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 20, before[1]))
        try:
            with pytest.raises(OutputError, match="can't be written"):
                manifest.add(line("b"))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        manifest.add(line("c"))
        other.add(line("d"))
    other.__exit__(None, None, None)
    with pytest.warns(UserWarning, match="torn in 1 place"):
        assert done(path, *"abcd") == [True, False, True, True]


def test_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl

    def refuse(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", refuse)
    path = written(tmp_path / "m.jsonl", "a")
    written(path, "b")
    assert done(path, *"ab") == [True, True]
    monkeypatch.setitem(sys.modules, "fcntl", None)
    written(path, "c")
    with Manifest(path, anew=True) as manifest:
        manifest.add(line("d"))
    assert path.read_bytes() == text("d")


def test_two_batches_in_a_store_keep_each_others_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = pytest.importorskip("fsspec").filesystem("memory")
    monkeypatch.setattr(manifests, "_PART_SIZE", 150)
    path = "memory://both/m.jsonl"
    with Manifest(path) as one, Manifest(path) as other:
        for i in range(4):
            one.add(line(f"memory://one/{i}"))
            other.add(line(f"memory://other/{i}"))
    names = [f"memory://{who}/{i}" for who in ("one", "other") for i in range(4)]
    assert all(Manifest(path).has(name, [f"{name}.mid"]) for name in names)
    assert len(memory.find("/both")) >= 4
