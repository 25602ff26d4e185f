"""Limit Up-Limit Down of many symbols: what the rows of a block and the passing of time change."""

from __future__ import annotations

from operators.kernels.compiling import kernel
from operators.market.kernels.bands import (
    BUCKET,
    BUCKET_NS,
    CHANGED,
    CHANGES,
    DEADLINE,
    DUE,
    LAST,
    NEVER,
    OPEN,
    PARTITION,
    PAUSE_NS,
    PAUSED,
    PHASE,
    REFERENCE,
    SAID,
    SAID_STATE,
    STATE,
    TRADES,
    count_trade,
    enter_phase,
    forget_trades,
    next_bucket,
    set_best,
    set_due,
    set_reference,
    settle,
    start_afresh,
)

ROWS = "Tuple((i4[::1], i4[::1], i8[::1], b1[::1], b1[::1], f8[::1], f8[:, ::1]))"
"""partition, slot, event time, counted, quoted, price, and ``nbbo`` float64[n, 4] (bid, size, ask,
size); by row. The rows of a partition are in the order of event time."""
RULES = "Tuple((i8[::1], i8[::1], i8))"
"""When sessions open and close (ns, ascending), and a symbol's time to live (ns)."""
SYMBOLS = "Tuple((i8[:, ::1], f8[:, ::1], f8[:, ::1], i8[:, ::1], i8[::1]))"
"""The state by slot: whole, real, sums and counts (see bands.py); and ``soonest``
int64[partitions], when something may be due in a partition."""
OUT = "Tuple((i8[:, ::1], f8[:, ::1]))"
"""The changes: int64[k, 5] (where, slot, time, number at that time, state) and float64[k, 3]
(reference, lower, upper). ``where`` is twice the row; one more for what its tick itself changed,
behind what was due up to then."""


@kernel(f"i8(i8, i8, i8, i8[::1], f8[::1], {OUT}, i8)")
def _emit(at, slot, now, row, prices, out, found):
    """Write down the state and the bands if they are not what was emitted last; return found."""
    same = row[SAID_STATE] == row[STATE]
    for i in range(3):
        same = same and prices[SAID + i] == prices[REFERENCE + i]
    if same:
        return found
    out_whole, out_real = out
    row[CHANGES] = row[CHANGES] + 1 if row[CHANGED] == now else 0
    row[CHANGED] = now
    row[SAID_STATE] = row[STATE]
    out_whole[found, 0] = at
    out_whole[found, 1] = slot
    out_whole[found, 2] = now
    out_whole[found, 3] = row[CHANGES]
    out_whole[found, 4] = row[STATE]
    for i in range(3):
        prices[SAID + i] = prices[REFERENCE + i]
        out_real[found, i] = prices[REFERENCE + i]
    return found + 1


@kernel(f"i8(i8, i8, i8, {RULES}, {SYMBOLS}, {OUT}, i8)")
def _pass_time(at, slot, until, rules, symbols, out, found):
    """Let happen to one symbol what is due up to ``until``, in the order of time.

    Stops where the output is full; what is left is still due then. Returns found.
    """
    open_ns, close_ns, ttl_ns = rules
    row, prices, sums, counts = (
        symbols[0][slot],
        symbols[1][slot],
        symbols[2][slot],
        symbols[3][slot],
    )
    while row[DUE] <= until and found < len(out[0]):
        now = row[DUE]
        state = row[STATE]
        # In this order: who has expired has no session left to end, and the end of a session
        # ends a pause that would otherwise end at the same moment.
        if now > row[LAST] + ttl_ns:
            start_afresh(row, prices, sums, counts)
        if now >= row[PHASE]:
            if enter_phase(open_ns, close_ns, now, row) == 0:
                start_afresh(row, prices, sums, counts)
            elif state == OPEN and prices[REFERENCE] > 0.0:
                set_reference(row, prices, prices[REFERENCE])
        if now >= row[DEADLINE]:
            if state == PAUSED:
                start_afresh(row, prices, sums, counts)
            else:
                row[STATE] = PAUSED
                row[DEADLINE] = now + PAUSE_NS
                forget_trades(row, sums, counts)
        if now == (row[BUCKET] + 1) * BUCKET_NS and row[TRADES] > 0:
            next_bucket(row, prices, sums, counts)
        settle(row, prices, now)
        set_due(row, prices, ttl_ns)
        found = _emit(at, slot, now, row, prices, out, found)
    return found


@kernel(f"i8(i8, i8, i8, {RULES}, {SYMBOLS}, {OUT}, i8)")
def _pass_partition(at, partition, until, rules, symbols, out, found):
    """Let happen to a partition's symbols what is due up to ``until``; return found.

    ``soonest`` of the partition becomes when the next thing is due: not after ``until`` where the
    output is full.
    """
    whole, _, _, _, soonest = symbols
    earliest = NEVER
    for s in range(len(whole)):
        if whole[s, PARTITION] == partition:
            if whole[s, DUE] <= until:
                found = _pass_time(at, s, until, rules, symbols, out, found)
            earliest = min(earliest, whole[s, DUE])
    soonest[partition] = earliest
    return found


@kernel(f"i8(i8, {ROWS}, {RULES}, {SYMBOLS}, {OUT}, i8[::1])")
def follow(begin, rows, rules, symbols, out, taken):
    """Run the rows from ``begin`` on through the bands of their symbols.

    ``counted`` and ``quoted`` choose the trades and the quotes; a row without a symbol lets time
    pass. The number of changes goes to ``taken[0]``. Returns the row to begin with again: n, or one
    before where the output is full. A row begun again goes on where it stopped.
    """
    partition, slot, ts_ns, counted, quoted, price, nbbo = rows
    open_ns, close_ns, ttl_ns = rules
    whole, real, sums, counts, soonest = symbols
    most = len(out[0])
    found = 0
    for i in range(begin, len(slot)):
        p, now = partition[i], ts_ns[i]
        if now >= soonest[p]:
            found = _pass_partition(2 * i, p, now, rules, symbols, out, found)
        taken[0] = found
        # Where the output is full, what the row itself does comes after what is still due.
        if now >= soonest[p] or found == most:
            return i
        s = slot[i]
        if s < 0:
            continue
        row, prices = whole[s], real[s]
        row[PARTITION] = p
        row[LAST] = now
        if counted[i]:
            more = count_trade(open_ns, close_ns, row, prices, sums[s], counts[s], price[i], now)
        else:
            more = quoted[i] and set_best(row, prices, nbbo[i, 0], nbbo[i, 2])
        if more:
            settle(row, prices, now)
            set_due(row, prices, ttl_ns)
            soonest[p] = min(soonest[p], row[DUE])
            found = _emit(2 * i + 1, s, now, row, prices, out, found)
    taken[0] = found
    return len(slot)
