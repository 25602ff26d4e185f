"""``headrace replay``: run a system over recordings, without any server."""

from __future__ import annotations

import argparse

from flows.config import add_config_argument, load_settings
from flows.runner import find_flow
from flows.systems import SYSTEMS
from replay import arguments
from replay.files import OutputFiles
from replay.progress import progress
from replay.recording import Recording
from replay.report import print_written
from replay.running import Manner, replay
from state.errors import Misuse
from state.outputs import OUTPUTS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare SYSTEM, RECORDING..., --out and how to run."""
    parser.add_argument("system", metavar="SYSTEM", help="market, or a flow file of your own")
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
    add_config_argument(parser)
    arguments.add_json(parser, "the files")


def run(args: argparse.Namespace) -> int:
    """Write the outputs as canonical files."""
    settings = load_settings(args.config)
    if args.system in SYSTEMS and args.system not in OUTPUTS:
        raise Misuse(f"{args.system} has no outputs of its own: choose {', '.join(OUTPUTS)}")
    flow = find_flow(args.system)
    recording = Recording(args.recordings)
    files = OutputFiles(args.out, OUTPUTS.get(flow.name, ()), settings.run.max_dead_bytes)
    manner = Manner(args.workers, args.batch or settings.kafka.batch, args.speed)
    with progress("replay", len(recording)) as advance:
        replay(flow, recording, settings, files, manner, advance)
    print_written(files.write(), as_json=args.json)
    return 0
