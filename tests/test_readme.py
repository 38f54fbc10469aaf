"""Whoever types what the README shows, in its order, in a folder with recordings alone, meets no error."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
import soundfile

from tests.cli.conftest import Call
from tests.cli.conftest import call as call  # the fixture
from tests.conftest import EXAMPLE, ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [re.split(r" +#|  +", line)[0] for line in re.findall(r"^    (?:\$ )?(pitchai .*)", README, re.MULTILINE)]


def recordings(folder: Path) -> None:
    """Put what the README's recordings are called into a folder: the example, or a part of it."""
    (folder / "waltz.flac").write_bytes(EXAMPLE.read_bytes())
    samples, rate = soundfile.read(EXAMPLE)
    (folder / "album").mkdir()
    for name, part in (("song.wav", samples), ("band.mp3", samples[: 4 * rate]), ("album/1.wav", samples[: 3 * rate]),
                       ("album/2.wav", samples[3 * rate : 6 * rate])):  # fmt: skip
        soundfile.write(folder / name, part, rate)


def served(command: str) -> None:
    """Start the page, see that it answers, and end it as Ctrl C does."""
    words = [sys.executable, "-m", "transcribe", *shlex.split(command)[1:], "--no-browser", "--port", "0"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            link = process.stdout.readline().strip()
            with urllib.request.urlopen(link, timeout=60) as answer:
                assert answer.status == 200
            process.send_signal(signal.SIGINT)
            assert process.wait(60) in (0, 130)
        finally:
            process.kill()


def test_it_is_short() -> None:
    assert len(README.splitlines()) <= 170
    assert len(COMMANDS) >= 20


@pytest.mark.slow
def test_every_command_runs_in_the_order_written(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("music21")
    pytest.importorskip("typst")
    recordings(tmp_path)
    monkeypatch.chdir(tmp_path)
    for command in COMMANDS:
        if command.startswith("pitchai serve"):
            pytest.importorskip("starlette")
            served(command)
            continue
        code, out, err = call(*shlex.split(command)[1:])
        assert code == 0, f"{command}: {err}"
        assert out, command
        for place in re.findall(r"-o (\S+)", command):
            assert Path(place).exists(), command
    source = README.split("```python\n")[1].split("```")[0]
    exec(compile(source, "README.md", "exec"), {})
    assert Path("python.mid").stat().st_size


@pytest.mark.slow
def test_the_summary_is_the_one_that_is_shown(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recordings(tmp_path)
    monkeypatch.chdir(tmp_path)
    out = call("waltz.flac")[1]
    block = README.split("    $ pitchai waltz.flac\n")[1].split("    $ ")[0]
    shown = [line.strip() for line in block.splitlines() if line.strip()]
    assert [line.strip() for line in out.splitlines() if line.strip()] == shown
