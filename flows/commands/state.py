"""``headrace state show``: what a flow knows about one key, and why."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
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

WHY = "because"
"""Where a state names what it follows from: a list of documents, the oldest first."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare SYSTEM, KIND, KEY and --why."""
    parser.add_argument("action", choices=["show"])
    parser.add_argument(
        "system", metavar="SYSTEM|FILE.py", help=f"{' or '.join(flow_modules())}, or a file"
    )
    parser.add_argument(
        "words",
        nargs="+",
        metavar="[KIND] KEY",
        help="an id that its records have, and what it is the id of, such as visit V1",
    )
    parser.add_argument(
        "--why", action="store_true", help="the messages that it follows from, a line for each"
    )
    parser.add_argument("--generation", type=int, metavar="N", help="default: the newest there is")
    add_config_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Print the state of the key in the last durable snapshot as JSON, or what it follows from."""
    *kinds, key = args.words
    if len(kinds) > 1:
        raise Misuse("say one key, and at most one word of what it is: visit V1")
    settings = load_settings(args.config)
    flow = find_flow(args.system)
    logics = flow.logics(settings)
    if not logics:
        raise Misuse(f"{flow.name} keeps no state but its offsets")
    root = settings.run.state_dir.resolve() / flow.name
    generation = find_generation(root, args.generation, settings.run.generation)
    said, seal = flow_hash(flow, settings), seal_of(flow, settings)
    steps = {f"{flow.name}.{name}": Step(make, said, seal=seal) for name, make in logics.items()}
    shards = described(generation.recovery, steps, key)
    found = [each for shard in shards if (each := _of_kind(shard, kinds))["state"]]
    if not found:
        what = " ".join(args.words)
        raise HeadraceError(f"the last snapshot of {flow.name} knows nothing of {what}")
    if args.why:
        return _print_reasons(found, flow.name)
    answer = {"key": key, "generation": generation.number, "shards": found}
    print(orjson.dumps(answer, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS).decode())
    return 0


def _of_kind(shard: dict[str, Any], kinds: list[str]) -> dict[str, Any]:
    """Return what a shard knows, of a kind only what its name in the plural holds."""
    if not kinds:
        return shard
    plural = f"{kinds[0]}s"
    return shard | {"state": {name: of for name, of in shard["state"].items() if name == plural}}


def _print_reasons(found: list[dict[str, Any]], flow: str) -> int:
    lines = list(reasons(found))
    if not lines:
        raise Misuse(f"{flow} does not keep what its state follows from")
    print("\n".join(lines))
    return 0


def reasons(said: Any) -> Iterator[str]:
    """Yield the lines of each document that says why: its texts, then each reason's.

    >>> why = [{"message": "T:0:7", "trigger": "A01"}]
    >>> list(reasons([{"visit": "V1", "stays": [], "because": why}]))
    ['visit V1', '  message T:0:7, trigger A01']
    """
    if isinstance(said, dict):
        if WHY in said:
            yield _texts(said)
            yield from (f"  {_texts(each)}" for each in said[WHY])
            return
        said = list(said.values())
    if isinstance(said, list):
        for each in said:
            yield from reasons(each)


def _texts(document: dict[str, Any]) -> str:
    return ", ".join(f"{name} {text}" for name, text in document.items() if isinstance(text, str))
