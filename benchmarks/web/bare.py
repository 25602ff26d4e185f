"""The same bytes to the same readers by nothing but ``websockets.broadcast``."""

from __future__ import annotations

import asyncio
import resource
import sys
from collections import defaultdict
from typing import Any

import orjson
from redis.asyncio import Redis
from websockets.asyncio.server import ServerConnection, broadcast, serve

from connectors.web.frames import as_json

MEMBERS: dict[str, set[ServerConnection]] = defaultdict(set)


async def _serve(connection: ServerConnection) -> None:
    async for message in connection:
        MEMBERS[orjson.loads(message)["channel"].partition("=")[2]].add(connection)
        await connection.send('{"type":"subscribed","channel":""}')


def delta(place: str, value: bytes) -> tuple[str, str]:
    """Return the symbol of a record, and the message that the feed makes of it."""
    symbol: str = orjson.loads(value)["symbol"]
    channel = f"market.nbbo?symbol={symbol}"
    head = orjson.dumps({"type": "delta", "channel": channel, "position": f"1:{place}"})
    return symbol, (b'%b,"records":[%b]}' % (head[:-1], as_json(value))).decode()


async def run(redis_url: str, stream: str) -> None:
    """Serve, and broadcast each entry of a stream to those who asked for its symbol."""
    redis: Any = Redis.from_url(redis_url, protocol=2)
    after: bytes | str = "$"
    async with serve(_serve, "127.0.0.1", 0, compression=None, ping_interval=None) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        while True:
            for _, entries in await redis.xread({stream: after}, count=1000, block=1000):
                for stream_id, fields in entries:
                    after = stream_id
                    symbol, text = delta(stream_id.decode(), fields[b"v"])
                    broadcast(MEMBERS[symbol], text)


if __name__ == "__main__":
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    asyncio.run(run(sys.argv[1], sys.argv[2]))
