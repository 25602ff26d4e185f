"""A sender that honours answers: to our own listener, and to one that says what a test wants."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import pytest

from connectors.hl7.header import Header
from connectors.mllp.answers import INTERNAL, SEGMENT_SEQUENCE, Verdict, answer
from connectors.mllp.frames import END, START, Frames, TooLong
from connectors.mllp.sender import WAITS_S, Sender
from state.errors import Broken
from tests.connectors.mllp.rig import listening, message

ACCEPT, REJECT, ERROR = Verdict.ACCEPT, Verdict.REJECT, Verdict.ERROR
NOW = b"20240305090001"
Says = Callable[[int, bytes], bytes | None]
"""The number of a message from 0 on, and its bytes -> bytes to write; None closes."""


@contextmanager
def other(says: Says) -> Iterator[tuple[tuple[str, int], list[bytes]]]:
    """Serve one connection after another by ``says``; yield the address and what came."""
    came: list[bytes] = []
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        thread = threading.Thread(target=_serve, args=(server, says, came), daemon=True)
        thread.start()
        yield server.getsockname(), came
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def _serve(server: socket.socket, says: Says, came: list[bytes]) -> None:
    while True:
        try:
            client, _ = server.accept()
        except OSError:
            return
        with client:
            frames = Frames(1 << 20)
            while data := client.recv(1 << 16):
                for frame in frames.receive(data):
                    assert not isinstance(frame, TooLong)
                    came.append(frame)
                    told = says(len(came) - 1, frame)
                    if told is None:
                        break
                    client.sendall(told)
                else:
                    continue
                break


def said(verdict: Verdict, raw: bytes, condition: tuple[bytes, bytes] | None = None) -> bytes:
    return START + answer(Header(raw), verdict, b"7", NOW, condition) + END


class Sending:
    """A sender that waits for nobody, and what it reported."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.reports: list[tuple[int, str, str]] = []
        self.waits: list[float] = []
        self.sender = Sender(
            address, 60.0, lambda *told: self.reports.append(told), wait=self.waits.append
        )

    def counts(self) -> tuple[int, int]:
        return self.sender.sent.accepted, self.sender.sent.refused


def test_messages_are_sent_one_after_another_to_our_listener(kafka, topic):
    names = [f"C{number}" for number in range(20)]
    with listening(kafka.bootstrap, topic()) as rig:
        sending = Sending(("127.0.0.1", rig.port))
        sending.sender.send(map(message, names))
        assert sending.counts() == (20, 0)
        assert rig.stored() == [message(name) for name in names]


def test_what_may_pass_is_sent_again_and_nothing_overtakes_it():
    def says(number: int, raw: bytes) -> bytes:
        return said(REJECT, raw, INTERNAL) if number < 2 else said(ACCEPT, raw)

    with other(says) as (address, came):
        sending = Sending(address)
        sending.sender.send([message("C1"), message("C2")])
    assert came == [message("C1")] * 3 + [message("C2")]
    assert sending.waits == list(WAITS_S[:2])
    assert sending.counts() == (2, 0)


@pytest.mark.parametrize("verdict", [ERROR, REJECT])
def test_what_is_refused_for_its_content_is_told_of_and_the_next_follows(verdict):
    def says(number: int, raw: bytes) -> bytes:
        return said(verdict, raw, SEGMENT_SEQUENCE) if number == 0 else said(ACCEPT, raw)

    with other(says) as (address, came):
        sending = Sending(address)
        sending.sender.send([message("C1"), message("C2")])
    assert came == [message("C1"), message("C2")]
    assert sending.reports == [(1, "A" + verdict.value[0][1:].decode(), "100")]
    assert sending.counts() == (1, 1)


def test_a_connection_that_is_closed_is_opened_again():
    with other(lambda number, raw: said(ACCEPT, raw) if number else None) as (address, came):
        sending = Sending(address)
        sending.sender.send([message("C1")])
    assert came == [message("C1")] * 2
    assert sending.counts() == (1, 0)


def test_an_answer_to_another_message_is_not_taken_for_ones_own():
    def says(number: int, raw: bytes) -> bytes:
        return said(ERROR, message("C0")) + b"\x0bno answer\x1c\r" + said(ACCEPT, raw)

    with other(says) as (address, _):
        sending = Sending(address)
        sending.sender.send([message("C1")])
    assert (sending.counts(), sending.reports) == ((1, 0), [])


def test_a_message_that_asks_for_no_answer_gets_none_and_the_next_follows():
    with other(lambda number, raw: said(ACCEPT, raw)) as (address, came):
        sending = Sending(address)
        sending.sender.send([message("C1", more="|||NE"), message("C2", more="|||AL")])
    assert came == [message("C1", more="|||NE"), message("C2", more="|||AL")]
    assert sending.counts() == (2, 0)


def test_who_is_refused_again_and_again_gives_up_before_the_next_message():
    with other(lambda number, raw: said(REJECT, raw)) as (address, came):
        sending = Sending(address)
        with pytest.raises(Broken, match="message 1 was not taken by 127"):
            sending.sender.send([message("C1"), message("C2")])
    assert came == [message("C1")] * (len(WAITS_S) + 1)
    assert sending.counts() == (0, 0)


def test_nobody_who_listens_is_told_in_one_sentence():
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        address = server.getsockname()
    with pytest.raises(Broken, match=r"Connection refused"):
        Sending(address).sender.send([message("C1")])
