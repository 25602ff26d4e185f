"""Kyle's lambda on trades whose impact is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from operators.market.kernels import kyle as kernel

WINDOW = 100


class Market:
    """One symbol's regression, of which every trade has a window of its own."""

    def __init__(self) -> None:
        self.state = (
            np.zeros((1, 2)), np.zeros((1, 2), np.int64), np.zeros((1, 5)),
            np.zeros((1, 2 * WINDOW)),
        )  # fmt: skip

    def trade(self, signed: NDArray[Any], mid: NDArray[Any]) -> NDArray[np.float64]:
        """Return (lambda, R², observations, seen) after each of these trades."""
        n = len(signed)
        out = np.zeros((n, 4))
        kernel.kyle_lambda(
            (np.ones(n, np.bool_), np.zeros(n, np.int32), np.arange(n, dtype=np.int32),
             np.sign(signed).astype(np.int8), np.abs(signed), mid),
            self.state, out,
        )  # fmt: skip
        return out


def mids(signed: NDArray[Any], impact: float, noise: NDArray[Any]) -> NDArray[Any]:
    """Return the mid before each trade, which moves by impact times signed volume behind it."""
    return 50.0 + np.concatenate([[0.0], np.cumsum(impact * signed + noise)[:-1]])


def test_the_kernel_is_compiled() -> None:
    assert kernel.kyle_lambda.signatures


def test_an_exact_impact_is_found_exactly(rng: np.random.Generator) -> None:
    signed = rng.normal(0, 300, 250)
    out = Market().trade(signed, mids(signed, 2e-5, np.zeros(250)))
    assert out[2:, 0] == pytest.approx(2e-5, rel=1e-6)
    assert out[2:, 1] == pytest.approx(1.0, abs=1e-6)
    assert out[-1].tolist()[2:] == [WINDOW, 1.0]


def test_a_noisy_impact_is_found_within_its_standard_error(rng: np.random.Generator) -> None:
    signed, noise = rng.normal(0, 300, 4000), rng.normal(0, 0.01, 4000)
    out = Market().trade(signed, mids(signed, 2e-5, noise))[WINDOW + 1 :: WINDOW, 0]
    error = 0.01 / (300 * np.sqrt(WINDOW * len(out)))
    assert out.mean() == pytest.approx(2e-5, abs=4 * error)


def test_it_is_the_slope_of_numpy_over_the_last_observations(rng: np.random.Generator) -> None:
    signed, noise = rng.normal(50, 300, 700), rng.normal(0, 0.01, 700)
    mid = mids(signed, 2e-5, noise)
    out, moves = Market().trade(signed, mid), np.diff(mid)
    for last in (20, 99, 100, 101, 500, 699):
        q, d = signed[:last][-WINDOW:], moves[:last][-WINDOW:]
        cov = np.cov(q, d, bias=True)
        assert out[last, 0] == pytest.approx(cov[0, 1] / cov[0, 0], rel=1e-11)
        assert out[last, 1] == pytest.approx(np.corrcoef(q, d)[0, 1] ** 2, rel=1e-11)


def test_giants_that_have_left_the_window_leave_nothing_behind(rng: np.random.Generator) -> None:
    market = Market()
    for _ in range(200):
        giants = rng.normal(0, 1e9, 50) + 1 / 3
        market.trade(giants, mids(giants, 1e-7, rng.normal(0, 1, 50)))
    signed = rng.normal(0, 1, 3 * WINDOW)
    mid = mids(signed, 1e-3, rng.normal(0, 1e-3, 3 * WINDOW))
    out = market.trade(signed, mid)[-1]
    cov = np.cov(signed[:-1][-WINDOW:], np.diff(mid)[-WINDOW:], bias=True)
    assert out[0] == pytest.approx(cov[0, 1] / cov[0, 0], rel=1e-11)


@pytest.mark.parametrize("size", [100.0, 0.1])
def test_where_the_volume_does_not_vary_there_is_no_impact(size: float) -> None:
    out = Market().trade(np.full(300, size), 50 + 0.01 * np.arange(300))
    assert not out[:, :2].any()


def test_a_trade_without_mid_ends_no_observation() -> None:
    signed, mid = np.array([1.0, 2.0, -1.0, 3.0, 1.0]), np.array([5.0, 5.1, 0.0, 5.2, 5.3])
    out = Market().trade(signed, mid)
    assert out[:, 3].tolist() == [0.0, 1.0, 0.0, 0.0, 1.0]
    assert out[4, 2] == 2.0
