"""One portfolio: the figures of every method for it, and how its past figures have held."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from operators.market.backtest import Backtest, is_exception
from operators.market.daily.assets import Action, Assets
from operators.market.daily.forecasts import Forecast, Forecasts
from operators.market.daily.holdings import Holdings
from operators.market.daily.settings import DailySettings
from operators.market.records import SESSION
from operators.outputs import Emission


class Outstanding(NamedTuple):
    """A forecast that waits for the session that it is of."""

    var: float
    es: float
    counts: bool


class Book:
    """A portfolio between two closes: its holdings, its methods, and what they forecast."""

    def __init__(self, name: str, holdings: Holdings, settings: DailySettings) -> None:
        self.name = name
        self.holdings = holdings
        self.forecasts = Forecasts(settings)
        self._settings = settings
        self._outstanding: dict[tuple[str, float], Outstanding] = {}
        self._backtests: dict[tuple[str, float], Backtest] = {}

    @property
    def scope(self) -> str:
        """Return the ``scope`` of the portfolio's records."""
        return f"portfolio:{self.name}"

    def judge(
        self, ts_ns: int, happened: Mapping[str, Action], assets: Assets
    ) -> Iterator[Emission]:
        """Yield what a session brought: ``pnl``, and ``backtest`` for what had been forecast."""
        holdings = self.holdings
        if not holdings.symbols:
            holdings.follow(happened, assets)
            return
        ret = assets.portfolio_return(holdings.columns, holdings.weights)
        exceptions = {}
        for (method, confidence), forecast in self._outstanding.items():
            if forecast.counts:
                exceptions[f"{method}|{confidence!r}"] = is_exception(ret, forecast.var)
                yield self._tested(ts_ns, method, confidence, ret, forecast)
        # What was never valued, or gets other weights now, is valued as a whole afterwards.
        if holdings.kind == "daily" and not holdings.changed:
            self.forecasts.update(ret, holdings, assets)
        profit = holdings.move(ret, happened, assets)
        identity = f"{self.scope}|{ts_ns}"
        record = {
            "id": identity,
            "ts_ns": ts_ns,
            "scope": self.scope,
            "return": ret,
            "pnl": profit,
            "value": holdings.value,
            "equity": holdings.equity,
            "exceptions": exceptions,
        }
        yield "pnl", ts_ns, identity, self.scope, record

    def forecast(self, ts_ns: int, assets: Assets) -> Iterator[Emission]:
        """Yield ``risk`` for the next session, under the weights that are held now."""
        self._outstanding.clear()
        if not self.holdings.symbols:
            return
        if self.holdings.changed:
            self.forecasts.revalue(self.holdings, assets)
            self.holdings.changed = False
        if self.forecasts.observations < self._settings.min_observations:
            return
        for made in self.forecasts.all(self.holdings, assets, f"{self.scope}|{ts_ns}"):
            at = (made.method, made.confidence)
            self._outstanding[at] = Outstanding(made.var, made.es, made.counts)
            for horizon in self._settings.horizons:
                yield self._risk(ts_ns, made, horizon)

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of the state."""
        return {
            "holdings": self.holdings.snapshot(),
            "forecasts": self.forecasts.snapshot(),
            "outstanding": {at: tuple(f) for at, f in self._outstanding.items()},
            "backtests": {at: test.snapshot() for at, test in self._backtests.items()},
        }

    @classmethod
    def restored(
        cls, name: str, parts: dict[str, Any], settings: DailySettings, assets: Assets
    ) -> Book:
        """Return the portfolio of a snapshot, over restored assets."""
        made = cls(name, Holdings.restored(parts["holdings"], assets), settings)
        made.forecasts.restore(parts["forecasts"])
        made._outstanding = {at: Outstanding(*f) for at, f in parts["outstanding"].items()}
        for (method, confidence), kept in parts["backtests"].items():
            made._backtest(method, confidence).restore(kept)
        return made

    def _backtest(self, method: str, confidence: float) -> Backtest:
        return self._backtests.setdefault((method, confidence), Backtest(confidence))

    def _tested(
        self, ts_ns: int, method: str, confidence: float, ret: float, forecast: Outstanding
    ) -> Emission:
        test = self._backtest(method, confidence)
        test.update(ret, forecast.var, forecast.es)
        record = test.record(self.scope, method, ts_ns)
        return "backtest", ts_ns, record["id"], f"{self.scope}|{method}|{confidence!r}", record

    def _risk(self, ts_ns: int, made: Forecast, horizon: int) -> Emission:
        # Losses of independent sessions: the square root of time, for every method alike.
        scale = horizon**0.5
        key = f"{self.scope}|{made.method}|{SESSION}|{made.confidence!r}|{horizon}"
        none = {"components": None, "marginal": None, "incremental": None}
        shares = none if made.shares is None else made.shares.records(self.holdings.symbols, scale)
        record = {
            "id": f"{key}|{ts_ns}",
            "ts_ns": ts_ns,
            "scope": self.scope,
            "method": made.method,
            "interval": SESSION,
            "confidence": made.confidence,
            "horizon": horizon,
            "var": made.var * scale,
            "es": made.es * scale,
            **shares,
            "valid": made.valid,
        }
        return "risk", ts_ns, record["id"], key, record
