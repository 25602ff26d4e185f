"""Prices of assets at session closes, their corporate actions and past returns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from operators.arrays import grown
from operators.market.kernels import portfolio as kernel
from state.snapshots import pack_array, unpack_array

UNSEEN = -1


class Action(NamedTuple):
    """A split (``ratio`` new shares for an old one) or a dividend (cash for each share)."""

    ex_ns: int
    symbol: str
    ratio: float
    cash: float


class Assets:
    """The assets that have ever closed: a column each, in the order in which they came.

    The order is no part of any result: whoever sums over assets does so by their names.
    The returns of the last ``retained`` sessions are kept in a ring of rows; an asset that
    did not trade yet has returns of 0, which `observations` does not count.
    """

    def __init__(self, retained: int) -> None:
        self._retained = retained
        self._names: list[str] = []
        self.column: dict[str, int] = {}
        self._price: NDArray[np.float64] = np.empty(0)
        self._since: NDArray[np.int64] = np.empty(0, np.int64)
        """How many sessions had returns when the asset first had a price; UNSEEN before."""
        self._ring: NDArray[np.float64] = np.zeros((retained, 16))
        self._actions: list[Action] = []
        self.sessions = 0
        """How many sessions had returns so far."""
        self.gaps = 0
        """How many prices were missing and carried."""

    @property
    def kept(self) -> int:
        """Return how many sessions' returns are kept."""
        return min(self.sessions, self._retained)

    def announce(self, action: Action) -> None:
        """Note a corporate action; it counts at the first close from its ex time on."""
        self._actions.append(action)

    def columns_of(self, symbols: Sequence[str]) -> NDArray[np.int64]:
        """Return the columns of symbols; one that was never seen gets its own now."""
        for symbol in symbols:
            self._column_of(symbol)
        return np.array([self.column[s] for s in symbols], np.int64)

    def observations(self, columns: NDArray[np.int64]) -> int:
        """Return how many sessions, up to the last one, have returns of all these assets."""
        since = self._since[columns]
        if (since == UNSEEN).any():
            return 0
        return self.sessions - int(since.max(initial=0))

    def priced_before(self) -> list[str]:
        """Return the assets that had a price at the session before the last one."""
        return [s for s, i in self.column.items() if UNSEEN < self._since[i] < self.sessions]

    def price_of(self, symbol: str) -> float:
        """Return the last price of a symbol, 0 where it has none."""
        column = self.column.get(symbol)
        return 0.0 if column is None else float(self._price[column])

    def split_since(self, symbol: str, time_ns: int) -> float:
        """Return how many shares one of the last price has become by splits up to ``time_ns``."""
        ratio = 1.0
        for action in sorted(self._actions):
            if action.symbol == symbol and action.ex_ns <= time_ns:
                ratio *= action.ratio
        return ratio

    def close(self, ts_ns: int, prices: Mapping[str, float]) -> dict[str, Action]:
        """Take the prices of a session; return what happened to shares since the last one.

        The return of an asset is (price * ratio + cash) / last price - 1, so neither a split nor
        a dividend is taken for a move; 0 for an asset without a price, which is counted as a gap.
        The first session makes no row, for there is nothing to compare it with.
        """
        happened = self._due(ts_ns, prices)
        is_first = not self._price.any()
        columns = self.columns_of(sorted(prices)).tolist()
        row = np.zeros(self._ring.shape[1])
        for symbol, column in zip(sorted(prices), columns, strict=True):
            last, price = float(self._price[column]), prices[symbol]
            if last > 0.0:
                action = happened.get(symbol)
                gross = price if action is None else price * action.ratio + action.cash
                row[column] = gross / last - 1.0
            self._price[column] = price
        self.gaps += int((self._price > 0.0).sum()) - len(prices)
        if not is_first:
            self._ring[self.sessions % self._retained] = row
            self.sessions += 1
        self._since[(self._since == UNSEEN) & (self._price > 0.0)] = self.sessions
        return happened

    def last(self) -> NDArray[np.float64]:
        """Return the returns of the last session by column (a view)."""
        row: NDArray[np.float64] = self._ring[(self.sessions - 1) % self._retained]
        return row

    def last_returns(self) -> list[tuple[str, float]]:
        """Return (symbol, return) of the last session, by symbol."""
        row = self.last()
        return [(s, float(row[self.column[s]])) for s in sorted(self._names)]

    def portfolio_return(self, columns: NDArray[np.int64], weights: NDArray[np.float64]) -> float:
        """Return the last session's return of a portfolio, summed in the order of ``columns``."""
        return float(kernel.weighted_sum(self.last(), columns, weights))

    def portfolio_returns(
        self, columns: NDArray[np.int64], weights: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return what a portfolio would have returned in the kept sessions, oldest first."""
        out = np.empty(self.kept)
        first = self.sessions % self._retained if self.sessions > self._retained else 0
        kernel.weighted_sums(self._ring, first, self.kept, columns, weights, out)
        return out

    def returns(self, columns: NDArray[np.int64], sessions: int) -> NDArray[np.float64]:
        """Return the last ``sessions`` returns of some columns, float64[n, k], oldest first."""
        n = min(sessions, self.kept)
        rows = (self.sessions - n + np.arange(n)) % self._retained
        return np.ascontiguousarray(self._ring[rows][:, columns])

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of the state."""
        width = len(self._names)
        kept = self._ring if self.sessions > self._retained else self._ring[: self.sessions]
        return {
            "names": list(self._names),
            "price": pack_array(self._price[:width]),
            "since": pack_array(self._since[:width]),
            "ring": pack_array(np.ascontiguousarray(kept[:, :width])),
            "actions": [tuple(action) for action in self._actions],
            "sessions": self.sessions,
            "gaps": self.gaps,
        }

    def restore(self, parts: dict[str, Any]) -> None:
        """Take over a snapshot's state."""
        self._names = list(parts["names"])
        self.column = {name: i for i, name in enumerate(self._names)}
        self._price = unpack_array(parts["price"])
        since = parts.get("since")  # at first nobody asked since when an asset had a price
        self._since = (
            np.where(self._price > 0.0, 0, UNSEEN) if since is None else unpack_array(since)
        )
        kept = unpack_array(parts["ring"])
        self._ring = np.zeros((self._retained, max(16, kept.shape[1])))
        self._ring[: len(kept), : kept.shape[1]] = kept
        self._actions = [Action(*action) for action in parts["actions"]]
        self.sessions = parts["sessions"]
        self.gaps = parts["gaps"]

    def _column_of(self, symbol: str) -> int:
        column = self.column.get(symbol)
        if column is None:
            column = self.column[symbol] = len(self._names)
            self._names.append(symbol)
            self._price = grown(self._price, column + 1)
            self._since = grown(self._since, column + 1, UNSEEN)
            if column >= self._ring.shape[1]:
                wider = np.zeros((self._retained, 2 * self._ring.shape[1]))
                wider[:, : self._ring.shape[1]] = self._ring
                self._ring = wider
        return column

    def _due(self, ts_ns: int, prices: Mapping[str, float]) -> dict[str, Action]:
        """Take out the actions that count now, combined by symbol in their order.

        Those of an asset without a price today wait for the day on which it has one.
        """
        due: dict[str, Action] = {}
        waiting = []
        # On one day the split comes first: the dividend is paid on what the shares then are.
        for action in sorted(self._actions, key=lambda a: (a.ex_ns, a.cash > 0.0, a)):
            if action.ex_ns > ts_ns or action.symbol not in prices:
                waiting.append(action)
                continue
            before = due.get(action.symbol, Action(0, action.symbol, 1.0, 0.0))
            # Cash is per share as shares are then: each that came of an old one gets it.
            ratio = before.ratio * action.ratio
            cash = before.cash + action.cash * ratio
            due[action.symbol] = Action(action.ex_ns, action.symbol, ratio, cash)
        self._actions = waiting
        return due
