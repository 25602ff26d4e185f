"""One answer to each message, in their order, whatever is settled first."""

from __future__ import annotations

import random

import pytest

from connectors.hl7.message import Message
from connectors.mllp.answers import INTERNAL, Verdict
from connectors.mllp.conversation import Arrived, Conversation
from connectors.mllp.frames import Frames, TooLong

NOW = b"20240305090001"


def message(control: str, kind: str = "ADT^A01", more: str = "") -> bytes:
    head = rf"MSH|^~\&|PAS|GH|HEADRACE|GH|20240305090000||{kind}|{control}|P|2.5.1{more}"
    return f"{head}\rEVN|A01\r".encode()


def framed(*contents: bytes) -> bytes:
    return b"".join(b"\x0b" + content + b"\x1c\r" for content in contents)


def answers(data: bytes) -> list[tuple[str, str]]:
    """Return code and MSA-2 of each answer in these bytes."""
    found = Frames(1 << 20).receive(data)
    read = [Message(each) for each in found if not isinstance(each, TooLong)]
    return [(each.text("MSA", 1), each.text("MSA", 2)) for each in read]


def conversation(most: int = 10_000, unanswered: int = 256) -> Conversation:
    return Conversation(most, unanswered, "H1")


def test_an_answer_comes_only_when_its_message_is_settled():
    talk = conversation()
    [arrived] = talk.receive(framed(message("C1")), NOW)
    assert arrived == Arrived(0, message("C1"), arrived.judged, settled=False)
    assert talk.due() == b""
    talk.settle(0, Verdict.ACCEPT, NOW)
    assert answers(talk.due()) == [("AA", "C1")]
    assert talk.due() == b""


def test_answers_keep_the_order_of_their_messages():
    talk = conversation()
    talk.receive(framed(message("C1"), message("C2"), message("C3")), NOW)
    talk.settle(2, Verdict.ACCEPT, NOW)
    talk.settle(1, Verdict.REJECT, NOW, INTERNAL)
    assert (talk.due(), talk.unanswered) == (b"", 1)
    talk.settle(0, Verdict.ACCEPT, NOW)
    assert answers(talk.due()) == [("AA", "C1"), ("AR", "C2"), ("AA", "C3")]


def test_each_message_of_a_frame_is_answered():
    talk = conversation()
    talk.receive(framed(message("C1") + message("C2")), NOW)
    for number in (0, 1):
        talk.settle(number, Verdict.ACCEPT, NOW)
    assert answers(talk.due()) == [("AA", "C1"), ("AA", "C2")]


def refuse(talk: Conversation, arrived: Arrived) -> None:
    talk.settle(arrived.number, Verdict.REJECT, NOW, arrived.judged.refusal)


def test_what_is_no_message_is_refused_once_it_is_settled():
    talk = conversation(most=200)
    found = talk.receive(framed(b"hello", b"x" * 201, message("C1", more="|||NE")), NOW)
    assert [each.settled for each in found] == [False, False, False]
    assert isinstance(found[1].content, TooLong)
    assert talk.due() == b"", "it may be kept as a dead letter first"
    refuse(talk, found[0])
    refuse(talk, found[1])
    assert answers(talk.due()) == [("AR", ""), ("AR", "")]
    talk.settle(2, Verdict.ACCEPT, NOW)
    assert talk.due() == b"", "its sender wants no answer"


def test_an_answer_is_not_answered_and_holds_nothing_up():
    talk = conversation()
    told = message("K9", "ACK^A01^ACK") + b"MSA|AA|E1\r"
    found = talk.receive(framed(told, message("C1")), NOW)
    assert [each.settled for each in found] == [True, False]
    talk.settle(1, Verdict.ACCEPT, NOW)
    assert answers(talk.due()) == [("AA", "C1")]


def test_sequence_numbers_begin_with_one():
    talk = conversation()
    [arrived] = talk.receive(framed(message("S0", "^", "|0")), NOW)
    assert arrived.settled
    assert b"MSA|AA|S0||1\r" in talk.due()


def test_a_connection_that_waits_for_many_answers_is_full():
    talk = conversation(unanswered=2)
    talk.receive(framed(message("C1")), NOW)
    assert not talk.is_full
    talk.receive(framed(message("C2")), NOW)
    assert talk.is_full
    talk.settle(0, Verdict.ACCEPT, NOW)
    talk.due()
    assert not talk.is_full


def test_a_frame_without_an_end_is_not_answered():
    talk = conversation()
    assert talk.receive(b"\x0b" + message("C1"), NOW) == []
    assert talk.close() == message("C1")
    assert talk.due() == b""


def test_a_message_that_has_its_answer_is_not_settled_again():
    """A late word about one message must not answer the next one."""
    talk = conversation()
    talk.receive(framed(message("C1")), NOW)
    talk.settle(0, Verdict.REJECT, NOW, INTERNAL)
    assert answers(talk.due()) == [("AR", "C1")]
    talk.receive(framed(message("C2")), NOW)
    with pytest.raises(AssertionError, match="settled once"):
        talk.settle(0, Verdict.ACCEPT, NOW)
    assert talk.due() == b""


def test_zero_bytes_and_noise_hide_no_message_of_a_frame():
    talk = conversation()
    found = talk.receive(framed(b"\0" + message("C1") + b"\0" + message("C2")), NOW)
    assert [each.content for each in found] == [message("C1"), message("C2")]
    found = talk.receive(framed(b"junk\r" + message("C3")), NOW)
    assert [each.content for each in found] == [message("C3")]
    assert talk.noise == len(b"junk\r")


def test_a_frame_of_wide_characters_is_refused():
    talk = conversation()
    for codec in ("utf_16_le", "utf_16_be", "utf_16", "utf_32_le"):
        [arrived] = talk.receive(framed(message("C1").decode().encode(codec)), NOW)
        refuse(talk, arrived)
        assert answers(talk.due()) == [("AR", "")], codec


def test_any_cut_and_any_order_of_settling():
    rng = random.Random(5)
    for _ in range(100):
        sent = [message(f"C{number}") for number in range(rng.randint(1, 12))]
        data = framed(*sent)
        talk = conversation()
        said = b""
        open_ones: list[int] = []
        while data or open_ones:
            cut = rng.randint(0, min(len(data), 150))
            open_ones += [each.number for each in talk.receive(data[:cut], NOW)]
            data = data[cut:]
            if open_ones and rng.random() < 0.7:
                settled = open_ones.pop(rng.randrange(len(open_ones)))
                talk.settle(settled, Verdict.ACCEPT, NOW)
            said += talk.due()
        assert answers(said) == [("AA", f"C{number}") for number in range(len(sent))]
