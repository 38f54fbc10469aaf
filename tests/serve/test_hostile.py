"""What nobody may ask: every request is refused, with the status that says why."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT

for package in ("starlette", "httpx"):
    pytest.importorskip(package)
uvicorn = pytest.importorskip("uvicorn")
from starlette.testclient import TestClient  # noqa: E402

from tests.serve.stand_in import opened  # noqa: E402
from tests.serve.test_app import HERE, LIMITS, kept  # noqa: E402
from transcribe.serve.app import Limits, make_app  # noqa: E402
from transcribe.serve.guard import COOKIE, Access  # noqa: E402
from transcribe.serve.library import Library  # noqa: E402

ID = "0123456789abcdef"
JSON = {"Content-Type": "application/json"}
# Method, path, headers, body, status.
HOSTILE: dict[str, tuple[str, str, dict[str, str], bytes, int]] = {
    "another host": ("GET", "/api/results", {"Host": "evil.example"}, b"", 421),
    "a name that leads here": ("GET", "/", {"Host": "127.0.0.1.evil.example:8732"}, b"", 421),
    "another port": ("GET", "/api/results", {"Host": "127.0.0.1:80"}, b"", 421),
    "a host that is none": ("GET", "/", {"Host": "127.0.0.1:8732@evil.example"}, b"", 421),
    "no host": ("GET", "/", {"Host": ""}, b"", 421),
    "another origin": ("POST", "/api/files?name=a.wav", {"Origin": "http://evil.example"}, b"a", 403),
    "no origin": ("POST", "/api/files?name=a.wav", {"Origin": "null"}, b"a", 403),
    "an origin of another port": ("DELETE", "/api/files/ID", {"Origin": "http://127.0.0.1:9999"}, b"", 403),
    "an origin of another scheme": ("DELETE", "/api/files/ID", {"Origin": "https://127.0.0.1:8732"}, b"", 403),
    "a page of another site": ("GET", "/api/results", {"Sec-Fetch-Site": "cross-site"}, b"", 403),
    "a page of another port": ("GET", "/api/files/ID", {"Sec-Fetch-Site": "same-site"}, b"", 403),
    "a path out of the results": ("GET", "/api/files/..%2f..%2f..%2fetc%2fpasswd", {}, b"", 404),
    "a path out of a result": ("GET", "/api/files/ID/export/..%2f..%2fabout.json", {}, b"", 404),
    "a path out of the assets": ("GET", "/assets/..%2f..%2fevents.py", {}, b"", 404),
    "a backslash out of the assets": ("GET", "/assets/..%5c..%5cevents.py", {}, b"", 404),
    "a name with a zero": ("GET", "/assets/page.css%00.js", {}, b"", 404),
    "a result that isn't there": ("DELETE", f"/api/files/{ID}", {}, b"", 404),
    "a format that isn't there": ("GET", "/api/files/ID/export/__class__", {}, b"", 404),
    "a page that isn't there": ("GET", "/api/files/ID/score.svg?page=-1", {}, b"", 404),
    "a length that is none": ("POST", "/api/files?name=a.wav", {"Content-Length": "-1"}, b"", 400),
    "a length that is huge": ("POST", "/api/files?name=a.wav", {"Content-Length": "9" * 15}, b"", 413),
    "a huge recording": ("POST", "/api/files?name=a.wav", {}, b"a" * (LIMITS.upload + 1), 413),
    "an empty recording": ("POST", "/api/files?name=a.wav", {}, b"", 400),
    "huge edits": ("POST", "/api/files/ID/edits", JSON, b"[" * (LIMITS.body + 1), 413),
    "edits of a form": ("POST", "/api/files/ID/edits", {"Content-Type": "text/plain"}, b'{"edits": []}', 415),
    "edits that are none": ("POST", "/api/files/ID/edits", JSON, b"\xff{", 400),
    "edits that are too deep": ("POST", "/api/files/ID/edits", JSON, b"[" * 9_000, 400),
    "undone edits that are none": ("POST", "/api/files/ID/edits", JSON, b'{"edits": [], "undone": [1]}', 400),
    "edits that are a list": ("POST", "/api/files/ID/edits", JSON, b"[]", 400),
    "an operation that is none": ("POST", "/api/files/ID/edits", JSON, b'{"edits": [{"op": "exec"}]}', 422),
    "a note that isn't there": (
        "POST",
        "/api/files/ID/edits",
        JSON,
        b'{"edits": [{"op": "delete", "note": {"pitch": 1, "onset": 0}}]}',
        422,
    ),
    "a method that nobody has": ("PUT", "/api/files/ID", {}, b"a", 405),
    "a method that tells": ("TRACE", "/", {}, b"", 405),
    "a part that isn't there": ("GET", "/api/files/ID/sound", {"Range": "bytes=99999-"}, b"", 416),
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> tuple[TestClient, Library, str]:
    library = Library(tmp_path_factory.mktemp("results"))
    entry = kept(library)
    client = TestClient(
        make_app(library, opened, Access("127.0.0.1", 8732), LIMITS), base_url=HERE, raise_server_exceptions=False
    )
    return client, library, entry.id


@pytest.mark.parametrize("name", HOSTILE)
def test_it_is_refused(served: tuple[TestClient, Library, str], name: str) -> None:
    client, library, known = served
    method, path, headers, content, status = HOSTILE[name]
    before = sorted(library.folder.rglob("*"))
    answer = client.request(method, path.replace("ID", known), headers=headers, content=content)
    assert answer.status_code == status, answer.text
    assert sorted(library.folder.rglob("*")) == before
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "Traceback" not in answer.text
    assert "root:" not in answer.text


def test_one_may_come_from_the_own_page(served: tuple[TestClient, Library, str]) -> None:
    client, _, known = served
    own = {"Origin": HERE, "Sec-Fetch-Site": "same-origin"}
    assert client.post(f"/api/files/{known}/edits", json={"edits": []}, headers=own).status_code == 200
    visit = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert client.get("/", headers=visit).status_code == 200
    assert client.get("/api/results", headers={"Host": "localhost:8732"}).status_code == 200


def test_a_page_that_was_sent_as_a_recording_is_none(tmp_path: Path) -> None:
    library = Library(tmp_path)
    entry = kept(library, "evil.html", b"<script>alert(1)</script>")
    client = TestClient(make_app(library, opened, Access("127.0.0.1", 8732)), base_url=HERE)
    answer = client.get(f"/api/files/{entry.id}/sound")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_other_machines_need_a_link_that_is_good_once(tmp_path: Path) -> None:
    links: list[str] = []
    access = Access("192.0.2.7", 8732, links.append)
    app = make_app(Library(tmp_path), opened, access)
    base = "http://192.0.2.7:8732"
    stranger = TestClient(app, base_url=base, follow_redirects=False)
    assert stranger.get("/api/results").status_code == 401
    assert stranger.get("/?token=wrong").status_code == 401
    assert stranger.get("/api/results", headers={"Cookie": f"{COOKIE}=wrong"}).status_code == 401
    link = access.link
    first = TestClient(app, base_url=base, follow_redirects=False)
    answer = first.get(link)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert "HttpOnly; SameSite=Strict" in answer.headers["set-cookie"]
    assert first.get("/api/results").status_code == 200
    second = TestClient(app, base_url=base, follow_redirects=False)
    assert second.get(link).status_code == 401  # replayed
    assert links[0] != link
    assert second.get(links[0]).status_code == 303
    assert first.get("/api/results").status_code == 200
    assert first.get("/api/results", headers={"Host": "evil.example:8732"}).status_code == 421


@contextmanager
def live(library: Library, limits: Limits) -> Iterator[int]:
    """Serve for real, in a thread."""
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    app = make_app(library, opened, Access("127.0.0.1", port), limits)
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", ws="none", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.05)
        yield port
    finally:
        server.should_exit = True
        thread.join(10)
        listening.close()


def said(port: int, request: bytes, *more: bytes, pause: float = 0.0) -> bytes:
    """Send bytes as they are, and give the first line of the answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as plug:
        plug.sendall(request.replace(b"HERE", b"127.0.0.1:%d" % port))
        for part in more:
            time.sleep(pause)
            try:
                plug.sendall(part)
            except OSError:
                break
        return plug.recv(4096).partition(b"\r\n")[0]


def test_what_comes_slowly_or_never_ends_is_refused(tmp_path: Path) -> None:
    library = Library(tmp_path)
    post = b"POST /api/files?name=a.wav HTTP/1.1\r\nHost: HERE\r\n"
    with live(library, Limits(upload=5_000, patience=0.5)) as port:
        assert b" 408 " in said(port, post + b"Content-Length: 100\r\n\r\nab")  # and nothing more
        drops = [b"x"] * 12
        assert b" 408 " in said(port, post + b"Content-Length: 100\r\n\r\n", *drops, pause=0.2)
        chunk = b"7d0\r\n" + b"x" * 2000 + b"\r\n"
        assert b" 413 " in said(port, post + b"Transfer-Encoding: chunked\r\n\r\n", *[chunk] * 4)
        assert b" 4" in said(port, b"GET / HTTP/1.1\r\nHost: HERE\r\nHost: evil.example\r\n\r\n")
        assert b" 400 " in said(port, b"GET / HTTP/1.1\r\nHost HERE\r\n\r\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no signals")
def test_killed_in_the_middle_of_an_edit_nothing_is_lost(tmp_path: Path) -> None:
    import httpx

    folder = tmp_path / "results"
    entry = kept(Library(folder))
    socket_ = socket.create_server(("127.0.0.1", 0))
    port = socket_.getsockname()[1]
    socket_.close()
    command = [sys.executable, "-m", "transcribe", "serve", str(folder), "--port", str(port), "--no-browser"]
    address = f"http://127.0.0.1:{port}/api/files/{entry.id}"

    def begun() -> subprocess.Popen[bytes]:
        server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert server.stdout is not None
        assert server.stdout.readline()
        for _ in range(300):
            try:
                httpx.get(f"http://127.0.0.1:{port}/api/results")
                return server
            except httpx.TransportError:
                time.sleep(0.1)
        raise AssertionError("it doesn't begin")

    server = begun()
    sent: list[int] = []

    def edit() -> None:
        edits: list[dict[str, Any]] = []
        for number in range(1000):
            edits.append({"op": "add", "note": {"onset": 3 + number, "offset": 9999, "pitch": 70, "velocity": 9}})
            try:
                httpx.post(f"{address}/edits", json={"edits": edits}, timeout=30).raise_for_status()
            except httpx.HTTPError:
                return
            sent.append(number + 1)

    thread = threading.Thread(target=edit)
    thread.start()
    while len(sent) < 3 and thread.is_alive():
        time.sleep(0.02)
    os.kill(server.pid, signal.SIGKILL)
    server.communicate()
    thread.join()
    server = begun()
    try:
        found = httpx.get(address, timeout=60).json()["edits"]
        assert len(found) in (sent[-1], sent[-1] + 1)  # the last one may have been kept without an answer
    finally:
        server.terminate()
        server.communicate(timeout=20)
