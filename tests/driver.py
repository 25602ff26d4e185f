"""Drives the market's shards and portfolios without Bytewax: ticks in, records out.

The blocks are made from ticks directly, so what is tested is the operators; the ticks can be
cut into blocks anywhere, spread over shards, and interrupted by snapshots anywhere.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from flows.market.flow import make_portfolios, make_shard
from flows.market.settings import Market
from flows.market.signals import pairs_of
from operators.market.operator import Operator
from operators.market.pair_signals import PairSignals
from operators.market.portfolio import Portfolios
from operators.market.shard import TickShard
from operators.outputs import Outputs
from state.market.outputs import MARKET
from state.market.ticks import CORRECTION, HEARTBEAT, NO_SEQ, QUOTE, TRADE, Correction, TickBlock
from state.records import DeadLetter, OutputBatch
from tests.reference.vocabulary import Record, Tick

KINDS = {"heartbeat": HEARTBEAT, "trade": TRADE, "quote": QUOTE, "correction": CORRECTION}


def _codes(values: Sequence[str]) -> tuple[NDArray[np.int32], list[str]]:
    names = sorted(set(values))
    index = {name: code for code, name in enumerate(names)}
    return np.array([index[v] for v in values], np.int32), names


def block_of(ticks: Sequence[Tick], partitions: int, topic: str = "market.ticks") -> TickBlock:
    """Return the ticks as one block."""
    beats = np.array([t.kind == "heartbeat" for t in ticks], np.bool_)
    symbol, symbols = _codes([t.symbol for t in ticks if t.kind != "heartbeat"])
    rows = np.full(len(ticks), -1, np.int32)
    rows[~beats] = symbol
    venue, venues = _codes([t.venue for t in ticks])
    condition, conditions = _codes([t.condition for t in ticks])
    venue[beats], condition[beats] = -1, -1

    def real(values: Iterable[float]) -> Any:
        return np.array(list(values), np.float64)

    return TickBlock(
        topic=topic,
        partitions=partitions,
        partition=np.array([t.partition for t in ticks], np.int32),
        offset=np.array([t.offset for t in ticks], np.int64),
        sequence=np.array([t.sequence for t in ticks], np.int32),
        timestamp_ns=np.array([t.timestamp_ns for t in ticks], np.int64),
        kind=np.array([KINDS[t.kind] for t in ticks], np.uint8),
        symbol=rows,
        venue=venue,
        condition=condition,
        side=np.zeros(len(ticks), np.uint8),
        ts_ns=np.array([t.ts_ns for t in ticks], np.int64),
        recv_ns=np.zeros(len(ticks), np.int64),
        price=real(t.price if t.kind == "trade" else t.bid for t in ticks),
        size=real(t.size if t.kind == "trade" else t.bid_size for t in ticks),
        ask=real(t.ask for t in ticks),
        ask_size=real(t.ask_size for t in ticks),
        seq=np.array([NO_SEQ if t.seq is None else t.seq for t in ticks], np.int64),
        retried=np.array([t.retried for t in ticks], np.bool_),
        symbols=symbols,
        venues=venues,
        conditions=conditions,
        corrections=[
            Correction(
                t.trade_ts_ns,
                NO_SEQ if t.trade_seq is None else t.trade_seq,
                t.price,
                t.size,
                t.condition,
            )
            for t in ticks
            if t.kind == "correction"
        ],
    )


class Driver:
    """A whole market flow in one object; ``cut`` says how many ticks the next block takes."""

    def __init__(
        self,
        market: Market,
        partitions: int,
        shards: int = 1,
        cut: Callable[[], int] = lambda: 4096,
        restart: Callable[[], bool] = lambda: False,
        more: Callable[[], list[Operator]] = list,
        in_order: Callable[[], list[Operator]] = list,
    ) -> None:
        self.market, self.partitions, self.shards = market, partitions, shards
        self.cut, self.restart = cut, restart
        self._make = partial(make_shard, market, more, in_order)
        self.batches: list[OutputBatch] = []
        self.dead: list[DeadLetter] = []
        self._shards = [self._make() for _ in range(shards)]
        self._outputs = [Outputs() for _ in range(shards)]
        self._portfolios, self._pairs = make_portfolios(market), pairs_of(market)

    def run(self, ticks: Sequence[Tick]) -> dict[str, list[Record]]:
        """Feed the ticks; return the records of every output so far, in canonical order."""
        for index in range(self.shards):
            mine = [t for t in ticks if t.partition % self.shards == index]
            while mine:
                size = max(1, self.cut())
                self._feed(index, block_of(mine[:size], self.partitions))
                mine = mine[size:]
                if self.restart():
                    self._shards[index] = self._restored(index)
                    portfolios = make_portfolios(self.market)
                    portfolios.restore(_pickled(self._portfolios))
                    self._portfolios = portfolios
                    pairs = pairs_of(self.market)
                    pairs.restore(_pickled(self._pairs))
                    self._pairs = pairs
        return canonical(self.batches)

    def _feed(self, index: int, block: TickBlock) -> None:
        handed = list(self._shards[index].process(block, self._outputs[index]))
        self.batches.extend(self._outputs[index].take())
        for handover in handed:
            if isinstance(handover, DeadLetter):
                self.dead.append(handover)
                continue
            merged = _Merged(self.batches)
            for record in (*self._portfolios.accept(handover), *self._pairs.accept(handover)):
                merged.add(*record)

    def _restored(self, index: int) -> TickShard:
        shard = self._make()
        shard.restore(_pickled(self._shards[index]))
        return shard


class _Merged:
    def __init__(self, batches: list[OutputBatch]) -> None:
        self._batches = batches

    def add(self, output: str, time_ns: int, identity: str, key: str, record: Record) -> None:
        values = [orjson.dumps(record, option=orjson.OPT_SORT_KEYS)]
        self._batches.append(OutputBatch(output, "merge", 0, [time_ns], [identity], [key], values))


def _pickled(part: TickShard | Portfolios | PairSignals) -> dict[str, Any]:
    parts: dict[str, Any] = pickle.loads(pickle.dumps(part.snapshot()))
    return parts


def canonical(batches: Iterable[OutputBatch]) -> dict[str, list[Record]]:
    """Return the records by output, each output in the order of its file."""
    records: dict[str, list[Record]] = {output.name: [] for output in MARKET}
    for batch in batches:
        records.setdefault(batch.output, []).extend(orjson.loads(v) for v in batch.values)
    for output in MARKET:
        if output.by_coordinates:
            records[output.name].sort(
                key=lambda r: (r["topic"], r["partition"], r["offset"], r["sequence"])
            )
        else:
            records[output.name].sort(key=lambda r: (r[output.time], r["id"]))
    return records
