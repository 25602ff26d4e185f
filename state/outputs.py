"""The outputs of every system: their names, keys, order and canonical JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson


@dataclass(frozen=True, slots=True)
class Output:
    """One output of a system.

    ``time`` names the field that holds the event time (ns); ``keyed`` says that the
    last value by key is a table; ``by_coordinates`` that a file of it is in the order
    of the source coordinates instead of (event time, id). ``kept``: its topic is kept for good.
    ``partitions``: of its topic; 0 for as many as the flow's widest input. ``secret``:
    every sink carries it sealed.
    """

    system: str
    name: str
    time: str
    keyed: bool = False
    by_coordinates: bool = False
    kept: bool = False
    partitions: int = 0
    secret: bool = False

    @property
    def topic(self) -> str:
        """Return the durable Kafka topic of this output."""
        return f"{self.system}.{self.name}"


MARKET = (
    Output("market", "bars", "start_ns", keyed=True),
    Output("market", "nbbo", "ts_ns", keyed=True),
    Output("market", "risk", "ts_ns", keyed=True),
    Output("market", "signals", "ts_ns"),
    Output("market", "features", "ts_ns", keyed=True),
    Output("market", "bands", "ts_ns", keyed=True),
    Output("market", "pnl", "ts_ns", keyed=True),
    Output("market", "backtest", "ts_ns", keyed=True),
    Output("market", "stress", "ts_ns", keyed=True),
    Output("market", "weights", "ts_ns", keyed=True),
    Output("market", "requests", "ts_ns"),
    Output("market", "audit", "ts_ns", kept=True),
    Output("market", "gaps", "ts_ns"),
    Output("market", "late", "ts_ns", by_coordinates=True),
)
TRADING = (
    Output("trading", "decisions", "ts_ns", kept=True, partitions=1),
    Output("trading", "state", "ts_ns", keyed=True, kept=True, partitions=1),
    Output("trading", "audit", "ts_ns", kept=True, partitions=1),
)
OUTPUTS: dict[str, tuple[Output, ...]] = {"market": MARKET, "trading": TRADING}
DEAD = "dead"
"""The dead letters' name: topic ``<system>.dead``, file ``dead.jsonl``; not an Output."""


def to_json(record: dict[str, Any]) -> bytes:
    """Return the canonical JSON of a record: UTF-8, keys sorted, no white space.

    orjson writes the shortest decimal that reads back as the same double, and
    refuses nothing silently but NaN and infinity, which it writes as null: a
    record never holds them.
    """
    return orjson.dumps(record, option=orjson.OPT_SORT_KEYS)
