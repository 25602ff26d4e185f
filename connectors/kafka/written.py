"""What the output topics hold already: read back at a start, so that no record is written twice.

A snapshot of the sink has a `Place` for each output topic: where its partitions ended at some
moment before that snapshot. What was written behind the snapshot, and what a restart would write
again, lies between there and the end. So a start reads that much before its first write, and skips
the counters that it finds there beyond the snapshot's own. Among which partitions they lie does
not matter.

A start without a snapshot takes the places that the generation's first start noted
(flows/engine/preparing.py). A topic without a place is not read back.
"""

from __future__ import annotations

import logging
from array import array
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from functools import partial
from typing import Any, TypeVar

import numpy as np
from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient

from connectors.kafka.client import Cluster
from connectors.kafka.spans import Spans, between
from connectors.kafka.topics import Seen, ask_ends, look, look_at_all
from state.errors import LostTopic, Misuse
from state.lifecycle import Lifecycle

LOG = logging.getLogger(__name__)

SINK = "kafka"
"""Names Kafka's sinks in metrics and in ``Lifecycle.waiting``."""
LOOK_S = 5.0
"""How often the ends of the topics are asked for: a start reads back this much, and an epoch."""
RETRY_S = 0.1
AGAIN_S = 1.0
"""What is wrong twice in so long is no hiccup."""
MISSING, ANEW = "is missing", "was deleted and made anew"
"""What may have happened to a topic."""
Answer = TypeVar("Answer")
_EXPIRED = (
    "%s[%d] no longer holds what lay from %d to %d, behind the snapshot: where that was of this "
    "flow it is written again"
)

Place = tuple[str, dict[int, int]]
"""(the topic's identity, {partition: offset}), as `topics.look` tells them."""
Marks = dict[str, int]
"""``topic/origin`` -> the counter of the last record of it that was acknowledged."""
Judge = Callable[[Message], tuple[str, int] | None]
"""Returns origin and counter of a message; None for one that is not to be skipped."""


class Counters:
    """The counters of one origin that a topic holds, asked for in ascending order."""

    def __init__(self, found: Iterable[int]) -> None:
        self._counters = array("q", np.unique(np.fromiter(found, np.int64)).tobytes())
        self._at = 0

    def has(self, counter: int) -> bool:
        """Say whether the topic holds this one."""
        while not self.passed() and self._counters[self._at] < counter:
            self._at += 1
        held = not self.passed() and self._counters[self._at] == counter
        self._at += held
        return held

    def passed(self) -> bool:
        """Say whether all of them have been asked for."""
        return self._at == len(self._counters)


class Written:
    """What the output topics hold of one run; the shards of a process share one.

    ``places`` are those of the generation's first start. Where Kafka is asked, a broker that is
    away is waited for. Raises LostTopic where a topic holds less than was acknowledged.
    """

    def __init__(
        self,
        cluster: Cluster,
        lifecycle: Lifecycle,
        judge: Judge,
        places: Mapping[str, Place],
    ) -> None:
        self._cluster = cluster
        self._lifecycle = lifecycle
        self._judge = judge
        self._places = dict(places)
        self._resumed: dict[str, Place] = {}
        self._ends: dict[str, Place] = {}
        """Later places, for when what lies before them has been passed."""
        self._held: dict[str, dict[str, Counters]] | None = None
        self._client: AdminClient | None = None
        self._answers: dict[TopicPartition, Future[Any]] = {}
        self._asked_at = 0.0

    def resume(self, places: Mapping[str, Place]) -> None:
        """Take the places of a shard's snapshot; of several snapshots the latest count.

        One that is older is of a shard that has had nothing to write since. Bytewax gives back all
        snapshots before the first record comes.
        """
        if not self._resumed:
            self._look(places)  # says at the start, not at the first record, what was deleted
        for topic, (identity, offsets) in places.items():
            _, before = self._resumed.get(topic, (identity, offsets))
            latest = {p: max(at, before.get(p, at)) for p, at in offsets.items()}
            self._resumed[topic] = (identity, latest)
        self._places |= self._resumed

    def held(self, topic: str) -> dict[str, Counters]:
        """Return the counters that a topic holds behind the snapshot, by origin.

        The first call reads all topics back. An origin whose counters are passed is to be deleted.
        """
        if self._held is None:
            self._held = self._read_back()
        if topic not in self._held:
            self._held[topic] = {}
            if seen := self._patiently(partial(look, self._cluster, self._admin(), topic)):
                self._places[topic] = self._ends[topic] = _end_of(seen)
        return self._held[topic]

    def places(self, now: float) -> dict[str, Place]:
        """Return the places for a snapshot, with which all that was sent is acknowledged.

        Kafka is asked for the ends now and then, by ``now`` (seconds); nothing waits for answers.
        """
        if self._held is not None:
            self._take_answers()
            if not self._answers and self._ends and now >= self._asked_at + LOOK_S:
                self._asked_at = now
                ends = {topic: list(offsets) for topic, (_, offsets) in self._ends.items()}
                self._answers = ask_ends(self._admin(), ends)
            passed = {topic: at for topic, at in self._ends.items() if not self._held[topic]}
            self._places |= passed
        return {topic: (identity, dict(at)) for topic, (identity, at) in self._places.items()}

    def _read_back(self) -> dict[str, dict[str, Counters]]:
        found: dict[str, dict[str, array[int]]] = {topic: {} for topic in self._places}
        spans = self._behind(self._places)
        while spans:
            ours = False
            for message in between(self._cluster, spans, self._idle):
                if (at := self._judge(message)) is not None:
                    origin, counter = at
                    ours = True
                    found[str(message.topic())].setdefault(origin, array("q")).append(counter)
            # A former writer's last messages may have come meanwhile. Those of other generations,
            # which go on all the time, are no reason to look again.
            spans = self._behind(self._ends) if ours else {}
        self._lifecycle.recovered(SINK)
        if total := sum(len(each) for origins in found.values() for each in origins.values()):
            LOG.info("%d records are in their topics already: they are not written again", total)
        return {
            topic: {origin: Counters(each) for origin, each in origins.items()}
            for topic, origins in found.items()
        }

    def _behind(self, places: Mapping[str, Place]) -> Spans:
        """Return what lies behind some places now; note the ends."""
        spans: Spans = {}
        for topic, seen in self._look(places).items():
            for p, (low, high) in seen.marks.items():
                begin = places[topic][1].get(p, low)  # a partition without one was added since
                if begin > high:
                    raise LostTopic(topic, f"has lost the end of partition {p}")
                if begin < low:
                    LOG.warning(_EXPIRED, topic, p, begin, low)
                if max(begin, low) < high:
                    spans[topic, p] = (max(begin, low), high)
            self._ends[topic] = _end_of(seen)
        return spans

    def _idle(self) -> None:
        """Say what is waited for, also in a drain; look whether a topic was deleted meanwhile."""
        self._lifecycle.waiting[SINK] = "the output topics are read back"
        self._look(self._ends)

    def _look(self, places: Mapping[str, Place]) -> dict[str, Seen]:
        """Return the topics of some places; raise LostTopic for one that is another or none."""
        seen = self._ask(places)
        if len(seen) < len(places):  # a broker that has just come may not know it yet
            self._lifecycle.wait(SINK, "Kafka does not know an output topic", AGAIN_S)
            seen = self._ask(places)
        for topic, (identity, _) in places.items():
            if topic not in seen:
                raise LostTopic(topic, MISSING)
            if seen[topic].identity != identity:
                raise LostTopic(topic, ANEW)
        return seen

    def _ask(self, places: Mapping[str, Place]) -> dict[str, Seen]:
        return self._patiently(lambda: look_at_all(self._cluster, self._admin(), places))

    def _patiently(self, ask: Callable[[], Answer]) -> Answer:
        """Return an answer of Kafka; wait for a broker that is away."""
        while True:
            try:
                answer = ask()
            except Misuse as error:
                self._lifecycle.wait(SINK, str(error), RETRY_S)
            else:
                self._lifecycle.recovered(SINK)
                return answer

    def _admin(self) -> AdminClient:
        if self._client is None:
            self._client = self._cluster.admin()
        return self._client

    def _take_answers(self) -> None:
        if not all(future.done() for future in self._answers.values()):
            return
        answers, self._answers = self._answers, {}
        for at, future in answers.items():
            end, offsets = self._answered(at.topic, future), self._ends[at.topic][1]
            if end is not None and end < offsets[at.partition]:
                raise LostTopic(at.topic, ANEW)
            if end is not None:
                offsets[at.partition] = end

    def _answered(self, topic: str, future: Future[Any]) -> int | None:
        """Return an end, None where Kafka did not tell it now. Raises LostTopic."""
        try:
            offset = int(future.result().offset)
        except KafkaException as error:
            if error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                self._look({topic: self._ends[topic]})
            return None
        return offset if offset >= 0 else None  # a partition without a leader


def _end_of(seen: Seen) -> Place:
    return seen.identity, {p: high for p, (_, high) in seen.marks.items()}
