"""Who may ask: host, origin and token of every request are checked, and every answer says what the page may load."""

from __future__ import annotations

import ipaddress
import json
import secrets
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs

COOKIE = "pitchai"
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "media-src 'self' blob:; connect-src 'self'; font-src 'self' data:; worker-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(self)",
}

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


def is_loopback(host: str) -> bool:
    """Tell whether only this machine reaches a host."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


@dataclass
class Access:
    """Who may ask.

    Attributes
    ----------
    host, port
        Where the server listens.
    announce
        Called with the link that the next browser is let in by; each link is good for one.
    """

    host: str
    port: int
    announce: Callable[[str], None] = lambda link: None
    _link: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    _sessions: set[str] = field(default_factory=set)

    @property
    def open(self) -> bool:
        """Whether no token is asked for."""
        return is_loopback(self.host)

    @property
    def link(self) -> str:
        """The address of the page, for one browser where a token is asked for."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}/" + ("" if self.open else f"?token={self._link}")

    def exchange(self, token: str) -> str | None:
        """Let a browser in by the token of its link, which is then used up; None where it isn't that."""
        if not secrets.compare_digest(token.encode(), self._link.encode()):
            return None
        self._link = secrets.token_urlsafe(24)
        session = secrets.token_urlsafe(24)
        self._sessions.add(session)
        self.announce(self.link)
        return session

    def knows(self, session: str) -> bool:
        """Tell whether a session was let in."""
        return any(secrets.compare_digest(session.encode(), known.encode()) for known in self._sessions)

    def is_host(self, value: str) -> bool:
        """Tell whether the header ``Host`` names this server, as no other site's name does that leads here."""
        name, port = _parted(value)
        if port != self.port or not name:
            return False
        if self.open:
            return name in _LOOPBACK
        try:
            ipaddress.ip_address(name)
        except ValueError:
            here = socket.gethostname().lower()
            return name in {*_LOOPBACK, self.host.lower(), here, f"{here}.local"}
        return True


def _parted(value: str) -> tuple[str, int]:
    """Part a host from its port, 80 where it says none; no name where it is none."""
    name, mark, port = value.lower().rpartition(":")
    if not mark or value.endswith("]"):
        name, port = value.lower(), "80"
    if not port.isascii() or not port.isdigit() or len(port) > 5:
        return "", 0
    return name.removeprefix("[").removesuffix("]"), int(port)


class Guard:
    """Passes on to the app what may be asked, and answers the rest."""

    def __init__(self, app: App, access: Access) -> None:
        self.app = app
        self.access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] == "websocket":
            await self._connect(scope, receive, send)
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def sending(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                own = {name.lower() for name, _ in message.get("headers", ())}
                more = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                message["headers"] = [
                    *message.get("headers", ()),
                    *((name, value) for name, value in more if name.lower() not in own),
                ]
            await send(message)

        refused = self._refused(scope)
        if refused is None:
            await self.app(scope, receive, sending)
            return
        status, text, headers = refused
        content = b"" if status == 303 else json.dumps({"error": text}).encode()
        await sending(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [
                    (b"content-type", b"application/json"),
                    (b"content-length", str(len(content)).encode()),
                    (b"connection", b"close"),
                    *headers,
                ],
            }
        )
        await sending({"type": "http.response.body", "body": content})

    async def _connect(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a page's connection through; a browser always says whose page asks, and so must everybody."""
        refused = self._refused(scope)
        if refused is None and not any(name == b"origin" for name, _ in scope["headers"]):
            refused = 403, "no page asks", []
        if refused is None:
            await self.app(scope, receive, send)
            return
        status, text, _ = refused
        await receive()  # the request to connect
        if "websocket.http.response" not in scope.get("extensions", {}):
            await send({"type": "websocket.close", "code": 1008, "reason": text})
            return
        more = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
        headers = [(b"content-type", b"application/json"), (b"connection", b"close"), *more]
        await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
        await send({"type": "websocket.http.response.body", "body": json.dumps({"error": text}).encode()})

    def _refused(self, scope: Scope) -> tuple[int, str, list[tuple[bytes, bytes]]] | None:
        """Say why a request isn't answered; None where it is."""
        headers: dict[str, list[str]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
        hosts = headers.get("host", [])
        if len(hosts) != 1 or not self.access.is_host(hosts[0]):
            return 421, "this server goes by another name", []
        origins = headers.get("origin", [])
        scheme = {"ws": "http", "wss": "https"}.get(scope["scheme"], scope["scheme"])
        if any(origin.lower() != f"{scheme}://{hosts[0].lower()}" for origin in origins):
            return 403, "another site asks", []
        site, mode = (headers.get(f"sec-fetch-{what}", [""])[0] for what in ("site", "mode"))
        visiting = mode == "navigate" and scope["path"] == "/" and scope.get("method") == "GET"
        if site in ("cross-site", "same-site") and not visiting:
            return 403, "another site asks", []
        if self.access.open:
            return None
        return self._without_token(scope, headers)

    def _without_token(
        self, scope: Scope, headers: dict[str, list[str]]
    ) -> tuple[int, str, list[tuple[bytes, bytes]]] | None:
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token")
        if given and scope["type"] == "http" and scope["path"] == "/":
            session = self.access.exchange(given[0])
            if session is not None:
                cookie = f"{COOKIE}={session}; HttpOnly; SameSite=Strict; Path=/"
                return 303, "", [(b"location", b"/"), (b"set-cookie", cookie.encode())]
        sessions = [value.removeprefix("Bearer ") for value in headers.get("authorization", ())]
        for header in headers.get("cookie", ()):
            try:
                cookies = SimpleCookie(header)
            except CookieError:
                continue
            if COOKIE in cookies:
                sessions.append(cookies[COOKIE].value)
        if any(self.access.knows(session) for session in sessions):
            return None
        return 401, "open the link that pitchai printed; each is good for one browser", []
