"""Ticks as Avro, one a message, in the framing of `connectors.avro.reader`.

A tick's fields are taken by their names, and the same definition judges the values as in JSON
(`connectors.market.ticks`).
"""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import orjson
from fastavro import parse_schema, schemaless_writer

from connectors.avro.reader import FRAMING
from connectors.market.tick_columns import TickColumns
from connectors.market.ticks import Tick, fields_of

TICK_SCHEMA = (Path(__file__).parent / "tick.avsc").read_text(encoding="utf-8")
"""Our own writer schema: JSON text, to be registered by whoever writes ticks with it."""

_TICK: dict[str, Any] = orjson.loads(TICK_SCHEMA)
TICK_FIELDS = frozenset(field["name"] for field in _TICK["fields"]) | {"trade_ts_ns", "trade_seq"}
"""The fields that a tick may have; those of cancels and corrections are in no schema of ours."""


def encode_avro(ticks: TickColumns, identity: int) -> list[bytes]:
    """Return a message for each tick, by `TICK_SCHEMA`, registered under ``identity``.

    Absent fields are null. Raises ValueError for a kind or side without a name.
    """
    schema = parse_schema(_TICK)
    found = []
    for tick in _ticks(ticks):
        stream = BytesIO(FRAMING.pack(identity))
        stream.seek(FRAMING.size)
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
