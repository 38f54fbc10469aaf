"""Joining a cluster: one that doesn't answer, and signals from the first moment on."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import EXAMPLE

pytest.importorskip("ray")

LISTEN = [sys.executable, "-m", "transcribe", str(EXAMPLE), "--model", "small", "--quiet", "-o"]


@pytest.fixture
def silent() -> Iterator[str]:
    """A port where somebody listens and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def ended(folder: Path, address: str, **environment: str) -> tuple[int, str, float]:
    began = time.monotonic()
    command = [*LISTEN, f"{folder}/", "--ray", address]
    run = subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, env={**os.environ, **environment}
    )
    return run.returncode, run.stderr, time.monotonic() - began


@pytest.mark.slow
def test_a_cluster_that_does_not_answer_is_said_within_half_a_minute(tmp_path: Path, silent: str) -> None:
    code, said, seconds = ended(tmp_path, silent)
    assert (code, said.count("\n")) == (2, 1)
    assert said.startswith(f"pitchai: --ray {silent}: no cluster answers: ")
    assert seconds < 30


@pytest.mark.slow
def test_where_nobody_listens_is_said_at_once(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed = f"127.0.0.1:{server.getsockname()[1]}"
    for address, environment in ((closed, {}), ("auto", {"RAY_ADDRESS": closed}), ("nowhere.invalid:1", {})):
        code, said, seconds = ended(tmp_path, address, **environment)
        assert (code, said.count("\n")) == (2, 1)
        assert said.startswith(f"pitchai: --ray {address}: no cluster answers: ")
        assert seconds < 20


def descendants(pid: int) -> set[int]:
    """All processes below one, as /proc tells."""
    found: set[int] = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if parent == pid:
            child = int(path.parent.name)
            found |= {child} | descendants(child)
    return found


def name_of(pid: int) -> str:
    """What a process calls itself; nothing where it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
@pytest.mark.parametrize(
    ("moment", "number"),
    [("a child", signal.SIGTERM), ("a worker", signal.SIGINT), ("a result", signal.SIGTERM)],
)
def test_a_signal_ends_all_that_was_started(tmp_path: Path, moment: str, number: signal.Signals) -> None:
    for i in range(40):
        shutil.copy(EXAMPLE, tmp_path / f"{i}.flac")
    command = [*LISTEN[:3], str(tmp_path), *LISTEN[4:], str(tmp_path / "out"), "--ray", "local"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as run:
        come: dict[str, Callable[[], object]] = {
            "a child": lambda: descendants(run.pid),
            "a worker": lambda: any("ray::" in name_of(pid) for pid in descendants(run.pid)),
            "a result": lambda: next((tmp_path / "out").rglob("*.mid"), None),
        }
        # 39 recordings are left after the first result: however fast the machine, the signal comes before the end.
        while run.poll() is None and not come[moment]():
            time.sleep(0.02)
        started = descendants(run.pid)
        run.send_signal(number)
        said = run.communicate(timeout=60)[1]
    assert run.returncode == 128 + number
    assert said == f"pitchai: {'interrupted' if number == signal.SIGINT else 'terminated'}\n"
    deadline = time.monotonic() + 10
    while any(os.path.exists(f"/proc/{pid}") for pid in started) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not [pid for pid in started if os.path.exists(f"/proc/{pid}")]
    assert not list((tmp_path / "out").rglob("*.part"))
