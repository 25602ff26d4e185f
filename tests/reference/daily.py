"""The daily engine by definition: events in time order -> pnl, risk and backtest records.

Everything is recomputed from the whole history at each session; GARCH and Monte Carlo, which need
fits or draws, are not here. Records carry no ``id``. A session is a distinct time of closes.

Where the plan leaves a choice, this file decides:

- An event before the close of a session applies before that session's return is taken, one at
  the close itself after it and before the forecast. Splits and dividends count up to and with
  the close. At equal times a split comes before a position.
- A dividend is per share of the close at which it counts, hence after all splits since the
  close before: the return is ((price + dividend) ratio) / previous - 1.
- An asset without a price carries its last one, divided by splits, with a return of 0; actions
  since then count in the return to its next price. Before and at its first price it has 0.
- The first session has no return, so no pnl; actions there say nothing.
- A portfolio event restarts the series even where it repeats the weights. ``value`` is kept
  unless it is given; a new portfolio has 1. Where the value is gone, drifting
  weights are shares of what is held, long and short, and constant ones of nothing.
- Positions: the base of a return is the net value at the last close of what is held before this
  one. Where it is not positive, the return is 0 and counts nowhere (the money does), and where
  the value at a close is not positive there is no forecast. A flat portfolio stays.
- A backtest counts forecasts from a full window, also where Cornish-Fisher is not valid, as the
  schema of ``backtest`` says. It outlives changes of holdings, not the portfolio's end.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tests.reference import backtests, risk
from tests.reference.vocabulary import Record

Key = tuple[str, float]


@dataclass(frozen=True)
class DailySettings:
    """The settings that decide the result."""

    window: int = 500
    decay: float = 0.94
    age_decay: float = 0.99
    confidences: tuple[float, ...] = (0.99,)
    horizons: tuple[int, ...] = (1,)
    min_observations: int = 20
    methods: tuple[str, ...] = (
        "historical",
        "age-weighted",
        "filtered-historical",
        "ewma-normal",
        "cornish-fisher",
    )


@dataclass(frozen=True)
class Daily:
    """Records in order of time, portfolio, method, confidence and horizon; gaps by symbol."""

    pnl: list[Record] = field(default_factory=list)
    risk: list[Record] = field(default_factory=list)
    backtest: list[Record] = field(default_factory=list)
    gaps: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Market:
    """Rows are sessions, columns symbols; a price is 0 and a return 0 before the first trade."""

    sessions: list[int]
    symbols: list[str]
    prices: NDArray[np.float64]
    returns: NDArray[np.float64]
    splits: list[Record]
    gaps: dict[str, int]


def ratio_between(splits: Sequence[Record], symbol: str, after_ns: int, until_ns: int) -> float:
    """Return how many shares one share became in (after, until]."""
    ratio = 1.0
    for split in splits:
        if split["symbol"] == symbol and after_ns < split["ts_ns"] <= until_ns:
            ratio *= split["ratio"]
    return ratio


def market_of(events: Sequence[Record]) -> Market:
    """Return the prices that are carried and the total returns of every asset and session."""
    closes = [event for event in events if event["type"] == "closes"]
    splits = [event for event in events if event["type"] == "split"]
    dividends = [event for event in events if event["type"] == "dividend"]
    sessions = sorted({event["ts_ns"] for event in closes})
    symbols = sorted({symbol for event in closes for symbol in event["prices"]})
    shape = len(sessions), len(symbols)
    market = Market(
        sessions, symbols, np.zeros(shape), np.zeros(shape), splits, dict.fromkeys(symbols, 0)
    )
    quoted: dict[int, dict[str, float]] = {ts_ns: {} for ts_ns in sessions}
    for event in closes:
        quoted[event["ts_ns"]].update(event["prices"])
    for column, symbol in enumerate(symbols):
        last, shares, cash = 0.0, 1.0, 0.0  # what one share of the last price has become
        for row, ts_ns in enumerate(sessions):
            if last > 0:
                before = sessions[row - 1]
                shares *= ratio_between(splits, symbol, before, ts_ns)
                for paid in dividends:
                    if paid["symbol"] == symbol and before < paid["ts_ns"] <= ts_ns:
                        cash += shares * paid["amount"]
            price = quoted[ts_ns].get(symbol)
            if price is not None:
                if last > 0:
                    market.returns[row, column] = (price * shares + cash) / last - 1
                last, shares, cash = price, 1.0, 0.0
            elif last > 0:
                market.gaps[symbol] += 1
            market.prices[row, column] = last / shares
    return market


@dataclass
class Portfolio:
    """What a portfolio holds, and the forecasts and counted sessions behind it."""

    value: float = 1.0
    equity: float = 0.0  # of positions: what was paid in for them and earned
    base: float | None = None  # what the weights are shares of; None: the value
    weights: dict[str, float] | None = None
    drifts: bool = False
    since_row: int = -1  # the last session known when the weights came
    positions: dict[str, tuple[float, int]] = field(default_factory=dict)  # quantity, as of ns
    forecasts: dict[Key, tuple[float, float]] = field(default_factory=dict)
    counted: dict[Key, list[tuple[float, bool, float]]] = field(default_factory=dict)


def apply(portfolios: dict[str, Portfolio], event: Record, last_row: int) -> None:
    """Apply an event of holdings, with the session last closed."""
    name = event["portfolio"]
    if event["type"] == "portfolio" and not event["weights"]:
        portfolios.pop(name, None)
        return
    portfolio = portfolios.setdefault(name, Portfolio())
    if event["type"] == "position":
        if portfolio.weights is not None:
            raise ValueError(f"{name} has weights and a position")
        portfolio.positions[event["symbol"]] = (event["quantity"], event["ts_ns"])
        return
    if portfolio.positions:
        raise ValueError(f"{name} has positions and weights")
    portfolio.weights = dict(event["weights"])
    portfolio.drifts = event.get("rebalance", "daily") == "never"
    portfolio.value = event.get("value", portfolio.value)
    portfolio.base = max(portfolio.value, 0.0)
    portfolio.since_row = last_row


def quantities(portfolio: Portfolio, market: Market, until_ns: int) -> dict[str, float]:
    """Return the shares held at a time, splits since each position's event included."""
    return {
        symbol: quantity * ratio_between(market.splits, symbol, since_ns, until_ns)
        for symbol, (quantity, since_ns) in portfolio.positions.items()
    }


def of_symbol(table: NDArray[np.float64], market: Market, row: int, symbol: str) -> float:
    """Return a session's price or return of a symbol, 0 where it never traded."""
    return float(table[row, market.symbols.index(symbol)]) if symbol in market.symbols else 0.0


def settle(portfolio: Portfolio, market: Market, row: int) -> tuple[float, float, bool]:
    """Return (return, money, whether the return is defined) of a session; move value and weights.

    Positions are bought at the last close in shares of that close, whatever the splits since.
    """
    if portfolio.weights is not None:
        moves = {s: of_symbol(market.returns, market, row, s) for s in portfolio.weights}
        result = sum(w * moves[s] for s, w in sorted(portfolio.weights.items()))
        base = portfolio.value if portfolio.base is None else portfolio.base
        worth = {s: w * base * (1 + moves[s]) for s, w in portfolio.weights.items()}
        money = base * result
        portfolio.value += money
        if not portfolio.drifts:
            portfolio.base = max(portfolio.value, 0.0)
            return result, money, True
        owed = sum(abs(worth[s]) for s in sorted(worth))
        portfolio.base = base = portfolio.value if portfolio.value > 0 else owed
        portfolio.weights = {s: x / base if base else 0.0 for s, x in worth.items()}
        return result, money, True
    before_ns, ts_ns = market.sessions[row - 1], market.sessions[row]
    base = money = gross = portfolio.value = 0.0
    for symbol, quantity in sorted(quantities(portfolio, market, ts_ns).items()):
        earlier = quantity / ratio_between(market.splits, symbol, before_ns, ts_ns)
        held = earlier * of_symbol(market.prices, market, row - 1, symbol)
        base += held
        gross += abs(held)
        money += held * of_symbol(market.returns, market, row, symbol)
        portfolio.value += quantity * of_symbol(market.prices, market, row, symbol)
    portfolio.equity = max(portfolio.equity, gross) + money
    return (money / base, money, True) if base > 0 else (0.0, money, False)


def weights_at(portfolio: Portfolio, market: Market, row: int) -> dict[str, float]:
    """Return the weights held after a session, none where there is nothing to value."""
    if portfolio.weights is not None:
        return portfolio.weights
    held = quantities(portfolio, market, market.sessions[row])
    worth = {s: quantity * of_symbol(market.prices, market, row, s) for s, quantity in held.items()}
    total = sum(worth[s] for s in sorted(worth))
    return {s: value / total for s, value in worth.items()} if total > 0 else {}


def series(
    portfolio: Portfolio,
    weights: dict[str, float],
    market: Market,
    row: int,
    settings: DailySettings,
) -> risk.Series:
    """Return the past returns float64[n, assets] that count under these weights, by symbol."""
    constant = portfolio.weights is not None and not portfolio.drifts
    known = portfolio.since_row if constant else row
    first = max(1, known - 2 * settings.window + 1)
    past = np.zeros((max(0, row + 1 - first), len(weights)))
    for place, symbol in enumerate(sorted(weights)):
        if symbol in market.symbols:
            past[:, place] = market.returns[first : row + 1, market.symbols.index(symbol)]
    return past


def figure(
    method: str, past: risk.Series, confidence: float, settings: DailySettings
) -> tuple[float, float, bool]:
    """Return VaR, ES and whether the method vouches for them, given enough returns."""
    window, decay = settings.window, settings.decay
    valid = True
    if method == "historical":
        var, es = risk.historical(past, confidence, window)
    elif method == "age-weighted":
        var, es = risk.age_weighted(past, confidence, window, settings.age_decay)
    elif method == "filtered-historical":
        var, es = risk.filtered_historical(past, confidence, window, decay)
    elif method == "ewma-normal":
        var, es = risk.ewma_normal(past, confidence, decay)
    elif method == "cornish-fisher":
        var, es = risk.cornish_fisher(past, confidence, window)
        valid = risk.cornish_fisher_is_valid(past, window)
    else:
        raise ValueError(f"the reference has no method {method}")
    return var, es, valid


def shares(
    method: str,
    past: risk.Series,
    weights: dict[str, float],
    confidence: float,
    settings: DailySettings,
) -> Record:
    """Return marginal, component and incremental VaR by symbol, None where there are none."""
    names, held = sorted(weights), np.array([weights[s] for s in sorted(weights)])
    if method == "historical":
        marginal = risk.historical_marginal(past[-settings.window :], held, confidence)
    elif method == "ewma-normal":
        marginal = risk.ewma_marginal(past, held, confidence, settings.decay)
    else:
        return dict.fromkeys(("marginal", "components", "incremental"))
    whole = figure(method, past @ held, confidence, settings)[0]
    left = {}
    for place, symbol in enumerate(names):
        without = np.where(np.arange(len(names)) == place, 0.0, held)
        left[symbol] = whole - figure(method, past @ without, confidence, settings)[0]
    return {
        "marginal": dict(zip(names, marginal.tolist(), strict=True)),
        "components": dict(zip(names, (held * marginal).tolist(), strict=True)),
        "incremental": left,
    }


def counted(portfolio: Portfolio, result: float) -> dict[str, bool]:
    """Count a return against the forecasts made for it; return what they were exceeded by."""
    exceeded = {}
    for (method, confidence), (var, es) in portfolio.forecasts.items():
        hit = -result > var + 1e-12  # beyond what rounding can do
        portfolio.counted.setdefault((method, confidence), []).append((result, hit, es))
        exceeded[f"{method}|{confidence!r}"] = hit
    return exceeded


def backtest_record(key: Key, sessions: list[tuple[float, bool, float]]) -> Record:
    method, confidence = key
    returns, hits, shortfalls = (list(column) for column in zip(*sessions, strict=True))
    coverage, coverage_p = backtests.kupiec(len(hits), sum(hits), confidence)
    clusters, clusters_p = backtests.independence(*backtests.transitions(hits))
    both, both_p = backtests.conditional_coverage(coverage, clusters)
    return {
        "method": method,
        "confidence": confidence,
        "observations": len(hits),
        "exceptions": sum(hits),
        "kupiec_lr": coverage,
        "kupiec_p": coverage_p,
        "christoffersen_lr": clusters,
        "christoffersen_p": clusters_p,
        "conditional_lr": both,
        "conditional_p": both_p,
        "zone": backtests.traffic_light(hits, confidence),
        "acerbi_szekely": backtests.acerbi_szekely(returns, hits, shortfalls, confidence),
    }


def sessions_of_all(weights: dict[str, float], market: Market, row: int) -> int:
    """Return how many sessions up to this one have returns of all assets that are held."""
    firsts = []
    for symbol in (symbol for symbol, weight in weights.items() if weight):
        priced = (
            np.flatnonzero(market.prices[: row + 1, market.symbols.index(symbol)])
            if symbol in market.symbols
            else np.empty(0)
        )
        if not len(priced):
            return 0
        firsts.append(int(priced[0]))
    return row - max(firsts, default=0)


def forecast(
    portfolio: Portfolio, market: Market, row: int, settings: DailySettings
) -> list[Record]:
    """Return the risk records of a close, and keep those of a full window for the next return."""
    portfolio.forecasts = {}
    weights = weights_at(portfolio, market, row)
    returns = series(portfolio, weights, market, row, settings)
    records: list[Record] = []
    if not weights or len(returns) < settings.min_observations:
        return records
    past = np.zeros(len(returns))
    for place, symbol in enumerate(sorted(weights)):
        past += weights[symbol] * returns[:, place]
    full = min(len(past), sessions_of_all(weights, market, row)) >= settings.window
    for method in settings.methods:
        for confidence in settings.confidences:
            var, es, valid = figure(method, past, confidence, settings)
            if full:
                portfolio.forecasts[method, confidence] = var, es
            parts = shares(method, returns, weights, confidence, settings)
            for horizon in settings.horizons:
                scale = math.sqrt(horizon)
                records.append(
                    {
                        "interval": "session",
                        "method": method,
                        "confidence": confidence,
                        "horizon": horizon,
                        "var": var * scale,
                        "es": es * scale,
                        **{
                            name: part and {s: x * scale for s, x in part.items()}
                            for name, part in parts.items()
                        },
                        "valid": valid and full,
                    }
                )
    return records


def run(events: Sequence[Record], settings: DailySettings) -> Daily:
    """Return all records of the events, which are in order of time."""
    market = market_of(events)
    daily = Daily(gaps=market.gaps)
    portfolios: dict[str, Portfolio] = {}
    holdings = [event for event in events if event["type"] in {"portfolio", "position"}]
    done = 0
    for row, ts_ns in enumerate(market.sessions):
        while done < len(holdings) and holdings[done]["ts_ns"] < ts_ns:
            apply(portfolios, holdings[done], row - 1)
            done += 1
        for name, portfolio in sorted(portfolios.items()) if row else ():
            where = {"scope": f"portfolio:{name}", "ts_ns": ts_ns}
            result, money, defined = settle(portfolio, market, row)
            exceeded = counted(portfolio, result) if defined else {}
            daily.pnl.append(
                {
                    **where,
                    "return": result,
                    "pnl": money,
                    "value": portfolio.value,
                    "equity": portfolio.value if portfolio.weights else portfolio.equity,
                    "exceptions": exceeded,
                }
            )
            if exceeded:
                for key in portfolio.forecasts:
                    record = backtest_record(key, portfolio.counted[key])
                    daily.backtest.append({**where, **record})
        while done < len(holdings) and holdings[done]["ts_ns"] == ts_ns:
            apply(portfolios, holdings[done], row)
            done += 1
        for name, portfolio in sorted(portfolios.items()):
            where = {"scope": f"portfolio:{name}", "ts_ns": ts_ns}
            records = forecast(portfolio, market, row, settings)
            daily.risk.extend({**where, **record} for record in records)
    return daily
