"""What the listener answers and stores, row by row of its table, on the real broker."""

from __future__ import annotations

import os
import select
import signal
import socket
from pathlib import Path

import pytest

from connectors.kafka.tail import since
from flows.dead import opened
from state.clock import MS, now_ns
from state.sealing import Seal
from tests.conftest import create_topic
from tests.connectors.mllp.rig import KEYS, Ack, framed, listening, message
from tests.waiting import eventually

SEAL = Seal(KEYS)
BAD_VERSION = message("B1").replace(b"|2.5.1", b"|9.9")


@pytest.fixture
def rig(kafka, topic):
    with listening(kafka.bootstrap, topic()) as made:
        yield made


def test_a_stored_message_is_accepted_and_has_its_merge_domain_as_key(rig):
    before_ms = now_ns() // MS
    client = rig.client()
    client.send(message("C1"))
    assert client.ack() == Ack("AA", "C1")
    [found] = since(rig.cluster, rig.topic, 0, 100)
    assert found.key() == b"GH"
    assert b"TESTCASE" not in (found.value() or b"")
    assert rig.stored() == [message("C1")]
    assert before_ms <= found.timestamp()[1] <= now_ns() // MS


def test_enhanced_mode_answers_with_commit_codes_as_asked(rig):
    client = rig.client()
    client.send(message("E1", more="|||AL|NE"), message("E2", more="|||ER|NE"))
    assert client.ack() == Ack("CA", "E1")
    assert client.says_nothing()
    assert len(rig.stored()) == 2


def test_the_same_bytes_have_the_same_answer_and_are_stored_once(rig):
    client = rig.client()
    client.send(message("C1"), message("C1"))
    assert [client.ack(), client.ack()] == [Ack("AA", "C1")] * 2
    again = rig.client()
    again.send(message("C1"))
    assert again.ack() == Ack("AA", "C1")
    assert rig.stored() == [message("C1")]


def test_other_bytes_of_the_same_id_are_another_message(rig):
    client = rig.client()
    other = message("C1", kind="ADT^A02")
    client.send(message("C1"), other)
    assert [client.ack(), client.ack()] == [Ack("AA", "C1")] * 2
    assert rig.stored() == [message("C1"), other]


REFUSED = [
    (b"no header", Ack("AR", "", "100"), "Malformed"),
    (message("C1", kind=""), Ack("AR", "C1", "200"), "WrongType"),
    (message("C2").replace(b"|P|2", b"|X|2"), Ack("AR", "C2", "202"), "OutOfRange"),
    (BAD_VERSION, Ack("AR", "B1", "203"), "OutOfRange"),
    (
        message("C4", more="|||AL|NE").replace(b"|2.5.1|", b"|1.0|"),
        Ack("CR", "C4", "203"),
        "OutOfRange",
    ),
]


@pytest.mark.parametrize(("content", "answer", "error"), REFUSED, ids=lambda each: str(each)[:20])
def test_what_is_refused_is_one_sealed_dead_letter(rig, content, answer, error):
    client = rig.client()
    client.send(content, content)
    assert [client.ack(), client.ack()] == [answer] * 2
    assert rig.stored() == []
    [letter] = rig.letters()
    assert (letter.error, letter.sealed) == (error, True)
    assert content not in (letter.value or b"")
    assert opened(letter, "adt", SEAL).value == content


def test_a_dead_letter_is_the_same_one_after_a_restart(kafka, topic):
    name = topic()
    for _ in range(2):
        with listening(kafka.bootstrap, name) as rig:
            client = rig.client()
            client.send(BAD_VERSION)
            assert client.ack() == Ack("AR", "B1", "203")
    assert len(rig.letters()) == 1


def test_a_frame_beyond_the_bound_is_skipped_and_its_length_is_kept(kafka, topic):
    with listening(kafka.bootstrap, topic(), max_message="2000") as rig:
        client = rig.client()
        client.send(b"x" * 300_000, message("C1"))
        assert client.ack() == Ack("AR", "", "207")
        assert client.ack() == Ack("AA", "C1")
        [letter] = rig.letters()
        assert (letter.error, letter.value, letter.length) == ("OutOfRange", None, 300_000)


def test_a_message_that_its_topic_cannot_hold_is_a_dead_letter_without_its_value(kafka, topic):
    large = message("C1") + b"NTE|1||" + b"x" * 400_000 + b"\r"
    with listening(kafka.bootstrap, topic(max_message_bytes="300000")) as rig:
        client = rig.client()
        client.send(large, message("C2"))
        assert client.ack() == Ack("AR", "C1", "207")
        assert client.ack() == Ack("AA", "C2")
        assert rig.stored() == [message("C2")]
        [letter] = eventually(rig.letters)
        assert (letter.error, letter.value) == ("OutOfRange", None)


def test_a_frame_cut_by_the_end_of_its_stream_is_a_dead_letter(rig):
    client = rig.client()
    client.sock.sendall(framed(message("C1")) + framed(message("C2"))[:-2])
    client.sock.shutdown(socket.SHUT_WR)
    assert client.ack() == Ack("AA", "C1")
    assert client.is_closed()
    [letter] = eventually(rig.letters)
    assert "IncompleteFrame" in letter.reason
    assert opened(letter, "adt", SEAL).value == message("C2")


def test_an_answer_is_neither_answered_nor_stored(rig):
    client = rig.client()
    client.send(message("K1", kind="ACK^A01^ACK") + b"MSA|AA|E1\r")
    assert client.says_nothing()
    client.send(message("C1"))
    assert client.ack() == Ack("AA", "C1")
    assert (rig.stored(), rig.letters()) == ([message("C1")], [])


def test_sequence_numbers_begin_with_one_and_nothing_is_stored(rig):
    client = rig.client()
    client.send(message("S0", kind="^", more="|0"))
    told = client.answer()
    assert (told.text("MSA", 1), told.text("MSA", 2), told.text("MSA", 4)) == ("AA", "S0", "1")
    assert (rig.stored(), rig.letters()) == ([], [])


MERGE = message("M1", kind="ADT^A40") + b"MRG|%b^^^GH^MR\r"


def test_ids_are_looked_at_only_where_that_is_asked_for(kafka, topic):
    same, none = MERGE % b"1001", MERGE.replace(b"M1", b"M2") % b""
    with listening(kafka.bootstrap, topic()) as rig:
        client = rig.client()
        client.send(same, none)
        assert [client.ack(), client.ack()] == [Ack("AA", "M1"), Ack("AA", "M2")]
    with listening(kafka.bootstrap, topic(), validate_ids="true") as rig:
        client = rig.client()
        good = MERGE.replace(b"M1", b"M3") % b"1000"
        client.send(same, none, good)
        assert client.ack() == Ack("AE", "M1", "205")
        assert client.ack() == Ack("AE", "M2", "101")
        assert client.ack() == Ack("AA", "M3")
        assert rig.stored() == [good]
        assert {each.error for each in rig.letters()} == {"OutOfRange", "WrongType"}


def test_always_accept_accepts_what_is_a_dead_letter_by_then(kafka, topic):
    with listening(
        kafka.bootstrap, topic(), always_accept="true", validate_ids="true", max_message="2000"
    ) as rig:
        client = rig.client()
        client.send(BAD_VERSION)
        assert client.ack() == Ack("AA", "B1")
        assert len(rig.letters()) == 1
        client.send(MERGE % b"1001", b"no header", b"x" * 3000)
        assert [client.ack(), client.ack()] == [Ack("AA", "M1"), Ack("AA", "")]
        assert client.ack() == Ack("AR", "", "207"), "its bytes are not kept"
        assert (len(rig.letters()), rig.stored()) == (4, [])


def test_processing_ids_are_a_setting(kafka, topic):
    with listening(kafka.bootstrap, topic(), accept_processing='["P"]') as rig:
        client = rig.client()
        client.send(message("C1").replace(b"|P|2", b"|T|2"), message("C2"))
        assert client.ack() == Ack("AR", "C1", "202")
        assert client.ack() == Ack("AA", "C2")


def test_pipelined_messages_are_answered_in_order_behind_a_half_close(rig):
    client = rig.client()
    names = [f"C{number}" for number in range(500)]
    client.send(*map(message, names))
    client.sock.shutdown(socket.SHUT_WR)
    assert [client.ack() for _ in names] == [Ack("AA", name) for name in names]
    assert client.is_closed()
    assert rig.stored() == [message(name) for name in names]


def test_connections_beyond_the_bound_are_closed(kafka, topic):
    with listening(kafka.bootstrap, topic(), max_connections="2") as rig:
        kept = [rig.client(), rig.client()]
        for client in kept:
            client.send(message("C1"))
            assert client.ack() == Ack("AA", "C1")
        assert rig.client().is_closed()
        kept[0].sock.close()

        def enters() -> bool:
            late = rig.client()
            try:
                late.send(message("C2"))
                return late.ack() == Ack("AA", "C2")
            except (AssertionError, OSError):
                return False

        assert eventually(enters)


def test_a_silent_connection_ends_after_idle_timeout_and_others_do_not(kafka, topic):
    with listening(kafka.bootstrap, topic(), idle_timeout="200ms") as rig:
        assert rig.client().is_closed()
    with listening(kafka.bootstrap, topic()) as rig:
        assert rig.client().says_nothing(0.5)


def test_answers_are_not_held_back_and_dead_peers_are_found(rig):
    """Nagle's algorithm is off and keep-alive on, as the kernel tells of the process's sockets."""
    client = rig.client()
    client.send(message("C1"))
    assert client.ack() == Ack("AA", "C1")
    [ours] = [each for each in _sockets() if _is_peer_of(each, client.sock)]
    with ours:
        assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert ours.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


def _sockets() -> list[socket.socket]:
    """Return the sockets of this process, which the listener is in."""
    found = []
    for path in Path("/proc/self/fd").iterdir():
        try:
            found.append(socket.socket(fileno=os.dup(int(path.name))))
        except OSError:
            continue
    return found


def _is_peer_of(one: socket.socket, other: socket.socket) -> bool:
    try:
        return bool(one.getpeername() == other.getsockname())
    except OSError:
        return False


def test_a_paused_broker_refuses_in_time_and_a_resend_is_stored_once(own_kafka):
    create_topic(own_kafka, "adt.raw", 1)
    with listening(own_kafka.bootstrap, "adt.raw", ack_timeout="300ms") as rig:
        client = rig.client()
        os.kill(own_kafka.pid, signal.SIGSTOP)
        try:
            client.send(message("C1"), BAD_VERSION)
            assert client.ack() == Ack("AR", "C1", "207")
            assert client.ack() == Ack("AR", "B1", "203")
        finally:
            os.kill(own_kafka.pid, signal.SIGCONT)

        def accepted() -> bool:
            client.send(message("C1"))
            return client.ack() == Ack("AA", "C1")

        assert eventually(accepted)
        assert rig.stored() == [message("C1")]


def test_who_cannot_be_stored_at_once_is_not_refused_at_once(own_kafka):
    """Else its sender would send it again, and again."""
    create_topic(own_kafka, "adt.raw", 1)
    full = '{"queue.buffering.max.messages": "1"}'
    with listening(own_kafka.bootstrap, "adt.raw", options=full, ack_timeout="5s") as rig:
        client = rig.client()
        client.send(message("C0"))
        assert client.ack() == Ack("AA", "C0")
        os.kill(own_kafka.pid, signal.SIGSTOP)
        try:
            first, second = rig.client(), rig.client()
            first.send(message("C1"))
            assert first.says_nothing()
            second.send(message("C2"))
            assert second.says_nothing()
            assert second.ack() == Ack("AR", "C2", "207")
        finally:
            os.kill(own_kafka.pid, signal.SIGCONT)


def test_reading_pauses_while_too_many_messages_wait(own_kafka):
    create_topic(own_kafka, "adt.raw", 1)
    with listening(own_kafka.bootstrap, "adt.raw", max_unanswered="2", ack_timeout="60s") as rig:
        client = rig.client()
        client.send(message("C0"))
        assert client.ack() == Ack("AA", "C0")
        os.kill(own_kafka.pid, signal.SIGSTOP)
        try:
            client.sock.setblocking(False)
            large = message("C1") + b"NTE|1||" + b"x" * 500_000 + b"\r"
            sent, offered = 0, framed(*[large.replace(b"C1", b"C%d" % n) for n in range(40)])
            while (more := _some(client.sock, offered[sent:])) > 0:
                sent += more
            assert sent < len(offered) // 2, "all of it was read"
        finally:
            os.kill(own_kafka.pid, signal.SIGCONT)
        client.sock.setblocking(True)
        client.sock.sendall(offered[sent:])
        assert [client.ack() for _ in range(40)] == [Ack("AA", f"C{n}") for n in range(40)]


def _some(sock: socket.socket, data: bytes) -> int:
    """Return how many bytes a socket takes; 0 where it takes none for a while."""
    if not data or not select.select([], [sock], [], 1.0)[1]:
        return 0
    return sock.send(data)
