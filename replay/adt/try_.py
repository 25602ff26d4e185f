"""Try cases of ADT messages: files in, the tables that they have to give, in every order.

DIR holds cases as JSON files (docs/cases.md). Prints a line for each, and the first difference of
those that fail.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from state.errors import Misuse

if TYPE_CHECKING:
    from replay.adt.cases import Result


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare DIR."""
    parser.add_argument("directory", metavar="DIR", type=Path, help="a directory of cases (*.json)")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")


def run(args: argparse.Namespace) -> int:
    """Try all cases; return 0 where none fails, else 1."""
    from replay.adt.cases import try_case

    cases = _read(args.directory)
    results, others = [], []
    for name, case in cases.items():
        if "files" in case.get("input", {}):
            results.append(try_case(name, case))
            if not args.json:
                print(_line(results[-1]))
        else:
            others.append(name)
    failed = sum(bool(each.difference) for each in results)
    if args.json:
        answer = {"results": [each._asdict() for each in results], "others": others}
        print(orjson.dumps(answer, option=orjson.OPT_INDENT_2).decode())
    else:
        print(f"{len(results)} cases, {failed} failed.")
        if others:
            print(f"Without files of messages, and not tried: {', '.join(others)}.")
    return 1 if failed else 0


def _read(directory: Path) -> dict[str, dict[str, Any]]:
    """Return the cases of a directory by name. Raises Misuse where there is none."""
    found = {}
    for path in sorted(directory.glob("*.json")):
        try:
            case = orjson.loads(path.read_bytes())
            case["input"], case["expect"]
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise Misuse(f"{path.name} is no case: {error}") from None
        found[path.stem] = case
    if not found:
        raise Misuse(f"there is no case (*.json) in {directory}")
    return found


def _line(result: Result) -> str:
    orders = f" ({result.orders} orders)" if result.orders > 1 else ""
    unchecked = f" Not checked: {', '.join(result.unchecked)}." if result.unchecked else ""
    told = f"FAILED: {result.difference}" if result.difference else f"ok{orders}"
    return f"{result.name} {told} {result.title}.{unchecked}"
