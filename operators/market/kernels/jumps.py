"""Which ticks are so far ahead of their partition that the clock behind them may be wrong."""

from __future__ import annotations

from operators.kernels.compiling import kernel

PASSED, HELD, REFUTED = 0, 1, 2
"""The verdict on a row."""
MOST = 64
"""So many messages ahead, one after another, are believed ..."""
SHARE = 10
"""... and as many as it takes for them to be apart by this part of ``max_jump``."""
UNKNOWN_NS = -(1 << 62)
"""The newest event time of a partition that has had no row."""
MAX_TIME_NS = 1 << 62
NONE = -1


@kernel("b1(i8, u1, i8, i8)")
def _is_ahead(ts_ns, kind, newest_ns, max_jump_ns):
    # Heartbeats come from our own tool, which beats where there is nothing else to judge them by.
    return kind != 0 and newest_ns != UNKNOWN_NS and ts_ns - newest_ns > max_jump_ns


ROWS = "Tuple((i4[::1], i8[::1], i8[::1], u1[::1]))"
"""partition, offset, event time, kind; by row."""


@kernel(f"b1({ROWS}, i8, i8[::1])")
def any_ahead(rows, max_jump_ns, newest):
    """Return whether a tick is ahead; ``newest`` int64[partitions] is moved by those before it."""
    partition, _, ts_ns, kind = rows
    for i in range(len(ts_ns)):
        p = partition[i]
        if _is_ahead(ts_ns[i], kind[i], newest[p], max_jump_ns):
            return True
        newest[p] = max(newest[p], ts_ns[i])
    return False


LISTS = "Tuple((i8[::1], i8[::1], i8[::1], i8[::1]))"
"""By partition, the first and the last held row and how many messages they are of; by row, the held
row that came behind it, or NONE."""


@kernel(f"void(i8, i8, i8[::1], {LISTS})")
def _hold(row, p, offset, lists):
    first, last, count, behind = lists
    behind[row] = NONE
    if count[p] == 0:
        first[p] = row
        count[p] = 1
    else:
        behind[last[p]] = row
        # The ticks of a frame are of one producer, so they bear each other out no more than one.
        count[p] += offset[row] != offset[last[p]]
    last[p] = row


OUT = "Tuple((u1[::1], i8[::1], i8[::1]))"
"""The verdict on each row; the rows that have passed, in their new order; by how much (ns) a
refuted row was ahead of what refuted it."""


@kernel(f"i8(i8, i8[::1], i8, i8, {LISTS}, i8[::1], {OUT}, i8)")
def _settle(p, ts_ns, now_ns, max_jump_ns, lists, newest, out, passed):
    """Let the held rows pass that are not ahead of ``now_ns``; return how many rows have passed."""
    first, _, count, behind = lists
    verdict, order, ahead_ns = out
    row = first[p] if count[p] > 0 else NONE
    while row != NONE:
        verdict[row] = REFUTED
        ahead_ns[row] = ts_ns[row] - now_ns
        if ahead_ns[row] <= max_jump_ns:
            verdict[row] = PASSED
            order[passed] = row
            passed += 1
            newest[p] = max(newest[p], ts_ns[row])
        row = behind[row]
    count[p] = 0
    return passed


@kernel(f"i8({ROWS}, i8, i8, i8, i8[::1], {LISTS}, {OUT})")
def sift(rows, held, max_jump_ns, lateness_ns, newest, lists, out):
    """Give each row its verdict; return how many have passed.

    The first ``held`` rows were held before. ``newest`` int64[partitions] holds the largest event
    times before the others. ``lists`` are empty at first. The rule is that of
    `operators.market.jumps`.
    """
    partition, offset, ts_ns, kind = rows
    first, _, count, _ = lists
    verdict, order, _ = out
    passed = 0
    for i in range(len(ts_ns)):
        p = partition[i]
        if i < held or _is_ahead(ts_ns[i], kind[i], newest[p], max_jump_ns):
            verdict[i] = HELD
            _hold(i, p, offset, lists)
            apart_ns = abs(ts_ns[i] - ts_ns[first[p]])
            if i >= held and (count[p] == MOST or apart_ns >= max_jump_ns // SHARE > 0):
                passed = _settle(p, ts_ns, MAX_TIME_NS, max_jump_ns, lists, newest, out, passed)
            continue
        if ts_ns[i] >= newest[p] - lateness_ns:  # a late one is no evidence
            now_ns = max(newest[p], ts_ns[i])
            passed = _settle(p, ts_ns, now_ns, max_jump_ns, lists, newest, out, passed)
        verdict[i] = PASSED
        order[passed] = i
        passed += 1
        newest[p] = max(newest[p], ts_ns[i])
    return passed
