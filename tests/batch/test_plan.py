from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from transcribe.batch.plan import find_recordings, plan
from transcribe.errors import InputError, OutputError, UsageError
from transcribe.formats.table import format_of


@pytest.fixture(autouse=True)
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("a.wav", "b.mp3", "notes.txt", "deep/c.FLAC", "deep/a.wav"):
        path = tmp_path / "music" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def outputs(inputs: list[str], *args: Any, recursive: bool = False) -> list[list[str]]:
    return [
        [Path(path).as_posix() for path, _ in job.outputs] for job in plan(find_recordings(inputs, recursive), *args)
    ]


def found(*inputs: str, recursive: bool = False) -> list[str]:
    return [Path(r.path).as_posix() for r in find_recordings(inputs, recursive)]


def test_files_folders_and_globs() -> None:
    assert found("music") == ["music/a.wav", "music/b.mp3"]
    assert len(found("music", recursive=True)) == 4
    assert found("music/*") == ["music/a.wav", "music/b.mp3", "music/deep/a.wav", "music/deep/c.FLAC"]
    assert found("music/b.mp3", "music", "./music/a.wav") == ["music/b.mp3", "music/a.wav"]


def test_what_cannot_be_expanded_fails_in_its_turn() -> None:
    Path("empty").mkdir()
    assert found("music/*.aac", "music/a.wav", "empty") == ["music/*.aac", "music/a.wav", "empty"]
    with pytest.raises(InputError, match="empty"):
        find_recordings([""])


def test_results_lie_beside_the_recording() -> None:
    assert outputs(["music/a.wav"]) == [["music/a.mid"]]
    assert outputs(["music/a.wav"], [], ["csv", "json"]) == [["music/a.csv", "music/a.json"]]


def test_results_go_to_a_file_a_folder_or_stdout() -> None:
    assert outputs(["music/a.wav"], ["x.json"]) == [["x.json"]]
    assert outputs(["music/a.wav"], ["x.mid", "y.csv"]) == [["x.mid", "y.csv"]]
    assert outputs(["music/a.wav"], ["-"]) == [["-"]]
    assert outputs(["music/a.wav"], ["new/"]) == [["new/a.mid"]]
    assert outputs(["music/a.wav"], ["music"]) == [["music/a.mid"]]
    (job,) = plan(find_recordings(["music/a.wav"]), ["-"], ["json"])
    assert job.outputs[0][1].name == "json"


def test_a_tree_keeps_its_folders() -> None:
    assert outputs(["music"], ["out"], recursive=True) == [
        ["out/a.mid"],
        ["out/b.mid"],
        ["out/deep/a.mid"],
        ["out/deep/c.mid"],
    ]


def test_recordings_of_one_name_keep_their_suffix() -> None:
    Path("music/a.mp3").touch()
    assert outputs(["music"], ["out"]) == [["out/a.mp3.mid"], ["out/a.wav.mid"], ["out/b.mid"]]
    with pytest.raises(UsageError, match="would both write"):
        plan(find_recordings(["music/a.wav", "music/deep/a.wav"]), ["out"])


@pytest.mark.parametrize(
    ("inputs", "output", "formats", "match"),
    [
        (["music/a.wav", "music/b.mp3"], ["-"], [], "one recording"),
        (["music/a.wav"], ["x.xyz"], [], "unknown format"),
        (["music/a.wav"], ["x.mid"], ["csv", "json"], "several formats"),
        (["music/a.wav"], [], ["tex"], "unknown format"),
        (["music/a.wav"], ["x.mid", "x.mid"], [], "would both write"),
        (["music/a.wav", "music/b.mp3"], ["x.mid"], [], "one file"),
        (["-"], [], [], "no name"),
    ],
)
def test_what_does_not_fit_is_a_usage_error(
    inputs: list[str], output: list[str], formats: list[str], match: str
) -> None:
    with pytest.raises(UsageError, match=match):
        plan(find_recordings(inputs), output, formats)


def test_a_recording_is_never_replaced_by_its_result() -> None:
    Path("odd.mid").touch()
    with pytest.raises(UsageError, match="would replace the recording"):
        plan(find_recordings(["odd.mid"]))


def test_a_missing_folder_is_an_output_error() -> None:
    with pytest.raises(OutputError, match="not there"):
        plan(find_recordings(["music/a.wav"]), ["nowhere/x.mid"])


def test_standard_input_into_a_folder() -> None:
    assert outputs(["-"], ["music/"]) == [["music/stdin.mid"]]
    assert format_of(Path("x.mid")).name == "midi"
