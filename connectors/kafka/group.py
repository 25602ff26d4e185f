"""The consumer group of a flow: commits that anyone can see, and pacing between processes.

A flow resumes from its own snapshots and never from the group. The group's committed
offsets say what is durable, so that every Kafka tool shows the lag, and the metadata of
each commit is the newest event time (ns, decimal) of the partition, so that processes
that read other partitions of the topic can pace theirs (connectors/pacing.py).

One daemon thread per process does all of it, for nothing may block in ``next_batch``. It
commits what became durable at once, and exchanges event times every second, or every
50 ms while one moves so fast (a backlog) that ``max_skew`` would pass in ten seconds.
A group must belong to one flow and one generation.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping

from confluent_kafka import KafkaException, TopicPartition

from connectors.kafka.client import Cluster
from connectors.kafka.topics import describe
from connectors.pacing import Pacing
from state.errors import Broken, Misuse, PartitionsChanged, TopicReplaced
from state.metrics import STALLED

LOG = logging.getLogger(__name__)

GATHER_S = 0.02


class ConsumerGroup:
    """The group's side of one process; its thread runs from `start` to `close`.

    ``partitions`` counts those of the topic; ``owned`` are this process's. ``identity`` is the
    topic's; '' where it is not to be compared.
    """

    exchange_s = 1.0
    hurry_s = 0.05
    recount_s = 10.0
    """How often the topic is looked at: is it the same, with as many partitions?"""
    timeout_s = 5.0

    def __init__(
        self,
        cluster: Cluster,
        group: str,
        topic: str,
        partitions: int,
        owned: list[int],
        pacing: Pacing,
        identity: str = "",
    ) -> None:
        self._cluster = cluster
        self._admin = cluster.admin()
        self._identity = identity
        self._group = group
        self._topic = topic
        self._partitions = partitions
        self._owned = owned
        self._others = sorted(set(range(partitions)) - set(owned))
        self._pacing = pacing
        self._durable: dict[int, int] = {}
        self._committed: dict[int, tuple[int, str]] = {}
        self._stalls = Stalls(topic, pacing)
        self._reach = (time.monotonic(), 0)
        self._suspected = False
        self._trouble = ""
        self._failure: Broken | None = None
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._consumer = cluster.consumer(group)
        self._thread = threading.Thread(target=self._run, name=f"group {group}", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def durable(self, offsets: Mapping[int, int]) -> None:
        """Commit these next offsets soon: a snapshot that holds them is durable."""
        self._durable.update(offsets)
        self._wake.set()

    def check(self) -> None:
        """Raise what the thread found wrong with the topic, or Broken where it ended."""
        if self._failure is not None:
            raise self._failure
        if not self._thread.is_alive():
            raise Broken(f"the thread of group {self._group} has ended")

    def close(self, patience_s: float) -> None:
        """Commit what is left and end the thread; return after ``patience_s`` at the latest."""
        self._closing.set()
        self._wake.set()
        self._thread.join(patience_s)

    def _run(self) -> None:
        next_look = next_count = 0.0
        while not self._closing.is_set():
            now = time.monotonic()
            self._try(self._commit)
            if self._others:
                self._try(self._learn)
            if now >= next_count:
                next_count = now + self.recount_s
                self._try(self._recount)
            if now >= next_look:
                next_look = now + self.exchange_s
                self._stalls.look()
            self._wake.wait(self._interval())
            self._wake.clear()
            # The other shards' snapshots become durable at the same moment: one commit.
            self._closing.wait(GATHER_S)
        self._try(self._commit)
        self._consumer.close()

    def _try(self, step: Callable[[], None]) -> None:
        """Do one step; what the broker refuses is tried again in the next round."""
        try:
            step()
            self._trouble = ""
        except KafkaException as error:
            trouble = str(error.args[0])
            if trouble != self._trouble:
                LOG.warning("group %s: %s", self._group, trouble)
            self._trouble = trouble

    def _commit(self) -> None:
        now = {
            p: (offset, "" if newest is None else str(newest))
            for p, offset in list(self._durable.items())
            for newest in [self._pacing.newest(p)]
        }
        changed = {p: what for p, what in now.items() if self._committed.get(p) != what}
        if changed:
            offsets = [TopicPartition(self._topic, p, *what) for p, what in changed.items()]
            for answer in self._consumer.commit(offsets=offsets, asynchronous=False):
                if answer.error is not None:
                    raise KafkaException(answer.error)
            self._committed.update(changed)

    def _learn(self) -> None:
        asked = [TopicPartition(self._topic, p) for p in self._others]
        for answer in self._consumer.committed(asked, timeout=self.timeout_s):
            # Another program may have committed to this group with words of its own.
            text = answer.metadata or ""
            if answer.error is None and text.isascii() and text.isdigit() and len(text) < 20:
                self._pacing.learn(answer.partition, int(text))

    def _interval(self) -> float:
        if not self._others or not self._owned:  # a topic may have fewer partitions than workers
            return self.exchange_s
        then, before = self._reach
        now, reach = time.monotonic(), max(self._pacing.newest(p) or 0 for p in self._owned)
        self._reach = (now, reach)
        fast = (reach - before) * 10 > self._pacing.max_skew_ns * (now - then)
        return self.hurry_s if fast or self._pacing.waiting() else self.exchange_s

    def _recount(self) -> None:
        """Look at the topic; what is wrong twice in a row is no hiccup."""
        try:
            found = describe(self._cluster, self._admin, self._topic, self.timeout_s)
        except Misuse as error:  # it does not answer now
            LOG.info("group %s: %s", self._group, error)
            return
        failure = self._judge(found)
        if failure is not None and self._suspected:
            self._failure = failure
        self._suspected = failure is not None

    def _judge(self, found: tuple[str, int] | None) -> Broken | None:
        if found is None:
            return TopicReplaced(self._topic, "was deleted")
        identity, count = found
        if self._identity and identity != self._identity:
            return TopicReplaced(self._topic, "was deleted and made anew")
        if count != self._partitions:
            return PartitionsChanged(self._topic, self._partitions, count)
        return None


class Stalls:
    """Names the partitions that hold others back and have nothing new themselves."""

    def __init__(self, topic: str, pacing: Pacing) -> None:
        self._topic = topic
        self._pacing = pacing
        self._stalled: set[int] = set()
        self._seen: dict[int, int | None] = {}

    def look(self) -> None:
        """Compare with the look before: a partition that did not move is stalled."""
        holding = {p: self._pacing.newest(p) for p in self._pacing.holding()}
        stalled = {p for p, newest in holding.items() if self._seen.get(p, -1) == newest}
        self._seen = holding
        for p in sorted(stalled ^ self._stalled):
            STALLED.labels(self._topic, str(p)).set(p in stalled)
            if p in stalled:
                LOG.warning(
                    "%s[%d] holds the other partitions back: nothing new in it, not even a "
                    "heartbeat (headrace heartbeat %s)",
                    self._topic,
                    p,
                    self._topic,
                )
            else:
                LOG.info("%s[%d] holds nobody back any more", self._topic, p)
        self._stalled = stalled
