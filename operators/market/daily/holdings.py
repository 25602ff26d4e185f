"""What a portfolio holds: weights that are set, or quantities of shares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from operators.market.daily.assets import Action, Assets

Kind = Literal["daily", "never", "positions"]
"""Weights restored at each close, weights that drift with prices, or quantities."""


class Holdings:
    """A portfolio's weights by symbol, in the order of the names, and its value.

    Weights are shares of the value (of the gross value, sum |q p|, for quantities, which
    therefore may be long and short at once, and for weights that drift once the value is gone: what
    was sold short is then still owed). Weights that are restored at each close are of nothing once
    the value is gone. ``changed`` says that weights are other than those
    under which the portfolio was last valued.

    The value of quantities is what they would bring; ``equity`` is that with the cash beside them,
    so buying and selling does not change it. Where nobody tells the cash, none is borrowed: what
    is held beyond the equity was paid in.
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
        self.knows_cash = False
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

    def set_quantity(self, symbol: str, quantity: float, assets: Assets) -> None:
        """Hold so many shares of a symbol from now on."""
        self.quantities.pop(symbol, None)
        if quantity:
            self.quantities[symbol] = quantity
        self.value_quantities(assets)

    def set_cash(self, amount: float) -> None:
        """Hold so much cash beside the quantities from now on."""
        self.equity = amount + self.value
        self.knows_cash = True

    def value_quantities(self, assets: Assets) -> None:
        """Make weights of the quantities at the last prices."""
        worth = {s: self.quantities[s] * assets.price_of(s) for s in sorted(self.quantities)}
        self.gross = sum(abs(x) for x in worth.values())
        self.value = sum(worth.values())
        weights = {s: x / self.gross if self.gross else 0.0 for s, x in worth.items()}
        self.set_weights(weights, assets)

    def follow(self, happened: Mapping[str, Action], assets: Assets) -> None:
        """Let quantities, if it has any, follow splits, and value them at the last prices."""
        if self.kind != "positions":
            return
        for symbol in self.symbols:
            if symbol in happened:
                self.quantities[symbol] *= happened[symbol].ratio
        self.value_quantities(assets)

    def move(self, ret: float, happened: Mapping[str, Action], assets: Assets) -> float:
        """Let a session pass in which the portfolio returned ``ret``; return the profit, in money.

        Quantities follow splits, weights that are never rebalanced drift.
        """
        if self.kind == "positions":
            profit = ret * self.gross
            self.equity = profit + (
                self.equity if self.knows_cash else max(self.equity, self.gross)
            )
            self.follow(happened, assets)
            return profit
        before, profit = self.value, ret * self.gross
        self.value += profit
        if self.kind == "never":
            self._drift(ret, assets.last()[self.columns], was_whole=self.gross == before)
        else:
            self.gross = max(self.value, 0.0)
        self.equity = self.value
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
            "knows_cash": self.knows_cash,
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
        made.knows_cash = parts.get("knows_cash", False)
        made.changed = parts["changed"]
        return made
