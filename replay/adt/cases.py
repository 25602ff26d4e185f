"""Cases: messages, and the tables that they have to give, in every order of their files.

A case is a JSON object, as in docs/cases.md. The messages go through the parser and the timeline
of the flow itself; no server is needed.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, tzinfo
from itertools import permutations
from math import factorial
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import orjson

from connectors.adt.codes import Codes, Pseudonyms
from connectors.adt.messages import parse
from connectors.hl7.files import contents
from operators.adt.deidentify import Deidentifier
from operators.adt.timeline import Timeline
from operators.outputs import Outputs
from replay.adt.checks import Rows, Seen, check, fits, matched
from replay.files import table_lines
from state.adt.deidentified import Mode
from state.adt.facts import Told
from state.adt.outputs import CENSUS, OUTPUTS
from state.clock import NS, now_ns
from state.errors import BadRecord
from state.outputs import to_json
from state.records import Coordinates
from state.rows import RowBlock
from state.sealing import Keyring, Seal

ALL_ORDERS = 6
"""So many files are tried in all orders; of more, as many orders are drawn."""
SEED = 20240305


class Result(NamedTuple):
    """What became of a case: the first difference, "" for none, and what was not looked at."""

    name: str
    title: str
    orders: int
    difference: str
    unchecked: list[str]


def try_case(name: str, case: dict[str, Any]) -> Result:
    """Run a case in the order of its files, in others, and with each message twice."""
    expect, title = case["expect"], str(case.get("title", ""))
    files = [contents(each["bytes"].encode("latin-1")) for each in case["input"]["files"]]
    settings = case.get("settings", {})
    zone = ZoneInfo(settings.get("adt.timezone", "UTC"))
    raws = [[*each.messages, *(part.raw for part in each.dead)] for each in files]
    first = see([raw for file in raws for raw in file], zone)
    if mode := settings.get("adt.deidentify"):
        first = first._replace(deidentified=_deidentified(first.tables, mode))
    checks = expect.get("checks", [])
    unchecked = [next(iter(each)) for each in checks if check(each, first, raws) is None]
    difference = _difference(expect, first, raws)
    orders = 1
    if not difference and expect.get("any_order"):
        for order in _orders(raws):
            orders += 1
            for again in (1, 2):
                found = see([raw for file in order * again for raw in file], zone)
                difference = difference or _of_orders(first, found, order, raws)
    return Result(name, title, orders, difference, unchecked)


def see(raws: Sequence[bytes], zone: tzinfo) -> Seen:
    """Return what messages give that come in this order."""
    outputs, logic, dead = Outputs(OUTPUTS), Timeline(1), []
    held: dict[str, dict[str, bytes]] = {output.name: {} for output in OUTPUTS}
    for offset, raw in enumerate(raws):
        try:
            said = parse(raw, zone)
        except BadRecord as error:
            dead.append(f"{type(error).__name__}: {error}")
            continue
        if not said.statements:
            continue
        told = Told(Coordinates("adt.raw", 0, offset), *said)
        list(logic.process(RowBlock("adt.raw", 1, [told]), outputs))
        for batch in outputs.take():
            for row, key in enumerate(batch.keys):
                if row in batch.retracted:
                    held[batch.output].pop(key, None)
                else:
                    held[batch.output][key] = bytes(batch.values[row])
    tables = {
        output.name: [
            orjson.loads(line)
            for _, value in sorted(held[output.name].items())
            for line in table_lines(output, value)
        ]
        for output in OUTPUTS
    }
    return Seen(len(raws), sorted(dead), tables)


def _deidentified(tables: dict[str, Rows], mode: Mode) -> str:
    seal = Seal(Keyring.generate())
    names = Codes() if mode == "safe_harbor" else Pseudonyms(seal, most=365)
    year = datetime.fromtimestamp(now_ns() / NS, UTC).year
    return to_json(Deidentifier(mode, names, tables, year).tables()).decode()


def _orders(files: list[list[bytes]]) -> Iterator[list[list[bytes]]]:
    if len(files) <= ALL_ORDERS:
        yield from map(list, permutations(files))
        return
    rng = random.Random(SEED)  # noqa: S311  # the same orders each time
    for _ in range(factorial(ALL_ORDERS)):
        yield rng.sample(files, len(files))


def _difference(expect: dict[str, Any], seen: Seen, raws: list[list[bytes]]) -> str:
    """Return the first thing that is not as expected, or ""."""
    if "records" in expect and seen.records != expect["records"]:
        return f"{seen.records} records, not {expect['records']}"
    if "dead" in expect and len(expect["dead"]) != len(seen.dead):
        return f"dead letters: {seen.dead}, not {expect['dead']}"
    for table, wanted in expect.get("tables", {}).items():
        rows = seen.tables[table]
        missing = [row for row in wanted if not any(fits(row, other) for other in rows)]
        if missing:
            return f"{table} has no row {_text(missing[0])}; it has {_text(rows)}"
        if not matched(wanted, rows):
            return f"{table} has {len(rows)} rows, not the {len(wanted)} wanted: {_text(rows)}"
    for each in expect.get("checks", []):
        if check(each, seen, raws) is False:
            return f"this does not hold: {_text(each)}"
    return ""


def _of_orders(first: Seen, found: Seen, order: list[list[bytes]], files: list[list[bytes]]) -> str:
    """Return in which order another table comes out, or ""."""
    places = [files.index(file) + 1 for file in order]
    for table, rows in first.tables.items():
        # A window of the census is corrected for a week only, so of longer cases order counts.
        if table != CENSUS.name and rows != found.tables[table]:
            return f"in the order {places} of the files {table} is {_text(found.tables[table])}"
    return ""


def _text(value: Any) -> str:
    return orjson.dumps(value).decode()
