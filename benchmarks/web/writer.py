"""Writes numbered records into Redis as a flow does."""

from __future__ import annotations

import threading
import uuid
from typing import Any

from pydantic import SecretStr

from connectors.redis.keys import Keys
from connectors.redis.sink import RedisSink
from state.lifecycle import Lifecycle
from state.outputs import to_json
from state.records import OutputBatch
from state.shards import shard_name


class Writer:
    """Writes records of a system."""

    def __init__(
        self, url: str, generation: int = 1, stream_length: int = 100_000, system: str = "market"
    ) -> None:
        lineage = uuid.uuid4().hex
        keys, shard = Keys(system, generation), shard_name(0)
        sink = RedisSink(
            SecretStr(url), keys, lineage, stream_length, [shard], [shard], Lifecycle(), "bench"
        )
        self._sink = sink.build_part("redis", shard, None)
        self._written: dict[str, int] = {}
        self._turn = threading.Lock()  # a page's test writes beside a thread that goes on writing

    def write(self, output: str, records: list[dict[str, Any]], keys: list[str]) -> None:
        """Write records of one output, with their keys in its table; return when Redis has them."""
        values = [to_json(record) for record in records]
        ids = [record["id"] for record in records]
        times = [0] * len(records)
        with self._turn:
            first = self._written.get(output, 0) + 1
            self._written[output] = first + len(records) - 1
            self._sink.write_batch([OutputBatch(output, "0", first, times, ids, keys, values)])
            self._sink.snapshot()

    def bars(self, first: int, count: int, symbols: int = 10) -> list[dict[str, Any]]:
        """Write bars numbered from ``first``; the number is their start."""
        made = [bar(f"S{number % symbols}", number) for number in range(first, first + count)]
        self.write("bars", made, [f"{record['symbol']}|1s" for record in made])
        return made

    def quotes(self, first: int, count: int, symbols: int = 10) -> list[dict[str, Any]]:
        """Write quotes numbered from ``first``; the number is their time and bid."""
        made = [quote(f"S{number % symbols}", number) for number in range(first, first + count)]
        self.write("nbbo", made, [record["symbol"] for record in made])
        return made


def bar(symbol: str, number: int) -> dict[str, Any]:
    """Return the bar of a symbol that starts at ``number``."""
    prices = dict.fromkeys(("open", "high", "low", "close", "vwap"), float(number))
    identity = f"{symbol}|1s|{number}"
    rest = {"id": identity, "symbol": symbol, "interval": "1s", "start_ns": number}
    return {**prices, **rest, "volume": 1.0, "trades": 1}


def quote(symbol: str, number: int) -> dict[str, Any]:
    """Return the quote of a symbol at the time ``number``."""
    sides = {"bid": float(number), "bid_size": 1.0, "ask": number + 1.0, "ask_size": 1.0}
    return {"id": f"{symbol}|{number}", "symbol": symbol, "ts_ns": number, **sides}
