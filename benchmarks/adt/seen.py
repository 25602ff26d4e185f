"""From a message's sending to its record at a client of the live feed: all parts, real servers.

One connection sends at a steady rate, and waits for no answer; a client of the feed follows the
visits. A time is counted from when a message was due, so that what a stall delays counts in full.
"""

from __future__ import annotations

import asyncio
import select
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.adt.listener import Listening, settings
from benchmarks.adt.mllp_load import PATIENCE_S, Client, messages
from benchmarks.report import Report, percentile_line, percentiles
from benchmarks.rig import FlowRun, Rig, eventually
from benchmarks.web.rig import metrics
from connectors.adt.envelope import TOPIC
from connectors.mllp.frames import END, START
from connectors.redis.reader import RedisReader
from connectors.web.client import follow
from flows.engine.ports import HOST, free_port
from flows.servers.process import connects
from state.clock import NS
from state.errors import Broken

OUTPUTS = ("encounters", "location_visits")
CHANNELS = [f"adt.{output}" for output in OUTPUTS]
WARM_UP_S = 10
LOOK_S = 0.05
SHOWN = ("p50", "p99", "p99.9")
Ints = NDArray[np.int64]


@dataclass
class Times:
    """When each message was due and answered, and when the first record of it was seen (ns)."""

    due: list[int] = field(default_factory=list)
    answered: list[int] = field(default_factory=list)
    seen: dict[int, int] = field(default_factory=dict)
    records: int = 0
    """How many records the client has had, retractions among them."""


def run(report: Report, directory: Path, rate: int, seconds: int) -> None:
    """Report part d. Raises Broken where a message is refused, or the client misses a record."""
    port, feed_port = free_port(), free_port()
    with Rig(directory, _settings(directory, port, feed_port)) as rig:
        listening = Listening(rig, port)
        flow = rig.start("adt")
        feed = rig.start("feed", command="")
        eventually("the flow", lambda: _runs(flow) and flow.ready())
        eventually("the feed", lambda: _runs(feed) and connects(feed_port))
        times = asyncio.run(_watched(listening, feed_port, rate, WARM_UP_S + seconds))
        _figures(report, times, rate, seconds, metrics(flow.http_port), rig)


def _settings(directory: Path, port: int, feed_port: int) -> Mapping[str, str]:
    return {
        **settings(port),
        "HEADRACE_FEED__PORT": str(feed_port),
        "HEADRACE_FEED__UNSEAL": "true",
        "HEADRACE_FEED__AUDIT": str(directory / "reads.jsonl"),
    }


def _runs(run: FlowRun) -> bool:
    run.check()
    return True


async def _watched(listening: Listening, feed_port: int, rate: int, seconds: int) -> Times:
    """Send while a client watches; return once it has had all that the flow wrote."""
    times, begun = Times(), asyncio.Event()
    watching = asyncio.create_task(_watch(f"http://{HOST}:{feed_port}", times, begun))
    await asyncio.wait_for(begun.wait(), PATIENCE_S)
    await asyncio.to_thread(_send, listening.port, times, rate, seconds)
    wanted = await asyncio.to_thread(_written, listening.rig, len(times.due))
    async with asyncio.timeout(PATIENCE_S):
        while times.records < wanted and not watching.done():
            await asyncio.sleep(LOOK_S)
    watching.cancel()
    if times.records != wanted:
        raise Broken(f"the client has had {times.records} of {wanted} records")
    return times


async def _watch(url: str, times: Times, begun: asyncio.Event) -> None:
    """Note when the records came that follow from each message."""
    async for update in follow(url, CHANNELS):
        now = time.time_ns()
        if update.kind == "snapshot":
            begun.set()
        if update.kind != "delta":
            continue
        times.records += len(update.records)
        for record in update.records:
            if not record.get("retracted"):
                times.seen.setdefault(_newest(record), now)


def _newest(record: dict[str, Any]) -> int:
    """Return the offset of the last message that a record follows from: the topic has one part."""
    return int(record["because"][-1].rpartition(":")[2])


def _send(port: int, times: Times, rate: int, seconds: int) -> None:
    """Send each message when it is due, whatever is answered by then; return with all answers."""
    raws, count = islice(messages(1, 0), rate * seconds), rate * seconds
    client = Client(port, (START + raw + END for raw in raws), [])
    begin = time.time_ns()
    while len(times.answered) < count:
        left = len(times.due) < count
        due = begin + len(times.due) * NS // rate
        wait_s = max(0, due - time.time_ns()) / NS if left else PATIENCE_S
        if select.select([client.sock], [], [], wait_s)[0]:
            times.answered += [time.time_ns()] * client.receive()
        elif left:
            client.send(1)
            times.due.append(due)
        else:
            raise Broken(f"no answer in {PATIENCE_S:g} s")
    client.sock.close()
    if (accepted := client.accepted()) != count:
        raise Broken(f"{accepted} of {count} messages were accepted")


def _written(rig: Rig, count: int) -> int:
    """Return how many records the flow has written once it is through with all messages."""
    eventually("the flow is through", lambda: rig.consumed("adt", TOPIC) == count)
    reader = RedisReader(rig.settings.redis.url, "adt")
    found = sum(1 for output in OUTPUTS for _ in reader.entries(output))
    reader.close()
    return found


def _figures(
    report: Report, times: Times, rate: int, seconds: int, said: Mapping[Any, float], rig: Rig
) -> None:
    due, answered = np.array(times.due, np.int64), np.array(times.answered, np.int64)
    offsets = np.array(sorted(n for n in times.seen if n >= rate * WARM_UP_S), np.int64)
    seen = np.array([times.seen[n] for n in offsets.tolist()], np.int64)
    epoch_s = rig.settings.run.epoch / NS
    written = _snapshot_bytes(said) * epoch_s / (WARM_UP_S + seconds)
    report.part(
        "d",
        "from a message to its record at a client of the feed",
        f"{rate} ADT messages/s over one connection, {seconds} s after {WARM_UP_S} s; Kafka, the "
        "listener, the flow, Redis, the feed and a client that opens sealed visits",
        f"epochs of {epoch_s:g} s, {written:,.0f} bytes of snapshots in each",
        f"{len(seen):,} messages changed a visit",
    )
    stages = {
        "due -> answered": (answered - due)[rate * WARM_UP_S :],
        "due -> seen": seen - due[offsets],
        "answered -> seen": seen - answered[offsets],
    }
    for name, values in stages.items():
        report.note("d", percentile_line(name, values))
        found = percentiles(values)
        for each in SHOWN:
            report.figure("d", f"{name}, {each}", "ms", [found[each]])


def _snapshot_bytes(said: Mapping[Any, float]) -> float:
    """Return how many bytes of snapshots the flow has written."""
    return sum(value for key, value in said.items() if key[0] == "headrace_snapshot_bytes_sum")
