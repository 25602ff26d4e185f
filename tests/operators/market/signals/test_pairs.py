"""The Kalman filter of a pair against least squares."""

from __future__ import annotations

import math
import pickle
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from operators.market.kernels import pairs as kernel
from operators.market.signals.pairs import Pairs

PRIOR, NOISE = 4.0, 0.25


def run(
    x: NDArray[Any], y: NDArray[Any], process: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the state after each step float64[n, 5] and (innovation, variance) float64[n, 2]."""
    state, out = np.array([0.0, 0.0, PRIOR, 0.0, PRIOR]), np.empty(2)
    states, innovations = [], []
    for xi, yi in zip(x.tolist(), y.tolist(), strict=True):
        kernel.step(state, yi, xi, process, NOISE, out)
        states.append(state.copy())
        innovations.append(out.copy())
    return np.array(states), np.array(innovations)


def test_the_kernel_is_compiled() -> None:
    assert kernel.step.signatures


def test_without_process_noise_it_is_recursive_least_squares(rng: np.random.Generator) -> None:
    """With Q = 0 the state is the ridge regression of all so far: (X'X + R/P0)^-1 X'y."""
    x = rng.normal(0, 1, 300)
    y = 0.7 - 1.3 * x + rng.normal(0, math.sqrt(NOISE), 300)
    states, innovations = run(x, y, 0.0)
    for n in (1, 2, 10, 150, 300):
        design = np.column_stack([np.ones(n), x[:n]])
        precision = design.T @ design / NOISE + np.eye(2) / PRIOR
        solution = np.linalg.solve(precision, design.T @ y[:n] / NOISE)
        assert states[n - 1, :2] == pytest.approx(solution, rel=1e-10, abs=1e-12)
        covariance = np.linalg.inv(precision)
        assert states[n - 1, 2:] == pytest.approx(covariance[[0, 0, 1], [0, 1, 1]], rel=1e-10)
        if n < 300:
            h = np.array([1.0, x[n]])
            expected = [y[n] - h @ solution, h @ covariance @ h + NOISE]
            assert innovations[n] == pytest.approx(expected, rel=1e-9)


def test_it_is_the_filter_in_matrices(rng: np.random.Generator) -> None:
    x, y = rng.normal(3, 1, 200), rng.normal(0, 1, 200)
    states, innovations = run(x, y, 0.01)
    theta, p = np.zeros(2), PRIOR * np.eye(2)
    for i in range(200):
        h = np.array([1.0, x[i]])
        p = p + 0.01 * np.eye(2)
        s = h @ p @ h + NOISE
        e = y[i] - h @ theta
        gain = p @ h / s
        theta, p = theta + gain * e, p - np.outer(gain, h @ p)
        assert innovations[i] == pytest.approx([e, s], rel=1e-9, abs=1e-12)
        assert states[i] == pytest.approx([*theta, p[0, 0], p[0, 1], p[1, 1]], rel=1e-8, abs=1e-12)


def test_of_its_own_model_the_signal_is_standard_normal_and_white(rng: np.random.Generator) -> None:
    n = 4000
    x = rng.normal(0, 1, n)
    walk = np.cumsum(rng.normal(0, 0.05, (n, 2)), axis=0)
    y = walk[:, 0] + walk[:, 1] * x + rng.normal(0, math.sqrt(NOISE), n)
    innovations = run(x, y, 0.05**2)[1][50:]
    z = innovations[:, 0] / np.sqrt(innovations[:, 1])
    assert z.mean() == pytest.approx(0, abs=4 / math.sqrt(n))
    assert z.var() == pytest.approx(1, abs=4 * math.sqrt(2 / n))
    assert np.corrcoef(z[1:], z[:-1])[0, 1] == pytest.approx(0, abs=4 / math.sqrt(n))


def test_the_variances_stay_positive_where_the_regressor_hardly_moves() -> None:
    x = 5.0 + 1e-9 * np.arange(20_000)
    states, _ = run(x, 2 * x, 0.0)
    p = states[-1, 2:]
    assert p[0] > 0
    assert p[2] > 0
    assert p[0] * p[2] - p[1] ** 2 > -1e-12


def prices(rng: np.random.Generator, n: int) -> tuple[list[float], list[float]]:
    b = 50 * np.exp(np.cumsum(rng.normal(0, 1e-3, n)))
    a = np.exp(0.3 + 0.9 * np.log(b) + rng.normal(0, 1e-3, n))
    return a.tolist(), b.tolist()


def test_the_record_says_what_the_filter_says(rng: np.random.Generator) -> None:
    a, b = prices(rng, 100)
    pair = Pairs("AAA~BB", min_observations=20)
    records = [pair.step(60 * i, *both) for i, both in enumerate(zip(a, b, strict=True))]
    assert [record is None for record in records] == [True] * 20 + [False] * 80
    record = records[-1]
    assert record is not None
    details = record.pop("details")
    value = record.pop("value")
    assert record == {
        "id": "AAA~BB|pairs|5940", "ts_ns": 5940, "symbol": "AAA~BB", "kind": "pairs",
    }  # fmt: skip
    assert value == details["innovation"] / math.sqrt(details["variance"])
    # 0.3 and 0.9 cannot be told apart where ln b hardly moves, but the line at ln b can.
    line = details["alpha"] + details["beta"] * math.log(b[-1])
    assert line == pytest.approx(0.3 + 0.9 * math.log(b[-1]), abs=5e-3)


def test_a_restored_pair_goes_on_bit_for_bit(rng: np.random.Generator) -> None:
    a, b = prices(rng, 60)
    pair = Pairs("AAA~BB")
    for i in range(30):
        pair.step(i, a[i], b[i])
    kept = pickle.loads(pickle.dumps(pair.snapshot()))
    expected = [pair.step(i, a[i], b[i]) for i in range(30, 60)]
    other = Pairs("AAA~BB")
    other.restore(kept)
    assert [other.step(i, a[i], b[i]) for i in range(30, 60)] == expected
