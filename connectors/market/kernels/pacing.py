"""The event times of each partition by which a source paces its partitions."""

# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
# A kernel's types are in its signature, where numba holds it to them.

from __future__ import annotations

from numba import types

from connectors.market.kernels.compiling import kernel

RECENT = 64
"""So many event times of each partition are remembered."""

_TIMES = types.int64[::1]


@kernel(
    types.void(types.int32[::1], _TIMES, types.int64[:, ::1], _TIMES, _TIMES, _TIMES),
)
def pacing_times(partition, ts_ns, recent, counts, newest, least):
    """Raise ``newest`` int64[partitions] to the largest event time of each partition's rows.

    ``recent`` int64[partitions, RECENT] and ``counts`` int64[partitions], how many rows there have
    been, go on from batch to batch. ``least`` gets the smallest of the recent ones.
    """
    for i in range(len(ts_ns)):
        p = partition[i]
        newest[p] = max(newest[p], ts_ns[i])
        recent[p, counts[p] % RECENT] = ts_ns[i]
        counts[p] += 1
    for p in range(len(newest)):
        if newest[p] > 0:
            least[p] = newest[p]
            for k in range(min(counts[p], RECENT)):
                least[p] = min(least[p], recent[p, k])
