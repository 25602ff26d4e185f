"""Hawkes intensities, and their fit on processes simulated by Ogata's thinning."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from operators.market.kernels import hawkes as kernel
from operators.market.signals.fit_hawkes import fit_hawkes
from operators.market.signals.hawkes import Excitation
from state.clock import NS

MU, ALPHA, BETA = 0.5, 0.6, 2.0


def simulate(rng: np.random.Generator, horizon_s: float) -> NDArray[np.float64]:
    """Return event times by thinning (Ogata, "On Lewis' simulation method", IEEE Transactions on
    Information Theory 27, 1981): candidates at the present rate, kept with the chance that is left.
    """
    times: list[float] = []
    now = excitation = 0.0
    while True:
        bound = MU + ALPHA * BETA * excitation
        gap = rng.exponential(1 / bound)
        now += gap
        if now > horizon_s:
            return np.array(times)
        excitation *= math.exp(-BETA * gap)
        if rng.random() * bound <= MU + ALPHA * BETA * excitation:
            times.append(now)
            excitation += 1.0


def log_likelihood(
    times: NDArray[np.float64], horizon: float, mu: float, alpha: float, beta: float
) -> float:
    """Return ln L by its definition, a sum over all pairs of events."""
    ordered: list[float] = times.tolist()
    total = -mu * horizon
    for i, t in enumerate(ordered):
        before = math.fsum(math.exp(-beta * (t - s)) for s in ordered[:i])
        total += math.log(mu + alpha * beta * before) - alpha * -math.expm1(-beta * (horizon - t))
    return total


def test_the_kernels_are_compiled() -> None:
    assert kernel.excite.signatures
    assert kernel.log_likelihood.signatures


def test_the_likelihood_is_that_of_all_pairs(rng: np.random.Generator) -> None:
    times, gradient = simulate(rng, 100.0), np.empty(3)
    found = kernel.log_likelihood(times, 100.0, MU, ALPHA, BETA, gradient)
    assert found == pytest.approx(log_likelihood(times, 100.0, MU, ALPHA, BETA), rel=1e-12)


def test_its_gradient_is_that_of_differences(rng: np.random.Generator) -> None:
    times, gradient = simulate(rng, 100.0), np.empty(3)
    kernel.log_likelihood(times, 100.0, MU, ALPHA, BETA, gradient)
    for i in range(3):
        step = 1e-5 * np.eye(3)[i]
        above = kernel.log_likelihood(
            times, 100.0, *(np.array([MU, ALPHA, BETA]) + step), np.empty(3)
        )
        below = kernel.log_likelihood(
            times, 100.0, *(np.array([MU, ALPHA, BETA]) - step), np.empty(3)
        )
        assert gradient[i] == pytest.approx((above - below) / 2e-5, rel=1e-5)


def test_the_fit_finds_what_was_simulated(rng: np.random.Generator) -> None:
    horizon_s = 8000.0
    times = simulate(rng, horizon_s)
    assert len(times) / horizon_s == pytest.approx(MU / (1 - ALPHA), rel=0.05)
    found = fit_hawkes(times, horizon_s)
    # Four times the standard deviations of the fits of five such simulations.
    assert found.mu == pytest.approx(MU, abs=0.055)
    assert found.alpha == pytest.approx(ALPHA, abs=0.037)
    assert found.beta == pytest.approx(BETA, abs=0.31)


def test_the_fit_is_at_the_maximum(rng: np.random.Generator) -> None:
    times, gradient = simulate(rng, 1000.0), np.empty(3)
    found = fit_hawkes(times, 1000.0)
    best = kernel.log_likelihood(times, 1000.0, found.mu, found.alpha, found.beta, gradient)
    assert best >= kernel.log_likelihood(times, 1000.0, MU, ALPHA, BETA, np.empty(3))
    assert np.abs(gradient * (found.mu, found.alpha, found.beta)).max() < 0.01


def test_the_unit_of_time_does_not_matter(rng: np.random.Generator) -> None:
    times = simulate(rng, 500.0)
    one, other = fit_hawkes(times, 500.0), fit_hawkes(times * 1e6, 500.0e6)
    assert (other.mu * 1e6, other.alpha, other.beta * 1e6) == pytest.approx(
        (one.mu, one.alpha, one.beta), rel=1e-3
    )


def intensities(times: NDArray[np.float64], parameters: Excitation) -> NDArray[np.float64]:
    """Return the intensity right before each event but the first, from the kernel's states."""
    n = len(times)
    ns, out, out_ns = (times * NS).astype(np.int64), np.zeros((n, 3)), np.zeros(n, np.int64)
    kernel.excite(
        (np.ones(n, np.bool_), np.zeros(n, np.int32), np.arange(n, dtype=np.int32),
         np.ones(n, np.int8), ns),
        np.array([[parameters.mu, parameters.alpha, parameters.beta]]),
        (np.zeros((1, 2)), np.zeros(1, np.int64)), (out, out_ns),
    )  # fmt: skip
    assert not out[:, 1].any()
    decayed = out[:-1, 0] * np.exp(-parameters.beta * np.diff(times))
    return parameters.mu + parameters.alpha * parameters.beta * decayed


def test_time_changed_by_the_compensator_is_a_poisson_process(rng: np.random.Generator) -> None:
    """The integral of the intensity between events is exponential of mean 1 (Ogata 1988)."""
    times = simulate(rng, 3000.0)
    true = Excitation(MU, ALPHA, BETA)
    gap, before = np.diff(times), intensities(times, true)
    # Between events the excitation fades: the integral is mu Δ + (rate after - rate before) / beta.
    after = np.concatenate([[MU], before[:-1]]) + ALPHA * BETA
    residual = MU * gap + (after - before) / BETA
    assert stats.kstest(residual, "expon").pvalue > 0.01
    assert stats.kstest(gap / gap.mean(), "expon").pvalue < 1e-6  # the raw gaps are no such thing


def test_where_time_goes_back_nothing_decays() -> None:
    out, out_ns = np.zeros((3, 3)), np.zeros(3, np.int64)
    kernel.excite(
        (np.ones(3, np.bool_), np.zeros(3, np.int32), np.arange(3, dtype=np.int32),
         np.array([1, -1, 1], np.int8), np.array([5, 4, 5]) * NS),
        np.array([[0.0, 0.5, 1.0]]),
        (np.zeros((1, 2)), np.zeros(1, np.int64)), (out, out_ns),
    )  # fmt: skip
    assert out[:, :2].tolist() == [[1.0, 0.0], [1.0, 1.0], [2.0, 1.0]]
    assert out_ns.tolist() == [5 * NS] * 3


@pytest.mark.parametrize(
    ("times", "reason"),
    [
        (np.arange(19.0), "too few"),
        (np.repeat(np.arange(20.0), 2), "ascend"),
        (np.arange(30.0) - 1, "ascend"),
        (np.arange(200.0), "ascend"),
    ],
)
def test_times_that_cannot_be_fitted_are_refused(times: NDArray[np.float64], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        fit_hawkes(times, 100.0)
