"""Records of every output that has a table, as messages, and a database to put them into."""

from __future__ import annotations

from typing import Any

import numpy as np

from connectors.postgres.tables import tables_of
from operators.audit import AuditChain
from state.clock import DAY_NS
from state.market.outputs import OUTPUTS
from state.outputs import to_json
from state.records import Messages

T0 = 1_381_152_600_000_000_123
"""7 October 2013, 13:30:00 UTC and 123 ns."""
TABLES = tables_of(OUTPUTS)
YEAR_NS = 365 * DAY_NS


def bar(number: int, start_ns: int | None = None, interval: str = "1s") -> dict[str, Any]:
    start = T0 // 10**9 * 10**9 + number * 10**9 if start_ns is None else start_ns
    symbol = f"S{number % 5}"
    return {
        "id": f"{symbol}|{interval}|{start}",
        "symbol": symbol,
        "interval": interval,
        "start_ns": start,
        "open": 0.1 + number,
        "high": 1e308,
        "low": 5e-324,
        "close": 1 / 3 * number,
        "volume": 100.0,
        "vwap": 0.30000000000000004,
        "trades": 2**53 + 1,
    }


MADE = ("market_duplicates", "market_corrected_bars", "trading_limits")
"""Tables of ours that no migration makes: those of outputs that came later."""

ONE_OF_EACH: dict[str, dict[str, Any]] = {
    "market.bars": bar(1),
    "market.corrected_bars": bar(1)
    | {
        "id": "IBM|1s|1|2",
        "open": None,
        "version": 2,
        "corrected_ns": T0,
        "cause": "market.ticks/0/7/0",
    },
    "market.nbbo": {
        "id": "IBM|1",
        "symbol": "IBM",
        "ts_ns": T0,
        "bid": None,
        "bid_size": 0.0,
        "ask": 181.55,
        "ask_size": 3.0,
    },
    "market.risk": {
        "id": "portfolio:é|ewma|0.99|1|5",
        "ts_ns": T0,
        "scope": "portfolio:é",
        "method": "ewma-normal",
        "interval": "1m",
        "confidence": 0.99,
        "horizon": 1,
        "var": 0.0123,
        "es": 0.0234,
        "components": {"BAC": 0.1, "IBM": -1e-07, "X": 3.0, "huge": 1e300},
        "valid": True,
    },
    "market.signals": {
        "id": "market.ticks/0/17/0",
        "ts_ns": T0 + 1,
        "scope": "symbol:IBM",
        "kind": "breach_down",
        "method": "ewma-normal",
        "value": -0.02,
        "threshold": -0.01,
    },
    "market.gaps": {
        "id": "market.ticks/0/18/3",
        "ts_ns": T0 + 2,
        "symbol": "IBM",
        "venue": "",
        "type": "trade",
        "first_missing": 5,
        "last_missing": 6,
        "count": 2,
    },
    "market.late": {
        "id": "market.ticks/1/19/0",
        "ts_ns": 0,
        "topic": "market.ticks",
        "partition": 1,
        "offset": 2**63 - 1,
        "sequence": 0,
        "symbol": "IBM",
        "venue": "N",
        "type": "quote",
        "watermark_ns": -(2**63),
        "reason": 'behind\tthe "watermark"\\N\n',
    },
    "market.duplicates": {
        "id": "market.ticks/1/20/0",
        "ts_ns": T0,
        "topic": "market.ticks",
        "partition": 1,
        "offset": 20,
        "sequence": 0,
        "symbol": "IBM",
        "venue": "N",
        "type": "trade",
        "seq": 2**62,
    },
    "market.features": {
        "id": "IBM|hawkes|1",
        "ts_ns": T0,
        "symbol": "IBM",
        "kind": "hawkes",
        "value": 1e16,
        "details": {"count": 5, "rate": 5.0, "tiny": 1e-300, "unknown": None},
    },
    "market.bands": {
        "id": "IBM|market.ticks/0/17/0",
        "ts_ns": T0,
        "symbol": "IBM",
        "reference": None,
        "lower": 171.0,
        "upper": 189.1,
        "state": "limit_up",
    },
    "market.pnl": {
        "id": "portfolio:é|1",
        "ts_ns": T0,
        "scope": "portfolio:é",
        "return": -0.01,
        "pnl": -1e16,
        "value": 1.5e9,
        "equity": 2.5e9,
        "exceptions": {"historical|0.99": True, "ewma-normal|0.99": False},
    },
    "market.backtest": {
        "id": "portfolio:é|historical|0.99|1",
        "ts_ns": T0,
        "scope": "portfolio:é",
        "method": "historical",
        "confidence": 0.99,
        "observations": 250,
        "exceptions": 4,
        "kupiec_lr": 0.7691376,
        "kupiec_p": 0.38,
        "christoffersen_lr": 0.13,
        "christoffersen_p": 0.71,
        "conditional_lr": 0.9,
        "conditional_p": 0.63,
        "zone": "green",
        "acerbi_szekely": -0.1,
    },
    "market.stress": {
        "id": "portfolio:é|black-monday|1",
        "ts_ns": T0,
        "scope": "portfolio:é",
        "scenario": "black-monday",
        "return": -0.2,
        "pnl": -2.0,
    },
    "market.weights": {
        "id": "portfolio:é|1",
        "ts_ns": T0,
        "scope": "portfolio:é",
        "objective": "hrp",
        "weights": {"BAC": 1.0, "IBM": 0.0},
        "stale": True,
        "reason": "no solution",
        "solver": "",
        "model": "weights|portfolio:é|1|ab",
    },
    "market.requests": {
        "id": "garch|portfolio:é|1|ab",
        "ts_ns": T0,
        "counts_from_ns": T0 + 10**9,
        "model": "garch",
        "scope": "portfolio:é",
        "input": {"returns": [0.0, -0.0, 1e300, 3.0], "seed": 2**64 - 1},
    },
    "market.audit": AuditChain("market").append(
        T0, {"scope": "portfolio:é", "data_ns": T0, "value": 1.0, "huge": 1e22, "zero": -0.0}
    ),
    "trading.decisions": {
        "id": "market.orders/0/5/0",
        "ts_ns": T0,
        "account": None,
        "order_id": "1",
        "kind": "order",
        "decision": "reject",
        "reason": "UNKNOWN_ACCOUNT",
        "code": 15,
        "state": "ACTIVE",
        "state_source": None,
        "mark": 181.5,
        "mark_source": "market.nbbo/0/7",
        "band_source": None,
        "limits_source": None,
        "position": None,
        "sequenced": "market.sequenced/0/9",
    },
    "trading.state": {
        "id": "market.control/0/5/0|A|kill",
        "ts_ns": T0,
        "account": "*",
        "state": "HALTED",
        "event": "kill",
        "cause": "kill",
        "reason": "a fire",
        "source": "market.control/0/5",
        "sequenced": "market.sequenced/0/10",
    },
    "trading.limits": {
        "id": "clock/0/5/0|A|max_position",
        "ts_ns": T0,
        "account": "A",
        "name": "max_position",
        "used": 0.1,
        "most": None,
        "share": None,
        "symbol": "IBM",
        "source": None,
        "sequenced": "market.sequenced/0/10",
    },
    "trading.audit": AuditChain("trading").append(
        T0, {"who": None, "what": "kill", "sequenced": "market.sequenced/0/10"}
    ),
}


def messages(
    topic: str,
    values: list[bytes],
    headers: list[tuple[str, bytes]] | None = None,
    generation: int = 1,
) -> Messages:
    """The values as messages of partition 0 from offset 100 on."""
    if headers is None:
        headers = [
            ("headrace-counter", b"0/1"),
            ("headrace-generation", str(generation).encode()),
        ]
    count = len(values)
    starts = np.zeros(count + 1, np.int64)
    np.cumsum([len(value) for value in values], out=starts[1:])
    return Messages(
        topic=topic,
        partitions=1,
        partition=np.zeros(count, np.int32),
        offset=np.arange(100, 100 + count, dtype=np.int64),
        timestamp_ns=np.full(count, T0 // 10**6 * 10**6, np.int64),
        keyed=np.ones(count, np.bool_),
        data=np.frombuffer(b"".join(values), np.uint8),
        starts=starts,
        keys=[b"k"] * count,
        headers=dict.fromkeys(range(count), headers) if headers else {},
        ranges={0: (100, 100 + count)},
    )


def json_of(records: list[dict[str, Any]]) -> list[bytes]:
    return [to_json(record) for record in records]
