"""A hospital: its messages, with the mistakes that people make and the disorder of real feeds.

They become a recording (--out), or go to a listener (--mllp): three weeks at once, as if they ended
now, and then more and more, --speed times as fast as life.
"""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Self

from connectors.mllp.sender import Sender
from flows.adt.mllp_settings import Mllp
from flows.config import add_config_argument, load_settings
from replay import arguments
from replay.printing import print_recorded
from replay.progress import progress
from state.errors import Misuse

SPEED = 300.0
CONNECTIONS = 12
"""Each waits for an answer before it sends again, and an answer takes Kafka some milliseconds."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare --seed, --count, --out, --mllp and what belongs to one of them."""
    parser.add_argument("--seed", type=int, required=True, metavar="N")
    parser.add_argument(
        "--count",
        type=arguments.positive,
        metavar="N",
        help="messages; with --mllp without end where it is not given",
    )
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--out", type=Path, metavar="FILE", help="the recording to write")
    where.add_argument(
        "--mllp", action="store_true", help="send them to mllp.host and mllp.port instead"
    )
    parser.add_argument(
        "--speed",
        type=arguments.positive_float,
        default=SPEED,
        metavar="X",
        help=f"with --mllp: how much faster than life ({SPEED:g})",
    )
    arguments.add_partitions(parser)
    arguments.add_plaintext(parser)
    arguments.add_json(parser, "the count")
    add_config_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Write or send the hospital's messages; the same seed gives the same hospital."""
    if not 0 <= args.seed < 1 << 64:
        raise Misuse("--seed must be a whole number from 0 to 2^64 - 1")
    if args.mllp:
        return _send(args)
    if args.count is None:
        raise Misuse("a recording needs --count")
    return _record(args)


def _record(args: argparse.Namespace) -> int:
    from connectors.adt.envelope import TOPIC
    from flows.adt.settings import Adt
    from replay.adt.sending import record_hospital
    from replay.keys import protection

    protected = protection([TOPIC], plaintext=args.plaintext, makes_key=True)
    domains = load_settings(args.config).of(Adt).domains
    with progress("simulate", args.count) as advance:
        count = record_hospital(
            args.seed, args.count, args.out, args.partitions, protected, domains, advance
        )
    print_recorded(args.out, count, as_json=args.json)
    return 0


def _send(args: argparse.Namespace) -> int:
    """Send until there are --count messages, or a signal ends it."""
    from flows.adt.ingest_mllp import sender
    from replay.adt.playing import Clock, messages

    table = load_settings(args.config).of(Mllp)
    clock = Clock.starting(time.time(), args.speed)
    all_of_them = Shared(islice(messages(clock, args.seed), args.count))
    senders = [sender(table) for _ in range(CONNECTIONS)]
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        for ended in [pool.submit(each.send, all_of_them) for each in senders]:
            ended.result()
    accepted, refused = (sum(each) for each in zip(*(_counts(s) for s in senders), strict=True))
    print(f"{accepted} accepted, {refused} refused")
    return 0 if not refused else 1


def _counts(sender: Sender) -> tuple[int, int]:
    return sender.sent.accepted, sender.sent.refused


class Shared:
    """An iterator for several threads: each gets the next message that nobody has."""

    def __init__(self, messages: Iterator[bytes]) -> None:
        self._messages = messages
        self._turn = threading.Lock()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        with self._turn:
            return next(self._messages)
