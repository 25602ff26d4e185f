"""The listener: its socket, its connections, and how it ends."""

from __future__ import annotations

import asyncio
import secrets
import socket
import ssl
from collections.abc import Callable, Collection
from pathlib import Path

from connectors.mllp.answers import PROCESSING_IDS
from connectors.mllp.connection import Connection, Limits
from connectors.mllp.conversation import Conversation
from connectors.mllp.reception import LISTENER, Reception
from state.errors import Misuse
from state.metrics import INGEST_CONNECTIONS, INGEST_TURNED_AWAY

DRAIN_S = 4.0
"""How long clients have to take the last answers; with what follows it is less than 5 s."""
HANDSHAKE_S = 10.0
BACKLOG = 1024


class Listener:
    """Serves MLLP on one socket.

    ``max_message`` is the bound of a frame in bytes, ``max_unanswered`` that of a connection's
    messages without an answer; ``processing`` are the values of MSH-11 to accept.
    """

    def __init__(
        self,
        reception: Reception,
        limits: Limits,
        clock: Callable[[], int],
        max_message: int = 8 << 20,
        max_unanswered: int = 256,
        processing: Collection[bytes] = PROCESSING_IDS,
    ) -> None:
        self._reception = reception
        self._limits = limits
        self._clock = clock
        self._max_message = max_message
        self._max_unanswered = max_unanswered
        self._processing = processing
        # No two answers of ours have the same id (MSH-10), whichever process gave them.
        self._name = secrets.token_hex(3)
        self._count = 0
        self._connections: set[Connection] = set()
        self._empty = asyncio.Event()
        self._empty.set()
        self._server: asyncio.Server | None = None

    async def open(self, sock: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        """Begin to serve on a listening socket."""
        loop = asyncio.get_running_loop()
        timeout = HANDSHAKE_S if tls else None
        self._server = await loop.create_server(
            self._meet, sock=sock, ssl=tls, ssl_handshake_timeout=timeout, backlog=BACKLOG
        )

    async def drain(self) -> None:
        """Take in nothing more; answer what was read, and close although clients hold on."""
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            connection.drain()
        try:
            await asyncio.wait_for(self._empty.wait(), DRAIN_S)
        except TimeoutError:
            for connection in list(self._connections):
                connection.abort()
            await self._empty.wait()

    def _meet(self) -> Connection:
        """Return what serves a new connection."""
        self._count += 1
        name = f"{self._name}.{self._count:x}"
        talk = Conversation(self._max_message, self._max_unanswered, name, self._processing)
        return Connection(
            talk, self._reception, self._limits, self._clock, self._enter, self._leave
        )

    def _enter(self, connection: Connection) -> bool:
        """Return whether a connection may stay; it counts from now on."""
        if len(self._connections) >= self._limits.max_connections:
            INGEST_TURNED_AWAY.labels(LISTENER).inc()
            return False
        self._connections.add(connection)
        self._tell()
        return True

    def _leave(self, connection: Connection) -> None:
        self._connections.discard(connection)
        self._tell()

    def _tell(self) -> None:
        INGEST_CONNECTIONS.labels(LISTENER).set(len(self._connections))
        if self._connections:
            self._empty.clear()
        else:
            self._empty.set()


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; ``port`` 0 takes any free one.

    Raises Misuse where the address cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns Nagle's algorithm off only for sockets that name their protocol. With it, an
    # answer behind another one waits for the client's late acknowledgement: 40 ms.
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
        made.listen(BACKLOG)
    except OSError as error:
        made.close()
        raise Misuse(
            f"cannot listen on {host}:{port} ({error.strerror}): choose another mllp.port"
        ) from None
    return made


def server_context(
    certificate: Path | None, key: Path | None, ca: Path | None
) -> ssl.SSLContext | None:
    """Return how the listener speaks TLS; None where it does not.

    With ``ca`` a client needs a certificate that it vouches for. Raises Misuse.
    """
    if certificate is None and key is None and ca is None:
        return None
    if certificate is None or key is None:
        raise Misuse("mllp.tls_certificate and mllp.tls_key belong together: set both")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    return _loaded(context, certificate, key, ca)


def client_context(
    certificate: Path | None, key: Path | None, ca: Path | None
) -> ssl.SSLContext | None:
    """Return how a sender speaks TLS by the same settings; None where it does not.

    Without ``ca`` the system's certificates vouch for the listener. Raises Misuse.
    """
    if certificate is None and key is None and ca is None:
        return None
    if (certificate is None) != (key is None):
        raise Misuse("mllp.tls_certificate and mllp.tls_key belong together: set both")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if ca is None:
        context.load_default_certs()
    return _loaded(context, certificate, key, ca)


def _loaded(
    context: ssl.SSLContext, certificate: Path | None, key: Path | None, ca: Path | None
) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        if certificate is not None:
            context.load_cert_chain(certificate, key)
        if ca is not None:
            context.load_verify_locations(ca)
            context.verify_mode = ssl.CERT_REQUIRED
    except OSError as error:  # ssl.SSLError is one
        raise Misuse(
            f"mllp.tls_certificate, tls_key and tls_ca cannot be used ({error.strerror})"
        ) from None
    return context
