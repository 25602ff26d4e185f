"""The tables of history: their columns as the sink and the decoder see them.

The migrations create them; a test holds both together.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import Literal

from state.outputs import OUTPUTS, Output


class Kind(Enum):
    """What a column holds."""

    KEY = auto()
    """Text of at most MAX_KEY_BYTES, since an index holds it."""
    TEXT = auto()
    INT = auto()
    FLOAT = auto()
    BOOL = auto()
    JSON = auto()
    """jsonb: numbers by name, all of them doubles."""
    DOCUMENT = auto()
    """json: kept to the letter, for an integer stays one, and a hash may be over it."""


MAX_KEY_BYTES = 1000
"""UTF-8 bytes; a B-tree entry holds 2,700 at the most."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column that a record's field of the same name fills.

    Of an ``optional`` one of JSON the field may be missing, which is NULL; its null is JSON's.
    """

    name: str
    kind: Kind
    nullable: bool = False
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """The table of one output.

    Its first columns are ``generation`` (integer) and ``time`` (timestamptz, the
    microsecond of the ``clock`` column, ns); then come ``columns``. Rows are identified
    by (generation, time, id). ``unit`` is the length of a native partition. Where it is
    ``kept``, retention drops nothing.
    """

    output: Output
    columns: tuple[Column, ...]
    unit: Literal["day", "month"] = "month"
    kept: bool = False

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


def _columns(
    kind: Kind, *names: str, nullable: bool = False, optional: bool = False
) -> tuple[Column, ...]:
    return tuple(Column(name, kind, nullable, optional) for name in names)


_AUDIT = (
    *_columns(Kind.KEY, "id"),
    *_columns(Kind.INT, "ts_ns"),
    *_columns(Kind.TEXT, "chain"),
    *_columns(Kind.INT, "number"),
    *_columns(Kind.DOCUMENT, "what"),
    *_columns(Kind.TEXT, "previous", "hash"),
)
_LAYOUTS: dict[str, tuple[Column, ...]] = {
    "market.bars": (
        *_columns(Kind.KEY, "id", "symbol", "interval"),
        *_columns(Kind.INT, "start_ns"),
        *_columns(Kind.FLOAT, "open", "high", "low", "close", "volume", "vwap"),
        *_columns(Kind.INT, "trades"),
    ),
    "market.nbbo": (
        *_columns(Kind.KEY, "id", "symbol"),
        *_columns(Kind.INT, "ts_ns"),
        *_columns(Kind.FLOAT, "bid", "bid_size", "ask", "ask_size", nullable=True),
    ),
    "market.risk": (
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
        *_columns(Kind.JSON, "marginal", "incremental", nullable=True, optional=True),
    ),
    "market.signals": (
        *_columns(Kind.KEY, "id"),
        *_columns(Kind.INT, "ts_ns"),
        *_columns(Kind.KEY, "scope"),
        *_columns(Kind.TEXT, "kind", "method"),
        *_columns(Kind.FLOAT, "value", "threshold"),
    ),
    "market.gaps": (
        *_columns(Kind.KEY, "id"),
        *_columns(Kind.INT, "ts_ns"),
        *_columns(Kind.KEY, "symbol"),
        *_columns(Kind.TEXT, "venue", "type"),
        *_columns(Kind.INT, "first_missing", "last_missing", "count"),
    ),
    "market.late": (
        *_columns(Kind.KEY, "id"),
        *_columns(Kind.INT, "ts_ns"),
        *_columns(Kind.TEXT, "topic"),
        *_columns(Kind.INT, "partition", "offset", "sequence"),
        *_columns(Kind.KEY, "symbol"),
        *_columns(Kind.TEXT, "type"),
        *_columns(Kind.INT, "watermark_ns"),
        *_columns(Kind.TEXT, "reason"),
    ),
    "market.features": (
        *_columns(Kind.KEY, "id"),
        *_columns(Kind.INT, "ts_ns"),
        *_columns(Kind.KEY, "symbol"),
        *_columns(Kind.TEXT, "kind"),
        *_columns(Kind.FLOAT, "value"),
        *_columns(Kind.DOCUMENT, "details"),
    ),
    "market.bands": (
        *_columns(Kind.KEY, "id"),
        *_columns(Kind.INT, "ts_ns"),
        *_columns(Kind.KEY, "symbol"),
        *_columns(Kind.FLOAT, "reference", "lower", "upper", nullable=True),
        *_columns(Kind.TEXT, "state"),
    ),
    "market.pnl": (
        *_columns(Kind.KEY, "id"),
        *_columns(Kind.INT, "ts_ns"),
        *_columns(Kind.KEY, "scope"),
        *_columns(Kind.FLOAT, "return", "pnl", "value"),
        *_columns(Kind.DOCUMENT, "exceptions"),
    ),
    "market.backtest": (
        *_columns(Kind.KEY, "id"),
        *_columns(Kind.INT, "ts_ns"),
        *_columns(Kind.KEY, "scope"),
        *_columns(Kind.TEXT, "method"),
        *_columns(Kind.FLOAT, "confidence"),
        *_columns(Kind.INT, "observations", "exceptions"),
        *_columns(Kind.FLOAT, "kupiec_lr", "kupiec_p", "christoffersen_lr", "christoffersen_p"),
        *_columns(Kind.FLOAT, "conditional_lr", "conditional_p"),
        *_columns(Kind.TEXT, "zone"),
        *_columns(Kind.FLOAT, "acerbi_szekely"),
    ),
    "market.stress": (
        *_columns(Kind.KEY, "id"),
        *_columns(Kind.INT, "ts_ns"),
        *_columns(Kind.KEY, "scope"),
        *_columns(Kind.TEXT, "scenario"),
        *_columns(Kind.FLOAT, "return", "pnl"),
    ),
    "market.weights": (
        *_columns(Kind.KEY, "id"),
        *_columns(Kind.INT, "ts_ns"),
        *_columns(Kind.KEY, "scope"),
        *_columns(Kind.TEXT, "objective"),
        *_columns(Kind.JSON, "weights"),
        *_columns(Kind.BOOL, "stale"),
        *_columns(Kind.TEXT, "reason", "solver", "model"),
    ),
    "market.requests": (
        *_columns(Kind.KEY, "id"),
        *_columns(Kind.INT, "ts_ns", "counts_from_ns"),
        *_columns(Kind.TEXT, "model"),
        *_columns(Kind.KEY, "scope"),
        *_columns(Kind.DOCUMENT, "input"),
    ),
    "market.audit": _AUDIT,
    "trading.decisions": (
        *_columns(Kind.KEY, "id"),
        *_columns(Kind.INT, "ts_ns"),
        *_columns(Kind.KEY, "account", nullable=True),
        *_columns(Kind.TEXT, "order_id", "kind", "decision", "reason"),
        *_columns(Kind.INT, "code"),
        *_columns(Kind.TEXT, "state"),
        *_columns(Kind.TEXT, "state_source", nullable=True),
        *_columns(Kind.FLOAT, "mark", nullable=True),
        *_columns(Kind.TEXT, "mark_source", "band_source", "limits_source", nullable=True),
        *_columns(Kind.FLOAT, "position", nullable=True),
        *_columns(Kind.TEXT, "sequenced"),
    ),
    "trading.state": (
        *_columns(Kind.KEY, "id"),
        *_columns(Kind.INT, "ts_ns"),
        *_columns(Kind.KEY, "account"),
        *_columns(Kind.TEXT, "state", "event"),
        *_columns(Kind.TEXT, "cause", nullable=True),
        *_columns(Kind.TEXT, "reason"),
        *_columns(Kind.TEXT, "source", nullable=True),
        *_columns(Kind.TEXT, "sequenced"),
    ),
    "trading.audit": _AUDIT,
}
_BY_DAY = ("market.bars", "market.nbbo", "market.features", "trading.decisions")

TABLES: dict[str, Table] = {
    output.topic: Table(
        output,
        _LAYOUTS[output.topic],
        "day" if output.topic in _BY_DAY else "month",
        kept=output.name == "audit",
    )
    for outputs in OUTPUTS.values()
    for output in outputs
}
"""By the topic of the output: every output has one."""
