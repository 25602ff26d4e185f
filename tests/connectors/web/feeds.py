"""A feed of the test's own, and clients that speak by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

import orjson
import ormsgpack
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from connectors.web.frames import JSON, MSGPACK
from flows.feed import gateway
from flows.settings.settings import Settings
from tests.files import audit_file
from tests.waiting import PATIENCE_S

SECONDS = PATIENCE_S


@asynccontextmanager
async def served(redis_url: str, **feed: Any) -> AsyncIterator[str]:
    """Serve by ``headrace feed``'s own wiring; yields the address for WebSocket."""
    own = {"port": 0, "heartbeat": "200ms", "audit": audit_file()}
    parts = {"redis": {"url": redis_url}, "feed": own | feed}
    settings = Settings.model_validate(parts)
    listening: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(gateway.serve(settings, listening.set_result))
    task.add_done_callback(lambda ended: _ended(ended, listening))
    address = await listening
    try:
        yield address.replace("http", "ws", 1) + "/ws"
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def _ended(task: asyncio.Task[None], listening: asyncio.Future[str]) -> None:
    if not listening.done():
        listening.set_exception(task.exception() or RuntimeError("the feed ended"))


def play(scene: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a scene; one that hangs fails."""

    async def limited() -> None:
        async with asyncio.timeout(2 * SECONDS):
            await scene()

    asyncio.run(limited())


class Client:
    """A client that sends what it is told to and sees every message."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.packed = connection.subprotocol == MSGPACK

    async def send(self, **message: Any) -> None:
        data = ormsgpack.packb(message) if self.packed else orjson.dumps(message).decode()
        await self.connection.send(data)

    async def message(self) -> dict[str, Any]:
        async with asyncio.timeout(SECONDS):
            data = await self.connection.recv(decode=False)
        found: dict[str, Any] = ormsgpack.unpackb(data) if self.packed else orjson.loads(data)
        return found

    async def next(self, *kinds: str) -> dict[str, Any]:
        """Return the next message of a kind; only heartbeats and positions may come before it.

        A "position" is a delta without records.
        """
        while (kind := _kind(found := await self.message())) not in kinds:
            assert kind in ("heartbeat", "position"), found
        return found

    async def beat(self, *, ok: bool) -> dict[str, Any]:
        """Return the first heartbeat that says so."""
        while True:
            found = await self.next("heartbeat")
            if found["sources"]["redis"]["ok"] is ok:
                return found

    async def subscribe(self, channel: str, after: str | None = None) -> dict[str, Any]:
        named = {} if after is None else {"after": after}
        await self.send(type="subscribe", channel=channel, **named)
        return await self.next("subscribed", "error")

    async def closing(self) -> tuple[int, str]:
        """Return the code and reason with which the server closes."""
        with suppress(ConnectionClosed):
            while True:
                await self.message()
        return self.connection.close_code or 0, self.connection.close_reason or ""


@asynccontextmanager
async def connected(url: str, *, encoding: str = JSON, **options: Any) -> AsyncIterator[Client]:
    """Connect and take the greeting."""
    async with connect(
        url, subprotocols=[Subprotocol(encoding)], compression=None, max_size=None, **options
    ) as connection:
        client = Client(connection)
        await client.next("hello")
        yield client


def _kind(message: dict[str, Any]) -> str:
    kind: str = message["type"]
    return "position" if kind == "delta" and not message["records"] else kind


def starts(messages: list[dict[str, Any]]) -> list[int]:
    """Return the numbers of the bars in some messages."""
    return [int(record["start_ns"]) for message in messages for record in message["records"]]


async def bars_until(client: Client, last: int) -> list[int]:
    """Return the numbers of the bars of deltas, up to ``last``."""
    found: list[int] = []
    while not found or found[-1] < last:
        found += starts([await client.next("delta")])
    return found
