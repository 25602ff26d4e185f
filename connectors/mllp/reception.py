"""What becomes of a message that has arrived: where it is stored, and the answer that follows.

A message goes to its topic as it came, sealed. What is refused goes to the dead letters of the
system, and is answered after that, too. There is no socket here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from confluent_kafka import KafkaError

from connectors.hl7.header import Header
from connectors.intake import Intake
from connectors.kafka.delivery import TOO_LARGE, Outgoing
from connectors.kafka.durable import Outcome
from connectors.kafka.sink import dead_letter_headers, left_out, letter_message, without_value
from connectors.mllp.answers import (
    HL7_VERSION,
    INTERNAL,
    PROCESSING,
    SEGMENT_SEQUENCE,
    TYPE,
    Condition,
    Judged,
    Verdict,
)
from connectors.mllp.conversation import Arrived
from connectors.mllp.frames import TooLong
from connectors.mllp.validation import fault_of
from connectors.repeats import digest_of
from state.errors import BadRecord, Malformed, OutOfRange, WrongType
from state.metrics import DEAD, INGESTED
from state.records import Coordinates, DeadLetter
from state.sealed_values import ValueSealer
from state.sealing import Seal

LISTENER = "mllp"
"""The listener's name in metrics."""
OUTCOMES = {
    name: INGESTED.labels(LISTENER, name)
    for name in ("stored", "repeated", "refused", "unconfirmed", "unanswered")
}
"""What becomes of a message -> its counter."""
NOWHERE = -1
"""The partition of a dead letter that never was in one."""
REASONS: dict[Condition, BadRecord] = {
    SEGMENT_SEQUENCE: Malformed("no segment MSH with its delimiters begins the message"),
    TYPE: WrongType("MSH-9 names no type of message"),
    PROCESSING: OutOfRange("MSH-11 is no processing id that is accepted"),
    HL7_VERSION: OutOfRange("MSH-12 is no version from 2.1 to 2.9"),
}
"""Why a message that is not taken becomes a dead letter."""
CUT = Malformed("IncompleteFrame: the stream ended in a frame")


class Answer(NamedTuple):
    """What is said to a message."""

    verdict: Verdict
    condition: Condition | None = None


ACCEPTED = Answer(Verdict.ACCEPT)
UNCONFIRMED = Answer(Verdict.REJECT, INTERNAL)
"""Nothing is wrong with the message, or nobody can tell: its sender is to send it again."""


class Taken(NamedTuple):
    """A message that is on its way to Kafka, or there already (``outcome`` None)."""

    outcome: Outcome | None
    stored: Answer
    otherwise: Answer = UNCONFIRMED


@dataclass(frozen=True)
class Places:
    """Where messages and dead letters go, and as what.

    ``key_of`` gives a message's key; ``seal`` seals the values of messages, and the dead letters of
    ``system``, None for none; a dead letter's value above ``max_dead_bytes`` is left out.
    """

    system: str
    messages: str
    letters: str
    key_of: Callable[[Header | None], bytes]
    max_dead_bytes: int
    seal: Seal | None = None


@dataclass(frozen=True)
class Policy:
    """How messages are answered beyond what the protocol says.

    ``validates``: ids are looked at, and a fault is refused; ``always_accepts``: what is wrong with
    a message's content is no reason to refuse it, once it is a dead letter.
    """

    validates: bool = False
    always_accepts: bool = False


class Reception:
    """Stores what arrives. ``clock`` tells the time in ns since 1970 UTC."""

    def __init__(
        self,
        messages: Intake,
        letters: Intake,
        places: Places,
        policy: Policy,
        clock: Callable[[], int],
    ) -> None:
        self._messages = messages
        self._letters = letters
        self._places = places
        self._policy = policy
        self._clock = clock
        self._sealer = None if places.seal is None else ValueSealer(places.seal, places.messages)

    def take(self, arrived: Arrived) -> Taken:
        """Store a message that is not settled yet; return how it will be answered."""
        content, judged = arrived.content, arrived.judged
        if isinstance(content, TooLong):
            return self._take_too_long(content)
        if judged.refusal is not None:
            reason = REASONS[judged.refusal]
            return self._refuse(content, judged, reason, Answer(Verdict.REJECT, judged.refusal))
        fault = fault_of(content) if self._policy.validates else None
        if fault is not None:
            condition, reason = fault
            return self._refuse(content, judged, reason, Answer(Verdict.ERROR, condition))
        return self._store(content, judged)

    def cut(self, content: bytes) -> None:
        """Keep the start of a frame whose stream has ended, as a dead letter."""
        self._bury(content, None, CUT)

    def _store(self, content: bytes, judged: Judged) -> Taken:
        key = self._places.key_of(judged.header)
        value = content if self._sealer is None else self._sealer.seal(content)
        message = Outgoing(self._places.messages, key, value, [])
        outcome, new = self._messages.take(message, digest_of(content), self._clock())
        if outcome is not None and new:
            outcome.add_done_callback(partial(self._stored, content, judged))
        elif not new:
            OUTCOMES["repeated"].inc()
        return Taken(outcome, ACCEPTED)

    def _stored(self, content: bytes, judged: Judged, outcome: Outcome) -> None:
        error = outcome.result()
        if error is None:
            OUTCOMES["stored"].inc()
        elif error.code() == TOO_LARGE:
            reason = OutOfRange("FrameTooLong: Kafka takes no message of this length")
            self._bury_without_value(self._letter(content, judged.header, reason))

    def _refuse(self, content: bytes, judged: Judged, reason: BadRecord, refusal: Answer) -> Taken:
        OUTCOMES["refused"].inc()
        outcome = self._bury(content, judged.header, reason)
        if self._policy.always_accepts:
            return Taken(outcome, ACCEPTED)
        return Taken(outcome, refusal, refusal)

    def _take_too_long(self, content: TooLong) -> Taken:
        """Keep the length and the hash of what was not held."""
        OUTCOMES["refused"].inc()
        reason = OutOfRange("FrameTooLong: the frame is longer than mllp.max_message")
        identity = bytes.fromhex(content.digest)
        letter = self._named(identity, None, b"", reason)
        headers = dead_letter_headers(letter) + left_out(content.length, content.digest)
        outcome = self._send_letter(Outgoing(self._places.letters, None, b"", headers), letter)
        return Taken(outcome, UNCONFIRMED)

    def _bury(self, content: bytes, header: Header | None, reason: BadRecord) -> Outcome | None:
        letter = self._letter(content, header, reason)
        whole = letter_message(self._places.letters, letter, self._places.max_dead_bytes)
        outcome = self._send_letter(whole, letter)
        if outcome is not None:
            outcome.add_done_callback(partial(self._shorten, letter))
        return outcome

    def _shorten(self, letter: DeadLetter, outcome: Outcome) -> None:
        error: KafkaError | None = outcome.result()
        if error is not None and error.code() == TOO_LARGE:
            self._bury_without_value(letter)

    def _bury_without_value(self, letter: DeadLetter) -> None:
        bound = self._places.max_dead_bytes
        self._send_letter(without_value(self._places.letters, letter, bound), letter)

    def _send_letter(self, message: Outgoing, letter: DeadLetter) -> Outcome | None:
        """Store a letter once; return what ends with Kafka's answer, None where it has it."""
        digest = digest_of(str(letter.coordinates).encode())
        outcome, new = self._letters.take(message, digest, letter.timestamp_ns)
        if new:
            DEAD.labels(self._places.messages, letter.error).inc()
        return outcome

    def _letter(self, content: bytes, header: Header | None, reason: BadRecord) -> DeadLetter:
        key = self._places.key_of(header)
        letter = self._named(content, key, content, reason)
        seal = self._places.seal
        return letter if seal is None else seal.letter(self._places.system, letter)

    def _named(
        self, identity: bytes, key: bytes | None, value: bytes, reason: BadRecord
    ) -> DeadLetter:
        """Return a letter whose place is made of a hash: the same bytes are the same letter."""
        seal, topic = self._places.seal, self._places.messages
        name = digest_of(identity) if seal is None else seal.fingerprint(topic, identity)
        number = int.from_bytes(name[:8], "big") >> 1
        place = Coordinates(topic, NOWHERE, number)
        return DeadLetter.of(reason, place, self._clock(), key, value)
