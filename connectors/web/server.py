"""The HTTP side of the port: uvicorn, with what it lacks against clients that only hold on."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Collection
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httptools
import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from connectors.web.connection import LOOPBACK, Connection, Gate
from connectors.web.limits import Buckets
from connectors.web.rest.problems import Problem
from state.errors import Misuse

MAX_HEADER = 1 << 16
"""Bytes of a request before its body."""
API = "/api/"
"""Where a request has to say who asks; one that does not is refused at once."""
RATE = "too many connections a second"
Vital = Collection[tuple[str, str]]
"""Method and path of what is served to connections without a seat, too."""


class HttpProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with bounds.

    Each request has a time in which to be whole, and a size; each address a rate of connections;
    and a connection has a seat, or stands.
    """

    def __init__(self, gate: Gate, rates: Buckets, vital: Vital, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._gate = gate
        self._rates = rates
        self._vital = vital
        self._deadline: asyncio.TimerHandle | None = None
        self._head = 0
        self._standing = ""
        """Why it has no seat."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Begin, with a seat, or standing where an address connects too often or has too many."""
        super().connection_made(transport)
        address, seats = self._address, self._gate.seats
        if self._rates.take(address, time.monotonic()):
            self._standing = seats.enter(transport, address, self._put_out)
        else:
            self._standing = RATE
            seats.stand(transport, RATE, self._put_out)
        self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the client."""
        self._disarm()
        self._gate.seats.leave(self.transport)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take in bytes of a request."""
        if self.transport.is_closing():
            return
        if self._deadline is not None:
            self._head += len(data)
            if self._head > MAX_HEADER + self._gate.limits.message_bytes:
                self._refuse(431, "header", "a request too large")
                return
        super().data_received(data)

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        if self._deadline is None:
            self._arm()

    def on_headers_complete(self) -> None:
        """Serve a request, or refuse it before its body comes."""
        refusal = self._refusal()
        if refusal is not None:
            self._refuse(*refusal)
            return
        super().on_headers_complete()
        if self._standing:
            self.cycle.keep_alive = False
            self._gate.seats.serve(self.transport)
        elif self.url.startswith(API.encode()) or self._is_vital():
            self._gate.seats.keep(self.transport)

    def on_body(self, body: bytes) -> None:
        """Take in bytes of a body, but for a request that was refused."""
        if not self.transport.is_closing():
            super().on_body(body)

    def on_message_complete(self) -> None:
        """A request is whole."""
        self._disarm()
        if not self.transport.is_closing():
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """A request is answered: until the next one the connection gives way."""
        self._gate.seats.give(self.transport, self._put_out)
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no request; ``msg`` is uvicorn's word for it."""
        if not self.transport.is_closing():
            self._end(400, "this is no request in HTTP/1.1, or its URL is too long")

    def handle_websocket_upgrade(self) -> None:
        """Hand over to `Connection`."""
        self._disarm()
        if not self.transport.is_closing():
            super().handle_websocket_upgrade()

    @property
    def _address(self) -> str:
        return self.client[0] if self.client else ""

    def _refusal(self) -> tuple[int, str, str] | None:
        """Return (status, code, reason) where a request is not served."""
        version = self.parser.get_http_version()
        hosts = sum(name == b"host" for name, _ in self.headers)
        if hosts > 1 or (hosts == 0 and version == "1.1"):
            return 400, "host", "a request names one Host"
        if version != "1.1" and self._get_upgrade() is not None:
            return 400, "version", "an upgrade needs HTTP/1.1"
        if not self._standing or self._is_vital():
            return None
        if self._standing == RATE:
            return 429, "connections", RATE
        return 503, "clients", self._standing

    def _is_vital(self) -> bool:
        method = self.parser.get_method().decode("ascii")
        try:
            path = httptools.parse_url(self.url).path.decode("ascii")
        except (httptools.HttpParserError, AttributeError):
            return False
        return ("GET" if method == "HEAD" else method, path) in self._vital

    def _put_out(self, reason: str) -> None:
        """Give way to another connection."""
        if self._deadline is not None:
            self._refuse(503, "clients", reason)
        else:
            self.transport.close()

    def _arm(self) -> None:
        self._head = 0
        self._deadline = self.loop.call_later(self._gate.limits.header_timeout_s, self._too_late)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_late(self) -> None:
        self._deadline = None
        self._refuse(408, "timeout", "no whole request in feed.header_timeout")

    def _refuse(self, status: int, code: str, reason: str) -> None:
        self._gate.audit.refused("", self._address, "connect", code, reason)
        self._end(status, reason)

    def _end(self, status: int, detail: str) -> None:
        """Answer with a problem, as the app would, and close."""
        answer = Problem(status, detail, headers={"Connection": "close"}).response()
        head = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}".encode()]
        head += [b"%b: %b" % pair for pair in answer.raw_headers]
        self.transport.write(b"\r\n".join([*head, b"", bytes(answer.body)]))
        self.transport.close()


def listen(host: str, port: int, *, guarded: bool) -> socket.socket:
    """Return a listening socket; ``port`` 0 takes any free one.

    Raises Misuse where the address is taken, or is not loopback although nobody is asked who
    they are (not ``guarded``).
    """
    if not guarded and host not in LOOPBACK:
        raise Misuse(f"feed.host {host} can be reached by others: set feed.jwks, or use 127.0.0.1")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns Nagle's algorithm off only for sockets that name their protocol. With it, what
    # is written behind the first write waits for the client's late acknowledgement: 40 ms.
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
        made.listen(2048)
    except OSError as error:
        made.close()
        raise Misuse(
            f"cannot listen on {host}:{port} ({error.strerror}): choose another feed.port"
        ) from None
    return made


def server(
    app: Starlette, gate: Gate, certificate: Path | None = None, key: Path | None = None
) -> uvicorn.Server:
    """Return the server of the app and of the WebSocket at /ws; nothing is started.

    Raises Misuse where only one of certificate and key is given, or they cannot be used.
    """
    if (certificate is None) != (key is None):
        raise Misuse("feed.tls_certificate and feed.tls_key belong together: set both")
    rates = Buckets(gate.limits.connections_per_second, gate.limits.connections_per_second)
    protocol: Any = partial(HttpProtocol, gate, rates, app.state.vital)
    websocket: Any = partial(Connection, gate)
    config = uvicorn.Config(
        app,
        http=protocol,
        ws=websocket,
        loop="asyncio",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ssl_certfile=certificate,
        ssl_keyfile=key,
        timeout_graceful_shutdown=5,
    )
    try:
        config.load()
    except OSError as error:  # ssl.SSLError is one
        raise Misuse(
            f"feed.tls_certificate and feed.tls_key cannot be used ({error.strerror})"
        ) from None
    return uvicorn.Server(config)
