"""Reads the channel of one endpoint after its position, over switches of generations."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from connectors.redis.keys import Keys
from connectors.web.frames import START, Place, Position
from connectors.web.hub import LOOK_S
from connectors.web.mirror import FeedEntry
from connectors.web.notify.changes import Changes
from connectors.web.notify.delivery import Deliveries
from connectors.web.notify.endpoint import Endpoint
from connectors.web.tail import RETRY_S, Tail
from state.metrics import FEED_NOTIFY_FAILED

LOG = logging.getLogger("headrace.feed")
BACK = 10_000
"""Entries in front of the position that tell, after a restart, what was known."""
SHORT_S = 0.01
"""To read what is there; 0 would be for ever."""


class Following:
    """The reader of one endpoint. Redis's own errors pass through; then it goes on as it was."""

    def __init__(self, endpoint: Endpoint, tail: Tail, deliveries: Deliveries) -> None:
        self._endpoint = endpoint
        self._output = endpoint.channel.source.output
        self._keyed = endpoint.channel.keyed()
        self._tail = tail
        self._deliveries = deliveries
        self._keys: Keys | None = None
        self._place: Place = START
        self._kept: Position | None = None
        self._seen: set[str] = set()
        channel, fields = endpoint.channel, endpoint.changes
        self._changes = Changes(channel, fields) if fields else None

    async def read(self) -> None:
        """Take in what follows; wait for it up to LOOK_S."""
        if self._keys is None:
            self._keys = await self._begin()
        generation = await self._tail.generation(self._output.system)
        if generation == self._keys.generation:
            self._take(await self._next(self._keys))
        elif len(self._deliveries) == 0:
            await self._switch(self._keys, generation)
        else:
            # Places of two generations cannot be compared: what was read is finished first.
            await asyncio.sleep(RETRY_S)

    async def keep(self) -> None:
        """Write down how far all is done, where that has changed."""
        if self._keys is None:
            return
        now = self._keys.generation, self._deliveries.position(self._place)
        if now != self._kept:
            await self._tail.keep_notified(self._output, self._endpoint.name, now)
            self._kept = now

    async def _begin(self) -> Keys:
        """Return the keys of where we were; a new endpoint begins with what is yet to come."""
        system = self._output.system
        position = await self._tail.notified(self._output, self._endpoint.name)
        if position is None:
            keys = Keys(system, await self._tail.generation(system))
            loaded = await self._tail.load(keys, self._output.name)
            self._place = loaded.last
            self._know(loaded.latest)
            return keys
        self._kept = position
        generation, self._place = position
        keys = Keys(system, generation)
        if self._changes is not None:
            self._know(await self._tail.before(keys, self._output.name, self._place, BACK))
        return keys

    def _know(self, values: Iterable[bytes]) -> None:
        """Take records of before the place for known: only what changes them is news."""
        if self._changes is not None:
            self._changes.begin(values)

    async def _next(self, keys: Keys) -> list[FeedEntry]:
        """Return what follows the place; the oldest there is where that was trimmed."""
        if self._place != START:
            found = await self._tail.after(keys, self._output.name, self._place)
            if found:
                return found
            if found is None:
                name = self._endpoint.name
                LOG.warning("endpoint %s: Redis no longer holds all that it has to get", name)
                FEED_NOTIFY_FAILED.labels(name, "trimmed").inc()
                self._place = START
        stream = keys.stream(self._output.name)
        return (await self._tail.read({stream: self._place}, LOOK_S)).get(stream, [])

    def _take(self, entries: list[FeedEntry]) -> None:
        now_s, unix_s = time.monotonic(), time.time()
        for entry in entries:
            before, self._place = self._place, entry.place
            record = orjson.loads(entry.value)
            if record["id"] in self._seen:
                self._seen.discard(record["id"])
                continue
            was = self._news(record, retracted=entry.retracted)
            if was is not None:
                age_s = max(unix_s - entry.place[0] / 1000, 0.0)
                self._deliveries.add(record["id"], entry.value, before, age_s, now_s, was)

    def _news(self, record: dict[str, Any], *, retracted: bool) -> Mapping[str, Any] | None:
        """Return what a record changes, as it was; None where it is not to be sent."""
        source = self._endpoint.channel.source
        if retracted:  # what it was filtered by besides its key is not known any more
            known = self._changes is None or self._changes.leave(record["key"])
            return {} if known and self._keyed.takes(source.key_values(record["key"])) else None
        if self._changes is not None:
            return self._changes.of(record)
        return {} if self._endpoint.channel.takes(source.values(record)) else None

    async def _switch(self, old: Keys, generation: int) -> None:
        """Go on with a new generation, without what the old one has given already."""
        seen: set[str] = set()
        stream, place = old.stream(self._output.name), START
        while place < self._place:
            page = (await self._tail.read({stream: place}, SHORT_S)).get(stream)
            if not page:
                break  # it has been deleted: some records come twice then
            seen.update(orjson.loads(e.value)["id"] for e in page if e.place <= self._place)
            place = page[-1].place
        self._seen, self._place = seen, START
        self._keys = Keys(old.system, generation)
