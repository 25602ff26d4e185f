"""A receiver of notifications, and when it has got them."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import redis

from connectors.redis.keys import Keys, notified_key

SLACK = 'changes = ["start_ns"]\ntext = "{symbol} at {close}: {id}"\n'
QUICK = "timeout_s = 0.3\nbackoff_s = 0.02\nmax_backoff_s = 0.05\nbreaker_s = 0.2\n"


class Receiver:
    """Answers with what is next in ``answers`` (a status, or None to hang), then with 200."""

    def __init__(self, *answers: int | None) -> None:
        self.answers = list(answers)
        self.got: list[tuple[dict[str, str], str]] = []
        self.paths: set[str] = set()
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[:-2]
        self.paths.add(head.pop(0).split()[1])
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in head)}
        body = (await reader.readexactly(int(headers.get("content-length", 0)))).decode()
        self.got.append((headers, body))
        answer = self.answers.pop(0) if self.answers else 200
        if answer is None:
            await reader.read()  # until the sender gives up
        else:
            there = (
                f"location: http://127.0.0.1:{self.port}/other\r\n" if answer in {302, 307} else ""
            )
            writer.write(
                f"HTTP/1.1 {answer} X\r\n{there}content-length: 0\r\nconnection: close\r\n\r\n"
                .encode()
            )  # fmt: skip
        writer.close()

    @property
    def ids(self) -> list[str]:
        return [headers["webhook-id"] for headers, _ in self.got]

    async def until(self, reached: Callable[[], bool]) -> None:
        while not reached():
            await asyncio.sleep(0.01)


@asynccontextmanager
async def listening(
    receiver: Receiver, context: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """Let it listen, with TLS where there is a context; yields the port."""
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", receiver.port, ssl=context)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver.port
    finally:
        server.close()


def file(
    path: Path, port: int, shape: str = "plain", more: str = QUICK, scheme: str = "http"
) -> Path:
    """Write the file of one endpoint, ``desk``."""
    made = path / "webhooks.toml"
    place = f'url = "{scheme}://127.0.0.1:{port}/hook"\n'
    secret = 'secret_env = "NOTIFY_SECRET"\n'
    made.write_text(
        f'dead = "{path}/dead.jsonl"\n[endpoints.desk]\nshape = "{shape}"\n'
        f'channel = "market.bars?symbol=S1"\n{more}'
        + {"plain": place, "standard": place + secret, "slack": secret + SLACK}[shape]
    )
    return made


async def begun(url: str, endpoint: str = "desk", system: str = "market", output: str = "bars"):
    """Wait until the endpoint has a position: what is written from then on is sent."""
    connection = redis.Redis.from_url(url)
    while not connection.hexists(notified_key(system), f"{endpoint}/{output}"):
        await asyncio.sleep(0.01)


async def done(url: str, endpoint: str = "desk", system: str = "market", output: str = "bars"):
    """Wait until the position is the end of the stream."""
    connection: Any = redis.Redis.from_url(url)
    generation = int(connection.get(f"headrace:{{{system}}}:generation") or 1)
    stream = Keys(system, generation).stream(output)
    last = connection.xrevrange(stream, count=1)[0][0].decode()
    field = f"{endpoint}/{output}"
    while connection.hget(notified_key(system), field).decode() != f"{generation}:{last}":
        await asyncio.sleep(0.01)


def sent_ids(*numbers: int) -> list[str]:
    return [f"S1|1s|{number}" for number in numbers]
