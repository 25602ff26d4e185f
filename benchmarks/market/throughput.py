"""(a) share of a bare loop, by column and as objects; (b) multiple of stock; (c) frames."""

from __future__ import annotations

from typing import Any

import orjson
from pydantic import SecretStr

from benchmarks.market.feed import Feed
from benchmarks.market.rig import EPOCH, PARTITIONS, SHARDS, Run
from benchmarks.market.topics import FRAME, make_topic, publish_frames, publish_json
from benchmarks.report import Goal
from connectors.redis.reader import RedisReader
from state.errors import Broken

JSON_TOPIC, FRAMES_TOPIC = "bench.json", "bench.frames"
JSON_SYMBOLS, JSON_RATE = 32, 20_000
FRAME_SYMBOLS, FRAME_RATE = 32, 200_000

SHARE = Goal(0.6)
COLUMNS, COLUMNS_STRETCH = Goal(1.5), 2.5
MULTIPLE, STRETCH = Goal(5.0), 10.0
TICKS_PER_CPU_S = Goal(5e6)
OUTPUTS_PER_1000 = Goal(1.0, most=True)

Result = dict[str, Any]

BY_COLUMN, AS_OBJECTS = "columns", "objects"
LOOPS = {"loop": ("loop", BY_COLUMN), "loop objects": ("loop", AS_OBJECTS)}
ENGINES = {"engine": ("engine", BY_COLUMN), "engine objects": ("engine", AS_OBJECTS)}
"""What is measured -> its program, and how it takes messages (kafka.reading)."""


def run_json(run: Run, *, loop: bool, stock: bool) -> None:
    """Measure (a) and (b): loop, engine and stock in turn, over the same topic."""
    rig, report = run.rig, run.report
    make_topic(rig.kafka.bootstrap, JSON_TOPIC, PARTITIONS)
    feed = Feed(1, JSON_SYMBOLS, JSON_RATE, spikes=JSON_SYMBOLS)
    messages = publish_json(
        rig.kafka.bootstrap, JSON_TOPIC, PARTITIONS, feed, run.options.messages, JSON_RATE
    )
    conditions = (
        f"{messages:,} messages of one JSON tick, already in a topic of {PARTITIONS} partitions;",
        f"{JSON_SYMBOLS} symbols, {JSON_RATE:,} ticks a second of event time; risk on 1 s bars",
        f"engine: 1 worker, {SHARDS} shard, Redis and Kafka sinks, recovery with {EPOCH} epochs;",
        "clock from before the consumers are opened to after the last snapshot",
    )
    rounds = [
        _round(run, messages, number, loop=loop, stock=stock)
        for number in range(run.options.repeats)
    ]
    engine = [found["engine"] for found in rounds]
    report.part("a" if loop else "b", "JSON, one tick a message", *conditions)
    report.note("a" if loop else "b", _outputs(engine[0]))
    part = "a" if loop else "b"
    _rates(run, part, "engine", engine)
    report.figure(part, "engine thread alone, CPU", "s", [found["thread_cpu"] for found in engine])
    if loop:
        _report_ways(run, rounds)
    if stock:
        _report_stock(run, [found["stock"] for found in rounds], engine)


def _report_ways(run: Run, rounds: list[dict[str, Result]]) -> None:
    """Report (a): against the bare loop, and by column against as objects, round by round."""
    report = run.report
    by = {name: [found[name] for found in rounds] for name in (*LOOPS, *ENGINES)}
    _rates(run, "a", "engine, messages as objects", by["engine objects"])
    _rates(run, "a", "consume and decode only", by["loop"])
    _rates(run, "a", "consume and decode only, as objects", by["loop objects"])
    share = _ratios(by["loop"], by["engine"], "cpu")
    report.figure("a", "share of the bare loop's messages a CPU-second", "", share, SHARE)
    report.figure("a", "the same by wall", "", _ratios(by["loop"], by["engine"], "wall"))
    multiple = _ratios(by["engine objects"], by["engine"], "cpu")
    name = "multiple of the engine with objects, by CPU-seconds"
    report.figure("a", name, "x", multiple, COLUMNS)
    median = sorted(multiple)[len(multiple) // 2]
    report.note("a", f"stretch goal {COLUMNS_STRETCH:g}: {Goal(COLUMNS_STRETCH).verdict(median)}")
    loops = _ratios(by["loop objects"], by["loop"], "cpu")
    report.figure("a", "the same of the bare loop", "x", loops)


def run_frames(run: Run) -> None:
    """Measure (c)."""
    rig, report = run.rig, run.report
    make_topic(rig.kafka.bootstrap, FRAMES_TOPIC, PARTITIONS)
    messages = publish_frames(
        rig.kafka.bootstrap, FRAMES_TOPIC, PARTITIONS,
        Feed(2, FRAME_SYMBOLS, FRAME_RATE), run.options.ticks, FRAME_RATE,
    )  # fmt: skip
    found = [
        rig.measure("engine", rig.settings(FRAMES_TOPIC), messages=messages)
        for _ in range(run.options.repeats)
    ]
    for result in found:
        _check_count("engine", result["records"], run.options.ticks + PARTITIONS)
    report.part(
        "c",
        "packed frames",
        f"{run.options.ticks:,} ticks in {messages - PARTITIONS:,} frames of {FRAME}, "
        f"{PARTITIONS} partitions, {FRAME_SYMBOLS} symbols, {FRAME_RATE:,} ticks a second of event "
        f"time; engine as in (a)",
        _outputs(found[0]),
    )
    ticks = run.options.ticks
    report.figure("c", "engine, wall", "ticks/s", [ticks / r["wall"] for r in found])
    report.figure(
        "c", "whole process, user and system", "ticks/CPU-s", [ticks / r["cpu"] for r in found],
        TICKS_PER_CPU_S,
    )  # fmt: skip
    report.figure(
        "c", "engine thread alone", "ticks/CPU-s", [ticks / r["thread_cpu"] for r in found]
    )
    per_1000 = [1000 * sum(r["outputs"].values()) / ticks for r in found]
    report.figure("c", "outputs per 1,000 ticks", "", per_1000, OUTPUTS_PER_1000)


def _round(run: Run, messages: int, number: int, *, loop: bool, stock: bool) -> dict[str, Result]:
    """Measure each once, in an order that turns with the rounds."""
    rig = run.rig
    programs = {
        **(LOOPS if loop else {}),
        **(ENGINES if loop else {"engine": ENGINES["engine"]}),
        **({"stock": ("stock", BY_COLUMN)} if stock else {}),
    }
    names = list(programs)
    turn = number % len(names)
    found: dict[str, Result] = {}
    for name in names[turn:] + names[:turn]:
        program, way = programs[name]
        env = rig.settings(JSON_TOPIC, HEADRACE_KAFKA__READING=way)
        result = rig.measure(program, env, messages=messages, bars=number == 0)
        _check_count(name, result["messages"], messages)
        if name == "engine" and number == 0 and stock:
            result["bars"] = _bars(run, int(env["HEADRACE_RUN__GENERATION"]))
        found[name] = result
    return found


def _check_count(program: str, found: int, expected: int) -> None:
    if found != expected:
        raise Broken(f"{program} consumed {found} of {expected}")


def _bars(run: Run, generation: int) -> list[Any]:
    """Return the engine's bars as the stock flow gives its own; VWAP for the notional."""
    reader = RedisReader(SecretStr(run.rig.valkey.url), "market", generation)
    names = (
        "symbol", "interval", "start_ns", "open", "high", "low", "close", "volume", "vwap",
        "trades",
    )  # fmt: skip
    records = (orjson.loads(entry.value) for entry in reader.entries("bars"))
    bars = sorted([record[name] for name in names] for record in records)
    reader.close()
    return bars


def _report_stock(run: Run, stock: list[Result], engine: list[Result]) -> None:
    report = run.report
    ours = engine[0]["bars"]
    # Bar 5 and 4 are low and high, which a mean price does not leave.
    theirs = sorted(
        [*bar[:8], min(max(bar[8] / bar[7], bar[5]), bar[4]), bar[9]] for bar in stock[0]["bars"]
    )
    if ours != theirs:
        raise Broken(f"bars differ: {len(ours)} of ours, {len(theirs)} of stock Bytewax")
    report.part(
        "b",
        "the same topic and work in stock Bytewax",
        "KafkaSource, orjson, stateful_map, fold_window(ordered=False), event time alone; no "
        "recovery, lists in memory as sinks (ours writes Redis and Kafka, with recovery)",
        f"{len(ours):,} bars of both are equal; breaches: ours "
        f"{engine[0]['outputs'].get('signals', 0):,.0f}, stock {stock[0]['outputs']['signals']:,} "
        "(there a forecast and a trade may overtake each other)",
    )
    _rates(run, "b", "stock Bytewax", stock)
    multiple = _ratios(stock, engine, "wall")
    report.figure("b", "multiple of stock Bytewax's throughput", "x", multiple, MULTIPLE)
    report.note(
        "b",
        f"stretch goal {STRETCH:g}: {Goal(STRETCH).verdict(sorted(multiple)[len(multiple) // 2])}",
    )
    report.figure("b", "the same by CPU-seconds", "x", _ratios(stock, engine, "cpu"))


def _rates(run: Run, part: str, name: str, results: list[Result]) -> None:
    rates = [result["messages"] / result["wall"] for result in results]
    run.report.figure(part, f"{name}, wall", "msg/s", rates)
    run.report.figure(part, f"{name}, CPU of the process", "s", [r["cpu"] for r in results])


def _ratios(slow: list[Result], fast: list[Result], name: str) -> list[float]:
    """Return, round by round, how many times less the second took than the first."""
    return [one[name] / other[name] for one, other in zip(slow, fast, strict=True)]


def _outputs(result: Result) -> str:
    outputs, snapshots = result["outputs"], result["snapshots"]
    counts = ", ".join(f"{name} {value:,.0f}" for name, value in sorted(outputs.items()))
    per_1000 = 1000 * sum(outputs.values()) / max(1, result["records"])
    return (
        f"outputs: {counts} ({per_1000:.2f} per 1,000 ticks); {result['blocks']:,} blocks; "
        f"{snapshots['count']:.0f} snapshots of a shard, {snapshots['mean_bytes']:,.0f} bytes each"
    )
