"""What a portfolio holds: weights that are set, or quantities of shares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from operators.market.daily.assets import Action, Assets

Kind = Literal["daily", "never", "positions"]
"""Weights restored at each close, weights that drift with prices, or quantities."""


CASH = ""
"""In the place of a symbol, none of which is empty."""
Word = tuple[int, str, float]
"""Time (ns), symbol or CASH, and how much is held from then on."""


class Cash(NamedTuple):
    """Money, None where nobody has told it, and shares to be paid from it at their first price."""

    amount: float | None
    unpaid: dict[str, float]


class Holdings:
    """A portfolio's weights by symbol, in the order of the names, and its value.

    Weights are shares of the value (of the gross value, sum |q p|, for quantities, which
    therefore may be long and short at once, and for weights that drift once the value is gone: what
    was sold short is then still owed). Weights that are restored at each close are of nothing once
    the value is gone. ``changed`` says that weights are other than those
    under which the portfolio was last valued.

    The value of quantities is what they would bring; ``equity``, of the last close, is that with
    the cash beside them, so buying and selling does not change it. Cash that is told is what there
    is behind the positions of its time; later ones are paid from it, at the last prices, or at the
    first one of a symbol that has none. Where nobody tells the cash, none is borrowed: what is held
    beyond the equity was paid in.
    """

    def __init__(self, kind: Kind, value: float) -> None:
        self.kind: Kind = kind
        self.value = value
        self.symbols: list[str] = []
        self.columns: NDArray[np.int64] = np.empty(0, np.int64)
        self.weights: NDArray[np.float64] = np.empty(0)
        self.quantities: dict[str, float] = {}
        self.gross = value
        """What the weights are shares of, in money."""
        self.equity = value
        self._opening: dict[str, float] = {}
        """Quantities at the last close ..."""
        self._words: list[Word] = []
        """... and what was told since then, of both quantities and cash."""
        self._cash = Cash(None, {})
        """At the last close, or when it was told last."""
        self._cash_now = self._cash
        self.changed = True

    def set_weights(self, weights: Mapping[str, float], assets: Assets) -> None:
        """Hold these weights from now on."""
        self.symbols = sorted(weights)
        self.columns = assets.columns_of(self.symbols)
        self.weights = np.array([weights[s] for s in self.symbols])
        if self.kind != "positions":
            self.gross = max(self.value, 0.0)
        self.changed = True

    @property
    def held(self) -> NDArray[np.int64]:
        """Return the columns of the assets whose weight is not 0."""
        held: NDArray[np.int64] = self.columns[self.weights != 0.0]
        return held

    def tell(self, ts_ns: int, symbol: str, amount: float, assets: Assets) -> None:
        """Hold so many shares of a symbol, or with CASH so much money, from ``ts_ns`` on.

        Words of one time between two closes may come in any order.
        """
        self._words.append((ts_ns, symbol, amount))
        self._words.sort(key=lambda word: (word[0], word[1] == CASH))
        self.take_stock(assets)

    def was_told(self, symbol: str, since_ns: int) -> bool:
        """Return whether a quantity of the symbol was told of that time or later."""
        return any(word[1] == symbol and word[0] >= since_ns for word in self._words)

    def take_stock(self, assets: Assets) -> None:
        """Make quantities and cash of those at the last close and what was told since.

        A quantity is told in shares of its time, and kept in those of the last price: the next
        close splits them.
        """
        held = dict(self._opening)
        cash, unpaid = self._cash.amount, dict(self._cash.unpaid)
        for ts_ns, symbol, amount in self._words:
            if symbol == CASH:
                cash, unpaid = amount, {}
                continue
            quantity = amount / assets.split_since(symbol, ts_ns)
            bought = quantity - held.get(symbol, 0.0)
            held[symbol] = quantity
            price = assets.price_of(symbol)
            if cash is not None and price:
                cash -= bought * price
            elif cash is not None:
                unpaid[symbol] = unpaid.get(symbol, 0.0) + bought
        self._cash_now = Cash(cash, unpaid)
        self.quantities = {symbol: quantity for symbol, quantity in held.items() if quantity}
        self.value_quantities(assets)

    def value_quantities(self, assets: Assets) -> None:
        """Make weights of the quantities at the last prices."""
        worth = {s: self.quantities[s] * assets.price_of(s) for s in sorted(self.quantities)}
        self.gross = sum(abs(x) for x in worth.values())
        self.value = sum(worth.values())
        weights = {s: x / self.gross if self.gross else 0.0 for s, x in worth.items()}
        self.set_weights(weights, assets)

    def follow(self, happened: Mapping[str, Action], assets: Assets) -> None:
        """Let a close pass without a return: of quantities alone, which have a value by it."""
        if self.kind == "positions":
            self._close(0.0, happened, assets)

    def move(self, ret: float, happened: Mapping[str, Action], assets: Assets) -> float:
        """Let a session pass in which the portfolio returned ``ret``; return the profit, in money.

        Quantities follow splits, weights that are never rebalanced drift.
        """
        if self.kind == "positions":
            return self._close(ret, happened, assets)
        before, profit = self.value, ret * self.gross
        self.value += profit
        if self.kind == "never":
            self._drift(ret, assets.last()[self.columns], was_whole=self.gross == before)
        else:
            self.gross = max(self.value, 0.0)
        self.equity = self.value
        return profit

    def _close(self, ret: float, happened: Mapping[str, Action], assets: Assets) -> float:
        """Let quantities follow splits, value them and the cash anew; return the profit."""
        profit, cash = ret * self.gross, self._cash_now
        before = max(self.equity, self.gross) if cash.amount is None else cash.amount + self.value
        priced = dict(zip(self.symbols, self.weights.tolist(), strict=True))
        unpaid = dict(cash.unpaid)
        for symbol in self.symbols:
            if symbol in happened:
                self.quantities[symbol] *= happened[symbol].ratio
                unpaid[symbol] = unpaid.get(symbol, 0.0) * happened[symbol].ratio
        self.value_quantities(assets)
        self.equity = before + profit
        if cash.amount is not None:
            # What has its first price now was there unless it has to be paid.
            first = {s: q for s, q in self.quantities.items() if not priced.get(s)}
            for symbol, quantity in first.items():
                self.equity += (quantity - unpaid.get(symbol, 0.0)) * assets.price_of(symbol)
            unpaid = {s: q for s, q in unpaid.items() if q and not assets.price_of(s)}
            self._cash = Cash(self.equity - self.value, unpaid)
        self._cash_now = self._cash
        self._opening, self._words = dict(self.quantities), []
        return profit

    def _drift(self, ret: float, moves: NDArray[np.float64], *, was_whole: bool) -> None:
        """Let the weights go with their assets' returns ``moves``, which made ``ret``.

        ``was_whole``: the weights were shares of the value.
        """
        self.changed = True
        if was_whole and ret > -1.0:
            self.weights = self.weights * (1.0 + moves) / (1.0 + ret)
            self.gross = self.value
            return
        worth = self.weights * self.gross * (1.0 + moves)
        self.gross = self.value if self.value > 0.0 else float(np.abs(worth).sum())
        self.weights = worth / self.gross if self.gross else np.zeros(len(worth))

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of the state."""
        return {
            "kind": self.kind,
            "value": self.value,
            "gross": self.gross,
            "equity": self.equity,
            "opening": dict(self._opening),
            "words": list(self._words),
            "cash": tuple(self._cash),
            "cash_now": tuple(self._cash_now),
            "weights": dict(zip(self.symbols, self.weights.tolist(), strict=True)),
            "quantities": dict(self.quantities),
            "changed": self.changed,
        }

    @classmethod
    def restored(cls, parts: dict[str, Any], assets: Assets) -> Holdings:
        """Return the holdings of a snapshot, over restored assets."""
        made = cls(parts["kind"], parts["value"])
        made.set_weights(parts["weights"], assets)
        made.quantities = dict(parts["quantities"])
        made.gross = parts["gross"]
        made.equity = parts.get("equity", made.value)  # at first, cash was nobody's business
        made._opening = dict(parts.get("opening", made.quantities))
        made._words = [tuple(word) for word in parts.get("words", ())]
        made._cash = Cash(*parts.get("cash", (None, {})))
        made._cash_now = Cash(*parts.get("cash_now", (None, {})))
        made.changed = parts["changed"]
        return made
