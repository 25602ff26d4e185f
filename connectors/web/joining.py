"""How a subscription begins: with what is, or from where the client was."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from connectors.redis.keys import Keys
from connectors.web.channels import Values
from connectors.web.frames import Place, Record
from connectors.web.groups import Client, Subscription, System
from connectors.web.mirror import FeedEntry
from connectors.web.tail import DOWN, Tail
from state.metrics import FEED_RESUMED

AGAIN_S = 0.025
"""How long who catches up waits for the others, for its client or for Redis."""
READERS = 4
"""Pages of older records that are read at once: each takes the loop some milliseconds."""


class Joining:
    """Lets subscriptions begin; ``under_way`` are those that read from Redis what they missed."""

    def __init__(self, tail: Tail, systems: Mapping[str, System]) -> None:
        self.under_way: dict[Subscription, asyncio.Task[None]] = {}
        self._tail = tail
        self._systems = systems
        self._reading = asyncio.Semaphore(READERS)

    def begin(self, subscription: Subscription) -> None:
        """Go on after the position that the client names, or give it a snapshot."""
        group, after = subscription.group, subscription.after
        if after is None:
            _accept(subscription)
            group.snapshot(subscription, {})
        elif group.channel.source.private and group.access.rows:
            # What was taken back from these rows since is not for its eyes, nor in the audit.
            self.reset(subscription, "limited")
        elif after[0] != group.mirror.generation:
            self.reset(subscription, "generation")
        else:
            self._resume(subscription, after[1])

    def stop(self, subscription: Subscription) -> bool:
        """Read for it no more; return whether that was under way."""
        task = self.under_way.pop(subscription, None)
        if task is not None:
            task.cancel()
        return task is not None

    def close(self) -> None:
        """Read for nobody any more."""
        for subscription in list(self.under_way):
            self.stop(subscription)

    def reset(
        self, subscription: Subscription, reason: str, made: dict[str, list[bytes]] | None = None
    ) -> None:
        """Tell that continuity is broken, and begin again; ``made`` as in `Group.snapshot`."""
        group = subscription.group
        FEED_RESUMED.labels("reset").inc()
        _accept(subscription)
        subscription.session.send({"type": "reset", "channel": group.name, "reason": reason})
        group.snapshot(subscription, {} if made is None else made)

    def _resume(self, subscription: Subscription, place: Place) -> None:
        group = subscription.group
        found = group.mirror.since(place)
        if found is None:
            task = asyncio.create_task(self._catch_up(subscription, place))
            self.under_way[subscription] = task
        else:
            self._go_on(subscription, found)

    def _go_on(self, subscription: Subscription, found: Sequence[Record]) -> None:
        """Go on from memory with what was missed, or begin again where that is not certain."""
        group = subscription.group
        if not group.certain(found):
            self.reset(subscription, "trimmed")
            return
        _accept(subscription, resumed="memory")
        group.older(subscription, found, group.mirror.place)
        subscription.begun = True

    async def _catch_up(self, subscription: Subscription, place: Place) -> None:
        """Read from Redis what memory no longer holds, page by page, then go on from memory."""
        group, session = subscription.group, subscription.session
        mirror = group.mirror
        keys = self._systems[mirror.source.output.system].keys
        ahead = False
        known: dict[str, Values] = {}
        while (found := mirror.since(place)) is None:
            if ahead and place > mirror.place:
                # Who went on reading here would stay ahead, and never join the others.
                await asyncio.sleep(AGAIN_S)
                continue
            page = await self._page(session, keys, mirror.source.output.name, place)
            if self.under_way.get(subscription) is not asyncio.current_task():
                return  # nobody waits for it; the library swallows a cancellation at times
            if page is None:
                self.reset(subscription, "redis-lost" if place > mirror.place else "trimmed")
                break
            if not page:
                await asyncio.sleep(AGAIN_S)  # Redis is down, or ahead of what we have read
                continue
            place, ahead = page[-1].place, True
            older = mirror.older(page, known)
            if not group.certain(older):
                self.reset(subscription, "trimmed")
                break
            _accept(subscription, resumed="redis")
            group.older(subscription, older, place)
            session.flush()
            while session.blocked:
                await asyncio.sleep(AGAIN_S)
        else:
            self._go_on(subscription, found)
        self.under_way.pop(subscription, None)
        session.flush()

    async def _page(
        self, session: Client, keys: Keys, output: str, place: Place
    ) -> list[FeedEntry] | None:
        """Return what follows in Redis, None where it no longer holds ``place``."""
        try:
            # One page of a client at a time: who resumes many channels waits, not the others.
            async with session.reading, self._reading:
                return await self._tail.after(keys, output, place)
        except DOWN:
            return []


def _accept(subscription: Subscription, resumed: str = "") -> None:
    """Tell that a subscription begins; ``resumed`` says by what it goes on."""
    group = subscription.group
    if subscription.accepted:
        return
    subscription.accepted = True
    if resumed:
        FEED_RESUMED.labels(resumed).inc()
    glass = {} if subscription.until_s is None else {"break_glass": True}
    subscription.session.send(
        {
            "type": "subscribed",
            "channel": group.name,
            "asked": subscription.asked,
            "policy": group.channel.source.policy,
            "resumed": bool(resumed),
            **glass,
        }
    )
