from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.signals import RATE, strum
from transcribe.cli.main import main

# Arguments of the command to its exit code, stdout and stderr.
Call = Callable[..., tuple[int, str, str]]
PITCHAI = [sys.executable, "-m", "transcribe"]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    """Run the command here: exit code, stdout, stderr."""

    def run(*arguments: object) -> tuple[int, str, str]:
        code = main([str(argument) for argument in arguments])
        streams = capsys.readouterr()
        assert "Traceback" not in streams.err
        return code, streams.out, streams.err

    return run


@pytest.fixture
def strums(tmp_path: Path) -> Path:
    """Four seconds: C, then A minor."""
    path = tmp_path / "strums.wav"
    soundfile.write(path, np.concatenate([strum([48, 52, 55, 60, 64], 2.0), strum([45, 52, 57, 60, 64], 2.0)]), RATE)
    return path


def one_line(text: str) -> bool:
    return text.startswith("pitchai: ") and text.count("\n") == 1
