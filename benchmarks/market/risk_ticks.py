"""The ticks on which signals are measured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from state.clock import NS

TICK = 0.01
"""The least step of a price."""


@dataclass(frozen=True, slots=True)
class Ticks:
    """A random walk of one symbol: each tick is a quote of both sides, and a trade.

    ``best`` float64[n, 4] (bid, size, ask, size), ``ts_ns`` int64, ``sign`` int8, ``size``, ``mid``
    and ``price`` float64, ``other`` float64: the price of a second symbol. 14 ticks a second.
    """

    ts_ns: NDArray[np.int64]
    best: NDArray[np.float64]
    mid: NDArray[np.float64]
    price: NDArray[np.float64]
    size: NDArray[np.float64]
    sign: NDArray[np.int8]
    other: NDArray[np.float64]

    @classmethod
    def made(cls, count: int) -> Ticks:
        """Return ``count`` ticks, the same each time."""
        rng = np.random.default_rng(11)
        bid = 10_000 + np.cumsum(rng.integers(-2, 3, count))
        ask = bid + rng.integers(1, 4, count)
        sizes = 100.0 * rng.integers(1, 20, (2, count))
        best = np.column_stack((TICK * bid, sizes[0], TICK * ask, sizes[1]))
        sign = rng.choice(np.array([-1, 1], np.int8), count)
        mid = 0.5 * (best[:, 0] + best[:, 2])
        price = np.where(sign > 0, best[:, 2], best[:, 0])
        noise = np.cumsum(1e-4 * rng.standard_normal(count))
        return cls(
            ts_ns=np.cumsum(rng.integers(1, NS // 7, count)),
            best=np.ascontiguousarray(best),
            mid=mid,
            price=price,
            size=100.0 * rng.integers(0, 3, count).astype(np.float64) + 1.0,
            sign=sign,
            other=np.exp(0.5 * np.log(price) + noise),
        )
