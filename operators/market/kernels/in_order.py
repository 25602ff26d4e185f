"""Ticks held until the watermark has passed them, in the order of event time."""

from __future__ import annotations

from operators.kernels.compiling import kernel

TS, SEQ, PLACE = 0, 1, 2
"""Columns of ``keys``: event time, sequence number, and sequence of the retry << 32 | place."""
WHAT, OFFSET, PRICE, SIZE, ASK, ASK_SIZE = range(6)
"""Columns of ``ticks``. ``WHAT`` is slot << 32 | venue << 8 | kind << 4 | side; from ``PRICE`` on
they are the bits of a float64, which ``prices`` shows."""
LOW = (1 << 32) - 1

ROWS = (
    "Tuple((i4[::1], i4[::1], i4[::1], u1[::1], u1[::1], i8[::1], i4[::1], i8[::1], i8[::1], "
    "f8[::1], f8[::1], f8[::1], f8[::1]))"
)
"""partition, slot, venue, kind, side, offset, sequence (of a retry), event time, sequence number,
price, size, ask, its size; by row of the block."""
HELD = "Tuple((i8[:, :, ::1], i8[::1], i8[::1], i8[:, ::1], f8[:, ::1], i4[::1], i8[::1]))"
"""``keys`` int64[partitions, room, 3]: those of partition p, in order, are rows ``begin[p]`` to
``end[p]``. Of a tick only these three numbers move where one comes between others. The rest of each
is a row of ``ticks`` int64[places, 6], which is also ``prices`` float64[places, 6]: one memory, for
what takes time here is to reach it. ``free`` int32[places] are the places that hold none, of which
there are ``tally[0]``."""


@kernel("b1(i8, i8, i8[::1])")
def _is_before(ts_ns, seq, key):
    """Return whether a tick belongs before a held one; of two equal ones the first stays first."""
    return ts_ns < key[TS] or (ts_ns == key[TS] and seq < key[SEQ])


@kernel(f"void(i8, i8, {ROWS}, {HELD})")
def _put(i, at, rows, held):
    """Hold row i; its key becomes that of place ``at`` among its partition's."""
    partition, slot, venue, kind, side, offset, sequence, ts_ns, seq, price, size, ask, rest = rows
    keys, _, _, ticks, prices, free, tally = held
    tally[0] -= 1
    place = free[tally[0]]
    key = keys[partition[i], at]
    key[TS], key[SEQ], key[PLACE] = ts_ns[i], seq[i], (sequence[i] << 32) | place
    ticks[place, WHAT] = (slot[i] << 32) | (venue[i] << 8) | (kind[i] << 4) | side[i]
    ticks[place, OFFSET] = offset[i]
    prices[place, PRICE], prices[place, SIZE] = price[i], size[i]
    prices[place, ASK], prices[place, ASK_SIZE] = ask[i], rest[i]


@kernel(f"i8({ROWS}, b1[::1], {HELD})")
def append(rows, chosen, held):
    """Hold the chosen rows while each comes behind all that its partition holds.

    Returns the first row that does not, n where all did. A stream is in order most of the time,
    and costs nothing but the copy then.
    """
    partition, ts_ns, seq = rows[0], rows[7], rows[8]
    keys, begin, end = held[0], held[1], held[2]
    for i in range(len(partition)):
        if not chosen[i]:
            continue
        p = partition[i]
        if end[p] > begin[p] and _is_before(ts_ns[i], seq[i], keys[p, end[p] - 1]):
            return i
        _put(i, end[p], rows, held)
        end[p] += 1
    return len(partition)


@kernel(f"void(i8[::1], {ROWS}, {HELD})")
def merge(order, rows, held):
    """Hold the rows in ``order``, which is by partition, event time, number and arrival.

    Each partition's are merged with its held ones from the back: what is older than the oldest of
    them is not touched, and the rest moves once, however many they are.
    """
    partition, ts_ns, seq = rows[0], rows[7], rows[8]
    keys, begin, end = held[0], held[1], held[2]
    first = 0
    while first < len(order):
        p = partition[order[first]]
        last = first
        while last < len(order) and partition[order[last]] == p:
            last += 1
        old, new = end[p] - 1, last - 1
        end[p] += last - first
        at = end[p] - 1
        while new >= first:
            i = order[new]
            if old >= begin[p] and _is_before(ts_ns[i], seq[i], keys[p, old]):
                for column in range(3):
                    keys[p, at, column] = keys[p, old, column]
                old -= 1
            else:
                _put(i, at, rows, held)
                new -= 1
            at -= 1
        first = last


@kernel(f"i8(i8[::1], {HELD})")
def count_due(watermark, held):
    """Return how many held ticks lie before their partition's ``watermark`` int64[partitions]."""
    keys, begin, end = held[0], held[1], held[2]
    due = 0
    for p in range(len(watermark)):
        k = begin[p]
        while k < end[p] and keys[p, k, TS] < watermark[p]:
            k += 1
        due += k - begin[p]
    return due


@kernel(f"void(i8[::1], i8, u1, {HELD}, {ROWS}, i8[::1])")
def release(watermark, never, clock, held, out, ends):
    """Let go what lies before the watermarks, partition by partition, in order.

    ``out`` is as ROWS. Behind a partition's ticks comes a row of kind ``clock`` with its watermark
    as the time; a partition whose watermark is ``never`` has none. ``ends`` int64[partitions] gets
    the row behind each partition's last.
    """
    partition, slot, venue, kind, side, offset, sequence, ts_ns, seq, price, size, ask, rest = out
    keys, begin, end, ticks, prices, free, tally = held
    row = 0
    for p in range(len(watermark)):
        while begin[p] < end[p] and keys[p, begin[p], TS] < watermark[p]:
            key = keys[p, begin[p]]
            place, what = key[PLACE] & LOW, ticks[key[PLACE] & LOW, WHAT]
            partition[row], slot[row], venue[row] = p, what >> 32, (what >> 8) & 0xFFFFFF
            kind[row], side[row] = (what >> 4) & 15, what & 15
            offset[row], sequence[row] = ticks[place, OFFSET], key[PLACE] >> 32
            ts_ns[row], seq[row] = key[TS], key[SEQ]
            price[row], size[row] = prices[place, PRICE], prices[place, SIZE]
            ask[row], rest[row] = prices[place, ASK], prices[place, ASK_SIZE]
            free[tally[0]] = place
            tally[0] += 1
            begin[p] += 1
            row += 1
        if watermark[p] != never:
            partition[row], slot[row], venue[row] = p, -1, -1
            kind[row], side[row], offset[row], sequence[row] = clock, 0, -1, 0
            ts_ns[row], seq[row] = watermark[p], -1
            price[row], size[row], ask[row], rest[row] = 0.0, 0.0, 0.0, 0.0
            row += 1
        ends[p] = row


@kernel("void(i4[::1], i8[::1], i8[::1])")
def latest(partition, watermark, reached):
    """Put each partition's last ``watermark`` of a block into ``reached`` int64[partitions]."""
    for i in range(len(partition)):
        reached[partition[i]] = watermark[i]


@kernel("void(i8[:, :, ::1], i8[::1], i8[::1])")
def to_the_front(keys, begin, end):
    """Move the keys of each partition to the front of their room."""
    for p in range(len(begin)):
        for k in range(begin[p], end[p]):
            for column in range(3):
                keys[p, k - begin[p], column] = keys[p, k, column]
        end[p] -= begin[p]
        begin[p] = 0
