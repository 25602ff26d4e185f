"""One line of a record that a person can act on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from connectors.web.channels import Source
from state.clock import NS
from state.retraction import RETRACTED

_FIELD = re.compile(r"\{(\w+)\}")


def named(template: str) -> list[str]:
    """Return the fields that a template names."""
    return _FIELD.findall(template)


def template_of(source: Source, changes: tuple[str, ...]) -> str:
    """Return a template for an output of which nobody has said how it reads.

    It tells the key and what changes; of what is no table, everything but the identity.
    """
    output = source.output
    told = [column.name for column in output.columns if column.name not in ("id", output.time)]
    wanted = [*output.key, *changes] if changes else told
    return f"{source.name}: " + ", ".join(f"{name} {{{name}}}" for name in dict.fromkeys(wanted))


def line(source: Source, template: str, record: Mapping[str, Any], was: Mapping[str, Any]) -> str:
    """Return what a record says, what it said before, and since when; spaces are single.

    >>> from state.market.outputs import MARKET
    >>> nbbo = next(Source.of(output) for output in MARKET if output.name == "nbbo")
    >>> line(nbbo, "{symbol} at {bid}", {"symbol": "X", "bid": 9.50, "ts_ns": 10**9}, {"bid": 9.0})
    'X at 9.5 · was 9 · since 1970-01-01 00:00:01 UTC'
    """
    if record.get(RETRACTED):
        said = f"{source.name}: {record['key']} is withdrawn"
    else:
        said = _FIELD.sub(lambda match: _text(match[1], record.get(match[1])), template)
    parts = [said]
    if was:
        parts.append("was " + ", ".join(_text(name, value) for name, value in was.items()))
    parts.append(f"since {_time(record[source.output.time])}")
    return " ".join(" · ".join(parts).split())


def _text(name: str, value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, str):
        return value
    if name.endswith("_ns") and isinstance(value, int):
        return _time(value)
    return f"{value:.6g}" if isinstance(value, float) else orjson.dumps(value).decode()


def _time(ts_ns: int) -> str:
    return f"{datetime.fromtimestamp(ts_ns // NS, UTC):%Y-%m-%d %H:%M:%S} UTC"
