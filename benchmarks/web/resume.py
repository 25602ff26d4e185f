"""A client that is killed again and again sees what one sees that never is.

Killed is the connection, without a goodbye, at seeded points of the sequence. The client comes
back with the position of the last delta that it took, mostly at once, sometimes later than the
feed's memory reaches.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import ormsgpack
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from benchmarks.report import Report
from benchmarks.web.rig import FEED, Rig, metrics, pace
from connectors.web.frames import MSGPACK
from state.errors import Broken

PART = "resume"
CHANNEL = "market.bars"
LONG_AWAY = 30_000
"""For how many updates the client stays away at one kill in ten: more than the feed remembers."""
LONG_INDEX = 4
"""Which of ten kills that is: not the last, behind which nothing more may be written."""
_GREETINGS = ("hello", "heartbeat")
PATIENCE_S = 30.0
"""How long a client may wait for the next message."""


@dataclass(frozen=True)
class Plan:
    """Updates at ``rate`` a second, and so many kills at points that follow from ``seed``."""

    seconds: int
    rate: int
    kills: int
    seed: int

    @property
    def total(self) -> int:
        """How many updates there are."""
        return self.seconds * self.rate

    def points(self) -> list[tuple[int, int]]:
        """Return the number behind which the client is killed, and up to which it stays away."""
        rng = random.Random(self.seed)
        margin = min(1_000, self.total // 20)
        numbers = sorted(rng.sample(range(margin, self.total - margin), self.kills))
        return [
            (number, min(number + LONG_AWAY, self.total - 1) if index % 10 == LONG_INDEX else 0)
            for index, number in enumerate(numbers)
        ]


@dataclass(frozen=True)
class Outcome:
    """What both clients saw: the numbers of the bars, in order; why the second was reset.

    ``seconds`` are what the writer took.
    """

    uninterrupted: list[int]
    killed: list[int]
    resumed: int
    resets: list[str]
    seconds: float

    def same(self, plan: Plan) -> bool:
        """Return whether both saw every update once and in order, the second without a reset."""
        everything = self.killed == self.uninterrupted == list(range(plan.total))
        return everything and (self.resumed, self.resets) == (plan.kills, [])


def run(rig: Rig, plan: Plan, report: Report) -> bool:
    """Report, and return whether both saw everything, once and in order."""
    report.part(
        PART,
        f"{plan.kills} kills in {plan.seconds} s of {plan.rate:,} updates/s, seed {plan.seed}",
    )
    with rig.server(FEED, plan.kills) as (port, _):
        outcome = asyncio.run(watch(f"ws://127.0.0.1:{port}/ws", rig.writer.bars, plan))
        found = metrics(port)
    by = {how: found.get(("headrace_feed_resumed_total", how), 0.0) for how in ("memory", "redis")}
    equal = outcome.killed == outcome.uninterrupted
    report.figure(PART, "updates sent", "", [plan.total])
    report.figure(PART, "a second", "updates/s", [plan.total / outcome.seconds])
    report.figure(PART, "updates seen without a kill", "", [len(outcome.uninterrupted)])
    report.figure(PART, "kills done, and resumed", "", [outcome.resumed])
    report.figure(PART, "resumed from memory", "", [by["memory"]])
    report.figure(PART, "resumed from Redis", "", [by["redis"]])
    report.figure(PART, f"resets {' '.join(outcome.resets)}".strip(), "", [len(outcome.resets)])
    report.note(PART, f"both sequences: {'equal' if equal else 'DIFFER'}")
    return outcome.same(plan)


async def watch(url: str, write: Callable[[int, int], object], plan: Plan) -> Outcome:
    """Write the updates by ``write(first, count)`` while both clients read them all.

    Raises Broken where a client gets nothing for PATIENCE_S.
    """
    ready = asyncio.Barrier(3)
    straight: list[int] = []
    reader = asyncio.create_task(_uninterrupted(url, plan.total - 1, ready, straight))
    victim = asyncio.create_task(_killed(url, plan, ready, straight))
    await ready.wait()
    writer = asyncio.create_task(asyncio.to_thread(pace, write, plan.rate, plan.seconds))
    _, (broken, resumed, resets), took = await asyncio.gather(reader, victim, writer)
    return Outcome(straight, broken, resumed, resets, took)


async def _uninterrupted(url: str, last: int, ready: asyncio.Barrier, found: list[int]) -> None:
    """Add the numbers of the bars to ``found`` as they come."""
    async with _subscribed(url, None) as connection:
        while not found or found[-1] < last:
            message = await _next(connection)
            if message["type"] == "snapshot":
                await ready.wait()
            found += _numbers(message)


async def _killed(
    url: str, plan: Plan, ready: asyncio.Barrier, others: list[int]
) -> tuple[list[int], int, list[str]]:
    """Return the numbers of the bars, how often it was resumed, and why it was not.

    ``others`` are the numbers that the other client has seen.
    """
    found: list[int] = []
    position, resumed = None, 0
    resets: list[str] = []
    for point, back_at in [*plan.points(), (plan.total - 1, 0)]:
        async with _subscribed(url, position) as connection:
            resumed += (await _next(connection, "subscribed"))["resumed"]
            while not found or found[-1] < point:
                message = await _next(connection)
                if message["type"] == "reset":
                    resets.append(message["reason"])
                if message["type"] == "snapshot" and position is None:
                    await ready.wait()
                found += _numbers(message)
                position = message.get("position", position)
            connection.transport.abort()
        while others and others[-1] < back_at:
            await asyncio.sleep(0.01)
    return found, resumed, resets


@asynccontextmanager
async def _subscribed(url: str, after: str | None) -> AsyncIterator[ClientConnection]:
    async with connect(
        url, subprotocols=[Subprotocol(MSGPACK)], compression=None, max_size=None
    ) as connection:
        asked = {"type": "subscribe", "channel": CHANNEL}
        await connection.send(ormsgpack.packb(asked | ({"after": after} if after else {})))
        yield connection


async def _next(connection: ClientConnection, kind: str = "") -> dict[str, Any]:
    try:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                data = await connection.recv(decode=False)
                message: dict[str, Any] = ormsgpack.unpackb(data)
                if message["type"] == "error":
                    raise Broken(f"the feed says: {message['reason']}")
                if message["type"] not in _GREETINGS and kind in ("", message["type"]):
                    return message
    except TimeoutError:
        raise Broken(f"a client got nothing for {PATIENCE_S:.0f} s") from None


def _numbers(message: dict[str, Any]) -> list[int]:
    """Return the numbers of the bars of a delta; those of a snapshot are not of the sequence."""
    if message["type"] != "delta":
        return []
    return [record["start_ns"] for record in message["records"]]
