"""What the controls know of each symbol's market: the mark, its age, the bands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from operators.market.controls import fields
from operators.market.controls.entries import Entry
from operators.market.controls.limits import ControlSettings
from state.errors import OutOfRange

BAND_STATES = {"open": False, "limit_up": False, "limit_down": False, "paused": True}
"""Whether trading is paused, by the ``state`` of a ``bands`` record."""


@dataclass(slots=True)
class Quoted:
    """One symbol. Sources are ``topic/partition/offset`` of the record that said it.

    ``mark`` is the middle of the newest NBBO with both sides or the close of the newest bar, None
    where that is not above 0, and ``as_of_ns`` its event time. ``lower`` and ``upper`` are None
    where there are no bands, which are those of ``bands_ns``. No such time is later than that of
    the entry that told of it.
    ``touched_ns``: when anything was heard last.
    """

    mark: float | None = None
    mark_source: str | None = None
    as_of_ns: int = 0
    stale: bool = False
    fresh: int = 0
    lower: float | None = None
    upper: float | None = None
    paused: bool = False
    bands_ns: int = 0
    band_source: str | None = None
    touched_ns: int = 0


BarEnd = Callable[[int, int], int]
"""Returns the end of a bar (ns) by its start and interval."""


def full_bar(start_ns: int, interval_ns: int) -> int:
    """Return the end of a bar that no session cuts short."""
    return start_ns + interval_ns


class Quotes:
    """All symbols of which something was heard lately, by the generation that told of them.

    Two generations of the market flow may write to the same topics, and one of them may be hours
    behind. What is known of a symbol is what ``generation`` says, the one that readers use; the
    others are heard too, so that a switch finds them up to date. A record that names none is of
    the generation in use, and before that is known, all are.
    """

    def __init__(self, settings: ControlSettings, end_of: BarEnd = full_bar) -> None:
        self._settings = settings
        self._end_of = end_of
        self._symbols: dict[tuple[int, str], Quoted] = {}
        self.generation = 0
        """0 before it is known; `use` sets it."""

    def of(self, symbol: str, now_ns: int) -> Quoted | None:
        """Return what is known of a symbol at ``now_ns``; None where that is no price."""
        quoted = self._symbols.get((self.generation, symbol))
        if quoted is None or quoted.mark is None:
            return None
        self._age(quoted, now_ns)
        return quoted

    def use(self, generation: int) -> None:
        """Go by ``generation`` from here on."""
        if not self.generation:
            self._symbols = {(generation, name): told for (_, name), told in self._symbols.items()}
        self.generation = generation

    def in_use(self, entry: Entry) -> bool:
        """Return whether a record is of the generation that counts."""
        return entry.generation in (0, self.generation) or not self.generation

    def hear_nbbo(self, entry: Entry, source: str) -> None:
        """Take an ``nbbo`` record; one side alone gives no mark and does not count as fresh."""
        body = entry.body
        symbol, ts_ns = fields.name_of(body, "symbol"), fields.time_of(body)
        bid = fields.optional_number_of(body, "bid")
        ask = fields.optional_number_of(body, "ask")
        if bid is not None and ask is not None:
            self._mark(entry, source, symbol, (bid + ask) / 2.0, ts_ns)

    def hear_bar(self, entry: Entry, source: str) -> None:
        """Take a record of ``bars``; its close is as old as its end."""
        body = entry.body
        symbol, close = fields.name_of(body, "symbol"), fields.number_of(body, "close")
        ends_ns = self._end_of(fields.time_of(body, "start_ns"), fields.interval_of(body))
        self._mark(entry, source, symbol, close, ends_ns)

    def hear_bands(self, entry: Entry, source: str) -> None:
        """Take a record of ``bands``, unless newer ones are known."""
        body = entry.body
        symbol, ts_ns = fields.name_of(body, "symbol"), fields.time_of(body)
        paused = fields.choice_of(body, "state", BAND_STATES)
        lower, upper = fields.field(body, "lower"), fields.field(body, "upper")
        if (lower is None) != (upper is None):
            raise OutOfRange("'lower' and 'upper' must both be null or neither")
        if lower is not None:
            lower = fields.number_of(body, "lower")
            upper = fields.positive_of(body, "upper")
        quoted = self._touch(entry, symbol)
        bands_ns = min(ts_ns, entry.ts_ns)
        if bands_ns < quoted.bands_ns:
            return
        quoted.lower, quoted.upper, quoted.paused = lower, upper, paused
        quoted.bands_ns, quoted.band_source = bands_ns, source

    def pass_time(self, now_ns: int) -> None:
        """Find out what is stale by now, and forget the symbols that have long been silent."""
        for place, quoted in list(self._symbols.items()):
            if now_ns - quoted.touched_ns > self._settings.symbol_ttl_ns:
                del self._symbols[place]
            else:
                self._age(quoted, now_ns)

    def snapshot(self) -> dict[str, Any]:
        """Return a copy as plain values."""
        symbols = {place: asdict(quoted) for place, quoted in self._symbols.items()}
        return {"generation": self.generation, "symbols": symbols}

    def restore(self, parts: dict[str, Any]) -> None:
        """Take over a snapshot's symbols."""
        if "generation" not in parts:  # release 0.1.0
            parts = {"generation": 0, "symbols": _dated(parts)}
        self.generation = parts["generation"]
        self._symbols = {place: Quoted(**values) for place, values in parts["symbols"].items()}

    def _touch(self, entry: Entry, symbol: str) -> Quoted:
        of = entry.generation if self.generation and entry.generation else self.generation
        quoted = self._symbols.setdefault((of, symbol), Quoted())
        quoted.touched_ns = entry.ts_ns
        return quoted

    def _mark(self, entry: Entry, source: str, symbol: str, mark: float, ts_ns: int) -> None:
        quoted = self._touch(entry, symbol)
        # A mark of the future would be the newest, and never old, until its time has come.
        as_of_ns = min(ts_ns, entry.ts_ns)
        if quoted.mark is not None:
            self._age(quoted, entry.ts_ns)
        if as_of_ns < quoted.as_of_ns:
            return
        quoted.mark = mark if mark > 0 else None  # limits are shares of a price
        quoted.mark_source, quoted.as_of_ns = source, as_of_ns
        if self._is_old(quoted, entry.ts_ns):
            quoted.stale, quoted.fresh = True, 0
        elif quoted.stale:
            quoted.fresh += 1
            quoted.stale = quoted.fresh < self._settings.fresh_records

    def _age(self, quoted: Quoted, now_ns: int) -> None:
        if self._is_old(quoted, now_ns):
            quoted.stale, quoted.fresh = True, 0

    def _is_old(self, quoted: Quoted, now_ns: int) -> bool:
        return now_ns - quoted.as_of_ns > self._settings.stale_after_ns


def _dated(symbols: dict[str, Any]) -> dict[tuple[int, str], Any]:
    """Return the symbols of a snapshot that told when a mark was heard, and not of when it was."""
    return {
        (0, name): {"as_of_ns" if field == "heard_ns" else field: told[field] for field in told}
        for name, told in symbols.items()
    }
