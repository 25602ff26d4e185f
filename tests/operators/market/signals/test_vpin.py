"""VPIN."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from operators.market.kernels import vpin as kernel
from tests.reference.signals import toxicity


def figures(
    sign: NDArray[Any], size: NDArray[Any], volume: float, buckets: int
) -> list[tuple[int, float, int]]:
    """Return (trade, VPIN, complete buckets) of one symbol's trades."""
    n = len(sign)
    row, value, count = np.empty(n, np.int64), np.empty(n), np.empty(n)
    found = kernel.vpin(
        (np.ones(n, np.bool_), np.zeros(n, np.int32), np.asarray(sign, np.int8),
         np.asarray(size, np.float64)),
        np.array([[volume]], np.float64),
        (np.zeros((1, 4)), np.zeros((1, buckets))), (row, value, count),
    )  # fmt: skip
    columns = row[:found].tolist(), value[:found].tolist(), count[:found].astype(int).tolist()
    return list(zip(*columns, strict=True))


def test_the_kernel_is_compiled() -> None:
    assert kernel.vpin.signatures


def test_one_sided_flow_has_a_vpin_of_one_and_balanced_flow_of_zero() -> None:
    size = np.full(100, 10.0)
    assert {v for _, v, _ in figures(np.ones(100), size, 50, 4)} == {1.0}
    assert {v for _, v, _ in figures(np.tile([1, -1], 50), size, 40, 4)} == {0.0}
    assert {v for _, v, _ in figures(np.zeros(100), size, 50, 4)} == {0.0}


def test_a_trade_is_split_at_the_edge_of_a_bucket() -> None:
    # 60 bought; of 100 sold, 40 fill the bucket (imbalance 20) and 60 are left; 40 bought: 20.
    found = figures(np.array([1, -1, 1]), np.array([60.0, 100.0, 40.0]), 100, 1)
    assert found == [(1, 0.2, 1), (2, 0.2, 2)]


def test_it_equals_the_exact_fractions(rng: np.random.Generator) -> None:
    sign = rng.integers(-1, 2, 400)
    size = np.where(rng.random(400) < 0.03, 5000.25, rng.integers(1, 400, 400) / 4)
    trades = list(zip(sign.tolist(), size.tolist(), strict=True))
    found = figures(sign, size, 100.75, 7)
    assert len(found) > 100
    for row, value, count in found:
        assert (value, count) == pytest.approx(toxicity(trades[: row + 1], 100.75, 7), rel=1e-12)


def test_buckets_are_as_many_as_the_volume_allows(rng: np.random.Generator) -> None:
    size = rng.integers(1, 10_000, 3000).astype(float)
    last = figures(rng.integers(-1, 2, 3000), size, 777.0, 50)[-1]
    assert last[2] == sum(Fraction(s) for s in size[: last[0] + 1]) // 777
    assert 0 <= last[1] <= 1


def test_a_giant_trade_is_found_once_and_quickly() -> None:
    found = figures(np.array([1, -1, 1]), np.array([5.0, 1e18, 1.0]), 10.0, 50)
    assert found[0] == (1, 1.0, 10**17)


def test_buckets_beyond_what_a_record_can_hold_are_not_counted() -> None:
    found = figures(np.array([1, -1, 1]), np.array([1e18, 1e18, 1e18]), 1e-6, 2)
    assert [count for *_, count in found] == [2**62] * 3
