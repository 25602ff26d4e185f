"""Bytes eight at a time: loads, and marks of the bytes that equal a pattern."""

# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
# A kernel's types are in its signature, where numba holds it to them.

from __future__ import annotations

import numpy as np
from numba import types
from numba.extending import intrinsic

from connectors.market.kernels.compiling import inner

U64 = np.uint64
ZERO = U64(0)
ONES = U64(0x0101010101010101)
HIGHS = U64(0x8080808080808080)
QUOTES = U64(0x2222222222222222)
MASKS = np.array([(1 << (8 * e)) - 1 for e in range(9)], dtype=np.uint64)
"""The lowest e bytes of a word, by e."""


def word_of(text: str) -> np.uint64:
    """Return the first eight bytes of a text as `word_at` reads them."""
    return U64(int.from_bytes(text.encode()[:8], "little"))


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


load_u64 = _loader(types.uint64)
load_i64 = _loader(types.int64)
load_f64 = _loader(types.float64)
load_u16 = _loader(types.uint16)


@intrinsic
def trailing_zeros(typing_context, word):  # noqa: ARG001  # numba calls it by these names
    """Return the number of zero bits below the lowest one bit (``word`` is not 0)."""

    def generate(context, builder, signature, arguments):  # noqa: ARG001  # as above
        return builder.cttz(arguments[0], context.get_constant(types.boolean, True))

    return types.uint64(types.uint64), generate


@inner
def word_at(data, at):
    """Return the eight bytes from ``at`` on, zeros behind the end."""
    if at + 8 <= len(data):
        return load_u64(data, at)
    word = ZERO
    for i in range(len(data) - at):
        word |= U64(data[at + i]) << U64(8 * i)
    return word


@inner
def bytes_below(mask):
    """Return how many bytes lie below the lowest one marked in its high bit; 8 if none is."""
    if mask == ZERO:
        return 8
    return np.int64(trailing_zeros(mask) >> U64(3))


@inner
def equal_bytes(word, pattern):
    """Mark the bytes that equal the pattern's; exact up to the lowest mark."""
    x = word ^ pattern
    return (x - ONES) & ~x & HIGHS


@inner
def skip_space(data, at, end):
    """Return the index of the first byte from ``at`` on that is no JSON white space."""
    while at < end and data[at] <= 0x20:
        c = data[at]
        if c != 0x20 and c != 0x0A and c != 0x0D and c != 0x09:
            break
        at += 1
    return at
