"""A WebSocket connection: bytes between a socket and a `Session`."""

from __future__ import annotations

import asyncio
import codecs
import http
import logging
import time
from collections.abc import Callable, Collection
from typing import Any, cast
from urllib.parse import urlsplit

from websockets.exceptions import NegotiationError
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from connectors.web.audit import Audit
from connectors.web.frames import JSON, PATH, SUBPROTOCOLS
from connectors.web.hub import Hub
from connectors.web.limits import Limits
from connectors.web.reads import Reads
from connectors.web.seats import Seats
from connectors.web.session import Session
from connectors.web.tokens import ANYONE, Access, Tokens, TooMany
from state.metrics import FEED_CLIENTS

CLOSE_S = 5.0
"""How long a client may take to take in what was sent before its goodbye."""
PIECE = 4096
"""Bytes that are looked at together."""
MAX_LATE = 1000
"""Frames that may still come after our goodbye."""
GOING_AWAY = 1012
TRY_AGAIN = 1013
LOOPBACK = ("127.0.0.1", "localhost", "::1")
_UTF8 = codecs.getincrementaldecoder("utf-8")
_QUIET = logging.getLogger("headrace.websockets")
_QUIET.setLevel(logging.WARNING)


class Gate:
    """What every connection shares: the hub, who may come in, and the bounds."""

    def __init__(
        self,
        hub: Hub,
        tokens: Tokens | None,
        limits: Limits,
        audit: Audit,
        reads: Reads,
        origins: Collection[str] = (),
    ) -> None:
        """Without ``tokens`` everybody may everything."""
        self.hub = hub
        self.tokens = tokens
        self.limits = limits
        self.audit = audit
        self.reads = reads
        self.origins = frozenset(origins)
        self.seats = Seats(limits)

    def verify(self, token: str) -> Access:
        """Return what a token gives. Raises Refused."""
        return ANYONE if self.tokens is None else self.tokens.verify(token, time.time())

    def own(self, origin: str, scheme: str, host: str) -> bool:
        """Return whether a page of ``origin`` may connect to us at ``host``.

        Where anybody is let in, the name has to be one of this machine: another page could have
        given itself a name that leads here (DNS rebinding).
        """
        if origin in self.origins:
            return True
        try:
            local = urlsplit(f"//{host}").hostname in LOOPBACK
        except ValueError:
            return False
        return origin == f"{scheme}://{host}" and (local or self.tokens is not None)


class Connection(asyncio.Protocol):
    """What uvicorn hands an upgraded connection to: its request comes again as bytes."""

    def __init__(self, gate: Gate, config: Any, server_state: Any, **_: Any) -> None:
        """Serve by ``gate``; uvicorn's configuration is not used."""
        self._gate = gate
        self._connections = server_state.connections
        self._protocol = ServerProtocol(
            subprotocols=[Subprotocol(name) for name in SUBPROTOCOLS],
            select_subprotocol=_subprotocol,
            max_size=gate.limits.message_bytes,
            logger=_QUIET,
        )
        self._transport: asyncio.Transport
        self._session: Session | None = None
        self._timers: list[asyncio.TimerHandle] = []
        self._parts: list[bytes] = []
        self._text: codecs.IncrementalDecoder | None = None
        self._late = 0
        self._address = ""
        self._ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast(asyncio.Transport, transport)
        queue_bytes = self._gate.limits.queue_bytes
        self._transport.set_write_buffer_limits(high=queue_bytes, low=queue_bytes // 4)
        self._connections.add(self)
        peer = transport.get_extra_info("peername")
        self._address = peer[0] if peer else ""
        self._gate.seats.give(transport, self._put_out)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the client."""
        self._connections.discard(self)
        for timer in self._timers:
            timer.cancel()
        self._gate.seats.leave(self._transport)
        if self._session is not None:
            self._session.end()
            self._session = None
            FEED_CLIENTS.dec()

    def data_received(self, data: bytes) -> None:
        """Take in bytes of the client."""
        # In pieces: a read may hold 40,000 frames, and the first that is one too many ends it.
        for start in range(0, len(data), PIECE):
            if self._ended or self._transport.is_closing():
                return
            self._protocol.receive_data(data[start : start + PIECE])
            self._handle_events()

    def _handle_events(self) -> None:
        if self._protocol.state is State.OPEN and self._protocol.parser_exc is None:
            self._send()  # pongs, before what a message brings
        for event in self._protocol.events_received():
            if isinstance(event, Request):
                self._shake_hands(event)
            elif isinstance(event, Frame) and self._session is not None:
                self._take(self._session, event)
        if self._protocol.parser_exc is not None:
            code = self._protocol.close_sent.code if self._protocol.close_sent else 0
            self._gate.audit.refused(
                self._subject, self._address, "message", f"closed-{code}", "bad frame"
            )
        self._send()

    def eof_received(self) -> None:
        """The client hung up: the transport closes itself, once what waits is taken."""
        self._protocol.receive_eof()
        if self._session is not None:
            self._session.end()
        self._later(CLOSE_S, self._transport.abort)

    def pause_writing(self) -> None:
        """The transport is full: nothing more is read, so that no snapshot can be asked for."""
        if self._session is not None:
            self._session.block(time.monotonic())
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """The transport has room again."""
        if self._session is not None and not self._transport.is_closing():
            self._transport.resume_reading()
            self._session.unblock()

    def shutdown(self) -> None:
        """Say goodbye: the server stops."""
        if self._session is not None:
            self._session.end()
        self.close(GOING_AWAY, "the server stops")

    def write(self, data: bytes) -> None:
        """Send frames."""
        if not self._ended and not self._transport.is_closing():
            self._transport.write(data)

    def waiting(self) -> int:
        """Return the bytes that wait in the transport."""
        return self._transport.get_write_buffer_size()

    def keep(self) -> None:
        """Give way to no other client any more."""
        self._gate.seats.keep(self._transport)

    def close(self, code: int, reason: str) -> None:
        """Send a close frame behind what waits, and hang up after a while at the latest."""
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(code, reason[:120])
            self._send()
            # What still comes goes nowhere, but left unread it would make the kernel reset the
            # connection, and the client lose the goodbye.
            self._transport.resume_reading()
            self._later(CLOSE_S, self._transport.abort)

    @property
    def _subject(self) -> str:
        return self._session.subject if self._session else ""

    def _shake_hands(self, request: Request) -> None:
        refused = self._refusal(request)
        if refused is None:
            response = self._protocol.accept(request)
        else:
            self._gate.audit.refused("", self._address, "connect", refused[1], refused[2])
            response = self._protocol.reject(refused[0], refused[2] + "\n")
        self._protocol.send_response(response)
        self._send()
        if response.status_code == http.HTTPStatus.SWITCHING_PROTOCOLS:
            self._open(request)

    def _refusal(self, request: Request) -> tuple[http.HTTPStatus, str, str] | None:
        """Return (status, code, reason) where a client is not let in."""
        path = request.path.partition("?")[0]
        origins, hosts = request.headers.get_all("Origin"), request.headers.get_all("Host")
        tls = self._transport.get_extra_info("sslcontext") is not None
        if path != PATH:
            return http.HTTPStatus.NOT_FOUND, "path", f"WebSocket is at {PATH}"
        if len(origins) > 1 or len(hosts) != 1:
            return http.HTTPStatus.BAD_REQUEST, "origin", "one Host, and one Origin at the most"
        if origins and not self._gate.own(origins[0], "https" if tls else "http", hosts[0]):
            return http.HTTPStatus.FORBIDDEN, "origin", "the Origin is not one of feed.origins"
        return None

    def _open(self, request: Request) -> None:
        gate = self._gate
        encoding = str(self._protocol.subprotocol or JSON)
        session = Session(
            gate.hub,
            self._verify,
            gate.limits,
            gate.audit,
            gate.reads,
            encoding,
            self._address,
            self,
        )
        self._session = session
        FEED_CLIENTS.inc()
        session.open()
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if gate.tokens is None:
            session.admit(ANYONE)
        elif scheme.lower() == "bearer":
            session.authenticate(token.strip())
        else:
            self._later(gate.limits.header_timeout_s, self._unauthenticated)
        session.flush()

    def _verify(self, token: str) -> Access:
        """Return what a token gives; its subject has the seat. Raises Refused or TooMany."""
        access = self._gate.verify(token)
        if self._gate.tokens is not None and not self._gate.seats.name(
            self._transport, access.subject
        ):
            raise TooMany("the subject has feed.clients_per_subject connections")
        return access

    def _put_out(self, reason: str) -> None:
        """Give way to another client."""
        self._gate.audit.refused(self._subject, self._address, "stay", "clients", reason)
        if self._session is not None:
            self._session.end()
        self.close(TRY_AGAIN, reason)
        self._hang_up()

    def _unauthenticated(self) -> None:
        if self._session is not None and self._session.access is None:
            self._session.unauthenticated()

    def _take(self, session: Session, frame: Frame) -> None:
        if session.closed:
            self._late += 1
            if self._late > MAX_LATE:
                self._hang_up()
        elif session.spend() and frame.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            if frame.opcode is not Opcode.CONT:
                self._text = _UTF8() if frame.opcode is Opcode.TEXT else None
            self._gather(session, bytes(frame.data), last=frame.fin)

    def _gather(self, session: Session, data: bytes, *, last: bool) -> None:
        """Take in a part of a message; a text is judged part by part."""
        try:
            if self._text is not None:
                self._text.decode(data, final=last)
        except UnicodeDecodeError:
            session.garbled()
            return
        self._parts.append(data)
        if last:
            whole = b"".join(self._parts)
            self._parts.clear()
            session.receive(whole)

    def _send(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self.write(data)
            else:
                self._hang_up()

    def _hang_up(self) -> None:
        """End behind what waits; a client that does not take it, or stays, is cut off."""
        if self._ended or self._transport.is_closing():
            return
        self._ended = True
        if self._transport.can_write_eof():
            self._transport.write_eof()
            self._later(CLOSE_S, self._transport.abort)
        else:
            self._transport.close()

    def _later(self, seconds: float, action: Callable[[], None]) -> None:
        self._timers.append(asyncio.get_running_loop().call_later(seconds, action))


def _subprotocol(_: ServerProtocol, offered: Any) -> Subprotocol | None:
    """Return the first encoding of ours that is offered; JSON, unsaid, where none is."""
    if not offered:
        return None
    for name in SUBPROTOCOLS:
        if name in offered:
            return Subprotocol(name)
    raise NegotiationError("choose one of " + ", ".join(SUBPROTOCOLS))
