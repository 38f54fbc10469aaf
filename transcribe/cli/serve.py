"""The command that serves the page."""

from __future__ import annotations

import shutil
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from transcribe.cli.console import print_line, say
from transcribe.cli.options import Computing
from transcribe.errors import InputError, UsageError, import_optional

if TYPE_CHECKING:
    from transcribe.serve.library import Entry, Library

_FOLDER = Path("pitchai-results")


def serve(
    computing: Computing,
    source: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FILE|FOLDER]",
            help="A recording or a result to open, or the folder that results are kept in.",
            show_default=False,
        ),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Where results are kept; ./pitchai-results if not given.", show_default=False
        ),
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any that is free.")] = 8732,
    host: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS", help="Where to listen; others than 127.0.0.1 let other machines in, by a token."
        ),
    ] = "127.0.0.1",
    max_upload: Annotated[int, typer.Option(min=1, help="MB; larger recordings are refused.")] = 4096,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Only print the address.")] = False,
) -> None:
    """Open a page to hear, correct and follow transcriptions: [bold]pitchai serve song.wav[/]."""
    from transcribe.serve.guard import Access, is_loopback

    needed = "pitchai serve needs starlette, uvicorn and websockets"
    uvicorn = import_optional("uvicorn", needed, "serve")
    import_optional("starlette", needed, "serve")
    import_optional("websockets", needed, "serve")
    from transcribe.serve.app import Limits, make_app
    from transcribe.serve.library import Library
    from transcribe.serve.takes import SOCKETS
    from transcribe.transcriber import Transcriber

    if source is not None and source.is_dir():
        if folder is not None:
            raise UsageError("give one folder: FOLDER or --folder")
        folder, source = source, None
    if source is not None and not source.is_file():
        raise InputError(f"{source}: no such file or folder")
    library = Library(folder or _FOLDER)
    shown = "" if source is None else f"#{_added(library, source).id}"
    listening = _listen(host, port)
    access = Access(
        host, listening.getsockname()[1], lambda link: say(f"the link was used; for another browser: {link}")
    )
    opened = partial(
        Transcriber,
        model=computing.model,
        device=computing.device,
        precision=computing.precision,
        threads=computing.threads,
        max_duration=3600 * computing.max_duration,
    )
    app = make_app(library, opened, access, Limits(upload=max_upload << 20))
    say(f"results are kept in {library.folder}")
    if not is_loopback(host):
        say(
            f"warning: every machine that reaches {host} can ask this server; only who has the link is let in, and "
            "what is sent can be read on the way"
        )
    link = access.link + shown
    print_line(link)
    sys.stdout.flush()
    if not no_browser and access.open:
        _show(link)
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=False,
        limit_concurrency=128,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=3,
        **SOCKETS,
        lifespan="on",
        proxy_headers=False,
        h11_max_incomplete_event_size=32_768,
    )
    uvicorn.Server(config).run(sockets=[listening])


def _added(library: Library, source: Path) -> Entry:
    """Put a file into the folder, where it isn't yet; it is listened to as soon as the server runs."""
    same = library.same(source)
    if same is not None:
        return same
    upload = library.begin(source.name)
    with source.open("rb") as file:
        shutil.copyfileobj(file, upload)
    return upload.finish()


def _listen(host: str, port: int):  # type: ignore[no-untyped-def]
    import socket

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host.strip("[]"), port))
        listening.listen(128)  # who follows the link before the server runs waits for it
    except OSError as error:
        listening.close()
        raise UsageError(f"can't listen on {host}:{port}: {error.strerror or error}; try another --port") from None
    return listening


def _show(link: str) -> None:
    import threading
    import webbrowser

    threading.Timer(1.0, webbrowser.open, [link]).start()
