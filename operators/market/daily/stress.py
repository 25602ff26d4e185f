"""Stress scenarios: what a portfolio would lose if prices moved so.

The loss of weights w under shocks s is sum w_i s_i + gamma_i s_i^2 / 2, the second order for
positions whose value is not linear in the price.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from operators.market.daily.assets import Assets
from operators.market.daily.book import Book
from operators.market.daily.settings import Shock
from operators.outputs import Emission
from state.clock import NS


class Stress:
    """The scenarios of the settings; a historical one counts once its sessions have been seen."""

    def __init__(self, scenarios: Mapping[str, Shock]) -> None:
        self._scenarios = dict(sorted(scenarios.items()))
        self._growth: dict[str, dict[str, float]] = {}
        """Of each historical scenario: price at its end over price at its begin, by symbol."""
        self._ended: set[str] = set()

    def observe(self, ts_ns: int, assets: Assets) -> None:
        """Take a session's returns into the historical scenarios that it is part of."""
        day = datetime.fromtimestamp(ts_ns // NS, UTC).date()
        for name, shock in self._scenarios.items():
            if shock.since is None or shock.until is None or name in self._ended:
                continue
            if shock.since <= day <= shock.until:
                growth = self._growth.setdefault(name, {})
                for symbol, ret in assets.last_returns():
                    growth[symbol] = growth.get(symbol, 1.0) * (1.0 + ret)
            if day >= shock.until:
                self._ended.add(name)

    def losses(self, ts_ns: int, book: Book) -> Iterator[Emission]:
        """Yield ``stress`` of a portfolio for each scenario."""
        for name, shock in self._scenarios.items():
            if shock.since is not None and not (name in self._ended and name in self._growth):
                continue
            pnl = sum(
                weight * move + 0.5 * shock.gamma.get(symbol, 0.0) * move * move
                for symbol, weight, move in self._moves(name, shock, book)
            )
            key = f"{book.scope}|{name}"
            record: dict[str, Any] = {
                "id": f"{key}|{ts_ns}",
                "ts_ns": ts_ns,
                "scope": book.scope,
                "scenario": name,
                "return": pnl,
                "pnl": pnl * book.holdings.gross,
            }
            yield "stress", ts_ns, record["id"], key, record

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of the state."""
        growth = {name: dict(moves) for name, moves in self._growth.items()}
        return {"growth": growth, "ended": sorted(self._ended)}

    def restore(self, parts: dict[str, Any]) -> None:
        """Take over a snapshot's state."""
        self._growth = {name: dict(moves) for name, moves in parts["growth"].items()}
        self._ended = set(parts["ended"])

    def _moves(self, name: str, shock: Shock, book: Book) -> Iterator[tuple[str, float, float]]:
        growth = self._growth.get(name, {})
        for symbol, weight in zip(
            book.holdings.symbols, book.holdings.weights.tolist(), strict=True
        ):
            if shock.since is not None:
                move = growth.get(symbol, 1.0) - 1.0
            else:
                move = shock.shocks.get(symbol, shock.other)
            yield symbol, weight, move
