"""What became of the records that a replay has read: none may leave without a trace."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from prometheus_client import Counter

from state.errors import Broken
from state.metrics import DUPLICATES, HEARTBEATS, KEPT, LATE, RECORDS


@dataclass(frozen=True, slots=True)
class Account:
    """Records of one topic. Each that is no heartbeat was kept, a duplicate or late."""

    topic: str
    records: int
    heartbeats: int
    kept: int
    duplicates: int
    late: int

    def missing(self) -> int:
        """Return how many records have left without a trace, which is an error of ours."""
        return self.records - self.heartbeats - self.kept - self.duplicates - self.late

    def __sub__(self, before: Account) -> Self:
        """Return what came since ``before``."""
        return type(self)(
            self.topic,
            self.records - before.records,
            self.heartbeats - before.heartbeats,
            self.kept - before.kept,
            self.duplicates - before.duplicates,
            self.late - before.late,
        )


Accounts = dict[str, Account]
"""By topic."""


def accounts() -> Accounts:
    """Return the accounts of this process, of the topics whose records are kept."""
    counters = (RECORDS, HEARTBEATS, KEPT, DUPLICATES, LATE)
    totals = [dict(_totals(counter)) for counter in counters]
    return {
        topic: Account(topic, *(int(total.get(topic, 0)) for total in totals))
        for topic in totals[2]
    }


def since(before: Accounts) -> list[Account]:
    """Return the accounts of what came since ``before``, by topic.

    Raises Broken where a record is missing in them.
    """
    found = []
    for topic, now in sorted(accounts().items()):
        account = now - before.get(topic, Account(topic, 0, 0, 0, 0, 0))
        if missing := account.missing():
            raise Broken(f"{missing} records of {topic} have left without a trace: {account}")
        if account.records:
            found.append(account)
    return found


def _totals(counter: Counter) -> Iterator[tuple[str, float]]:
    for metric in counter.collect():
        for sample in metric.samples:
            if sample.name.endswith("_total"):
                yield sample.labels["topic"], sample.value
