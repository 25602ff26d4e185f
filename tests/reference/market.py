"""The `market` dataflow by definition: pure Python, slow, read to be believed.

``run`` is compared with the flow, record by record. Steps of one tick of a partition:

a. it is late when its time lies before the watermark, unless it is a retried dead letter; by the
   rule "window" a late trade still counts in every bar that is open, and for nothing else;
b. the watermark moves to its time less the lateness, never back;
c. the bars that the watermark has passed close, then the held ticks that it has passed are
   applied: those of a time before it, by time, sequence number (none is before 0) and arrival;
d. its symbol starts anew where the watermark has passed its newest tick by more than the
   time to live, and then the tick's sequence number makes it new, a duplicate or too old to know;
e. a duplicate vanishes, a late or too old tick is set aside;
f. a correction finds its trade, however late it is itself, or is set aside; the trade counts as
   it is left from then on, and bars that it was in and that have closed are told anew; what else
   was made of the trade stays;
g. of the others, a trade that counts goes into the bars and may breach the forecast, and
   whatever is not behind the watermark is held, for a later message to apply.

Bars, forecasts and breaches follow arrival. What follows event time sees the held ticks alone:
the NBBO here (`tests.reference.symbols.nbbo_of`), the bands in `tests.reference.luld` and the
signals in `tests.reference.signals`. Before a tick is applied, all that is due up to and at its
time happens; at the end of step c, all that is due up to and at the watermark. What the
watermark never passes is never applied.

Where the definition left a choice, the reference chose:

1. Ticks are taken in the order of the list, which is the order of arrival of each
   partition: a retried tick carries its first coordinates, so its own offset would put
   it where the dead message was.
2. A symbol starts anew after step c, so that windows which this very tick closes are still
   emitted, with the returns and risk of the old life; the tick itself belongs to the new.
3. Any tick of the symbol starts it anew, a late, repeated or retried one too.
4. Its newest tick is the one that started it or a later one that was not late, whatever
   else became of it.
5. A retried tick takes part in the sequence logic, so it can vanish as a duplicate or be
   set aside as too old.
6. A retried trade that is left out of all intervals is still judged for a breach. One with an
   excluded condition was not for any bar, so it is never "window closed".
7. A retried quote behind the watermark is too late for the book, even where the window of its
   time is still open: it is set aside, "behind the watermark" like a late one. It has taken
   part in the sequence logic, though, and counts as its symbol's newest tick.
8. ``watermark_ns`` of a late record is the watermark after its tick (which a late one does
   not move), whatever the reason.
9. Condition words are compared as they are; a word of hexadecimal digits may be one of
   ``excluded_conditions`` too.
10. The NBBO's size is summed in the order of the venues' names.
11. A symbol that starts anew has no return on its first bar, but the portfolios keep their
    covariance and their counts of observations.
12. The first closed bar gives no forecast, even if ``min_observations`` is 0.
13. A covariance that rounding makes slightly negative, w'Sw < 0, counts as 0.
14. A portfolio forecasts at T also where only other symbols' bars have a return, if a
    constituent's (first) bar closed at T.
15. Every trade has a size above 0 (the decoder sees to it), so that a VWAP exists.
"""

from __future__ import annotations

import math
import string
from collections.abc import Sequence
from dataclasses import replace

from tests.reference.portfolios import merge
from tests.reference.symbols import (
    ClosedRiskBar,
    MadeForecast,
    SymbolState,
    TakenTrade,
    event_order,
    nbbo_of,
)
from tests.reference.vocabulary import Record, ReferenceSettings, Tick, coordinates

__all__ = ["OUTPUTS", "ReferenceSettings", "Tick", "is_excluded", "run"]

OUTPUTS = ("bars", "nbbo", "risk", "signals", "gaps", "late", "corrected_bars")

BEHIND = "behind the watermark"
TOO_OLD = "sequence too old"
WINDOW_CLOSED = "window closed"
UNKNOWN_TRADE = "unknown trade"


def is_excluded(condition: str, settings: ReferenceSettings) -> bool:
    """Return whether a trade's condition keeps it out of bars and breaches."""
    for word in condition.split(":"):
        if word in settings.excluded_conditions:
            return True
        is_hexadecimal = word != "" and all(letter in string.hexdigits for letter in word)
        if is_hexadecimal and int(word, 16) & settings.excluded_bits:
            return True
    return False


class Partition:
    """One partition of the topic, from its first message on."""

    def __init__(self, settings: ReferenceSettings) -> None:
        self.settings = settings
        self.watermark_ns = -math.inf
        self.symbols: dict[str, SymbolState] = {}
        self.lives: list[SymbolState] = []
        self.held: list[tuple[SymbolState, Tick]] = []
        self.outputs: dict[str, list[Record]] = {name: [] for name in OUTPUTS}
        self.risk_bars: list[ClosedRiskBar] = []

    def take(self, tick: Tick) -> None:
        """Process the next tick or heartbeat."""
        late = tick.ts_ns < self.watermark_ns and not tick.retried
        self.watermark_ns = max(self.watermark_ns, tick.ts_ns - self.settings.lateness_ns)
        self._close_bars()
        self._release()
        if tick.kind == "heartbeat":
            return
        symbol = self._living_symbol(tick)
        may_count = tick.kind == "trade" and self.settings.late == "window"
        if may_count or not late:
            symbol.newest_ns = max(symbol.newest_ns, tick.ts_ns)
        verdict = self._judge_sequence(symbol, tick)
        if verdict == "duplicate":
            return
        if tick.kind == "correction" and verdict == "new":
            self._correct(symbol, tick)
        elif late and not (may_count and verdict == "new"):
            self._set_aside(tick, BEHIND)
        elif verdict == "too old":
            self._set_aside(tick, TOO_OLD)
        elif tick.kind == "quote":
            self._take_quote(symbol, tick)
        else:
            self._take_trade(symbol, tick, late=late)

    def _close_bars(self) -> None:
        for symbol in self.symbols.values():
            for interval_ns, bar in symbol.close_bars(self.watermark_ns):
                self.outputs["bars"].append(bar)
                if interval_ns == self.settings.risk_interval_ns:
                    self._forecast(symbol, bar)

    def _forecast(self, symbol: SymbolState, bar: Record) -> None:
        _, end_ns = self.settings.window_of(bar["start_ns"], self.settings.risk_interval_ns)
        simple_return = symbol.forecast.close_bar(bar["close"], self.settings.ewma_lambda)
        self.risk_bars.append(ClosedRiskBar(end_ns, symbol.symbol, simple_return))
        if simple_return is not None:
            made = MadeForecast(end_ns, symbol.forecast.variance, symbol.forecast.observations)
            symbol.forecasts.append(made)
            self.outputs["risk"].extend(symbol.risk_of(end_ns))

    def _release(self) -> None:
        """Apply the held ticks that the watermark has passed, in the order of event time."""
        passed = [held for held in self.held if held[1].ts_ns < self.watermark_ns]
        self.held = [held for held in self.held if held[1].ts_ns >= self.watermark_ns]
        for symbol, tick in sorted(passed, key=lambda held: event_order(held[1])):
            self._pass_time(tick.ts_ns)
            self._apply(symbol, tick)
        self._pass_time(self.watermark_ns)

    def _pass_time(self, until_ns: float) -> None:
        """Let happen what is due up to and at a time; here, nothing is."""

    def _apply(self, symbol: SymbolState, tick: Tick) -> None:
        """Apply a held tick."""
        if tick.kind == "quote":
            symbol.book.update(tick)

    def _living_symbol(self, tick: Tick) -> SymbolState:
        symbol = self.symbols.get(tick.symbol)
        if symbol is None or self._has_expired(symbol):
            symbol = self.symbols[tick.symbol] = SymbolState(tick, self.settings)
            self.lives.append(symbol)
        return symbol

    def _has_expired(self, symbol: SymbolState) -> bool:
        if self.watermark_ns - symbol.newest_ns <= self.settings.symbol_ttl_ns:
            return False
        if symbol.trades or any(owner is symbol for owner, _ in self.held):
            raise AssertionError(f"a window or held tick of {symbol.symbol} outlived its state")
        return True

    def _judge_sequence(self, symbol: SymbolState, tick: Tick) -> str:
        if tick.seq is None:
            return "new"
        kind = "trade" if tick.kind == "correction" else tick.kind
        verdict, gap = symbol.streams[tick.venue, kind].judge(tick.seq, tick.ts_ns)
        if gap is not None:
            first, last = gap
            self.outputs["gaps"].append(
                {
                    "id": coordinates(self.settings.topic, tick),
                    "ts_ns": tick.ts_ns,
                    "symbol": tick.symbol,
                    "venue": tick.venue,
                    "type": kind,
                    "first_missing": first,
                    "last_missing": last,
                    "count": last - first + 1,
                }
            )
        return verdict

    def _set_aside(self, tick: Tick, reason: str) -> None:
        self.outputs["late"].append(
            {
                "id": coordinates(self.settings.topic, tick),
                "ts_ns": tick.ts_ns,
                "topic": self.settings.topic,
                "partition": tick.partition,
                "offset": tick.offset,
                "sequence": tick.sequence,
                "symbol": tick.symbol,
                "venue": tick.venue,
                "type": tick.kind,
                "watermark_ns": self.watermark_ns,
                "reason": reason,
            }
        )

    def _take_quote(self, symbol: SymbolState, quote: Tick) -> None:
        """Hold a quote, unless it is a retried one that comes too late for the book."""
        if quote.ts_ns < self.watermark_ns:
            self._set_aside(quote, BEHIND)
            return
        symbol.quotes.append(quote)
        self.held.append((symbol, quote))

    def _take_trade(self, symbol: SymbolState, trade: Tick, *, late: bool) -> None:
        """Update the bars that are open; judge the breach of a trade that is not late, hold it."""
        taken = TakenTrade(trade, counts=not is_excluded(trade.condition, self.settings))
        symbol.taken.append(taken)
        any_open = False
        for interval_ns in self.settings.intervals_ns:
            start_ns, end_ns = self.settings.window_of(trade.ts_ns, interval_ns)
            if end_ns > self.watermark_ns:
                symbol.trades.setdefault((interval_ns, start_ns), []).append(taken)
                any_open = True
        if not taken.counts:
            return
        breach = None if late else symbol.breach_of(trade)
        if breach is not None:
            self.outputs["signals"].append(breach)
        if not any_open:
            self._set_aside(trade, WINDOW_CLOSED)
        if trade.ts_ns >= self.watermark_ns:
            self.held.append((symbol, trade))

    def _correct(self, symbol: SymbolState, correction: Tick) -> None:
        """Correct a trade that is known and young; its bars that have closed get a new version."""
        oldest_ns = self.watermark_ns - self.settings.correctable_ns
        found = [
            taken
            for taken in symbol.taken
            if taken.trade.venue == correction.venue
            and not taken.cancelled
            and taken.trade.ts_ns > oldest_ns
            and correction.trade_ts_ns in (0, taken.trade.ts_ns)
            and correction.trade_seq in (None, taken.trade.seq)
        ]
        if len(found) != 1:
            self._set_aside(correction, UNKNOWN_TRADE)
            return
        taken = found[0]
        counted = taken.counts
        taken.trade = replace(taken.trade, price=correction.price, size=correction.size)
        taken.cancelled = correction.size == 0
        taken.counts = not (taken.cancelled or is_excluded(correction.condition, self.settings))
        if not (counted or taken.counts):
            return
        cause = coordinates(self.settings.topic, correction)
        bars = symbol.bars_anew(taken, cause, correction.ts_ns)
        self.outputs["corrected_bars"].extend(bars)


def _check_homes(messages: Sequence[Tick], settings: ReferenceSettings) -> None:
    homes: dict[str, int] = {}
    for tick in messages:
        if not 0 <= tick.partition < settings.partitions:
            raise ValueError(f"partition {tick.partition} is not one of {settings.partitions}")
        if tick.kind != "heartbeat" and homes.setdefault(tick.symbol, tick.partition) != (
            tick.partition
        ):
            raise ValueError(f"{tick.symbol} lives in more than one partition")


def run(messages: Sequence[Tick], settings: ReferenceSettings) -> dict[str, list[Record]]:
    """Return the records of every output in canonical order.

    ``messages`` are the ticks and heartbeats of all partitions, each partition's in order
    of arrival; how partitions interleave changes nothing. Raises ValueError where a symbol
    lives in two partitions or a partition does not exist.
    """
    _check_homes(messages, settings)
    partitions = [Partition(settings) for _ in range(settings.partitions)]
    for tick in messages:
        partitions[tick.partition].take(tick)
    outputs: dict[str, list[Record]] = {
        name: [record for partition in partitions for record in partition.outputs[name]]
        for name in OUTPUTS
    }
    outputs["nbbo"] = [
        record
        for partition in partitions
        for life in partition.lives
        for record in nbbo_of(life.symbol, life.quotes, partition.watermark_ns, settings)
    ]
    risk, signals = merge(
        [bar for partition in partitions for bar in partition.risk_bars],
        min(partition.watermark_ns for partition in partitions),
        settings,
    )
    outputs["risk"].extend(risk)
    outputs["signals"].extend(signals)
    for name, records in outputs.items():
        if name == "late":
            records.sort(key=lambda late: (late["partition"], late["offset"], late["sequence"]))
        else:
            time = "start_ns" if name in ("bars", "corrected_bars") else "ts_ns"
            records.sort(key=lambda record: (record[time], record["id"]))
    return outputs
