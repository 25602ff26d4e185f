"""``headrace dead``: list, show and retry dead letters."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import chain

import orjson

from connectors.kafka.client import Cluster
from connectors.kafka.topics import partition_count
from flows.config import add_config_argument, load_settings
from flows.dead import Letter, content, opened, read, send_again, to_send
from flows.engine.marks import marked_cluster
from flows.engine.systems import flow_modules, output_topic
from state.clock import NS
from state.errors import Misuse
from state.outputs import DEAD
from state.sealing import Seal


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what to do, for which flow, with which letters."""
    parser.add_argument("action", choices=["list", "show", "retry"])
    parser.add_argument("system", nargs="?", metavar="SYSTEM", help="(every flow that ran here)")
    parser.add_argument("--error", metavar="CLASS", help="only letters of this error class")
    parser.add_argument(
        "--coordinates", metavar="T/P/O[/S]", help="only this message, or this record of it"
    )
    parser.add_argument("--all", action="store_true", help="retry without any of these filters")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    add_config_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Read the flow's dead-letter topic; act on the letters that the filters let through."""
    settings = load_settings(args.config)
    cluster, keyring = marked_cluster(settings), settings.sealing.keyring()
    seal = Seal(keyring) if keyring else None
    if args.action == "retry" and not (args.error or args.coordinates or args.all):
        raise Misuse("say which letters to retry: --error CLASS, --coordinates T/P/O, or --all")
    systems = [args.system] if args.system else _with_letters(cluster)
    letters = chain.from_iterable(_letters(args, cluster, each, seal) for each in systems)
    if args.action == "retry":
        return _retry(args, cluster, list(letters))
    count = 0
    for letter in letters:
        count += 1
        print(_line(args, letter) if args.action == "list" else _whole(args, letter))
    if not args.json:
        print(f"{count} dead letters")
    return 0


def _with_letters(cluster: Cluster) -> list[str]:
    """Return the flows of ours whose dead-letter topic exists."""
    return [name for name in flow_modules() if partition_count(cluster, output_topic(name, DEAD))]


def _letters(
    args: argparse.Namespace, cluster: Cluster, system: str, seal: Seal | None
) -> Iterator[Letter]:
    """Yield the letters of one flow that the filters let through, as the action needs them."""
    for letter in _chosen(args, read(cluster, output_topic(system, DEAD))):
        if args.action == "list":
            yield letter
        else:
            yield (to_send if args.action == "retry" else opened)(letter, system, seal)


def _chosen(args: argparse.Namespace, letters: Iterator[Letter]) -> Iterator[Letter]:
    for letter in letters:
        name = str(letter.coordinates)
        named = not args.coordinates or args.coordinates in (name, name.rpartition("/")[0])
        if named and args.error in (None, letter.error):
            yield letter


def _line(args: argparse.Namespace, letter: Letter) -> str:
    if args.json:
        return orjson.dumps(letter.facts()).decode()
    when = datetime.fromtimestamp(letter.timestamp_ns / NS, UTC).isoformat(timespec="milliseconds")
    return f"{letter.coordinates}  {when}  {letter.error}  {letter.reason}"


def _whole(args: argparse.Namespace, letter: Letter) -> str:
    texts = content(letter)
    if args.json:
        return orjson.dumps(letter.facts() | texts).decode()
    value = texts["value"]
    shown = f"left out, {letter.length:,} bytes" if value is None else value
    return f"{_line(args, letter)}\n  key    {texts['key']}\n  value  {shown}"


def _retry(args: argparse.Namespace, cluster: Cluster, letters: list[Letter]) -> int:
    whole = [letter for letter in letters if letter.value is not None]
    left_out = len(letters) - len(whole)
    sent = send_again(cluster, whole)
    if args.json:
        print(orjson.dumps({"retried": sent, "left_out": left_out}).decode())
    else:
        print(
            f"{sent} retried" + (f"; {left_out} cannot be: too large to keep" if left_out else "")
        )
    return 1 if left_out else 0
