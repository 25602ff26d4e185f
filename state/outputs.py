"""An output of a system, said once.

A system declares its outputs in ``state/<system>/outputs.py``. All that is known of one
elsewhere is derived from its `Output`: the Kafka topic and its message keys, the table of history
with its indexes and views, the channels of the feed, REST's parameters and the JSON Schema.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, Literal, NamedTuple

import orjson


class Kind(Enum):
    """What a column holds."""

    KEY = auto()
    """Text of at most MAX_KEY_BYTES, since an index holds it."""
    TEXT = auto()
    INT = auto()
    FLOAT = auto()
    BOOL = auto()
    JSON = auto()
    """An object whose numbers are all doubles; PostgreSQL's jsonb."""
    DOCUMENT = auto()
    """An object kept to the letter (an integer stays one, a hash may be over it); json."""


MAX_KEY_BYTES = 1000
"""UTF-8 bytes; a B-tree entry holds 2,700 at the most."""


@dataclass(frozen=True, slots=True)
class Column:
    """A field of an output's records, and the column of the same name in its table.

    ``rules`` are keywords of JSON Schema for the field; a ``type`` among them replaces the one
    of the kind. A ``nullable`` column takes NULL. An ``optional`` one may be missing from records
    of older versions, which is NULL; where it is JSON, its null is JSON's. ``parts``: the text is
    ``part:name``, and records can be filtered by the name under each part, as
    ``portfolio=desk`` finds the scope ``portfolio:desk``. ``passing``: it tells of one record in
    the stream, such as its version or who may read it, and is in no line of ``tables/``.
    """

    name: str
    kind: Kind
    description: str = ""
    rules: Mapping[str, Any] = field(default_factory=dict)
    nullable: bool = False
    optional: bool = False
    parts: tuple[str, ...] = ()
    passing: bool = False


class Privacy(NamedTuple):
    """Whom the records of a secret output are about, and how an emergency opens them.

    ``person``: the field that names the person. ``named``: the fields of which a break-glass read
    names one value. ``lifted``: the field by which a token's rows then limit it no more.
    """

    person: str
    named: tuple[str, ...]
    lifted: str


Policy = Literal["every", "latest"]
EVERY: Policy = "every"
"""Each record reaches a client of the feed, or the client is disconnected."""
LATEST: Policy = "latest"
"""A client of the feed that is slow gets the last record of each key."""


@dataclass(frozen=True, slots=True)
class Output:
    """One output of a system.

    ``time``: the field that holds the event time (ns since 1970 UTC).
    ``columns``: all fields of its records; ``id`` is among them.
    ``key``: the fields of the table key; () where the last value by key is no table.
    ``message_key``: the field that is the Kafka message's key, where ``key`` is ().
    ``rows``: the field that lists the rows of its table, where a record holds several of them.
    ``filters``: the fields that readers may filter by, the one that most name first. A record
    passes by any text of one that is a list.
    ``policy``: what the feed does with a client that is slow.
    ``kept``: its topic keeps it for good. ``rows_kept``: so does its table.
    ``partitions``: of its topic; 0 for as many as the flow's widest input.
    ``secret``: every sink carries its records sealed (see `sealed_columns`).
    ``privacy``: of a secret output whose records are about persons.
    ``by_coordinates``: its file is in the order of the source coordinates, not of (time, id).
    ``version``: that of its JSON Schema.
    ``unit``: the length of a native partition of its table.
    ``description`` and ``rules``: of its JSON Schema, the latter for the record as a whole.
    """

    system: str
    name: str
    time: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    message_key: str = ""
    rows: str = ""
    filters: tuple[str, ...] = ()
    policy: Policy = EVERY
    kept: bool = False
    rows_kept: bool = False
    partitions: int = 0
    secret: bool = False
    privacy: Privacy | None = None
    by_coordinates: bool = False
    version: int = 1
    unit: Literal["day", "month"] = "month"
    description: str = ""
    rules: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raise ValueError where a name is not that of a column; one without any is not checked."""
        known = {column.name for column in self.columns}
        other = filter(None, [self.message_key, self.rows])
        named = ("id", self.time, *self.key, *self.filters, *other)
        unknown = [name for name in named if name not in known] if known else []
        if unknown:
            raise ValueError(f"the output {self.topic} has no column {unknown[0]}")
        if self.key and self.message_key:
            raise ValueError(f"the output {self.topic} has both key and message_key")

    # Rules are mappings, which have no hash; and a name is enough for one.
    def __hash__(self) -> int:
        return hash((self.system, self.name))

    @property
    def topic(self) -> str:
        """Return the durable Kafka topic of this output."""
        return f"{self.system}.{self.name}"

    @property
    def keyed(self) -> bool:
        """Return whether the last value by key is a table."""
        return bool(self.key)

    @property
    def stored(self) -> tuple[Column, ...]:
        """Return the columns of what sinks carry: its own, or those of the sealed envelope."""
        return sealed_columns(self.time) if self.secret else self.columns


def sealed_columns(time: str) -> tuple[Column, ...]:
    """Return the fields of a sealed record, whose event time is the field ``time``."""
    return (
        Column("id", Kind.KEY, "Keyed hash of the record's id."),
        Column("key", Kind.KEY, "Keyed hash of the record's table key."),
        Column("key_id", Kind.KEY, "The key that it was sealed with."),
        Column("sealed", Kind.TEXT, "The record, AES-256-GCM-SIV.", {"contentEncoding": "base64"}),
        Column(time, Kind.INT, "Event time, ns since 1970 UTC."),
    )


DEAD = "dead"
"""The dead letters' name: topic ``<system>.dead``, file ``dead.jsonl``; not an Output."""


def to_json(record: dict[str, Any]) -> bytes:
    """Return the canonical JSON of a record: UTF-8, keys sorted, no white space.

    orjson writes the shortest decimal that reads back as the same double, and
    refuses nothing silently but NaN and infinity, which it writes as null: a
    record never holds them.
    """
    return orjson.dumps(record, option=orjson.OPT_SORT_KEYS)
