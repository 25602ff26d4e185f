"""Damaged streams of MLLP, and what has to come of each, however its bytes are cut."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from random import Random
from typing import NamedTuple

from benchmarks.adt.guard import Wrong
from benchmarks.adt.mutations import damaged
from connectors.adt.envelope import domain
from connectors.hl7.header import Header
from connectors.mllp.answers import Verdict, is_answered
from connectors.mllp.conversation import Arrived, Conversation
from connectors.mllp.frames import END, START, TooLong
from connectors.mllp.validation import fault_of

MOST_BYTES = 4000
"""The bound of a frame."""
NOW = b"20240305090001+0000"
JUNK = (START, END, b"\x1c", b"\r", b"\n", b"\0", b"\x0b\x0b", b"\x0bMS", b"MSH|", b"a log line\n",
        b"\xef\xbb\xbf", b"\x0bFHS|^~\\&\rBHS|^~\\&\r", b"\x0b" + b"x" * MOST_BYTES)  # fmt: skip
"""What stands between frames, or in place of one of their marks."""


class Stream(NamedTuple):
    """The bytes of a connection, and the messages in them that nothing has damaged, in order."""

    data: bytes
    sound: list[bytes]


class Heard(NamedTuple):
    """All that a conversation tells of a stream."""

    arrived: list[Arrived]
    answers: bytes
    noise: int
    rest: bytes


def stream(rng: Random, messages: Sequence[bytes]) -> Stream:
    """Return up to six frames, some of them damaged, with what else may stand between them."""
    pieces: list[bytes] = []
    sound: list[bytes] = []
    for _ in range(rng.randint(1, 6)):
        message = rng.choice(messages)
        kind = rng.random()
        if kind < 0.4:
            pieces.append(START + message + END)
            sound.append(message)
        elif kind < 0.7:
            others = damaged(rng, message, messages), message[: rng.randrange(200)]
            begin, end = (rng.choice((mark, mark, mark, b"")) for mark in (START, END))
            pieces.append(begin + rng.choice(others) + end)
        else:
            pieces += rng.choices(JUNK, k=rng.randint(1, 3))
    return Stream(b"".join(pieces), sound)


def converse(rng: Random, given: Stream) -> str:
    """Let a stream through conversations, whole and in pieces; return what came of it.

    Raises Wrong where a sound message does not arrive, one that arrives is not answered as often as
    its sender asks, or pieces make a difference.
    """
    whole = _heard(rng, [given.data])
    _check_arrivals(given.sound, whole.arrived)
    _check_answers(whole)
    cuts = sorted(rng.randrange(len(given.data) + 1) for _ in range(rng.randint(1, 20)))
    for pieces in (_cut(given.data, cuts), _cut(given.data, _around_marks(given.data))):
        for part, wanted, found in zip(Heard._fields, whole, _heard(rng, pieces), strict=True):
            if _comparable(wanted) != _comparable(found):
                raise Wrong(f"{part} of the whole stream and of its pieces differ")
    return "all of it arrived" if len(whole.arrived) == len(given.sound) else "some of it arrived"


def _heard(rng: Random, pieces: Iterable[bytes]) -> Heard:
    """Return what is told of a stream in pieces, whose messages are settled in any order."""
    talk = Conversation(MOST_BYTES, 1000, "F")
    arrived: list[Arrived] = []
    answers: list[bytes] = []
    for piece in pieces:
        new = talk.receive(piece, NOW)
        arrived += new
        for each in rng.sample(new, len(new)):
            _settle(talk, each)
            answers.append(talk.due())
        answers.append(talk.due())
    rest = talk.close()
    if talk.unanswered:
        raise Wrong("a message has no answer though all were settled")
    return Heard(arrived, b"".join(answers), talk.noise, rest)


def _settle(talk: Conversation, arrived: Arrived) -> None:
    """Decide about a message as a listener does that looks at ids and stores the rest."""
    if arrived.settled:
        return
    refusal, content = arrived.judged.refusal, arrived.content
    if refusal is not None or isinstance(content, TooLong):
        talk.settle(arrived.number, Verdict.REJECT, NOW, refusal)
        return
    domain(arrived.judged.header)
    fault = fault_of(content)
    verdict = Verdict.ACCEPT if fault is None else Verdict.ERROR
    talk.settle(arrived.number, verdict, NOW, None if fault is None else fault[0])


def _check_arrivals(sound: Sequence[bytes], arrived: Sequence[Arrived]) -> None:
    """Raise Wrong where the sound messages are not among those that arrived, in their order."""
    contents = iter(each.content for each in arrived)
    if not all(any(each == content for content in contents) for each in sound):
        raise Wrong("a message that nothing has damaged did not arrive in its place")


def _check_answers(heard: Heard) -> None:
    """Raise Wrong where there are more or fewer answers than senders ask for."""
    wanted = sum(_is_answered(each) for each in heard.arrived)
    if heard.answers.count(START) != wanted or heard.answers.count(END) != wanted:
        raise Wrong("there are not as many answers as messages that ask for one")


def _is_answered(arrived: Arrived) -> bool:
    header: Header | None = arrived.judged.header
    if arrived.judged.silent:
        return False
    if header is None:
        return True
    if arrived.judged.first_number:
        return is_answered(header, Verdict.ACCEPT)
    if arrived.judged.refusal is not None:
        return is_answered(header, Verdict.REJECT)
    assert isinstance(arrived.content, bytes), "what has a header is no frame beyond the bound"
    fault = fault_of(arrived.content)
    return is_answered(header, Verdict.ACCEPT if fault is None else Verdict.ERROR)


def _comparable(told: object) -> object:
    """Return something that compares by value; headers do not."""
    if not isinstance(told, list):
        return told
    return [
        (each.number, each.content, each.settled, each.judged._replace(header=None))
        for each in told
    ]


def _around_marks(data: bytes) -> list[int]:
    """Return cuts within and around each mark of the stream."""
    marks = (at for at, byte in enumerate(data) if byte in b"\x0b\x1c")
    return sorted({cut for at in marks for cut in (at, at + 1, at + 2) if cut <= len(data)})


def _cut(data: bytes, cuts: Sequence[int]) -> Iterator[bytes]:
    for begin, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
        yield data[begin:end]
