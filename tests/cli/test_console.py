from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import PITCHAI, Call, one_line
from tests.conftest import FIVE_NOTES
from transcribe.formats.midi import from_midi


def test_stdout_carries_the_result_alone(wav: Path) -> None:
    done = subprocess.run([*PITCHAI, str(wav), "-o", "-"], capture_output=True, check=True)
    assert done.stderr == b""
    found = from_midi(done.stdout).notes
    assert sorted(note.pitch for note in found) == sorted(note.pitch for note in FIVE_NOTES)
    done = subprocess.run(
        [*PITCHAI, "-", "-o", "-", "-f", "json"], input=wav.read_bytes(), capture_output=True, check=True
    )
    assert json.loads(done.stdout)["duration"] == 3.0


def test_names_with_control_characters_cannot_drive_the_terminal(call: Call, wav: Path) -> None:
    if os.name == "nt":
        pytest.skip("no such names there")
    odd = wav.with_name("a\x1b[31m\nb.wav")
    odd.write_bytes(wav.read_bytes())
    code, out, err = call(odd)
    assert code == 0
    assert "\x1b" not in out + err
    odd.write_text("no audio")
    code, _, err = call(odd)
    assert code == 5  # the result of the first time is there
    assert one_line(err)
    assert "\x1b" not in err


@pytest.mark.skipif(sys.platform != "linux", reason="names are text elsewhere")
def test_names_that_are_no_unicode(call: Call, wav: Path) -> None:
    odd = os.fsencode(wav.parent) + b"/\xff\xfe.wav"
    Path(os.fsdecode(odd)).write_bytes(wav.read_bytes())
    done = subprocess.run([*map(os.fsencode, PITCHAI), odd], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert (Path(os.fsdecode(odd)).with_suffix(".mid")).exists()


@pytest.mark.skipif(os.name == "nt", reason="POSIX pipes and devices")
def test_streams_that_nobody_reads(wav: Path, tmp_path: Path) -> None:
    (tmp_path / "two.wav").write_bytes(wav.read_bytes())
    done = subprocess.run(
        f'"{sys.executable}" -m transcribe "{wav}" "{tmp_path / "two.wav"}" -q -o "{tmp_path / "out"}" | true; '
        "exit ${PIPESTATUS[0]}",
        shell=True,
        executable="/bin/bash",
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["song.mid", "two.mid"]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([*PITCHAI, str(wav), "-o", "-"], stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 5
    assert one_line(done.stderr.decode())
    done = subprocess.run(
        f'"{sys.executable}" -m transcribe nowhere.wav 2>&-',
        shell=True,
        executable="/bin/bash",
        stdout=subprocess.PIPE,
        check=False,
    )
    assert (done.returncode, done.stdout) == (3, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_standard_output_that_is_full_or_closed_early(unbuffered: str) -> None:
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    for words in (["--help"], ["chords", "--help"], ["--version"], ["schema"]):
        with Path("/dev/full").open("wb") as full:
            done = subprocess.run(
                [*PITCHAI, *words], stdout=full, stderr=subprocess.PIPE, check=False, env=environment, text=True
            )
        assert done.returncode == 5
        assert one_line(done.stderr)
        assert "No space left" in done.stderr
        reading, writing = os.pipe()
        os.close(reading)
        done = subprocess.run(
            [*PITCHAI, *words], stdout=writing, stderr=subprocess.PIPE, check=False, env=environment, text=True
        )
        os.close(writing)
        assert (done.returncode, done.stderr) == (0, "")
