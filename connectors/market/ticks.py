"""What a tick is: the definition that every wire format and compiled decoder obeys."""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any, NamedTuple

from connectors.market.bounds import LEAST_PRICE, LEAST_SIZE, MOST_PRICE, MOST_SIZE
from state.clock import MAX_TIME_NS
from state.errors import FromTheFuture, OutOfRange, WrongType
from state.market.ticks import (
    CORRECTION,
    MAX_CONDITION,
    MAX_SYMBOL,
    MAX_VENUE,
    NO_SEQ,
    QUOTE,
    SIDES,
    TRADE,
    ZERO,
    Correction,
)

CANCEL = "cancel"
KINDS = {"trade": TRADE, "quote": QUOTE, CANCEL: CORRECTION, "correction": CORRECTION}
"""``type`` of a tick to ``TickBlock.kind``."""

MAX_SEQ = 2**63 - 1


class Tick(NamedTuple):
    """One valid tick; fields as in `state.market.ticks.TickBlock`."""

    kind: int
    symbol: str
    venue: str
    condition: str
    side: int
    ts_ns: int
    recv_ns: int
    seq: int
    price: float
    size: float
    ask: float
    ask_size: float


class Signed:
    """Which symbols may have prices at and below zero, by patterns such as ``CL*``."""

    def __init__(self, patterns: tuple[str, ...] = ()) -> None:
        self.any = bool(patterns)
        self._patterns = patterns
        self.has = lru_cache(maxsize=4096)(self._has)

    def _has(self, symbol: str) -> bool:
        return any(fnmatchcase(symbol, pattern) for pattern in self._patterns)


NONE_SIGNED = Signed()


def tick_of(fields: dict[str, Any], latest_ns: int, signed: Signed = NONE_SIGNED) -> Tick:
    """Return the tick that ``fields`` (the names of the JSON format) describe.

    That of a correction or cancel has no price; `correction_of` tells the rest.

    Raises WrongType for a field that is missing or of another type, OutOfRange for a value
    that cannot be, and FromTheFuture where ``ts_ns`` exceeds ``latest_ns``. A reason names the
    field and never quotes its value.
    """
    kind = KINDS.get(_text(fields, "type", 16, required=True))
    if kind is None:
        raise OutOfRange("type is none of trade, quote, cancel and correction")
    symbol = _text(fields, "symbol", MAX_SYMBOL, required=True)
    if not symbol:
        raise OutOfRange("symbol is empty")
    ts_ns = _integer(fields, "ts_ns", 1, MAX_TIME_NS)
    recv_ns = _integer(fields, "recv_ns", 0, MAX_TIME_NS, missing=0)
    seq = _integer(fields, "seq", 0, MAX_SEQ, missing=NO_SEQ)
    venue = _text(fields, "venue", MAX_VENUE)
    condition, side, price, size, ask, ask_size = "", 0, 0.0, 0.0, 0.0, 0.0
    if kind == TRADE:
        price, size, condition = _trade(fields, below_zero=signed.has(symbol))
        side = _side(fields)
    elif kind == QUOTE:
        below_zero = signed.has(symbol)
        price, size = _quote_side(fields, "bid", "bid_size", below_zero=below_zero)
        ask, ask_size = _quote_side(fields, "ask", "ask_size", below_zero=below_zero)
        if price == 0 and ask == 0:
            raise OutOfRange("neither bid nor ask is given")
    if ts_ns > latest_ns:
        raise FromTheFuture("ts_ns is too far ahead of the Kafka timestamp")
    return Tick(
        kind, symbol, venue, condition, side, ts_ns, recv_ns, seq, price, size, ask, ask_size
    )


def correction_of(fields: dict[str, Any], signed: Signed = NONE_SIGNED) -> Correction:
    """Return what a record of type correction or cancel says of a trade; raises as `tick_of`."""
    ts_ns = _integer(fields, "trade_ts_ns", 1, MAX_TIME_NS, missing=0)
    seq = _integer(fields, "trade_seq", 0, MAX_SEQ, missing=NO_SEQ)
    if ts_ns == 0 and seq == NO_SEQ:
        raise WrongType("trade_ts_ns and trade_seq are both missing: they tell which trade it is")
    below_zero = signed.has(fields["symbol"])
    left = () if fields["type"] == CANCEL else _trade(fields, below_zero=below_zero)
    return Correction(ts_ns, seq, *left)


def _trade(fields: dict[str, Any], *, below_zero: bool) -> tuple[float, float, str]:
    price = _price(fields, "price", below_zero=below_zero)
    size = _bounded(fields, "size", LEAST_SIZE, MOST_SIZE)
    return price, size, _text(fields, "condition", MAX_CONDITION)


def _text(fields: dict[str, Any], name: str, longest: int, *, required: bool = False) -> str:
    value = fields.get(name)
    if value is None and not required:
        return ""
    if type(value) is not str:
        raise WrongType(f"{name} is missing" if value is None else f"{name} is not a string")
    if len(value.encode()) > longest:
        raise OutOfRange(f"{name} is longer than {longest} bytes")
    if any(c < " " or c == "\x7f" for c in value):
        # PostgreSQL stores no NUL, and terminals obey the others.
        raise OutOfRange(f"{name} holds a control character")
    return value


def _integer(
    fields: dict[str, Any], name: str, least: int, most: int, missing: int | None = None
) -> int:
    value = fields.get(name)
    if value is None and missing is not None:
        return missing
    if type(value) is not int:
        raise WrongType(f"{name} is missing" if value is None else f"{name} is not an integer")
    if not least <= value <= most:
        raise OutOfRange(f"{name} is below {least} or above {most}")
    return value


def _number(fields: dict[str, Any], name: str) -> float:
    value = fields.get(name)
    if type(value) is not float and type(value) is not int:
        raise WrongType(f"{name} is missing" if value is None else f"{name} is not a number")
    return float(value)


def _bounded(fields: dict[str, Any], name: str, least: float, most: float) -> float:
    value = _number(fields, name)
    if not least <= value <= most:  # also where it is NaN
        raise OutOfRange(f"{name} is not between {least} and {most}")
    return value


def _price(fields: dict[str, Any], name: str, *, below_zero: bool) -> float:
    if not below_zero:
        return _bounded(fields, name, LEAST_PRICE, MOST_PRICE)
    value = _bounded(fields, name, -MOST_PRICE, MOST_PRICE)
    if 0 < abs(value) < LEAST_PRICE:
        raise OutOfRange(f"{name} is nearer to 0 than {LEAST_PRICE}")
    return value + 0.0  # -0.0 is 0.0


def _quote_side(
    fields: dict[str, Any], price_name: str, size_name: str, *, below_zero: bool
) -> tuple[float, float]:
    """Return (price, size) of one side of a quote; (0.0, 0.0) where it says nothing of it."""
    size = 0.0 if fields.get(size_name) is None else _number(fields, size_name)
    if fields.get(price_name) is None:
        return 0.0, 0.0
    if _number(fields, price_name) == 0 and not (below_zero and fields.get(size_name) is not None):
        return 0.0, 0.0
    price = _price(fields, price_name, below_zero=below_zero) or ZERO
    if fields.get(size_name) is None:
        raise WrongType(f"{size_name} is missing")
    if size != 0:
        size = _bounded(fields, size_name, LEAST_SIZE, MOST_SIZE)
    return price, abs(size)  # abs: a size of -0.0 is 0.0


def _side(fields: dict[str, Any]) -> int:
    value = fields.get("side")
    if value is None:
        return 0
    if type(value) is not str:
        raise WrongType("side is not a string")
    if value not in ("buy", "sell"):
        raise OutOfRange("side is neither buy nor sell")
    return SIDES.index(value)


def fields_of(tick: Tick) -> dict[str, Any]:
    """Return the JSON format's fields of a tick, even of a bad one; absent ones are left out."""
    fields: dict[str, Any] = {"type": "trade", "symbol": tick.symbol, "ts_ns": tick.ts_ns}
    if tick.recv_ns != 0:
        fields["recv_ns"] = tick.recv_ns
    if tick.kind == TRADE:
        fields |= {"price": tick.price, "size": tick.size}
        if tick.side:
            fields["side"] = SIDES[tick.side]
    else:
        fields["type"] = "quote"
        if tick.price != 0:
            fields |= {"bid": tick.price, "bid_size": tick.size}
        if tick.ask != 0:
            fields |= {"ask": tick.ask, "ask_size": tick.ask_size}
    if tick.venue:
        fields["venue"] = tick.venue
    if tick.kind == TRADE and tick.condition:
        fields["condition"] = tick.condition
    if tick.seq != NO_SEQ:
        fields["seq"] = tick.seq
    return fields
