"""How decoded ticks lie in arrays, and how they lie in a frame: what kernels and callers share.

No compiler is needed to know this: nothing here imports numba.
"""

from __future__ import annotations

DONE, ASK, FRAME, EMPTY = 0, 1, 2, 3
"""What a kernel says of a row: filled; the Python definition has to judge; a frame; no bytes."""

TS, RECV, SEQ = 0, 1, 2
"""Rows of ``ints`` int64[3, n]."""
PRICE, SIZE, ASK_PRICE, ASK_SIZE = 0, 1, 2, 3
"""Rows of ``floats`` float64[4, n]."""
SYMBOL, VENUE, CONDITION, SEQUENCE = 0, 1, 2, 3
"""Rows of ``codes`` int32[4, n]; the first three are also the kinds of strings in a table."""
KIND, SIDE, RETRIED = 0, 1, 2
"""Rows of ``small`` uint8[3, n]."""

EMPTY_TEXT = 0
"""The id of the empty string in every table of strings."""

FRAME_BYTE = 0x89
"""The first byte of a frame; no JSON text starts with it."""
FRAME_COLUMNS = (("ts_ns", 8), ("recv_ns", 8), ("seq", 8), ("price", 8), ("size", 8), ("ask", 8),
                 ("ask_size", 8), ("symbol", 2), ("venue", 2), ("condition", 2), ("kind", 1),
                 ("side", 1))  # fmt: skip
"""The columns of a frame in order, with the bytes of one value."""
TICK_BYTES = 64
