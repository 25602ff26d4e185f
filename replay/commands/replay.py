"""``headrace replay``: run a system over recordings, without any server."""

from __future__ import annotations

import argparse
import sys
from functools import partial

from flows.config import add_config_argument, load_settings
from flows.engine.flows import find_flow
from flows.engine.systems import flow_modules, flows_with_outputs
from replay import arguments
from replay.accounts import Account, accounts, since
from replay.files import OutputFiles
from replay.keys import seal_in_force
from replay.printing import print_written
from replay.progress import progress
from replay.recording import Recording
from replay.running import Manner, replay
from state.errors import Misuse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare SYSTEM, RECORDING..., --out and how to run."""
    parser.add_argument(
        "system",
        metavar="SYSTEM",
        help=f"{' or '.join(flows_with_outputs())}, or a flow file of your own",
    )
    arguments.add_recordings(parser)
    arguments.add_out_directory(parser)
    parser.add_argument(
        "--speed", type=arguments.positive_float, metavar="X", help="by Kafka's timestamps, X times"
    )
    parser.add_argument(
        "--workers", type=arguments.positive, default=1, metavar="N", help="threads"
    )
    parser.add_argument(
        "--batch", type=arguments.positive, metavar="N", help="messages in a block (kafka.batch)"
    )
    parser.add_argument(
        "--plaintext", action="store_true", help="leave secret outputs as they are: do not seal"
    )
    add_config_argument(parser)
    arguments.add_json(parser, "the files")


def run(args: argparse.Namespace) -> int:
    """Write the outputs as canonical files."""
    settings = load_settings(args.config)
    known = flows_with_outputs()
    if args.system in flow_modules() and args.system not in known:
        raise Misuse(f"{args.system} has no outputs of its own: choose {', '.join(known)}")
    flow = find_flow(args.system)
    recording = Recording(args.recordings, partial(seal_in_force, args.config))
    files = OutputFiles(args.out, tuple(flow.outputs), settings.run.max_dead_bytes)
    manner = Manner(args.workers, args.batch or settings.kafka.batch, args.speed, args.plaintext)
    before = accounts()
    with progress("replay", len(recording)) as advance:
        replay(flow, recording, settings, files, manner, advance)
    print_written(files.write(), as_json=args.json)
    for account in since(before):
        print(_line(account), file=sys.stderr)
    return 0


def _line(account: Account) -> str:
    records = account.records - account.heartbeats
    fates = f"{account.kept:,} kept, {account.duplicates:,} duplicates, {account.late:,} late"
    return f"{account.topic}: {records:,} records: {fates}"
