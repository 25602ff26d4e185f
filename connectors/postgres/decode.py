"""Messages of an output topic into rows of its table.

Everything that the database could refuse is refused here, as a dead letter, so that one
bad record never holds up a batch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson

from connectors.kafka.sink import GENERATION_HEADER
from connectors.postgres.tables import MAX_KEY_BYTES, Kind, Table
from state.errors import BadRecord, Malformed, OutOfRange, WrongType
from state.records import HEARTBEAT_HEADER, DeadLetter, Messages

MAX_EXACT = 1 << 53
"""Integers up to here are doubles too."""
INT64 = range(-(1 << 63), 1 << 63)
MAX_GENERATION = (1 << 31) - 1

_MISSING = object()

Row = tuple[Any, ...]
"""(generation, then the table's columns in order); JSON as canonical text."""


@dataclass(slots=True)
class RowsBlock:
    """Rows of one table, and the dead letters met on the way; ``ranges`` as in Messages.

    ``newest`` stays empty: it paces partitions that are merged by event time, and history
    merges nothing.
    """

    table: Table
    rows: list[Row] = field(default_factory=list)
    dead: list[DeadLetter] = field(default_factory=list)
    ranges: dict[int, tuple[int, int]] = field(default_factory=dict)
    newest: dict[int, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows)


class HistoryDecoder:
    """Decodes the messages of one table's topic."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._names = [column.name for column in table.columns]
        self._checks = [
            (c.name, False, _optional) if c.optional else (c.name, c.nullable, _CHECKS[c.kind])
            for c in table.columns
        ]
        self._optional = [column.name for column in table.columns if column.optional]
        self._clock = self._names.index(table.clock)

    def decode(self, messages: Messages) -> RowsBlock:
        """Return the rows of the good messages in order, and the others as dead letters."""
        block = RowsBlock(self._table, ranges=messages.ranges)
        for index in range(len(messages)):
            headers = dict(messages.headers.get(index, ()))
            value = messages.value(index)
            if not value and HEARTBEAT_HEADER in headers:
                continue
            try:
                block.rows.append(self._row(value, headers))
            except BadRecord as error:
                block.dead.append(messages.dead(index, error))
        return block

    def _row(self, value: bytes, headers: dict[str, bytes]) -> Row:
        try:
            record = orjson.loads(value)
        except orjson.JSONDecodeError as error:
            raise Malformed(f"no JSON: {error.msg} at {error.pos}") from None
        if not isinstance(record, dict):
            raise WrongType("the record is no JSON object")
        for name in self._optional:
            record.setdefault(name, _MISSING)
        try:
            fields = [record[name] for name in self._names]
        except KeyError as error:
            raise WrongType(f"{error.args[0]} is missing") from None
        if len(record) > len(fields):
            unknown = min(record.keys() - set(self._names))
            raise WrongType(f"{unknown[:50]!r} is no column of {self._table.name}")
        checked: list[Any] = [
            None if item is None and nullable else check(name, item)
            for (name, nullable, check), item in zip(self._checks, fields, strict=True)
        ]
        if checked[self._clock] < 0:
            raise OutOfRange(f"{self._table.clock} is before 1970")
        return (_generation(headers), *checked)


def _generation(headers: dict[str, bytes]) -> int:
    digits = headers.get(GENERATION_HEADER)
    if digits is None:
        raise WrongType(f"the header {GENERATION_HEADER} is missing")
    if not digits.isdigit() or len(digits) > 10 or not 0 < int(digits) <= MAX_GENERATION:
        raise OutOfRange(f"the header {GENERATION_HEADER} is no number from 1 to {MAX_GENERATION}")
    return int(digits)


def _text(name: str, value: Any) -> str:
    if type(value) is not str:
        raise WrongType(f"{name} is no text")
    if "\0" in value:
        raise OutOfRange(f"{name} holds a NUL character")
    return value


def _key(name: str, value: Any) -> str:
    text = _text(name, value)
    if len(text) * 4 > MAX_KEY_BYTES and len(text.encode()) > MAX_KEY_BYTES:
        raise OutOfRange(f"{name} has more than {MAX_KEY_BYTES} bytes")
    return text


def _int(name: str, value: Any) -> int:
    if type(value) is not int:
        raise WrongType(f"{name} is no whole number")
    if value not in INT64:
        raise OutOfRange(f"{name} does not fit into 64 bits")
    return value


def _float(name: str, value: Any) -> float:
    # JSON has no NaN, and orjson refuses what overflows to infinity.
    if type(value) is float:
        return value
    if type(value) is not int:
        raise WrongType(f"{name} is no number")
    if not -MAX_EXACT <= value <= MAX_EXACT:
        raise OutOfRange(f"{name} is no exact double")
    return float(value)


def _bool(name: str, value: Any) -> bool:
    if type(value) is not bool:
        raise WrongType(f"{name} is neither true nor false")
    return value


def _json(name: str, value: Any) -> str:
    """Return an object or array as canonical text."""
    if not isinstance(value, dict | list):
        raise WrongType(f"{name} is no object or array")
    text = orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    # The text may also hold the escape as a harmless, escaped backslash and digits.
    if "\\u0000" in text and _holds_nul(value):
        raise OutOfRange(f"{name} holds a NUL character")
    return text


def _optional(name: str, value: Any) -> str | None:
    """Return what `_json` does, the text of JSON's null, or None for a field that is missing."""
    if value is _MISSING:
        return None
    return "null" if value is None else _json(name, value)


def _holds_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any(_holds_nul(key) or _holds_nul(item) for key, item in value.items())
    return isinstance(value, list) and any(map(_holds_nul, value))


_CHECKS: dict[Kind, Callable[[str, Any], Any]] = {
    Kind.KEY: _key,
    Kind.TEXT: _text,
    Kind.INT: _int,
    Kind.FLOAT: _float,
    Kind.BOOL: _bool,
    Kind.JSON: _json,
    Kind.DOCUMENT: _json,
}
