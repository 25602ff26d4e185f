"""``headrace state show``: what a flow knows about one key."""

from __future__ import annotations

import argparse
from typing import Any

import orjson

from flows.config import add_config_argument, load_settings
from flows.engine.context import flow_hash
from flows.engine.flows import find_flow
from flows.engine.generation import find_generation
from flows.engine.recovery import described
from flows.engine.sealed import seal_of
from flows.engine.step import Step
from flows.engine.systems import flow_modules
from state.errors import HeadraceError, Misuse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare SYSTEM and KEY."""
    parser.add_argument("action", choices=["show"])
    parser.add_argument(
        "system", metavar="SYSTEM|FILE.py", help=f"{' or '.join(flow_modules())}, or a file"
    )
    parser.add_argument("key", metavar="KEY", help="an id that its records have")
    parser.add_argument("--generation", type=int, metavar="N", help="default: the newest there is")
    add_config_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Print the state of the key in the last durable snapshot as JSON."""
    settings = load_settings(args.config)
    flow = find_flow(args.system)
    logics = flow.logics(settings)
    if not logics:
        raise Misuse(f"{flow.name} keeps no state but its offsets")
    root = settings.run.state_dir.resolve() / flow.name
    generation = find_generation(root, args.generation, settings.run.generation)
    said, seal = flow_hash(flow, settings), seal_of(flow, settings)
    steps = {f"{flow.name}.{name}": Step(make, said, seal=seal) for name, make in logics.items()}
    found: list[dict[str, Any]] = list(described(generation.recovery, steps, args.key))
    if not found:
        raise HeadraceError(f"the last snapshot of {flow.name} knows nothing of {args.key}")
    answer = {"key": args.key, "generation": generation.number, "shards": found}
    print(orjson.dumps(answer, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS).decode())
    return 0
