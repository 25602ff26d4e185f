"""Shrinkage and the mending of singular covariances."""

from __future__ import annotations

import numpy as np
import pytest

from operators.market.model_failed import ModelFailed
from operators.market.optimisers.shrinkage import RELATIVE_FLOOR, estimate, mend
from tests.operators.market.optimisers.cases import returns


def test_ledoit_wolf_by_its_definition():
    # Ledoit, Wolf (2004), lemma 3.2 to section 3.3, written out.
    data = returns(count=60)
    count, assets = data.shape
    centred = data - data.mean(axis=0)
    sample = centred.T @ centred / count
    mean = np.trace(sample) / assets
    spread = np.sum((sample - mean * np.eye(assets)) ** 2)
    noise = sum(np.sum((np.outer(row, row) - sample) ** 2) for row in centred) / count**2
    intensity = min(noise, spread) / spread
    found = estimate(data, "ledoit-wolf")
    assert 0.0 < found.shrinkage < 1.0
    assert found.shrinkage == pytest.approx(intensity, rel=1e-9)
    expected = intensity * mean * np.eye(assets) + (1 - intensity) * sample
    np.testing.assert_allclose(found.covariance, expected, rtol=1e-9, atol=1e-18)


def test_none_is_the_sample_covariance():
    found = estimate(returns(), "none")
    np.testing.assert_allclose(found.covariance, np.cov(returns(), rowvar=False), rtol=1e-12)
    assert (found.shrinkage, found.raised, found.notes) == (0.0, 0, [])


def test_a_duplicate_makes_it_singular_and_a_note_says_that_it_was_mended():
    data = np.column_stack([returns(), returns()[:, 0]])
    found = estimate(data, "none")
    assert found.raised == 1
    assert found.notes == ["the covariance was singular: 1 of 9 eigenvalues were raised"]
    np.linalg.cholesky(found.covariance)
    np.testing.assert_allclose(found.covariance, np.cov(data, rowvar=False), atol=1e-12)


def test_fewer_returns_than_assets_make_it_singular_and_shrinkage_mends_that():
    few = np.random.default_rng(1).normal(size=(25, 40))
    assert estimate(few, "none").raised == 16  # rank 24
    assert estimate(few, "ledoit-wolf").raised == 0


def test_mend_raises_negative_eigenvalues_to_the_floor_and_keeps_the_others():
    vectors, _ = np.linalg.qr(np.random.default_rng(2).normal(size=(3, 3)))
    mended, raised = mend((vectors * np.array([-0.5, 1.0, 2.0])) @ vectors.T)
    assert raised == 1
    np.testing.assert_allclose(np.linalg.eigvalsh(mended), [2 * RELATIVE_FLOOR, 1, 2], atol=1e-12)
    assert (mended == mended.T).all()


@pytest.mark.parametrize(
    ("data", "method", "reason"),
    [
        (np.column_stack([returns()[:, 0], np.zeros(600)]), "none", "asset 1 never moves"),
        (returns(), "oracle", "there is no shrinkage 'oracle'"),
    ],
)
def test_what_has_no_covariance_is_a_reason(data, method, reason):
    with pytest.raises(ModelFailed, match=reason):
        estimate(data, method)
