"""Contests of the VaR methods: a portfolio of many assets, one more row of their returns."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.market import risk_numpy as scratch
from benchmarks.market.risk_contest import Contest
from operators.market.components import ewma_components, historical_components
from operators.market.kernels import components, order_statistics, volatility
from operators.market.kernels.portfolio import weighted_sum, weighted_sums
from operators.market.methods.age_weighted import AgeWeighted
from operators.market.methods.cornish_fisher import CornishFisher
from operators.market.methods.ewma import EwmaNormal
from operators.market.methods.filtered import FilteredHistorical
from operators.market.methods.garch import GarchNormal
from operators.market.methods.historical import Historical
from operators.market.methods.method import Method
from operators.market.methods.normal import normal_tail
from operators.market.methods.window import OrderedWindow

Array = NDArray[np.float64]

CONFIDENCE, DECAY, AGE_DECAY = 0.99, 0.94, 0.99
GARCH = (0.0004, 2e-6, 0.08, 0.9)
SESSIONS = 300
"""How many rows come after the first window, before they begin again."""


class Market:
    """Returns of ``assets`` with one common factor and fat tails, and a portfolio of them.

    ``returns`` float64[window + SESSIONS, assets]; numpy's window of call i is the view that ends
    with row window + i, so that nothing is copied for it.
    """

    def __init__(self, assets: int, window: int) -> None:
        rng = np.random.default_rng(7)
        rows = window + SESSIONS
        factor = rng.standard_t(5, rows)
        noise = rng.standard_normal((rows, assets))
        beta = rng.uniform(0.5, 1.5, assets)
        self.window = window
        self.returns: Array = 0.007 * (factor[:, None] * beta + noise) + 0.0003
        self.weights: Array = rng.dirichlet(np.ones(assets))
        self.columns = np.arange(assets)
        self.series: Array = np.empty(rows)
        weighted_sums(self.returns, 0, rows, self.columns, self.weights, self.series)

    def row(self, i: int) -> Array:
        """Return the returns that call i adds."""
        row: Array = self.returns[self.window + i]
        return row

    def held(self, i: int) -> Array:
        """Return the window after call i."""
        view: Array = self.returns[i + 1 : i + 1 + self.window]
        return view


Theirs = Callable[[Array, Array], Any]


def rivals(window: int) -> dict[str, tuple[Method, Theirs]]:
    """Return each method, and numpy's way to the same."""
    z, ratio = normal_tail(CONFIDENCE)
    last = int(window * (1.0 - CONFIDENCE) + 1e-9)
    ages = AGE_DECAY ** np.arange(window - 1.0, -1.0, -1.0)
    ewma = scratch.ewma_weights(window, DECAY)
    garch = GarchNormal(window)
    garch.set_parameters(*GARCH)
    return {
        "historical": (Historical(window), partial(scratch.historical, last=last)),
        "age-weighted": (
            AgeWeighted(window, AGE_DECAY),
            partial(scratch.age_weighted, ages=ages / ages.sum(), probability=1.0 - CONFIDENCE),
        ),
        "filtered-historical": (
            FilteredHistorical(window, DECAY),
            partial(scratch.filtered, decay=DECAY, confidence=CONFIDENCE),
        ),
        "ewma-normal": (
            EwmaNormal(window, DECAY), partial(scratch.ewma, ages=ewma, z=z, ratio=ratio)
        ),
        "cornish-fisher": (
            CornishFisher(window), partial(scratch.cornish_fisher, z=-z, ratio=ratio)
        ),
        "garch-normal": (garch, partial(scratch.garch, parameters=GARCH, z=z, ratio=ratio)),
    }  # fmt: skip


def updates(market: Market) -> list[Contest]:
    """Return the contests of part (a): one more row, then VaR and ES, or the components."""
    pairs = zip(rivals(market.window).items(), revaluations(market), strict=True)
    made = [_update(market, name, *both, fresh) for (name, both), fresh in pairs]
    return [*made, _ewma_components(market), _historical_components(market), _covariance(market)]


def revaluations(market: Market) -> list[Contest]:
    """Return the contests of part (b): the whole window under other weights, then VaR and ES."""
    return [_revaluation(market, name, *both) for name, both in rivals(market.window).items()]


def _update(market: Market, name: str, method: Method, theirs: Theirs, fresh: Contest) -> Contest:
    columns, weights = market.columns, market.weights
    method.revalue(market.series[: market.window])

    def ours(i: int) -> Any:
        method.update(weighted_sum(market.row(i), columns, weights))
        figure = method.forecast(CONFIDENCE)
        assert figure is not None
        return figure[:2]

    return Contest(name, SESSIONS, ours, lambda i: theirs(market.held(i), weights), fresh.ours)


def _revaluation(market: Market, name: str, method: Method, theirs: Theirs) -> Contest:
    columns, weights = market.columns, market.weights
    series = np.empty(market.window)

    def ours(i: int) -> Any:
        weighted_sums(market.held(i), 0, market.window, columns, weights, series)
        method.revalue(series)
        figure = method.forecast(CONFIDENCE)
        assert figure is not None
        return figure[:2]

    return Contest(name, SESSIONS, ours, lambda i: theirs(market.held(i), weights))


def _ewma_components(market: Market) -> Contest:
    weights, window = market.weights, market.window
    z, _ = normal_tail(CONFIDENCE)
    ages = scratch.ewma_weights(window, DECAY)
    cov_w = np.empty(len(weights))
    components.step_cov_w_all(cov_w, market.returns[:window], weights, DECAY)
    method = EwmaNormal(window, DECAY)
    method.revalue(market.series[:window])

    def ours(i: int) -> Array:
        row = market.row(i)
        components.step_cov_w(cov_w, row, weights, DECAY, False)
        method.update(weighted_sum(row, market.columns, weights))
        figure = method.forecast(CONFIDENCE)
        assert figure is not None
        return ewma_components(cov_w, weights, z, figure.var / z).component

    def theirs(i: int) -> Array:
        return scratch.ewma_components(market.held(i), weights, ages, z)

    return Contest("ewma-normal, component VaR", SESSIONS, ours, theirs)


def _historical_components(market: Market) -> Contest:
    weights, window = market.weights, market.window
    last = int(window * (1.0 - CONFIDENCE) + 1e-9)
    ring = market.returns[:window].copy()
    ordered = OrderedWindow(window)
    ordered.fill(market.series[:window])

    def ours(i: int) -> Array:
        row = market.row(i)
        ring[ordered.cursor[0]] = row  # the slot that the portfolio's return takes too
        order_statistics.insert(*ordered.state, weighted_sum(row, market.columns, weights))
        order = ordered.order.astype(np.int64)
        return historical_components(ring, order, weights, last).component

    def theirs(i: int) -> Array:
        return scratch.historical_components(market.held(i), weights, last)

    return Contest("historical, component VaR", SESSIONS, ours, theirs)


def _covariance(market: Market) -> Contest:
    weights, window = market.weights, market.window
    ages = scratch.ewma_weights(window, DECAY)
    covariance, marginal = np.empty((len(weights), len(weights))), np.empty(len(weights))
    for t, row in enumerate(market.returns[:window]):
        volatility.ewma_covariance(covariance, row, DECAY, t == 0)

    def ours(i: int) -> float:
        volatility.ewma_covariance(covariance, market.row(i), DECAY, False)
        return float(volatility.portfolio_sigma(covariance, weights, marginal))

    def theirs(i: int) -> float:
        return scratch.covariance_sigma(market.held(i), weights, ages)

    return Contest("ewma-normal of bars, with its covariance matrix", SESSIONS, ours, theirs)
