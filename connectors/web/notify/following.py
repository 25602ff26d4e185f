"""Reads the channel of one endpoint after its position, over switches of generations."""

from __future__ import annotations

import asyncio
import logging
import time

import orjson

from connectors.redis.keys import Keys
from connectors.web.frames import START, Place, Position
from connectors.web.hub import LOOK_S
from connectors.web.mirror import Entry
from connectors.web.notify.delivery import Deliveries
from connectors.web.notify.endpoint import Endpoint
from connectors.web.tail import RETRY_S, Tail
from state.metrics import FEED_NOTIFY_FAILED

LOG = logging.getLogger("headrace.feed")
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
            self._place = (await self._tail.look(keys, [self._output.name])).last[self._output.name]
            return keys
        self._kept = position
        generation, self._place = position
        return Keys(system, generation)

    async def _next(self, keys: Keys) -> list[Entry]:
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

    def _take(self, entries: list[Entry]) -> None:
        now_s, unix_s = time.monotonic(), time.time()
        source = self._endpoint.channel.source
        for entry in entries:
            before, self._place = self._place, entry.place
            record = orjson.loads(entry.value)
            if record["id"] in self._seen:
                self._seen.discard(record["id"])
                continue
            if entry.retracted:  # what it was filtered by besides its key is not known any more
                taken = self._keyed.takes(source.key_values(record["key"]))
            else:
                taken = self._endpoint.channel.takes(source.values(record))
            if taken:
                age_s = max(unix_s - entry.place[0] / 1000, 0.0)
                self._deliveries.add(record["id"], entry.value, before, age_s, now_s)

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
