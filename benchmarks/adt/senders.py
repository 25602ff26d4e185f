"""Hospitals that send through the listener, one connection each, until each message is answered."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

from benchmarks.feed import Gate
from benchmarks.held import Arrival
from benchmarks.rig import PATIENCE_S, Rig
from connectors.adt.envelope import TOPIC
from connectors.mllp.sender import Sender
from flows.engine.ports import HOST
from replay.message import Message
from replay.recording import Recording
from state.errors import Broken

RATE = 300
"""Messages a second: those behind a point last for some tenths of a second, in which it happens."""
ANSWER_S = 60.0
LOOK_S = 0.005


class Senders:
    """A sender for each partition of a recording, whose messages it sends in their order.

    What is not answered, it sends again. It stops with the first message that is refused.
    """

    def __init__(self, recordings: Sequence[Path], port: int) -> None:
        messages = list(enumerate(in_turn(recordings)))
        self.count = len(messages)
        self.gate = Gate([number for number, _ in messages], RATE)
        self._port = port
        self._accepted: Counter[int] = Counter()
        self._ending = threading.Event()
        self._failure: BaseException | None = None
        partitions = sorted({message.partition for _, message in messages})
        self._threads = [
            threading.Thread(
                target=self._send,
                args=(partition, [each for each in messages if each[1].partition == partition]),
                name=f"sender {partition}",
                daemon=True,
            )
            for partition in partitions
        ]

    @property
    def accepted(self) -> int:
        """How many messages have their positive answer."""
        return sum(self._accepted.values())

    def start(self) -> Self:
        """Start; nothing passes before the gate allows it."""
        for thread in self._threads:
            thread.start()
        return self

    def settled(self) -> bool:
        """Say whether all that the gate lets pass is accepted."""
        passed, all_of_it = self.gate.passed()
        return all_of_it and self.accepted >= passed

    def check(self) -> None:
        """Raise what stopped a sender."""
        if self._failure is not None:
            raise self._failure

    def finish(self) -> None:
        """Let everything pass; return when all is accepted."""
        self.gate.allow(self.count)
        for thread in self._threads:
            thread.join(PATIENCE_S)
        self.check()
        if self.accepted < self.count:
            raise Broken(f"the senders are stuck at {self.accepted} of {self.count} messages")

    def stop(self) -> None:
        """Send nothing more."""
        self._ending.set()
        for thread in self._threads:
            thread.join(PATIENCE_S)

    def _send(self, partition: int, messages: list[tuple[int, Message]]) -> None:
        try:
            while self._accepted[partition] < len(messages) and not self._ending.is_set():
                self._send_rest(partition, messages)
        except BaseException as error:  # noqa: BLE001  # a thread dies unheard: `check` raises it
            self._failure = error

    def _send_rest(self, partition: int, messages: list[tuple[int, Message]]) -> None:
        """Send what is not accepted yet, until a sender gives up: a listener may be down longer."""
        done = self._accepted[partition]
        sender = Sender((HOST, self._port), ANSWER_S, _refused, wait=self._wait)
        try:
            sender.send(self._passing(partition, messages[done:]))
        except Broken:
            return

    def _wait(self, seconds: float) -> None:
        self._ending.wait(seconds)

    def _passing(self, partition: int, messages: list[tuple[int, Message]]) -> Iterator[bytes]:
        """Yield each message once the gate lets it pass; note that the one before is accepted."""
        for number, message in messages:
            while self.gate.passed()[0] <= number:
                if self._ending.wait(LOOK_S):
                    return
            yield message.value or b""
            self._accepted[partition] += 1


def in_turn(recordings: Sequence[Path]) -> list[Message]:
    """Return the messages of recordings with those of each partition in order, mixed evenly."""
    messages = Recording(recordings).messages()
    return sorted(messages, key=lambda each: (each.offset, each.partition))


def arrival(rig: Rig, recordings: Sequence[Path]) -> Arrival:
    """Return how the messages of recordings lie in the topic."""
    taken = rig.directory / "arrived.parquet"
    rig.headrace("record", TOPIC, "--out", str(taken), "--plaintext")
    return arrived(in_turn(recordings), in_turn([taken]))


def arrived(sent: Sequence[Message], found: Sequence[Message]) -> Arrival:
    """Return how messages lie in a topic, no two of which are the same, against how they were sent.

    Both begin with the first of each partition.
    """
    places = {message.value: (message.partition, message.offset) for message in sent}
    seen: set[bytes | None] = set()
    newest: dict[int, int] = {}
    repeated = moved = 0
    for message in found:
        partition, offset = places.get(message.value, (message.partition, -1))
        repeated += message.value in seen
        moved += message.value not in seen and (
            partition != message.partition or offset < newest.get(partition, -1)
        )
        seen.add(message.value)
        newest[partition] = max(offset, newest.get(partition, -1))
    lost = sum(message.value not in seen for message in sent)
    return Arrival(len(found), repeated, moved, lost)


def _refused(_: int, code: str, condition: str) -> None:
    raise RuntimeError(f"the listener refuses a message: {code} {condition}")
