"""Ticks as JSON objects, one a message, into the rows of a block."""

# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
# A kernel's types are in its signature, where numba holds it to them.

from __future__ import annotations

from numba import types

from connectors.json import MAX_JSON
from connectors.market.kernels import fields
from connectors.market.kernels.compiling import COLUMNS, TABLE, inner, kernel, read_only
from connectors.market.kernels.fields import find_field, is_complete
from connectors.market.kernels.interning import intern, local_code
from connectors.market.kernels.numbers import read_integer, read_number
from connectors.market.kernels.soundness import is_sound
from connectors.market.kernels.strings import read_string
from connectors.market.kernels.words import MASKS, skip_space, word_at, word_of
from connectors.market.layout import (
    ASK,
    ASK_PRICE,
    ASK_SIZE,
    CONDITION,
    DONE,
    EMPTY,
    EMPTY_TEXT,
    FRAME,
    FRAME_BYTE,
    KIND,
    PRICE,
    RECV,
    RETRIED,
    SEQ,
    SEQUENCE,
    SIDE,
    SIZE,
    SYMBOL,
    TS,
    VENUE,
)
from state.market.ticks import MAX_VENUE, NO_SEQ, QUOTE, TRADE

_TRADE_WORD, _QUOTE_WORD, _BUY_WORD, _SELL_WORD, _NULL_WORD = (
    word_of("trade"), word_of("quote"), word_of("buy"), word_of("sell"), word_of("null")
)  # fmt: skip


@inner
def _string_value(data, at, field, table):
    """Return (kind, side or string id, index behind it) of a string field; index -1 if unsure."""
    if data[at] != 0x22:
        return 0, -1
    begin = at + 1
    w0, w1, w2, w3, at = read_string(data, begin)
    if at < 0:
        return 0, -1
    length = at - 1 - begin
    if field == fields.TYPE:
        if length == 5 and w0 == _TRADE_WORD:
            return TRADE, at
        if length == 5 and w0 == _QUOTE_WORD:
            return QUOTE, at
        return 0, -1
    if field == fields.SIDE:
        if length == 3 and w0 == _BUY_WORD:
            return 1, at
        if length == 4 and w0 == _SELL_WORD:
            return 2, at
        return 0, -1
    if field == fields.VENUE and length > MAX_VENUE:
        return 0, -1
    return intern(table, w0, w1, w2, w3), at


@inner
def _read_object(data, at, end, table, ints, floats, row):  # noqa: C901  # one pass, no state
    """Read one JSON object into a row.

    Returns (fields given as bits, kind, side, symbol, venue, condition); no fields if unsure.
    """
    unsure = 0, 0, 0, EMPTY_TEXT, EMPTY_TEXT, EMPTY_TEXT
    kind = side = 0
    symbol = venue = condition = EMPTY_TEXT
    given = seen = 0
    at = skip_space(data, at, end)
    if at >= end or data[at] != 0x7B:
        return unsure
    at += 1
    while True:
        at = skip_space(data, at, end)
        if at >= end or data[at] != 0x22:
            return unsure
        field, at = find_field(data, at + 1)
        if field < 0 or (seen >> field) & 1:
            return unsure
        seen |= 1 << field
        at = skip_space(data, at, end)
        if at >= end or data[at] != 0x3A:
            return unsure
        at = skip_space(data, at + 1, end)
        if at >= end:
            return unsure
        if data[at] == 0x6E:
            if word_at(data, at) & MASKS[4] != _NULL_WORD:
                return unsure
            at += 4
        else:
            given |= 1 << field
            if field < fields.FIRST_NUMBER:
                ints[field, row], at = read_integer(data, at)
            elif field < fields.FIRST_STRING:
                floats[fields.COLUMN[field], row], at = read_number(data, at)
            else:
                value, at = _string_value(data, at, field, table)
                if field == fields.TYPE:
                    kind = value
                elif field == fields.SIDE:
                    side = value
                elif field == fields.SYMBOL:
                    symbol = value
                elif field == fields.VENUE:
                    venue = value
                else:
                    condition = value
            if at < 0:
                return unsure
        at = skip_space(data, at, end)
        if at >= end:
            return unsure
        at += 1
        if data[at - 1] == 0x7D:
            break
        if data[at - 1] != 0x2C:
            return unsure
    if skip_space(data, at, end) != end:
        return unsure
    return given, kind, side, symbol, venue, condition


@inner
def _decode_one(data, start, end, latest, table, columns, row):
    """Fill one row from JSON text; return DONE, or ASK where anything is unusual."""
    ints, floats, codes, small = columns
    ints[RECV, row] = 0
    ints[SEQ, row] = NO_SEQ
    for i in range(4):
        floats[i, row] = 0.0
    given, kind, side, symbol, venue, condition = _read_object(
        data, start, end, table, ints, floats, row
    )
    if symbol == EMPTY_TEXT or not is_complete(kind, given):
        return ASK
    if not is_sound(
        kind, ints[TS, row], ints[RECV, row], ints[SEQ, row], floats[PRICE, row],
        floats[SIZE, row], floats[ASK_PRICE, row], floats[ASK_SIZE, row], latest,
    ):  # fmt: skip
        return ASK
    codes[SYMBOL, row] = local_code(table, SYMBOL, symbol)
    codes[VENUE, row] = local_code(table, VENUE, venue)
    codes[CONDITION, row] = local_code(table, CONDITION, condition)
    codes[SEQUENCE, row] = 0
    small[KIND, row] = kind
    small[SIDE, row] = side
    small[RETRIED, row] = 0
    return DONE


@kernel(
    types.int64(
        read_only(types.uint8), read_only(types.int64), read_only(types.bool_),
        read_only(types.int64), types.int64, types.int64, TABLE, COLUMNS, types.uint8[::1],
    )
)  # fmt: skip
def decode_json(data, starts, keyed, timestamp_ns, max_ahead_ns, begin, table, columns, status):
    """Fill the rows of all plain JSON messages from ``begin`` on and give each its status.

    Message i is ``data[starts[i]:starts[i + 1]]`` and fills row i of ``columns``. Returns the
    first message not looked at, for want of room in the table, else their number.
    """
    capacity = table[1].shape[0]
    for row in range(begin, len(keyed)):
        if table[4][0] + 3 > capacity:
            return row
        start, end = starts[row], starts[row + 1]
        if start == end:
            status[row] = EMPTY
        elif not keyed[row]:
            status[row] = ASK
        elif data[start] == FRAME_BYTE:
            status[row] = FRAME
        elif end - start > MAX_JSON:
            status[row] = ASK
        else:
            latest = timestamp_ns[row] + max_ahead_ns
            status[row] = _decode_one(data, start, end, latest, table, columns, row)
    return len(keyed)
