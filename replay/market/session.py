"""A seeded market session: trades and quotes with all that real feeds do wrong.

Activity and volatility are U-shaped over the session; ticks come in bursts; symbols share
a market factor and jump at times. Ticks are numbered by (type, symbol, venue), some
numbers are missing, some messages come twice, late, or spoilt. Random numbers come from
Philox keyed by (seed, chunk), so the same seed gives the same bytes, however it is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from connectors.market.json_ticks import ticks_json
from connectors.market.tick_columns import TickColumns
from replay.heartbeats import closing_ns, end_partitions, heartbeat
from replay.market.faults import spoil
from replay.message import Message
from replay.partitioner import partition_of
from replay.writer import RecordingWriter, content
from state.clock import NS
from state.market.ticks import QUOTE, SIDES, TRADE

TOPIC = "market.ticks"
SESSION_NS = 6 * 3600 * NS + 1800 * NS
SESSION_START_NS = 1_709_562_600 * NS
"""2024-03-04 14:30 UTC, 09:30 in New York."""

CHUNK = 8192
MAX_SYMBOLS = 10_000
VENUES = ("K", "N", "P", "Q", "Z")
_VENUE_SHARE = (0.2, 0.3, 0.15, 0.25, 0.1)
CONDITIONS = ("1", "20", "2000", "suspicious:1")
_CONDITION_SHARE = (0.93, 0.05, 0.015, 0.005)
_QUOTES, _TWO_SIDED = 0.7, 0.4

GAPS, DUPLICATES, DELAYED, LATE, BAD, JUMPS = 5e-4, 1e-3, 5e-3, 2e-4, 3e-4, 2e-4
"""Shares of messages: a number is missing before it, it repeats the one before it, it is
delayed by less than a second, by 2 to 6 seconds, it is unusable, its price jumped."""

_DAY_SIGMA, _MARKET_SHARE, _JUMP_SIGMA = 0.02, 0.4, 0.006
_GRID = np.linspace(0, 1, 4097)
_U = 0.4 + 1.8 * (2 * _GRID - 1) ** 2
"""Activity over the session, 1 on average (0.4 at noon, 2.2 at the open and the close)."""
_DONE = np.concatenate([[0], np.cumsum(_U[1:] + _U[:-1])])
_DONE /= _DONE[-1]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Session:
    """What to simulate: ``count`` messages over ``duration_ns`` from ``start_ns``."""

    seed: int
    count: int
    symbols: int = 20
    partitions: int = 1
    start_ns: int = SESSION_START_NS
    duration_ns: int = SESSION_NS

    @property
    def names(self) -> list[str]:
        """The symbols: SIM0000, SIM0001 and so on."""
        return [f"SIM{index:04d}" for index in range(self.symbols)]


@dataclass(frozen=True, slots=True)
class Batch:
    """Messages in the order of their arrival, by column; ``key`` may be null."""

    timestamp_ns: Ints
    partition: NDArray[np.int32]
    key: pa.Array
    value: pa.Array

    def __len__(self) -> int:
        return len(self.timestamp_ns)


def batches(session: Session) -> Iterator[Batch]:
    """Yield the session's messages, some thousands at a time, without heartbeats."""
    market = _Market(session)
    waiting: Batch | None = None
    for chunk, first in enumerate(range(0, session.count, CHUNK)):
        last = min(first + CHUNK, session.count)
        made = market.chunk(chunk, first, last)
        together = made if waiting is None else _join(waiting, made)
        order = np.argsort(together.timestamp_ns, kind="stable")
        until_ns = market.time_ns(last) if last < session.count else np.iinfo(np.int64).max
        due = int(np.searchsorted(together.timestamp_ns[order], until_ns, "right"))
        yield _take(together, order[:due])
        waiting = _take(together, order[due:])


def simulate(session: Session) -> Iterator[Message]:
    """Yield the session's messages with their offsets, then a heartbeat for each partition."""
    offsets = [0] * session.partitions
    last_ns = session.start_ns
    for batch in batches(session):
        columns = zip(
            batch.timestamp_ns.tolist(),
            batch.partition.tolist(),
            batch.key.to_pylist(),
            batch.value.to_pylist(),
            strict=True,
        )
        for timestamp_ns, partition, key, value in columns:
            yield Message(TOPIC, partition, offsets[partition], timestamp_ns, key, value)
            offsets[partition] += 1
        last_ns = max(last_ns, int(batch.timestamp_ns.max(initial=0)))
    for partition, offset in enumerate(offsets):
        yield heartbeat(TOPIC, partition, offset, closing_ns(last_ns))


def record_session(
    session: Session, out: Path, advance: Callable[[int], None] = lambda count: None
) -> int:
    """Write a session as a recording, heartbeats included; return the ticks' number."""
    offsets = [0] * session.partitions
    last_ns = session.start_ns
    with RecordingWriter(out, {TOPIC: session.partitions}) as writer:
        for batch in batches(session):
            for partition in range(session.partitions):
                rows = np.flatnonzero(batch.partition == partition)
                offset = np.arange(offsets[partition], offsets[partition] + len(rows))
                part = _take(batch, rows)
                writer.write(
                    TOPIC, partition, content(offset, part.timestamp_ns, part.key, part.value)
                )
                offsets[partition] += len(rows)
            last_ns = max(last_ns, int(batch.timestamp_ns.max(initial=0)))
            advance(len(batch))
        end_partitions(writer, TOPIC, offsets, last_ns)
    return sum(offsets)


def _take(batch: Batch, rows: NDArray[np.intp]) -> Batch:
    chosen = pa.array(rows)
    return Batch(
        batch.timestamp_ns[rows],
        batch.partition[rows],
        batch.key.take(chosen),
        batch.value.take(chosen),
    )


def _join(first: Batch, second: Batch) -> Batch:
    return Batch(
        np.concatenate([first.timestamp_ns, second.timestamp_ns]),
        np.concatenate([first.partition, second.partition]),
        pa.concat_arrays([first.key, second.key]),
        pa.concat_arrays([first.value, second.value]),
    )


@dataclass(frozen=True, slots=True)
class _Ticks:
    """Ticks in event order, before they travel."""

    ts_ns: Ints
    delay_ns: Ints
    symbol: Ints
    venue: Ints
    quote: NDArray[np.bool_]
    seq: Ints
    mid: Floats
    spread: Floats


class _Market:
    """The state that one chunk hands to the next: prices and sequence numbers."""

    def __init__(self, session: Session) -> None:
        self._session = session
        generator = np.random.Generator(np.random.Philox(key=[session.seed, 1 << 63]))
        count = session.symbols
        self._names = session.names
        self._keys = pa.array([name.encode() for name in self._names], pa.binary())
        self._partition = np.array(
            [partition_of(name.encode(), session.partitions) for name in self._names], np.int32
        )
        self._share = 1 / (1 + np.arange(count))
        self._share /= self._share.sum()
        self._beta = generator.uniform(0.5, 1.5, count)
        self._log_price = np.log(generator.uniform(15, 250, count))
        self._market = 0.0
        self._seq = np.zeros(2 * count * len(VENUES), np.int64)

    def time_ns(self, tick: int) -> int:
        """Return the time of tick number ``tick`` on the session's activity curve."""
        passed = float(np.interp(tick / self._session.count, _DONE, _GRID))
        return self._session.start_ns + int(passed * self._session.duration_ns)

    def chunk(self, number: int, first: int, last: int) -> Batch:
        """Return ticks ``first`` to ``last``, by event time, with their arrival times."""
        rng = np.random.Generator(np.random.Philox(key=[self._session.seed, number]))
        ticks = self._ticks(rng, first, last)
        value = ticks_json(_columns(rng, ticks, self._names)).cast(pa.binary())
        arrival_ns = ticks.ts_ns + ticks.delay_ns
        source = np.arange(last - first)
        repeated = np.flatnonzero(rng.random(len(source)) < DUPLICATES)
        repeated = repeated[repeated > 0]
        source[repeated] = repeated - 1
        arrival_ns[repeated] = arrival_ns[repeated - 1] + rng.integers(0, NS // 100, len(repeated))
        symbol = ticks.symbol[source]
        batch = Batch(
            arrival_ns,
            self._partition[symbol],
            self._keys.take(pa.array(symbol)),
            value.take(pa.array(source)),
        )
        first_copies = source == np.arange(len(source))
        keys, values = spoil(rng, batch.key, batch.value, first_copies, BAD)
        return Batch(batch.timestamp_ns, batch.partition, keys, values)

    def _ticks(self, rng: np.random.Generator, first: int, last: int) -> _Ticks:
        count = last - first
        ts_ns = self._times(rng, first, last)
        symbol = rng.choice(len(self._names), count, p=self._share)
        venue = rng.choice(len(VENUES), count, p=_VENUE_SHARE)
        quote = rng.random(count) < _QUOTES
        skipped = np.where(rng.random(count) < GAPS, rng.integers(1, 4, count), 0)
        number = (quote * len(self._names) + symbol) * len(VENUES) + venue
        seq = _running(number, 1 + skipped, self._seq).astype(np.int64)
        delay_ns = (rng.lognormal(0, 0.5, count) * 200_000).astype(np.int64)
        slow, late = rng.random(count) < DELAYED, rng.random(count) < LATE
        delay_ns[slow] = rng.integers(NS // 100, NS * 8 // 10, np.count_nonzero(slow))
        delay_ns[late] = rng.integers(2 * NS, 6 * NS, np.count_nonzero(late))
        mid = self._mid(rng, symbol, ts_ns)
        return _Ticks(
            ts_ns, delay_ns, symbol, venue, quote, seq, mid, rng.integers(1, 4, count) / 100
        )

    def _times(self, rng: np.random.Generator, first: int, last: int) -> Ints:
        """Return event times that follow the activity curve, with lulls and bursts."""
        count = last - first
        pace = np.repeat(rng.lognormal(0, 1, count // 64 + 1), 64)[:count]
        pace[np.repeat(rng.random(count // 64 + 1) < 0.02, 64)[:count]] *= 0.02
        passed = np.cumsum(rng.exponential(1, count) * pace)
        start_ns, end_ns = self.time_ns(first), self.time_ns(last)
        inside = passed / (passed[-1] * (1 + 1 / count)) * (end_ns - start_ns)
        times: Ints = start_ns + inside.astype(np.int64)
        return times

    def _mid(self, rng: np.random.Generator, symbol: Ints, ts_ns: Ints) -> Floats:
        """Return the middle price of each tick: a market factor, own moves and jumps."""
        count = len(symbol)
        session = self._session
        day = _DAY_SIGMA * np.sqrt(session.duration_ns / SESSION_NS / session.count)
        market = self._market + np.cumsum(rng.normal(0, day * np.sqrt(_MARKET_SHARE), count))
        self._market = float(market[-1])
        passed = (ts_ns - session.start_ns) / session.duration_ns
        own = day * np.sqrt((1 - _MARKET_SHARE) / self._share[symbol])
        moves = rng.normal(0, 1, count) * own * np.interp(passed, _GRID, _U)
        jumps = rng.random(count) < JUMPS
        moves[jumps] += rng.normal(0, _JUMP_SIGMA, np.count_nonzero(jumps))
        log_price = _running(symbol, moves, self._log_price)
        return np.exp(log_price + self._beta[symbol] * market)


def _running(group: Ints, steps: NDArray[np.generic], totals: NDArray[np.generic]) -> Floats:
    """Return each group's running total after each step, and move ``totals`` on."""
    order = np.argsort(group, kind="stable")
    groups = group[order]
    sums = np.cumsum(steps[order])
    starts = np.flatnonzero(np.concatenate([[True], groups[1:] != groups[:-1]]))
    before = np.repeat(sums[starts] - steps[order][starts], np.diff([*starts, len(order)]))
    reached = sums - before + totals[groups]
    ends = np.append(starts[1:], len(order)) - 1
    totals[groups[ends]] = reached[ends]
    running = np.empty(len(order), reached.dtype)
    running[order] = reached
    return running


def _columns(rng: np.random.Generator, ticks: _Ticks, names: list[str]) -> TickColumns:
    """Return the ticks with sides, sizes and conditions, and the prices that follow from them."""
    count = len(ticks.ts_ns)
    quote = ticks.quote
    part = rng.random(count)
    has_bid = ~quote | (part < (1 + _TWO_SIDED) / 2)
    has_ask = quote & ((part < _TWO_SIDED) | ~has_bid)
    buys = rng.random(count) < 0.5
    bid = _cents(ticks.mid - ticks.spread / 2)
    ask = np.maximum(_cents(ticks.mid + ticks.spread / 2), _cents(bid + 0.01))
    size, ask_size = 100.0 * rng.geometric(0.3, (2, count))
    condition = rng.choice(len(CONDITIONS), count, p=_CONDITION_SHARE)
    return TickColumns.of(
        kind=np.where(quote, QUOTE, TRADE),
        symbol=ticks.symbol,
        symbols=names,
        ts_ns=ticks.ts_ns,
        recv_ns=ticks.ts_ns + ticks.delay_ns * 9 // 10,
        seq=ticks.seq,
        price=np.where(quote | ~buys, bid, ask) * has_bid,
        size=size * has_bid,
        ask=ask * has_ask,
        ask_size=ask_size * has_ask,
        side=np.where(quote, 0, np.where(buys, SIDES.index("buy"), SIDES.index("sell"))),
        venue=ticks.venue,
        venues=VENUES,
        condition=condition,
        conditions=CONDITIONS,
    )


def _cents(price: Floats) -> Floats:
    return np.maximum(np.rint(price * 100), 1) / 100
