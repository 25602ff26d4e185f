"""Duplicates and gaps by sequence number, in a sliding window per stream."""

from __future__ import annotations

from numba import njit

from operators.market.kernels.table import EMPTY, place_of

WINDOW = 256
"""How many sequence numbers below the head a stream remembers."""

NEW, DUPLICATE, TOO_OLD, GAP = 0, 1, 2, 3
"""The verdict on a row. GAP is new and reveals missing numbers before it; no number is NEW."""

DAY_NS = 86_400_000_000_000


@njit("void(i8[:, ::1], i8, i8)", cache=True, nogil=True)
def _mark(seen, stream, seq):
    seen[stream, (seq & 255) >> 6] |= 1 << (seq & 63)


@njit("b1(i8[:, ::1], i8, i8)", cache=True, nogil=True)
def _is_marked(seen, stream, seq):
    return (seen[stream, (seq & 255) >> 6] >> (seq & 63)) & 1 != 0


@njit("void(i8[:, ::1], i8, i8, i8)", cache=True, nogil=True)
def _forget(seen, stream, first, last):
    if last - first >= 255:
        seen[stream, :] = 0
        return
    for seq in range(first, last + 1):
        seen[stream, (seq & 255) >> 6] &= ~(1 << (seq & 63))


@njit(
    "i8(i4[::1], i4[::1], u1[::1], i8[::1], i8[::1], i8[::1], i4[::1], i8, "
    "i8[::1], i8[::1], i8[::1], i8[:, ::1], u1[::1], i8[::1])",
    cache=True,
    nogil=True,
)
def judge(
    slot, venue, kind, seq, ts_ns, keys, values, count,
    stream_key, head, head_day, seen, verdict, before,
):  # fmt: skip
    """Give each row its verdict; return the number of streams.

    A stream is one (slot, venue, kind). ``keys``/``values`` is the table that finds it,
    ``stream_key``, ``head``, ``head_day`` int64[streams] and ``seen`` int64[streams, 4] its
    state: the largest number, the UTC day of the tick that set it, and which of the
    last 256 numbers were seen. ``before`` int64[n] gets the head before a GAP row. A
    number below the window is TOO_OLD to know, unless its tick is of a later day: feeds
    restart their numbers daily.
    """
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
            seen[count, :] = 0
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
