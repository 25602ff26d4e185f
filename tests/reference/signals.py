"""The signals by definition: pure Python, slow, from whole lists of what happened.

``features`` runs ticks through the reference of the market (tests/reference/market.py) and says
what the operator ``Signals`` must emit. Whatever a window shows is worked out from the symbol's
whole history when it closes; nothing is kept up to date but the history itself.

Where the definition left a choice, the reference chose:

1. The ticks that the market holds change a symbol's state, in the order in which it applies them.
2. A tick belongs to the window of its event time, which is open: what ends by a tick's time closes
   before it is applied. A window that shows a state shows it as of its last tick in that order,
   which is the last tick of the symbol when it closes.
3. A side of the book that is absent before or after a quote has no order flow.
4. The mid is unknown while a side is absent.
5. A trade at the mid, or without one, has the sign of the last change of the trades' prices.
6. A trade's sigma is that of the last forecast at the end of a bar that ended by its time.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal

import numpy as np

from tests.reference.market import Partition
from tests.reference.symbols import SymbolState
from tests.reference.vocabulary import (
    Record,
    ReferenceSettings,
    Tick,
    coordinates,
    interval_name,
)

Sides = Callable[[Tick], int]
"""The aggressor that the feed gives: 1 buy, 2 sell, 0 unknown."""


@dataclass(frozen=True)
class SignalSettings:
    """What decides the signals; the parameters of a kind are named for it."""

    interval_ns: int
    grid_ns: int
    price: Literal["mid", "trade"] = "mid"
    kyle_trades: int = 5
    kyle_min_observations: int = 2
    hawkes: tuple[float, float, float] = (0.2, 0.5, 1.5)
    hawkes_own: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)
    cusum_threshold: float = 1.0
    cusum_of_sigma: bool = True
    min_observations: int = 2
    vpin_volume: float = 50.0
    vpin_own: Mapping[str, float] = field(default_factory=dict)
    vpin_buckets: int = 3
    tables: Mapping[str, Sequence[Sequence[float]]] = field(default_factory=dict)
    tick_size: float = 0.05
    pairs: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    pairs_process_variance: float = 1e-8
    pairs_noise_variance: float = 1e-6
    pairs_prior_variance: float = 1.0
    pairs_min_observations: int = 2


@dataclass
class Window:
    """What a symbol's window had; the last two say whether the history grew in it."""

    flows: list[float] = field(default_factory=list)
    quote: Record | None = None
    prices: list[tuple[int, float]] = field(default_factory=list)
    impacts: bool = False
    events: bool = False


def order_flow(before: Record, after: Record) -> float:
    """Return Cont, Kukanov and Stoikov's e of two consecutive best quotes."""
    e = 0.0
    if before["bid"] and after["bid"]:
        e += after["bid_size"] * (after["bid"] >= before["bid"])
        e -= before["bid_size"] * (after["bid"] <= before["bid"])
    if before["ask"] and after["ask"]:
        e -= after["ask_size"] * (after["ask"] <= before["ask"])
        e += before["ask_size"] * (after["ask"] >= before["ask"])
    return e


def realised(returns: Sequence[float]) -> tuple[float, float, float | None]:
    """Return (RV, BV, jump z or None) of a window's returns."""
    n = len(returns)
    size = [abs(r) for r in returns]
    rv = math.fsum(r * r for r in returns)
    if n < 2:
        return rv, 0.0, None
    bv = math.pi / 2 * n / (n - 1) * math.fsum(a * b for a, b in itertools.pairwise(size))
    if n < 4:
        return rv, bv, None
    fours = [math.prod(size[i : i + 4]) for i in range(n - 3)]
    quarticity = n * (math.pi / 2) ** 2 * n / (n - 3) * math.fsum(fours)
    if quarticity == 0:
        return rv, bv, None
    theta = math.pi**2 / 4 + math.pi - 3
    return rv, bv, (rv - bv) / math.sqrt((theta - 2) * quarticity / n)


def regression(impacts: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Return the slope and R² of the moves on the signed volumes (0 where nothing varies)."""
    n = len(impacts)
    mean_q = math.fsum(q for q, _ in impacts) / n
    mean_d = math.fsum(d for _, d in impacts) / n
    qq = math.fsum((q - mean_q) ** 2 for q, _ in impacts)
    dd = math.fsum((d - mean_d) ** 2 for _, d in impacts)
    qd = math.fsum((q - mean_q) * (d - mean_d) for q, d in impacts)
    if qq <= 1e-9 * math.fsum(q * q for q, _ in impacts):
        return 0.0, 0.0
    if dd <= 1e-9 * math.fsum(d * d for _, d in impacts):
        return qd / qq, 0.0
    return qd / qq, qd * qd / (qq * dd)


def toxicity(
    trades: Sequence[tuple[int, float]], volume: float, buckets: int
) -> tuple[float | None, int]:
    """Return VPIN over the last complete buckets (None if too few), and how many are complete.

    Trade i takes the stretch of the cumulated volume between the sums before and behind it;
    bucket j is the stretch from j to j + 1 bucket volumes. All in exact fractions.
    """
    size = Fraction(volume)
    position, imbalance = Fraction(0), dict[int, Fraction]()
    for sign, amount in trades:
        end = position + Fraction(amount)
        for bucket in range(int(position // size), int(end // size) + 1):
            part = min(end, (bucket + 1) * size) - max(position, bucket * size)
            imbalance[bucket] = imbalance.get(bucket, Fraction(0)) + sign * part
        position = end
    complete = int(position // size)
    if complete < buckets:
        return None, complete
    last = [abs(imbalance[bucket]) for bucket in range(complete - buckets, complete)]
    return float(sum(last, Fraction(0)) / (buckets * size)), complete


class Life:
    """One symbol from its first tick until it expires."""

    def __init__(self, symbol: str, best: Record, settings: SignalSettings) -> None:
        self.symbol, self.settings, self.best = symbol, settings, best
        self.windows: dict[int, Window] = {}
        self.prices: dict[int, float] = {}
        """The last price of each window that had one, by its end."""
        self.trade_prices: list[float] = []
        self.pending: tuple[float, float] | None = None
        self.impacts: list[tuple[float, float]] = []
        self.events: list[tuple[int, int]] = []
        self.volumes: list[tuple[int, float]] = []
        self.sums = (0.0, 0.0)

    @property
    def mid(self) -> float | None:
        """Return the mid price, None while a side is absent."""
        bid, ask = self.best["bid"], self.best["ask"]
        return (bid + ask) / 2 if bid and ask else None

    def quote(self, tick: Tick, best: Record, window: Window) -> None:
        """Take a quote, after which ``best`` is the best bid and ask."""
        window.flows.append(order_flow(self.best, best))
        self.best = best
        if self.mid is not None:
            window.quote = best
            if self.settings.price == "mid":
                window.prices.append((tick.ts_ns, self.mid))

    def trade(self, tick: Tick, side: int, window: Window, sigma: float | None) -> Records:
        """Take a trade; yield what happens at it."""
        sign = self._sign(tick.price, side)
        if self.pending is not None and self.mid is not None:
            q, before = self.pending
            self.impacts.append((q, self.mid - before))
            window.impacts = True
        signed = sign != 0 and self.mid is not None
        self.pending = (sign * tick.size, self.mid or 0.0) if signed else None
        if sign:
            self.events.append((tick.ts_ns, sign))
            window.events = True
        if self.settings.price == "trade":
            window.prices.append((tick.ts_ns, tick.price))
        yield from self._cusum(tick, sigma)
        yield from self._vpin(tick, sign)

    def close(self, start_ns: int, window: Window) -> Records:
        """Yield (kind, value, details) of a window that closes."""
        ours, end_ns = self.settings, start_ns + self.settings.interval_ns
        if window.flows:
            quotes = {"quotes": len(window.flows)}
            yield "order-flow-imbalance", sum(window.flows), quotes
        if window.quote is not None:
            yield self._micro_price(window.quote)
        if window.prices:
            returns = self._returns(start_ns, window.prices)
            if returns:
                rv, bv, z = realised(returns)
                details = {"rv": rv, "bv": bv, "jump_z": z, "returns": len(returns)}
                yield "realised-variance", rv, details
        if window.impacts:
            last = self.impacts[-ours.kyle_trades :]
            if len(last) >= ours.kyle_min_observations:
                slope, r2 = regression(last)
                yield "kyle-lambda", slope, {"r2": r2, "observations": len(last)}
        if window.events:
            buy, sell = self._intensities(end_ns)
            yield "hawkes", buy + sell, {"buy": buy, "sell": sell}

    def _sign(self, price: float, side: int) -> int:
        self.trade_prices.append(price)
        if side:
            return 1 if side == 1 else -1
        if self.mid is not None and price != self.mid:
            return 1 if price > self.mid else -1
        others = [p for p in self.trade_prices if p != price]
        if not others:
            return 0
        # The last change: between the last different price and what came right behind it.
        moves = [b - a for a, b in itertools.pairwise(self.trade_prices) if a != b]
        return 1 if moves[-1] > 0 else -1

    def _micro_price(self, best: Record) -> tuple[str, float, Record]:
        bid, bid_size, ask, ask_size = (best[k] for k in ("bid", "bid_size", "ask", "ask_size"))
        imbalance, spread = bid_size / (bid_size + ask_size), ask - bid
        weighted = (bid * ask_size + ask * bid_size) / (bid_size + ask_size)
        value = weighted
        table = self.settings.tables.get(self.symbol)
        if table is not None:
            ticks = math.floor(spread / self.settings.tick_size + 0.5)
            bucket = min(int(imbalance * len(table)), len(table) - 1)
            if 1 <= ticks <= len(table[0]) and not math.isnan(table[bucket][ticks - 1]):
                value = (bid + ask) / 2 + table[bucket][ticks - 1]
        details = {"weighted_mid": weighted, "imbalance": imbalance, "spread": spread}
        return "micro-price", value, details

    def _returns(self, start_ns: int, prices: list[tuple[int, float]]) -> list[float]:
        grid_ns, end_ns = self.settings.grid_ns, start_ns + self.settings.interval_ns
        path = [self.prices[start_ns]] if start_ns in self.prices else []
        for cell_ns in range(start_ns, end_ns, grid_ns):
            within = [price for ts_ns, price in prices if cell_ns <= ts_ns < cell_ns + grid_ns]
            if within or path:
                path.append(within[-1] if within else path[-1])
        self.prices[end_ns] = path[-1]
        return [math.log(b / a) for a, b in itertools.pairwise(path)]

    def _intensities(self, end_ns: int) -> tuple[float, float]:
        mu, alpha, beta = self.settings.hawkes_own.get(self.symbol, self.settings.hawkes)

        def intensity(side: int) -> float:
            ages = [(end_ns - ts_ns) / 1e9 for ts_ns, sign in self.events if sign == side]
            return mu + alpha * beta * math.fsum(math.exp(-beta * age) for age in ages)

        return intensity(1), intensity(-1)

    def _cusum(self, tick: Tick, sigma: float | None) -> Records:
        ours = self.settings
        if len(self.trade_prices) < 2:
            return
        r = math.log(tick.price / self.trade_prices[-2])
        up, down = max(0.0, self.sums[0] + r), min(0.0, self.sums[1] + r)
        factor = (sigma or 0.0) if ours.cusum_of_sigma else 1.0
        h = factor * ours.cusum_threshold
        if h > 0 and up >= h:
            yield "cusum", up, {"threshold": h}
            up = 0.0
        elif h > 0 and down <= -h:
            yield "cusum", down, {"threshold": h}
            down = 0.0
        self.sums = up, down

    def _vpin(self, tick: Tick, sign: int) -> Records:
        ours = self.settings
        volume = ours.vpin_own.get(self.symbol, ours.vpin_volume)
        before = sum(Fraction(size) for _, size in self.volumes)
        self.volumes.append((sign, tick.size))
        if (before + Fraction(tick.size)) // Fraction(volume) == before // Fraction(volume):
            return
        value, complete = toxicity(self.volumes, volume, ours.vpin_buckets)
        if value is not None:
            yield "vpin", value, {"buckets": complete, "volume": volume}


Records = Iterator[tuple[str, float, Record]]


class SignalPartition(Partition):
    """A partition of the reference market whose symbols also have signals."""

    def __init__(self, settings: ReferenceSettings, ours: SignalSettings, sides: Sides) -> None:
        super().__init__(settings)
        self.ours, self.sides = ours, sides
        self.life_of: dict[SymbolState, Life] = {}
        self.features: list[Record] = []

    def _pass_time(self, until_ns: float) -> None:
        for life in self.life_of.values():
            for start_ns in sorted(life.windows):
                end_ns = start_ns + self.ours.interval_ns
                if end_ns <= until_ns:
                    for kind, value, details in life.close(start_ns, life.windows.pop(start_ns)):
                        self._emit(life.symbol, kind, str(end_ns), end_ns, value, details)

    def _apply(self, symbol: SymbolState, tick: Tick) -> None:
        nothing_yet = Life(symbol.symbol, symbol.book.best(), self.ours)
        life = self.life_of.setdefault(symbol, nothing_yet)
        super()._apply(symbol, tick)
        start_ns = tick.ts_ns - tick.ts_ns % self.ours.interval_ns
        window = life.windows.setdefault(start_ns, Window())
        if tick.kind == "quote":
            life.quote(tick, symbol.book.best(), window)
            return
        sigma = self._sigma(symbol, tick.ts_ns)
        for kind, value, details in life.trade(tick, self.sides(tick), window, sigma):
            cause = coordinates(self.settings.topic, tick)
            self._emit(symbol.symbol, kind, cause, tick.ts_ns, value, details)

    def _sigma(self, symbol: SymbolState, now_ns: int) -> float | None:
        """Return the volatility that was forecast last, None while it rests on too little."""
        made = [forecast for forecast in symbol.forecasts if forecast.end_ns <= now_ns]
        if not made or made[-1].observations < self.ours.min_observations:
            return None
        return math.sqrt(made[-1].variance)

    def _emit(
        self, symbol: str, kind: str, cause: str, ts_ns: int, value: float, details: Record
    ) -> None:
        self.features.append(
            {
                "id": f"{symbol}|{kind}|{cause}",
                "ts_ns": ts_ns,
                "symbol": symbol,
                "kind": kind,
                "value": value,
                "details": details,
            }
        )


def pairs_of(
    bars: Sequence[Record], until_ns: float, settings: ReferenceSettings, ours: SignalSettings
) -> Iterator[Record]:
    """Yield the signals of pairs: the filter in matrices, over the bars that both symbols have.

    ``until_ns`` is how far the slowest partition has got.
    """
    step_ns = settings.risk_interval_ns
    closes = {
        (bar["symbol"], bar["start_ns"] + step_ns): bar["close"]
        for bar in bars
        if bar["interval"] == interval_name(step_ns) and bar["start_ns"] + step_ns <= until_ns
    }
    for name, (first, second) in ours.pairs.items():
        line, spread = np.zeros(2), ours.pairs_prior_variance * np.eye(2)
        times = sorted({t for s, t in closes if s == first} & {t for s, t in closes if s == second})
        for seen, end_ns in enumerate(times):
            h = np.array([1.0, math.log(closes[second, end_ns])])
            spread = spread + ours.pairs_process_variance * np.eye(2)
            variance = float(h @ spread @ h) + ours.pairs_noise_variance
            innovation = math.log(closes[first, end_ns]) - float(h @ line)
            gain = spread @ h / variance
            line = line + gain * innovation
            keep = np.eye(2) - np.outer(gain, h)
            noise = ours.pairs_noise_variance * np.outer(gain, gain)
            spread = keep @ spread @ keep.T + noise
            if seen >= ours.pairs_min_observations:
                yield {
                    "id": f"{name}|pairs|{end_ns}",
                    "ts_ns": end_ns,
                    "symbol": name,
                    "kind": "pairs",
                    "value": innovation / math.sqrt(variance),
                    "details": {
                        "alpha": float(line[0]),
                        "beta": float(line[1]),
                        "innovation": innovation,
                        "variance": variance,
                    },
                }


def features(
    ticks: Sequence[Tick],
    settings: ReferenceSettings,
    ours: SignalSettings,
    sides: Sides = lambda tick: 0,
) -> list[Record]:
    """Return the records of ``features`` by (event time, id)."""
    partitions = [SignalPartition(settings, ours, sides) for _ in range(settings.partitions)]
    for tick in ticks:
        partitions[tick.partition].take(tick)
    found = [record for partition in partitions for record in partition.features]
    bars = [bar for partition in partitions for bar in partition.outputs["bars"]]
    until_ns = min(partition.watermark_ns for partition in partitions)
    found += pairs_of(bars, until_ns, settings, ours)
    return sorted(found, key=lambda record: (record["ts_ns"], record["id"]))
