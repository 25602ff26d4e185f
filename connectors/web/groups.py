"""Who gets the same bytes, and what the feed knows of one system."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from connectors.redis.keys import Keys
from connectors.web import frames
from connectors.web.channels import Channel
from connectors.web.frames import SUBPROTOCOLS, Place, Position, Record
from connectors.web.mirror import Mirror
from connectors.web.tokens import Access

CHUNK = 500
"""Records of one frame of a snapshot."""


class Client(Protocol):
    """What groups and the hub ask of a client; `connectors.web.session.Session` is one."""

    encoding: str
    reading: asyncio.Lock
    """Held while a page of older records is read for it."""

    @property
    def blocked(self) -> bool:
        """Return whether nothing can be sent at the moment."""

    def send(self, content: dict[str, Any]) -> None:
        """Send a message of this client's own."""

    def write_asked(self, frame: bytes) -> None:
        """Put a frame that the client asked for: it may be larger than its queue."""

    def deliver(self, subscription: Subscription, found: Sequence[Record], frame: bytes) -> None:
        """Give records of a channel, for which ``frame`` was made, by the channel's policy."""

    def flush(self) -> None:
        """Send what waits."""

    def reread(self, subscription: Subscription, then: Callable[[], None]) -> None:
        """Audit that it reads again what a secret output's channel holds; ``then`` gives it that.

        Where the audit cannot be written, the subscription ends.
        """

    def heartbeat(self, frame: bytes, now_s: float, unix_s: float) -> None:
        """Tell that we are there."""


class Subscription:
    """A channel as one client has it. ``begun`` once it has its snapshot or was resumed.

    ``rereads``: it begins again as soon as that is audited.
    ``until_s``: when it ends (monotonic clock), where it is a break-glass read; else None.
    """

    __slots__ = (
        "accepted", "after", "asked", "begun", "group", "pending", "rereads", "session", "until_s",
    )  # fmt: skip

    def __init__(
        self,
        session: Client,
        group: Group,
        asked: str,
        after: Position | None,
        until_s: float | None = None,
    ) -> None:
        self.session = session
        self.group = group
        self.after = after
        self.asked = asked
        self.until_s = until_s
        self.accepted = False
        self.begun = False
        self.rereads = False
        self.pending: dict[str, Record] = {}


class Group:
    """The clients that get the same bytes: one channel under the same row filters.

    ``access`` is that of any of them: it is asked for its rows alone.
    """

    def __init__(self, channel: Channel, access: Access, mirror: Mirror) -> None:
        self.channel = channel
        self.name = str(channel)
        self.access = access
        self.mirror = mirror
        self.told = mirror.place
        self._keyed = channel.keyed()
        limits = set(access.rows) & set(channel.source.fields)
        self._limited = not limits <= channel.source.key_fields
        self._sheds = bool(channel.source.key) and (self._keyed != channel or self._limited)
        self.members: dict[str, set[Subscription]] = {name: set() for name in SUBPROTOCOLS}

    def holds(self, record: Record) -> bool:
        """Return whether a record is of the channel and may be seen."""
        return self.channel.takes(record.values) and self.access.admits(record.values)

    def gives(self, record: Record) -> Record | None:
        """Return what these clients get of a record; None where it is not for them.

        That is the record where they hold it, and what takes the key away where they held the one
        before: the record itself, or a retraction where its content is no longer for their eyes.
        """
        if not record.retracted and self.channel.takes(record.values):
            if self.access.admits(record.values):
                return record
        elif not (self._sheds or record.retracted):
            return None
        return self._leaving(record)

    def _leaving(self, record: Record) -> Record | None:
        """Return what takes a key away from clients that hold it, None from others."""
        before, admits = record.before, self.access.admits
        if before is None:  # unknown: it is told rather too often
            return record if self._keyed.takes(record.values) and admits(record.values) else None
        if not (self.channel.takes(before) and admits(before)):
            return None
        if record.retracted or admits(record.values):
            return record
        return record.withdrawn(self.channel.source.output)

    def certain(self, found: Sequence[Record]) -> bool:
        """Return whether it is known of all these older records what they take away.

        It is not where rows are limited by a field that may change, and the record before the
        first of a key is unknown.
        """
        if not self.channel.source.key or not self._limited:
            return True
        return all(record.before is not None or self.holds(record) for record in found)

    def routes(self) -> list[str | None]:
        """Return the values of the source's first field that it asks for, or None for any."""
        wanted = dict(self.channel.filters).get(self.channel.source.fields[0])
        return [None] if wanted is None else [*sorted(wanted)]

    @property
    def position(self) -> str:
        """Return the position of the newest record considered."""
        return frames.position(self.mirror.generation, self.mirror.place)

    def publish(self, found: Sequence[Record]) -> None:
        """Give the members a delta; one without records tells them how far the channel is."""
        self.told = self.mirror.place
        for encoding, members in self.members.items():
            if members:
                frame = frames.records(encoding, "delta", self.name, self.position, found)
                for subscription in list(members):
                    subscription.session.deliver(subscription, found, frame)

    def snapshot(self, subscription: Subscription, frames_made: dict[str, list[bytes]]) -> None:
        """Begin with the current values.

        ``frames_made`` holds the frames by encoding, for others who begin at the same moment.
        """
        session = subscription.session
        if session.encoding not in frames_made:
            frames_made[session.encoding] = self._snapshot(session.encoding)
        for frame in frames_made[session.encoding]:
            session.write_asked(frame)
        subscription.pending.clear()
        subscription.begun = True

    def _snapshot(self, encoding: str) -> list[bytes]:
        found, at = self.mirror.snapshot(self.channel, self.holds), self.position
        made = []
        for start in range(0, max(len(found), 1), CHUNK):
            part, last = found[start : start + CHUNK], start + CHUNK >= len(found)
            made.append(frames.records(encoding, "snapshot", self.name, at, part, last=last))
        return made

    def older(self, subscription: Subscription, found: Sequence[Record], place: Place) -> None:
        """Give one member what it missed, up to ``place``."""
        session, at = subscription.session, frames.position(self.mirror.generation, place)
        wanted = [given for given in map(self.gives, found) if given is not None]
        session.write_asked(frames.records(session.encoding, "delta", self.name, at, wanted))

    def late(self, subscription: Subscription) -> bytes:
        """Return the frame of what was conflated for one member, oldest first."""
        found = sorted(subscription.pending.values(), key=lambda record: record.place)
        subscription.pending.clear()
        encoding = subscription.session.encoding
        return frames.records(encoding, "delta", self.name, self.position, found)


class System:
    """The mirrors of one system: one of each output, and of a secret one a second, in clear."""

    def __init__(self, name: str, mirrors: Iterable[Mirror]) -> None:
        self.name = name
        self.keys = Keys(name, 0)
        self.lineage: str | None = None
        self.mirrors = [each for each in mirrors if each.source.output.system == name]
        self.outputs = list(dict.fromkeys(each.source.output.name for each in self.mirrors))
