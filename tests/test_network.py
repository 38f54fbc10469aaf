"""Nobody is told anything: in a network of its own, the program asks for no name and reaches no address."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import EXAMPLE, ROOT

OWN_NETWORK = ["unshare", "--user", "--map-root-user", "--net", "--mount"]
PITCHAI = f"{sys.executable} -m transcribe"


def can_be_isolated() -> bool:
    if sys.platform != "linux" or not shutil.which("unshare") or not shutil.which("ip"):
        return False
    return subprocess.run([*OWN_NETWORK, "ip", "link"], capture_output=True, check=False).returncode == 0


pytestmark = pytest.mark.skipif(not can_be_isolated(), reason="this system gives nobody a network of their own")


def isolated(folder: Path, *commands: str) -> dict[str, Any]:
    """Run commands there; say how they ended, whom they asked for and whom they wanted to reach."""
    command = [*OWN_NETWORK, sys.executable, str(ROOT / "tests" / "isolated.py"), str(folder), *commands]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True, cwd=folder)
    return json.loads(run.stdout)  # type: ignore[no-any-return]


QUIET: dict[str, list[str]] = {"asked": [], "reached": []}


def test_questions_and_connections_are_seen(tmp_path: Path) -> None:
    """Else the other tests could not fail."""
    script = tmp_path / "tell.py"
    script.write_text(
        "import socket\nfor place in ('somewhere.example', '192.0.2.7'):\n"
        " try: socket.create_connection((place, 9))\n except OSError: pass\n"
    )
    found = isolated(tmp_path, f"{sys.executable} {script}")
    assert set(found["asked"]) == {"somewhere.example"}
    assert {"10.1.2.3", "192.0.2.7"} <= set(found["reached"])


@pytest.mark.slow
def test_the_commands_tell_nobody(tmp_path: Path) -> None:
    shutil.copy(EXAMPLE, tmp_path / "a.flac")
    shutil.copy(EXAMPLE, tmp_path / "b.flac")
    small = "--model small --quiet"
    commands = [
        f"{PITCHAI} a.flac -o a.json -o a.html -o a.png -o a.npz {small}",
        f"{PITCHAI} a.flac b.flac -o out/ --workers 2 {small}",
        f"{PITCHAI} chords a.flac",
        f"{PITCHAI} instruments a.flac",
        f"{PITCHAI} beats a.flac",
        f"{PITCHAI} convert a.json c.mid c.musicxml",
        f"{PITCHAI} show a.json",
        f"{PITCHAI} schema",
        f"{PITCHAI} doctor",
        f"{PITCHAI} eval --reference c.mid --estimate a.json",
    ]
    if importlib.util.find_spec("librosa"):
        commands.append(f"{PITCHAI} genre a.flac")
    assert isolated(tmp_path, *commands) == {"codes": [0] * len(commands), **QUIET}


@pytest.mark.slow
def test_an_idle_process_tells_nobody(tmp_path: Path) -> None:
    script = tmp_path / "idle.py"
    script.write_text(
        f"import time, transcribe\ntranscribe.Transcriber(model='small').transcribe_file({str(EXAMPLE)!r})\n"
        "time.sleep(20)\n"
    )
    home = tmp_path / "home"
    home.mkdir()
    found = isolated(tmp_path, f"env HOME={home} PYTHONPATH={ROOT} {sys.executable} {script}")
    assert found == {"codes": [0], **QUIET}
    assert not [path for path in home.rglob("*") if "onnxruntime" in str(path)]  # nor is an identifier kept


@pytest.mark.slow
def test_a_cluster_of_this_machine_tells_nobody(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    shutil.copy(EXAMPLE, tmp_path / "a.flac")
    shutil.copy(EXAMPLE, tmp_path / "b.flac")
    command = f"{PITCHAI} a.flac b.flac -o out/ --ray local --model small --quiet"
    assert isolated(tmp_path, command) == {"codes": [0], **QUIET}
