"""``headrace record``: write what topics hold into a recording."""

from __future__ import annotations

import argparse
import sys
from functools import partial

from flows.config import add_config_argument, load_settings
from flows.engine.marks import marked_cluster
from replay import arguments
from replay.keys import protection, seal_in_force
from replay.printing import print_recorded
from replay.progress import progress
from replay.recorder import Until, record


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare TOPIC..., --out, --until, --count, --plaintext and --json."""
    parser.add_argument("topics", nargs="+", metavar="TOPIC")
    arguments.add_out_file(parser)
    arguments.add_plaintext(parser)
    end = parser.add_mutually_exclusive_group()
    end.add_argument(
        "--until",
        type=arguments.time,
        metavar="TIME",
        help="up to this Kafka time, even if to come",
    )
    end.add_argument(
        "--count", type=arguments.positive, metavar="N", help="N messages, waiting for them"
    )
    add_config_argument(parser)
    arguments.add_json(parser, "the count")


def run(args: argparse.Namespace) -> int:
    """Write the recording; without --until or --count, what the topics hold now."""
    cluster = marked_cluster(load_settings(args.config))
    until = Until(args.count, args.until)
    topics = list(dict.fromkeys(args.topics))
    protected = protection(topics, plaintext=args.plaintext, config=args.config)
    keys = partial(seal_in_force, args.config)
    with progress("record", args.count) as advance:
        count, closed = record(topics, cluster, args.out, until, advance, protected, keys)
    if closed:
        print(
            f"headrace: record: {closed} values do not open with these keys, and stay sealed",
            file=sys.stderr,
        )
    print_recorded(args.out, count, as_json=args.json)
    return 0
