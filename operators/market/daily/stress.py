"""Stress scenarios: what a portfolio would lose if prices moved so.

The loss of weights w under shocks s is sum w_i s_i + gamma_i s_i^2 / 2, the second order for
positions whose value is not linear in the price.

A historical scenario has the whole of its period or nothing to say: the first of its sessions was
compared with one before it, and every asset that is held had a price then.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from operators.market.daily.assets import Assets
from operators.market.daily.book import Book
from operators.market.daily.settings import Shock
from operators.outputs import Emission


class Stress:
    """The scenarios of the settings; a historical one counts once its sessions have been seen."""

    def __init__(self, scenarios: Mapping[str, Shock]) -> None:
        self._scenarios = dict(sorted(scenarios.items()))
        self._growth: dict[str, dict[str, float]] = {}
        """Of each historical scenario whose begin was seen: price at its end over price at its
        begin, by symbol."""
        self._ended: set[str] = set()
        self._last_day: date | None = None

    def observe(self, day: date, assets: Assets) -> None:
        """Take the returns of the session of ``day`` into the historical scenarios that have it.

        To be called at every close, the first one too, which has no returns.
        """
        before, self._last_day = self._last_day, day
        for name, shock in self._scenarios.items():
            if shock.since is None or shock.until is None or name in self._ended:
                continue
            if shock.since <= day <= shock.until:
                if before is not None and before < shock.since:
                    self._growth[name] = dict.fromkeys(assets.priced_before(), 1.0)
                growth = self._growth.get(name, {})
                for symbol, ret in assets.last_returns():
                    if symbol in growth:
                        growth[symbol] *= 1.0 + ret
            if day >= shock.until:
                self._ended.add(name)

    def losses(self, ts_ns: int, book: Book) -> Iterator[Emission]:
        """Yield ``stress`` of a portfolio for each scenario."""
        for name, shock in self._scenarios.items():
            if shock.since is not None and not self._saw(name, book):
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
        last_day = None if self._last_day is None else self._last_day.isoformat()
        return {"growth": growth, "ended": sorted(self._ended), "last_day": last_day}

    def restore(self, parts: dict[str, Any]) -> None:
        """Take over a snapshot's state."""
        self._growth = {name: dict(moves) for name, moves in parts["growth"].items()}
        self._ended = set(parts["ended"])
        # At first it was not kept: then a period that begins at the next close is not told of.
        last_day = parts.get("last_day")
        self._last_day = None if last_day is None else date.fromisoformat(last_day)

    def _saw(self, name: str, book: Book) -> bool:
        """Say whether a historical scenario is over and was seen of all that is held."""
        growth = self._growth.get(name)
        if growth is None or name not in self._ended:
            return False
        held = zip(book.holdings.symbols, book.holdings.weights.tolist(), strict=True)
        return all(symbol in growth for symbol, weight in held if weight)

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
