"""A listener on the real broker, in a thread of its own, and clients of it."""

from __future__ import annotations

import asyncio
import queue
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

from connectors.hl7.message import Message
from connectors.kafka.client import Cluster
from connectors.kafka.tail import since
from connectors.mllp.frames import END, START, Frames, TooLong
from flows.adt.listening import serve
from flows.config import load
from flows.dead import Letter, read
from flows.settings.settings import Settings
from state.sealed_values import ValueOpener, is_sealed
from state.sealing import Keyring, Seal
from tests.waiting import PATIENCE_S

KEYS = Keyring.generate()
QUIET_S = 0.3
"""How long nothing has to come for nothing to be expected."""


def message(control: str, kind: str = "ADT^A01", more: str = "", facility: str = "GH") -> bytes:
    head = rf"MSH|^~\&|PAS|{facility}|HEADRACE|GH|20240305090000||{kind}|{control}|P|2.5.1{more}"
    return f"{head}\rEVN|A01|20240305090000\rPID|1||1001^^^GH^MR||TESTCASE^ALPHA\r".encode()


def framed(*contents: bytes) -> bytes:
    return b"".join(START + content + END for content in contents)


def settings(bootstrap: str, topic: str, options: str = "{}", **more: str) -> Settings:
    """Return settings of a listener; those of the table ``mllp`` by their names.

    ``options`` are those of librdkafka.
    """
    environ = {
        "HEADRACE_KAFKA__OPTIONS": options,
        "HEADRACE_KAFKA__BOOTSTRAP": bootstrap,
        "HEADRACE_ADT__TOPIC": topic,
        "HEADRACE_SEALING__KEYS": KEYS.text(),
        "HEADRACE_MLLP__PORT": "0",
        "HEADRACE_MLLP__HTTP_PORT": "0",
    }
    return load(
        environ=environ | {f"HEADRACE_MLLP__{k.upper()}": v for k, v in more.items()}
    ).settings


class Ack(NamedTuple):
    """An answer: MSA-1, MSA-2, and ERR-3 or ""."""

    code: str
    control: str
    condition: str = ""


@dataclass
class Client:
    """One connection to a listener."""

    sock: socket.socket
    _frames: Frames = field(default_factory=lambda: Frames(1 << 20))
    _answers: list[Message] = field(default_factory=list)

    def send(self, *contents: bytes) -> None:
        self.sock.sendall(framed(*contents))

    def answer(self) -> Message:
        """Return the next answer."""
        self.sock.settimeout(PATIENCE_S)
        while not self._answers:
            data = self.sock.recv(1 << 16)
            assert data, "the connection was closed"
            frames = self._frames.receive(data)
            self._answers += [Message(each) for each in frames if not isinstance(each, TooLong)]
        return self._answers.pop(0)

    def ack(self) -> Ack:
        told = self.answer()
        return Ack(told.text("MSA", 1), told.text("MSA", 2), told.text("ERR", 3))

    def says_nothing(self, seconds: float = QUIET_S) -> bool:
        """Return whether nothing comes for a while, and the connection stays."""
        self.sock.settimeout(seconds)
        try:
            self._frames.receive(self.sock.recv(1 << 16))
        except TimeoutError:
            return not self._answers
        return False

    def is_closed(self) -> bool:
        """Wait for the end of the stream; return whether nothing came before it."""
        self.sock.settimeout(PATIENCE_S)
        try:
            return not self._answers and self.sock.recv(1 << 16) == b""
        except ConnectionResetError:
            return True


@dataclass
class Rig:
    """A running listener, and what Kafka has got of it."""

    cluster: Cluster
    topic: str
    port: int
    stop: Callable[[], None]
    """Tells it to end, as SIGTERM does."""
    join: Callable[[], None]
    """Waits until it has ended."""
    clients: list[Client] = field(default_factory=list)

    def client(self, tls: ssl.SSLContext | None = None) -> Client:
        sock = socket.create_connection(("127.0.0.1", self.port), PATIENCE_S)
        wrapped = tls.wrap_socket(sock, server_hostname="localhost") if tls else sock
        self.clients.append(Client(wrapped))
        return self.clients[-1]

    def stored(self) -> list[bytes]:
        """Return the messages that the topic holds, in order of its one partition."""
        return opened(self.cluster, self.topic)

    def letters(self) -> list[Letter]:
        """Return the dead letters of messages that were to go to the topic."""
        found = read(self.cluster, "adt.dead")
        return [each for each in found if each.coordinates.topic == self.topic]


def opened(cluster: Cluster, topic: str) -> list[bytes]:
    """Return the messages of a topic in clear; all of them have to be sealed there."""
    values = [each.value() or b"" for each in since(cluster, topic, 0, 1 << 30)]
    assert all(map(is_sealed, values))
    opener = ValueOpener(Seal(KEYS))
    return [opener.open(topic, value) for value in values]


@contextmanager
def listening(bootstrap: str, topic: str, **more: str) -> Iterator[Rig]:
    """Run a listener as `headrace ingest mllp` does, until the end of the block."""
    told: queue.Queue[object] = queue.Queue()
    begun: Future[Callable[[], object]] = Future()
    given = settings(bootstrap, topic, **more)

    async def run() -> None:
        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        begun.set_result(lambda: loop.call_soon_threadsafe(stop.set))
        await serve(given, stop, told.put)

    def main() -> None:
        try:
            asyncio.run(run())
        except BaseException as error:  # the test is to see it, whatever it is
            told.put(error)
            raise

    thread = threading.Thread(target=main)
    thread.start()
    stop = begun.result(PATIENCE_S)

    def end() -> None:
        if thread.is_alive():
            stop()

    def join() -> None:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()

    try:
        url = told.get(timeout=PATIENCE_S)
        assert isinstance(url, str), url
        rig = Rig(Cluster(bootstrap), topic, int(url.rpartition(":")[2]), end, join)
        yield rig
        for client in rig.clients:
            client.sock.close()
    finally:
        end()
        join()
