"""(e) From a tick's scheduled sending to its breach signal visible in Redis, and where it goes.

One clock: all processes read this machine's system clock. The stages of a signal are
joined from what each process stored, by the tick's coordinates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.child import Child
from benchmarks.market.rig import EPOCH, PARTITIONS, SHARDS, Run
from benchmarks.market.sender import OPTIONS
from benchmarks.market.stored import Stored, load
from benchmarks.market.topics import make_topic
from benchmarks.report import (
    Goal,
    histogram,
    number,
    percentile_line,
    percentiles,
    stage_lines,
)
from state.clock import NS

RATE, SYMBOLS, SPIKES = 20_000, 128, 128
WARM_UP_S = 10
SLICES = 5
ALONE_PART = 4
"""The bare consumer runs alone, before, for this part of the time."""
OVERHEAD_MS = 5.0
TOPIC, ALONE_TOPIC = "bench.live", "bench.alone"
SIGNALS = "market.signals"

Ints = NDArray[np.int64]
STAGES = ("client", "broker", "poll", "decode", "exchange", "kernel", "to sink", "sink")


@dataclass(frozen=True, slots=True)
class Found:
    """What the processes of one run stored, by column."""

    engine: dict[str, Any]
    sender: Stored
    bare: Stored
    reader: Stored
    topic: Stored
    trace: Stored
    begin_ns: int
    """When the warm-up was over."""


def run(run: Run) -> None:
    """Measure and report."""
    report, seconds = run.report, run.options.seconds
    alone_s = max(1, seconds // ALONE_PART)
    alone = _alone(run, alone_s)
    found = _beside(run, seconds)
    due, seen = found.reader["due"], found.reader["seen"]
    counted = due >= found.begin_ns
    latency, when = (seen - due)[counted], due[counted]
    counts = found.topic["due"] >= found.begin_ns
    in_topic = (found.topic["seen"] - found.topic["due"])[counts]
    mine = found.bare["due"] >= found.begin_ns
    bare = (found.bare["consumed"] - found.bare["due"])[mine]
    snapshots = found.engine["snapshots"]
    report.part(
        "e",
        "latency, open loop",
        f"{RATE:,} ticks/s (Poisson) of JSON over {PARTITIONS} partitions, {SYMBOLS} symbols, "
        f"{seconds} s after {WARM_UP_S} s of warm-up; linger {OPTIONS['linger.ms']} ms, acks=all",
        f"engine: 1 worker, {SHARDS} shard, recovery with {EPOCH} epochs, "
        f"{snapshots['mean_bytes']:,.0f} bytes a shard's snapshot ({snapshots['count']:.0f} made)",
        f"{len(latency):,} breach signals, {len(latency) / seconds:.0f} a second; "
        f"{found.engine['messages']:,} messages in {found.engine['blocks']:,} blocks; engine "
        f"{100 * found.engine['cpu'] / found.engine['wall']:.0f} % of its core",
        "bare: a consumer of the same topic that does nothing else, on the engine's core; alone: "
        f"the same for {alone_s} s before, without the engine",
    )
    report.note(
        "e",
        percentile_line("scheduled -> signal in Redis", latency),
        percentile_line("scheduled -> signal in its topic", in_topic),
        percentile_line("scheduled -> consumed, bare", bare),
        percentile_line("scheduled -> consumed, alone", alone),
    )
    ours, theirs, told = percentiles(latency), percentiles(bare), percentiles(in_topic)
    for name in ("p50", "p99", "p99.9", "max"):
        report.figure("e", f"signal visible, {name}", "ms", [ours[name]])
        report.figure("e", f"signal in its topic, {name}", "ms", [told[name]])
        report.figure("e", f"bare consumer, {name}", "ms", [theirs[name]])
    report.figure("e", "bare consumer alone, p99", "ms", [percentiles(alone)["p99"]])
    slices = p99_by_part(latency, when, found.begin_ns, seconds)
    report.figure("e", f"signal visible, p99 of {SLICES} equal parts of the time", "ms", slices)
    limit = Goal(OVERHEAD_MS, most=True)
    report.figure("e", "p99 above the bare consumer's", "ms", [ours["p99"] - theirs["p99"]], limit)
    report.note("e", "histogram of scheduled -> signal in Redis:", *histogram(latency))
    report.note("e", *_stage_lines(found))


def _alone(run: Run, seconds: int) -> Ints:
    """Return the bare consumer's latencies while no engine runs."""
    messages = RATE * seconds
    make_topic(
        run.rig.kafka.bootstrap, ALONE_TOPIC, PARTITIONS, message_timestamp_type="LogAppendTime"
    )
    with Child(*_bare(run, ALONE_TOPIC, messages)) as bare:
        bare.heard()
        with Child(*_sender(run, ALONE_TOPIC, messages)) as sender:
            sender.heard()
        bare.heard()
    stored = _load(run, "bare")
    found: Ints = stored["consumed"] - stored["due"]
    return found


def _beside(run: Run, seconds: int) -> Found:
    """Run engine, bare consumer, reader and sender at once."""
    rig = run.rig
    messages = RATE * (WARM_UP_S + seconds)
    make_topic(rig.kafka.bootstrap, TOPIC, PARTITIONS, message_timestamp_type="LogAppendTime")
    env = rig.settings(TOPIC)
    generation = int(env["HEADRACE_RUN__GENERATION"])
    job = {"core": rig.cores.engine, "messages": messages, "trace": _path(run, "trace")}
    read = {
        "core": rig.cores.load, "url": rig.valkey.url, "system": "market", "output": "signals",
        "generation": generation, "out": _path(run, "reader"),
    }  # fmt: skip
    with (
        Child("benchmarks.market.reader", read) as reader,
        Child(*_bare(run, TOPIC, messages)) as bare,
        Child("benchmarks.market.engine", job, env) as engine,
    ):
        for child in (reader, bare, engine):
            child.heard()
        with Child(*_topic_reader(run)) as topic_reader:  # the engine has made the topic
            topic_reader.heard()
            with Child(*_sender(run, TOPIC, messages)) as sender:
                start_ns = sender.heard()["start_ns"]
            said = engine.heard()
            bare.heard()
            for each in (reader, topic_reader):
                each.stop()
                each.heard()
    names = ("sender", "bare", "reader", "topic", "trace")
    stored = {name: _load(run, name) for name in names}
    return Found(engine=said, begin_ns=start_ns + WARM_UP_S * NS, **stored)


def _bare(run: Run, topic: str, messages: int) -> tuple[str, dict[str, Any]]:
    job = {
        "core": run.rig.cores.engine, "bootstrap": run.rig.kafka.bootstrap, "topic": topic,
        "partitions": PARTITIONS, "messages": messages, "out": _path(run, "bare"),
    }  # fmt: skip
    return "benchmarks.market.bare", job


def _topic_reader(run: Run) -> tuple[str, dict[str, Any]]:
    job = {
        "core": run.rig.cores.load, "bootstrap": run.rig.kafka.bootstrap, "topic": SIGNALS,
        "out": _path(run, "topic"),
    }  # fmt: skip
    return "benchmarks.market.topic_reader", job


def _sender(run: Run, topic: str, messages: int) -> tuple[str, dict[str, Any]]:
    job = {
        "core": run.rig.cores.load, "bootstrap": run.rig.kafka.bootstrap, "topic": topic,
        "partitions": PARTITIONS, "messages": messages, "rate": RATE, "symbols": SYMBOLS,
        "spikes": SPIKES, "seed": 3, "out": _path(run, "sender"),
    }  # fmt: skip
    return "benchmarks.market.sender", job


def _path(run: Run, name: str) -> str:
    return str(run.rig.home / f"{name}.npz")


def _load(run: Run, name: str) -> Stored:
    return load(_path(run, name))


def p99_by_part(latency: Ints, when: Ints, begin_ns: int, seconds: int) -> list[float]:
    """Return the p99 (ms) of each equal part of the time that has signals."""
    at = np.minimum((when - begin_ns) * SLICES // (seconds * NS), SLICES - 1)
    parts = (latency[at == part] for part in range(SLICES))
    return [percentiles(part)["p99"] for part in parts if len(part)]


def _stage_lines(found: Found) -> list[str]:
    """Return where the time of the signals went, stage by stage and in the slowest hundredth."""
    stages, total, epoch = stages_of(found)
    lines = [
        "where it goes (ms): client = scheduled to handed to the producer; broker = to consumed",
        "by the bare consumer; poll = to consumed by the engine (below 0: before the bare one);",
        "decode; exchange = to the shard's step; kernel = that step; to sink = to Redis's write;",
        "sink = to seen by the reader; epoch = within an epoch's end (part of the others)",
        *stage_lines({**stages, "epoch": epoch}, total),
    ]
    ends = _ends(found.trace["snapshots"])
    took = ends[:, 1] - ends[:, 0]
    lines.append(percentile_line(f"the {number(len(took))} ends of epochs", took))
    return lines


def stages_of(found: Found) -> tuple[dict[str, Ints], Ints, Ints]:
    """Return each signal's time (ns) by stage, in all, and within an epoch's end."""
    reader = found.reader
    use = reader["due"] >= found.begin_ns
    partition, offset = reader["partition"][use], reader["offset"][use]
    place = _place(partition, offset)
    sent = _sent_at(found.sender)
    bare = found.bare
    blocks, writes = found.trace["blocks"], found.trace["writes"]
    block = blocks[_last_before(_place(blocks[:, 0], blocks[:, 1]), place)]
    counter = _place(partition, reader["counter"][use])
    began = writes[_last_before(_place(writes[:, 0], writes[:, 1]), counter), 3]
    bare_at = bare["consumed"][_last_before(_place(bare["partition"], bare["offset"]), place)]
    sent_at = sent[1][np.searchsorted(sent[0], place)]
    seen = reader["seen"][use]
    marks = [reader["due"][use], sent_at, bare_at, *block[:, 3:7].T, began, seen]
    stages = {
        name: later - earlier
        for name, earlier, later in zip(STAGES, marks[:-1], marks[1:], strict=True)
    }
    return stages, seen - marks[0], _overlap(marks[0], seen, _ends(found.trace["snapshots"]))


def _place(partition: Ints, offset: Ints) -> Ints:
    """Return one number for a partition and an offset, in their order."""
    return partition << 40 | offset


def _last_before(starts: Ints, places: Ints) -> Ints:
    """Return, for each place, the index of the last start that is not behind it."""
    order = np.argsort(starts, kind="stable")
    found: Ints = order[np.searchsorted(starts[order], places, "right") - 1]
    return found


def _sent_at(sender: Stored) -> tuple[Ints, Ints]:
    """Return every message's place, sorted, and when it was handed to the producer."""
    partition = sender["partition"]
    order = np.argsort(partition, kind="stable")
    counts = np.bincount(partition, minlength=PARTITIONS)
    offset = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    return _place(partition[order], offset), sender["sent"][order]


def _ends(snapshots: Ints) -> Ints:
    """Return (began, ended) of each epoch's end: snapshots less than 50 ms apart are of one."""
    if not len(snapshots):
        return snapshots.reshape(-1, 2)
    ordered = snapshots[np.argsort(snapshots[:, 0])]
    new = np.flatnonzero(np.diff(ordered[:, 0], prepend=-NS) > NS // 20)
    began = ordered[new, 0]
    ended = np.maximum.reduceat(ordered[:, 1], new)
    return np.column_stack((began, ended))


def _overlap(begin: Ints, end: Ints, spans: Ints) -> Ints:
    """Return how much of each [begin, end) lies within the spans, which do not overlap."""
    if not len(spans):
        return np.zeros_like(begin)
    first = np.searchsorted(spans[:, 1], begin)
    total = np.zeros_like(begin)
    for step in range(int(max(0, (end - begin).max(initial=0) // (NS // 20))) + 2):
        at = np.minimum(first + step, len(spans) - 1)
        inside = np.minimum(end, spans[at, 1]) - np.maximum(begin, spans[at, 0])
        total += np.where(first + step < len(spans), np.maximum(inside, 0), 0)
    return total
