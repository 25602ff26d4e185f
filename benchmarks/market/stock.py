"""The same work in stock Bytewax: its Kafka source, ``stateful_map`` and ``fold_window``.

It is given what is best for it: orjson, large polls, unordered windows, a clock that
moves by event time alone (the default one would call records of a backlog late, and
wakes up without end), no recovery, and sinks that keep lists in memory. It judges, as
ours does, sequence numbers within 256, and trades against the forecast in force.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import bytewax.operators as op
import bytewax.operators.windowing as win
import orjson
from bytewax.connectors.kafka import KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.operators import KeyedStream
from bytewax.testing import TestingSink, run_main

from benchmarks import child
from benchmarks.machine import pin, settle
from flows import config
from flows.market.settings import Market
from operators.market.records import interval_name
from operators.market.var import Level

BATCH = 10_000
SEEN = (1 << 256) - 1
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Tick = dict[str, Any]
Bar = list[Any]
"""start (ns), open, high, low, close, volume, notional, trades."""
Forecast = tuple[float, float, bool]
"""(reference price, threshold, whether enough returns made it)."""


def main(job: dict[str, Any]) -> None:
    """Work through the topic to its end; say what it took and the bars and breaches."""
    pin(job["core"])
    settings = config.load_settings(None)
    market = settings.of(Market)
    bars: list[Any] = []
    breaches: list[Any] = []
    messages = 0

    def parse(message: Any) -> tuple[str, Tick] | None:
        nonlocal messages
        messages += 1
        if not message.value:
            return None  # a heartbeat: here the end of the topic closes the windows
        tick: Tick = orjson.loads(message.value)
        return tick["symbol"], tick

    flow = Dataflow("stock")
    source = KafkaSource(
        [settings.kafka.bootstrap],
        [market.topic],
        tail=False,
        batch_size=BATCH,
    )
    ticks = op.filter_map("parse", op.input("ticks", flow, source), parse)
    fresh = op.filter_value("fresh", op.stateful_map("dedupe", ticks, dedupe), bool)
    trades: KeyedStream[Any] = op.filter_value("trades", fresh, is_trade)
    clock = win.EventClock(
        time_of, timedelta(microseconds=market.lateness // 1000), _no_time, _no_wake
    )
    closed = {}
    for interval in market.intervals:
        name = interval_name(interval)
        windower = win.TumblingWindower(timedelta(microseconds=interval // 1000), EPOCH)
        folded = win.fold_window(
            f"bars_{name}",
            trades,
            clock,
            windower,
            list,
            folder(interval),
            _no_merge,
            ordered=False,
        )
        closed[interval] = folded.down
        op.output(
            f"bars_{name}_out", op.map(f"name_{name}", folded.down, named(name)), TestingSink(bars)
        )
    risk = market.risk
    forecasts = op.stateful_map(
        "ewma",
        closed[risk.interval],
        ewma(risk.decay, Level(risk.breach_confidence, 1).var_factor, risk.min_observations),
    )
    judged = op.stateful_map("breach", op.merge("both", trades, forecasts), breach)
    op.output("signals", op.filter_value("found", judged, bool), TestingSink(breaches))
    settle()
    wall, cpu, thread = time.perf_counter(), time.process_time(), time.thread_time()
    run_main(flow)  # type: ignore[no-untyped-call]  # Bytewax has no types here
    child.say(
        {
            "wall": time.perf_counter() - wall,
            "cpu": time.process_time() - cpu,
            "thread_cpu": time.thread_time() - thread,
            "messages": messages,
            "bars": bars if job["bars"] else [],
            "outputs": {"bars": len(bars), "signals": len(breaches)},
        }
    )


def dedupe(
    heads: dict[tuple[str, str], tuple[int, int]] | None, tick: Tick
) -> tuple[dict[tuple[str, str], tuple[int, int]], Tick | None]:
    """Return the tick if its number is new; state: the head and the last 256 as bits."""
    heads = {} if heads is None else heads
    stream, seq = (tick["type"], tick["venue"]), tick["seq"]
    head, seen = heads.get(stream, (seq - 1, 0))
    ahead = seq - head
    if ahead > 0:
        heads[stream] = (seq, (seen << ahead | 1) & SEEN)
        return heads, tick
    if ahead <= -256 or seen >> -ahead & 1:
        return heads, None
    heads[stream] = (head, seen | 1 << -ahead)
    return heads, tick


def is_trade(tick: Tick) -> bool:
    """Return whether this is a trade."""
    return bool(tick["type"] == "trade")


def time_of(tick: Tick) -> datetime:
    """Return the event time, to the microsecond that datetime has."""
    return EPOCH + timedelta(microseconds=tick["ts_ns"] // 1000)


def folder(interval_ns: int) -> Callable[[Bar, Tick], Bar]:
    """Return what takes a trade into a bar."""

    def fold(bar: Bar, tick: Tick) -> Bar:
        price, size = tick["price"], tick["size"]
        if not bar:
            start = tick["ts_ns"] // interval_ns * interval_ns
            return [start, price, price, price, price, size, price * size, 1]
        if price > bar[2]:
            bar[2] = price
        elif price < bar[3]:
            bar[3] = price
        bar[4] = price
        bar[5] += size
        bar[6] += price * size
        bar[7] += 1
        return bar

    return fold


def named(interval: str) -> Callable[[tuple[str, tuple[int, Bar]]], tuple[Any, ...]]:
    """Return what makes a row of a closed bar."""
    return lambda item: (item[0], interval, *item[1][1])


def ewma(
    decay: float, factor: float, enough: int
) -> Callable[[Any, tuple[int, Bar]], tuple[Any, Forecast]]:
    """Return what steps a symbol's variance at each bar; state: close, variance, returns."""

    def step(state: Any, item: tuple[int, Bar]) -> tuple[Any, Forecast]:
        close = item[1][4]
        if state is None:
            return (close, 0.0, 0), (close, 0.0, False)
        last, variance, count = state
        change = close / last - 1.0
        square = change * change
        variance = square if count == 0 else decay * variance + (1 - decay) * square
        forecast = (close, factor * math.sqrt(variance), count + 1 >= enough)
        return (close, variance, count + 1), forecast

    return step


def breach(state: Any, item: Any) -> tuple[Any, tuple[int, float] | None]:
    """Judge a trade, or take a forecast; state: reference, threshold, valid, sides fired."""
    if type(item) is tuple:
        return (*item, 0), None
    if state is None or not state[2]:
        return state, None
    reference, threshold, valid, fired = state
    move = item["price"] / reference - 1.0
    side = 1 if move < -threshold else 2 if move > threshold else 0
    if not side or fired & side:
        return state, None
    return (reference, threshold, valid, fired | side), (item["ts_ns"], move)


def _no_time() -> datetime:
    return EPOCH


def _no_wake(_: datetime) -> None:
    return None


def _no_merge(*_: Bar) -> Bar:
    raise AssertionError("tumbling windows do not merge")


if __name__ == "__main__":
    child.start(main)
