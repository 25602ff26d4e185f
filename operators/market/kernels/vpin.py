"""Volume-synchronised probability of informed trading."""

from __future__ import annotations

from operators.kernels.compiling import kernel

MOST_BUCKETS = 2.0**62
"""Where counting stops, within the whole numbers of 64 bits that records hold."""


@kernel("void(f8[:, ::1], i4, f8[:, ::1], f8, f8)")
def _push(state, slot, ring, imbalance, times):
    """Note the imbalance of ``times`` buckets in a row, of which the ring keeps what fits."""
    width = ring.shape[1]
    at = int(state[slot, 3])
    for _ in range(int(min(times, float(width)))):
        ring[slot, at] = imbalance
        at += 1
        if at == width:
            at = 0
    state[slot, 3] = at
    state[slot, 2] = min(state[slot, 2] + times, MOST_BUCKETS)


ROWS = "Tuple((b1[::1], i4[::1], i1[::1], f8[::1]))"
"""Whether it is a trade, slot, sign, size; by row of the block."""
SYMBOLS = "Tuple((f8[:, ::1], f8[:, ::1]))"
"""The state by slot: float64[., 4] (bought and all volume of the open bucket, buckets so far, next
place in the ring), and ``ring`` float64[., m] of |Vb - Vs|."""
OUT = "Tuple((i8[::1], f8[::1], f8[::1]))"
"""Of each trade that completes a bucket: row, VPIN, buckets so far."""


@kernel(f"i8({ROWS}, f8[:, ::1], {SYMBOLS}, {OUT})")
def vpin(rows, volume, symbols, out):
    """Find the trades that complete a bucket and the VPIN after each; return how many.

    VPIN = mean over the last m buckets of |Vb - Vs| / V (Easley, López de Prado and O'Hara, "Flow
    toxicity and liquidity in a high-frequency world", Review of Financial Studies 25, 2012),
    buckets of equal volume V = ``volume`` float64[slots, 1], a trade split at their edges. The
    sign says whether a trade's volume is bought or sold; half of each where it is 0. Andersen and
    Bondarenko ("VPIN and the flash crash", Journal of Financial Markets 17, 2014) find that it
    forecasts nothing beyond volume and volatility.

    A trade that completes several buckets is found once. Nothing is found before m buckets are
    complete.
    """
    trades, slot, sign, size = rows
    state, ring = symbols
    out_row, out_value, out_buckets = out
    width = ring.shape[1]
    found = 0
    for i in range(len(slot)):
        if not trades[i]:
            continue
        s = slot[i]
        v = volume[s, 0]
        share = 0.5 * (1.0 + sign[i])
        room = v - state[s, 1]
        if size[i] < room:
            state[s, 0] += share * size[i]
            state[s, 1] += size[i]
            continue
        _push(state, s, ring, abs(2.0 * (state[s, 0] + share * room) - v), 1.0)
        rest = size[i] - room
        left = rest % v  # exact, unlike rest - whole * v
        whole = min((rest - left) / v + 0.5, MOST_BUCKETS) // 1.0
        _push(state, s, ring, abs(2.0 * share - 1.0) * v, whole)
        state[s, 0] = share * left
        state[s, 1] = left
        if state[s, 2] < width:
            continue
        # Added up anew, in the order of the ring: a running sum would drift by its rounding.
        total = 0.0
        for j in range(width):
            total += ring[s, j]
        out_row[found] = i
        out_value[found] = total / (width * v)
        out_buckets[found] = state[s, 2]
        found += 1
    return found
