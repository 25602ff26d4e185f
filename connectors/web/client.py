"""A Python client of the feed: an async iterator that reconnects and resumes by itself."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing, suppress
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit, urlunsplit

import orjson
import ormsgpack
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.typing import Subprotocol

from connectors.web.channels import text
from connectors.web.frames import MSGPACK, PATH
from state.errors import HeadraceError, Misuse
from state.retraction import RETRACTED
from state.sealing import Keyring, Seal, is_envelope

FIRST_BACK_OFF_S = 0.1
LAST_BACK_OFF_S = 5.0
LATE_BEATS, SILENT_BEATS = 1.5, 3.0
"""Heartbeats without a message until the updates count as stale, and the connection as dead."""
_SCHEMES = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
_LATE = {"type": "late"}
_FOR_GOOD = (4001, 4003)
_PASSING = ("expired", "clients")
"""Errors behind which a later connection may do better."""
_REFUSALS = (401, 403, 404)


class FeedRefused(HeadraceError):
    """The feed does not give what was asked for; args: (reason,)."""


class Update(NamedTuple):
    """What came of one channel, as it was asked for.

    A ``reset`` has a ``reason`` and no records: what was known is void, a snapshot follows. A
    snapshot may come in several updates, of which one is the ``first``. ``stale`` is true while
    the feed does not hear its source, or is not heard itself. When that begins or ends, there is a
    ``status`` with the ``reason``, of no channel and without records.
    """

    channel: str
    kind: Literal["snapshot", "delta", "reset", "status"]
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
        self.late_s = self.silence_s = 30.0
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
            beat_s = message["heartbeat_ms"] / 1000
            self.late_s, self.silence_s = LATE_BEATS * beat_s, SILENT_BEATS * beat_s
            self.a_second = message["requests_per_second"]
        elif kind == "subscribed":
            self.asked[message["channel"]] = message["asked"]
            self.fresh.add(message["asked"])
            self.back_off_s = FIRST_BACK_OFF_S
        elif kind == "heartbeat":
            down = [name for name, source in message["sources"].items() if not source["ok"]]
            why = f"the feed does not hear {', '.join(down)}" if down else ""
            return self.turn(bool(down), why)
        elif kind == "late":
            return self.turn(True, "the feed is silent")
        elif kind == "error" and message["code"] not in _PASSING:
            raise FeedRefused(message["reason"])
        elif kind in ("snapshot", "delta", "reset"):
            return self._update(kind, message)
        return None

    def turn(self, stale: bool, reason: str) -> Update | None:
        """Take down whether updates are stale; return the news where that has changed."""
        changed, self.stale = self.stale != stale, stale
        return Update("", "status", [], reason, stale) if changed else None

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

    ``url`` is the address that ``headrace feed`` prints, or such as ``ws://127.0.0.1:9700/ws``; a
    ``token`` that is a function is called for each connection. A ``keyring`` opens sealed records;
    without it they come as they are. A record whose ``retracted`` is true takes its ``key`` away
    (`Table`). Raises FeedRefused where the feed will not give it, now or later, CannotUnseal, and
    Misuse for another address.
    """
    url = websocket_url(url)
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
        lost = followed.turn(True, "the feed cannot be reached")
        if lost is not None:
            yield lost
        # Not all clients of a feed that restarts come back at the same moment.
        await asyncio.sleep(followed.back_off_s * random.uniform(0.5, 1.0))  # noqa: S311
        followed.back_off_s = min(2 * followed.back_off_s, LAST_BACK_OFF_S)


def websocket_url(url: str) -> str:
    """Return the address of a feed's WebSocket, of its own or its page's. Raises Misuse.

    >>> websocket_url("http://127.0.0.1:9700/"), websocket_url("wss://desk.example/ws")
    ('ws://127.0.0.1:9700/ws', 'wss://desk.example/ws')
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in _SCHEMES or not parts.hostname:
        raise Misuse(
            "this is no address of a feed: give the one that headrace feed prints, "
            "http://HOST:PORT, or ws://HOST:PORT/ws"
        )
    path = parts.path if parts.path not in ("", "/") else PATH
    return urlunsplit((_SCHEMES[parts.scheme], parts.netloc, path, "", ""))


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
    yield await _next(connection, followed.silence_s)
    asking = asyncio.create_task(_ask(connection, followed))
    try:
        while True:
            try:
                yield await _next(connection, followed.late_s)
            except TimeoutError:
                yield _LATE
                yield await _next(connection, followed.silence_s - followed.late_s)
    finally:
        asking.cancel()


async def _next(connection: ClientConnection, patience_s: float) -> dict[str, Any]:
    async with asyncio.timeout(patience_s):
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
