"""The keys of a tick's JSON object, found by a perfect hash."""

# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
# A kernel's types are in its signature, where numba holds it to them.

from __future__ import annotations

import numpy as np

from connectors.market.kernels.compiling import inner
from connectors.market.kernels.words import (
    MASKS,
    QUOTES,
    U64,
    bytes_below,
    equal_bytes,
    word_at,
    word_of,
)
from connectors.market.layout import ASK_PRICE, ASK_SIZE, PRICE, RECV, SEQ, SIZE, TS
from state.market.ticks import TRADE

# In an order that says how they are read: integers, numbers, strings.
_FIELDS = ("ts_ns", "recv_ns", "seq", "price", "size", "bid", "bid_size", "ask", "ask_size",
           "symbol", "venue", "condition", "type", "side")  # fmt: skip
FIRST_NUMBER, FIRST_STRING, SYMBOL, VENUE, CONDITION, TYPE, SIDE = 3, 9, 9, 10, 11, 12, 13
COLUMN = np.array([TS, RECV, SEQ, PRICE, SIZE, PRICE, SIZE, ASK_PRICE, ASK_SIZE, 0, 0, 0, 0, 0])
"""The row of ``ints`` or ``floats`` that a field of a number fills; a bid is a price."""


def _bits(*names: str) -> int:
    return sum(1 << _FIELDS.index(name) for name in names)


_TRADE_NEEDS = _bits("type", "symbol", "ts_ns", "price", "size")
_TRADE_LACKS = _bits("bid", "bid_size", "ask", "ask_size")
_QUOTE_NEEDS = _bits("type", "symbol", "ts_ns")
_QUOTE_LACKS = _bits("price", "size", "side", "condition")
_BID, _BID_SIZE, _ASK, _ASK_SIZE = (
    _bits("bid"), _bits("bid_size"), _bits("ask"), _bits("ask_size")
)  # fmt: skip

# A perfect hash of the keys. The closing quote belongs to a key's word, so that a key with
# a NUL in it (bad JSON) cannot pass for a shorter one.
_KEY_SHIFT = U64(59)
_KEY_WORDS = [word_of(name + '"') for name in _FIELDS]


def _key_multiplier() -> np.uint64:
    for trial in range(1, 1_000_000):
        factor = (trial * 0x9E3779B97F4A7C15 | 1) & (2**64 - 1)
        places = {(int(word) * factor & (2**64 - 1)) >> int(_KEY_SHIFT) for word in _KEY_WORDS}
        if len(places) == len(_KEY_WORDS):
            return U64(factor)
    raise AssertionError("no perfect hash")


_KEY_FACTOR = _key_multiplier()
_KEY_AT = np.zeros(32, dtype=np.uint64)
_FIELD_AT = np.full(32, -1)
for _number_of_field, _key_word in enumerate(_KEY_WORDS):
    _place = (int(_key_word) * int(_KEY_FACTOR) & (2**64 - 1)) >> int(_KEY_SHIFT)
    _KEY_AT[_place] = _key_word
    _FIELD_AT[_place] = _number_of_field


@inner
def find_field(data, at):
    """Return (field, index behind its closing quote) for the key at ``at``; field -1 if unknown."""
    word = word_at(data, at)
    length = bytes_below(equal_bytes(word, QUOTES))
    if length < 8:
        word &= MASKS[length + 1]
    place = np.int64((word * _KEY_FACTOR) >> _KEY_SHIFT)
    field = _FIELD_AT[place]
    if _KEY_AT[place] != word:
        return -1, at
    if length < 8:
        return field, at + length + 1
    last = at + 8
    if field == CONDITION:
        if last >= len(data) or data[last] != 0x6E:
            return -1, at
        last += 1
    if last >= len(data) or data[last] != 0x22:
        return -1, at
    return field, last + 1


@inner
def is_complete(kind, given):
    """Return whether a tick of this kind has the fields it needs, and none of the other kind's."""
    if kind == TRADE:
        return given & _TRADE_NEEDS == _TRADE_NEEDS and given & _TRADE_LACKS == 0
    return (
        given & _QUOTE_NEEDS == _QUOTE_NEEDS
        and given & _QUOTE_LACKS == 0
        and (given & _BID != 0) == (given & _BID_SIZE != 0)
        and (given & _ASK != 0) == (given & _ASK_SIZE != 0)
    )
