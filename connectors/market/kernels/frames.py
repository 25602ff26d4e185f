"""Packed frames: the strings of their dictionaries, and their columns into a block."""

# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
# A kernel's types are in its signature, where numba holds it to them.

from __future__ import annotations

import numpy as np
from numba import types

from connectors.market.kernels.compiling import COLUMNS, TABLE, inner, kernel, read_only
from connectors.market.kernels.interning import intern, local_code
from connectors.market.kernels.soundness import is_sound
from connectors.market.kernels.words import MASKS, ZERO, load_f64, load_i64, load_u16, word_at
from connectors.market.layout import (
    ASK,
    ASK_PRICE,
    ASK_SIZE,
    CONDITION,
    DONE,
    EMPTY_TEXT,
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
from state.market.ticks import MAX_CONDITION, MAX_SYMBOL, MAX_VENUE, QUOTE, TRADE


@kernel(
    types.boolean(
        read_only(types.uint8), types.int64, types.int64, types.int64, types.int64, types.int64,
        TABLE, types.int32[::1],
    )
)  # fmt: skip
def intern_dictionary(  # noqa: C901  # one check after another
    data, at, end, symbols, venues, conditions, table, ids
):
    """Give each string of a frame's dictionary, ``data[at:end]``, its id in ``ids``.

    A string is its length (one byte) and its bytes. Returns whether all are as documented,
    but for UTF-8, which the caller has checked; the table has room for them.
    """
    for i in range(symbols + venues + conditions):
        if at >= end:
            return False
        length = np.int64(data[at])
        at += 1
        if i < symbols:
            longest, least = MAX_SYMBOL, 1
        elif i < symbols + venues:
            longest, least = MAX_VENUE, 0
        else:
            longest, least = MAX_CONDITION, 0
        if length < least or length > longest or at + length > end:
            return False
        for k in range(at, at + length):
            if data[k] < 0x20 or data[k] == 0x7F:
                return False
        w0 = word_at(data, at) & MASKS[min(length, 8)]
        w1 = w2 = w3 = ZERO
        if length > 8:
            w1 = word_at(data, at + 8) & MASKS[min(length - 8, 8)]
        if length > 16:
            w2 = word_at(data, at + 16) & MASKS[min(length - 16, 8)]
        if length > 24:
            w3 = word_at(data, at + 24) & MASKS[min(length - 24, 8)]
        ids[i] = intern(table, w0, w1, w2, w3)
        at += length
    return at == end


@inner
def _codes_are_known(data, at, n, symbols, venues, conditions):
    for i in range(n):
        if load_u16(data, at + 56 * n + 2 * i) >= symbols:
            return False
        if load_u16(data, at + 58 * n + 2 * i) >= venues:
            return False
        if load_u16(data, at + 60 * n + 2 * i) >= conditions:
            return False
        kind = data[at + 62 * n + i]
        if (kind != TRADE and kind != QUOTE) or data[at + 63 * n + i] > 2:
            return False
    return True


@kernel(
    types.int64(
        read_only(types.uint8), types.int64, types.int64, types.int64, types.int32[::1],
        types.int64, types.int64, TABLE, COLUMNS, types.int64, types.uint8[::1],
    )
)  # fmt: skip
def decode_frame(data, at, n, latest, ids, symbols, venues, table, columns, first, status):
    """Fill rows ``first`` to ``first + n`` from a frame's columns, which begin at ``data[at]``.

    Returns the number of rows with status ASK, or -1 where a code means nothing: then no row
    is filled.
    """
    if not _codes_are_known(data, at, n, symbols, venues, len(ids) - symbols - venues):
        return -1
    ints, floats, codes, small = columns
    asks = 0
    for i in range(n):
        row = first + i
        at8 = at + 8 * i
        kind = data[at + 62 * n + i]
        ts = load_i64(data, at8)
        recv = load_i64(data, at8 + 8 * n)
        seq = load_i64(data, at8 + 16 * n)
        price = load_f64(data, at8 + 24 * n)
        size = load_f64(data, at8 + 32 * n)
        ask = load_f64(data, at8 + 40 * n)
        ask_size = load_f64(data, at8 + 48 * n)
        codes[SEQUENCE, row] = i
        small[RETRIED, row] = 0
        if not is_sound(kind, ts, recv, seq, price, size, ask, ask_size, latest):
            status[row] = ASK
            asks += 1
            continue
        is_trade = kind == TRADE
        status[row] = DONE
        ints[TS, row] = ts
        ints[RECV, row] = recv
        ints[SEQ, row] = seq
        floats[PRICE, row] = price + 0.0  # -0.0 becomes 0.0, as in JSON
        floats[SIZE, row] = size + 0.0
        floats[ASK_PRICE, row] = 0.0 if is_trade else ask + 0.0
        floats[ASK_SIZE, row] = 0.0 if is_trade else ask_size + 0.0
        symbol = ids[load_u16(data, at + 56 * n + 2 * i)]
        venue = ids[symbols + load_u16(data, at + 58 * n + 2 * i)]
        condition = EMPTY_TEXT
        if is_trade:
            condition = ids[symbols + venues + load_u16(data, at + 60 * n + 2 * i)]
        codes[SYMBOL, row] = local_code(table, SYMBOL, symbol)
        codes[VENUE, row] = local_code(table, VENUE, venue)
        codes[CONDITION, row] = local_code(table, CONDITION, condition)
        small[KIND, row] = kind
        small[SIDE, row] = data[at + 63 * n + i] if is_trade else 0
    return asks
