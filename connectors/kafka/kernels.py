"""Compiled code that reads librdkafka's messages: their sizes, then their columns.

A message is known by its address; its structure (rd_kafka_message_t) is public and stable. What it
does not hold is asked of librdkafka's functions, whose addresses are arguments: they differ from
process to process, and numba's cache outlives one. All is in this one file because numba renews
its cache by the file of the outer kernel alone.

Lessons from profiling (`headrace bench market --only a`). Per message librdkafka itself takes a
lock for taking it out of its queue, and an atomic count and a free for giving it back: that is what
is left. A message is given back as soon as it is copied, while its structure is still in the
processor's cache. Sizes come first, in a pass of their own, so that a block's memory is exactly
as large as its bytes, whatever their size; the pass costs little, for it loads the structures
that the second one needs.
"""

# ruff: noqa: ARG001  # numba calls what makes code by these arguments
# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
# A kernel's types are in its signature, where numba holds it to them.

from __future__ import annotations

from functools import partial
from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

ERROR, PARTITION, VALUE, LENGTH, KEY, KEY_LENGTH, OFFSET = 0, 16, 24, 32, 40, 48, 56
"""Where the fields of rd_kafka_message_t are (library.MessageStruct)."""

DESTROY, TIMESTAMP, HEADERS, HEADER_AT = 0, 1, 2, 3
"""Places of functions in ``functions``: rd_kafka_message_destroy, _timestamp, _headers, and
rd_kafka_header_get_all."""

VALUE_BYTES, KEY_BYTES, HEADER_COUNT, HEADER_BYTES, ERRORS = 0, 1, 2, 3, 4
"""Places in ``totals``."""
TOTALS = 5

MS_NS = 1_000_000

_njit: Any = njit
_inner = _njit(_nrt=False, error_model="numpy", forceinline=True)
_kernel = partial(_njit, _nrt=False, error_model="numpy", nogil=True, cache=True)

_address = types.int64


def _loader(result):
    """Return a compiled function that reads a ``result`` at an address."""

    @intrinsic
    def load(typing_context, address):
        def generate(context, builder, signature, arguments):
            pointer = context.get_value_type(result).as_pointer()
            return builder.load(builder.inttoptr(arguments[0], pointer), align=1)

        return result(_address), generate

    return load


_load_i64 = _loader(types.int64)
_load_i32 = _loader(types.int32)
_load_u8 = _loader(types.uint8)


@intrinsic
def _copy(typing_context, target, source, count):
    """Copy ``count`` bytes from an address to another."""

    def generate(context, builder, signature, arguments):
        to, begin, count = arguments
        kind = cgutils.voidptr_t
        cgutils.raw_memcpy(
            builder, builder.inttoptr(to, kind), builder.inttoptr(begin, kind), count, 1
        )
        return context.get_dummy_value()

    return types.void(_address, _address, types.int64), generate


def _calling(result, count):
    """Return (signature, generator) of a call of the function at an address."""
    signature = result(*[_address] * (count + 1))

    def generate(context, builder, signature, arguments):
        word = ir.IntType(64)
        answer = ir.VoidType() if result is types.void else context.get_value_type(result)
        kind = ir.FunctionType(answer, [word] * count)
        function = builder.inttoptr(arguments[0], kind.as_pointer())
        found = builder.call(function, arguments[1:])
        return context.get_dummy_value() if result is types.void else found

    return signature, generate


@intrinsic
def _call_destroy(typing_context, function, message):
    return _calling(types.void, 1)


@intrinsic
def _call_timestamp(typing_context, function, message, kind):
    return _calling(types.int64, 2)


@intrinsic
def _call_headers(typing_context, function, message, headers):
    return _calling(types.int32, 2)


@intrinsic
def _call_header_at(typing_context, function, headers, index, name, value, size):
    return _calling(types.int32, 5)


@_inner
def _size(bytes_at, length):
    """Return how many bytes there are; null has none, whatever its length says."""
    return length if bytes_at != 0 and length > 0 else 0


@_inner
def _text_length(address):
    """Return how many bytes stand before the NUL."""
    length = 0
    while _load_u8(address + length) != 0:
        length += 1
    return length


_FUNCTIONS = types.UniTuple(types.int64, 4)


@_kernel(types.void(types.int64[::1], types.int64, _FUNCTIONS, types.int64[::1], types.int64[::1]))
def measure(messages, count, functions, cells, totals):
    """Set ``totals`` int64[TOTALS] to what ``count`` messages hold; those with errors hold nothing.

    ``messages`` are addresses; ``cells`` int64[4] is where librdkafka writes its answers.
    """
    totals[:] = 0
    cell = cells.ctypes.data
    for i in range(count):
        message = messages[i]
        if _load_i32(message + ERROR) != 0:
            totals[ERRORS] += 1
            continue
        totals[VALUE_BYTES] += _size(_load_i64(message + VALUE), _load_i64(message + LENGTH))
        totals[KEY_BYTES] += _size(_load_i64(message + KEY), _load_i64(message + KEY_LENGTH))
        if _call_headers(functions[HEADERS], message, cell) == 0:
            index = 0
            while (
                _call_header_at(
                    functions[HEADER_AT], cells[0], index, cell + 8, cell + 16, cell + 24
                )
                == 0
            ):
                totals[HEADER_COUNT] += 1
                totals[HEADER_BYTES] += _text_length(cells[1]) + _size(cells[2], cells[3])
                index += 1


@_kernel(
    types.void(
        types.int64[::1], types.int64, _FUNCTIONS, types.int64[::1],
        types.int32[::1], types.int64[::1], types.int64[::1], types.boolean[::1],
        types.uint8[::1], types.int64[::1], types.uint8[::1], types.int64[::1],
        types.int64[::1], types.uint8[::1], types.int64[::1],
    )
)  # fmt: skip
def gather(
    messages, count, functions, cells, partition, offset, timestamp_ns, keyed, data, starts,
    key_data, key_starts, header_row, header_data, header_starts,
):  # fmt: skip
    """Copy ``count`` messages without errors into columns, and give each back as it is copied.

    ``messages`` becomes 0 where a message was given back. Header h belongs to row
    ``header_row[h]``; its name and value are texts 2h and 2h + 1 of ``header_data``, split by
    ``header_starts``. The arrays have the sizes that `measure` found.
    """
    cell = cells.ctypes.data
    to, key_to, header_to = data.ctypes.data, key_data.ctypes.data, header_data.ctypes.data
    at = key_at = header_at = header = 0
    for i in range(count):
        message = messages[i]
        partition[i] = _load_i32(message + PARTITION)
        offset[i] = _load_i64(message + OFFSET)
        timestamp_ns[i] = _call_timestamp(functions[TIMESTAMP], message, 0) * MS_NS
        value = _load_i64(message + VALUE)
        length = _size(value, _load_i64(message + LENGTH))
        starts[i] = at
        _copy(to + at, value, length)
        at += length
        key = _load_i64(message + KEY)
        length = _size(key, _load_i64(message + KEY_LENGTH))
        keyed[i] = key != 0
        key_starts[i] = key_at
        _copy(key_to + key_at, key, length)
        key_at += length
        if len(header_row) > 0 and _call_headers(functions[HEADERS], message, cell) == 0:
            index = 0
            while (
                _call_header_at(
                    functions[HEADER_AT], cells[0], index, cell + 8, cell + 16, cell + 24
                )
                == 0
            ):
                header_row[header] = i
                header_starts[2 * header] = header_at
                length = _text_length(cells[1])
                _copy(header_to + header_at, cells[1], length)
                header_at += length
                header_starts[2 * header + 1] = header_at
                length = _size(cells[2], cells[3])
                _copy(header_to + header_at, cells[2], length)
                header_at += length
                header += 1
                index += 1
        messages[i] = 0
        _call_destroy(functions[DESTROY], message)
    starts[count] = at
    key_starts[count] = key_at
    header_starts[2 * header] = header_at


@_kernel(types.int64(types.int64[::1], _FUNCTIONS))
def give_back(messages, functions):
    """Give back every message that is left in ``messages``; return how many."""
    found = 0
    for i in range(len(messages)):
        message = messages[i]
        if message != 0:
            messages[i] = 0
            _call_destroy(functions[DESTROY], message)
            found += 1
    return found
