"""Messages of an output topic into rows of its table.

Everything that the database could refuse is refused here, as a dead letter, so that one
bad record never holds up a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson

from connectors.kafka.sink import COUNTER_HEADER, GENERATION_HEADER, RETRACTED_HEADER
from connectors.postgres.tables import Table
from state.errors import BadRecord, Malformed, OutOfRange, WrongType
from state.outputs import MAX_KEY_BYTES, Column, Kind
from state.records import HEARTBEAT_HEADER, DeadLetter, Messages
from state.retraction import RETRACTED

MAX_EXACT = 1 << 53
"""Integers up to here are doubles too."""
INT64 = range(-(1 << 63), 1 << 63)
MAX_GENERATION = (1 << 31) - 1

MAX_TABLE_KEY_BYTES = 2000
"""Of a retraction, whose key is in an index with little else."""


_MISSING = object()

Row = tuple[Any, ...]
"""(generation, then the table's columns in order, counter); JSON as canonical text."""


class Retraction(NamedTuple):
    """A record that takes a key away, as `headrace_retractions` holds it."""

    generation: int
    output: str
    id: str
    key: str
    ts_ns: int
    counter: int
    key_id: str | None
    sealed: str | None


@dataclass(slots=True)
class RowsBlock:
    """Rows of one table, what retracts some of them, and the dead letters met on the way.

    ``ranges`` as in Messages.

    ``newest`` stays empty: it paces partitions that are merged by event time, and history
    merges nothing.
    """

    table: Table
    rows: list[Row] = field(default_factory=list)
    retractions: list[Retraction] = field(default_factory=list)
    dead: list[DeadLetter] = field(default_factory=list)
    ranges: dict[int, tuple[int, int]] = field(default_factory=dict)
    newest: dict[int, int] = field(default_factory=dict)
    least: dict[int, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows) + len(self.retractions)


class HistoryDecoder:
    """Decodes the messages of one table's topic."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._fields = _Fields(table.columns, table.clock, f"no column of {table.name}")
        sealed = (Column("key_id", Kind.KEY), Column("sealed", Kind.TEXT))
        self._of_retraction = _Fields(
            (
                Column("id", Kind.KEY),
                Column("key", Kind.TEXT),
                Column(table.clock, Kind.INT),
                Column(RETRACTED, Kind.BOOL),
                *(sealed if table.output.secret else ()),
            ),
            table.clock,
            "no field of a retraction",
        )

    def decode(self, messages: Messages) -> RowsBlock:
        """Return the rows of the good messages in order, and the others as dead letters."""
        block = RowsBlock(self._table, ranges=messages.ranges)
        for index in range(len(messages)):
            headers = dict(messages.headers.get(index, ()))
            value = messages.value(index)
            if not value and HEARTBEAT_HEADER in headers:
                continue
            try:
                self._take(block, value, headers)
            except BadRecord as error:
                block.dead.append(messages.dead(index, error))
        return block

    def _take(self, block: RowsBlock, value: bytes, headers: dict[str, bytes]) -> None:
        try:
            record = orjson.loads(value)
        except orjson.JSONDecodeError as error:
            raise Malformed(f"no JSON: {error.msg} at {error.pos}") from None
        if not isinstance(record, dict):
            raise WrongType("the record is no JSON object")
        if RETRACTED_HEADER in headers:
            block.retractions.append(self._retraction(record, headers))
        else:
            fields = self._fields.checked(record)
            block.rows.append((_generation(headers), *fields, _counter(headers)))

    def _retraction(self, record: dict[str, Any], headers: dict[str, bytes]) -> Retraction:
        identity, key, ts_ns, flag, *sealed = self._of_retraction.checked(record)
        if flag is not True:
            raise OutOfRange(f"{RETRACTED} is not true in a retraction")
        counter = _counter(headers)
        if counter is None:
            raise WrongType(f"the header {COUNTER_HEADER} of a retraction is missing")
        if len(key.encode()) > MAX_TABLE_KEY_BYTES:
            raise OutOfRange(f"key has more than {MAX_TABLE_KEY_BYTES} bytes")
        key_id, text = sealed or (None, None)
        topic = self._table.output.topic
        return Retraction(_generation(headers), topic, identity, key, ts_ns, counter, key_id, text)


class _Fields:
    """The fields that a record has to have, and no others; ``unknown`` says what another is."""

    def __init__(self, columns: Sequence[Column], clock: str, unknown: str) -> None:
        self._names = [column.name for column in columns]
        self._checks = [
            (c.name, False, _optional(c)) if c.optional else (c.name, c.nullable, _CHECKS[c.kind])
            for c in columns
        ]
        self._optional = [column.name for column in columns if column.optional]
        self._clock = self._names.index(clock)
        self._unknown = unknown

    def checked(self, record: dict[str, Any]) -> list[Any]:
        """Return the values in order. Raises BadRecord."""
        for name in self._optional:
            record.setdefault(name, _MISSING)
        try:
            fields = [record[name] for name in self._names]
        except KeyError as error:
            raise WrongType(f"{error.args[0]} is missing") from None
        if len(record) > len(fields):
            unknown = min(record.keys() - set(self._names))
            raise WrongType(f"{unknown[:50]!r} is {self._unknown}")
        checked: list[Any] = [
            None if item is None and nullable else check(name, item)
            for (name, nullable, check), item in zip(self._checks, fields, strict=True)
        ]
        if checked[self._clock] < 0:
            raise OutOfRange(f"{self._names[self._clock]} is before 1970")
        return checked


def _generation(headers: dict[str, bytes]) -> int:
    digits = headers.get(GENERATION_HEADER)
    if digits is None:
        raise WrongType(f"the header {GENERATION_HEADER} is missing")
    if not digits.isdigit() or len(digits) > 10 or not 0 < int(digits) <= MAX_GENERATION:
        raise OutOfRange(f"the header {GENERATION_HEADER} is no number from 1 to {MAX_GENERATION}")
    return int(digits)


def _counter(headers: dict[str, bytes]) -> int | None:
    """Return the record's place among all of its output and origin, None where it is not said."""
    found = headers.get(COUNTER_HEADER)
    if found is None:
        return None
    digits = found.rpartition(b"/")[2]
    if not digits.isdigit() or len(digits) > 18:
        raise OutOfRange(f"the header {COUNTER_HEADER} is no place in an output")
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


def _optional(column: Column) -> Callable[[str, Any], Any]:
    """Return the check of a field that may be missing, which is None; JSON's null is its text."""
    check = _CHECKS[column.kind]

    def checked(name: str, value: Any) -> Any:
        if value is _MISSING:
            return None
        if value is None and check is _json:
            return "null"
        return None if value is None and column.nullable else check(name, value)

    return checked


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
