from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.cli.conftest import Call, one_line


def test_existing_results_are_safe(call: Call, wav: Path) -> None:
    target = wav.with_suffix(".mid")
    target.write_text("precious")
    code, _, err = call(wav)
    assert code == 5
    assert one_line(err)
    assert "--overwrite" in err
    code, out, err = call(wav, "--skip-existing")
    assert (code, out) == (0, "")
    assert "skipped" in err
    assert target.read_text() == "precious"
    assert call(wav, "--overwrite")[0] == 0
    assert target.read_bytes()[:4] == b"MThd"


def test_a_batch_goes_on_past_a_bad_file_and_fails(call: Call, wav: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.wav").write_text("Dear diary")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "two.wav").write_bytes(wav.read_bytes())
    code, out, err = call(tmp_path, "-r", "-o", tmp_path / "out", "-q")
    assert code == 3
    assert one_line(err)
    assert "bad.wav" in err
    assert sorted(out.split()) == [str(tmp_path / "out" / "deep" / "two.mid"), str(tmp_path / "out" / "song.mid")]
    assert not list(tmp_path.rglob("*.part"))


def test_a_folder_that_cannot_be_written(call: Call, wav: Path) -> None:
    if os.name == "nt" or os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    locked = wav.parent / "locked"
    locked.mkdir(mode=0o500)
    code, _, err = call(wav, "-o", locked / "x.mid")
    assert code == 5
    assert one_line(err)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_leaves_nothing(wav: Path, monkeypatch: pytest.MonkeyPatch, call: Call) -> None:
    real = os.fdopen

    def onto_a_full_disk(descriptor: int, mode: str) -> object:
        os.close(descriptor)
        return real(os.open("/dev/full", os.O_WRONLY), mode)

    monkeypatch.setattr("transcribe.batch.atomic.os.fdopen", onto_a_full_disk)
    code, _, err = call(wav)
    assert code == 5
    assert one_line(err)
    assert "No space left" in err
    assert [p.name for p in wav.parent.iterdir()] == ["song.wav"]


def test_a_recording_is_safe_under_any_spelling(call: Call, wav: Path) -> None:
    (wav.parent / "sub").mkdir()
    before = wav.read_bytes()
    code, _, err = call(wav, "-o", wav.parent / "sub" / ".." / wav.name, "-f", "midi", "--overwrite")
    assert code == 2
    assert one_line(err)
    assert wav.read_bytes() == before


@pytest.mark.skipif(os.name == "nt", reason="POSIX devices")
def test_what_is_no_ordinary_file_is_never_replaced(call: Call, wav: Path) -> None:
    os.mkfifo(wav.parent / "pipe.mid")
    code, _, err = call(wav, "-o", wav.parent / "pipe.mid", "--overwrite")
    assert code == 5
    assert one_line(err)
    assert (wav.parent / "pipe.mid").is_fifo()


def test_every_input_is_looked_for_before_the_first_is_read(
    call: Call, wav: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(wav.parent)
    for missing in ("gone.wav", "gone/*.wav"):
        code, out, err = call(wav, missing, "other.wav", "-o", "out/", "--workers", "2")
        assert (code, out) == (3, "")
        assert one_line(err)
        assert missing in err
    assert [p.name for p in wav.parent.iterdir()] == [wav.name]


@pytest.mark.parametrize(
    ("address", "words"), [("youtube.com/watch?v=1", "https://"), ("ftp://host/a.wav", "not supported")]
)
def test_an_address_that_cannot_be_opened(call: Call, tmp_path: Path, address: str, words: str) -> None:
    code, out, err = call(address, "-o", tmp_path / "x.mid")
    assert (code, out) == (3 if words == "https://" else 2, "")
    assert one_line(err)
    assert words in err


def test_a_web_page_is_no_recording(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("fsspec")

    class Web:
        def get_file(self, path: str, copy: str, **_: object) -> None:
            Path(copy).write_text("\n<!DOCTYPE html>\n<html>")

    monkeypatch.setattr("transcribe.batch.storage._open", lambda address: (Web(), "host/watch"))
    code, out, err = call("https://host/watch?v=1", "-o", tmp_path / "x.mid")
    assert (code, out) == (3, "")
    assert one_line(err)
    assert "web page" in err
    assert not list(tmp_path.iterdir())
