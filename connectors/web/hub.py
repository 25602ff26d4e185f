"""Tails the streams once for all clients, and gives each channel's records to its clients."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial

from connectors.redis.keys import Keys
from connectors.web import frames
from connectors.web.channels import Channel, Source, Sources, Value, sources_of
from connectors.web.frames import SUBPROTOCOLS, Record
from connectors.web.groups import Client, Group, Subscription, System
from connectors.web.joining import Joining
from connectors.web.mirror import ContinuityLost, FeedEntry, Mirror, OpenedMirror
from connectors.web.tail import DOWN, RETRY_S, Tail
from connectors.web.tokens import UNSEAL, Access
from state.metrics import FEED_SOURCE
from state.outputs import Output
from state.sealing import Seal

LOG = logging.getLogger("headrace.feed")
LOOK_S = 1.0
"""How often it is seen whether a generation was switched or Redis has lost something."""
TOLD = 256
"""Channels that are told their position without a pause."""

_Rows = tuple[tuple[str, frozenset[str]], ...]


class Hub:
    """All mirrors, groups and sessions of the feed; `run` keeps them up to date."""

    def __init__(
        self,
        tail: Tail,
        outputs: Sequence[Output],
        heartbeat_s: float,
        seal: Seal | None = None,
    ) -> None:
        """``outputs`` are those that can be subscribed to.

        With a ``seal``, clients that may unseal get the secret ones in clear.
        """
        self.sources = sources_of(outputs)
        self._opened = {
            name: source.opened()
            for name, source in self.sources.items()
            if seal and source.private
        }
        self.sessions: set[Client] = set()
        self.dirty: set[Client] = set()
        self._tail = tail
        self._heartbeat_s = heartbeat_s
        mirrors = [Mirror(source) for source in self.sources.values()]
        mirrors += [OpenedMirror(source, seal) for source in self._opened.values() if seal]
        self._mirrors = {each.source: each for each in mirrors}
        names = dict.fromkeys(source.output.system for source in self.sources.values())
        self._systems = {name: System(name, mirrors) for name in names}
        self._groups: dict[tuple[Source, str, _Rows], Group] = {}
        self._routes: dict[Source, dict[Value | None, set[Group]]] = defaultdict(dict)
        self._joining = Joining(tail, self._systems)
        self._ok = False
        self._stopping = False
        self._heard_s = time.monotonic()
        self._looked_s = 0.0

    def sources_for(self, access: Access | None) -> Sources:
        """Return what can be subscribed to, secret outputs in clear for those who may unseal."""
        if access is None or not access.may(UNSEAL):
            return self.sources
        return {**self.sources, **self._opened}

    def held(self, channel: Channel, access: Access) -> list[Record]:
        """Return what a channel holds now for who has this access."""
        return self._mirrors[channel.source].snapshot(
            channel, lambda r: channel.takes(r.values) and access.admits(r.values)
        )

    def once_loaded(self, channel: Channel, then: Callable[[], None]) -> None:
        """Call ``then`` once it is known what a channel holds: now, where Redis was heard."""
        mirror = self._mirrors[channel.source]
        if mirror.lost:
            mirror.waiting.append(then)
        else:
            then()

    def group(self, channel: Channel, access: Access) -> Group:
        """Return the group of a channel under an access's rows; made where there is none."""
        key = channel.source, str(channel), _rows(access)
        if key not in self._groups:
            made = self._groups[key] = Group(channel, access, self._mirrors[channel.source])
            routes = self._routes[channel.source]
            for value in made.routes():
                routes.setdefault(value, set()).add(made)
        return self._groups[key]

    def join(self, subscription: Subscription) -> None:
        """Let a subscription begin: at once, or as soon as Redis has been heard."""
        group = subscription.group
        group.members[subscription.session.encoding].add(subscription)
        if not group.mirror.lost:
            self._joining.begin(subscription)

    def leave(self, subscription: Subscription) -> None:
        """Forget a subscription, and its group where nobody is left."""
        group = subscription.group
        group.members[subscription.session.encoding].discard(subscription)
        self._joining.stop(subscription)
        if not any(group.members.values()):
            source = group.channel.source
            if self._groups.pop((source, group.name, _rows(group.access)), None) is not None:
                routes = self._routes[source]
                for value in group.routes():
                    routes[value].remove(group)
                    if not routes[value]:
                        del routes[value]

    async def run(self) -> None:
        """Follow Redis until stopped; where it is down, tell so and try again."""
        beats = asyncio.create_task(self._beat())
        try:
            while not self._stopping:
                try:
                    await self._step()
                except DOWN as error:
                    self._heard(ok=False, why=type(error).__name__)
                    await asyncio.sleep(RETRY_S)
        finally:
            beats.cancel()
            self._joining.close()

    def stop(self) -> None:
        """Let `run` end, within LOOK_S: to cancel is not enough, the library may swallow it."""
        self._stopping = True

    async def _step(self) -> None:
        if not self._ok or time.monotonic() - self._looked_s >= LOOK_S:
            for system in self._systems.values():
                await self._look(system)
            self._looked_s = time.monotonic()
            self._heard(ok=True)
        streams: dict[str, list[Mirror]] = {}
        for system in self._systems.values():
            for mirror in system.mirrors:
                stream = system.keys.stream(mirror.source.output.name)
                streams.setdefault(stream, []).append(mirror)
        places = {stream: min(m.place for m in mirrors) for stream, mirrors in streams.items()}
        found = await self._tail.read(places, LOOK_S)
        self._heard(ok=True)
        for stream, entries in found.items():
            for mirror in streams[stream]:
                await self._take(mirror, entries)
        self._flush()

    async def _look(self, system: System) -> None:
        """Load what is new to us: at the start, after a switch, or where Redis lost something."""
        keys, reason = system.keys, ""
        if not keys.generation:
            keys = Keys(system.name, await self._tail.generation(system.name))
        look = await self._tail.look(keys, system.outputs)
        if look.generation != keys.generation:
            keys, reason = Keys(system.name, look.generation), "generation"
            look = await self._tail.look(keys, system.outputs)
        elif system.lineage is not None and look.lineage != system.lineage:
            reason = "redis-lost"
        system.keys, system.lineage = keys, look.lineage
        # All are marked before the first is loaded, for Redis may fail in between.
        for mirror in system.mirrors:
            if not mirror.lost:
                last = look.last[mirror.source.output.name]
                mirror.lost = reason or ("redis-lost" if last < mirror.place else "")
        for mirror in system.mirrors:
            if mirror.lost:
                await self._load(system, mirror)

    async def _load(self, system: System, mirror: Mirror) -> None:
        loaded = await self._tail.load(system.keys, mirror.source.output.name)
        reason = mirror.lost
        mirror.load(system.keys.generation, loaded)
        waiting, mirror.waiting = mirror.waiting, []
        for then in waiting:
            then()
        for group in self._groups_of(mirror):
            made: dict[str, list[bytes]] = {}
            for subscription in [s for members in group.members.values() for s in members]:
                if self._joining.stop(subscription) or subscription.begun:
                    self._reset(subscription, reason, made)
                elif not subscription.rereads:
                    self._joining.begin(subscription)
        self._flush()

    def _reset(self, subscription: Subscription, reason: str, made: dict[str, list[bytes]]) -> None:
        """Begin again; of a secret output once that is audited, as the first read was."""
        channel = subscription.group.channel
        if not channel.source.private:
            self._joining.reset(subscription, reason, made)
            return
        subscription.begun, subscription.rereads = False, True
        again = partial(self._begin_again, subscription, reason)
        subscription.session.reread(subscription, partial(self.once_loaded, channel, again))

    def _begin_again(self, subscription: Subscription, reason: str) -> None:
        group, session = subscription.group, subscription.session
        subscription.rereads = False
        if subscription in group.members[session.encoding]:  # else it has left meanwhile
            self._joining.reset(subscription, reason)
            session.flush()

    async def _take(self, mirror: Mirror, entries: Sequence[FeedEntry]) -> None:
        found: dict[Group, list[Record]] = {}
        routes = self._routes[mirror.source]
        first = mirror.source.fields[0]
        try:
            for entry in entries:
                if entry.place <= mirror.place:
                    continue  # another mirror of the stream is behind this one
                record = mirror.add(entry)
                if record is None:
                    continue
                before = record.before or record.values  # it may leave a group of another value
                for value in {record.values.get(first), before.get(first), None}:
                    for group in routes.get(value, ()):
                        given = group.gives(record)
                        if given is not None:
                            found.setdefault(group, []).append(given)
        except ContinuityLost as error:
            mirror.lost = str(error)
        for group, records in found.items():
            group.publish(records)
        if mirror.lost:
            await self._load(self._systems[mirror.source.output.system], mirror)

    def _groups_of(self, mirror: Mirror) -> list[Group]:
        return [group for group in self._groups.values() if group.mirror is mirror]

    def _flush(self) -> None:
        dirty, self.dirty = self.dirty, set()
        for session in dirty:
            session.flush()

    def _heard(self, *, ok: bool, why: str = "") -> None:
        changed, self._ok = self._ok != ok, ok
        FEED_SOURCE.labels("redis").set(ok)
        if ok:
            self._heard_s = time.monotonic()
        if changed:
            LOG.log(
                logging.INFO if ok else logging.WARNING,
                "Redis answers" if ok else f"Redis does not answer ({why})",
            )
            self._tell()

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._heartbeat_s)
            self._tell()
            await self._tell_positions()

    async def _tell_positions(self) -> None:
        """Tell who has heard nothing how far its channel is: its last position may be trimmed."""
        for number, group in enumerate(list(self._groups.values()), 1):
            if group.told != group.mirror.place:
                group.publish(())
            if number % TOLD == 0:
                self._flush()
                await asyncio.sleep(0)
        self._flush()

    def _tell(self) -> None:
        """Send everybody a heartbeat."""
        now_s, unix_ns = time.monotonic(), time.time_ns()
        age_ms = round((now_s - self._heard_s) * 1000)
        content = {
            "type": "heartbeat",
            "ts_ns": unix_ns,
            "sources": {"redis": {"ok": self._ok, "age_ms": age_ms}},
        }
        made = {encoding: frames.message(encoding, content) for encoding in SUBPROTOCOLS}
        for session in list(self.sessions):
            session.heartbeat(made[session.encoding], now_s, unix_ns / 1e9)
        self._flush()


def _rows(access: Access) -> _Rows:
    return tuple(sorted(access.rows.items()))
