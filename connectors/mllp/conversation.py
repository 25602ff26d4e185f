"""One connection's side of the protocol: messages in, one answer to each in their order.

It knows neither sockets nor Kafka. Whoever owns it hands bytes in, stores what comes out, settles
each message once that is known to have been stored or not, and writes the bytes that are then due.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from typing import NamedTuple

from connectors.hl7.files import messages
from connectors.hl7.header import Header
from connectors.mllp.answers import (
    INTERNAL,
    PROCESSING_IDS,
    Condition,
    Judged,
    Verdict,
    answer,
    judge,
)
from connectors.mllp.frames import END, START, Frames, TooLong


class Arrived(NamedTuple):
    """A message that has to be settled by its number, or was answered already (``settled``).

    ``content`` are its bytes, or what is told of a frame beyond the bound.
    """

    number: int
    content: bytes | TooLong
    judged: Judged
    settled: bool


class Conversation:
    """Reads a connection's bytes and keeps its answers in order.

    ``most`` is the bound of a frame in bytes; ``unanswered`` the number of messages from which on
    `is_full` asks for no more bytes; ``name`` begins the ids of our answers; ``processing`` are
    the values of MSH-11 to accept.
    """

    def __init__(
        self,
        most: int,
        unanswered: int,
        name: str,
        processing: Collection[bytes] = PROCESSING_IDS,
    ) -> None:
        self._frames = Frames(most)
        self._most_unanswered = unanswered
        self._name = name
        self._processing = processing
        self._noise = 0
        self._first = 0
        self._waiting: deque[Header | None] = deque()
        self._answers: deque[bytes | None] = deque()

    @property
    def is_full(self) -> bool:
        """Whether so many messages wait for their answer that nothing more should be read."""
        return len(self._answers) >= self._most_unanswered

    @property
    def unanswered(self) -> int:
        """The number of messages without an answer."""
        return sum(each is None for each in self._answers)

    @property
    def noise(self) -> int:
        """The number of bytes outside of frames that say something."""
        return self._frames.noise + self._noise

    def receive(self, data: bytes, now: bytes) -> list[Arrived]:
        """Return the messages that these bytes complete; ``now`` is the time as HL7 writes it.

        Those that nothing is to be kept of are settled. A refused one (``judged.refusal``) is not:
        it may have to be kept as a dead letter before its sender is told.
        """
        found: list[Arrived] = []
        for frame in self._frames.receive(data):
            if isinstance(frame, TooLong):
                found.append(self._arrive(frame, Judged(None, keep=False, refusal=INTERNAL), now))
                continue
            within = messages(frame) or [frame]
            self._noise += len(frame.translate(None, b"\0")) - sum(map(len, within))
            found += [self._arrive(raw, judge(raw, self._processing), now) for raw in within]
        return found

    def settle(
        self, number: int, verdict: Verdict, now: bytes, condition: Condition | None = None
    ) -> None:
        """Decide about a message; its answer is due once all before it are decided."""
        place = number - self._first
        assert place >= 0, "a message is settled once, and this one has its answer"
        assert self._answers[place] is None, "a message is settled once"
        self._answers[place] = self._answer(number, self._waiting[place], verdict, now, condition)

    def due(self) -> bytes:
        """Return the answers that can be written now, in frames and in order."""
        found: list[bytes] = []
        while self._answers and self._answers[0] is not None:
            said = self._answers.popleft()
            self._waiting.popleft()
            self._first += 1
            if said:
                found.append(START + said + END)
        return b"".join(found)

    def close(self) -> bytes:
        """Return the start of a frame whose end did not come, which is not answered."""
        return self._frames.close()

    def _arrive(self, content: bytes | TooLong, judged: Judged, now: bytes) -> Arrived:
        number = self._first + len(self._answers)
        self._waiting.append(judged.header)
        self._answers.append(None)
        if judged.silent:
            self._answers[-1] = b""
        elif judged.first_number:
            self._answers[-1] = self._answer(
                number, judged.header, Verdict.ACCEPT, now, sequence=b"1"
            )
        return Arrived(number, content, judged, settled=self._answers[-1] is not None)

    def _answer(
        self,
        number: int,
        header: Header | None,
        verdict: Verdict,
        now: bytes,
        condition: Condition | None = None,
        sequence: bytes = b"",
    ) -> bytes:
        return answer(header, verdict, f"{self._name}-{number}".encode(), now, condition, sequence)
