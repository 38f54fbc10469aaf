"""Takes: what a browser's microphone hears is told while it sounds, and kept as a recording where that is wished.

The browser sends a line of JSON with a latency in ms, the rate of its samples in Hz and a name; then blocks of sound
(:mod:`transcribe.live.remote`); at last ``{"end": "keep"}`` or ``{"end": "drop"}``. It is told, a line of JSON each,
that all is ``ready``, every ``event``, the ``state`` some ten times a second, a ``word`` where something is worth one,
and at the end the number of the recording that was ``kept``, null where none was. Who goes without a word has kept what
holds notes.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.websockets import WebSocket, WebSocketDisconnect

from transcribe.errors import InputError, PitchaiError, machine_fault
from transcribe.live.delays import LATENCIES
from transcribe.live.engine import Engine
from transcribe.live.harmony import Harmony
from transcribe.live.remote import LONGEST, RATES, RemoteSource
from transcribe.live.session import Session
from transcribe.live.tracker import Event
from transcribe.serve.library import Entry, Library, Upload

if TYPE_CHECKING:
    import numpy as np

    from transcribe.live.model import LiveModel
    from transcribe.serve.jobs import Jobs

#: How uvicorn serves the connections: nothing is longer than a block, and nothing is unpacked.
SOCKETS: Mapping[str, Any] = {
    "ws": "websockets-sansio",
    "ws_max_size": LONGEST,
    "ws_per_message_deflate": False,
    "ws_ping_interval": 20.0,
    "ws_ping_timeout": 20.0,
}
# Why a connection is closed: by the WebSocket protocol's own numbers.
ENDED, MALFORMED, REFUSED, FAULT, LATER = 1000, 1007, 1008, 1011, 1013
KEEP, DROP = "keep", "drop"
_SUFFIX, _DEPTH = ".flac", "PCM_16"
# Bytes that are kept free on the disk.
_ROOM = 256 << 20
# Seconds that the last blocks are given to be heard, and a browser to take in a last word.
_PATIENCE, _LAST_WORD = 30.0, 2.0
# While so many messages wait, how the take goes isn't told.
_WAITING = 20


@dataclass(frozen=True)
class TakeLimits:
    """What takes may take.

    Attributes
    ----------
    most
        Takes at once.
    seconds
        Of one of them.
    patience
        Seconds in which something has to come, or be taken in.
    """

    most: int = 2
    seconds: float = 4 * 3600.0
    patience: float = 20.0


class RefusedError(Exception):
    """A connection that is closed, with one of the protocol's numbers and a reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


class Takes:
    """Listens to browsers, a few at once.

    Parameters
    ----------
    library
        Where recordings are kept.
    jobs
        Hears again what was kept.
    """

    def __init__(self, library: Library, jobs: Jobs, limits: TakeLimits = TakeLimits()) -> None:
        self.library, self.jobs, self.limits = library, jobs, limits
        self.n_running = 0

    async def listen(self, socket: WebSocket) -> None:
        """Serve one browser, from its first word to its last."""
        await socket.accept()
        if self.n_running >= self.limits.most:
            await _close(socket, LATER, f"{self.n_running} takes are listened to already; end one of them")
            return
        self.n_running += 1
        try:
            await self._listen(socket)
            await _close(socket, ENDED, "")
        except RefusedError as refused:
            await _close(socket, refused.code, refused.reason)
        except WebSocketDisconnect:
            pass
        finally:
            self.n_running -= 1

    async def _listen(self, socket: WebSocket) -> None:
        asked = _asked(await self._received(socket))
        if self.jobs.full:
            raise RefusedError(LATER, "too many recordings wait; try again when some are done")
        if shutil.disk_usage(self.library.folder).free < _ROOM:
            raise RefusedError(LATER, "there is no room on the disk")
        try:
            model = await run_in_threadpool(_model)
            take = _Take(model, asked, self.library.begin(asked.name), self.limits.seconds)
        except (PitchaiError, OSError) as error:
            raise RefusedError(FAULT, str(error)) from None
        wish, refused = await self._through(socket, take)
        entry = await run_in_threadpool(take.settle, wish)
        if entry is not None:
            self.jobs.add(entry)
        if refused is not None:
            raise refused
        await self._told(socket, {"kept": None if entry is None else entry.id})
        if take.fault:
            raise RefusedError(FAULT, take.fault)

    async def _through(self, socket: WebSocket, take: _Take) -> tuple[str | None, RefusedError | None]:
        """Hear a take to its end; give what is wished, None where nobody said, and why it was refused, if it was."""
        take.begin()
        receiving = asyncio.create_task(self._receive(socket, take))
        telling = asyncio.create_task(self._tell(socket, take))
        wish: str | None = None
        try:
            await asyncio.wait({receiving, telling}, return_when=asyncio.FIRST_COMPLETED)
            if receiving.done():
                wish = receiving.result()
                await run_in_threadpool(take.source.end, _PATIENCE)
            await telling
        except RefusedError as refused:
            return (DROP if refused.code == MALFORMED else None), refused
        except WebSocketDisconnect:
            return wish, RefusedError(ENDED, "")  # nobody is there to be told
        finally:
            receiving.cancel()
            telling.cancel()
            await asyncio.gather(receiving, telling, return_exceptions=True)
            await run_in_threadpool(take.stop)
        return wish, None

    async def _receive(self, socket: WebSocket, take: _Take) -> str:
        """Take in blocks up to the last word, which says what is wished."""
        while True:
            content = await self._received(socket)
            if isinstance(content, str):
                return _wish(content)
            try:
                take.source.push(content)
            except InputError as error:
                raise RefusedError(MALFORMED, str(error)) from None

    async def _tell(self, socket: WebSocket, take: _Take) -> None:
        """Tell what there is to be told, up to the end of the take."""
        while (message := await take.told.get()) is not None:
            await self._told(socket, message)

    async def _received(self, socket: WebSocket) -> str | bytes:
        try:
            # Not wait_for: on Python 3.11 it may forget that it was cancelled, and the take would go on without end.
            async with asyncio.timeout(self.limits.patience):
                message = await socket.receive()
        except TimeoutError:
            raise RefusedError(REFUSED, "nothing came any more") from None
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1006))
        content: str | bytes | None = message.get("bytes")
        return message.get("text") or "" if content is None else content

    async def _told(self, socket: WebSocket, message: Mapping[str, object]) -> None:
        try:
            async with asyncio.timeout(self.limits.patience):
                await socket.send_json(message)
        except TimeoutError:
            raise RefusedError(REFUSED, "what was told isn't taken in") from None
        except RuntimeError:  # it was closed meanwhile
            raise WebSocketDisconnect(1006) from None


@dataclass(frozen=True)
class _Asked:
    """What a browser asks for: milliseconds, Hz, and the name of the recording."""

    latency: int
    rate: int
    name: str


class _Take:
    """One take: a session in a thread of its own, what it tells, and the recording on its way to the library."""

    def __init__(self, model: LiveModel, asked: _Asked, upload: Upload, seconds: float) -> None:
        import soundfile

        self.told: asyncio.Queue[dict[str, object] | None] = asyncio.Queue()
        self.fault = ""
        self._model, self._asked, self._upload = model, asked, upload
        self._loop = asyncio.get_running_loop()
        self._harmony = Harmony()
        self._file = soundfile.SoundFile(upload.file, "w", asked.rate, 1, _DEPTH, format=_SUFFIX[1:].upper())
        engine = Engine(model, asked.latency)
        self.source = RemoteSource(asked.rate, engine.sample_rate, self._record)
        self.session = Session(self.source, engine, watch=self._watch, say=self._say, draw=self._draw, seconds=seconds)
        self._seconds = seconds
        self._thread = threading.Thread(target=self._run, name="pitchai take", daemon=True)

    def begin(self) -> None:
        """Begin to hear."""
        engine = self.session.engine
        self._put({"ready": {"model": self._model.name, "latency": engine.latency, "rate": self._asked.rate}})
        self._thread.start()

    def stop(self) -> None:
        """End it, whatever it does, and wait until it has."""
        self.session.stop.set()
        self._thread.join()

    def settle(self, wish: str | None) -> Entry | None:
        """Keep the recording or remove it, when it has ended; where nobody said, what holds notes is kept."""
        engine = self.session.engine
        keep = wish == KEEP or (wish is None and bool(engine.score.notes))
        try:
            self._file.close()
            if keep and engine.n_samples:
                return self._upload.finish(self.session.remarks())
        except (OSError, RuntimeError) as error:
            self.fault = self.fault or f"the recording can't be kept: {error}"
        self._upload.cancel()
        return None

    def _run(self) -> None:
        try:
            self.session.run()
            if self.session.engine.time >= self._seconds:
                self._say(f"{self._seconds / 3600:g} hours are the most; the take ends here")
        except Exception as error:
            said = str(error) if isinstance(error, PitchaiError) else machine_fault(error)
            self.fault = said or f"a fault of pitchai: {type(error).__name__}: {error}"
        finally:
            self._put(None)

    def _put(self, message: dict[str, object] | None) -> None:
        with suppress(RuntimeError):  # the server has ended
            self._loop.call_soon_threadsafe(self.told.put_nowait, message)

    def _record(self, samples: np.ndarray) -> None:
        self._file.write(samples)

    def _watch(self, event: Event, now: float) -> None:
        self._put(event.values(now))

    def _say(self, text: str) -> None:
        self._put({"word": text})

    def _draw(self, session: Session) -> None:
        if self.told.qsize() > _WAITING:
            return
        engine, health, harmony = session.engine, session.health, self._harmony
        harmony.look(engine.sent, engine.score, engine.time)
        state = {
            "time": round(engine.time, 3),
            "level": round(health.level, 1),
            "peak": round(health.peak, 1),
            "clipped": health.n_clipped,
            "lost": round(health.lost, 3),
            "gaps": health.n_gaps,
            "notes": len(engine.sent.notes),
            "sounding": sorted(engine.sent.sounding),
            "pedal": engine.sent.pedal_down,
            "chord": harmony.chord,
            "key": harmony.key,
            "cents": engine.cents,
        }
        self._put({"state": state})


@lru_cache(1)
def _model() -> LiveModel:
    """Load the network, once for all takes."""
    from transcribe.live.model import load_live_model

    return load_live_model()


def _asked(content: str | bytes) -> _Asked:
    """Read a browser's first word."""
    values = _table(content)
    latency, rate, name = (values.get(key) for key in ("latency", "rate", "name"))
    if latency not in LATENCIES or type(latency) is not int:
        raise RefusedError(MALFORMED, f"latency is one of {', '.join(map(str, LATENCIES))} ms")
    if type(rate) is not int or not RATES[0] <= rate <= RATES[1]:
        raise RefusedError(MALFORMED, f"rate is {RATES[0]} to {RATES[1]} Hz")
    if not isinstance(name, str):
        raise RefusedError(MALFORMED, "name is a text")
    return _Asked(latency, rate, f"{name}{_SUFFIX}")


def _wish(content: str) -> str:
    """Read its last word."""
    wish = _table(content).get("end")
    if wish not in (KEEP, DROP):
        raise RefusedError(MALFORMED, f"end is {KEEP} or {DROP}")
    return str(wish)


def _table(content: str | bytes) -> Mapping[str, Any]:
    try:
        values = json.loads(content) if isinstance(content, str) else None
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise RefusedError(MALFORMED, "a word is a table in JSON")
    return values


async def _close(socket: WebSocket, code: int, reason: str) -> None:
    """Close a connection, if somebody is there."""
    shown = reason.encode()[:120].decode(errors="ignore")  # the protocol has room for 123 bytes
    with suppress(RuntimeError, WebSocketDisconnect, TimeoutError):
        async with asyncio.timeout(_LAST_WORD):
            await socket.close(code, shown)
