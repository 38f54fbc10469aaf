"""What the server answers: the page, results, recordings, edits, exports."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route, WebSocketRoute

from transcribe.errors import InputError, PitchaiError, UsageError
from transcribe.serve.guard import Access, Guard
from transcribe.serve.jobs import Jobs, Open
from transcribe.serve.library import DONE, Entry, Library, clean_name
from transcribe.serve.sheets import EXPORTED, Sheets
from transcribe.serve.takes import TakeLimits, Takes

Answer = TypeVar("Answer")
_ASSETS = Path(__file__).parent.parent / "report" / "assets"
_PIANO = Path(__file__).parent.parent / "report" / "piano"
_KINDS = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".json": "application/json",
    ".woff2": "font/woff2",
    ".ogg": "audio/ogg",
    ".mp3": "audio/mpeg",
    ".wav": "audio/wav",
    ".flac": "audio/flac",
    ".png": "image/png",
}
_SOUNDS = {
    ".wav": "audio/wav",
    ".wave": "audio/wav",
    ".mp3": "audio/mpeg",
    ".ogg": "audio/ogg",
    ".oga": "audio/ogg",
    ".opus": "audio/ogg",
    ".flac": "audio/flac",
    ".m4a": "audio/mp4",
    ".mp4": "audio/mp4",
    ".webm": "audio/webm",
}
# Bytes that are kept free on the disk.
_ROOM = 256 << 20


@dataclass(frozen=True)
class Limits:
    """What a request may take.

    Attributes
    ----------
    upload, body
        Bytes of a recording, and of any other body.
    patience
        Seconds in which some of a body has to come.
    slowest
        Bytes a second, from ``patience`` on, that are too few.
    takes
        What is listened to while it sounds.
    """

    upload: int = 4 << 30
    body: int = 16 << 20
    patience: float = 20.0
    slowest: float = 2_000.0
    takes: TakeLimits = field(default_factory=TakeLimits)


def make_app(library: Library, open_transcriber: Open, access: Access, limits: Limits = Limits()) -> Guard:
    """Make the server's app; its jobs begin and end with it."""
    server = _Server(library, Jobs(library, open_transcriber), limits)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        server.jobs.start()
        yield
        await run_in_threadpool(server.jobs.stop)

    of_file = "/api/files/{id:str}"
    routes = [
        Route("/", server.page),
        Route("/assets/{name:str}", server.asset),
        Route("/assets/piano/{name:str}", server.sample),
        Route("/api/results", server.results),
        Route("/api/files", server.upload, methods=["POST"]),
        Route(of_file, server.view, methods=["GET"]),
        Route(of_file, server.delete, methods=["DELETE"]),
        Route(f"{of_file}/status", server.status),
        Route(f"{of_file}/sound", server.sound),
        Route(f"{of_file}/score.svg", server.score_page),
        Route(f"{of_file}/score.json", server.score_places),
        Route(f"{of_file}/edits", server.edit, methods=["POST"]),
        Route(f"{of_file}/export/{{format:str}}", server.export),
        WebSocketRoute("/api/live", server.takes.listen),
    ]
    handlers: Mapping[Any, Any] = {HTTPException: _refusal, PitchaiError: _fault, ClientDisconnect: _gone}
    app = Starlette(routes=routes, lifespan=lifespan, exception_handlers=handlers)
    return Guard(app, access)


async def _refusal(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    if error.status_code in (408, 413):
        headers["Connection"] = "close"
    return _json({"error": error.detail}, error.status_code, headers)


async def _fault(_: Request, error: Exception) -> Response:
    """Answer what can't be done with one line."""
    return _json({"error": str(error)}, 422 if isinstance(error, (InputError, UsageError)) else 500)


async def _gone(*_: object) -> Response:
    return Response(status_code=400)


def _json(values: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return JSONResponse(values, status, {"Cache-Control": "no-store", **(headers or {})})


class _Server:
    """The answers, a method each."""

    def __init__(self, library: Library, jobs: Jobs, limits: Limits) -> None:
        self.library = library
        self.jobs = jobs
        self.limits = limits
        self.sheets = Sheets()
        self.takes = Takes(library, jobs, limits.takes)
        self._working = asyncio.Semaphore(2)

    async def _work(self, function: Callable[..., Answer], *arguments: object) -> Answer:
        """Do what takes a while beside what others ask for."""
        async with self._working:
            return await run_in_threadpool(function, *arguments)

    def _entry(self, request: Request) -> Entry:
        entry = self.library.entry(request.path_params["id"])
        if entry is None:
            raise HTTPException(404, "there is no such result")
        return entry

    def _done(self, request: Request) -> Entry:
        entry = self._entry(request)
        if entry.about.status != DONE:
            raise HTTPException(409, "it isn't transcribed yet")
        return entry

    async def page(self, _: Request) -> Response:
        """Answer with the page."""
        from transcribe.serve.page import app_page

        return Response(app_page(), media_type="text/html; charset=utf-8", headers={"Cache-Control": "no-cache"})

    async def asset(self, request: Request) -> Response:
        """Answer with a file of the page."""
        return _file_of(_ASSETS, request.path_params["name"])

    async def sample(self, request: Request) -> Response:
        """Answer with a note of the piano."""
        return _file_of(_PIANO, request.path_params["name"])

    async def results(self, _: Request) -> Response:
        """List what there is."""
        return _json(
            [
                {
                    "id": entry.id,
                    "title": about.title,
                    "name": about.name,
                    "duration": about.duration,
                    "status": about.status,
                    "created": about.created,
                }
                for entry, about in self.library.entries()
            ],
            headers={"X-Folder": quote(str(self.library.folder))},
        )

    async def upload(self, request: Request) -> Response:
        """Take in a recording as it comes, and put it into the queue."""
        if self.jobs.full:
            raise HTTPException(429, "too many recordings wait; try again when some are done")
        size = _length_of(request)
        if size is not None and size > self.limits.upload:
            raise HTTPException(413, f"more than {self.limits.upload >> 20} MB; see --max-upload")
        if shutil.disk_usage(self.library.folder).free < (size or 0) + _ROOM:
            raise HTTPException(507, "there is no room on the disk")
        upload = self.library.begin(clean_name(request.query_params.get("name", "")))
        received = 0
        try:
            async for chunk in _chunks(request, self.limits.upload, self.limits):
                received += len(chunk)
                await run_in_threadpool(upload.write, chunk)
            if not received:
                raise HTTPException(400, "the file is empty; record or export it again")
            if size is not None and received != size:
                raise HTTPException(400, "the upload broke off; try again")
            entry = upload.finish()
        except OSError as error:
            upload.cancel()
            raise HTTPException(507, f"can't be kept: {error.strerror}") from None
        except BaseException:
            upload.cancel()
            raise
        self.jobs.add(entry)
        return _json({"id": entry.id}, 201)

    async def status(self, request: Request) -> Response:
        """Tell how far a recording is."""
        entry = self._entry(request)
        about = entry.about
        share = 1.0 if about.status == DONE else self.jobs.progress(entry)
        return _json(
            {
                "status": about.status,
                "progress": round(share, 3),
                "message": about.message,
                "before": max(0, self.jobs.place(entry) - 1),
            }
        )

    async def view(self, request: Request) -> Response:
        """Answer with all that the page shows of a result."""
        return _json(await self._work(self.sheets.view, self._done(request)))

    async def edit(self, request: Request) -> Response:
        """Take in the edits, keep them, and answer with what they make of it."""
        entry = self._done(request)
        if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            raise HTTPException(415, "edits come as application/json")
        content = b"".join([chunk async for chunk in _chunks(request, self.limits.body, self.limits)])
        try:
            values = json.loads(content)
            edits, undone, version = values["edits"], values.get("undone", []), values.get("version")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise HTTPException(400, "edits are a table with a list edits, and perhaps a list undone") from None
        if not (isinstance(edits, list) and isinstance(undone, list) and all(isinstance(e, dict) for e in undone)):
            raise HTTPException(400, "edits and undone are lists of tables")
        view = await self._work(self.sheets.edit, entry, edits, undone, version)
        if view is None:
            raise HTTPException(409, "another browser has edited it meanwhile; load it again")
        return _json(view)

    async def sound(self, request: Request) -> Response:
        """Answer with the recording, or a part of it."""
        entry = self._entry(request)
        sound = entry.sound
        if sound is None:
            raise HTTPException(404, "there is no recording, only notes")
        kind = _SOUNDS.get(sound.suffix, "application/octet-stream")
        return FileResponse(sound, media_type=kind, headers={"Cache-Control": "no-cache"})

    async def score_page(self, request: Request) -> Response:
        """Answer with a page of the score."""
        text = request.query_params.get("page", "1")
        number = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0
        score = await self._work(self.sheets.score, self._done(request))
        if not 1 <= number <= len(score.pages):
            raise HTTPException(404, "there is no such page")
        headers = {"X-Pages": str(len(score.pages)), "Cache-Control": "no-store"}
        return Response(score.pages[number - 1], media_type="image/svg+xml", headers=headers)

    async def score_places(self, request: Request) -> Response:
        """Tell where the notes and the measures of the score lie."""
        score = await self._work(self.sheets.score, self._done(request))
        return _json({"notes": score.notes, "measures": score.measures, "pages": len(score.pages)})

    async def export(self, request: Request) -> Response:
        """Answer with a file of any format."""
        entry, form = self._done(request), request.path_params["format"]
        if form not in EXPORTED:
            raise HTTPException(404, f"there is no such format; choose of {', '.join(EXPORTED)}")
        content, name = await self._work(self.sheets.export, entry, form)
        disposition = f"attachment; filename*=UTF-8''{quote(name, safe='')}"
        headers = {"Content-Disposition": disposition, "Cache-Control": "no-store"}
        return Response(content, media_type="application/octet-stream", headers=headers)

    async def delete(self, request: Request) -> Response:
        """Remove a result."""
        entry = self._entry(request)
        self.jobs.forget(entry)
        await run_in_threadpool(self.library.delete, entry)
        self.sheets.forget(entry)
        return Response(status_code=204)


def _file_of(folder: Path, name: str) -> Response:
    """Answer with a file that lies in a folder; its name is looked for among those that are there."""
    found = {path.name: path for path in folder.iterdir() if path.suffix in _KINDS and path.is_file()}
    if name not in found:
        raise HTTPException(404, "there is no such file")
    return FileResponse(found[name], media_type=_KINDS[found[name].suffix], headers={"Cache-Control": "no-cache"})


def _length_of(request: Request) -> int | None:
    text = request.headers.get("content-length")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit()) or len(text) > 18:
        raise HTTPException(400, "the length of the body is no number")
    return int(text)


async def _chunks(request: Request, most: int, limits: Limits) -> AsyncIterator[bytes]:
    """Yield a body as it comes, if it isn't too much or too slow."""
    size = _length_of(request)
    if size is not None and size > most:
        raise HTTPException(413, f"more than {most >> 20} MB")
    began, received = time.monotonic(), 0
    stream = request.stream().__aiter__()
    while True:
        try:
            async with asyncio.timeout(limits.patience):
                chunk = await anext(stream)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise HTTPException(408, "nothing came any more; try again") from None
        received += len(chunk)
        if received > most:
            raise HTTPException(413, f"more than {most >> 20} MB")
        late = time.monotonic() - began - limits.patience
        if late > 0 and received < late * limits.slowest:
            raise HTTPException(408, "it came too slowly; try again")
        if chunk:
            yield chunk
