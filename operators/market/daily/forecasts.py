"""What every method says of one portfolio's next session."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from operators.market.daily.assets import Assets
from operators.market.daily.holdings import Holdings
from operators.market.daily.settings import DailySettings
from operators.market.methods.age_weighted import AgeWeighted
from operators.market.methods.cornish_fisher import CornishFisher
from operators.market.methods.ewma import EwmaNormal
from operators.market.methods.filtered import FilteredHistorical
from operators.market.methods.garch import GarchNormal
from operators.market.methods.historical import Historical
from operators.market.methods.method import Method

METHODS: dict[str, Callable[[DailySettings], Method]] = {
    "historical": lambda s: Historical(s.window),
    "age-weighted": lambda s: AgeWeighted(s.window, s.age_decay),
    "filtered-historical": lambda s: FilteredHistorical(s.window, s.decay),
    "ewma-normal": lambda s: EwmaNormal(s.window, s.decay),
    "cornish-fisher": lambda s: CornishFisher(s.window),
    "garch-normal": lambda s: GarchNormal(s.window),
}
"""How the methods of a series of returns are made, by name."""


class Forecast(NamedTuple):
    """VaR and ES of the next session by one method, with the positions' shares of the VaR."""

    method: str
    confidence: float
    var: float
    es: float
    valid: bool
    """Whether the window is full and the method vouches for the figure."""
    counts: bool
    """Whether the window is full, so that a backtest counts the figure."""
    components: dict[str, float] | None


class Forecasts:
    """The methods of the settings, fed with the returns of one portfolio.

    Under constant weights they run on over all returns; under other weights they start from
    what the portfolio would have returned in the kept sessions.
    """

    def __init__(self, settings: DailySettings) -> None:
        self._settings = settings
        self._methods = {name: METHODS[name](settings) for name in settings.methods}
        self.observations = 0
        """How many returns the methods have seen."""

    def update(self, ret: float) -> None:
        """Take in the portfolio's return of one more session."""
        self.observations += 1
        for method in self._methods.values():
            method.update(ret)

    def revalue(self, holdings: Holdings, assets: Assets) -> None:
        """Start from the kept sessions under the weights that are held now."""
        series = assets.portfolio_returns(holdings.columns, holdings.weights)
        self.observations = len(series)
        for method in self._methods.values():
            method.revalue(series)

    def set_garch(self, mu: float, omega: float, alpha: float, beta: float) -> None:
        """Let the parameters of a fit count."""
        garch = self._methods.get("garch-normal")
        if isinstance(garch, GarchNormal):
            garch.set_parameters(mu, omega, alpha, beta)

    def all(self) -> Iterator[Forecast]:
        """Yield the forecast of each method at each confidence."""
        enough = self.observations >= self._settings.window
        for name, method in self._methods.items():
            for confidence in self._settings.confidences:
                figure = method.forecast(confidence)
                if figure is not None:
                    valid = figure.valid and enough
                    yield Forecast(name, confidence, figure.var, figure.es, valid, enough, None)

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of the state."""
        methods = {name: method.snapshot() for name, method in self._methods.items()}
        return {"methods": methods, "observations": self.observations}

    def restore(self, parts: dict[str, Any]) -> None:
        """Take over a snapshot's state."""
        self.observations = parts["observations"]
        for name, method in self._methods.items():
            method.restore(parts["methods"][name])
