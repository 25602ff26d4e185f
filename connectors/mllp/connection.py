"""One client's connection: bytes to the conversation, its answers back, and when it ends.

Reading pauses while too many messages wait for their answers, or while the client does not read
those that it has got. A client that has sent its last byte still gets every answer.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import cast

from connectors.kafka.delivery import TOO_LARGE
from connectors.kafka.durable import Outcome
from connectors.mllp.conversation import Arrived, Conversation
from connectors.mllp.reception import LISTENER, OUTCOMES, Answer, Reception, Taken
from state.clock import NS
from state.metrics import INGEST_NOISE, INGEST_SECONDS

NOISE = INGEST_NOISE.labels(LISTENER)
SECONDS = INGEST_SECONDS.labels(LISTENER)


@dataclass(frozen=True)
class Limits:
    """Bounds of a listener and of each of its connections; seconds, 0 for no end to idleness."""

    ack_timeout_s: float = 10.0
    idle_timeout_s: float = 0.0
    max_connections: int = 1024


class Connection(asyncio.Protocol):
    """One connection. ``clock`` tells the time in ns since 1970 UTC.

    ``enter`` is asked whether it may stay, ``leave`` is told once it is gone.
    """

    def __init__(
        self,
        talk: Conversation,
        reception: Reception,
        limits: Limits,
        clock: Callable[[], int],
        enter: Callable[[Connection], bool],
        leave: Callable[[Connection], None],
    ) -> None:
        self._talk = talk
        self._reception = reception
        self._limits = limits
        self._clock = clock
        self._enter = enter
        self._leave = leave
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._open: dict[int, asyncio.TimerHandle] = {}
        """The messages without an answer -> what refuses them in the end."""
        self._choked = self._paused = self._flushing = self._draining = self._ended = False
        self._noise = 0
        self._heard_s = 0.0
        self._idling: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, or close where there are too many; TLS has shaken hands by now."""
        if not self._enter(self):
            transport.close()
            return
        self._transport = cast(asyncio.Transport, transport)
        sock: socket.socket = transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._heard_s = self._loop.time()
        if self._limits.idle_timeout_s:
            self._watch(self._limits.idle_timeout_s)

    def data_received(self, data: bytes) -> None:
        """Take in bytes."""
        self._heard_s = self._loop.time()
        for arrived in self._talk.receive(data, self._now()):
            self._take(arrived)
        NOISE.inc(self._talk.noise - self._noise)
        self._noise = self._talk.noise
        self._flush()

    def eof_received(self) -> bool:
        """The client sends no more; it may still read. Returns whether we go on writing.

        In TLS, as asyncio has it, nobody reads who has closed.
        """
        self._end()
        transport = self._transport
        return transport is not None and transport.get_extra_info("sslcontext") is None

    def pause_writing(self) -> None:
        """The client does not read its answers."""
        self._choked = True
        self._steer()

    def resume_writing(self) -> None:
        """It reads again."""
        self._choked = False
        self._steer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the client; what it sent may still be stored."""
        self._end()
        self._transport = None
        for timer in self._open.values():
            timer.cancel()
        self._open.clear()
        if self._idling is not None:
            self._idling.cancel()
        self._leave(self)

    def drain(self) -> None:
        """Read no more; answer what was read, then close."""
        self._draining = True
        self._steer()
        self._close_if_done()

    def abort(self) -> None:
        """Close now, whatever the client has not read yet."""
        if self._transport is not None:
            self._transport.abort()

    def _take(self, arrived: Arrived) -> None:
        if arrived.settled:
            OUTCOMES["unanswered"].inc()
            return
        taken = self._reception.take(arrived)
        if taken.outcome is None:
            self._settle(arrived.number, taken.stored)
            return
        self._open[arrived.number] = self._loop.call_later(
            self._limits.ack_timeout_s, self._give_up, arrived.number, taken.otherwise
        )
        taken.outcome.add_done_callback(
            partial(self._told, arrived.number, taken, self._loop.time())
        )

    def _told(self, number: int, taken: Taken, since_s: float, outcome: Outcome) -> None:
        """Answer a message by what Kafka says, unless it came too late."""
        timer, error = self._open.get(number), outcome.result()
        # Who is refused at once sends it again at once; so the timer tells of what may pass.
        if timer is None or (error is not None and error.code() != TOO_LARGE):
            return
        timer.cancel()
        if error is None:
            SECONDS.observe(self._loop.time() - since_s)
            del self._open[number]
            self._settle(number, taken.stored)
        else:
            self._give_up(number, taken.otherwise)

    def _give_up(self, number: int, otherwise: Answer) -> None:
        OUTCOMES["unconfirmed"].inc()
        del self._open[number]
        self._settle(number, otherwise)

    def _settle(self, number: int, answer: Answer) -> None:
        self._talk.settle(number, answer.verdict, self._now(), answer.condition)
        if not self._flushing:  # answers that are settled together are written together
            self._flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        """Write the answers that are due."""
        self._flushing = False
        due = self._talk.due()
        if self._transport is None:
            return
        if due:
            self._transport.write(due)
        self._steer()
        self._close_if_done()

    def _steer(self) -> None:
        """Read, or pause."""
        wanted = self._choked or self._draining or self._talk.is_full
        if self._transport is None or wanted == self._paused:
            return
        self._paused = wanted
        if wanted:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def _end(self) -> None:
        """Note that the client sends no more; a frame that it has not ended is a dead letter."""
        self._ended = True
        cut = self._talk.close()
        if cut and not self._draining:  # it is we who stop reading: it will send that again
            self._reception.cut(cut)
        self._close_if_done()

    def _close_if_done(self) -> None:
        ending = (self._ended or self._draining) and not self._open and not self._flushing
        if ending and self._transport is not None:
            self._transport.close()  # once what was written is sent

    def _watch(self, seconds: float) -> None:
        self._idling = self._loop.call_later(seconds, self._look)

    def _look(self) -> None:
        """Close where nothing came for as long as that takes, and nothing waits for us."""
        left_s = self._heard_s + self._limits.idle_timeout_s - self._loop.time()
        if left_s <= 0 and not self._open:
            self.abort()  # a client that does not read would hold up a close
        else:
            self._watch(left_s if left_s > 0 else self._limits.idle_timeout_s)

    def _now(self) -> bytes:
        return _hl7_time(self._clock() // NS)


@lru_cache(maxsize=2)
def _hl7_time(seconds: int) -> bytes:
    """Return a time as HL7 writes it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y%m%d%H%M%S+0000").encode()
