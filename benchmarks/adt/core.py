"""What a core does with ADT messages, and what it has to keep: no server, no Kafka.

Compared in one run and in turns with hl7apy on the same bytes, and with python-hl7 where that is
installed (`pip install hl7`).
"""

from __future__ import annotations

import argparse
import importlib
import pickle
import random
import time
from collections.abc import Callable, Iterable, Sequence
from importlib.util import find_spec
from itertools import islice
from typing import Any

import psutil  # type: ignore[import-untyped]  # it ships no types
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.parser import parse_message

from benchmarks.adt.hospital import STAY, messages
from benchmarks.machine import facts, settle
from benchmarks.report import Goal, Report
from connectors.adt.messages import parse
from connectors.hl7.message import Message
from flows.adt.settings import Adt
from operators.adt.timeline import Timeline
from operators.outputs import Outputs
from replay import arguments
from replay.adt.hospital import Hospital
from replay.adt.sending import sent
from state.adt.facts import Told
from state.adt.outputs import OUTPUTS
from state.records import Coordinates
from state.rows import RowBlock
from state.snapshots import checked, pack

BLOCK = 500
PARSED = Goal(150_000)
WORKED = Goal(10_000)
WRITTEN = Goal(1 << 20, most=True)
A_BUSY_EPOCH = 1000
AN_EPOCH = 100
"""Messages in an epoch of a second."""
BEDS, VISITS_A_BED = 1000, 5
"""A hospital has as many beds as its visits need: so many of them end in a bed one by one."""
PYTHON_HL7 = "hl7"
FEW, MORE = 200, 2000
"""Messages that hl7apy and python-hl7 read."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the sizes."""
    positive = arguments.positive
    parser.add_argument("--visits", type=positive, default=5000, metavar="N", help="a, b (5000)")
    parser.add_argument(
        "--held",
        type=positive,
        default=20_000,
        metavar="N",
        help="d: visits held; c: a tenth (20,000)",
    )
    parser.add_argument("--repeats", type=positive, default=3, metavar="N")
    arguments.add_json(parser, "all figures")


def run(args: argparse.Namespace) -> int:
    """Measure and print; a goal that is missed is printed as missed, and is no failure."""
    report = Report(args.json, facts())
    report.begin()
    raws = list(messages(args.visits))
    settle()
    _parsing(report, raws, args.repeats)
    _working(report, raws, args.repeats)
    _holding(report, args.held)
    report.end()
    return 0


def _parsing(report: Report, raws: Sequence[bytes], repeats: int) -> None:
    conditions = [f"{len(raws):,} messages; hl7apy {FEW}"]
    others = {"hl7apy, tolerant": (by_hl7apy, FEW)}
    if find_spec(PYTHON_HL7):
        others["python-hl7"] = (by_python_hl7, MORE)
        conditions.append(f"python-hl7 {MORE:,}")
    else:
        conditions.append("python-hl7 is not installed")
    report.part("a", "reading messages, one core", *conditions)
    routed: list[float] = []
    ours: list[float] = []
    theirs: dict[str, list[float]] = {name: [] for name in others}
    for _ in range(repeats):
        routed.append(_rate(raws, route))
        ours.append(_rate(raws, parse))
        for name, (work, count) in others.items():
            theirs[name].append(_rate([raw.decode() for raw in islice(raws, count)], work))
    report.figure("a", "parse and route: trigger, domain, patient", "messages/s", routed, PARSED)
    report.figure("a", "all that a message says", "messages/s", ours)
    for name, rates in theirs.items():
        report.figure("a", f"{name}: four fields", "messages/s", rates)
        ratios = [a / b for a, b in zip(routed, rates, strict=True)]
        report.figure("a", f"parse and route, to {name}", "times", ratios)


def _working(report: Report, raws: Sequence[bytes], repeats: int) -> None:
    conditions = f"parsing, and the snapshot of every {A_BUSY_EPOCH:,} messages, included"
    report.part("b", "messages to records of all tables, one core", conditions)
    simulated = [each.value for each in sent(Hospital(1), 1, len(raws))]
    for name, given in (("stays in random beds", raws), ("simulate adt", simulated)):
        rates = [_worked(given) for _ in range(repeats)]
        report.figure("b", f"Headrace: {name}", "messages/s", rates, WORKED)


def _worked(raws: Sequence[bytes]) -> float:
    """Return messages a second of a core, with what is written in each epoch of a full second."""
    logic, outputs = Timeline(Adt().pages), Outputs(OUTPUTS)
    began = time.process_time()
    for first in range(0, len(raws), A_BUSY_EPOCH):
        _take(logic, outputs, raws[first : first + A_BUSY_EPOCH], first)
        for page in logic.entities.take_touched():
            _bytes(logic, page)
    return len(raws) / (time.process_time() - began)


def _holding(report: Report, most: int) -> None:
    conditions = f"{Adt().pages:,} pages; {AN_EPOCH} messages an epoch; before they are sealed"
    for part, visits in (("c", max(1, most // 10)), ("d", most)):
        report.part(part, f"state with {visits:,} visits held", conditions)
        _held(report, part, visits)


def _held(report: Report, part: str, visits: int) -> None:
    rng = random.Random(2)  # the same messages each time
    again = set(rng.choices(range(visits * len(STAY)), k=AN_EPOCH))
    late: list[bytes] = []
    logic, outputs = Timeline(Adt().pages), Outputs(OUTPUTS)
    told = messages(visits, beds=max(BEDS, visits // VISITS_A_BED))
    _take(logic, outputs, _keeping(told, again, late), 0)
    memory = psutil.Process().memory_info().rss
    report.figure(part, "memory of the process", "MiB", [memory / (1 << 20)])
    held = sum(_bytes(logic, page) for page in logic.entities.filled())
    report.figure(part, "snapshot bytes a visit", "B", [held / visits])
    logic.entities.take_touched()
    changed = [raw.replace(b"|I|W", b"|I|X") for raw in late]
    _take(logic, outputs, changed, visits * len(STAY))
    touched = logic.entities.take_touched()
    report.figure(part, "pages written in an epoch", "", [float(len(touched))])
    pages = sum(_bytes(logic, page) for page in touched)
    names = len(_encoded({"pages": sorted(logic.entities.filled())}))
    report.figure(part, "snapshot bytes in an epoch, of pages", "B", [float(pages)])
    report.figure(part, "snapshot bytes in an epoch", "B", [float(pages + names)], WRITTEN)


def _keeping(raws: Iterable[bytes], places: set[int], kept: list[bytes]) -> Iterable[bytes]:
    """Yield messages, and keep those at some places."""
    for place, raw in enumerate(raws):
        if place in places:
            kept.append(raw)
        yield raw


def _take(logic: Timeline, outputs: Outputs, raws: Iterable[bytes], first: int) -> None:
    left = iter(raws)
    while block := list(islice(left, BLOCK)):
        told = [
            Told(Coordinates("adt.raw", 0, place), *parse(raw))
            for place, raw in enumerate(block, first)
        ]
        list(logic.process(RowBlock("adt.raw", len(told), told), outputs))
        outputs.take()
        first += len(block)


def _bytes(logic: Timeline, page: int) -> int:
    return len(_encoded({"shard": "0", "page": page, "entities": logic.entities.dump(page)}))


def _encoded(parts: dict[str, Any]) -> bytes:
    return checked(pickle.dumps(pack("bench", parts), protocol=5))


def _rate(given: Sequence[Any], work: Callable[[Any], object]) -> float:
    began = time.process_time()
    for each in given:
        work(each)
    return len(given) / (time.process_time() - began)


def route(raw: bytes) -> tuple[str, str, str, str]:
    """Read what says where a message goes."""
    message = Message(raw)
    return (message.text("MSH", 9, 2), message.text("MSH", 4), message.text("PID", 3),
            message.text("PV1", 19))  # fmt: skip


def by_hl7apy(text: str) -> list[str]:
    """Read the fields that place a patient."""
    found = parse_message(text, validation_level=VALIDATION_LEVEL.TOLERANT, find_groups=False)
    return [found.evn.evn_2.to_er7(), found.pid.pid_3.to_er7(), found.pv1.pv1_3.to_er7(),
            found.pv1.pv1_19.to_er7()]  # fmt: skip


def by_python_hl7(text: str) -> list[str]:
    """Read the fields that place a patient."""
    found = importlib.import_module(PYTHON_HL7).parse(text)
    pv1 = found.segment("PV1")
    return [str(found.segment("EVN")[2]), str(found.segment("PID")[3]), str(pv1[3]), str(pv1[19])]
