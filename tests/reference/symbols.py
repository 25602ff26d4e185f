"""What one symbol's state is, and the records of its windows, by definition."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from statistics import NormalDist

from tests.reference.sequences import SequenceStream
from tests.reference.vocabulary import Record, ReferenceSettings, Tick, coordinates, interval_name

NORMAL = NormalDist()
METHOD = "ewma-normal"


@dataclass(frozen=True, slots=True)
class ClosedRiskBar:
    """A closed bar of the risk interval: what the portfolios are computed from."""

    end_ns: int
    symbol: str
    simple_return: float | None


@dataclass(frozen=True, slots=True)
class MadeForecast:
    """The variance forecast at the end of a risk bar, and how many returns it rests on."""

    end_ns: int
    variance: float
    observations: int


def normal_var_es(sigma: float, confidence: float) -> tuple[float, float]:
    """Return value at risk and expected shortfall of a centred normal return."""
    z = NORMAL.inv_cdf(confidence)
    return z * sigma, sigma * NORMAL.pdf(z) / (1 - confidence)


def bar_of(symbol: str, interval_ns: int, start_ns: int, trades: list[Tick]) -> Record:
    """Return the bar of one window's trades, given in arrival order."""
    by_time = sorted(trades, key=lambda trade: trade.ts_ns)  # stable: arrival breaks ties
    volume = 0.0
    notional = 0.0
    for trade in trades:
        volume += trade.size
        notional += trade.price * trade.size
    name = interval_name(interval_ns)
    by_price = sorted(trade.price for trade in trades)
    return {
        "id": f"{symbol}|{name}|{start_ns}",
        "symbol": symbol,
        "interval": name,
        "start_ns": start_ns,
        "open": by_time[0].price,
        "high": max(trade.price for trade in trades),
        "low": min(trade.price for trade in trades),
        "close": by_time[-1].price,
        "volume": volume,
        # A mean lies between the least and the most, which rounding does not know.
        "vwap": sorted((by_price[0], notional / volume, by_price[-1]))[1],
        "trades": len(trades),
    }


@dataclass(slots=True, eq=False)
class TakenTrade:
    """A trade that was taken in, as it is left by its corrections."""

    trade: Tick
    counts: bool
    cancelled: bool = False


EMPTY_BAR: Record = {
    **dict.fromkeys(("open", "high", "low", "close", "vwap")),
    "volume": 0.0,
    "trades": 0,
}


class Book:
    """The best bid and ask of each venue, and over all venues."""

    def __init__(self, ttl_ns: int = 0) -> None:
        self.ttl_ns = ttl_ns
        self.bids: dict[str, tuple[float, float, int]] = {}
        self.asks: dict[str, tuple[float, float, int]] = {}
        self.now_ns = 0

    def update(self, quote: Tick) -> None:
        """Apply the sides that a quote speaks of; its time is now."""
        self.now_ns = quote.ts_ns
        for side, price, size in (
            (self.bids, quote.bid, quote.bid_size),
            (self.asks, quote.ask, quote.ask_size),
        ):
            if price > 0:
                side.pop(quote.venue, None)
                if size > 0:
                    side[quote.venue] = (price, size, quote.ts_ns)

    def best(self) -> Record:
        """Return the NBBO now: price null and size 0 of a side on which nobody quotes."""
        bids, asks = self._living(self.bids), self._living(self.asks)
        bid = max((price for price, _ in bids), default=None)
        ask = min((price for price, _ in asks), default=None)
        return {
            "bid": bid,
            "bid_size": sum((size for price, size in bids if price == bid), 0.0),
            "ask": ask,
            "ask_size": sum((size for price, size in asks if price == ask), 0.0),
        }

    def _living(self, side: dict[str, tuple[float, float, int]]) -> list[tuple[float, float]]:
        return [
            (price, size)
            for _, (price, size, ts_ns) in sorted(side.items())
            if not self.ttl_ns or self.now_ns - ts_ns <= self.ttl_ns
        ]


def event_order(tick: Tick) -> tuple[int, int]:
    """Return what held ticks are sorted by; sorting is stable, so that arrival breaks ties."""
    return tick.ts_ns, -1 if tick.seq is None else tick.seq


def nbbo_of(
    symbol: str, quotes: list[Tick], watermark_ns: float, settings: ReferenceSettings
) -> list[Record]:
    """Return the NBBO of every window that had a quote and that the watermark has passed.

    ``quotes`` are all that were held in one life of the symbol, in order of arrival. Each
    window's book starts empty and reads every one of them before the window's end.
    """
    interval_ns = settings.nbbo_interval_ns
    records = []
    for start_ns, end_ns in sorted({settings.window_of(q.ts_ns, interval_ns) for q in quotes}):
        if end_ns > watermark_ns:
            continue
        book = Book(settings.quote_ttl_ns)
        for quote in sorted(quotes, key=event_order):
            if quote.ts_ns < end_ns:
                book.update(quote)
        record = {"id": f"{symbol}|{start_ns}", "symbol": symbol, "ts_ns": end_ns}
        records.append(record | book.best())
    return records


class Forecast:
    """The EWMA volatility on closed risk bars, and the breaches already signalled."""

    def __init__(self) -> None:
        self.close: float | None = None
        self.variance = 0.0
        self.observations = 0
        self.signalled: set[str] = set()

    def close_bar(self, close: float, decay: float) -> float | None:
        """Take in the close of the next bar and return its simple return, if it has one."""
        previous, self.close = self.close, close
        self.signalled = set()
        if previous is None:
            return None
        simple_return = close / previous - 1
        squared = simple_return * simple_return
        if self.observations == 0:
            self.variance = squared
        else:
            self.variance = decay * self.variance + (1 - decay) * squared
        self.observations += 1
        return simple_return


class SymbolState:
    """Everything about one symbol in one life of it.

    ``quotes`` are all that were held, by arrival; ``book`` has those already applied.
    """

    def __init__(self, first: Tick, settings: ReferenceSettings) -> None:
        self.symbol = first.symbol
        self.settings = settings
        self.newest_ns = first.ts_ns
        self.streams: dict[tuple[str, str], SequenceStream] = defaultdict(
            lambda: SequenceStream(settings)
        )
        self.taken: list[TakenTrade] = []
        self.trades: dict[tuple[int, int], list[TakenTrade]] = {}
        self.closed: dict[tuple[int, int], list[TakenTrade]] = {}
        self.versions: dict[tuple[int, int], int] = {}
        self.quotes: list[Tick] = []
        self.book = Book(settings.quote_ttl_ns)
        self.forecast = Forecast()
        self.forecasts: list[MadeForecast] = []

    def close_bars(self, watermark_ns: float) -> list[tuple[int, Record]]:
        """Remove the bars that the watermark has passed; return (interval, bar) by start."""
        closed = sorted(
            (start_ns, interval_ns)
            for interval_ns, start_ns in self.trades
            if self.settings.window_of(start_ns, interval_ns)[1] <= watermark_ns
        )
        bars = []
        for start_ns, interval_ns in closed:
            place = (interval_ns, start_ns)
            self.closed[place] = self.trades.pop(place)
            if counted := [taken.trade for taken in self.closed[place] if taken.counts]:
                bars.append((interval_ns, bar_of(self.symbol, interval_ns, start_ns, counted)))
        return bars

    def bars_anew(self, changed: TakenTrade, cause: str, ts_ns: int) -> list[Record]:
        """Return the closed bars that a trade was in, as its correction leaves them."""
        records = []
        for (interval_ns, start_ns), trades in self.closed.items():
            if changed not in trades:
                continue
            version = self.versions.get((interval_ns, start_ns), 1) + 1
            self.versions[interval_ns, start_ns] = version
            counted = [taken.trade for taken in trades if taken.counts]
            bar = bar_of(self.symbol, interval_ns, start_ns, counted) if counted else None
            name = interval_name(interval_ns)
            records.append(
                (bar or EMPTY_BAR | {"symbol": self.symbol, "interval": name, "start_ns": start_ns})
                | {
                    "id": f"{self.symbol}|{name}|{start_ns}|{version}",
                    "version": version,
                    "corrected_ns": ts_ns,
                    "cause": cause,
                }
            )
        return records

    def risk_of(self, end_ns: int) -> list[Record]:
        """Return the risk records of the forecast made at the end of a bar."""
        scope = f"symbol:{self.symbol}"
        interval = interval_name(self.settings.risk_interval_ns)
        records = []
        for confidence in self.settings.confidences:
            for horizon in self.settings.horizons:
                sigma = math.sqrt(self.forecast.variance * horizon)
                var, shortfall = normal_var_es(sigma, confidence)
                records.append(
                    {
                        "id": f"{scope}|{METHOD}|{interval}|{confidence!r}|{horizon}|{end_ns}",
                        "ts_ns": end_ns,
                        "scope": scope,
                        "method": METHOD,
                        "interval": interval,
                        "confidence": confidence,
                        "horizon": horizon,
                        "var": var,
                        "es": shortfall,
                        "components": None,
                        "marginal": None,
                        "incremental": None,
                        "valid": self.forecast.observations >= self.settings.min_observations,
                    }
                )
        return records

    def breach_of(self, trade: Tick) -> Record | None:
        """Return the breach that a trade makes, at most one a direction and forecast."""
        forecast = self.forecast
        if forecast.close is None or forecast.observations < max(1, self.settings.min_observations):
            return None
        sigma = math.sqrt(forecast.variance)
        threshold = NORMAL.inv_cdf(self.settings.breach_confidence) * sigma
        move = trade.price / forecast.close - 1
        if move < -threshold:
            kind, bound = "breach_down", -threshold
        elif move > threshold:
            kind, bound = "breach_up", threshold
        else:
            return None
        if kind in forecast.signalled:
            return None
        forecast.signalled.add(kind)
        return {
            "id": coordinates(self.settings.topic, trade),
            "ts_ns": trade.ts_ns,
            "scope": f"symbol:{self.symbol}",
            "kind": kind,
            "method": METHOD,
            "value": move,
            "threshold": bound,
        }
