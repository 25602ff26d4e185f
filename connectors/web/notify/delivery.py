"""What is to be sent to one endpoint, and when: no socket and no clock.

::

    closed --breaker_failures in a row--> open --breaker_s--> half-open --success--> closed
                                           ^                      |
                                           +------- failure ------+
    any --410 Gone--> gone

A pause between attempts is uniform between 0 and a bound that doubles: "full jitter"
(M. Brooker, "Exponential Backoff and Jitter", 2015). Times are seconds of any clock that
does not go back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from connectors.web.frames import Place
from connectors.web.limits import Bucket
from connectors.web.notify.endpoint import Policy

CLOSED, HALF_OPEN, OPEN, GONE = 0, 1, 2, 3
"""The states of a breaker, as the metric tells them; GONE is for good."""


MINUTE_S = 60.0


@dataclass(eq=False, slots=True)
class Delivery:
    """One record for one endpoint; ``before`` is the entry of the stream in front of it.

    ``was`` holds the fields that it changes as they were. It also stands for ``more`` records
    before it, which are left out.
    """

    id: str
    raw: bytes
    before: Place
    born_s: float
    due_s: float
    attempts: int = 0
    in_flight: bool = False
    was: Mapping[str, Any] = field(default_factory=dict)
    more: int = 0


class Deliveries:
    """The records of one endpoint that are not done, oldest first."""

    def __init__(self, policy: Policy, random: Random) -> None:
        self.state = CLOSED
        self._policy = policy
        self._random = random
        self._waiting: dict[Delivery, None] = {}
        self._in_flight = 0
        self._failures = 0
        self._open_until_s = 0.0
        a_minute = policy.per_minute
        self._budget = Bucket(a_minute / MINUTE_S, a_minute, 0.0) if a_minute else None
        self._last: Delivery | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def add(
        self,
        record_id: str,
        raw: bytes,
        before: Place,
        age_s: float,
        now_s: float,
        was: Mapping[str, Any] | None = None,
    ) -> None:
        """Take in the next record; beyond ``per_minute``, one a minute stands for all."""
        last = self._last
        if self._budget is None or self._budget.take(now_s):
            due_s = now_s
        elif last is not None and not last.attempts:
            last.id, last.raw, last.was, last.more = record_id, raw, was or {}, last.more + 1
            return
        else:
            due_s = now_s + MINUTE_S
        made = Delivery(record_id, raw, before, now_s - age_s, due_s, was=was or {})
        self._waiting[made] = None
        if due_s > now_s:
            self._last = made

    def position(self, read: Place) -> Place:
        """Return the place up to which all is done, where ``read`` is the last one read."""
        first = next(iter(self._waiting), None)
        return read if first is None else first.before

    def due(self, now_s: float) -> Delivery | None:
        """Return what to send now, which is in flight from then on; None where nothing is."""
        if self.state == OPEN and now_s >= self._open_until_s:
            self.state = HALF_OPEN
        if self._in_flight >= self._room():
            return None
        for delivery in self._waiting:
            if not delivery.in_flight and delivery.due_s <= now_s:
                delivery.in_flight = True
                delivery.attempts += 1
                self._in_flight += 1
                return delivery
        return None

    def wait_s(self, now_s: float) -> float | None:
        """Return how long nothing is due; None: until something is added or answered."""
        if self.state == GONE or (self.state != OPEN and self._in_flight >= self._room()):
            return None
        times = [delivery.due_s for delivery in self._waiting if not delivery.in_flight]
        if not times:
            return None
        until_s = max(min(times), self._open_until_s if self.state == OPEN else now_s)
        return max(until_s - now_s, 0.0)

    def exhausted(self, delivery: Delivery, now_s: float) -> bool:
        """Return whether a failed attempt was the last one."""
        policy = self._policy
        too_old = now_s - delivery.born_s >= policy.max_age_s
        return too_old or delivery.attempts >= policy.attempts

    def delivered(self, delivery: Delivery) -> None:
        """The endpoint has taken it."""
        self._landed(delivery)
        del self._waiting[delivery]
        self._failures = 0
        if self.state != GONE:
            self.state = CLOSED

    def gone(self, delivery: Delivery) -> None:
        """The endpoint wants nothing more: all that waits stays, and nothing is due."""
        self._landed(delivery)
        self.state = GONE

    def failed(self, delivery: Delivery, now_s: float, *, dead: bool, pause_s: float = 0.0) -> None:
        """The endpoint has not; ``pause_s`` is the least that it asks for.

        ``dead``: it is on the list of dead letters, and done.
        """
        self._landed(delivery)
        if dead:
            del self._waiting[delivery]
        else:
            policy = self._policy
            doubled = policy.backoff_s * 2.0 ** min(delivery.attempts - 1, 60)
            jitter_s = self._random.uniform(0.0, min(doubled, policy.max_backoff_s))
            delivery.due_s = now_s + max(jitter_s, min(pause_s, policy.max_backoff_s))
        self._failures += 1
        if self.state == HALF_OPEN or (
            self.state == CLOSED and self._failures >= self._policy.breaker_failures
        ):
            self.state = OPEN
            self._open_until_s = now_s + self._policy.breaker_s

    def _landed(self, delivery: Delivery) -> None:
        delivery.in_flight = False
        self._in_flight -= 1

    def _room(self) -> int:
        return {CLOSED: self._policy.in_flight, HALF_OPEN: 1}.get(self.state, 0)
