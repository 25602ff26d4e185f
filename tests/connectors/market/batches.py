"""Batches of messages and ticks for the tests of the wire formats."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from connectors.market.tick_columns import TickColumns
from connectors.market.ticks import Tick
from state.market.ticks import QUOTE, TRADE, TickBlock
from state.records import Header, Messages

NOW_NS = 1_700_000_000_000_000_000
AHEAD_NS = 5_000_000_000


def messages(
    values: Sequence[bytes],
    *,
    partition: Sequence[int] | None = None,
    first_offset: int = 100,
    timestamp_ns: int = NOW_NS,
    keyless: Sequence[int] = (),
    headers: dict[int, list[Header]] | None = None,
) -> Messages:
    n = len(values)
    keyed = np.ones(n, np.bool_)
    keyed[list(keyless)] = False
    return Messages(
        topic="market.ticks",
        partitions=4,
        partition=np.array(partition or [0] * n, np.int32),
        offset=np.arange(first_offset, first_offset + n),
        timestamp_ns=np.full(n, timestamp_ns),
        keyed=keyed,
        data=np.frombuffer(b"".join(values), np.uint8),
        starts=np.cumsum([0, *map(len, values)]).astype(np.int64),
        keys=[b"key" if k else None for k in keyed],
        headers=headers or {},
        ranges={0: (first_offset, first_offset + n)},
    )


def rows(block: TickBlock) -> list[Tick]:
    """Return the block's rows with their strings, '' for a heartbeat's."""

    def text(texts: list[str], code: int) -> str:
        return texts[code] if code >= 0 else ""

    return [
        Tick(
            int(block.kind[i]),
            text(block.symbols, int(block.symbol[i])),
            text(block.venues, int(block.venue[i])),
            text(block.conditions, int(block.condition[i])),
            int(block.side[i]),
            int(block.ts_ns[i]),
            int(block.recv_ns[i]),
            int(block.seq[i]),
            float(block.price[i]),
            float(block.size[i]),
            float(block.ask[i]),
            float(block.ask_size[i]),
        )
        for i in range(len(block))
    ]


def some_ticks(count: int, seed: int = 1, symbols: int = 50) -> TickColumns:
    """Return valid trades and quotes, one-sided and two-sided, with and without options."""
    rng = np.random.default_rng(seed)
    kind = rng.choice([TRADE, QUOTE], count)
    has_bid = (kind == TRADE) | (rng.random(count) < 0.6)
    has_ask = (kind == QUOTE) & (~has_bid | (rng.random(count) < 0.3))
    price = np.where(has_bid, rng.uniform(0.01, 900, count).round(2), 0.0)
    return TickColumns.of(
        kind=kind,
        symbol=rng.integers(0, symbols, count),
        symbols=[f"SYM{i}" for i in range(symbols)],
        ts_ns=NOW_NS - rng.integers(0, 10**9, count),
        price=price,
        size=np.where(has_bid, rng.integers(1, 1000, count), 0),
        ask=np.where(has_ask, rng.uniform(0.01, 900, count), 0.0),
        ask_size=np.where(has_ask, rng.integers(0, 1000, count), 0),
        recv_ns=np.where(rng.random(count) < 0.5, NOW_NS, 0),
        seq=np.where(rng.random(count) < 0.8, np.arange(count), -1),
        side=np.where(kind == TRADE, rng.integers(0, 3, count), 0),
        venue=rng.integers(0, 4, count),
        venues=["", "NYSE", "Q", "Börse"],
        condition=np.where(kind == TRADE, rng.integers(0, 3, count), 0),
        conditions=["", "@:F I", 'odd "lot"'],
    )
