"""What a core does with ADT messages, and what it has to keep: no server, no Kafka.

Compared in one run and in turns with hl7apy on the same bytes.
"""

from __future__ import annotations

import argparse
import pickle
import random
import time
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.parser import parse_message

from benchmarks.adt.hospital import messages
from benchmarks.machine import facts, settle
from benchmarks.report import Goal, Report
from connectors.adt.messages import parse
from connectors.hl7.message import Message
from flows.adt.settings import Adt
from operators.adt.timeline import Timeline
from operators.outputs import Outputs
from replay import arguments
from state.adt.facts import Told
from state.adt.outputs import OUTPUTS
from state.records import Coordinates
from state.rows import RowBlock
from state.snapshots import checked, pack

BLOCK = 500
PARSED = Goal(150_000)
WORKED = Goal(10_000)
WRITTEN = Goal(1 << 20, most=True)
AN_EPOCH = 100
"""Messages in an epoch of a second."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the sizes."""
    positive = arguments.positive
    parser.add_argument("--visits", type=positive, default=5000, metavar="N", help="a, b (5000)")
    parser.add_argument(
        "--held", type=positive, default=20_000, metavar="N", help="c: visits held (20,000)"
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
    report.part("a", "reading messages, one core", f"{len(raws):,} messages, hl7apy 200")
    few = [raw.decode() for raw in islice(raws, 200)]
    routed, ours, theirs = [], [], []
    for _ in range(repeats):
        routed.append(_rate(raws, _route))
        ours.append(_rate(raws, parse))
        theirs.append(_rate(few, _by_hl7apy))
    report.figure("a", "parse and route: trigger, domain, patient", "messages/s", routed, PARSED)
    report.figure("a", "all that a message says", "messages/s", ours)
    report.figure("a", "hl7apy, tolerant: four fields", "messages/s", theirs)
    ratios = [a / b for a, b in zip(routed, theirs, strict=True)]
    report.figure("a", "parse and route, of hl7apy's", "times", ratios)


def _working(report: Report, raws: Sequence[bytes], repeats: int) -> None:
    report.part("b", "messages to records of all tables, one core", "parsing included")
    report.figure("b", "Headrace", "messages/s", [_worked(raws) for _ in range(repeats)], WORKED)


def _worked(raws: Sequence[bytes]) -> float:
    logic, outputs = Timeline(Adt().pages), Outputs(OUTPUTS)
    began = time.process_time()
    _take(logic, outputs, raws, 0)
    return len(raws) / (time.process_time() - began)


def _holding(report: Report, visits: int) -> None:
    report.part(
        "c",
        f"state with {visits:,} visits held",
        f"{Adt().pages:,} pages; {AN_EPOCH} messages an epoch; snapshots before they are sealed",
    )
    logic, outputs = Timeline(Adt().pages), Outputs(OUTPUTS)
    raws = list(messages(visits))
    _take(logic, outputs, raws, 0)
    held = sum(_bytes(logic, page) for page in logic.entities.filled())
    report.figure("c", "bytes a visit", "B", [held / visits])
    logic.entities.take_touched()
    rng = random.Random(2)  # the same messages each time
    again = [rng.choice(raws).replace(b"|I|W", b"|I|X") for _ in range(AN_EPOCH)]
    _take(logic, outputs, again, len(raws))
    touched = logic.entities.take_touched()
    pages = sum(_bytes(logic, page) for page in touched)
    names = len(_encoded({"pages": sorted(logic.entities.filled())}))
    report.figure("c", "snapshot bytes an epoch", "B", [float(pages + names)], WRITTEN)


def _take(logic: Timeline, outputs: Outputs, raws: Sequence[bytes], first: int) -> None:
    for at in range(0, len(raws), BLOCK):
        told = [
            Told(Coordinates("adt.raw", 0, first + at + place), *parse(raw))
            for place, raw in enumerate(raws[at : at + BLOCK])
        ]
        list(logic.process(RowBlock("adt.raw", len(told), told), outputs))
        outputs.take()


def _bytes(logic: Timeline, page: int) -> int:
    return len(_encoded({"shard": "0", "page": page, "entities": logic.entities.dump(page)}))


def _encoded(parts: dict[str, Any]) -> bytes:
    return checked(pickle.dumps(pack("bench", parts), protocol=5))


def _rate(given: Sequence[Any], work: Callable[[Any], object]) -> float:
    began = time.process_time()
    for each in given:
        work(each)
    return len(given) / (time.process_time() - began)


def _route(raw: bytes) -> tuple[str, str, str, str]:
    """Read what says where a message goes."""
    message = Message(raw)
    return (message.text("MSH", 9, 2), message.text("MSH", 4), message.text("PID", 3),
            message.text("PV1", 19))  # fmt: skip


def _by_hl7apy(text: str) -> list[str]:
    """Read the fields that place a patient."""
    found = parse_message(text, validation_level=VALIDATION_LEVEL.TOLERANT, find_groups=False)
    return [found.evn.evn_2.to_er7(), found.pid.pid_3.to_er7(), found.pv1.pv1_3.to_er7(),
            found.pv1.pv1_19.to_er7()]  # fmt: skip
