"""``headrace publish``: write recordings back into Kafka."""

from __future__ import annotations

import argparse
from functools import partial

import orjson

from flows.config import add_config_argument, load_settings
from flows.engine.marks import marked_cluster
from replay import arguments
from replay.interleave import Speed
from replay.keys import seal_in_force
from replay.progress import progress
from replay.publishing import publish
from replay.recording import Recording
from state.clock import now_ns


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare RECORDING... and --speed."""
    arguments.add_recordings(parser)
    parser.add_argument(
        "--speed", type=arguments.positive_float, metavar="X", help="by Kafka's timestamps, X times"
    )
    add_config_argument(parser)
    arguments.add_json(parser, "the count")


def run(args: argparse.Namespace) -> int:
    """Produce every message; done means acknowledged."""
    cluster = marked_cluster(load_settings(args.config))
    keys = partial(seal_in_force, args.config)
    recording = Recording(args.recordings, keys)
    speed = Speed(args.speed, recording.first_ns, now_ns(), now_ns) if args.speed else None
    with progress("publish", len(recording)) as advance:
        count = publish(recording, cluster, speed, advance, keys)
    topics = sorted(recording.partitions)
    if args.json:
        print(orjson.dumps({"messages": count, "topics": topics}).decode())
    else:
        print(f"{', '.join(topics)}: {count:,} messages, all acknowledged")
    return 0
