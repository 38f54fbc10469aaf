"""Takes by WebSocket: a known melody is told, kept or thrown away; what is malformed, too much or gone is ended."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tests.signals import melody
from transcribe.events import Note
from transcribe.matching import match_notes

for package in ("starlette", "httpx", "websockets"):
    pytest.importorskip(package)
uvicorn = pytest.importorskip("uvicorn")
from websockets.exceptions import ConnectionClosed  # noqa: E402
from websockets.sync.client import ClientConnection, connect  # noqa: E402

from tests.serve.stand_in import opened  # noqa: E402
from transcribe.serve.app import Limits, make_app  # noqa: E402
from transcribe.serve.guard import Access  # noqa: E402
from transcribe.serve.library import Library  # noqa: E402
from transcribe.serve.takes import SOCKETS, TakeLimits  # noqa: E402

HERE = "http://127.0.0.1:8732"
RATE = 48_000
TUNE = [Note(0.5 + 0.4 * k, pitch, 0.9 + 0.4 * k, 90) for k, pitch in enumerate((60, 64, 67, 72, 71, 67, 65, 62))]
OTHER = [Note(0.6 + 0.4 * k, pitch, 1.0 + 0.4 * k, 90) for k, pitch in enumerate((49, 54, 58, 61, 66, 58, 54, 49))]
SECONDS = 4.5
HELLO = json.dumps({"latency": 120, "rate": RATE, "name": "Live <b>"})
KEEP, DROP = json.dumps({"end": "keep"}), json.dumps({"end": "drop"})


def whole(samples: np.ndarray) -> np.ndarray:
    return np.clip(np.round(samples * 32768), -32768, 32767).astype("<i2")


def blocks(samples: np.ndarray, first: int = 0, n: int = 512) -> list[bytes]:
    """Blocks as the page sends them."""
    found = whole(samples)
    return [struct.pack("<I", first + k) + found[k : k + n].tobytes() for k in range(0, len(found), n)]


def notes_of(told: list[dict[str, Any]]) -> list[Note]:
    """The notes that were told; every one has ended."""
    found, sounding = [], {}
    for event in told:
        if event.get("event") == "note on":
            assert event["pitch"] not in sounding
            sounding[event["pitch"]] = event
        elif event.get("event") == "note off":
            on = sounding.pop(event["pitch"])
            found.append(Note(on["time"], on["pitch"], max(event["time"], on["time"] + 1e-3), on["velocity"]))
    assert not sounding
    return sorted(found)


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path / "results")


@contextmanager
def served(library: Library, limits: TakeLimits = TakeLimits(), host: str = "127.0.0.1") -> Iterator[int]:
    """Serve for real, in a thread, as the command does."""
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    app = make_app(library, opened, Access(host, port), Limits(takes=limits))
    config = uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=3, **SOCKETS)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.05)
        yield port
    finally:
        server.should_exit = True
        thread.join(20)
        listening.close()
        assert not thread.is_alive()


def connected(port: int, **more: Any) -> ClientConnection:
    given: dict[str, Any] = {"origin": f"http://127.0.0.1:{port}", "compression": None, **more}
    return connect(f"ws://127.0.0.1:{port}/api/live", **given)


def said(plug: ClientConnection) -> list[dict[str, Any]]:
    """All that is told up to the end, whose code and reason are the last."""
    found = []
    try:
        while True:
            found.append(json.loads(plug.recv(timeout=30)))
    except ConnectionClosed as closed:
        assert closed.rcvd is not None
        found.append({"code": closed.rcvd.code, "reason": closed.rcvd.reason})
    return found


def played(plug: ClientConnection, samples: np.ndarray, end: str = KEEP, rate: int = RATE) -> list[dict[str, Any]]:
    """Play at its own pace, and give what was told."""
    began = time.monotonic()
    for k, block in enumerate(blocks(samples)):
        wait = began + (k + 1) * 512 / rate - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        plug.send(block)
    plug.send(end)
    return said(plug)


def threads() -> int:
    return sum(thread.name == "pitchai take" for thread in threading.enumerate())


def test_a_known_melody_is_told_and_kept(library: Library) -> None:
    samples = melody(TUNE, SECONDS, RATE)
    with served(library) as port, connected(port) as plug:
        plug.send(HELLO)
        told = played(plug, samples)
    assert told[0] == {"ready": {"model": told[0]["ready"]["model"], "latency": 120, "rate": RATE}}
    pairs = match_notes(TUNE, notes_of(told))
    assert len(pairs) >= len(TUNE) - 1
    # From the onset to the moment it was told, on a machine that does other things too.
    late = [event["told"] - event["time"] for event in told if event.get("event") == "note on"]
    assert 0.05 < float(np.median(late)) < 0.5
    states = [message["state"] for message in told if "state" in message]
    assert states[-1]["time"] == pytest.approx(SECONDS, abs=0.3)
    assert states[-1]["key"] in (None, "C major")
    assert all(state["lost"] == state["clipped"] == 0 for state in states)
    assert max(state["level"] for state in states) == pytest.approx(20 * np.log10(np.abs(samples).max()), abs=1)
    kept = told[-2]["kept"]
    assert told[-1] == {"code": 1000, "reason": ""}
    entry = library.entry(kept)
    assert entry is not None
    assert (entry.about.title, entry.about.name) == ("Live <b>", "Live <b>.flac")
    # The very samples, at the rate of the microphone.
    found, rate = soundfile.read(entry.recording, dtype="int16")
    assert rate == RATE
    np.testing.assert_array_equal(found, whole(samples))
    assert threads() == 0
