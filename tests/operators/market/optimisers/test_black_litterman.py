"""Black-Litterman: He and Litterman's seven countries, properties, PyPortfolioOpt."""

from __future__ import annotations

import numpy as np
import pandas as pd  # type: ignore[import-untyped]  # it ships no types
import pytest

from operators.market.model_failed import ModelFailed
from operators.market.optimisers.black_litterman import (
    DELTA,
    TAU,
    equilibrium_returns,
    posterior,
    read_views,
)

# He, Litterman (1999), "The intuition behind Black-Litterman model portfolios", tables 1 and 2.
# Written from memory, and right: the seven published returns follow from them (below).
COUNTRIES = ["AUL", "CAN", "FRA", "GER", "JAP", "UK", "USA"]
CORRELATION = [
    [1, 0.488, 0.478, 0.515, 0.439, 0.512, 0.491],
    [0.488, 1, 0.664, 0.655, 0.310, 0.608, 0.779],
    [0.478, 0.664, 1, 0.861, 0.355, 0.783, 0.668],
    [0.515, 0.655, 0.861, 1, 0.354, 0.777, 0.653],
    [0.439, 0.310, 0.355, 0.354, 1, 0.405, 0.306],
    [0.512, 0.608, 0.783, 0.777, 0.405, 1, 0.652],
    [0.491, 0.779, 0.668, 0.653, 0.306, 0.652, 1],
]
VOLATILITY = np.array([16.0, 20.3, 24.8, 27.1, 21.0, 20.0, 18.7]) / 100
WEIGHTS = np.array([1.6, 2.2, 5.2, 5.5, 11.6, 12.4, 61.5]) / 100
COVARIANCE = np.array(CORRELATION) * np.outer(VOLATILITY, VOLATILITY)
GERMANY = {"FRA": -0.295, "GER": 1.0, "UK": -0.705}


def view(assets, ret, confidence=0.5, name="v"):
    return {"view": name, "assets": assets, "return": ret, "confidence": confidence}


def mean_of(*views):
    return posterior(COVARIANCE, WEIGHTS, read_views(views, COUNTRIES))[0]


def test_equilibrium_returns_of_seven_countries():
    published = [3.9, 6.9, 8.4, 9.0, 4.3, 6.8, 7.6]
    assert (equilibrium_returns(COVARIANCE, WEIGHTS) * 100).round(1).tolist() == published


def test_the_view_on_germany_moves_the_weights_of_its_own_assets_only():
    # He and Litterman's result: unconstrained weights tilt along the view's portfolio alone.
    mean, covariance = posterior(COVARIANCE, WEIGHTS, read_views([view(GERMANY, 0.05)], COUNTRIES))
    tilt = np.linalg.solve(DELTA * covariance, mean) - WEIGHTS / (1 + TAU)
    along = [GERMANY.get(country, 0.0) for country in COUNTRIES]
    np.testing.assert_allclose(tilt, tilt[3] * np.array(along), atol=1e-12)
    assert tilt[3] > 0.2


def test_without_views_the_posterior_is_the_prior():
    mean, covariance = posterior(COVARIANCE, WEIGHTS, read_views([], COUNTRIES))
    np.testing.assert_allclose(mean, equilibrium_returns(COVARIANCE, WEIGHTS), rtol=1e-14)
    np.testing.assert_allclose(covariance, (1 + TAU) * COVARIANCE, rtol=1e-14)


def test_a_view_of_what_the_prior_says_changes_nothing():
    prior = equilibrium_returns(COVARIANCE, WEIGHTS)
    np.testing.assert_allclose(mean_of(view({"USA": 1}, float(prior[6]))), prior, atol=1e-15)


@pytest.mark.parametrize("confidence", [0.1, 0.5, 0.9, 1.0])
def test_confidence_is_the_fraction_of_the_way_from_the_prior_to_the_view(confidence):
    portfolio = np.array([GERMANY.get(country, 0.0) for country in COUNTRIES])
    before = portfolio @ equilibrium_returns(COVARIANCE, WEIGHTS)
    after = portfolio @ mean_of(view(GERMANY, 0.05, confidence))
    assert after == pytest.approx(before + confidence * (0.05 - before), abs=1e-12)


def test_the_posterior_solves_the_normal_equations():
    # The other form of the same: ((tau S)^-1 + P' Omega^-1 P) mu = (tau S)^-1 pi + P' Omega^-1 q.
    views = [view(GERMANY, 0.05, 0.3, "a"), view({"CAN": 1, "USA": -1}, 0.03, 0.8, "b")]
    picks, returns, confidence = read_views(views, COUNTRIES)
    inverse = np.linalg.inv(TAU * COVARIANCE)
    spread = np.diag(picks @ (TAU * COVARIANCE) @ picks.T)
    precision = np.diag(confidence / ((1 - confidence) * spread))
    left = inverse + picks.T @ precision @ picks
    right = inverse @ equilibrium_returns(COVARIANCE, WEIGHTS) + picks.T @ precision @ returns
    mean, covariance = posterior(COVARIANCE, WEIGHTS, (picks, returns, confidence))
    np.testing.assert_allclose(mean, np.linalg.solve(left, right), rtol=1e-10)
    np.testing.assert_allclose(covariance, COVARIANCE + np.linalg.inv(left), rtol=1e-10)


def test_pypfopt_agrees():
    from pypfopt import BlackLittermanModel  # type: ignore[import-untyped]  # it ships no types

    views = [view(GERMANY, 0.05, 0.25, "a"), view({"CAN": 1, "USA": -1}, 0.03, 0.65, "b")]
    picks, returns, confidence = read_views(views, COUNTRIES)
    oracle = BlackLittermanModel(
        pd.DataFrame(COVARIANCE, COUNTRIES, COUNTRIES),
        pi=pd.Series(equilibrium_returns(COVARIANCE, WEIGHTS), COUNTRIES),
        P=picks,
        Q=returns,
        omega="idzorek",
        view_confidences=confidence,
        tau=TAU,
    )
    mean, covariance = posterior(COVARIANCE, WEIGHTS, (picks, returns, confidence))
    np.testing.assert_allclose(mean, oracle.bl_returns().to_numpy(), rtol=1e-9)
    np.testing.assert_allclose(covariance, oracle.bl_cov().to_numpy(), rtol=1e-9)


def test_the_order_in_which_views_came_does_not_matter():
    a, b = view(GERMANY, 0.05, 0.3, "a"), view({"USA": 1}, 0.1, 0.8, "b")
    assert mean_of(a, b).tolist() == mean_of(b, a).tolist()


def test_certain_views_that_contradict_each_other_are_a_reason():
    with pytest.raises(ModelFailed, match="repeat or contradict"):
        mean_of(view(GERMANY, 0.05, 1.0, "a"), view(GERMANY, 0.01, 1.0, "b"))
    assert np.isfinite(mean_of(view(GERMANY, 0.05, 0.9, "a"), view(GERMANY, 0.01, 0.9, "b"))).all()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"assets": {"IBM": 1}}, "view v is of IBM, which is none of the symbols"),
        ({"assets": {"USA": 0}}, "view v is of no asset"),
        ({"assets": None}, "assets of view v is no object"),
        ({"confidence": 0}, "the confidence of view v is 0"),
        ({"confidence": 1.5}, r"the confidence of view v is 1\.5"),
        ({"return": None}, "return of view v is no finite number"),
        ({"return": True}, "return of view v is no finite number"),
    ],
)
def test_a_view_that_cannot_be_used_is_a_reason(change, reason):
    with pytest.raises(ModelFailed, match=reason):
        read_views([{**view({"USA": 1}, 0.1), **change}], COUNTRIES)
