from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.signals import tone
from transcribe.cli.main import main

needs_librosa = pytest.mark.skipif(importlib.util.find_spec("librosa") is None, reason="librosa isn't installed")


@needs_librosa
@pytest.mark.slow
def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tone(tmp_path / "song.wav", 330, 4.0, pulse=2.0)
    assert main(["genre", str(path)]) == 0
    printed = capsys.readouterr()
    assert "less than the 30 s" in printed.err
    assert printed.out.count("%") >= 4
    assert main(["genre", str(path), "--json", "-o", str(tmp_path / "genre.csv")]) == 0
    found = json.loads(capsys.readouterr().out)
    assert sum(tag["probability"] for tag in found["genres"]) == pytest.approx(1, abs=0.001)
    assert found["models"] == {"genre": "genre-1"}
    rows = (tmp_path / "genre.csv").read_text().splitlines()
    assert rows[0] == "onset,offset,label,probability"
    assert len(rows) == 11
    silence = tmp_path / "silence.wav"
    soundfile.write(silence, np.zeros(32_000), 16_000)
    assert main(["genre", str(silence)]) == 0
    printed = capsys.readouterr()
    assert "unknown" in printed.out
    assert "silent" in printed.err
    assert main([str(path), "--genre", "--no-chords", "--no-instruments", "-o", str(tmp_path / "song.json")]) == 0
    assert "genre" in capsys.readouterr().out
    assert json.loads((tmp_path / "song.json").read_text())["genres"]


def test_no_second_reading_of_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("librosa", reason="librosa isn't installed")
    assert main(["-", "--genre", "-o", "-"]) == 2
