"""The tables of history: their columns as the sink and the decoder see them.

The migrations create them; a test holds both together.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import Literal

from state.outputs import MARKET, Output


class Kind(Enum):
    """What a column holds."""

    KEY = auto()
    """Text of at most MAX_KEY_BYTES, since an index holds it."""
    TEXT = auto()
    INT = auto()
    FLOAT = auto()
    BOOL = auto()
    JSON = auto()


MAX_KEY_BYTES = 1000
"""UTF-8 bytes; a B-tree entry holds 2,700 at the most."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column that a record's field of the same name fills."""

    name: str
    kind: Kind
    nullable: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """The table of one output.

    Its first columns are ``generation`` (integer) and ``time`` (timestamptz, the
    microsecond of the ``clock`` column, ns); then come ``columns``. Rows are identified
    by (generation, time, id). ``unit`` is the length of a native partition.
    """

    output: Output
    columns: tuple[Column, ...]
    unit: Literal["day", "month"] = "month"

    @property
    def name(self) -> str:
        """Return the name in the database."""
        return f"{self.output.system}_{self.output.name}"

    @property
    def clock(self) -> str:
        """Return the column with the exact event time (ns)."""
        return self.output.time

    @property
    def filters(self) -> tuple[str, ...]:
        """Return the columns by whose values readers may choose rows: those of text but the id."""
        texts = (Kind.KEY, Kind.TEXT)
        return tuple(c.name for c in self.columns if c.kind in texts and c.name != "id")


def _columns(kind: Kind, *names: str, nullable: bool = False) -> tuple[Column, ...]:
    return tuple(Column(name, kind, nullable) for name in names)


_LAYOUTS: dict[str, tuple[Column, ...]] = {
    "bars": (
        *_columns(Kind.KEY, "id", "symbol", "interval"),
        *_columns(Kind.INT, "start_ns"),
        *_columns(Kind.FLOAT, "open", "high", "low", "close", "volume", "vwap"),
        *_columns(Kind.INT, "trades"),
    ),
    "nbbo": (
        *_columns(Kind.KEY, "id", "symbol"),
        *_columns(Kind.INT, "ts_ns"),
        *_columns(Kind.FLOAT, "bid", "bid_size", "ask", "ask_size", nullable=True),
    ),
    "risk": (
        *_columns(Kind.KEY, "id"),
        *_columns(Kind.INT, "ts_ns"),
        *_columns(Kind.KEY, "scope"),
        *_columns(Kind.TEXT, "method"),
        *_columns(Kind.FLOAT, "confidence"),
        *_columns(Kind.INT, "horizon"),
        *_columns(Kind.FLOAT, "var", "es", nullable=True),
        *_columns(Kind.JSON, "components", nullable=True),
        *_columns(Kind.BOOL, "valid"),
        *_columns(Kind.TEXT, "interval"),
    ),
    "signals": (
        *_columns(Kind.KEY, "id"),
        *_columns(Kind.INT, "ts_ns"),
        *_columns(Kind.KEY, "scope"),
        *_columns(Kind.TEXT, "kind", "method"),
        *_columns(Kind.FLOAT, "value", "threshold"),
    ),
    "gaps": (
        *_columns(Kind.KEY, "id"),
        *_columns(Kind.INT, "ts_ns"),
        *_columns(Kind.KEY, "symbol"),
        *_columns(Kind.TEXT, "venue", "type"),
        *_columns(Kind.INT, "first_missing", "last_missing", "count"),
    ),
    "late": (
        *_columns(Kind.KEY, "id"),
        *_columns(Kind.INT, "ts_ns"),
        *_columns(Kind.TEXT, "topic"),
        *_columns(Kind.INT, "partition", "offset", "sequence"),
        *_columns(Kind.KEY, "symbol"),
        *_columns(Kind.TEXT, "type"),
        *_columns(Kind.INT, "watermark_ns"),
        *_columns(Kind.TEXT, "reason"),
    ),
}

TABLES: dict[str, Table] = {
    output.topic: Table(
        output, _LAYOUTS[output.name], "day" if output.name in ("bars", "nbbo") else "month"
    )
    for output in MARKET
    if output.name in _LAYOUTS
}
"""By the topic of the output. Those of daily risk, features and bands have no table yet."""
