"""The kernels' work in whole-array numpy, from scratch: a second definition, and a rival in speed.

Every function takes the rows of a `Tape` whose symbols had no state before, and returns what the
kernel leaves: values by place of the window, or the rows that fired.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def by_symbol(chosen: Array, slot: Array) -> tuple[Array, Array]:
    """Return the chosen rows ordered by symbol, and for each where its symbol's first stands."""
    rows = np.flatnonzero(chosen)
    rows = rows[np.argsort(slot[rows], kind="stable")]
    new = np.ones(len(rows), np.bool_)
    new[1:] = slot[rows[1:]] != slot[rows[:-1]]
    return rows, np.maximum.accumulate(np.where(new, np.arange(len(rows)), 0))


def stretches(start: Array) -> list[tuple[int, int]]:
    """Return where each symbol's rows begin and end."""
    begins = np.unique(start).tolist()
    return list(zip(begins, [*begins[1:], len(start)], strict=True))


def order_flow(quotes: Array, slot: Array, place: Array, best: Array, places: int) -> Array:
    """Return float64[places, 2]: the flow and the number of quotes."""
    rows, start = by_symbol(quotes, slot)
    bid, bid_size, ask, ask_size = best[rows].T
    e = np.zeros(len(rows))
    both = (bid[1:] > 0) & (bid[:-1] > 0)
    e[1:] += both * (bid_size[1:] * (bid[1:] >= bid[:-1]) - bid_size[:-1] * (bid[1:] <= bid[:-1]))
    both = (ask[1:] > 0) & (ask[:-1] > 0)
    e[1:] -= both * (ask_size[1:] * (ask[1:] <= ask[:-1]) - ask_size[:-1] * (ask[1:] >= ask[:-1]))
    e[start == np.arange(len(rows))] = 0.0
    inside = place[rows] >= 0
    window = place[rows][inside]
    return np.column_stack(
        [np.bincount(window, e[inside], places), np.bincount(window, minlength=places)]
    )


def micro_price(
    quotes: Array, place: Array, best: Array, table: Array, tick: float, places: int
) -> Array:
    """Return float64[places, 5] as the kernel, with one table for every symbol."""
    rows = np.flatnonzero(quotes & (place >= 0))
    bid, bid_size, ask, ask_size = best[rows].T
    both = (bid > 0) & (ask > 0)
    rows, bid, bid_size, ask, ask_size = (a[both] for a in (rows, bid, bid_size, ask, ask_size))
    imbalance = bid_size / (bid_size + ask_size)
    weighted = imbalance * ask + (1 - imbalance) * bid
    spread = ask - bid
    column = np.floor(spread / tick - 0.5)
    fits = (column >= 0) & (column < table.shape[1])
    bucket = np.minimum((imbalance * len(table)).astype(np.int64), len(table) - 1)
    g = table[bucket, np.where(fits, column, 0).astype(np.int64)]
    value = np.where(fits & ~np.isnan(g), 0.5 * (bid + ask) + g, weighted)
    out = np.zeros((places, 5))
    out[place[rows]] = np.column_stack([value, weighted, imbalance, spread, np.ones(len(rows))])
    return out  # numpy lets the last of several values at one place stay


def realised(
    chosen: Array, place: Array, price: Array, ts_ns: Array, start_ns: Array, slot_of: Array,
    interval_ns: int, grid_ns: int,
) -> Array:  # fmt: skip
    """Return float64[places, 4] of (N, RV, BV, z), all of whose windows have closed."""
    rows = np.flatnonzero(chosen & (place >= 0) & (price > 0))
    width, places = interval_ns // grid_ns, len(start_ns)
    cells = np.zeros((places, width))
    cells[place[rows], (ts_ns[rows] - start_ns[place[rows]]) // grid_ns] = price[rows]
    order = np.lexsort((start_ns, slot_of))
    order = order[(cells[order] > 0).any(axis=1)]
    slot, start = slot_of[order], start_ns[order]
    path = np.concatenate([np.zeros((len(order), 1)), cells[order]], axis=1)
    follows = (slot[1:] == slot[:-1]) & (start[1:] == start[:-1] + interval_ns)
    at = np.maximum.accumulate(np.where(path > 0, np.arange(width + 1), 0), axis=1)
    final = np.take_along_axis(path, at[:, -1:], axis=1)[:, 0]
    path[1:, 0] = np.where(follows, final[:-1], 0.0)
    path = np.take_along_axis(path, at, axis=1)
    known = path > 0
    r = np.zeros((len(order), width))
    np.log(path[:, 1:] / np.where(known[:, :-1], path[:, :-1], 1.0), out=r, where=known[:, :-1])
    n, r = known[:, :-1].sum(axis=1), np.abs(r)
    rv = (r * r).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        bv = math.pi / 2 * n / (n - 1) * (r[:, 1:] * r[:, :-1]).sum(axis=1)
        quad = (r[:, 3:] * r[:, 2:-1] * r[:, 1:-2] * r[:, :-3]).sum(axis=1)
        quarticity = (math.pi / 2) ** 2 * n * n / (n - 3) * quad
        z = (rv - bv) / np.sqrt((math.pi**2 / 4 + math.pi - 5) * quarticity / n)
    out = np.tile([-1.0, 0.0, 0.0, math.nan], (places, 1))
    bv = np.where(n > 1, bv, 0.0)
    out[order] = np.column_stack([n, rv, bv, np.where((n > 3) & (quad > 0), z, math.nan)])
    return out


def kyle_lambda(
    trades: Array, slot: Array, place: Array, sign: Array, size: Array, mid: Array, width: int,
    places: int,
) -> Array:  # fmt: skip
    """Return float64[places, 4] as the kernel, from differences of running sums."""
    rows, start = by_symbol(trades, slot)
    m, q = mid[rows], sign[rows] * size[rows]
    ends = np.zeros(len(rows), np.bool_)
    ends[1:] = (start[1:] == start[:-1]) & (q[:-1] != 0) & (m[:-1] > 0) & (m[1:] > 0)
    at = np.flatnonzero(ends)
    x, y, begin = q[at - 1], m[at] - m[at - 1], start[at]
    first = np.searchsorted(begin, begin)  # the first observation of the symbol of each
    low = np.maximum(np.arange(len(at)) + 1 - width, first)
    sums = np.zeros((5, len(at) + 1))
    np.cumsum([x, y, x * x, x * y, y * y], axis=1, out=sums[:, 1:])
    sx, sy, sxx, sxy, syy = sums[:, 1:] - sums[:, low]
    n = np.arange(len(at)) + 1 - low
    var_x, var_y, cov = sxx - sx * sx / n, syy - sy * sy / n, sxy - sx * sy / n
    varies = var_x > 1e-9 * sxx
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = np.where(varies, cov / var_x, 0.0)
        r2 = np.where(varies & (var_y > 1e-9 * syy), cov * cov / (var_x * var_y), 0.0)
    out = np.zeros((places, 4))
    inside = place[rows[at]] >= 0
    values = np.column_stack([slope, np.minimum(r2, 1.0), n, np.ones(len(at))])
    out[place[rows[at]][inside]] = values[inside]
    return out


def excitation(
    trades: Array, slot: Array, place: Array, sign: Array, ts_ns: Array, beta: float, places: int
) -> Array:
    """Return float64[places, 3] as the kernel; β times the length of the rows must be below 700.

    R_i = sum of exp(-β (t_i - t_j)) = exp(-β t_i) times the running sum of exp(β t_j).
    """
    rows, start = by_symbol(trades & (sign != 0), slot)
    out = np.zeros((places, 3))
    for low, high in stretches(start):  # a sum across symbols would lose the small ones' digits
        mine = rows[low:high]
        ns = np.maximum.accumulate(ts_ns[mine])
        grown = np.exp(beta * 1e-9 * (ns - ns[0]))
        inside = place[mine] >= 0
        where = place[mine][inside]
        for column, side in enumerate((1, -1)):
            total = np.cumsum(np.where(sign[mine] == side, grown, 0.0))
            out[where, column] = (total / grown)[inside]
        out[where, 2] = 1.0
    return out


def vpin(
    trades: Array, slot: Array, sign: Array, size: Array, volume: float, buckets: int
) -> list[tuple[int, float, int]]:
    """Return (row, VPIN, buckets complete) where a trade completes one, by row.

    The cumulated bought volume at each edge of a bucket is interpolated along its trade.
    """
    rows, start = by_symbol(trades, slot)
    found = []
    for low, high in stretches(start):
        mine = rows[low:high]
        total = np.cumsum(size[mine])
        bought = np.cumsum(0.5 * (1.0 + sign[mine]) * size[mine])
        edges = volume * np.arange(int(total[-1] // volume) + 1)
        at = np.interp(edges, np.append(0.0, total), np.append(0.0, bought))
        imbalance = np.abs(2.0 * np.diff(at) - volume)
        sums = np.append(0.0, np.cumsum(imbalance))
        complete = (total // volume).astype(np.int64)
        fired = np.flatnonzero((np.diff(complete, prepend=0) > 0) & (complete >= buckets))
        value = (sums[complete[fired]] - sums[complete[fired] - buckets]) / (buckets * volume)
        found += list(
            zip(mine[fired].tolist(), value.tolist(), complete[fired].tolist(), strict=True)
        )
    return sorted(found)


def cusum(trades: Array, slot: Array, price: Array, h: float) -> list[tuple[int, float]]:
    """Return (row, sum) of the events, by row: S+ = X - min X and S- = X - max X since the last.

    X is the cumulated log return. One pass of whole-array numpy for each event, for an
    event sets a sum back that later events depend on.
    """
    rows, start = by_symbol(trades, slot)
    found = []
    for low, high in stretches(start):
        mine = rows[low:high]
        x = np.log(price[mine])
        for way in (1, -1):
            path, begin = way * x, 0
            while begin < len(path):
                rise = path[begin:] - np.minimum.accumulate(path[begin:])
                hit = int(np.argmax(rise >= h))
                if rise[hit] < h:
                    break
                found.append((int(mine[begin + hit]), float(way * rise[hit])))
                begin += hit
    return sorted(found)
