"""Takes by WebSocket: a known melody is told, kept or thrown away; what is malformed, too much or gone is ended."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tests.signals import melody, silence
from transcribe.events import Note
from transcribe.matching import match_notes

for package in ("starlette", "httpx", "websockets"):
    pytest.importorskip(package)
uvicorn = pytest.importorskip("uvicorn")
from starlette.testclient import TestClient, WebSocketDenialResponse  # noqa: E402
from websockets.exceptions import ConnectionClosed, InvalidStatus  # noqa: E402
from websockets.sync.client import ClientConnection, connect  # noqa: E402

from tests.serve.stand_in import opened  # noqa: E402
from transcribe.live.remote import LONGEST  # noqa: E402
from transcribe.serve import takes  # noqa: E402
from transcribe.serve.app import Limits, make_app  # noqa: E402
from transcribe.serve.guard import COOKIE, Access  # noqa: E402
from transcribe.serve.jobs import Jobs  # noqa: E402
from transcribe.serve.library import DONE, QUEUED, RUNNING, Library  # noqa: E402
from transcribe.serve.takes import SOCKETS, TakeLimits, Takes  # noqa: E402

HERE = "http://127.0.0.1:8732"
SOCKET = "ws://127.0.0.1:8732/api/live"
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
def served(library: Library, limits: TakeLimits | None = None, host: str = "127.0.0.1") -> Iterator[int]:
    """Serve for real, in a thread, as the command does."""
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    app = make_app(library, opened, Access(host, port), Limits(takes=limits or TakeLimits()))
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


def connected(port: int, path: str = "/api/live", **more: Any) -> ClientConnection:
    given: dict[str, Any] = {"origin": f"http://127.0.0.1:{port}", "compression": None, "close_timeout": 1, **more}
    found: ClientConnection = connect(f"ws://127.0.0.1:{port}{path}", **given)
    return found


def said(plug: ClientConnection) -> list[dict[str, Any]]:
    """All that is told up to the end, whose code and reason are the last."""
    found = []
    try:
        while True:
            found.append(json.loads(plug.recv(timeout=30)))
    except ConnectionClosed as closed:
        end = closed.rcvd
    found.append({"code": end and end.code, "reason": end and end.reason})
    return found


def played(plug: ClientConnection, content: list[bytes], end: str = KEEP, pace: float = 0.0) -> list[dict[str, Any]]:
    """Send blocks, ``pace`` seconds apart, and give what was told."""
    began = time.monotonic()
    for k, block in enumerate(content):
        wait = began + (k + 1) * pace - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        plug.send(block)
    plug.send(end)
    return said(plug)


def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    for _ in range(round(seconds / 0.05)):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds:g} s")


def nothing_hangs() -> bool:
    return not any(thread.name == "pitchai take" for thread in threading.enumerate())


@pytest.mark.slow
def test_a_known_melody_is_told_while_it_sounds_and_kept(library: Library) -> None:
    samples = melody(TUNE, SECONDS, RATE)
    with served(library) as port, connected(port) as plug:
        plug.send(HELLO)
        ready = json.loads(plug.recv())["ready"]
        told = played(plug, blocks(samples), pace=512 / RATE)
    assert (ready["latency"], ready["rate"]) == (120, RATE)
    assert len(match_notes(TUNE, notes_of(told))) >= len(TUNE) - 1
    # From the onset to the moment it was told: no sooner than was asked for, on a busy machine later.
    late = [event["told"] - event["time"] for event in told if event.get("event") == "note on"]
    assert 0.05 < float(np.median(late)) < 3
    states = [message["state"] for message in told if "state" in message]
    assert 0.5 * SECONDS < states[-1]["time"] <= SECONDS + 0.01
    assert states[-1]["key"] in (None, "C major")
    assert all(state["lost"] == state["clipped"] == 0 for state in states)
    assert max(state["level"] for state in states) == pytest.approx(20 * np.log10(np.abs(samples).max()), abs=1)
    assert told[-1] == {"code": 1000, "reason": ""}
    entry = library.entry(told[-2]["kept"])
    assert entry is not None
    assert (entry.about.title, entry.about.name) == ("Live <b>", "Live <b>.flac")
    # The very samples, at the rate of the microphone.
    found, rate = soundfile.read(entry.recording, dtype="int16")
    assert rate == RATE
    np.testing.assert_array_equal(found, whole(samples))
    assert nothing_hangs()


def test_what_is_thrown_away_is_gone(library: Library) -> None:
    with served(library) as port, connected(port) as plug:
        plug.send(HELLO)
        told = played(plug, blocks(melody(TUNE, SECONDS, RATE), n=4096), DROP)
        assert told[-2:] == [{"kept": None}, {"code": 1000, "reason": ""}]
        assert len(notes_of(told)) >= len(TUNE) - 1
        assert list(library.folder.iterdir()) == []


def test_two_takes_do_not_mix_and_a_third_is_told_to_wait(library: Library) -> None:
    tunes = (TUNE, OTHER)
    sounds = [blocks(melody(tune, SECONDS, RATE), n=2400) for tune in tunes]
    with served(library) as port, connected(port) as one, connected(port) as other:
        plugs = (one, other)
        for plug in plugs:
            plug.send(HELLO)
            assert "ready" in json.loads(plug.recv())
        with connected(port) as third:
            (end,) = said(third)
        assert end == {"code": 1013, "reason": "2 takes are listened to already; end one of them"}
        for pair in zip(*sounds, strict=True):
            for plug, block in zip(plugs, pair, strict=True):
                plug.send(block)
        for plug, tune in zip(plugs, tunes, strict=True):
            plug.send(KEEP)
            told = said(plug)
            heard = notes_of(told)
            assert len(match_notes(tune, heard)) >= len(tune) - 1
            assert {note.pitch for note in heard} <= {note.pitch for note in tune}
            entry = library.entry(told[-2]["kept"])
            assert entry is not None
            np.testing.assert_array_equal(
                soundfile.read(entry.recording, dtype="int16")[0], whole(melody(tune, SECONDS, RATE))
            )
        # There is room again.
        with connected(port) as fourth:
            fourth.send(HELLO)
            assert "ready" in json.loads(fourth.recv())


def test_what_was_lost_is_filled_counted_and_remembered(library: Library) -> None:
    samples = melody(TUNE, SECONDS, RATE)
    sent = blocks(samples, n=4800)
    with served(library) as port, connected(port) as plug:
        plug.send(HELLO)
        told = played(plug, [*sent[:15], *sent[25:]])  # 1.5 to 2.5 s
    assert {"word": "1.0 s of sound were lost: the machine was busy elsewhere"} in told
    there = [note for note in TUNE if not 1.4 < note.onset < 2.5]
    assert len(match_notes(there, notes_of(told))) >= len(there) - 1
    entry = library.entry(told[-2]["kept"])
    assert entry is not None
    assert entry.about.warnings == ["1.0 s of sound were lost in 1 gaps; silence stands for them"]
    found, _ = soundfile.read(entry.recording, dtype="int16")
    expected = whole(samples)
    expected[15 * 4800 : 25 * 4800] = 0
    np.testing.assert_array_equal(found, expected)


def test_a_take_has_an_end(library: Library) -> None:
    with served(library, TakeLimits(seconds=2.0)) as port, connected(port) as plug:
        plug.send(HELLO)
        for block in blocks(melody(TUNE, SECONDS, RATE), n=4800):
            plug.send(block)
        told = said(plug)
    assert told[-3]["word"].endswith("hours are the most; the take ends here")
    assert library.entry(told[-2]["kept"]) is not None
    assert told[-1]["code"] == 1000


# What is sent first, and why it is refused.
FIRST: dict[str, tuple[str | bytes, str]] = {
    "no table": ("[]", "table in JSON"),
    "no JSON": ("{", "table in JSON"),
    "too deep": ("[" * 30_000, "table in JSON"),
    "a block": (blocks(silence(0.01))[0], "table in JSON"),
    "no latency": ('{"rate": 48000, "name": "a"}', "latency"),
    "another latency": ('{"latency": 121, "rate": 48000, "name": "a"}', "latency"),
    "a latency that is a table": ('{"latency": {}, "rate": 48000, "name": "a"}', "latency"),
    "no rate": ('{"latency": 120, "rate": 0, "name": "a"}', "rate"),
    "a rate that is true": ('{"latency": 120, "rate": true, "name": "a"}', "rate"),
    "a rate that is huge": ('{"latency": 120, "rate": 1e99, "name": "a"}', "rate"),
    "no name": ('{"latency": 120, "rate": 48000, "name": 7}', "name"),
}
SECOND: list[str | bytes] = list(blocks(silence(1.0), n=RATE // 10))
# What is sent after that.
LATER: dict[str, tuple[list[str | bytes], str]] = {
    "nothing in it": ([b""], "a block is"),
    "a place alone": ([b"\0\0\0\0"], "a block is"),
    "half a sample": ([b"\0\0\0\0\1"], "a block is"),
    "the same twice": ([SECOND[0], SECOND[0]], "twice"),
    "backwards": ([SECOND[1], SECOND[0]], "twice"),
    "an hour later": ([struct.pack("<Ih", 3600 * RATE, 0)], "sooner"),
    "the end of time": ([SECOND[0], struct.pack("<Ih", 2**32 - 1, 0)], "sooner"),
    "faster than it sounds": ([*blocks(silence(20.0), n=RATE // 2)], "sooner"),
    "no wish": ([SECOND[0], '{"end": "maybe"}'], "keep or drop"),
    "a wish that is none": ([SECOND[0], "keep"], "table in JSON"),
}


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Library]]:
    library = Library(tmp_path_factory.mktemp("hostile"))
    with served(library, TakeLimits(patience=1.0)) as port:
        yield port, library


@pytest.mark.parametrize("name", FIRST)
def test_a_first_word_that_is_none_is_refused(hostile: tuple[int, Library], name: str) -> None:
    port, library = hostile
    content, why = FIRST[name]
    with connected(port) as plug:
        plug.send(content)
        (end,) = said(plug)
    assert end["code"] == 1007
    assert why in end["reason"]
    assert list(library.folder.iterdir()) == []


@pytest.mark.parametrize("name", LATER)
def test_a_block_that_is_none_is_refused_and_nothing_is_kept(hostile: tuple[int, Library], name: str) -> None:
    port, library = hostile
    content, why = LATER[name]
    with connected(port) as plug:
        plug.send(HELLO)
        try:
            for part in content:
                plug.send(part)
        except ConnectionClosed:
            pass
        *_, end = said(plug)
    assert end["code"] == 1007
    assert why in end["reason"]
    until(lambda: nothing_hangs() and not list(library.folder.iterdir()))


def test_a_block_that_is_too_long_is_refused(hostile: tuple[int, Library]) -> None:
    port, library = hostile
    with connected(port) as plug:
        plug.send(HELLO)
        assert "ready" in json.loads(plug.recv())
        plug.send(b"\0" * (LONGEST + 2))
        *_, end = said(plug)
    assert end["code"] == 1009
    until(lambda: nothing_hangs() and not list(library.folder.iterdir()))


def test_who_says_nothing_is_not_waited_for(hostile: tuple[int, Library]) -> None:
    port, library = hostile
    for n in range(3):
        with connected(port) as plug:
            for word in (HELLO, SECOND[0])[:n]:
                plug.send(word)
            *_, end = said(plug)
        assert end == {"code": 1008, "reason": "nothing came any more"}
    until(lambda: nothing_hangs() and not list(library.folder.iterdir()))


@pytest.mark.parametrize("plays", [False, True])
def test_a_closed_tab_ends_the_take_and_what_holds_notes_is_kept(library: Library, plays: bool) -> None:
    sound = melody(TUNE, SECONDS, RATE) if plays else silence(3.0).repeat(3)
    with served(library) as port:
        with connected(port) as plug:
            plug.send(HELLO)
            assert "ready" in json.loads(plug.recv())
            for block in blocks(sound, n=4800):
                plug.send(block)
            if plays:
                while json.loads(plug.recv()).get("state", {"time": 0})["time"] < 3.5:
                    pass
            plug.socket.shutdown(socket.SHUT_RDWR)  # without a word
            until(nothing_hangs)
        until(lambda: bool(library.entries()) is plays)
        with connected(port) as one, connected(port) as other:  # nobody holds a place
            for again in (one, other):
                again.send(HELLO)
                assert "ready" in json.loads(again.recv())


def test_who_takes_nothing_in_is_let_go(library: Library) -> None:
    """The browser's buffers are full for ever."""

    class Stuck:
        closed = 0

        async def accept(self) -> None:
            pass

        async def receive(self) -> dict[str, object]:
            if self.closed or not hasattr(self, "greeted"):
                self.greeted = True
                return {"type": "websocket.receive", "text": HELLO}
            await asyncio.sleep(0.01)
            place = self.place = getattr(self, "place", -512) + 512
            return {"type": "websocket.receive", "bytes": struct.pack("<I", place) + bytes(1024)}

        async def send_json(self, message: object) -> None:
            await asyncio.sleep(60)

        async def close(self, code: int, reason: str) -> None:
            self.closed = code
            await asyncio.sleep(60)

    stuck = Stuck()
    room = Takes(library, Jobs(library, opened), TakeLimits(patience=0.5))
    began = time.monotonic()
    asyncio.run(room.listen(stuck))  # type: ignore[arg-type]
    assert time.monotonic() - began < 10
    assert (stuck.closed, room.n_running) == (1008, 0)
    assert nothing_hangs()
    assert list(library.folder.iterdir()) == []


def test_the_server_ends_in_the_middle_of_a_take(library: Library) -> None:
    with ExitStack() as stack:
        with served(library) as port:
            plug = stack.enter_context(connected(port))
            plug.send(HELLO)
            for block in blocks(melody(TUNE, SECONDS, RATE), n=4800):
                plug.send(block)
            while json.loads(plug.recv()).get("state", {"time": 0})["time"] < 3.5:
                pass
        assert said(plug)[-1]["code"] in (1012, None)
    assert nothing_hangs()
    ((_, about),) = Library(library.folder).entries()
    assert about.status in (QUEUED, RUNNING, DONE)  # what isn't done is done by the next server


# Headers, and the status that says no.
ASKED: dict[str, tuple[dict[str, str], int]] = {
    "nobody's page": ({}, 403),
    "another host": ({"Host": "evil.example", "Origin": "http://evil.example"}, 421),
    "a name that leads here": ({"Host": "evil.example:8732", "Origin": "http://evil.example:8732"}, 421),
    "another site": ({"Origin": "http://evil.example"}, 403),
    "a file": ({"Origin": "null"}, 403),
    "another port": ({"Origin": "http://127.0.0.1:9999"}, 403),
    "another scheme": ({"Origin": "https://127.0.0.1:8732"}, 403),
    "another site by its own word": ({"Origin": HERE, "Sec-Fetch-Site": "cross-site"}, 403),
    "a visit that is none": (
        {"Origin": HERE, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
        403,
    ),
}


@pytest.mark.parametrize("name", ASKED)
def test_other_sites_are_not_let_in(library: Library, name: str) -> None:
    headers, status = ASKED[name]
    client = TestClient(make_app(library, opened, Access("127.0.0.1", 8732)), base_url=HERE)
    with pytest.raises(WebSocketDenialResponse) as refused, client.websocket_connect(SOCKET, headers=headers):
        pass
    assert refused.value.status_code == status
    assert refused.value.headers["content-security-policy"].startswith("default-src 'none'")


def test_other_sites_are_not_let_in_by_the_real_server(hostile: tuple[int, Library]) -> None:
    port, _ = hostile
    for origin in (None, "http://evil.example", f"http://localhost:{port}"):
        with pytest.raises(InvalidStatus) as refused:
            connected(port, origin=origin)
        assert refused.value.response.status_code == 403
    for path in ("/", "/api/results", "/api/live/../results"):  # nothing else is a socket
        with pytest.raises(InvalidStatus) as refused:
            connected(port, path)
        assert refused.value.response.status_code == 403


# What a hand-made client says, line by line, and the status or the code that answers it.
UPGRADE = "GET /api/live HTTP/1.1\r\nHost: HERE\r\nOrigin: http://HERE\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
KEY, VERSION = f"Sec-WebSocket-Key: {'a' * 22}==\r\n", "Sec-WebSocket-Version: 13\r\n"
MASK = b"\x01\x02\x03\x04"
RAW: dict[str, tuple[str, bytes, bytes]] = {
    "no key": (f"{UPGRADE}{VERSION}", b"", b" 400 "),
    "a key that is none": (f"{UPGRADE}{VERSION}Sec-WebSocket-Key: a\r\n", b"", b" 400 "),
    "another version": (f"{UPGRADE}{KEY}Sec-WebSocket-Version: 7\r\n", b"", b" 400 "),
    "two origins": (f"{UPGRADE}{KEY}{VERSION}Origin: http://evil.example\r\n", b"", b" 400 "),
    "two hosts": (f"{UPGRADE}{KEY}{VERSION}Host: evil.example\r\n", b"", b" 4"),
    "a frame without a mask": (f"{UPGRADE}{KEY}{VERSION}", b"\x81\x02{}", struct.pack(">H", 1002)),
    "a frame of no kind": (f"{UPGRADE}{KEY}{VERSION}", b"\x83\x80" + MASK, struct.pack(">H", 1002)),
    "a frame that says it is huge": (
        f"{UPGRADE}{KEY}{VERSION}",
        b"\x82\xff" + bytes([0x7F] * 8) + MASK,
        struct.pack(">H", 1009),
    ),
    "a message in parts that never ends": (
        f"{UPGRADE}{KEY}{VERSION}",
        b"\x02\xfe\x40\x00" + MASK + bytes(0x4000) + 5 * (b"\x00\xfe\x40\x00" + MASK + bytes(0x4000)),
        struct.pack(">H", 1009),
    ),
    "text that is none": (f"{UPGRADE}{KEY}{VERSION}", b"\x81\x82" + MASK + b"\xff\xff", struct.pack(">H", 1007)),
}


@pytest.mark.parametrize("name", RAW)
def test_what_no_browser_says_is_refused(hostile: tuple[int, Library], name: str) -> None:
    port, library = hostile
    head, content, answer = RAW[name]
    with socket.create_connection(("127.0.0.1", port), timeout=20) as plug:
        plug.sendall(head.replace("HERE", f"127.0.0.1:{port}").encode() + b"\r\n")
        found = plug.recv(4096)
        if content:
            assert b" 101 " in found
            plug.sendall(content)
        while answer not in found and (part := plug.recv(4096)):
            found += part
    assert answer in found
    until(lambda: nothing_hangs() and not list(library.folder.iterdir()))
    with connected(port) as good:  # the server goes on
        good.send(HELLO)
        assert "ready" in json.loads(good.recv())
        good.send(DROP)
        said(good)


def test_other_machines_need_the_cookie(tmp_path: Path) -> None:
    access = Access("192.0.2.7", 8732)
    base, there = "http://192.0.2.7:8732", "ws://192.0.2.7:8732"
    client = TestClient(make_app(Library(tmp_path), opened, access), base_url=base, follow_redirects=False)
    own = {"Origin": base}
    for path, headers in (
        ("/api/live", own),
        ("/api/live", {**own, "Cookie": f"{COOKIE}=wrong"}),
        (access.link.removeprefix(base), own),  # a link opens the page, not a socket
        (f"/api/live{access.link.partition('/?')[2]}", own),
    ):
        with (
            pytest.raises(WebSocketDenialResponse) as refused,
            client.websocket_connect(f"{there}{path}", headers=headers),
        ):
            pass
        assert refused.value.status_code == 401
    assert client.get(access.link).status_code == 303
    with client.websocket_connect(f"{there}/api/live", headers=own) as plug:
        plug.send_text("no JSON")
        assert plug.receive() == {"type": "websocket.close", "code": 1007, "reason": "a word is a table in JSON"}


def test_a_full_disk_is_told(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with served(library) as port, connected(port) as plug:
        monkeypatch.setattr(takes._Take, "_record", full)
        plug.send(HELLO)
        plug.send(SECOND[0])
        told = said(plug)
        assert told[-2] == {"kept": None}
        assert told[-1]["code"] == 1011
        assert "No space left" in told[-1]["reason"]
        until(lambda: not list(library.folder.iterdir()))


def test_where_too_many_recordings_wait_no_take_begins(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Jobs, "full", True)
    with served(library) as port, connected(port) as plug:
        plug.send(HELLO)
        assert said(plug) == [{"code": 1013, "reason": "too many recordings wait; try again when some are done"}]
    assert list(library.folder.iterdir()) == []


def test_a_disk_without_room_is_told_at_once(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(takes, "_ROOM", 1 << 60)
    with served(library) as port, connected(port) as plug:
        plug.send(HELLO)
        assert said(plug) == [{"code": 1013, "reason": "there is no room on the disk"}]
