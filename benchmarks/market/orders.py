"""(f) From an order's scheduled sending to its decision visible in Redis, while all else runs.

The flows are real ``headrace run`` processes: market with everything switched on, models, and
trading. One clock, as in part e.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import ExitStack

import numpy as np
from confluent_kafka import TopicPartition
from numpy.typing import NDArray
from pydantic import SecretStr

from benchmarks.child import Child
from benchmarks.everything import CLOSES, EVERYTHING, PORTFOLIOS
from benchmarks.machine import pinned
from benchmarks.market.latency import OVERHEAD_MS, p99_by_part
from benchmarks.market.rig import EPOCH, PARTITIONS, Run
from benchmarks.market.stored import load
from benchmarks.market.topics import make_topic
from benchmarks.report import Goal, histogram, percentile_line, percentiles, stage_lines
from benchmarks.rig import ROOT, FlowRun, eventually
from connectors.kafka.client import Cluster
from connectors.kafka.sequencer import SOURCE_HEADER
from connectors.redis.reader import RedisReader
from flows.engine.systems import output_topic
from flows.market.trading_settings import SEQUENCED
from state.clock import MS, NS
from state.market.outputs import MARKET

RATE, TICK_RATE, SYMBOLS = 100, 2_000, 128
WARM_UP_S = 15
TICKS, ORDERS, RELAY = "bench.ticks", "market.orders", "bench.relay"
FLOWS = ("market", "models", "trading")
BATCH = 4096

Ints = NDArray[np.int64]


def run(run: Run) -> None:
    """Measure and report."""
    report, seconds = run.report, run.options.seconds
    due, found = _measured(run, seconds)
    begin_ns = int(due[0]) + WARM_UP_S * NS
    counted = due >= begin_ns
    report.part(
        "f",
        "an order's decision, open loop, while everything runs",
        f"{RATE} orders/s (Poisson) for {seconds} s after {WARM_UP_S} s of warm-up; trading reads "
        f"besides them all of market's bands, nbbo, risk and pnl; epochs of {EPOCH}",
        f"market: {TICK_RATE:,} ticks/s of {SYMBOLS} symbols over {PARTITIONS} partitions, all "
        "signals, bands, daily risk with targets on two sessions a second; models answers",
        "one hop: a consumer of the orders that does nothing else, on the flows' core; two hops: "
        "it appends each to another topic, of which there is another such consumer",
    )
    latencies = {name: (at - due)[counted] for name, at in found.items()}
    named = {"decision": "decision in Redis", "one": "one bare hop", "two": "two bare hops"}
    for name, label in named.items():
        report.note("f", percentile_line(f"scheduled -> {label}", latencies[name]))
    ours = percentiles(latencies["decision"])
    for name in ("p50", "p99", "p99.9", "max"):
        report.figure("f", f"decision visible, {name}", "ms", [ours[name]])
    for name, label in named.items():
        parts = p99_by_part(latencies[name], due[counted], begin_ns, seconds)
        report.figure("f", f"{label}, p99 of equal parts of the time", "ms", parts)
    for name, goal in (("one", Goal(OVERHEAD_MS, most=True)), ("two", None)):
        above = ours["p99"] - percentiles(latencies[name])["p99"]
        report.figure("f", f"p99 above that of {named[name]}", "ms", [above], goal)
    report.note("f", *_stage_lines(latencies))
    report.note("f", "histogram of scheduled -> decision in Redis:")
    report.note("f", *histogram(latencies["decision"]))


def _stage_lines(latencies: Mapping[str, Ints]) -> list[str]:
    """Return where the time of the decisions went."""
    appended, second = latencies["appended"], latencies["two"] - latencies["one"]
    stages = {
        "hop": latencies["one"],
        "sequence": appended - latencies["one"],
        "second hop": second,
        "decide": latencies["decision"] - appended - second,
    }
    return [
        "where it goes (ms): hop = scheduled to consumed by the bare consumer; sequence = to",
        "appended by the flow, by Kafka's timestamp, in whole ms; second hop = as the bare one's",
        "of this order; decide = the rest, to the decision seen by the reader",
        *stage_lines(stages, latencies["decision"]),
    ]


def _measured(run: Run, seconds: int) -> tuple[Ints, dict[str, Ints]]:
    """Return when each order was due, and when (ns) it was where."""
    rig = run.rig
    env = rig.settings(TICKS, **EVERYTHING)
    generation = int(env["HEADRACE_RUN__GENERATION"])
    _make_topics(rig.kafka.bootstrap)
    count = RATE * (WARM_UP_S + seconds)
    common = {"bootstrap": rig.kafka.bootstrap, "topic": ORDERS, "messages": count}
    load_core = {"core": rig.cores.load}
    reads = {
        "url": rig.valkey.url, "system": "trading", "output": "decisions",
        "generation": generation, "out": _path(run, "decisions"),
    }  # fmt: skip
    relays = {"core": rig.cores.engine, "into": RELAY, "out": _path(run, "relay")}
    ticks = {
        "bootstrap": rig.kafka.bootstrap, "topic": TICKS, "partitions": PARTITIONS,
        "messages": TICK_RATE * (WARM_UP_S + seconds), "rate": TICK_RATE, "symbols": SYMBOLS,
        "spikes": SYMBOLS, "seed": 3, "out": _path(run, "ticks"),
    }  # fmt: skip
    sends = {"rate": RATE, "symbols": SYMBOLS, "seed": 4, "out": _path(run, "orders")}
    with ExitStack() as stack:
        flows = _start(run, env, stack)
        _wait_until_awake(run, generation, flows)
        relay = stack.enter_context(Child("benchmarks.market.relay", common | relays))
        reader = stack.enter_context(Child("benchmarks.market.reader", load_core | reads))
        for each in (relay, reader):
            each.heard()
        # The ticks begin some seconds after the orders, within the warm-up, and end after them.
        ticking = stack.enter_context(Child("benchmarks.market.sender", load_core | ticks))
        with Child("benchmarks.market.order_sender", common | load_core | sends) as sender:
            sender.heard()
        ticking.heard()
        relay.heard()
        _wait_until_decided(run, generation, count, flows)
        reader.stop()
        reader.heard()
        for flow in flows:
            flow.drain()
    relayed, decided = load(_path(run, "relay")), load(_path(run, "decisions"))
    seen = np.zeros(count, np.int64)
    seen[decided["offset"]] = decided["seen"]
    appended = _appended(rig.kafka.bootstrap, count)
    found = {"decision": seen, "one": relayed["one"], "two": relayed["two"], "appended": appended}
    return load(_path(run, "orders"))["due"], found


def _start(run: Run, env: Mapping[str, str], stack: ExitStack) -> list[FlowRun]:
    """Start the flows on the engine's core; all are killed with the stack at the latest."""
    own = {k: v for k, v in os.environ.items() if not k.startswith("HEADRACE_")}
    whole = own | {"PYTHONPATH": str(ROOT), "HEADRACE_RUN__HTTP_PORT": "0", **env}
    with pinned(run.rig.cores.engine):
        flows = [FlowRun(whole, (name,), run.rig.home / f"{name}.log") for name in FLOWS]
    for flow in flows:
        stack.callback(flow.kill)
    return flows


def _make_topics(bootstrap: str) -> None:
    for name in (TICKS, *(output_topic("market", output.name) for output in MARKET)):
        make_topic(bootstrap, name, PARTITIONS)
    for name in (ORDERS, RELAY, CLOSES, PORTFOLIOS):
        make_topic(bootstrap, name, 1)


def _wait_until_awake(run: Run, generation: int, flows: list[FlowRun]) -> None:
    """Return when trading tells its state, as it does every second, and all flows live."""
    reader = RedisReader(SecretStr(run.rig.valkey.url), "trading", generation)

    def awake() -> bool:
        for flow in flows:
            flow.check()
        return bool(reader.latest("state"))

    eventually("trading tells its state", awake)


def _wait_until_decided(run: Run, generation: int, count: int, flows: list[FlowRun]) -> None:
    reader = RedisReader(SecretStr(run.rig.valkey.url), "trading", generation)

    def decided() -> bool:
        for flow in flows:
            flow.check()
        return reader.marks().get(("decisions", "0"), 0) >= count

    eventually(f"{count} decisions", decided)


def _appended(bootstrap: str, count: int) -> Ints:
    """Return when (ns, whole ms) the flow appended each order to its sequence.

    Read afterwards: a consumer of all that is sequenced would take time from the flows.
    """
    at, source = np.zeros(count, np.int64), f"{ORDERS}/0/".encode()
    consumer = Cluster(bootstrap).consumer("bench.appended")
    consumer.assign([TopicPartition(SEQUENCED, 0, 0)])

    def all_read() -> bool:
        for message in consumer.consume(BATCH, 1.0):
            value = dict(message.headers() or ()).get(SOURCE_HEADER)
            if isinstance(value, bytes) and value.startswith(source):
                at[int(value[len(source) :])] = message.timestamp()[1] * MS
        return bool(at.all())

    eventually(f"{count} orders in {SEQUENCED}", all_read)
    consumer.close()
    return at


def _path(run: Run, name: str) -> str:
    return str(run.rig.home / f"{name}.npz")
