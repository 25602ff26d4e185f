"""Ticks as Avro in Confluent's framing, one a message: a zero byte, the schema's id, the record.

The record is read by its writer's schema alone, and its fields are taken by their names, so that
a writer may order, add and leave out fields as it likes, and the same definition judges the
values as in JSON (`connectors.market.ticks`).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import orjson
from fastavro import parse_schema, schemaless_reader, schemaless_writer
from fastavro.schema import SchemaParseException

from connectors.json import MAX_JSON
from connectors.market.avro_schema import (
    check_finite,
    counted_from_the_front,
    without_logical_types,
)
from connectors.market.schemas import Schemas
from connectors.market.tick_columns import TickColumns
from connectors.market.ticks import Tick, fields_of
from state.errors import BadRecord, Malformed

MAGIC = b"\0"
"""The first byte of a message; no JSON text starts with it."""
MAX_AVRO = MAX_JSON
"""The most bytes of a message, as of JSON."""

TICK_SCHEMA = (Path(__file__).parent / "tick.avsc").read_text(encoding="utf-8")
"""Our own writer schema: JSON text, to be registered by whoever writes ticks with it."""

_FRAMING = struct.Struct(">xI")
_TICK: dict[str, Any] = orjson.loads(TICK_SCHEMA)
_OURS = frozenset(field["name"] for field in _TICK["fields"])
_DAMAGED = (EOFError, LookupError, ValueError, ArithmeticError, TypeError)
"""What fastavro raises for bytes that are no record of the schema."""


@dataclass(frozen=True, slots=True)
class Writer:
    """A writer's schema, and under which of our names a field is known that has another."""

    schema: Any
    names: dict[str, str]

    def read(self, value: bytes) -> dict[str, Any]:
        """Return the fields of a message; raises Malformed where its bytes are no such record."""
        stream = BytesIO(value)
        stream.seek(_FRAMING.size)
        try:
            fields: dict[str, Any] = schemaless_reader(stream, self.schema, None)  # type: ignore[assignment]  # it is a record's
        except _DAMAGED:
            raise Malformed("the bytes are no record of their Avro schema") from None
        if stream.tell() != len(value):
            raise Malformed(f"{len(value) - stream.tell()} bytes follow the Avro record")
        for name, ours in self.names.items():
            fields[ours] = fields.pop(name)
        return fields


class AvroReader:
    """Reads messages; keeps each schema for good, and until the next batch that an id has none."""

    def __init__(self, schemas: Schemas) -> None:
        self._schemas = schemas
        self._writers: dict[int, Writer] = {}
        self._unusable: dict[int, BadRecord] = {}

    def start_batch(self) -> None:
        """Forget which ids had no usable schema: one may have been added."""
        self._unusable.clear()

    def fields(self, value: bytes) -> dict[str, Any]:
        """Return the fields of a message under the names of the JSON format.

        Raises Malformed where its bytes or its schema cannot be read, and UnknownSchema. Waits
        while the schema's registry does not answer (`connectors.market.schemas`).
        """
        if len(value) < _FRAMING.size:
            raise Malformed(f"an Avro message of {len(value)} bytes has no schema id")
        if len(value) > MAX_AVRO:
            raise Malformed(f"a message of {len(value)} bytes; Avro has at most {MAX_AVRO}")
        (identity,) = _FRAMING.unpack_from(value)
        writer = self._writers.get(identity) or self._find(identity)
        return writer.read(value)

    def _find(self, identity: int) -> Writer:
        if (known := self._unusable.get(identity)) is not None:
            raise type(known)(*known.args)  # raised again, one error would keep all its frames
        try:
            writer = writer_of(self._schemas.find(identity), identity)
        except BadRecord as error:
            self._unusable[identity] = error
            raise
        self._writers[identity] = writer
        return writer


def writer_of(texts: list[str], identity: int) -> Writer:
    """Return the writer of the last schema, which refers to those before it.

    Raises Malformed where it is no schema of a record, or one that `check_finite` refuses.
    """
    named: dict[str, dict[str, Any]] = {}
    schema: Any = None
    try:
        for text in texts:
            schema = parse_schema(without_logical_types(orjson.loads(text), _OURS), named)
    except (SchemaParseException, LookupError, ValueError, TypeError, RecursionError):
        raise Malformed(f"schema {identity} is no Avro schema") from None
    if not isinstance(schema, dict) or schema.get("type") != "record":
        raise Malformed(f"schema {identity} is not one of a record")
    check_finite(schema, named, identity)
    taken = {field["name"] for field in schema["fields"]} & _OURS
    names = {
        field["name"]: alias
        for field in schema["fields"]
        if field["name"] not in _OURS
        for alias in field.get("aliases", ())
        if alias in _OURS - taken
    }
    return Writer(counted_from_the_front(schema), names)


def encode_avro(ticks: TickColumns, identity: int) -> list[bytes]:
    """Return a message for each tick, by `TICK_SCHEMA`, registered under ``identity``.

    Absent fields are null. Raises ValueError for a kind or side without a name.
    """
    schema = parse_schema(_TICK)
    found = []
    for tick in _ticks(ticks):
        stream = BytesIO(_FRAMING.pack(identity))
        stream.seek(_FRAMING.size)
        schemaless_writer(stream, schema, fields_of(tick))
        found.append(stream.getvalue())
    return found


def _ticks(ticks: TickColumns) -> Iterator[Tick]:
    columns = (
        ticks.kind, ticks.symbol, ticks.venue, ticks.condition, ticks.side, ticks.ts_ns,
        ticks.recv_ns, ticks.seq, ticks.price, ticks.size, ticks.ask, ticks.ask_size,
    )  # fmt: skip
    for kind, symbol, venue, condition, *rest in zip(*(c.tolist() for c in columns), strict=True):
        yield Tick(
            kind, ticks.symbols[symbol], ticks.venues[venue], ticks.conditions[condition], *rest
        )
