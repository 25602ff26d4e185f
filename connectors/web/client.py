"""A Python client of the feed: an async iterator that reconnects and resumes by itself."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing, suppress
from typing import Any, Literal, NamedTuple

import orjson
import ormsgpack
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.typing import Subprotocol

from connectors.web.channels import text
from connectors.web.frames import MSGPACK
from state.errors import HeadraceError
from state.retraction import RETRACTED
from state.sealing import Keyring, Seal, is_envelope

FIRST_BACK_OFF_S = 0.1
LAST_BACK_OFF_S = 5.0
SILENT_BEATS = 3
"""Heartbeats that may be missing before the connection counts as dead."""
_FOR_GOOD = (4001, 4003)
_REFUSALS = (401, 403, 404)


class FeedRefused(HeadraceError):
    """The feed does not give what was asked for; args: (reason,)."""


class Update(NamedTuple):
    """What came of one channel, as it was asked for.

    A ``reset`` has a ``reason`` and no records: what was known is void, a snapshot follows. A
    snapshot may come in several updates, of which one is the ``first``. ``stale`` is true while
    the feed does not hear its source.
    """

    channel: str
    kind: Literal["snapshot", "delta", "reset"]
    records: list[dict[str, Any]]
    reason: str = ""
    stale: bool = False
    first: bool = False


class _Followed:
    """What outlives a connection: the positions, and how long to wait before the next."""

    def __init__(self, channels: Sequence[str]) -> None:
        self.positions: dict[str, str] = dict.fromkeys(channels, "")
        self.asked: dict[str, str] = {}
        self.fresh: set[str] = set()
        """Channels that begin: a snapshot of one of them is its first."""
        self.silence_s = 30.0
        self.a_second = 1
        self.stale = False
        self.back_off_s = FIRST_BACK_OFF_S

    def subscriptions(self) -> list[dict[str, str]]:
        """Return the messages that ask for everything after what is known."""
        return [
            {"type": "subscribe", "channel": channel, **({"after": after} if after else {})}
            for channel, after in self.positions.items()
        ]

    def take(self, message: dict[str, Any]) -> Update | None:
        """Return what a message brings. Raises FeedRefused."""
        kind = message["type"]
        if kind == "hello":
            self.silence_s = SILENT_BEATS * message["heartbeat_ms"] / 1000
            self.a_second = message["requests_per_second"]
        elif kind == "subscribed":
            self.asked[message["channel"]] = message["asked"]
            self.fresh.add(message["asked"])
            self.back_off_s = FIRST_BACK_OFF_S
        elif kind == "heartbeat":
            self.stale = not all(source["ok"] for source in message["sources"].values())
        elif kind == "error" and message["code"] != "expired":
            raise FeedRefused(message["reason"])
        elif kind in ("snapshot", "delta", "reset"):
            return self._update(kind, message)
        return None

    def _update(self, kind: Literal["snapshot", "delta", "reset"], message: Any) -> Update | None:
        channel = self.asked[message["channel"]]
        if kind == "reset":
            self.positions[channel] = ""
            self.fresh.add(channel)
            return Update(channel, kind, [], message["reason"], self.stale)
        if message.get("last", True):
            self.positions[channel] = message["position"]
        if kind == "delta" and not message["records"]:
            return None
        first = kind == "snapshot" and channel in self.fresh
        self.fresh.discard(channel)
        return Update(channel, kind, message["records"], stale=self.stale, first=first)


class Table:
    """The last record of each key of one channel, kept by its updates.

    ``key`` names the fields of the output's table key; of a sealed output that is not opened,
    ``("key",)``.
    """

    def __init__(self, key: Sequence[str]) -> None:
        self.records: dict[str, dict[str, Any]] = {}
        self._key = tuple(key)

    def take(self, update: Update) -> None:
        """Take in an update: snapshots begin anew, retractions take their keys away."""
        if update.first or update.kind == "reset":
            self.records.clear()
        for record in update.records:
            if record.get(RETRACTED):
                self.records.pop(record["key"], None)
            else:
                self.records["|".join(text(record[name]) for name in self._key)] = record


async def follow(
    url: str,
    channels: Sequence[str],
    token: str | Callable[[], str] = "",
    keyring: Keyring | None = None,
) -> AsyncGenerator[Update, None]:
    """Yield what comes of some channels, for ever: no record is left out and none comes twice.

    ``url`` is such as ``ws://127.0.0.1:9700/ws``; a ``token`` that is a function is called for each
    connection. A ``keyring`` opens sealed records; without it they come as they are. A record
    whose ``retracted`` is true takes its ``key`` away (`Table`). Raises FeedRefused where the feed
    will not give it, now or later, and CannotUnseal.
    """
    seal = Seal(keyring) if keyring else None
    followed = _Followed(channels)
    while True:
        try:
            async with (
                await _open(url, token() if callable(token) else token) as connection,
                aclosing(_messages(connection, followed)) as messages,
            ):
                async for message in messages:
                    update = followed.take(message)
                    if update is not None:
                        yield update if seal is None else _opened(update, seal)
        except ConnectionClosed as error:
            if error.rcvd is not None and error.rcvd.code in _FOR_GOOD:
                raise FeedRefused(error.rcvd.reason) from None
        except InvalidStatus as error:
            if error.response.status_code in _REFUSALS:
                raise FeedRefused(f"HTTP status {error.response.status_code}") from None
        except (OSError, TimeoutError, InvalidHandshake):
            pass
        # Not all clients of a feed that restarts come back at the same moment.
        await asyncio.sleep(followed.back_off_s * random.uniform(0.5, 1.0))  # noqa: S311
        followed.back_off_s = min(2 * followed.back_off_s, LAST_BACK_OFF_S)


def _opened(update: Update, seal: Seal) -> Update:
    """Return an update with its sealed records in clear."""
    topic = update.channel.partition("?")[0]
    opened = [
        orjson.loads(seal.unseal_fields(topic, record)) if is_envelope(record) else record
        for record in update.records
    ]
    return update._replace(records=opened)


async def _messages(
    connection: ClientConnection, followed: _Followed
) -> AsyncGenerator[dict[str, Any], None]:
    """Yield what comes over a connection, on which everything is asked for after the greeting."""
    yield await _next(connection, followed)
    asking = asyncio.create_task(_ask(connection, followed))
    try:
        while True:
            yield await _next(connection, followed)
    finally:
        asking.cancel()


async def _next(connection: ClientConnection, followed: _Followed) -> dict[str, Any]:
    async with asyncio.timeout(followed.silence_s):
        found: dict[str, Any] = ormsgpack.unpackb(await connection.recv(decode=False))
    return found


async def _ask(connection: ClientConnection, followed: _Followed) -> None:
    """Subscribe to everything, as fast as the feed takes it."""
    for number, message in enumerate(followed.subscriptions(), 1):
        with suppress(ConnectionClosed):  # who reads from it sees that as well
            await connection.send(ormsgpack.packb(message))
        if number % followed.a_second == 0:
            await asyncio.sleep(1.0)


async def _open(url: str, token: str) -> ClientConnection:
    return await connect(
        url,
        subprotocols=[Subprotocol(MSGPACK)],
        additional_headers={"Authorization": f"Bearer {token}"} if token else {},
        compression=None,
        max_size=None,
    )
