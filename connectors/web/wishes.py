"""What a client may subscribe to: by its token, or beyond its wards by break-glass."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import orjson

from connectors.web.channels import Channel
from connectors.web.frames import Position, Record
from connectors.web.groups import Group
from connectors.web.hub import Hub
from connectors.web.reads import Read, Reads
from connectors.web.tokens import BREAK_GLASS, MAX_REASON, Access, Refused, is_reason


class Wish(NamedTuple):
    """A subscription that a client may have, under this access."""

    channel: Channel
    access: Access
    asked: str
    after: Position | None
    reason: str
    """Of a break-glass read; "" of all others."""


def wished(
    access: Access, channel: Channel, asked: str, after: Position | None, reason: object
) -> Wish:
    """Return what is asked for. Raises Refused where it may not be had.

    ``reason`` is what the client gives for a break-glass read, None where it asks for none.
    """
    source = channel.source
    if not access.may_read(source.output.system, source.output.name):
        raise Refused(f"the scope read:{source.name} is missing")
    if reason is None:
        given = ""
    elif not access.may(BREAK_GLASS):
        raise Refused(f"the scope {BREAK_GLASS} is missing")
    elif not isinstance(reason, str) or not is_reason(reason):
        raise Refused(f"the reason has to be 1 to {MAX_REASON} printable characters")
    else:
        access, given = access.breaking(source, dict(channel.filters)), reason
    if not access.speaks_of(source.fields, private=source.private):
        raise Refused(f"{source.name} has none of the fields of the token's rows")
    return Wish(channel, access, asked, after, given)


class Wishes:
    """One client's subscriptions to secret outputs that wait for their audit, by channel."""

    def __init__(
        self, hub: Hub, reads: Reads, begin: Callable[[Wish, BaseException | None], None]
    ) -> None:
        """``begin`` is called with each that still waits once it is audited, or with the error."""
        self.under_way: dict[str, Wish] = {}
        self._hub = hub
        self._reads = reads
        self._begin = begin

    def add(self, subject: str, address: str, wish: Wish) -> None:
        """Audit what the client will read: what the channel holds now."""
        self.under_way[str(wish.channel)] = wish
        self._hub.once_loaded(wish.channel, partial(self._audit, subject, address, wish))

    def _audit(self, subject: str, address: str, wish: Wish) -> None:
        if self.under_way.get(str(wish.channel)) is not wish:
            return  # nobody waits for it any more
        held = self._hub.held(wish.channel, wish.access)
        ended = asyncio.wrap_future(self._reads.add(self._read(subject, address, wish, held)))
        ended.add_done_callback(partial(self._audited, wish))

    def again(
        self,
        subject: str,
        address: str,
        group: Group,
        then: Callable[[BaseException | None], None],
    ) -> None:
        """Audit that the client reads again what a channel holds; ``then`` gets the error, if any.

        The reason of a break-glass read is in the entry of its beginning.
        """
        wish = Wish(group.channel, group.access, group.name, None, "")
        held = self._hub.held(wish.channel, wish.access)
        read = self._read(subject, address, wish, held)._replace(action="reset")
        ended = asyncio.wrap_future(self._reads.add(read))
        ended.add_done_callback(lambda done: then(done.exception()))

    def left(self, subject: str, address: str, channel: Channel) -> None:
        """Audit that a subscription has ended; nothing waits for it."""
        source, query = channel.source, dict(channel.filters)
        self._reads.add(Read(subject, address, "unsubscribe", source.name, query))

    def refused(self, subject: str, address: str, channel: Channel, why: str) -> None:
        """Audit that a subscription was refused; nothing waits for it."""
        source, query = channel.source, dict(channel.filters)
        self._reads.add(Read(subject, address, "subscribe", source.name, query, refused=why))

    def _read(self, subject: str, address: str, wish: Wish, held: Sequence[Record]) -> Read:
        source, query = wish.channel.source, dict(wish.channel.filters)
        about = self._reads.about(source, (orjson.loads(record.raw) for record in held))
        return Read(
            subject, address, "subscribe", source.name, query, len(held), about, wish.reason
        )

    def _audited(self, wish: Wish, ended: asyncio.Future[None]) -> None:
        failure, name = ended.exception(), str(wish.channel)
        if self.under_way.get(name) is wish:  # else nobody waits for it any more
            del self.under_way[name]
            self._begin(wish, failure)
