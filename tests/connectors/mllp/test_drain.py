"""The end of a listener: what is stored is answered, and nobody holds it up."""

from __future__ import annotations

import os
import signal
import socket
import time

from tests.conftest import create_topic
from tests.connectors.mllp.rig import Ack, listening, message
from tests.waiting import eventually


def test_what_was_read_is_answered_and_then_all_are_closed(own_kafka):
    """Although the one holds on, and the other is in the middle of a frame."""
    create_topic(own_kafka, "adt.raw", 1)
    with listening(own_kafka.bootstrap, "adt.raw") as rig:
        asking, holding, halfway = rig.client(), rig.client(), rig.client()
        for client in (asking, holding):
            client.send(message("C1"))
            assert client.ack() == Ack("AA", "C1")
        halfway.sock.sendall(b"\x0bMSH|^~")
        os.kill(own_kafka.pid, signal.SIGSTOP)
        asking.send(message("C2"), message("C3"))
        assert asking.says_nothing()
        rig.stop()
        assert holding.is_closed()
        assert halfway.is_closed()
        os.kill(own_kafka.pid, signal.SIGCONT)
        assert [asking.ack(), asking.ack()] == [Ack("AA", "C2"), Ack("AA", "C3")]
        assert asking.is_closed()
        rig.join()
        assert rig.stored() == [message(name) for name in ("C1", "C2", "C3")]
        assert rig.letters() == [], "its sender will send that again"


def test_a_client_that_does_not_read_ends_with_the_drain(kafka, topic):
    with listening(kafka.bootstrap, topic(), max_unanswered="100000") as rig:
        deaf = rig.client()
        deaf.sock.setblocking(False)
        # Refusals are long and cost little: the client's answers fill both buffers.
        refused = message("C1").replace(b"GH", b"G" * 4000).replace(b"|P|2", b"|X|2")
        _fill(deaf.sock, b"\x0b" + refused + b"\x1c\r")
        rig.stop()
        rig.join()


def _fill(sock: socket.socket, data: bytes) -> None:
    """Send the same again and again until the listener reads no more."""
    rest, silent = b"", 0
    while silent < 20:
        try:
            rest = rest or data
            rest = rest[sock.send(rest) :]
            silent = 0
        except BlockingIOError:
            silent += 1
            time.sleep(0.05)


def test_what_kafka_does_not_confirm_holds_nothing_up(own_kafka):
    create_topic(own_kafka, "adt.raw", 1)
    with listening(own_kafka.bootstrap, "adt.raw", ack_timeout="1h") as rig:
        client = rig.client()
        client.send(message("C1"))
        assert client.ack() == Ack("AA", "C1")
        os.kill(own_kafka.pid, signal.SIGSTOP)
        client.send(message("C2"))
        assert client.says_nothing()
        rig.stop()
        assert client.is_closed()
        rig.join()
        os.kill(own_kafka.pid, signal.SIGCONT)
    with listening(own_kafka.bootstrap, "adt.raw") as rig:

        def accepted() -> bool:
            client = rig.client()
            client.send(message("C2"))
            return client.ack() == Ack("AA", "C2")

        assert eventually(accepted)
        assert message("C2") in rig.stored()
