"""What the controls know of each symbol's market: the mark, its age, the bands."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from operators.market.controls import fields
from operators.market.controls.limits import ControlSettings
from state.errors import OutOfRange

BAND_STATES = {"open": False, "limit_up": False, "limit_down": False, "paused": True}
"""Whether trading is paused, by the ``state`` of a ``bands`` record."""


@dataclass(slots=True)
class Quoted:
    """One symbol. Sources are ``topic/partition/offset`` of the record that said it.

    ``mark`` is the middle of the last NBBO with both sides or the close of the last bar, whichever
    came last; it was heard at ``heard_ns``. ``lower`` and ``upper`` are None where there are no
    bands. ``touched_ns``: when anything was heard last.
    """

    mark: float | None = None
    mark_source: str | None = None
    heard_ns: int = 0
    stale: bool = False
    fresh: int = 0
    lower: float | None = None
    upper: float | None = None
    paused: bool = False
    band_source: str | None = None
    touched_ns: int = 0


class Quotes:
    """All symbols of which something was heard lately."""

    def __init__(self, settings: ControlSettings) -> None:
        self._settings = settings
        self._symbols: dict[str, Quoted] = {}

    def of(self, symbol: str, now_ns: int) -> Quoted | None:
        """Return what is known of a symbol at ``now_ns``; None where that is no price."""
        quoted = self._symbols.get(symbol)
        if quoted is None or quoted.mark is None:
            return None
        self._age(quoted, now_ns)
        return quoted

    def hear_nbbo(self, body: dict[str, Any], source: str, now_ns: int) -> None:
        """Take an ``nbbo`` record; one side alone gives no mark and does not count as fresh."""
        symbol = fields.name_of(body, "symbol")
        bid = fields.optional_positive_of(body, "bid")
        ask = fields.optional_positive_of(body, "ask")
        if bid is not None and ask is not None:
            self._mark(symbol, (bid + ask) / 2.0, source, now_ns)

    def hear_bar(self, body: dict[str, Any], source: str, now_ns: int) -> None:
        """Take a record of ``bars``."""
        symbol = fields.name_of(body, "symbol")
        self._mark(symbol, fields.positive_of(body, "close"), source, now_ns)

    def hear_bands(self, body: dict[str, Any], source: str, now_ns: int) -> None:
        """Take a record of ``bands``."""
        symbol = fields.name_of(body, "symbol")
        paused = fields.choice_of(body, "state", BAND_STATES)
        lower, upper = fields.field(body, "lower"), fields.field(body, "upper")
        if (lower is None) != (upper is None):
            raise OutOfRange("'lower' and 'upper' must both be null or neither")
        if lower is not None:
            lower = fields.number_of(body, "lower")
            upper = fields.positive_of(body, "upper")
        quoted = self._touch(symbol, now_ns)
        quoted.lower, quoted.upper, quoted.paused = lower, upper, paused
        quoted.band_source = source

    def pass_time(self, now_ns: int) -> None:
        """Find out what is stale by now, and forget the symbols that have long been silent."""
        for symbol, quoted in list(self._symbols.items()):
            if now_ns - quoted.touched_ns > self._settings.symbol_ttl_ns:
                del self._symbols[symbol]
            else:
                self._age(quoted, now_ns)

    def snapshot(self) -> dict[str, Any]:
        """Return a copy as plain values."""
        return {symbol: asdict(quoted) for symbol, quoted in self._symbols.items()}

    def restore(self, parts: dict[str, Any]) -> None:
        """Take over a snapshot's symbols."""
        self._symbols = {symbol: Quoted(**values) for symbol, values in parts.items()}

    def _touch(self, symbol: str, now_ns: int) -> Quoted:
        quoted = self._symbols.setdefault(symbol, Quoted())
        quoted.touched_ns = now_ns
        return quoted

    def _mark(self, symbol: str, mark: float, source: str, now_ns: int) -> None:
        quoted = self._touch(symbol, now_ns)
        if quoted.mark is not None:
            self._age(quoted, now_ns)
        quoted.mark, quoted.mark_source, quoted.heard_ns = mark, source, now_ns
        if quoted.stale:
            quoted.fresh += 1
            quoted.stale = quoted.fresh < self._settings.fresh_records

    def _age(self, quoted: Quoted, now_ns: int) -> None:
        if now_ns - quoted.heard_ns > self._settings.stale_after_ns:
            quoted.stale, quoted.fresh = True, 0
