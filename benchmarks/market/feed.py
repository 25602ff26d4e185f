"""Clean ticks in event order: a load whose every property is chosen.

Unlike `replay.market.session` nothing is late, spoilt or missing, so that what another
program makes of the same ticks can be compared; one tick in a thousand comes twice.
Prices are random walks; spikes are single trades far off, which breach a forecast
without raising the next one by much.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from connectors.market.tick_columns import TickColumns
from state.clock import NS
from state.market.ticks import QUOTE, TRADE

VENUES = ("K", "N", "P", "Q", "Z")
QUOTES = 0.7
DUPLICATES = 1e-3
MOVE_PER_S = 1e-4
"""Standard deviation of a symbol's return over a second: 1.5 % in a trading day."""
SPIKE = 1e-3
START_NS = 1_709_562_600 * NS
"""2024-03-04 14:30 UTC, on a whole minute."""


class Feed:
    """Ticks of ``symbols`` symbols at ``rate`` ticks a second in all.

    ``spikes``: how many trades a second are spikes, over all symbols. Symbol i belongs
    to partition i % partitions, so that each partition has the same load.
    """

    def __init__(self, seed: int, symbols: int, rate: float, spikes: float = 0.0) -> None:
        self.names = [f"SYM{index:04d}" for index in range(symbols)]
        self._rng = np.random.Generator(np.random.Philox(key=seed))
        self._price = self._rng.uniform(50, 500, symbols)
        self._seq = np.zeros(2 * symbols * len(VENUES), np.int64)
        self._spikes = spikes / (rate * (1 - QUOTES))
        self._move = MOVE_PER_S * np.sqrt(symbols / rate)

    def ticks(self, ts_ns: NDArray[np.int64]) -> TickColumns:
        """Return the next ticks, received when they happened: at these times.

        One that comes twice takes the place, but not the time, of another.
        """
        rng = self._rng
        new = rng.random(len(ts_ns)) >= DUPLICATES
        new[:1] = True
        return self._unique(ts_ns[new]).take(np.cumsum(new) - 1)

    def _unique(self, ts_ns: NDArray[np.int64]) -> TickColumns:
        rng, count = self._rng, len(ts_ns)
        symbol = rng.integers(0, len(self.names), count)
        venue = rng.integers(0, len(VENUES), count)
        quote = rng.random(count) < QUOTES
        stream = (quote * len(self.names) + symbol) * len(VENUES) + venue
        seq = running(stream, np.ones(count, np.int64), self._seq)
        log_price = np.log(self._price)
        mid = np.exp(running(symbol, rng.normal(0, self._move, count), log_price))
        self._price = np.exp(log_price)
        spike = (rng.random(count) < self._spikes) * np.where(rng.random(count) < 0.5, 1, -1)
        price = np.where(quote, mid - 0.01, mid * (1 + SPIKE * spike))
        return TickColumns.of(
            kind=np.where(quote, QUOTE, TRADE),
            symbol=symbol,
            symbols=self.names,
            ts_ns=ts_ns,
            recv_ns=ts_ns,
            seq=seq,
            price=np.rint(price * 100) / 100,
            size=100.0 * rng.integers(1, 10, count),
            ask=np.where(quote, np.rint((mid + 0.01) * 100) / 100, 0),
            ask_size=np.where(quote, 100.0 * rng.integers(1, 10, count), 0),
            side=np.where(quote, 0, rng.integers(1, 3, count)),
            venue=venue,
            venues=VENUES,
        )


def evenly(count: int, rate: float, chunk: int) -> Iterator[NDArray[np.int64]]:
    """Yield the event times of ``count`` ticks at a steady rate, ``chunk`` at a time."""
    for first in range(0, count, chunk):
        yield START_NS + (np.arange(first, min(first + chunk, count)) * (NS / rate)).astype(
            np.int64
        )


def running(
    group: NDArray[np.int64], steps: NDArray[np.generic], totals: NDArray[np.generic]
) -> NDArray[np.float64]:
    """Return each group's running total after each step, and move ``totals`` on."""
    order = np.argsort(group, kind="stable")
    groups, ordered = group[order], steps[order]
    sums = np.cumsum(ordered)
    first = np.flatnonzero(np.diff(groups, prepend=-1))
    before = np.repeat(sums[first] - ordered[first], np.diff([*first, len(order)]))
    reached = sums - before + totals[groups]
    last = np.append(first[1:], len(order)) - 1
    totals[groups[last]] = reached[last]
    result = np.empty(len(order), reached.dtype)
    result[order] = reached
    return result
