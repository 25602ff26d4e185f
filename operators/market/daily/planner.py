"""When a portfolio's models are due to be fitted, and what is asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from operators.market.daily.assets import Assets
from operators.market.daily.book import Book
from operators.market.daily.holdings import Holdings
from operators.market.daily.settings import DailySettings, Target
from operators.market.models import garch_request, weights_request

View = dict[str, Any]

MAX_RETURNS = 40_000
"""The most returns of one request, which has to be a Kafka message: by default, 1 MB of JSON.

Of more than 80 assets, a window of 500 sessions is therefore cut to the last ones.
"""


STILL = 5
"""For how many sessions an asset without a move is one that may not trade."""


def _still(returns: Sequence[float]) -> int:
    """Return for how many of the last sessions an asset had no return."""
    moved = [number for number, ret in enumerate(returns) if ret]
    return len(returns) - 1 - moved[-1] if moved else len(returns)


class Planner:
    """Asks for fits by the count of sessions, and for weights where they have drifted, too."""

    def __init__(self, settings: DailySettings) -> None:
        self._settings = settings
        self._garch = "garch-normal" in settings.methods
        self._asked: dict[str, int] = {}
        """By portfolio, the session of the last request for weights."""
        self.targets: dict[str, dict[str, float]] = {}
        """By portfolio, the last good target weights."""

    def due(
        self, ts_ns: int, book: Book, assets: Assets, views: Mapping[str, View]
    ) -> Iterator[dict[str, Any]]:
        """Yield the requests that a close makes due for a portfolio."""
        settings, holdings = self._settings, book.holdings
        if not holdings.symbols or assets.sessions < settings.window:
            return
        # An asset that came later has no returns before: those of all assets alone are asked about.
        held = assets.observations(holdings.held)
        counts_from_ns = ts_ns + settings.models_delay_ns
        due = (assets.sessions - settings.window) % settings.models_every == 0
        if self._garch and due and held >= settings.min_observations:
            series = assets.portfolio_returns(holdings.columns, holdings.weights)
            yield garch_request(
                book.scope, ts_ns, counts_from_ns, series[-min(settings.window, held) :]
            )
        # Weights are asked of all assets, also of those that are not held yet.
        common = assets.observations(holdings.columns)
        target = settings.targets.get(book.name)
        if target is None or common < settings.min_observations:
            return
        if not self._weights_due(book, assets):
            return
        self._asked[book.name] = assets.sessions
        sessions = min(settings.window, common, MAX_RETURNS // len(holdings.symbols))
        returns = assets.returns(holdings.columns, sessions)
        yield weights_request(
            book.scope,
            ts_ns,
            counts_from_ns,
            target.objective,
            {s: returns[:, i] for i, s in enumerate(holdings.symbols)},
            dict(zip(holdings.symbols, holdings.weights.tolist(), strict=True)),
            [views[name] for name in sorted(views)],
            target.constraints,
            {"shrinkage": target.shrinkage, **_prior(target, holdings)},
        )

    def note(self, request: dict[str, Any]) -> str:
        """Return what is to be known of good weights; empty where there is nothing.

        They may be of fewer sessions than wanted, and an asset without a price looks like one
        without a risk.
        """
        asked = request["input"]
        wanted = min(self._settings.window, MAX_RETURNS // len(asked["symbols"]))
        sessions = len(asked["returns"])
        notes = [f"of the {sessions} sessions that all assets have"] if sessions < wanted else []
        notes += [
            f"{symbol} has not moved for {still} sessions"
            for symbol, past in zip(
                asked["symbols"], zip(*asked["returns"], strict=True), strict=True
            )
            if (still := _still(past)) >= STILL
        ]
        return "; ".join(notes)

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of the state."""
        targets = {name: dict(weights) for name, weights in self.targets.items()}
        return {"asked": dict(self._asked), "targets": targets}

    def restore(self, parts: dict[str, Any]) -> None:
        """Take over a snapshot's state."""
        self._asked = dict(parts["asked"])
        self.targets = {name: dict(weights) for name, weights in parts["targets"].items()}

    def _weights_due(self, book: Book, assets: Assets) -> bool:
        target = self._settings.targets[book.name]
        asked = self._asked.get(book.name)
        if asked is None or assets.sessions - asked >= target.every:
            return True
        aim = self.targets.get(book.name)
        if target.drift is None or aim is None:
            return False
        holdings = book.holdings
        wanted = np.array([aim.get(s, 0.0) for s in holdings.symbols])
        return bool(np.abs(holdings.weights - wanted).max() > target.drift)


def _prior(target: Target, holdings: Holdings) -> dict[str, dict[str, float]]:
    """Return the ``equilibrium`` of a request where its objective has one; none is equal weights.

    Without market weights it is what is held, so that no views say to hold on to that. Weights
    that were taken over from the last answer are none: its views would count again each time.
    """
    if target.objective != "black-litterman":
        return {}
    if target.market_weights:
        known = {s: target.market_weights.get(s, 0.0) for s in holdings.symbols}
        return {"equilibrium": known}
    weights = holdings.weights
    if target.apply or (weights < 0.0).any() or not weights.any():
        return {}
    return {"equilibrium": dict(zip(holdings.symbols, weights.tolist(), strict=True))}
