"""How fast a bulk export is, and how much memory it takes, whatever the size of the hospital.

A Valkey of its own holds visits of a made-up hospital, sealed, each with eight results. The export
runs as the gateway runs it; its CPU and its memory are those of its process, as the kernel says.
"""

from __future__ import annotations

import argparse
import re
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pydantic import SecretStr

from benchmarks.adt.hospital import STAY, messages
from benchmarks.machine import facts
from benchmarks.report import Goal, Report
from connectors.adt.messages import parse
from connectors.redis.keys import Keys
from connectors.redis.sink import RedisSink
from connectors.web.bulk import DONE, RUNNING, Exports, Job, Order
from flows.adt.bulk import TYPES
from flows.servers import Valkey
from operators.adt.timeline import Timeline
from operators.outputs import Outputs
from replay import arguments
from state.adt.facts import Told
from state.adt.outputs import OUTPUTS
from state.errors import Broken
from state.lifecycle import Lifecycle
from state.records import Coordinates
from state.rows import RowBlock
from state.sealing import Keyring, Seal
from state.shards import shard_name

FAST = Goal(20_000)
SMALL = Goal(256, most=True)
BLOCK = 500
RESULTS = 8
MOST_BYTES = 64 << 30
ORU = (
    r"MSH|^~\&|LAB|GH|HEADRACE|GH|{time}||ORU^R01|R{visit}|P|2.5.1||||||UNICODE UTF-8",
    "PID|1||{patient}^^^GH^MR",
    "PV1|1|I|||||||||||||||||V{visit}^^^GH^VN",
    "OBR|1||F{visit}|PANEL|||{time}",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the size."""
    parser.add_argument(
        "--visits", type=arguments.positive, default=10_000, metavar="N", help="(10,000)"
    )
    parser.add_argument("--repeats", type=arguments.positive, default=3, metavar="N")
    arguments.add_json(parser, "all figures")


def run(args: argparse.Namespace) -> int:
    """Measure and print; a goal that is missed is printed as missed, and is no failure."""
    report, keyring = Report(args.json, facts()), Keyring.generate()
    report.begin()
    with tempfile.TemporaryDirectory() as directory, Valkey(Path(directory)) as valkey:
        _fill(valkey.url, keyring, args.visits)
        runs = [_exported(valkey.url, keyring, Path(directory)) for _ in range(args.repeats)]
    counts, wall_s, cpu_s, peak_mib = zip(*runs, strict=True)
    report.part("a", "a bulk export of everything", f"{counts[0]:,} resources")
    by_core = [count / spent for count, spent in zip(counts, cpu_s, strict=True)]
    by_clock = [count / spent for count, spent in zip(counts, wall_s, strict=True)]
    report.figure("a", "resources of a core", "1/s", by_core, FAST)
    report.figure("a", "resources, its start included", "1/s", by_clock)
    report.figure("a", "peak memory of its process", "MiB", peak_mib, SMALL)
    report.end()
    return 0


def _fill(url: str, keyring: Keyring, visits: int) -> None:
    shard = shard_name(0)
    sink = RedisSink(
        SecretStr(url), Keys("adt", 1), "bench", 1_000, [shard], [shard], Lifecycle(), "bench"
    ).build_part("redis", shard, None)
    logic, outputs = Timeline(65_536), Outputs(OUTPUTS, Seal(keyring))
    for first, raws in enumerate(_blocks(visits)):
        told = [
            Told(Coordinates("adt.raw", 0, first * BLOCK + place), *parse(raw))
            for place, raw in enumerate(raws)
        ]
        list(logic.process(RowBlock("adt.raw", 1, told), outputs))
        sink.write_batch(outputs.take())
    sink.snapshot()
    sink.close()


def _blocks(visits: int) -> Iterator[list[bytes]]:
    block: list[bytes] = []
    for raw in messages(visits):
        if b"ADT^A01" in raw:
            block += [raw, _results(raw)]
        if len(block) >= BLOCK:
            yield block
            block = []
    yield block


def _results(admission: bytes) -> bytes:
    """Return eight results of the visit of an admission."""
    segments = admission.decode().split("\r")
    stamp = segments[0].split("|")[6]
    patient = segments[2].split("|")[3].split("^")[0]
    visit = segments[0].split("|")[9].removeprefix("C")[: -len(str(len(STAY) - 1))]
    lines = "\r".join(ORU).format(time=stamp, patient=patient, visit=visit)
    found = [
        f"OBX|{n}|NM|{n}-1^Value {n}^LN||{n * 10}|mg/dL|||||F|||{stamp}" for n in range(RESULTS)
    ]
    return "\r".join([lines, *found]).encode()


def _exported(url: str, keyring: Keyring, directory: Path) -> tuple[int, float, float, float]:
    """Return how many resources, and seconds by the clock, seconds of CPU and peak memory (MiB)."""
    exports = Exports("flows.adt.bulk", TYPES, directory / "exports", url, keyring, MOST_BYTES)
    before_s, began_s = _children_s(), time.monotonic()
    job = exports.start(Order(TYPES), "bench", "bench")
    peak_kib = 0
    while job.state == RUNNING:
        peak_kib = max(peak_kib, _peak_kib(job))
        time.sleep(0.01)
    took_s = time.monotonic() - began_s
    if job.state != DONE or job.finished is None:
        raise Broken(f"the export failed: {job.failure}")
    exports.close()
    count = sum(job.finished.files.values())
    return count, took_s, _children_s() - before_s, peak_kib / 1024


def _peak_kib(job: Job) -> int:
    """Return the most memory that the process of an export has had; 0 where it is gone.

    Not as the kernel tells it in the end: that counts what this process had when it made the other.
    """
    assert job.process is not None
    with suppress(OSError):
        told = Path(f"/proc/{job.process.pid}/status").read_text()
        found = re.search(r"VmHWM:\s+(\d+) kB", told)
        return int(found[1]) if found else 0
    return 0


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
