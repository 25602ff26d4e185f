"""Duplicates and gaps by sequence number, in a sliding window per stream."""

from __future__ import annotations

from operators.kernels.compiling import kernel
from operators.market.kernels.table import EMPTY, place_of

WINDOW = 256
"""How many sequence numbers below the head a stream remembers."""

NEW, DUPLICATE, TOO_OLD, GAP = 0, 1, 2, 3
"""The verdict on a row. GAP is new and reveals missing numbers before it; no number is NEW."""

HEAD, SEEN, FORMER_HEAD, FORMER_SEEN, NEWEST_NS, BEGUN_NS = 0, 1, 5, 6, 10, 11
RUN, RUN_SEQ, RUN_NS, RUN_BEGUN_NS = 12, 13, 14, 15
"""Columns of a stream. A numbering is its largest number and, from the next column on, a bit for
each of the last 256 (int64[4]). ``NEWEST_NS`` is the largest event time of the present numbering;
rows of before ``BEGUN_NS`` belong to the former one. ``RUN`` lower numbers have come one after
another, of which the last is ``RUN_SEQ`` with the event time ``RUN_NS``; the first came at
``RUN_BEGUN_NS``."""

COLUMNS = 16

NEVER = -9_223_372_036_854_775_808
"""``BEGUN_NS`` where there is no former numbering."""

DAY_NS = 86_400_000_000_000
QUIET_NS = 3_600_000_000_000
"""Numbers that begin again after an hour without a tick are a new session's."""

DAILY, BY_SESSION, CONTINUOUS = 0, 1, 2
"""When numbers may begin again: with a UTC day or after a quiet hour; at the given times; never."""


@kernel("void(i8[::1], i8, i8)")
def _mark(stream, seen, seq):
    # Number n has bit n mod 256, in four words of 64: as the head moves, nothing is shifted.
    stream[seen + ((seq & 255) >> 6)] |= 1 << (seq & 63)


@kernel("b1(i8[::1], i8, i8)")
def _is_marked(stream, seen, seq):
    return (stream[seen + ((seq & 255) >> 6)] >> (seq & 63)) & 1 != 0


@kernel("void(i8[::1], i8, i8, i8)")
def _forget(stream, seen, first, last):
    if last - first >= 255:
        for word in range(seen, seen + 4):
            stream[word] = 0
        return
    for seq in range(first, last + 1):
        stream[seen + ((seq & 255) >> 6)] &= ~(1 << (seq & 63))


@kernel("u1(i8[::1], i8, i8)")
def _judge_in(stream, head, seq):
    """Return the verdict on a number by the numbering whose head is in column ``head``."""
    seen = head + 1
    ahead = seq - stream[head]
    if ahead > 0:
        _forget(stream, seen, stream[head] + 1, seq)
        stream[head] = seq
        _mark(stream, seen, seq)
        return GAP if ahead > 1 else NEW
    if ahead <= -WINDOW:
        return TOO_OLD
    if _is_marked(stream, seen, seq):
        return DUPLICATE
    _mark(stream, seen, seq)
    return NEW


@kernel("void(i8[::1], i8, i8, i8)")
def _begin(stream, seq, ts_ns, begun_ns):
    """Begin a numbering with this number."""
    for column in range(5):
        stream[FORMER_HEAD + column] = stream[HEAD + column]
        stream[HEAD + column] = 0
    stream[HEAD] = seq
    _mark(stream, SEEN, seq)
    stream[NEWEST_NS] = ts_ns
    stream[BEGUN_NS] = begun_ns
    stream[RUN] = 0


@kernel("i8(i8[::1], i8, i8, i8[::1])")
def _border(stream, ts_ns, numbering, borders):
    """Return from when on a numbering counts that begins at ``ts_ns``; NEVER where none can."""
    newest = stream[NEWEST_NS]
    if numbering == DAILY:
        if ts_ns - ts_ns % DAY_NS > newest:
            return ts_ns - ts_ns % DAY_NS
        if ts_ns - newest >= QUIET_NS:
            return newest + (ts_ns - newest) // 2
    elif numbering == BY_SESSION:
        low, high = 0, len(borders)  # the number of borders up to ts_ns
        while low < high:
            middle = (low + high) // 2
            if borders[middle] <= ts_ns:
                low = middle + 1
            else:
                high = middle
        if low > 0 and borders[low - 1] > newest:
            return borders[low - 1]
    return NEVER


@kernel("i8(i8[::1], i8, i8)")
def _count_run(stream, seq, ts_ns):
    """Count a lower number that is newer than all others; return how many have come in a row."""
    if stream[RUN] > 0 and ts_ns <= stream[RUN_NS]:
        return stream[RUN]  # sent again: as old as it was
    if stream[RUN] > 0 and seq > stream[RUN_SEQ]:
        stream[RUN] += 1
    else:
        stream[RUN] = 1
        stream[RUN_BEGUN_NS] = ts_ns
    stream[RUN_SEQ] = seq
    stream[RUN_NS] = ts_ns
    return stream[RUN]


RULES = "Tuple((i8, i8[::1], i8))"
"""DAILY, BY_SESSION or CONTINUOUS; for BY_SESSION the ascending times (ns) at which numbers may
begin again; how many lower numbers one after another begin a numbering at any time, 0 for none."""


@kernel(f"u1(i8[::1], i8, i8, {RULES})")
def _judge_one(stream, seq, ts_ns, rules):
    """Return the verdict on a tick that is not of before the present numbering."""
    numbering, borders, run = rules
    newest_ns = stream[NEWEST_NS]
    if seq <= stream[HEAD]:
        begun_ns = _border(stream, ts_ns, numbering, borders)
        if begun_ns != NEVER:
            _begin(stream, seq, ts_ns, begun_ns)
            return NEW
    found = _judge_in(stream, HEAD, seq)
    # A tick that is sent again is as old as it was the first time.
    if run > 0 and found in (DUPLICATE, TOO_OLD) and ts_ns > newest_ns:
        if _count_run(stream, seq, ts_ns) < run:
            return TOO_OLD
        _begin(stream, seq, ts_ns, stream[RUN_BEGUN_NS])
        return NEW
    if found in (NEW, GAP):
        stream[NEWEST_NS] = max(newest_ns, ts_ns)
        if stream[HEAD] == seq:
            stream[RUN] = 0
    return found


ROWS = "Tuple((i4[::1], i4[::1], u1[::1], i8[::1], i8[::1]))"
"""slot, venue, kind, sequence number, event time; by row of the block."""
TABLE = "Tuple((i8[::1], i4[::1], i8[::1]))"
"""keys, values and entry_key of a `operators.market.lookup.Lookup`."""


@kernel(f"i8({ROWS}, {TABLE}, i8, i8[:, ::1], {RULES}, u1[::1], i8[::1])")
def judge(rows, table, count, streams, rules, verdict, before):
    """Give each row its verdict; return the number of streams.

    A stream is one (slot, venue, kind), a row of ``streams`` int64[., COLUMNS]. ``before`` int64[n]
    gets the head before a GAP row. The rules are those of `operators.market.sequence`.
    """
    slot, venue, kind, seq, ts_ns = rows
    keys, values, stream_key = table
    for i in range(len(slot)):
        if slot[i] < 0 or seq[i] < 0:
            verdict[i] = NEW
            continue
        key = (slot[i] << 24) | (venue[i] << 2) | kind[i]
        place = place_of(keys, key)
        if keys[place] == EMPTY:
            keys[place] = key
            values[place] = count
            stream_key[count] = key
            streams[count, :] = 0
            _begin(streams[count], seq[i], ts_ns[i], NEVER)
            verdict[i] = NEW
            count += 1
            continue
        stream = streams[values[place]]
        if ts_ns[i] < stream[BEGUN_NS]:
            before[i] = stream[FORMER_HEAD]
            verdict[i] = _judge_in(stream, FORMER_HEAD, seq[i])
        else:
            before[i] = stream[HEAD]
            verdict[i] = _judge_one(stream, seq[i], ts_ns[i], rules)
    return count
