"""What one client that stops reading does to all others: paired runs with and without it."""

from __future__ import annotations

import socket
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from websockets.sync.client import connect

from benchmarks.report import Goal, Report
from benchmarks.web.rig import FEED, Load, Rig, metrics
from state.errors import Broken

PART = "stopped"
BUFFER_BYTES = 4096
"""The client's buffer: small, so that the feed soon has nowhere to write to."""
BURST, BURSTS = 1_000, 100
"""Quotes that fill its way before anything is measured ..."""
FILLED = 3
"""... which it is when so many bursts in a row were conflated to the last quote."""


@dataclass(frozen=True)
class Pair:
    """p99 of all others in two runs of one round; ``conflated`` is what was meanwhile."""

    without_ms: float
    with_ms: float
    conflated: int


def run(rig: Rig, load: Load, repeats: int, report: Report) -> None:
    """Measure pairs, their order turning with the rounds, and report."""
    report.part(
        PART,
        f"p99 of {load.clients:,} clients beside one that stops reading",
        f"{load.rate:,} updates/s, {load.seconds} s each; it subscribes to all of them",
    )
    pairs = [measure(rig, load, stopped_first=bool(number % 2)) for number in range(repeats)]
    without = [pair.without_ms for pair in pairs]
    changes = [pair.with_ms - pair.without_ms for pair in pairs]
    spread = max(without) - min(without)
    report.figure(PART, "p99 without it", "ms", without)
    report.figure(PART, "p99 with it", "ms", [pair.with_ms for pair in pairs])
    report.figure(PART, "records conflated meanwhile", "", [pair.conflated for pair in pairs])
    report.figure(PART, "change within a pair", "ms", changes)
    report.figure(
        PART,
        "median change, beside the spread without it",
        "ms",
        [abs(statistics.median(changes))],
        Goal(spread, most=True),
    )


def measure(rig: Rig, load: Load, *, stopped_first: bool) -> Pair:
    """Return one pair."""
    conflated = 0
    p99_ms: dict[bool, float] = {}
    for stopped in (stopped_first, not stopped_first):
        with rig.server(FEED, load.clients) as (port, seen):
            if stopped:
                with _stopped(rig, port):
                    conflated = -_conflated(port)
                    p99_ms[stopped] = rig.measure(port, seen, load).p99_ms
                    conflated += _conflated(port)
            else:
                p99_ms[stopped] = rig.measure(port, seen, load).p99_ms
    return Pair(p99_ms[False], p99_ms[True], conflated)


@contextmanager
def _stopped(rig: Rig, port: int) -> Iterator[None]:
    """Hold a client of every quote that takes nothing more, its way full already."""
    with socket.socket() as plain:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        plain.connect(("127.0.0.1", port))
        # The library stops reading the socket once its own queue is full: with one frame.
        with connect(
            f"ws://127.0.0.1:{port}/ws", sock=plain, compression=None, max_queue=1, close_timeout=0
        ) as client:
            client.send('{"type":"subscribe","channel":"market.nbbo"}')
            _fill(rig, port)
            yield


def _fill(rig: Rig, port: int) -> None:
    """Write quotes until nothing of them leaves the feed for the client any more."""
    filled, before = 0, _conflated(port)
    for _ in range(BURSTS):
        rig.quotes(0, BURST)
        time.sleep(0.2)
        now = _conflated(port)
        filled, before = filled + 1 if now - before == BURST else 0, now
        if filled == FILLED:
            return
    raise Broken("the stopped client's way was never full")


def _conflated(port: int) -> int:
    return int(metrics(port)["headrace_feed_conflated_total",])
