"""The HTTP side of the port: uvicorn, with what it lacks against clients that only hold on."""

from __future__ import annotations

import asyncio
import socket
import time
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from connectors.web.connection import LOOPBACK, Connection, Gate
from connectors.web.limits import Buckets
from connectors.web.rest.problems import Problem
from state.errors import Misuse

MAX_HEADER = 1 << 16
"""Bytes of a request before its body."""


class HttpProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with bounds.

    Each request has a time in which to be whole, and a size; each address a rate of connections.
    """

    def __init__(self, gate: Gate, rates: Buckets, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._gate = gate
        self._rates = rates
        self._deadline: asyncio.TimerHandle | None = None
        self._head = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Begin, or refuse an address that connects too often."""
        super().connection_made(transport)
        address = self.client[0] if self.client else ""
        if not self._rates.take(address, time.monotonic()):
            self._refuse(429, "connections", "too many connections a second")
        elif len(self.connections) > self._gate.limits.clients:
            self._refuse(503, "clients", "too many connections")
        else:
            self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the client."""
        self._disarm()
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

    def on_message_complete(self) -> None:
        """A request is whole."""
        self._disarm()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no request; ``msg`` is uvicorn's word for it."""
        self._end(400, "this is no request in HTTP/1.1, or its URL is too long")

    def handle_websocket_upgrade(self) -> None:
        """Hand over to `Connection`."""
        self._disarm()
        super().handle_websocket_upgrade()

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
        address = self.client[0] if self.client else ""
        self._gate.audit.refused("", address, "connect", code, reason)
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
    made = socket.socket(family, socket.SOCK_STREAM)
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
    app: Any, gate: Gate, certificate: Path | None = None, key: Path | None = None
) -> uvicorn.Server:
    """Return the server of a Starlette app and of the WebSocket at /ws; nothing is started.

    Raises Misuse where only one of certificate and key is given, or they cannot be used.
    """
    if (certificate is None) != (key is None):
        raise Misuse("feed.tls_certificate and feed.tls_key belong together: set both")
    rates = Buckets(gate.limits.connections_per_second, gate.limits.connections_per_second)
    protocol: Any = partial(HttpProtocol, gate, rates)
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
