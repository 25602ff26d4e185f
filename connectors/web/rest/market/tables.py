"""What the events of a topic say now."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from confluent_kafka import Message

from connectors.json import parse_json
from connectors.kafka.client import Cluster
from connectors.kafka.follower import Follower
from connectors.market.events import event_of
from state.errors import BadRecord

Key = Callable[[dict[str, Any]], tuple[str, ...]]


class EventTable:
    """The last event of each key in a topic of events; threads may share it.

    ``key`` names an event's row; an event for which ``ends`` is true takes the row away. What
    does not decode is passed over: the flow makes dead letters of it.
    """

    def __init__(
        self,
        cluster: Cluster,
        topic: str,
        kind: str,
        key: Key,
        ends: Callable[[dict[str, Any]], bool],
    ) -> None:
        self.topic = topic
        self._kind, self._key, self._ends = kind, key, ends
        self._rows: dict[tuple[str, ...], dict[str, Any]] = {}
        self._follower = Follower(cluster, topic, self._take, self._rows.clear)

    def records(self) -> list[dict[str, Any]] | None:
        """Return the events in force, by key; None where the topic is missing.

        Blocks. Raises Misuse or Broken where Kafka does not answer.
        """
        with self._follower.caught_up() as seen:
            return None if seen is None else [self._rows[key] for key in sorted(self._rows)]

    def close(self) -> None:
        """Close the consumer."""
        self._follower.close()

    def _take(self, message: Message) -> None:
        value = message.value()
        if not value:
            return  # a heartbeat
        try:
            event = event_of(parse_json(value if isinstance(value, bytes) else value.encode()))
        except BadRecord:
            return
        if event["type"] != self._kind:
            return
        if self._ends(event):
            self._rows.pop(self._key(event), None)
        else:
            self._rows[self._key(event)] = event


def portfolios(cluster: Cluster) -> EventTable:
    """Return the portfolios of weights that have not ended."""
    return EventTable(
        cluster,
        "market.portfolios",
        "portfolio",
        lambda event: (event["portfolio"],),
        lambda event: not event["weights"],
    )


def positions(cluster: Cluster) -> EventTable:
    """Return what portfolios hold of each symbol, where it is not nothing."""
    return EventTable(
        cluster,
        "market.positions",
        "position",
        lambda event: (event["portfolio"], event["symbol"]),
        lambda event: event["quantity"] == 0,
    )


def cash(cluster: Cluster) -> EventTable:
    """Return the cash that portfolios were last told to hold beside their positions."""
    return EventTable(
        cluster,
        "market.positions",
        "cash",
        lambda event: (event["portfolio"],),
        lambda event: False,
    )
