"""Compiled decoding of ticks: JSON text, packed frames, and codes for their strings.

All compiled code of the wire formats is in this one file, because numba renews its
cache by the file of the outer kernel alone: a helper elsewhere could change unnoticed.

Lessons from profiling: bytes are read eight at a time (SWAR: one 64-bit word holds
eight characters, and a few integer operations compare all of them at once; little-endian
is assumed). Read one by one they cost 1 ns each, more than all other work together.
Arrays come in plain tuples: a NamedTuple has no fast way through numba's dispatcher.
"""

# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
# A kernel's types are in its signature, where numba holds it to them.

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import intrinsic

from state.ticks import MAX_CONDITION, MAX_SYMBOL, MAX_VENUE, NO_SEQ, QUOTE, TRADE

DONE, ASK, FRAME, EMPTY = 0, 1, 2, 3
"""What a kernel says of a row: filled; the Python definition has to judge; not JSON."""

FRAME_BYTE = 0x89
"""The first byte of a frame; no JSON text starts with it."""

TS, RECV, SEQ = 0, 1, 2
"""Rows of ``ints`` int64[3, n]."""
PRICE, SIZE, ASK_PRICE, ASK_SIZE = 0, 1, 2, 3
"""Rows of ``floats`` float64[4, n]."""
SYMBOL, VENUE, CONDITION, SEQUENCE = 0, 1, 2, 3
"""Rows of ``codes`` int32[4, n]; the first three are also the kinds of strings in a table."""
KIND, SIDE, RETRIED = 0, 1, 2
"""Rows of ``small`` uint8[3, n]."""

MAX_TIME_NS = 2**62
"""Event times end here (the year 2116), so that no sum with a duration overflows."""
LEAST_PRICE, MOST_PRICE = 1e-15, 1e15
LEAST_SIZE, MOST_SIZE = 1e-18, 1e18
"""Bounds within which sums, products and ratios of prices and sizes stay finite."""
MAX_JSON = 65_536
"""The most bytes of a JSON message."""

FRAME_COLUMNS = (("ts_ns", 8), ("recv_ns", 8), ("seq", 8), ("price", 8), ("size", 8), ("ask", 8),
                 ("ask_size", 8), ("symbol", 2), ("venue", 2), ("condition", 2), ("kind", 1),
                 ("side", 1))  # fmt: skip
"""The columns of a frame in order, with the bytes of one value."""
TICK_BYTES = 64

EMPTY_TEXT = 0
"""The id of the empty string in every table."""

_U = np.uint64
_ONES = _U(0x0101010101010101)
_HIGHS = _U(0x8080808080808080)
_SPACES = _U(0x2020202020202020)
_QUOTES = _U(0x2222222222222222)
_BACKSLASHES = _U(0x5C5C5C5C5C5C5C5C)
_DELETES = _U(0x7F7F7F7F7F7F7F7F)
_ZEROS = _U(0x3030303030303030)
_NINES = _U(0x7676767676767676)  # 0x80 - 10: a byte of 10 or more reaches the high bit
_SEVENS = _DELETES
_ZERO, _TEN = _U(0), _U(10)
_POW10 = np.array([10.0**e for e in range(23)])
_POW10_INT = np.array([10**e for e in range(9)], dtype=np.uint64)
_MASKS = np.array([(1 << (8 * e)) - 1 for e in range(9)], dtype=np.uint64)
_EXACT = _U(2**53)


def _word(text: str) -> np.uint64:
    return _U(int.from_bytes(text.encode()[:8], "little"))


# Fields in an order that says how they are read: integers, numbers, strings.
_FIELDS = ("ts_ns", "recv_ns", "seq", "price", "size", "bid", "bid_size", "ask", "ask_size",
           "symbol", "venue", "condition", "type", "side")  # fmt: skip
_FIRST_NUMBER, _FIRST_STRING, _SYMBOL, _VENUE, _CONDITION, _TYPE, _SIDE = 3, 9, 9, 10, 11, 12, 13
_COLUMN = np.array([TS, RECV, SEQ, PRICE, SIZE, PRICE, SIZE, ASK_PRICE, ASK_SIZE, 0, 0, 0, 0, 0])


def _bits(*names: str) -> int:
    return sum(1 << _FIELDS.index(name) for name in names)


_TRADE_NEEDS = _bits("type", "symbol", "ts_ns", "price", "size")
_TRADE_LACKS = _bits("bid", "bid_size", "ask", "ask_size")
_QUOTE_NEEDS = _bits("type", "symbol", "ts_ns")
_QUOTE_LACKS = _bits("price", "size", "side", "condition")
_BID, _BID_SIZE, _ASK, _ASK_SIZE = (
    _bits("bid"), _bits("bid_size"), _bits("ask"), _bits("ask_size")
)  # fmt: skip
_TRADE_WORD, _QUOTE_WORD, _BUY_WORD, _SELL_WORD, _NULL_WORD = (
    _word("trade"), _word("quote"), _word("buy"), _word("sell"), _word("null")
)  # fmt: skip

# A perfect hash of the keys. The closing quote belongs to a key's word, so that a key with
# a NUL in it (bad JSON) cannot pass for a shorter one.
_KEY_SHIFT = _U(59)
_KEY_WORDS = [_word(name + '"') for name in _FIELDS]


def _key_multiplier() -> np.uint64:
    for trial in range(1, 1_000_000):
        factor = (trial * 0x9E3779B97F4A7C15 | 1) & (2**64 - 1)
        places = {(int(word) * factor & (2**64 - 1)) >> int(_KEY_SHIFT) for word in _KEY_WORDS}
        if len(places) == len(_KEY_WORDS):
            return _U(factor)
    raise AssertionError("no perfect hash")


_KEY_FACTOR = _key_multiplier()
_KEY_AT = np.zeros(32, dtype=np.uint64)
_FIELD_AT = np.full(32, -1)
for _number_of_field, _key_word in enumerate(_KEY_WORDS):
    _place = (int(_key_word) * int(_KEY_FACTOR) & (2**64 - 1)) >> int(_KEY_SHIFT)
    _KEY_AT[_place] = _key_word
    _FIELD_AT[_place] = _number_of_field


# Without reference counts (numba's private switch; a numba that lacks it fails at import): an
# array taken out of a tuple is counted atomically at every use, which made JSON six times and
# frames three times as slow. Kernels here borrow their arrays, keep and allocate none.
_njit: Any = njit
_inner = _njit(_nrt=False, error_model="numpy", forceinline=True)  # JSON: 4.8 -> 6.2 M/s
_kernel = partial(_njit, _nrt=False, error_model="numpy", nogil=True, cache=True)


def _loader(result):
    """Return a compiled function that reads a ``result`` at a byte index, aligned or not."""

    @intrinsic
    def load(typing_context, data, index):  # noqa: ARG001  # numba calls it by these names
        def generate(context, builder, signature, arguments):
            array = context.make_array(signature.args[0])(context, builder, arguments[0])
            address = builder.gep(array.data, [arguments[1]])
            pointer = builder.bitcast(address, context.get_value_type(result).as_pointer())
            return builder.load(pointer, align=1)

        return result(data, types.intp), generate

    return load


_load_u64 = _loader(types.uint64)
_load_i64 = _loader(types.int64)
_load_f64 = _loader(types.float64)
_load_u16 = _loader(types.uint16)


@intrinsic
def _trailing_zeros(typing_context, word):  # noqa: ARG001  # numba calls it by these names
    """Return the number of zero bits below the lowest one bit (``word`` is not 0)."""

    def generate(context, builder, signature, arguments):  # noqa: ARG001  # as above
        return builder.cttz(arguments[0], context.get_constant(types.boolean, True))

    return types.uint64(types.uint64), generate


@_inner
def _word_at(data, at):
    """Return the eight bytes from ``at`` on, zeros behind the end."""
    if at + 8 <= len(data):
        return _load_u64(data, at)
    word = _ZERO
    for i in range(len(data) - at):
        word |= _U(data[at + i]) << _U(8 * i)
    return word


@_inner
def _bytes_below(mask):
    """Return how many bytes lie below the lowest one marked in its high bit; 8 if none is."""
    if mask == _ZERO:
        return 8
    return np.int64(_trailing_zeros(mask) >> _U(3))


@_inner
def _equal(word, pattern):
    """Mark the bytes that equal the pattern's; exact up to the lowest mark."""
    x = word ^ pattern
    return (x - _ONES) & ~x & _HIGHS


@_inner
def _skip_space(data, at, end):
    while at < end and data[at] <= 0x20:
        c = data[at]
        if c != 0x20 and c != 0x0A and c != 0x0D and c != 0x09:
            break
        at += 1
    return at


@_inner
def _field(data, at):
    """Return (field, index behind its closing quote) for the key at ``at``; field -1 if unknown."""
    word = _word_at(data, at)
    length = _bytes_below(_equal(word, _QUOTES))
    if length < 8:
        word &= _MASKS[length + 1]
    place = np.int64((word * _KEY_FACTOR) >> _KEY_SHIFT)
    field = _FIELD_AT[place]
    if _KEY_AT[place] != word:
        return -1, at
    if length < 8:
        return field, at + length + 1
    last = at + 8
    if field == _CONDITION:
        if last >= len(data) or data[last] != 0x6E:
            return -1, at
        last += 1
    if last >= len(data) or data[last] != 0x22:
        return -1, at
    return field, last + 1


@_inner
def _digits(data, at):
    """Return (value, count) of the digits from ``at`` on; a count above 19 has no valid value."""
    value = _ZERO
    count = 0
    while count <= 19:
        word = _word_at(data, at + count)
        x = word ^ _ZEROS  # digits become 0..9
        others = (((x & _SEVENS) + _NINES) | x) & _HIGHS
        k = _bytes_below(others)
        if k == 0:
            break
        # Shift the digits to the top: the zeros that follow below read as leading zeros.
        x = x << _U(8 * (8 - k))
        x = (x * _TEN + (x >> _U(8))) & _U(0x00FF00FF00FF00FF)
        x = (x * _U(100) + (x >> _U(16))) & _U(0x0000FFFF0000FFFF)
        x = (x * _U(10_000) + (x >> _U(32))) & _U(0x00000000FFFFFFFF)
        value = value * _POW10_INT[k] + x
        count += k
        if k < 8:
            break
    return value, count


@_inner
def _integer(data, at):
    """Return (value, index behind it) of a JSON integer in 0..2**63-1; index -1 if unsure."""
    value, count = _digits(data, at)
    if count == 0 or count > 19 or value >> _U(63) != _ZERO:
        return 0, -1
    if count > 1 and data[at] == 0x30:
        return 0, -1
    return np.int64(value), at + count


@_inner
def _number(data, at):
    """Return (value, index behind it) of a JSON number; index -1 if unsure.

    Sure only where one correctly rounded operation on two exact doubles gives it: mantissa up to
    2**53, power of ten up to 22 (Clinger, "How to read floating point numbers
    accurately", PLDI 1990).
    """
    mantissa, count = _digits(data, at)
    if count == 0 or count > 19 or (count > 1 and data[at] == 0x30):
        return 0.0, -1
    at += count
    exponent = 0
    if at < len(data) and data[at] == 0x2E:
        fraction, places = _digits(data, at + 1)
        if places == 0 or count + places > 19:
            return 0.0, -1
        for _ in range(places):
            mantissa *= _TEN
        mantissa += fraction
        at += 1 + places
        exponent = -places
    if at < len(data) and (data[at] | 0x20) == 0x65:
        at += 1
        negative = at < len(data) and data[at] == 0x2D
        if at < len(data) and (negative or data[at] == 0x2B):
            at += 1
        power, places = _digits(data, at)
        if places == 0 or places > 2:
            return 0.0, -1
        at += places
        exponent += -np.int64(power) if negative else np.int64(power)
    if mantissa > _EXACT or exponent < -22 or exponent > 22:
        return 0.0, -1
    if exponent < 0:
        return np.float64(mantissa) / _POW10[-exponent], at
    return np.float64(mantissa) * _POW10[exponent], at


@_inner
def _part(word):
    """Return (string bytes of this word, closed or not, whether it is plain)."""
    quotes = _equal(word, _QUOTES)
    below = (word - _SPACES) & ~word & _HIGHS
    odd = (word & _HIGHS) | below | _equal(word, _BACKSLASHES) | _equal(word, _DELETES)
    length = _bytes_below(quotes)
    return length, (odd & _MASKS[length]) == _ZERO


@_inner
def _string(data, at):
    """Return (four words, index behind the closing quote) of a plain string; index -1 if unsure.

    Plain: at most 32 bytes, all ASCII, no escape, no control character; so zeros only fill.
    """
    w0 = w1 = w2 = w3 = _ZERO
    word = _word_at(data, at)
    length, plain = _part(word)
    w0 = word & _MASKS[length]
    if plain and length < 8:
        return w0, w1, w2, w3, at + length + 1
    total = 8
    while plain and total <= 32:
        word = _word_at(data, at + total)
        length, plain = _part(word)
        if total == 32:
            plain = plain and length == 0
        elif total == 8:
            w1 = word & _MASKS[length]
        elif total == 16:
            w2 = word & _MASKS[length]
        else:
            w3 = word & _MASKS[length]
        if plain and length < 8:
            return w0, w1, w2, w3, at + total + length + 1
        total += 8
    return w0, w1, w2, w3, -1


@_inner
def _intern(table, w0, w1, w2, w3):
    """Return the id, new if need be, of a string: its bytes as four words, filled with zeros."""
    slots, words, _local, _used, counts = table
    mask = _U(len(slots) - 1)
    x = (w0 ^ (w1 * _U(0x9E3779B97F4A7C15)) ^ (w2 * _U(0xC2B2AE3D27D4EB4F))) + w3
    x = (x ^ (x >> _U(32))) * _U(0xD6E8FEB86659FD93)
    x ^= x >> _U(32)
    place = np.int64(x & mask)
    while True:
        e = slots[place]
        if e < 0:
            break
        if words[e, 0] == w0 and words[e, 1] == w1 and words[e, 2] == w2 and words[e, 3] == w3:
            return np.int64(e)
        place = (place + 1) & (len(slots) - 1)
    e = counts[0]
    counts[0] += 1
    slots[place] = e
    words[e, 0] = w0
    words[e, 1] = w1
    words[e, 2] = w2
    words[e, 3] = w3
    return e


@_inner
def _local_code(table, which, e):
    """Return the block's code of string ``e`` among its symbols, venues or conditions."""
    _slots, _words, local, used, counts = table
    code = local[which, e]
    if code < 0:
        code = np.int32(counts[1 + which])
        counts[1 + which] += 1
        used[which, code] = e
        local[which, e] = code
    return code


@_inner
def _is_complete(kind, given):
    """Return whether a tick of this kind has the fields it needs, and none of the other kind's."""
    if kind == TRADE:
        return given & _TRADE_NEEDS == _TRADE_NEEDS and given & _TRADE_LACKS == 0
    return (
        given & _QUOTE_NEEDS == _QUOTE_NEEDS
        and given & _QUOTE_LACKS == 0
        and (given & _BID != 0) == (given & _BID_SIZE != 0)
        and (given & _ASK != 0) == (given & _ASK_SIZE != 0)
    )


@_inner
def _side_is_sound(price, size):
    return (price == 0.0 and size == 0.0) or (
        LEAST_PRICE <= price <= MOST_PRICE and (size == 0.0 or LEAST_SIZE <= size <= MOST_SIZE)
    )


@_inner
def _is_sound(kind, ts, recv, seq, price, size, ask, ask_size, latest):
    """Return whether a tick is certainly good (see ``connectors.market.ticks.tick_of``)."""
    if ts <= 0 or ts > MAX_TIME_NS or ts > latest or recv < 0 or recv > MAX_TIME_NS or seq < NO_SEQ:
        return False
    if kind == TRADE:
        return LEAST_PRICE <= price <= MOST_PRICE and LEAST_SIZE <= size <= MOST_SIZE
    return _side_is_sound(price, size) and _side_is_sound(ask, ask_size) and price + ask > 0.0


@_inner
def _string_value(data, at, field, table):
    """Return (kind, side or string id, index behind it) of a string field; index -1 if unsure."""
    if data[at] != 0x22:
        return 0, -1
    begin = at + 1
    w0, w1, w2, w3, at = _string(data, begin)
    if at < 0:
        return 0, -1
    length = at - 1 - begin
    if field == _TYPE:
        if length == 5 and w0 == _TRADE_WORD:
            return TRADE, at
        if length == 5 and w0 == _QUOTE_WORD:
            return QUOTE, at
        return 0, -1
    if field == _SIDE:
        if length == 3 and w0 == _BUY_WORD:
            return 1, at
        if length == 4 and w0 == _SELL_WORD:
            return 2, at
        return 0, -1
    if field == _VENUE and length > MAX_VENUE:
        return 0, -1
    return _intern(table, w0, w1, w2, w3), at


@_inner
def _read_object(data, at, end, table, ints, floats, row):  # noqa: C901  # one pass, no state
    """Read one JSON object into a row.

    Returns (fields given as bits, kind, side, symbol, venue, condition); no fields if unsure.
    """
    unsure = 0, 0, 0, EMPTY_TEXT, EMPTY_TEXT, EMPTY_TEXT
    kind = side = 0
    symbol = venue = condition = EMPTY_TEXT
    given = seen = 0
    at = _skip_space(data, at, end)
    if at >= end or data[at] != 0x7B:
        return unsure
    at += 1
    while True:
        at = _skip_space(data, at, end)
        if at >= end or data[at] != 0x22:
            return unsure
        field, at = _field(data, at + 1)
        if field < 0 or (seen >> field) & 1:
            return unsure
        seen |= 1 << field
        at = _skip_space(data, at, end)
        if at >= end or data[at] != 0x3A:
            return unsure
        at = _skip_space(data, at + 1, end)
        if at >= end:
            return unsure
        if data[at] == 0x6E:
            if _word_at(data, at) & _MASKS[4] != _NULL_WORD:
                return unsure
            at += 4
        else:
            given |= 1 << field
            if field < _FIRST_NUMBER:
                ints[field, row], at = _integer(data, at)
            elif field < _FIRST_STRING:
                floats[_COLUMN[field], row], at = _number(data, at)
            else:
                value, at = _string_value(data, at, field, table)
                if field == _TYPE:
                    kind = value
                elif field == _SIDE:
                    side = value
                elif field == _SYMBOL:
                    symbol = value
                elif field == _VENUE:
                    venue = value
                else:
                    condition = value
            if at < 0:
                return unsure
        at = _skip_space(data, at, end)
        if at >= end:
            return unsure
        at += 1
        if data[at - 1] == 0x7D:
            break
        if data[at - 1] != 0x2C:
            return unsure
    if _skip_space(data, at, end) != end:
        return unsure
    return given, kind, side, symbol, venue, condition


@_inner
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
    if symbol == EMPTY_TEXT or not _is_complete(kind, given):
        return ASK
    if not _is_sound(
        kind, ints[TS, row], ints[RECV, row], ints[SEQ, row], floats[PRICE, row],
        floats[SIZE, row], floats[ASK_PRICE, row], floats[ASK_SIZE, row], latest,
    ):  # fmt: skip
        return ASK
    codes[SYMBOL, row] = _local_code(table, SYMBOL, symbol)
    codes[VENUE, row] = _local_code(table, VENUE, venue)
    codes[CONDITION, row] = _local_code(table, CONDITION, condition)
    codes[SEQUENCE, row] = 0
    small[KIND, row] = kind
    small[SIDE, row] = side
    small[RETRIED, row] = 0
    return DONE


def _input(dtype, dimensions=1):
    # Read-only arrays (np.frombuffer of bytes) are accepted, writable ones as well.
    return types.Array(dtype, dimensions, "C", readonly=True)


_TABLE = types.Tuple(
    [
        types.int32[::1],
        types.uint64[:, ::1],
        types.int32[:, ::1],
        types.int32[:, ::1],
        types.int64[::1],
    ]
)
_COLUMNS = types.Tuple(
    [types.int64[:, ::1], types.float64[:, ::1], types.int32[:, ::1], types.uint8[:, ::1]]
)


@_kernel(
    types.int64(
        _input(types.uint8), _input(types.int64), _input(types.bool_), _input(types.int64),
        types.int64, types.int64, _TABLE, _COLUMNS, types.uint8[::1],
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


@_kernel(types.int64(_TABLE, _input(types.uint64)))
def intern_words(table, words):
    """Return the id of one string, given as its bytes in four words; the table has room for it."""
    return _intern(table, words[0], words[1], words[2], words[3])


@_kernel(types.void(_TABLE, _input(types.uint64, 2)))
def intern_all(table, words):
    """Give the strings ``words`` uint64[n, 4] the ids 0, 1, ... in an empty table."""
    for e in range(len(words)):
        _intern(table, words[e, 0], words[e, 1], words[e, 2], words[e, 3])


@_kernel(
    types.boolean(
        _input(types.uint8), types.int64, types.int64, types.int64, types.int64, types.int64,
        _TABLE, types.int32[::1],
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
        w0 = _word_at(data, at) & _MASKS[min(length, 8)]
        w1 = w2 = w3 = _ZERO
        if length > 8:
            w1 = _word_at(data, at + 8) & _MASKS[min(length - 8, 8)]
        if length > 16:
            w2 = _word_at(data, at + 16) & _MASKS[min(length - 16, 8)]
        if length > 24:
            w3 = _word_at(data, at + 24) & _MASKS[min(length - 24, 8)]
        ids[i] = _intern(table, w0, w1, w2, w3)
        at += length
    return at == end


@_inner
def _codes_are_known(data, at, n, symbols, venues, conditions):
    for i in range(n):
        if _load_u16(data, at + 56 * n + 2 * i) >= symbols:
            return False
        if _load_u16(data, at + 58 * n + 2 * i) >= venues:
            return False
        if _load_u16(data, at + 60 * n + 2 * i) >= conditions:
            return False
        kind = data[at + 62 * n + i]
        if (kind != TRADE and kind != QUOTE) or data[at + 63 * n + i] > 2:
            return False
    return True


@_kernel(
    types.int64(
        _input(types.uint8), types.int64, types.int64, types.int64, types.int32[::1], types.int64,
        types.int64, _TABLE, _COLUMNS, types.int64, types.uint8[::1],
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
        ts = _load_i64(data, at8)
        recv = _load_i64(data, at8 + 8 * n)
        seq = _load_i64(data, at8 + 16 * n)
        price = _load_f64(data, at8 + 24 * n)
        size = _load_f64(data, at8 + 32 * n)
        ask = _load_f64(data, at8 + 40 * n)
        ask_size = _load_f64(data, at8 + 48 * n)
        codes[SEQUENCE, row] = i
        small[RETRIED, row] = 0
        if not _is_sound(kind, ts, recv, seq, price, size, ask, ask_size, latest):
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
        symbol = ids[_load_u16(data, at + 56 * n + 2 * i)]
        venue = ids[symbols + _load_u16(data, at + 58 * n + 2 * i)]
        condition = EMPTY_TEXT
        if is_trade:
            condition = ids[symbols + venues + _load_u16(data, at + 60 * n + 2 * i)]
        codes[SYMBOL, row] = _local_code(table, SYMBOL, symbol)
        codes[VENUE, row] = _local_code(table, VENUE, venue)
        codes[CONDITION, row] = _local_code(table, CONDITION, condition)
        small[KIND, row] = kind
        small[SIDE, row] = data[at + 63 * n + i] if is_trade else 0
    return asks


@_kernel(types.void(types.int32[::1], types.int64[::1], types.int64[::1]))
def newest_by_partition(partition, ts_ns, newest):
    """Raise ``newest`` int64[partitions] to the largest event time of each partition's rows."""
    for i in range(len(ts_ns)):
        p = partition[i]
        newest[p] = max(newest[p], ts_ns[i])


@_kernel(types.void(_input(types.int64), _input(types.int64, 3), types.int64[::1]))
def measure_json(name_at, at, starts):
    """Set ``starts`` int64[n + 1] to where each tick's JSON begins (see `write_json`)."""
    starts[0] = 0
    for row in range(at.shape[1]):
        length = 1
        for member in range(at.shape[0]):
            text = at[member, row, 1] - at[member, row, 0]
            if text > 0:
                length += text + name_at[member + 1] - name_at[member]
        starts[row + 1] = starts[row] + length


@_kernel(
    types.void(
        _input(types.uint8), _input(types.int64), _input(types.uint8), _input(types.int64, 3),
        _input(types.int64), types.uint8[::1],
    )
)  # fmt: skip
def write_json(names, name_at, texts, at, starts, data):
    """Write ticks: before member m of tick i stands ``names[name_at[m]:name_at[m + 1]]``.

    Its value is ``texts[at[m, i, 0]:at[m, i, 1]]``; where that is empty, the member is left out.
    """
    for row in range(at.shape[1]):
        to = starts[row]
        for member in range(at.shape[0]):
            if at[member, row, 1] > at[member, row, 0]:
                for k in range(name_at[member], name_at[member + 1]):
                    data[to] = names[k]
                    to += 1
                for k in range(at[member, row, 0], at[member, row, 1]):
                    data[to] = texts[k]
                    to += 1
        data[to] = 0x7D
