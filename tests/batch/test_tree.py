"""Folders and patterns: what is left out, what is deep, what leads round."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.batch.stand_in import worker
from transcribe.batch import storage, tree
from transcribe.batch.plan import find_recordings, plan
from transcribe.errors import InputError
from transcribe.events import Transcription


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def names(*inputs: str | Path, recursive: bool = True) -> list[str]:
    return [one.name for one in find_recordings(list(map(str, inputs)), recursive)]


LEFT_OUT = [
    "._x.wav", ".hidden.wav", ".Trashes/x.wav", "__MACOSX/x.wav", "__MACOSX/._x.wav", "@eaDir/x.mp3/x.mp3",
    "a/.b/c/x.wav", "#recycle/x.wav", "$RECYCLE.BIN/x.wav", "System Volume Information/x.wav", "lost+found/x.wav",
    "Thumbs.db", ".DS_Store",
]  # fmt: skip


def test_what_is_hidden_or_a_systems_own_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "x.wav", "a/x.wav", *LEFT_OUT)
    assert names(tmp_path) == ["a/x.wav", "x.wav"]
    monkeypatch.chdir(tmp_path)
    assert names("**/*.wav") == ["a/x.wav", "x.wav"]
    assert names("*.wav", recursive=False) == ["x.wav"]
    # What is named is wanted.
    assert names(".hidden.wav", "._*.wav", "__MACOSX/x.wav") == [".hidden.wav", "._x.wav", "x.wav"]
    assert names(".Trashes") == ["x.wav"]


def test_a_store_is_searched_like_a_folder() -> None:
    memory = pytest.importorskip("fsspec").filesystem("memory")
    for name in ("x.wav", "a/x.wav", *LEFT_OUT):
        memory.pipe_file(f"/hidden/{name}", b"")
    assert names("memory://hidden") == ["a/x.wav", "x.wav"]
    assert names("memory://hidden/*.wav") == ["x.wav"]


def test_recordings_of_one_name_are_called_by_their_path(tmp_path: Path) -> None:
    touch(tmp_path, "a/x.wav", "b/x.wav", "b/y.wav")
    assert names(tmp_path / "a", tmp_path / "b") == [f"{tmp_path}/a/x.wav", f"{tmp_path}/b/x.wav", "y.wav"]


def fail(path: str) -> Transcription:
    raise InputError(f"{Path(path).name}: can't decode")


def test_an_error_names_the_path_below_the_folder(tmp_path: Path) -> None:
    touch(tmp_path, "deep/x.wav")
    (job,) = plan(find_recordings([str(tmp_path)], recursive=True), [f"{tmp_path}/out/"])
    with pytest.raises(InputError, match=r"^deep/x\.wav: can't decode$"):
        worker(fail)(job)


@pytest.fixture
def deep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder 990 deep, below ``in``; it and its like below ``out`` are removed, which pytest would not manage."""
    monkeypatch.chdir(tmp_path)
    inside = Path(*["d"] * 990)
    for folder in reversed([Path("in", inside), *Path("in", inside).parents][:-1]):
        folder.mkdir()
    yield inside
    for top in ("in", "out"):
        for path in Path(top, inside).iterdir():
            path.unlink()
        for folder in [Path(top, inside), *Path(top, inside).parents][:-1]:
            folder.rmdir()


def test_folders_a_thousand_deep(deep: Path) -> None:
    Path("in", deep, "x.wav").touch()
    assert names("in") == [str(deep / "x.wav")]
    assert names("in/**/x.wav") == ["x.wav"]
    (job,) = plan(find_recordings(["in"], recursive=True), ["out/"])
    storage.check_writable(job.outputs[0][0], overwrite=False)
    storage.write(job.outputs[0][0], b"whole")
    assert Path("out", deep, "x.mid").read_bytes() == b"whole"


@pytest.mark.parametrize("links", [["loop"], ["a/up", "a/also"], ["a/b/up", "loop", "other"]])
def test_a_pattern_ends_where_links_lead_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: list[str]
) -> None:
    touch(tmp_path, "in/x.wav", "in/a/b/y.wav")
    for link in links:
        (tmp_path / "in" / link).symlink_to(tmp_path / "in")
    monkeypatch.chdir(tmp_path)
    assert sorted(tree.matching("in/**/*.wav")) == ["in/a/b/y.wav", "in/x.wav"]
    assert sorted(tree.matching("in/**/b/**/*.wav")) == ["in/a/b/y.wav"]
    assert names("in") == ["a/b/y.wav", "x.wav"]


def test_a_pattern_follows_a_link_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "elsewhere/x.wav", "in/y.wav")
    (tmp_path / "in" / "link").symlink_to(tmp_path / "elsewhere")
    monkeypatch.chdir(tmp_path)
    assert sorted(tree.matching("in/**/*.wav")) == ["in/link/x.wav", "in/y.wav"]
    assert tree.matching("in/**/nothing.wav") == []


@pytest.mark.skipif(os.getuid() == 0, reason="root may read everything")
def test_a_folder_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    touch(tmp_path, "open/x.wav", "closed/x.wav")
    (tmp_path / "closed").chmod(0)
    try:
        found = find_recordings([str(tmp_path)], recursive=True)
    finally:
        (tmp_path / "closed").chmod(0o700)
    assert [one.fault for one in found] == [None, "can't be read: Permission denied"]


def test_a_folder_that_is_too_deep_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "in/x.wav", "in/closed/x.wav")
    scandir = os.scandir

    def refusing(path: str) -> object:
        if path.endswith("closed"):
            raise OSError(36, "File name too long")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    found = find_recordings([str(tmp_path / "in")], recursive=True)
    assert [(one.name, one.fault) for one in found] == [
        ("x.wav", None),
        (f"{tmp_path}/in/closed", "can't be read: File name too long"),
    ]
    assert [job.outputs for job in plan(found, [f"{tmp_path}/out/"])][1] == ()
