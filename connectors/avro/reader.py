"""The fields of Avro messages: a zero byte, the schema's id, the record.

The record is read by its writer's schema alone, and its fields are taken by their names, so that
a writer may order, add and leave out fields as it likes.
"""

from __future__ import annotations

import struct
from collections.abc import Collection
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import orjson
from fastavro import parse_schema, schemaless_reader
from fastavro.schema import SchemaParseException

from connectors.avro.guards import check_finite, counted_from_the_front, without_logical_types
from connectors.avro.schemas import Schemas
from connectors.json import MAX_JSON
from state.errors import BadRecord, Malformed

MAGIC = b"\0"
"""The first byte of a message; no JSON text starts with it."""
MAX_AVRO = MAX_JSON
"""The most bytes of a message, as of JSON."""
FRAMING = struct.Struct(">xI")
"""The zero byte and the schema's id."""

_DAMAGED = (EOFError, LookupError, ValueError, ArithmeticError, TypeError)
"""What fastavro raises for bytes that are no record of the schema."""


@dataclass(frozen=True, slots=True)
class Writer:
    """A writer's schema, and under which wanted name a field is known that has another."""

    schema: Any
    names: dict[str, str]

    def read(self, value: bytes) -> dict[str, Any]:
        """Return the fields of a message; raises Malformed where its bytes are no such record."""
        stream = BytesIO(value)
        stream.seek(FRAMING.size)
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

    def __init__(self, schemas: Schemas, fields: Collection[str]) -> None:
        """``fields`` are the names that are wanted; a schema may know them as aliases."""
        self._schemas = schemas
        self._wanted = frozenset(fields)
        self._writers: dict[int, Writer] = {}
        self._unusable: dict[int, BadRecord] = {}

    def start_batch(self) -> None:
        """Forget which ids had no usable schema: one may have been added."""
        self._unusable.clear()

    def fields(self, value: bytes) -> dict[str, Any]:
        """Return the fields of a message under the names that are wanted.

        Raises Malformed where its bytes or its schema cannot be read, and UnknownSchema. Waits
        while the schema's registry does not answer (`connectors.avro.registry`).
        """
        if len(value) < FRAMING.size:
            raise Malformed(f"an Avro message of {len(value)} bytes has no schema id")
        if len(value) > MAX_AVRO:
            raise Malformed(f"a message of {len(value)} bytes; Avro has at most {MAX_AVRO}")
        (identity,) = FRAMING.unpack_from(value)
        writer = self._writers.get(identity) or self._find(identity)
        return writer.read(value)

    def _find(self, identity: int) -> Writer:
        if (known := self._unusable.get(identity)) is not None:
            raise type(known)(*known.args)  # raised again, one error would keep all its frames
        try:
            writer = writer_of(self._schemas.find(identity), identity, self._wanted)
        except BadRecord as error:
            self._unusable[identity] = error
            raise
        self._writers[identity] = writer
        return writer


def writer_of(texts: list[str], identity: int, wanted: frozenset[str]) -> Writer:
    """Return the writer of the last schema, which refers to those before it.

    Raises Malformed where it is no schema of a record, or one that `check_finite` refuses.
    """
    named: dict[str, dict[str, Any]] = {}
    schema: Any = None
    try:
        for text in texts:
            schema = parse_schema(without_logical_types(orjson.loads(text), wanted), named)
    except (SchemaParseException, LookupError, ValueError, TypeError, RecursionError):
        raise Malformed(f"schema {identity} is no Avro schema") from None
    if not isinstance(schema, dict) or schema.get("type") != "record":
        raise Malformed(f"schema {identity} is not one of a record")
    check_finite(schema, named, identity)
    taken = {field["name"] for field in schema["fields"]} & wanted
    names = {
        field["name"]: alias
        for field in schema["fields"]
        if field["name"] not in wanted
        for alias in field.get("aliases", ())
        if alias in wanted - taken
    }
    return Writer(counted_from_the_front(schema), names)
