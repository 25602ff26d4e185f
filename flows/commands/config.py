"""``headrace config``: the settings in force and where each came from."""

from __future__ import annotations

import argparse

import orjson

from flows.config import Setting, add_config_argument, load
from flows.engine.systems import flow_modules, known_flow


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare SYSTEM, --config and --json."""
    parser.add_argument("system", metavar="SYSTEM", help=" or ".join(flow_modules()))
    parser.add_argument("--json", action="store_true", help="a list of {name, value, origin}")
    add_config_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Print one setting a line, secrets masked."""
    known_flow(args.system)
    settings = load(args.config).listing()
    if args.json:
        rows = [{"name": s.name, "value": s.value, "origin": s.origin} for s in settings]
        print(orjson.dumps(rows, option=orjson.OPT_INDENT_2).decode())
    else:
        print("\n".join(map(_line, settings)))
    return 0


def _line(setting: Setting) -> str:
    value = orjson.dumps(setting.value).decode()
    return f"{setting.name} = {value}  ({setting.origin})"
