"""The dead letters of the systems as the feed tells them."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, cast

from confluent_kafka import Message

from connectors.kafka.client import Cluster
from connectors.kafka.follower import Follower
from connectors.kafka.topics import Seen, partition_count
from connectors.web.rest.parts import Listed
from flows.dead import Letter, content, opened, parse, send_again, to_send
from flows.engine.systems import output_topic
from state.errors import Broken
from state.outputs import DEAD
from state.sealing import Seal

LOG = logging.getLogger("headrace.feed")

NEWEST = 10_000
"""Letters of a topic whose facts are kept."""


class Letters:
    """Follows the dead-letter topics that were asked for; threads may share it."""

    def __init__(self, cluster: Cluster, seal: Seal | None = None, newest: int = NEWEST) -> None:
        """``seal`` opens letters that are sealed."""
        self._cluster = cluster
        self._seal = seal
        self._newest = newest
        self._lock = threading.Lock()
        self._topics: dict[str, _Topic] = {}

    def listed(self, system: str) -> Listed | None:
        """Return the facts of the newest letters, oldest first; None for no such topic."""
        topic = self._topic(system)
        return None if topic is None else topic.listed()

    def shown(
        self, system: str, coordinates: str, *, unseal: bool = False
    ) -> dict[str, Any] | None:
        """Return the facts, key and value of a letter; None where none of the newest is it.

        A sealed one has no key and no value unless ``unseal``. Raises CannotUnseal.
        """
        letter = self._letter(system, coordinates)
        if letter is None:
            return None
        facts = letter.facts()
        return facts | content(opened(letter, system, self._seal) if unseal else letter)

    def retry(self, system: str, coordinates: str) -> bool | None:
        """Send a letter again; False where its value was left out, None as `shown`.

        Raises CannotUnseal where it is sealed and cannot be opened here.
        """
        letter = self._letter(system, coordinates)
        if letter is None or letter.value is None:
            return None if letter is None else False
        return send_again(self._cluster, [to_send(letter, system, self._seal)]) == 1

    def close(self) -> None:
        """Close the consumers."""
        for topic in self._topics.values():
            topic.close()

    def _letter(self, system: str, coordinates: str) -> Letter | None:
        topic = self._topic(system)
        return None if topic is None else topic.letter(coordinates)

    def _topic(self, system: str) -> _Topic | None:
        """Return the topic of a system; a name that never was one leaves nothing behind."""
        name = output_topic(system, DEAD)
        if name not in self._topics and not partition_count(self._cluster, name):
            return None
        with self._lock:
            if name not in self._topics:
                self._topics[name] = _Topic(self._cluster, name, self._newest)
            return self._topics[name]


class _Kept(NamedTuple):
    partition: int
    offset: int
    facts: dict[str, Any]


class _Topic:
    """The facts of the newest letters of one topic.

    The topic is at-least-once, so letters with the same coordinates are the same letter; it is
    kept where it was written last, which retention reaches last.
    """

    def __init__(self, cluster: Cluster, topic: str, newest: int) -> None:
        self._newest = newest
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._left_out: dict[int, int] = {}  # partition -> behind the last that had no room
        self._follower = Follower(cluster, topic, self._take, self._restart, newest)

    def listed(self) -> Listed | None:
        with self._caught_up() as seen:
            if seen is None:
                return None
            letters = [kept.facts for kept in self._kept.values()]
            complete = all(
                max(self._follower.since[p], self._left_out.get(p, 0)) <= low
                for p, (low, _) in seen.marks.items()
            )
        return Listed(sorted(letters, key=lambda facts: int(facts["timestamp_ns"])), complete)

    def letter(self, coordinates: str) -> Letter | None:
        with self._caught_up():
            kept = self._kept.get(coordinates)
            message = None if kept is None else self._follower.at(kept.partition, kept.offset)
        return None if message is None else parse(message)

    def close(self) -> None:
        self._follower.close()

    @contextmanager
    def _caught_up(self) -> Iterator[Seen | None]:
        """As the follower's; what the topic no longer holds is kept no longer."""
        with self._follower.caught_up() as seen:
            if seen is not None:
                for name, (partition, offset, _) in list(self._kept.items()):
                    if offset < seen.marks[partition][0]:
                        del self._kept[name]
            yield seen

    def _take(self, message: Message) -> None:
        try:
            letter = parse(message)
        except Broken as error:
            LOG.warning("%s", error)
            return
        name = str(letter.coordinates)
        place = cast(int, message.partition()), cast(int, message.offset())
        self._kept[name] = _Kept(*place, letter.facts())
        self._kept.move_to_end(name)
        if len(self._kept) > self._newest:
            _, (partition, offset, _) = self._kept.popitem(last=False)
            self._left_out[partition] = offset + 1

    def _restart(self) -> None:
        self._kept.clear()
        self._left_out.clear()
