"""What is looked at in a writer's Avro schema before messages are read by it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from state.errors import Malformed

_LEAST_BYTES = {"null": 0, "float": 4, "double": 8}
"""Of one value of a primitive type; of the others, 1."""
_NO_BRANCH = "no such branch"
"""No name can be this, so fastavro finds no schema of it."""
_NAMED = "__named_schemas"
"""Where fastavro keeps the schemas that a parsed one names."""


def without_logical_types(schema: Any, kept: Collection[str]) -> Any:
    """Return the JSON of a schema in which only the fields named in ``kept`` have logical types.

    The values of other fields are not wanted, and making one a date may fail.
    """
    if not isinstance(schema, dict) or not isinstance(schema.get("fields"), list):
        return schema
    fields = [
        field if isinstance(field, dict) and field.get("name") in kept else _plain(field)
        for field in schema["fields"]
    ]
    return schema | {"fields": fields}


def _plain(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_plain(part) for part in schema]
    if isinstance(schema, dict):
        return {name: _plain(part) for name, part in schema.items() if name != "logicalType"}
    return schema


def counted_from_the_front(schema: Any) -> Any:
    """Return a parsed schema by which fastavro refuses a negative place of a symbol or a branch.

    It takes a place for an index of Python's, so that -1 is the last. Symbols are therefore looked
    up by number, and behind the branches of a union stand as many that nothing is read by. (Only
    where n branches are counted from -n-1 to -2n does that meet a branch: to refuse these too,
    each message would have to be read twice.)
    """
    if isinstance(schema, list):
        return [*map(counted_from_the_front, schema), *[_NO_BRANCH] * len(schema)]
    if not isinstance(schema, dict):
        return schema
    made = dict(schema)
    for part in ("type", "items", "values"):
        if part in made:
            made[part] = counted_from_the_front(made[part])
    if "fields" in made:
        made["fields"] = [counted_from_the_front(field) for field in made["fields"]]
    if "symbols" in made:
        made["symbols"] = dict(enumerate(made["symbols"]))
    if _NAMED in made:
        made[_NAMED] = {name: counted_from_the_front(of) for name, of in made[_NAMED].items()}
    return made


def check_finite(schema: Any, named: dict[str, Any], identity: int) -> None:
    """Raise Malformed where a short message could make its reader nest or repeat without end.

    These are schemas that contain themselves, and arrays of what takes no byte. ``named`` has the
    parsed schema of each name.
    """
    _Measure(named, identity).least(schema)


class _Measure:
    def __init__(self, named: dict[str, Any], identity: int) -> None:
        self._named = named
        self._identity = identity
        self._open: set[str] = set()

    def least(self, schema: Any) -> int:
        """Return the fewest bytes that a value takes."""
        if isinstance(schema, list):
            return 1 + min((self.least(part) for part in schema), default=0)
        if isinstance(schema, str):
            return self.least(self._named[schema]) if schema in self._named else _of(schema)
        kind = schema["type"]
        if kind == "record":
            return self._least_of_record(schema)
        if kind == "array":
            if self.least(schema["items"]) == 0:
                raise Malformed(f"schema {self._identity} has an array of what takes no byte")
            return 1
        if kind == "map":
            self.least(schema["values"])
            return 1
        if kind == "fixed":
            return int(schema["size"])
        return 1 if kind == "enum" else self.least(kind)

    def _least_of_record(self, schema: Any) -> int:
        name = schema["name"]
        if name in self._open:
            raise Malformed(f"schema {self._identity} contains itself")
        self._open.add(name)
        found = sum(self.least(field["type"]) for field in schema["fields"])
        self._open.discard(name)
        return found


def _of(primitive: str) -> int:
    return _LEAST_BYTES.get(primitive, 1)
