"""Limit Up-Limit Down by definition: every trade is kept, every time is looked at in turn.

``run`` gives the ``bands`` records of a stream of ticks, in canonical order. Which ticks are held,
in which order they are applied and when a symbol starts anew is what `tests.reference.market` says;
a symbol's clock is the event time of what is applied. Where the rules left a choice:

1. What is due at one time happens in this order: the symbol expires, the session's borders, the
   end of a limit state or pause, the reference price, the limit state; one record tells the result.
2. What is due when a tick is applied happens before it, up to and at the tick's own time.
3. In a limit state the reference price and the bands stand still. Prices that are back within
   them set the bands anew, by the same reference price and the time; if the same band is then
   reached still, the limit state was not left, and its 15 seconds go on.
4. A symbol expires when the time to live has passed since the last tick that was applied, whatever
   is held then with a later time. Its bands and trades are forgotten; its best prices are the
   book's, which only a new life of the symbol empties.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from tests.reference.market import Partition
from tests.reference.symbols import SymbolState
from tests.reference.vocabulary import Record, ReferenceSettings, Tick

SECOND_NS = 1_000_000_000
MINUTE_NS = 60 * SECOND_NS


@dataclass(frozen=True)
class Rules:
    """Tiers by symbol (else 2) and the sessions' opens and closes; no sessions: always open."""

    tiers: Mapping[str, int] = field(default_factory=dict)
    sessions: Sequence[tuple[int, int]] = ()

    def widening(self, now_ns: int) -> int:
        """Return what the bands' width is multiplied by; 0 outside the sessions."""
        if not self.sessions:
            return 1
        for open_ns, close_ns in self.sessions:
            if open_ns <= now_ns < close_ns:
                early = now_ns < open_ns + 15 * MINUTE_NS
                return 2 if early or now_ns >= close_ns - 25 * MINUTE_NS else 1
        return 0

    def borders(self) -> list[int]:
        """Return all times at which the widening may change."""
        return [
            border
            for open_ns, close_ns in self.sessions
            for border in (
                open_ns,
                open_ns + 15 * MINUTE_NS,
                close_ns - 25 * MINUTE_NS,
                close_ns,
            )
        ]


def bands_of(reference: float, tier: int, widening: int) -> tuple[float, float]:
    """Return the lower and the upper band."""
    if reference > 3:
        width = reference * (0.05 if tier == 1 else 0.1)
    elif reference >= 0.75:
        width = reference * 0.2
    else:
        width = min(0.15, reference * 0.75)
    lower, upper = reference - widening * width, reference + widening * width
    return math.floor(max(lower, 0) * 100 + 0.5) / 100, math.floor(upper * 100 + 0.5) / 100


class Bands:
    """The bands of one symbol in one life of it."""

    def __init__(self, symbol: str, rules: Rules, records: list[Record]) -> None:
        self.symbol, self.rules, self.records = symbol, rules, records
        self.tier = rules.tiers.get(symbol, 2)
        self.now_ns = -(1 << 62)
        self.expires_ns: float = math.inf
        self.bid: float | None = None
        self.ask: float | None = None
        self.forget()
        self.said = (self.reference, self.lower, self.upper, self.state)
        self.versions = [0, 0]

    def forget(self) -> None:
        self.trades: list[tuple[int, float]] = []
        self.reference: float | None = None
        self.lower: float | None = None
        self.upper: float | None = None
        self.state = "open"
        self.deadline_ns: float = math.inf

    def pass_time(self, until_ns: float) -> None:
        """Let all times after the last one and up to ``until_ns`` go by."""
        while self.reference is not None:
            step = 30 * SECOND_NS
            later = [b for b in self.rules.borders() if b > self.now_ns]
            mean_ns = self.now_ns // step * step + step
            due = min([*later, self.expires_ns, self.deadline_ns, mean_ns])
            if due > until_ns:
                break
            self.now_ns = int(due)
            self.happen()
            self.say()
        if until_ns > self.now_ns:
            self.now_ns = int(until_ns)

    def happen(self) -> None:
        if self.now_ns >= self.expires_ns:
            self.forget()
        if self.rules.widening(self.now_ns) == 0:
            self.forget()
        if self.now_ns >= self.deadline_ns:
            if self.state == "paused":
                self.forget()
            else:
                self.state, self.deadline_ns = "paused", self.deadline_ns + 5 * MINUTE_NS
                self.trades = []
        if self.state == "open" and self.reference is not None:
            self.consider_the_mean()
            self.set_bands(self.reference)
        self.look_at_the_best_prices()

    def consider_the_mean(self) -> None:
        assert self.reference is not None
        last = [price for at, price in self.trades if at >= self.now_ns - 5 * MINUTE_NS]
        if self.now_ns % (30 * SECOND_NS) == 0 and last:
            mean = float(sum(map(Fraction, last)) / len(last))
            if abs(mean - self.reference) >= 0.01 * self.reference:
                self.reference = mean

    def set_bands(self, reference: float) -> None:
        widening = self.rules.widening(self.now_ns)
        self.reference = reference
        self.lower, self.upper = bands_of(reference, self.tier, widening)

    def reached(self) -> str:
        if self.reference is None or self.lower is None or self.upper is None:
            return "open"
        if self.bid is not None and self.bid >= self.upper > 0:
            return "limit_up"
        return "limit_down" if self.ask is not None and self.ask <= self.lower else "open"

    def look_at_the_best_prices(self) -> None:
        if self.state == "paused":
            return
        reached = self.reached()
        if reached == "open" and self.state != "open":
            assert self.reference is not None
            self.set_bands(self.reference)
            reached = self.reached()
        if reached != self.state:
            self.state = reached
            self.deadline_ns = self.now_ns + 15 * SECOND_NS if reached != "open" else math.inf

    def trade(self, price: float) -> None:
        if self.state == "paused" or self.rules.widening(self.now_ns) == 0:
            return
        self.trades.append((self.now_ns, price))
        if self.reference is None:
            self.set_bands(price)

    def say(self) -> None:
        saying = (self.reference, self.lower, self.upper, self.state)
        if saying == self.said:
            return
        self.said = saying
        at, number = self.versions
        self.versions = [self.now_ns, number + 1 if at == self.now_ns else 0]
        self.records.append(
            {
                "id": f"{self.symbol}|{self.now_ns}|{self.versions[1]:06}",
                "ts_ns": self.now_ns,
                "symbol": self.symbol,
                "reference": self.reference,
                "lower": self.lower,
                "upper": self.upper,
                "state": self.state,
            }
        )


class BandPartition(Partition):
    """A partition whose ticks also move the bands of its symbols."""

    def __init__(self, settings: ReferenceSettings, rules: Rules) -> None:
        super().__init__(settings)
        self.rules = rules
        self.bands: dict[int, tuple[SymbolState, Bands]] = {}
        self.records: list[Record] = []

    def _bands(self, symbol: SymbolState) -> Bands:
        fresh = (symbol, Bands(symbol.symbol, self.rules, self.records))
        return self.bands.setdefault(id(symbol), fresh)[1]

    def _pass_time(self, until_ns: float) -> None:
        for _, bands in self.bands.values():
            bands.pass_time(until_ns)

    def _apply(self, symbol: SymbolState, tick: Tick) -> None:
        super()._apply(symbol, tick)
        bands = self._bands(symbol)
        bands.pass_time(tick.ts_ns)  # no time has passed for new bands yet
        bands.expires_ns = tick.ts_ns + self.settings.symbol_ttl_ns + 1
        if tick.kind == "quote":
            best = symbol.book.best()
            bands.bid, bands.ask = best["bid"], best["ask"]
        else:
            bands.trade(tick.price)
        bands.look_at_the_best_prices()
        bands.say()


def run(ticks: Sequence[Tick], settings: ReferenceSettings, rules: Rules) -> list[Record]:
    """Return the ``bands`` records in canonical order."""
    partitions = [BandPartition(settings, rules) for _ in range(settings.partitions)]
    for tick in ticks:
        partitions[tick.partition].take(tick)
    records = [record for partition in partitions for record in partition.records]
    return sorted(records, key=lambda record: (record["ts_ns"], record["id"]))
