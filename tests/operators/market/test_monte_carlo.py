"""Monte Carlo against the closed forms, within the standard errors of its order statistics."""

from __future__ import annotations

import hashlib
import math
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from operators.market.kernels import monte_carlo as kernel
from operators.market.monte_carlo import HARMLESS, MonteCarlo, Scenarios, factor, key_of

PATHS = 200_000
TEXT = "portfolio:P|1700000000000000000"


def covariance_of(assets: int, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(3 * assets, assets)) * rng.uniform(0.005, 0.03, assets)
    return x.T @ x / len(x)


def weights_of(assets: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.2, 1.0, assets)


COVARIANCE, WEIGHTS = covariance_of(7), weights_of(7)
SIGMA = math.sqrt(WEIGHTS @ COVARIANCE @ WEIGHTS)


def scenarios(
    covariance=COVARIANCE, weights=WEIGHTS, degrees=None, text=TEXT, paths=PATHS
) -> Scenarios:
    made = MonteCarlo(paths, degrees).simulate(covariance, weights, text)
    assert made is not None
    return made


def quantile_error(distribution, confidence: float, paths: int) -> float:
    """Return the standard error of a sample quantile: sqrt(c (1 - c) / n) / f(q).

    f is the density at the quantile q (Serfling 1980, section 2.3.3).
    """
    density = float(distribution.pdf(distribution.ppf(confidence)))
    return math.sqrt(confidence * (1 - confidence) / paths) / density


def tail_error(distribution, confidence: float, paths: int) -> tuple[float, float]:
    """Return ES and the standard error of its estimate from a sample.

    n (1 - c) Var = Var(X | X > q) + c (ES - q)² (Manistre and Hancock 2005, equation 2).
    """
    q = distribution.ppf(confidence)
    mean, square = (
        distribution.expect(lambda x, p=p: x**p, lb=q, ub=math.inf) / (1 - confidence)
        for p in (1, 2)
    )
    variance = square - mean**2 + confidence * (mean - q) ** 2
    return mean, math.sqrt(variance / (paths * (1 - confidence)))


def student(degrees: int):
    """Return the t distribution with variance 1."""
    return stats.t(degrees, scale=math.sqrt((degrees - 2) / degrees))


@pytest.mark.parametrize("confidence", [0.95, 0.975, 0.99, 0.999])
@pytest.mark.parametrize("degrees", [None, 3, 4, 5, 12])
def test_var_and_es_are_the_closed_forms_within_the_standard_error(degrees, confidence):
    made = scenarios(degrees=degrees).figure(confidence)
    distribution = stats.norm() if degrees is None else student(degrees)
    error = quantile_error(distribution, confidence, PATHS)
    assert abs(made.var / SIGMA - distribution.ppf(confidence)) < 3.5 * error
    es, error = tail_error(distribution, confidence, PATHS)
    assert abs(made.es / SIGMA - es) < 3.5 * error
    assert made.valid


def test_figures_are_the_order_statistics_of_the_paths():
    made = scenarios(paths=10_000)
    ordered = sorted(made.returns.tolist())
    for confidence, last in [(0.99, 100), (0.95, 500), (0.999, 10)]:
        figure = made.figure(confidence)
        assert figure.var == -ordered[last]
        assert figure.es == pytest.approx(-np.mean(ordered[: last + 1]), rel=1e-12)


def test_t_with_many_degrees_is_gaussian():
    degrees = 10_000
    assert student(degrees).ppf(0.99) == pytest.approx(stats.norm.ppf(0.99), abs=2e-4)
    normal = scenarios(paths=20_000).returns
    found = scenarios(paths=20_000, degrees=degrees).returns
    # The normals are the same, and sqrt((nu - 2) / W) is 1 within 1 / sqrt(2 nu) or so.
    assert np.abs(found / normal - 1).max() < 5 / math.sqrt(2 * degrees)
    error = quantile_error(stats.norm(), 0.99, 20_000)
    figure = MonteCarlo(20_000, degrees).forecast(COVARIANCE, WEIGHTS, 0.99, TEXT)
    assert figure is not None
    assert abs(figure.var / SIGMA - stats.norm.ppf(0.99)) < 3.5 * error


@pytest.mark.parametrize("degrees", [None, 5])
def test_asset_returns_have_the_covariance(degrees):
    returns = scenarios(degrees=degrees).asset_returns(np.arange(PATHS))
    found = returns @ returns.T / PATHS
    # Var(x_i x_j) = k (s_ii s_jj + 2 s_ij²) - s_ij², k = 1 or, with t, (nu - 2) / (nu - 4).
    variances = np.diagonal(COVARIANCE)
    k = 3.0 if degrees else 1.0
    spread = k * (np.outer(variances, variances) + 2 * COVARIANCE**2) - COVARIANCE**2
    assert (np.abs(found - COVARIANCE) < 4 * np.sqrt(spread / PATHS)).all()


def test_t_assets_fall_together_more_often_than_gaussian_ones():
    apart = np.eye(2)
    together = {}
    for degrees in (None, 3):
        returns = scenarios(apart, np.ones(2), degrees).asset_returns(np.arange(PATHS))
        low = returns < np.quantile(returns, 0.005, axis=1)[:, None]
        together[degrees] = np.count_nonzero(low.all(axis=0)) / PATHS
    # Uncorrelated: independent normals do so in 0.005² of the paths; t has tail dependence
    # 2 t_4(-sqrt(4)) = 0.116 for nu = 3 and no correlation (McNeil, Frey, Embrechts, 7.2.4).
    assert together[None] < 1e-4
    assert together[3] > 0.05 * 0.005


def test_asset_returns_are_the_product_of_normals_and_factor():
    made = scenarios(paths=1000, degrees=5)
    z, mixture = np.empty((8, 1000)), np.empty(1000)
    kernel.normals(np.arange(1000), *made.key, z)
    kernel.mixing(np.arange(1000), 5, *made.key, mixture)
    expected = np.linalg.cholesky(COVARIANCE) @ z[:7] * mixture
    found = made.asset_returns(np.arange(1000))
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(made.returns, WEIGHTS @ expected, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("degrees", [0, 5])
def test_bits_do_not_depend_on_blocks_or_threads(degrees, monkeypatch):
    assert kernel.asset_returns.signatures
    assert kernel.portfolio_returns.signatures
    paths = np.arange(3000)
    made = scenarios(degrees=degrees or None, paths=3000)
    whole = made.asset_returns(paths)
    cuts = np.split(paths, [1, 8, 100, 355, 356, 357, 1024, 2999])
    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(made.asset_returns, cuts))
    assert (np.hstack(parts) == whole).all()
    shuffled = np.random.default_rng(1).permutation(paths)
    assert (made.asset_returns(shuffled) == whole[:, shuffled]).all()
    # The portfolio's kernel cut by cut, and a path count that is no multiple of its block.
    exposure = np.append(np.empty(7), 0.0)
    kernel.exposures(made.factor.upper, WEIGHTS, exposure[:7])
    out = np.empty(3000)
    for cut in cuts:
        kernel.portfolio_returns(
            cut, exposure, degrees, *made.key, np.empty(kernel.BLOCK), out[cut[0] : cut[-1] + 1]
        )
    assert (out == made.returns).all()


def test_same_text_same_bits_other_text_other_numbers():
    first, again = scenarios(paths=10_000), scenarios(paths=10_000)
    assert first.returns.tobytes() == again.returns.tobytes()
    assert (
        first.contributions(0.99).component.tobytes()
        == again.contributions(0.99).component.tobytes()
    )
    later = scenarios(paths=10_000, text="portfolio:P|1700000000000000001")
    assert not np.isin(first.returns, later.returns).any()
    assert abs(np.corrcoef(first.returns, later.returns)[0, 1]) < 4 / math.sqrt(10_000)


def test_more_paths_begin_with_the_same_ones():
    assert (scenarios(paths=500).returns == scenarios(paths=777).returns[:500]).all()


def test_bits_are_those_of_the_first_release():
    # A change of them changes every recorded figure: it belongs into the changelog. They are the
    # same for any processor, since no kernel fuses, reorders or calls a library.
    made = scenarios(np.eye(3), np.array([0.5, 0.25, 0.25]), 5, "portfolio:golden|0", 5000)
    digest = hashlib.sha256(made.returns.tobytes()).hexdigest()
    assert digest[:16] == "4a50f8f68efc8c4d"


def test_the_key_is_the_hash_of_the_text():
    digest = hashlib.blake2b(b"portfolio:P|1", digest_size=8).digest()
    k0, k1 = key_of("portfolio:P|1")
    assert digest == int(k0).to_bytes(4, "little") + int(k1).to_bytes(4, "little")


@pytest.mark.parametrize("degrees", [None, 5])
def test_permuted_assets_give_the_same_figures_within_the_standard_error(degrees):
    order = np.random.default_rng(2).permutation(7)
    figures = scenarios(degrees=degrees).figure(0.99)
    permuted = scenarios(COVARIANCE[np.ix_(order, order)], WEIGHTS[order], degrees).figure(0.99)
    distribution = student(degrees) if degrees else stats.norm()
    error = math.sqrt(2) * quantile_error(distribution, 0.99, PATHS)
    assert permuted.var != figures.var  # other assets meet the same counters
    assert abs(permuted.var - figures.var) < 3.5 * error * SIGMA


@pytest.mark.parametrize("degrees", [None, 5])
def test_components_sum_to_var_and_are_those_of_the_covariance(degrees):
    made = scenarios(degrees=degrees)
    components = made.contributions(0.99).component
    var = made.figure(0.99).var
    assert math.fsum(components) == pytest.approx(var, rel=1e-12)
    expected = WEIGHTS * (COVARIANCE @ WEIGHTS) / SIGMA**2 * var
    # A share's noise is the mean, over the tail's paths, of what the portfolio's return leaves
    # of the asset's.
    tail = np.argsort(made.returns)[: PATHS // 100 + 1]
    beta = COVARIANCE @ WEIGHTS / SIGMA**2
    residual = made.asset_returns(tail) - np.outer(beta, made.returns[tail])
    error = np.abs(WEIGHTS) * residual.std(axis=1) / math.sqrt(len(tail))
    assert (np.abs(components - expected) < 4 * error).all()
    assert (error < 0.05 * np.abs(expected).max()).all()


def test_a_position_of_nothing_contributes_nothing():
    weights = np.append(WEIGHTS, 0.0)
    covariance = covariance_of(8)
    components = scenarios(covariance, weights).contributions(0.99).component
    assert components[7] == 0.0
    assert (components[:7] != 0.0).all()


@settings(max_examples=25)
@given(st.integers(1, 12), st.integers(0, 1000), st.sampled_from([None, 3, 5]), st.integers(-8, 8))
def test_figures_scale_with_the_weights_and_grow_with_the_confidence(assets, seed, degrees, power):
    covariance, weights = covariance_of(assets, seed), weights_of(assets, seed)
    made = scenarios(covariance, weights, degrees, paths=2000)
    twice = scenarios(covariance, weights * 2.0**power, degrees, paths=2000)
    figures = [made.figure(c) for c in (0.9, 0.95, 0.99, 0.999)]
    for figure, scaled in zip(
        figures, (twice.figure(c) for c in (0.9, 0.95, 0.99, 0.999)), strict=True
    ):
        assert scaled.var == figure.var * 2.0**power  # exact, as the scale is a power of two
        assert scaled.es == figure.es * 2.0**power
        assert figure.es >= figure.var
    assert all(a.var <= b.var and a.es <= b.es for a, b in pairwise(figures))


def test_factor_is_numpys_cholesky_where_there_is_one():
    found = factor(COVARIANCE)
    assert found is not None
    assert found.shrinkage == 0.0
    np.testing.assert_allclose(found.upper.T, np.linalg.cholesky(COVARIANCE), rtol=1e-10)
    assert (np.tril(found.upper, -1) == 0.0).all()


def test_a_singular_covariance_is_repaired_without_harm():
    few = np.random.default_rng(3).normal(0, 0.01, (5, 9))  # rank 5, and two assets alike
    covariance = few.T @ few / 5
    covariance[8], covariance[:, 8] = covariance[0], covariance[:, 0]
    covariance[8, 8] = covariance[0, 0]
    found = factor(covariance)
    assert found is not None
    assert 0.0 < found.shrinkage <= HARMLESS
    rebuilt = found.upper.T @ found.upper
    np.testing.assert_allclose(rebuilt, covariance, rtol=0, atol=1e-9 * covariance.max())
    figure = scenarios(covariance, np.ones(9) / 9).figure(0.99)
    sigma = math.sqrt(np.ones(9) @ covariance @ np.ones(9)) / 9
    error = quantile_error(stats.norm(), 0.99, PATHS)
    assert abs(figure.var / sigma - stats.norm.ppf(0.99)) < 3.5 * error
    assert figure.valid


def test_a_matrix_that_is_no_covariance_keeps_its_variances_and_is_not_vouched_for():
    correlation = np.array([[1, 0.9, -0.3], [0.9, 1, 0.2], [-0.3, 0.2, 1]])
    assert np.linalg.eigvalsh(correlation)[0] < 0
    deviations = np.array([0.01, 0.02, 0.04])
    found = factor(correlation * np.outer(deviations, deviations))
    assert found is not None
    assert found.shrinkage == 0.1
    rebuilt = found.upper.T @ found.upper
    np.testing.assert_allclose(np.diagonal(rebuilt), deviations**2, rtol=1e-14)
    shrunk = rebuilt / np.outer(deviations, deviations)
    np.testing.assert_allclose(shrunk[0, 1:], correlation[0, 1:] / 1.1, rtol=1e-13)
    figure = MonteCarlo().forecast(correlation, np.ones(3), 0.99, TEXT)
    assert figure is not None
    assert not figure.valid


@pytest.mark.parametrize(
    "matrix",
    [
        [[1.0, 2.0], [2.0, 1.0]],
        [[1.0, 0.0], [0.0, -1e-9]],
        [[1.0, math.nan], [math.nan, 1.0]],
        [[math.inf, 0.0], [0.0, 1.0]],
    ],
)
def test_what_cannot_be_repaired_has_no_figures(matrix):
    assert factor(np.array(matrix)) is None
    assert MonteCarlo().forecast(np.array(matrix), np.ones(2), 0.99, TEXT) is None


@pytest.mark.parametrize("degrees", [None, 5])
def test_no_variance_is_no_risk(degrees):
    made = scenarios(np.zeros((2, 2)), np.ones(2), degrees, paths=1000)
    assert [repr(value) for value in made.figure(0.99)] == ["0.0", "0.0", "True"]
    assert made.contributions(0.99).component.tolist() == [0.0, 0.0]
    half = scenarios(np.diag([0.0, 1e-4]), np.ones(2), degrees, paths=1000)
    assert half.contributions(0.99).component[0] == 0.0
    assert half.contributions(0.99).component[1] == pytest.approx(half.figure(0.99).var, rel=1e-14)


def test_names_and_the_smallest_degrees():
    assert MonteCarlo().name == "monte-carlo-normal"
    assert MonteCarlo(degrees_of_freedom=3).name == "monte-carlo-t"
    for degrees in (0, 2, -5):
        with pytest.raises(ValueError, match="at least 3"):
            MonteCarlo(degrees_of_freedom=degrees)
