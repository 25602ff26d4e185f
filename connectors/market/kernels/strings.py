"""JSON strings that need no unescaping, as four words."""

# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
# A kernel's types are in its signature, where numba holds it to them.

from __future__ import annotations

from connectors.market.kernels.compiling import inner
from connectors.market.kernels.words import (
    HIGHS,
    MASKS,
    QUOTES,
    U64,
    ZERO,
    bytes_below,
    equal_bytes,
    word_at,
)

_SPACES = U64(0x2020202020202020)
_BACKSLASHES = U64(0x5C5C5C5C5C5C5C5C)
_DELETES = U64(0x7F7F7F7F7F7F7F7F)


@inner
def _part(word):
    """Return (string bytes of this word, closed or not, whether it is plain)."""
    quotes = equal_bytes(word, QUOTES)
    below = (word - _SPACES) & ~word & HIGHS
    odd = (word & HIGHS) | below | equal_bytes(word, _BACKSLASHES) | equal_bytes(word, _DELETES)
    length = bytes_below(quotes)
    return length, (odd & MASKS[length]) == ZERO


@inner
def read_string(data, at):
    """Return (four words, index behind the closing quote) of a plain string; index -1 if unsure.

    Plain: at most 32 bytes, all ASCII, no escape, no control character; so zeros only fill.
    """
    w0 = w1 = w2 = w3 = ZERO
    word = word_at(data, at)
    length, plain = _part(word)
    w0 = word & MASKS[length]
    if plain and length < 8:
        return w0, w1, w2, w3, at + length + 1
    total = 8
    while plain and total <= 32:
        word = word_at(data, at + total)
        length, plain = _part(word)
        if total == 32:
            plain = plain and length == 0
        elif total == 8:
            w1 = word & MASKS[length]
        elif total == 16:
            w2 = word & MASKS[length]
        else:
            w3 = word & MASKS[length]
        if plain and length < 8:
            return w0, w1, w2, w3, at + total + length + 1
        total += 8
    return w0, w1, w2, w3, -1
