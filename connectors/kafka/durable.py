"""Messages that somebody waits for: stored first, answered then.

A listener answers only what Kafka has. It hands a message over on its event loop and gets a future
that ends with what Kafka says. It may stop waiting; the message stays on its way. So what Kafka
confirms late is known to be stored, and nothing is written a second time to find out.
"""

from __future__ import annotations

import asyncio
import threading
from functools import partial

from confluent_kafka import KafkaError, KafkaException, Message

from connectors.kafka.client import Cluster
from connectors.kafka.delivery import Outgoing
from state.clock import MS
from state.errors import Broken

GIVE_UP_S = 600.0
"""A message that Kafka does not take for so long is dropped: its sender was told long ago."""
POLL_S = 0.1
CLOSING_S = 0.01
QUEUE_FULL = KafkaError._QUEUE_FULL  # noqa: SLF001  # librdkafka's own codes are named so

Outcome = asyncio.Future[KafkaError | None]
"""Ends with None once Kafka has the message, else with the reason."""


class DurableWriter:
    """One idempotent producer on an event loop; what waits is bounded by the producer's queue.

    ``failed`` ends with Broken where the producer can go on no more.
    """

    def __init__(self, cluster: Cluster, loop: asyncio.AbstractEventLoop) -> None:
        self.failed: asyncio.Future[None] = loop.create_future()
        self._loop = loop
        self._told: list[tuple[Outcome, KafkaError | None]] = []
        self._stopping = threading.Event()
        self._producer = cluster.producer(lambda *_: None, self._fatal, timeout_s=GIVE_UP_S)
        self._poller = threading.Thread(target=self._poll, name="kafka answers", daemon=True)
        self._poller.start()

    def __len__(self) -> int:
        """Return the number of messages that Kafka has not told about."""
        return len(self._producer)

    def store(self, message: Outgoing, time_ns: int) -> Outcome:
        """Hand over a message with its timestamp; return what ends with Kafka's answer.

        To be called on the loop, which it never blocks.
        """
        outcome: Outcome = self._loop.create_future()
        try:
            self._producer.produce(
                message.topic,
                message.value,
                message.key,
                timestamp=time_ns // MS,
                headers=message.headers,
                on_delivery=partial(self._delivered, outcome),
            )
        except BufferError:
            outcome.set_result(KafkaError(QUEUE_FULL))
        except KafkaException as error:
            outcome.set_result(error.args[0])
        return outcome

    async def close(self, seconds: float) -> None:
        """Wait so long for what Kafka has not told; then what becomes of it stays unknown."""
        deadline = self._loop.time() + seconds
        while len(self) and self._loop.time() < deadline:
            await asyncio.sleep(CLOSING_S)
        self._stopping.set()
        self._poller.join()

    def _poll(self) -> None:
        while not self._stopping.is_set():
            self._producer.poll(POLL_S)
            if self._told:
                told, self._told = self._told, []
                self._loop.call_soon_threadsafe(_settle, told)

    def _delivered(self, outcome: Outcome, error: KafkaError | None, message: Message) -> None:
        """Note an answer; called from within `poll`, whose thread hands all of them on at once."""
        self._told.append((outcome, error))

    def _fatal(self, error: KafkaError) -> None:
        self._loop.call_soon_threadsafe(self._fail, Broken(f"Kafka's producer: {error.str()}"))

    def _fail(self, error: Broken) -> None:
        if not self.failed.done():
            self.failed.set_exception(error)


def _settle(told: list[tuple[Outcome, KafkaError | None]]) -> None:
    for outcome, error in told:
        if not outcome.done():
            outcome.set_result(error)
