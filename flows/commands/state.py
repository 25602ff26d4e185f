"""``headrace state show``: what a flow knows about one key."""

from __future__ import annotations

import argparse
import importlib

import orjson

from flows.config import add_config_argument, load_settings
from flows.generation import find_generation
from flows.snapshots import last_snapshots
from flows.systems import SYSTEMS, known_system
from state.errors import HeadraceError, Misuse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare SYSTEM and KEY."""
    parser.add_argument("action", choices=["show"])
    parser.add_argument("system", metavar="SYSTEM", help=" or ".join(SYSTEMS))
    parser.add_argument("key", metavar="KEY", help="in market, a symbol")
    parser.add_argument("--generation", type=int, metavar="N", help="default: the newest there is")
    add_config_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Print the state of the key in the last durable snapshot as JSON."""
    module = importlib.import_module(SYSTEMS[known_system(args.system)])
    if not hasattr(module, "describe"):
        raise Misuse(f"{args.system} keeps no state but its offsets")
    settings = load_settings(args.config)
    root = settings.run.state_dir.resolve() / args.system
    generation = find_generation(root, args.generation, settings.run.generation)
    found = [
        {"shard": shard, "epoch": epoch, "partitions": partitions}
        for step, shard, epoch, snapshot in last_snapshots(generation.recovery)
        if step.startswith(f"{args.system}.shard")
        and (
            partitions := module.describe(
                settings.market, settings.kafka.shards, snapshot, args.key
            )
        )
    ]
    if not found:
        raise HeadraceError(f"the last snapshot of {args.system} knows nothing of {args.key}")
    answer = {"key": args.key, "generation": generation.number, "shards": found}
    print(orjson.dumps(answer, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS).decode())
    return 0
