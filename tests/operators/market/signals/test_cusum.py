"""The CUSUM filter."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from operators.market.kernels import cusum as kernel


def events(prices: NDArray[np.float64], h: float) -> list[tuple[int, float]]:
    """Return (trade, sum) of each event of one symbol's trades."""
    n = len(prices)
    row, total, limit = np.empty(n, np.int64), np.empty(n), np.empty(n)
    found = kernel.cusum(
        (np.ones(n, np.bool_), np.zeros(n, np.int32), np.ascontiguousarray(prices, np.float64)),
        (np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0)),
        (np.array([h]), np.zeros((1, 3))), (row, total, limit),
    )  # fmt: skip
    assert (limit[:found] == h).all()
    return list(zip(row[:found].tolist(), total[:found].tolist(), strict=True))


def test_the_kernel_is_compiled() -> None:
    assert kernel.cusum.signatures


def test_a_steady_rise_fires_each_time_it_has_made_the_threshold() -> None:
    found = events(100 * np.exp(0.01 * np.arange(13)), 0.0395)
    assert [row for row, _ in found] == [4, 8, 12]
    assert [total for _, total in found] == pytest.approx([0.04] * 3, rel=1e-12)


def test_a_fall_is_the_mirrored_rise(rng: np.random.Generator) -> None:
    walk = np.cumsum(rng.normal(0, 0.01, 3000))
    up, down = events(np.exp(walk), 0.05), events(np.exp(-walk), 0.05)
    assert len(up) > 50
    assert [row for row, _ in up] == [row for row, _ in down]
    assert [t for _, t in up] == pytest.approx([-t for _, t in down], rel=1e-9)


def test_a_drop_before_a_rise_does_not_delay_it() -> None:
    """S+ never falls below 0: the rise counts from its bottom, not from the beginning."""
    log = np.array([0.0, -0.02, -0.04, -0.01, 0.02])
    assert [row for row, _ in events(np.exp(log), 0.055)] == [4]


def test_prices_within_the_threshold_never_fire(rng: np.random.Generator) -> None:
    assert events(100 * np.exp(rng.uniform(-0.01, 0.01, 5000)), 0.0201) == []


def test_without_a_threshold_nothing_fires_but_the_sums_go_on() -> None:
    state = np.zeros((1, 3))
    out = np.empty(5, np.int64), np.empty(5), np.empty(5)
    prices = np.array([1.0, 1.1, 1.2, 1.3, 1.3])
    found = kernel.cusum(
        (np.ones(5, np.bool_), np.zeros(5, np.int32), prices),
        (np.array([4]), np.zeros(1, np.int32), np.array([0.1])), (np.zeros(1), state), out,
    )  # fmt: skip
    assert found == 1
    assert (out[0][0], out[1][0]) == (4, pytest.approx(math.log(1.3), rel=1e-12))
    assert state[0].tolist() == [1.3, 0.0, 0.0]
