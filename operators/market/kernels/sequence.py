"""Duplicates and gaps by sequence number, in a sliding window per stream."""

from __future__ import annotations

from operators.kernels.compiling import kernel
from operators.market.kernels.table import EMPTY, place_of

WINDOW = 256
"""How many sequence numbers below the head a stream remembers."""

NEW, DUPLICATE, TOO_OLD, GAP = 0, 1, 2, 3
"""The verdict on a row. GAP is new and reveals missing numbers before it; no number is NEW."""

DAY_NS = 86_400_000_000_000


@kernel("void(i8[:, ::1], i8, i8)")
def _mark(seen, stream, seq):
    # Number n has bit n mod 256, in four words of 64: as the head moves, nothing is shifted.
    seen[stream, (seq & 255) >> 6] |= 1 << (seq & 63)


@kernel("b1(i8[:, ::1], i8, i8)")
def _is_marked(seen, stream, seq):
    return (seen[stream, (seq & 255) >> 6] >> (seq & 63)) & 1 != 0


@kernel("void(i8[:, ::1], i8, i8, i8)")
def _forget(seen, stream, first, last):
    if last - first >= 255:
        seen[stream, :] = 0
        return
    for seq in range(first, last + 1):
        seen[stream, (seq & 255) >> 6] &= ~(1 << (seq & 63))


ROWS = "Tuple((i4[::1], i4[::1], u1[::1], i8[::1], i8[::1]))"
"""slot, venue, kind, sequence number, event time; by row of the block."""
TABLE = "Tuple((i8[::1], i4[::1], i8[::1]))"
"""keys, values and entry_key of a `operators.market.lookup.Lookup`."""
STREAMS = "Tuple((i8[::1], i8[::1], i8[:, ::1]))"
"""``head``, the largest number; ``head_day``, the UTC day of the tick that set it; ``seen``
int64[streams, 4], a bit for each of the last 256 numbers."""


@kernel(f"i8({ROWS}, {TABLE}, i8, {STREAMS}, u1[::1], i8[::1])")
def judge(rows, table, count, streams, verdict, before):
    """Give each row its verdict; return the number of streams.

    A stream is one (slot, venue, kind). ``before`` int64[n] gets the head before a GAP row. A
    number below the window is TOO_OLD to know, unless its tick is of a later day: feeds
    restart their numbers daily.
    """
    slot, venue, kind, seq, ts_ns = rows
    keys, values, stream_key = table
    head, head_day, seen = streams
    for i in range(len(slot)):
        if slot[i] < 0 or seq[i] < 0:
            verdict[i] = NEW
            continue
        key = (slot[i] << 24) | (venue[i] << 2) | kind[i]
        place = place_of(keys, key)
        day = ts_ns[i] // DAY_NS
        if keys[place] == EMPTY:
            keys[place] = key
            values[place] = count
            stream_key[count] = key
            head[count] = seq[i]
            head_day[count] = day
            for k in range(4):
                seen[count, k] = 0
            _mark(seen, count, seq[i])
            verdict[i] = NEW
            count += 1
            continue
        s = values[place]
        ahead = seq[i] - head[s]
        if ahead > 0:
            verdict[i] = GAP if ahead > 1 else NEW
            before[i] = head[s]
            _forget(seen, s, head[s] + 1, seq[i])
        elif ahead > -WINDOW:
            if _is_marked(seen, s, seq[i]):
                verdict[i] = DUPLICATE
                continue
            _mark(seen, s, seq[i])
            verdict[i] = NEW
            continue
        elif day > head_day[s]:
            seen[s, :] = 0
            verdict[i] = NEW
        else:
            verdict[i] = TOO_OLD
            continue
        head[s] = seq[i]
        head_day[s] = day
        _mark(seen, s, seq[i])
    return count
