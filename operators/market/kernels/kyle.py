"""Kyle's lambda: the price impact of signed volume, by a rolling regression."""

from __future__ import annotations

from operators.kernels.compiling import kernel

LEAST_SPREAD = 1e-9
"""A variance below this share of the mean square cannot be told from rounding: it counts as 0."""


@kernel("void(f8[:, ::1], i8, i8, f8[:, ::1])")
def _renew(ring, slot, width, sums):
    """Make the sums of one slot anew from its window, in the order of the ring."""
    for j in range(5):
        sums[slot, j] = 0.0
    for k in range(0, width, 2):
        q, d = ring[slot, k], ring[slot, k + 1]
        sums[slot, 0] += q
        sums[slot, 1] += d
        sums[slot, 2] += q * q
        sums[slot, 3] += q * d
        sums[slot, 4] += d * d


ROWS = "Tuple((b1[::1], i4[::1], i4[::1], i1[::1], f8[::1], f8[::1]))"
"""Whether it is a trade, slot, place of its window, sign, size, mid; by row of the block."""
SYMBOLS = "Tuple((f8[:, ::1], i8[:, ::1], f8[:, ::1], f8[:, ::1]))"
"""The state by slot: ``pending`` float64[., 2] (q, mid) of the last trade, q = 0 where it has none;
``count`` int64[., 2] (observations, next place); ``sums`` float64[., 5] of q, d, q², q d, d²;
``ring`` float64[., 2 K]."""


@kernel(f"void({ROWS}, {SYMBOLS}, f8[:, ::1])")
def kyle_lambda(rows, symbols, windows):
    """Put (lambda, R², observations, 1) after the last trade into its window.

    lambda = cov(Δmid, q) / var(q) over the last K observations (Kyle, "Continuous auctions and
    insider trading", Econometrica 53, 1985): q = sign times size of a trade, Δmid the change of the
    mid from just before it to just before the next trade of the symbol, in the order of the rows.
    A trade without sign or mid has no observation of its own, and without a mid it ends none.

    lambda is 0 where q does not vary.
    """
    trades, slot, place, sign, size, mid = rows
    pending, count, sums, ring = symbols
    width = ring.shape[1]
    for i in range(len(slot)):
        if not trades[i]:
            continue
        s = slot[i]
        m = mid[i]
        if pending[s, 0] != 0.0 and m > 0.0:
            q, d = pending[s, 0], m - pending[s, 1]
            at = count[s, 1]
            if 2 * count[s, 0] == width:
                old_q, old_d = ring[s, at], ring[s, at + 1]
                sums[s, 0] -= old_q
                sums[s, 1] -= old_d
                sums[s, 2] -= old_q * old_q
                sums[s, 3] -= old_q * old_d
                sums[s, 4] -= old_d * old_d
            else:
                count[s, 0] += 1
            ring[s, at] = q
            ring[s, at + 1] = d
            sums[s, 0] += q
            sums[s, 1] += d
            sums[s, 2] += q * q
            sums[s, 3] += q * d
            sums[s, 4] += d * d
            at += 2
            if at == width:
                at = 0
                # Once a round, so that the rounding of additions and subtractions does not add up.
                _renew(ring, s, width, sums)
            count[s, 1] = at
            w = place[i]
            if w >= 0:
                n = float(count[s, 0])
                var_q = sums[s, 2] - sums[s, 0] * sums[s, 0] / n
                var_d = sums[s, 4] - sums[s, 1] * sums[s, 1] / n
                cov = sums[s, 3] - sums[s, 0] * sums[s, 1] / n
                windows[w, 0] = 0.0
                windows[w, 1] = 0.0
                if var_q > LEAST_SPREAD * sums[s, 2]:
                    windows[w, 0] = cov / var_q
                    if var_d > LEAST_SPREAD * sums[s, 4]:
                        windows[w, 1] = min(cov * cov / (var_q * var_d), 1.0)
                windows[w, 2] = n
                windows[w, 3] = 1.0
        pending[s, 0] = sign[i] * size[i] if m > 0.0 else 0.0
        pending[s, 1] = m
