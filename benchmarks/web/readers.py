"""Many cheap WebSocket clients in one process, which count messages and measure delays."""

from __future__ import annotations

import asyncio
import base64
import os
import random
import resource
import sys
import time

import numpy as np
import orjson
from websockets.frames import Frame, Opcode

TOKEN = b'"type":"delta"'
SUBSCRIBED = b':"subscribed",'
TIME = b'"ts_ns":"'
SYMBOLS = 100
CHANNELS = 10


class Reader(asyncio.Protocol):
    """One client on ten symbols; it does not parse more than it must."""

    def __init__(self, number: int, delays_ns: list[int]) -> None:
        self._number = number
        self._delays_ns = delays_ns
        self._rest = b""
        self.count = 0
        self.subscribed = 0
        self._open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Shake hands."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        key = base64.b64encode(os.urandom(16)).decode()
        transport.write(
            "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    def _subscribe(self) -> None:
        for symbol in random.Random(self._number).sample(range(SYMBOLS), CHANNELS):
            message = {"type": "subscribe", "channel": f"market.nbbo?symbol=S{symbol}"}
            self._transport.write(Frame(Opcode.TEXT, orjson.dumps(message)).serialize(mask=True))

    def data_received(self, data: bytes) -> None:
        """Count the deltas, and see how old the first of them is."""
        if not self._open:
            self._open = True
            self._subscribe()
        data = self._rest + data
        self.count += data.count(TOKEN)
        self.subscribed += data.count(SUBSCRIBED)
        self._rest = data[-len(TOKEN) + 1 :]
        delta = data.find(TOKEN)
        at = data.find(TIME, delta) + len(TIME)
        found = data[at : data.find(b'"', at)]
        if delta >= 0 and len(found) == 19:
            self._delays_ns.append(time.time_ns() - int(found))


async def read(port: int, clients: int) -> None:
    """Connect, say so on stdout, and print the figures once stdin ends."""
    delays_ns: list[int] = []
    loop = asyncio.get_running_loop()
    readers = [Reader(number, delays_ns) for number in range(clients)]
    for reader in readers:
        await loop.create_connection(lambda reader=reader: reader, "127.0.0.1", port)  # type: ignore[misc]  # bound now
    while not all(reader.subscribed == CHANNELS for reader in readers):
        await asyncio.sleep(0.05)
    await asyncio.sleep(1.0)
    delays_ns.clear()
    before = sum(reader.count for reader in readers)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    p50, p99 = np.percentile(delays_ns, [50, 99]) / 1e6 if delays_ns else (0.0, 0.0)
    count = sum(reader.count for reader in readers) - before
    found = {"count": count, "p50_ms": float(p50), "p99_ms": float(p99)}
    print(orjson.dumps(found).decode(), flush=True)


if __name__ == "__main__":
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    asyncio.run(read(int(sys.argv[1]), int(sys.argv[2])))
