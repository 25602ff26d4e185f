"""Risk of portfolios: what combines partitions, merged by event time.

Each shard hands over the bars of the risk interval as they close, with the progress of
its partitions. Marginal and component VaR: Euler's allocation (Tasche
1999); component i is w_i (Sw)_i / sigma times the VaR factor, and they sum to the VaR.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from operators.market.breach import breach_record
from operators.market.handover import Handover
from operators.market.kernels import volatility as kernel
from operators.market.records import METHOD, interval_name
from operators.market.var import Level, normal_risk_record
from operators.merge import Item, Merge
from operators.outputs import Emission
from state.snapshots import pack_array, unpack_array


@dataclass(slots=True)
class IntradayBook:
    """One portfolio: its weights over the universe, and the last forecast made for it."""

    name: str
    symbols: list[str]
    places: NDArray[np.int64]
    weights: NDArray[np.float64]
    sigma: float = 0.0
    valid: bool = False

    @property
    def scope(self) -> str:
        """Return the ``scope`` of the portfolio's records."""
        return f"portfolio:{self.name}"


class Portfolios:
    """EWMA covariance of the universe and parametric VaR/ES of each portfolio."""

    def __init__(
        self,
        portfolios: dict[str, dict[str, float]],
        interval_ns: int,
        decay: float,
        at: list[Level],
        min_observations: int,
        breach_confidence: float,
    ) -> None:
        self._universe = sorted({symbol for weights in portfolios.values() for symbol in weights})
        place = {symbol: i for i, symbol in enumerate(self._universe)}
        self._books = [
            IntradayBook(
                name,
                sorted(weights),
                np.array([place[s] for s in sorted(weights)], np.int64),
                np.array([weights.get(s, 0.0) for s in self._universe]),
            )
            for name, weights in sorted(portfolios.items())
        ]
        self._place = place
        self._interval = interval_name(interval_ns)
        self._decay = decay
        self._levels = at
        self._min_observations = min_observations
        self._breach = Level(breach_confidence, 1).var_factor
        size = len(self._universe)
        self._covariance = np.zeros((size, size))
        self._observations = np.zeros(size, np.int64)
        self._steps = 0
        self._merge = Merge(())

    def accept(self, handover: Handover) -> list[Emission]:
        """Take what a shard hands over; return the records of the times that are now complete."""
        for end_ns, symbol, ret, has_return, _ in handover.closes:
            if symbol in self._place:
                self._merge.add(end_ns, (symbol, ret, has_return))
        self._merge.advance(handover.topic, handover.partitions, handover.passed)
        records: list[Emission] = []
        for end_ns, closes in self._merge.complete():
            records.extend(self._step(end_ns, closes))
        return records

    def describe(self, portfolio: str) -> dict[str, Any]:
        """Return the last forecast for a portfolio; {} where there is none of this name."""
        return {
            book.name: {"sigma": book.sigma, "valid": book.valid, "steps": self._steps}
            for book in self._books
            if book.name == portfolio
        }

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of the state."""
        return {
            "covariance": pack_array(self._covariance),
            "observations": pack_array(self._observations),
            "steps": self._steps,
            "merge": self._merge.snapshot(),
            "forecasts": [(book.sigma, book.valid) for book in self._books],
        }

    def restore(self, parts: dict[str, Any]) -> None:
        """Take over a snapshot's state."""
        self._covariance = unpack_array(parts["covariance"])
        self._observations = unpack_array(parts["observations"])
        self._steps = parts["steps"]
        self._merge.restore(parts["merge"])
        for book, (sigma, valid) in zip(self._books, parts["forecasts"], strict=True):
            book.sigma, book.valid = sigma, valid

    def _step(self, end_ns: int, closes: list[Item]) -> list[Emission]:
        returns = np.zeros(len(self._universe))
        closed = np.zeros(len(self._universe), np.bool_)
        for symbol, ret, has_return in closes:
            place = self._place[symbol]
            closed[place] = True
            if has_return:
                returns[place] = ret
                self._observations[place] += 1
        if not any(has_return for _, _, has_return in closes):
            return []
        touched = [book for book in self._books if closed[book.places].any()]
        records = [r for book in touched for r in self._breaches(book, end_ns, returns)]
        kernel.ewma_covariance(self._covariance, returns, self._decay, self._steps == 0)
        self._steps += 1
        for book in touched:
            records.extend(self._forecast(book, end_ns))
        return records

    def _breaches(
        self, book: IntradayBook, end_ns: int, returns: NDArray[np.float64]
    ) -> list[Emission]:
        if not book.valid:
            return []
        move = 0.0
        for place in book.places.tolist():  # in the order of the names, never a BLAS reduction
            move += float(book.weights[place] * returns[place])
        limit = self._breach * book.sigma
        if -limit <= move <= limit:
            return []
        kind, threshold = ("breach_down", -limit) if move < 0 else ("breach_up", limit)
        identity = f"{book.scope}|{end_ns}"
        record = breach_record(identity, end_ns, book.scope, kind, move, threshold)
        return [("signals", end_ns, identity, "", record)]

    def _forecast(self, book: IntradayBook, end_ns: int) -> list[Emission]:
        marginal = np.empty(len(self._universe))
        sigma = float(kernel.portfolio_sigma(self._covariance, book.weights, marginal))
        book.sigma = sigma
        book.valid = bool((self._observations[book.places] >= self._min_observations).all())
        records: list[Emission] = []
        places = book.places
        for level in self._levels:
            scale = level.var_factor / sigma if sigma > 0.0 else 0.0
            found = marginal[places] * scale
            components = dict(
                zip(book.symbols, (book.weights[places] * found).tolist(), strict=True)
            )
            record = normal_risk_record(
                level,
                book.scope,
                self._interval,
                end_ns,
                sigma,
                components,
                dict(zip(book.symbols, found.tolist(), strict=True)),
                book.valid,
            )
            key = level.key(book.scope, METHOD, self._interval)
            records.append(("risk", end_ns, record["id"], key, record))
        return records
