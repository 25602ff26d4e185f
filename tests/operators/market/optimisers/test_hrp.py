"""HRP: the paper's own example, PyPortfolioOpt and riskfolio where they solve the same."""

from __future__ import annotations

import random

import numpy as np
import pandas as pd  # type: ignore[import-untyped]  # it ships no types
import pytest
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from operators.market.optimisers.hrp import bisected, hierarchical, quasi_diagonal
from tests.operators.market.optimisers.cases import returns


def example_of_the_paper():
    """Five normal series and five noisy copies: López de Prado (2016), with its seed.

    The copied columns came from Python 2's ``random.randint(0, 4)``, which was
    ``int(random() * 5)``; Python 3 draws bits instead, and would copy others.
    """
    normal, uniform = np.random.RandomState(12345), random.Random(12345)
    series = normal.normal(0, 1, size=(10_000, 5))
    copied = [int(uniform.random() * 5) for _ in range(5)]
    noisy = series[:, copied] + normal.normal(0, 0.25, size=(10_000, 5))
    return np.hstack([series, noisy])


def test_the_weights_of_the_papers_example():
    weights = hierarchical(np.cov(example_of_the_paper(), rowvar=False))
    published = [7.00, 7.59, 10.84, 19.03, 9.72, 10.19, 6.62, 9.10, 7.12, 12.79]
    assert (weights * 100).round(2).tolist() == published


def test_the_leaves_of_the_papers_example():
    # Read off its figure of the reordered correlations.
    order = quasi_diagonal(np.cov(example_of_the_paper(), rowvar=False))
    assert [place + 1 for place in order] == [9, 2, 10, 1, 7, 3, 6, 4, 5, 8]


@pytest.mark.parametrize("seed", range(3))
def test_pypfopt_and_riskfolio_agree_where_the_order_is_the_same(seed):
    # Two pairs: however leaves are ordered, the halves are the pairs.
    import riskfolio as rp  # type: ignore[import-untyped]  # it ships no types
    from pypfopt import HRPOpt  # type: ignore[import-untyped]  # it ships no types

    rng = np.random.default_rng(seed)
    data = np.repeat(rng.normal(size=(500, 2)), 2, axis=1) + 0.6 * rng.normal(size=(500, 4))
    frame = pd.DataFrame(data, columns=list("ABCD"))
    weights = hierarchical(np.cov(data, rowvar=False))
    pypfopt = HRPOpt(frame).optimize()
    np.testing.assert_allclose(weights, [pypfopt[name] for name in "ABCD"], atol=1e-12)
    riskfolio = rp.HCPortfolio(returns=frame).optimization(
        model="HRP", codependence="pearson", rm="MV", linkage="single", leaf_order=False
    )
    np.testing.assert_allclose(weights, riskfolio["weights"].to_numpy(), atol=1e-12)


def test_the_bisection_of_eight_assets_is_pypfopts():
    from pypfopt import HRPOpt

    data = returns()
    distance = np.sqrt((1 - np.corrcoef(data, rowvar=False)) / 2)
    order = leaves_list(linkage(squareform(distance, checks=False), "single")).tolist()
    oracle = HRPOpt(pd.DataFrame(data)).optimize()
    weights = bisected(np.cov(data, rowvar=False), order)
    np.testing.assert_allclose(weights, [oracle[place] for place in range(8)], atol=1e-12)


def test_one_asset_and_two():
    assert hierarchical(np.array([[0.04]])).tolist() == [1.0]
    weights = hierarchical(np.array([[0.01, 0.005], [0.005, 0.04]]))
    np.testing.assert_allclose(weights, [0.8, 0.2])  # by inverse variance


def test_assets_that_move_as_one_and_opposite_have_weights():
    covariance = np.array([[1.0, 1.0, -1.0], [1.0, 1.0, -1.0], [-1.0, -1.0, 1.0]])
    weights = hierarchical(covariance + 0.01 * np.eye(3))
    assert weights.sum() == pytest.approx(1)
    assert (weights > 0).all()
