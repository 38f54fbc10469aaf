"""Names and addresses from outside: none leaves the output folder, is opened if unknown, or tells a secret."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np
import pytest
import soundfile

from tests.batch.stand_in import worker
from transcribe.batch import storage
from transcribe.batch.manifest import Line, Manifest
from transcribe.batch.plan import find_recordings, plan
from transcribe.cli.main import main as cli
from transcribe.errors import InputError, OutputError, TakenError, UsageError, without_secrets
from transcribe.events import Note, Tag, Transcription
from transcribe.formats.table import FORMATS

SMALL = ["--model", "small", "--no-chords", "--no-instruments", "--quiet"]


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def tone(path: Path) -> Path:
    times = np.arange(8000) / 8000
    soundfile.write(path, 0.4 * np.sin(2 * np.pi * 440 * times) * np.exp(-3 * times), 8000)
    return path


# Out of the folder --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["..", "../x.mid", "a/../../x.mid", "/etc/x.mid", "a/.."])
def test_one_function_keeps_names_below_their_folder(name: str) -> None:
    for folder in ("out", "out/", "s3://bucket/out", "/out"):
        with pytest.raises(OutputError, match="leads out"):
            storage.join(folder, PurePosixPath(name))


def test_names_of_windows_lead_out_too() -> None:
    for name in ("..\\x.mid", "C:x.mid", "C:\\x.mid", "\\\\server\\share\\x.mid"):
        assert storage.leads_out(PureWindowsPath(name))
    for name in ("..x.mid", "a..b/x.mid", ".../x.mid"):
        assert not storage.leads_out(PurePosixPath(name))


class Keys:
    """A store that holds whatever keys it is asked to; only S3 knows such keys."""

    protocol = "s3"

    def __init__(self, content: dict[str, bytes]) -> None:
        self.content = content

    def isdir(self, path: str) -> bool:
        return any(key.startswith(path.rstrip("/") + "/") for key in self.content)

    def exists(self, path: str) -> bool:
        return path in self.content

    def find(self, path: str, maxdepth: int | None = None) -> list[str]:
        return [key for key in self.content if key.startswith(path.rstrip("/") + "/")]

    def unstrip_protocol(self, path: str) -> str:
        return f"s3://{path}"

    def get_file(self, path: str, to: str, **_: object) -> None:
        Path(to).write_bytes(self.content[path])


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    content: dict[str, bytes] = {}
    monkeypatch.setattr(storage, "_open", lambda address: (Keys(content), address.removeprefix("s3://")))
    return content


HOSTILE = ["in/../../score.wav", "in/a/../../../x.wav", "in/..//..//x.wav", "in/b/../../up.wav"]


def test_keys_of_a_store_stay_in_the_folder(tmp_path: Path, keys: dict[str, bytes], capsys: Any) -> None:
    pytest.importorskip("fsspec")
    sound = tone(tmp_path / "x.wav").read_bytes()
    (tmp_path / "score.mid").write_bytes(b"somebody's")
    keys.update({f"b/{key}": sound for key in [*HOSTILE, "in/../../.config/autostart/x.wav", "in/good.wav"]})
    before = everything(tmp_path)
    command = ["s3://b/in", "-r", "-o", f"{tmp_path}/out/deep/", "--overwrite", *SMALL]
    assert cli(command) == 3
    said = capsys.readouterr().err
    assert said.count("leads out of the folder") == len(HOSTILE)
    assert "a bug" not in said
    assert everything(tmp_path).keys() - before.keys() == {"out/deep/good.mid"}
    assert (tmp_path / "score.mid").read_bytes() == b"somebody's"


def test_lines_of_a_manifest_write_nothing(tmp_path: Path, capsys: Any) -> None:
    tone(tmp_path / "x.wav")
    with Manifest(tmp_path / "m.jsonl") as manifest:
        for path in (f"{tmp_path}/gone.mid", "../../gone.mid", "\0", "s3://b/x"):
            manifest.add(Line(path, None, (path,), 1.0, 1, 0.1, None))
    before = everything(tmp_path)
    options = ["-o", f"{tmp_path}/out/", "--manifest", str(tmp_path / "m.jsonl"), "--skip-existing", *SMALL]
    assert cli([str(tmp_path / "x.wav"), *options]) == 0
    assert everything(tmp_path).keys() - before.keys() == {"out/x.mid"}


def test_names_within_results_and_tags_write_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    evil = "../../evil"
    heard = Transcription(
        notes=(Note(0.0, 60, 1.0, 80),), instruments=(Tag(0.0, 1.0, evil, 0.9),), duration=1.0, models={"notes": evil}
    )
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    (folder / "x.json").write_bytes(FORMATS["json"].write(heard))
    monkeypatch.chdir(folder)
    before = everything(tmp_path)
    assert cli(["convert", "x.json", "x.mid", "x.csv", "--quiet"]) == 0
    assert everything(tmp_path).keys() - before.keys() == {"a/b/x.mid", "a/b/x.csv"}
    # Titles of a recording, as its tags say them.
    with soundfile.SoundFile(folder / "t.wav", "w", 8000, 1) as file:
        file.title = file.artist = f"{evil}/../.."
        file.write(0.1 * np.ones(8000))
    before = everything(tmp_path)
    assert cli(["t.wav", "-o", "out/", *SMALL]) == 0
    assert everything(tmp_path).keys() - before.keys() == {"a/b/out/t.mid"}


# Addresses ----------------------------------------------------------------------------------------

UNKNOWN = [
    "ftp://user:secret@host/x.wav", "zip://x.wav::s3://bucket/x.zip", "reference://x.wav", "dir://x.wav",
    "generic://x.wav", "tar://x.wav", "jupyter://user:secret@host/x.wav", "github://o:r@/x.wav", "sftp://host/x.wav",
    "hdfs://host/x.wav", "filecache://x.wav", "data://x.wav", "s3://user:secret@bucket/x.wav",
    "http://user:secret@host/x.wav", "https://user:se@cret@host/x.wav", "file://host/x.wav",
]  # fmt: skip


@pytest.mark.parametrize("address", UNKNOWN)
def test_unknown_stores_are_refused_by_name_and_no_password_is_said(
    address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = str(tone(tmp_path / "x.wav"))
    commands = [[address], [source, "-o", address], [source, "-o", f"{address}/"], ["convert", address, "x.mid"]]
    commands += [[source, "--workers", "1", "-o", str(tmp_path), "--manifest", address]]
    for command in commands:
        assert cli(command) in (2, 3)
        said = "".join(capsys.readouterr())
        assert said.startswith("pitchai: ")
        assert said.count("\n") == 1
        assert "secret" not in said
        assert "cret@" not in said
        assert "a bug" not in said
    assert everything(tmp_path).keys() == {"x.wav"}


def test_what_is_on_the_web_is_read_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = str(tone(tmp_path / "x.wav"))
    for command in (["http://host/x.wav"], [source, "-o", "http://host/x.mid"], [source, "-o", "https://host/out/"]):
        assert cli([*command, *SMALL]) == 2
        assert "written" in capsys.readouterr().err
    (job,) = plan(find_recordings(["https://host/a/x.wav?signature=abc/def"]), ["out/"])
    assert job.outputs[0][0] == "out/x.mid"
    assert job.recording.name == "x.wav"


def test_secrets_are_left_out_of_a_text() -> None:
    assert without_secrets("a ftp://me:pw@h/x: b") == "a ftp://…@h/x: b"
    assert without_secrets("s3:/k:p@w@b/x") == "s3:/…@b/x"
    assert without_secrets("https://h/x?X-Amz-Signature=abc: gone") == "https://h/x?…: gone"
    for text in ("az://container@account/x", "in/a:b@c.wav", "12:30", "http://h:80/x", "why? http://h/x"):
        assert without_secrets(text) == text
    assert "secret" not in str(UsageError("ftp://a:secret@h"))


def test_a_key_may_hold_what_means_an_archive_elsewhere(keys: dict[str, bytes]) -> None:
    pytest.importorskip("fsspec")
    (one,) = find_recordings(["memory://in/x::zip://y.wav"])
    assert one.path == "memory://in/x::zip://y.wav"
    with pytest.raises(InputError), storage.here(one.path):
        pass


# Two runs at once ---------------------------------------------------------------------------------


def heard_while_another_writes(path: str) -> Transcription:
    (Path(path).parent / "x.mid").write_bytes(b"another's")
    return Transcription(notes=(Note(0.0, 60, 1.0, 80),), duration=1.0)


@pytest.mark.parametrize("skip_existing", [True, False])
def test_what_another_run_has_just_written_is_skipped_if_asked_so(tmp_path: Path, skip_existing: bool) -> None:
    tone(tmp_path / "x.wav")
    (job,) = plan(find_recordings([str(tmp_path / "x.wav")]), [f"{tmp_path}/x.mid", f"{tmp_path}/x.json"])
    work = worker(heard_while_another_writes, skip_existing)
    if skip_existing:
        assert work(job).written == (f"{tmp_path}/x.json",)
        assert json.loads((tmp_path / "x.json").read_text())
    else:
        with pytest.raises(TakenError, match="exists already"):
            work(job)
    assert (tmp_path / "x.mid").read_bytes() == b"another's"


# What the machine lacks ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (MemoryError(), "not enough memory"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), "not enough memory"),
        (RuntimeError("std::bad_alloc"), "not enough memory"),
        (RuntimeError("can't start new thread"), "no more threads"),
        (ImportError("x.so: failed to map segment from shared object"), "not enough memory"),
        (ImportError("x.so: cannot open shared object file: Too many open files"), "Too many open files"),
        (OSError(24, "Too many open files"), "Too many open files"),
        (OSError(27, "File too large"), "File too large"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (FileNotFoundError(2, "No usable temporary directory found"), "No usable temporary directory"),
    ],
)
def test_what_the_machine_lacks_is_said_of_the_recording_or_the_result(
    tmp_path: Path, fault: Exception, said: str
) -> None:
    tone(tmp_path / "x.wav")
    (job,) = plan(find_recordings([str(tmp_path / "x.wav")]), [f"{tmp_path}/x.mid"])

    def listen(_: str) -> Transcription:
        raise fault

    with pytest.raises(InputError, match=said):
        worker(listen)(job)

    def write(*_: object) -> bytes:
        raise fault

    outputs = tuple((path, replace(form, writer=write)) for path, form in job.outputs)
    with pytest.raises(OutputError, match=said):
        worker(lambda _: Transcription(duration=1.0))(replace(job, outputs=outputs))


def test_no_temporary_folder_for_a_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = pytest.importorskip("fsspec").filesystem("memory")
    memory.pipe_file("/temporary/x.wav", b"")
    monkeypatch.setattr("tempfile.tempdir", "/nowhere/at/all")
    with pytest.raises(InputError, match="no temporary folder"), storage.here("memory://temporary/x.wav"):
        pass
