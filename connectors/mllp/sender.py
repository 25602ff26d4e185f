"""A sender: message after message, and none before the one in front of it is answered.

It sends again what was not answered, or was refused for a reason that may pass; a message whose
content is refused is told of, and the next one follows.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from connectors.hl7.header import Header, cleaned
from connectors.hl7.message import Message
from connectors.mllp.answers import INTERNAL, Verdict, is_answered
from connectors.mllp.frames import END, START, Frames, TooLong
from state.errors import BadRecord, Broken

WAITS_S = (0.5, 1.0, 2.0, 4.0, 8.0)
"""How long it waits before it sends a message again; then it gives up."""
MAX_ANSWER = 1 << 16
CHUNK = 1 << 16


@dataclass
class Sent:
    """How many messages were accepted, and how many refused for their content."""

    accepted: int = 0
    refused: int = 0


@dataclass(frozen=True)
class Told:
    """An answer: code, whose it is (MSA-2), and the condition (ERR-3), "" without one."""

    code: str
    control: str
    condition: str


class Sender:
    """Sends to one listener.

    ``patience_s`` is how long an answer may take; ``report`` is told of a message that is refused,
    by its number from 1, its answer's code and condition. ``wait`` sleeps before another try.
    """

    def __init__(
        self,
        address: tuple[str, int],
        patience_s: float,
        report: Callable[[int, str, str], None],
        tls: ssl.SSLContext | None = None,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self._address = address
        self._patience_s = patience_s
        self._report = report
        self._tls = tls
        self._wait = wait
        self.sent = Sent()
        self._sock: socket.socket | None = None
        self._frames = Frames(MAX_ANSWER)
        self._answers: list[Told] = []

    def send(self, messages: Iterable[bytes]) -> None:
        """Send messages in order; ``sent`` counts how they were answered.

        Raises Broken where one is neither accepted nor refused for good: the messages behind it
        would overtake it, so they are not sent.
        """
        with self._closing():
            for number, message in enumerate(messages, start=1):
                if self._accepts(number, message):
                    self.sent.accepted += 1
                else:
                    self.sent.refused += 1

    def _accepts(self, number: int, message: bytes) -> bool:
        """Send a message until it has its answer; return whether that is a good one."""
        reason = ""
        for wait_s in (0.0, *WAITS_S):
            if wait_s:
                self._wait(wait_s)
            try:
                told = self._exchange(message)
            except OSError as error:
                self._drop()
                reason = error.strerror or type(error).__name__
                continue
            if told is None or told.code in ("AA", "CA"):
                return True
            if told.code in ("AE", "CE") or told.condition not in ("", INTERNAL[0].decode()):
                self._report(number, told.code, told.condition)
                return False
            reason = f"answered {told.code} {told.condition}".rstrip()
        host, port = self._address
        raise Broken(f"message {number} was not taken by {host}:{port}: {reason}")

    def _exchange(self, message: bytes) -> Told | None:
        """Send a message and return its answer; None where it asks for no good one."""
        header = _header_of(message)
        self._connected().sendall(START + message + END)
        if header is not None and not is_answered(header, Verdict.ACCEPT):
            return None
        control = "" if header is None else Message(message).text("MSH", 10)
        deadline = time.monotonic() + self._patience_s
        # An answer to an earlier message that came too late is not this one's.
        while (told := self._next(deadline)).control != control:
            continue
        return told

    def _next(self, deadline: float) -> Told:
        """Return the next answer. Raises OSError where none comes."""
        sock = self._connected()
        while not self._answers:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise TimeoutError(0, f"no answer in {self._patience_s:g} s")
            sock.settimeout(left_s)
            data = sock.recv(CHUNK)
            if not data:
                raise ConnectionResetError(0, "the connection was closed")
            self._answers += _answers(self._frames.receive(data))
        return self._answers.pop(0)

    def _connected(self) -> socket.socket:
        if self._sock is None:
            host, _ = self._address
            made = socket.create_connection(self._address, self._patience_s)
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sock = self._tls.wrap_socket(made, server_hostname=host) if self._tls else made
            self._frames, self._answers = Frames(MAX_ANSWER), []
        return self._sock

    @contextmanager
    def _closing(self) -> Iterator[None]:
        try:
            yield
        finally:
            self._drop()

    def _drop(self) -> None:
        if self._sock is not None:
            self._sock.close()
            self._sock = None


def _header_of(message: bytes) -> Header | None:
    try:
        return Header(cleaned(message))
    except BadRecord:
        return None


def _answers(frames: Iterable[bytes | TooLong]) -> Iterator[Told]:
    for frame in frames:
        if isinstance(frame, TooLong):
            continue
        try:
            told = Message(frame)
        except BadRecord:
            continue  # whoever wrote that will not be understood: the wait ends by time
        yield Told(told.text("MSA", 1), told.text("MSA", 2), told.text("ERR", 3))
