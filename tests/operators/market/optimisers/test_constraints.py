"""Each constraint holds in the weights; what cannot be met, or understood, is a reason."""

from __future__ import annotations

import numpy as np
import pytest

from operators.market.model_failed import ModelFailed
from operators.market.optimisers import convex
from operators.market.optimisers.constraints import read_constraints
from tests.operators.market.optimisers.cases import SYMBOLS, limits, returns

COVARIANCE = np.cov(returns(), rowvar=False)
HELD = dict.fromkeys(SYMBOLS, 0.125)
FREE, _ = convex.min_variance(COVARIANCE, limits())


def least_variance(held=HELD, **given):
    weights, _ = convex.min_variance(COVARIANCE, read_constraints(given, SYMBOLS, held))
    return weights


def test_bounds_of_all_and_of_one_hold():
    assert FREE.max() > 0.25
    weights = least_variance(bounds={"*": {"min": 0.05, "max": 0.25}, "S0": {"max": 0.1}})
    assert weights.min() >= 0.05 - 1e-6
    assert weights.max() <= 0.25 + 1e-6
    assert weights[0] == pytest.approx(0.1, abs=1e-6)


def test_long_only_is_the_default_and_can_be_lifted():
    assert least_variance().min() >= 0.0
    assert least_variance(long_only=False).min() < -0.01
    assert least_variance(bounds={"*": {"min": -0.5}}).min() >= 0.0


def test_turnover_is_measured_from_the_current_weights():
    assert np.abs(FREE - 0.125).sum() > 0.3
    weights = least_variance(turnover=0.3)
    assert np.abs(weights - 0.125).sum() == pytest.approx(0.3, abs=1e-5)
    np.testing.assert_allclose(least_variance(turnover=0.0), 0.125, atol=1e-6)


def test_turnover_does_not_hold_where_nothing_is_held_yet():
    np.testing.assert_allclose(least_variance(held={}, turnover=0.1), FREE, atol=1e-6)


def test_what_is_sold_of_other_symbols_counts_as_turnover():
    held = {**dict.fromkeys(SYMBOLS, 0.1), "GONE": 0.2}
    weights = least_variance(held=held, turnover=0.5)
    assert np.abs(weights - 0.1).sum() == pytest.approx(0.3, abs=1e-5)
    with pytest.raises(ModelFailed, match=r"turns over 0\.2"):
        least_variance(held=held, turnover=0.1)


def test_groups_hold():
    groups = {
        "low": {"symbols": ["S0", "S1"], "max": 0.2},
        "high": {"symbols": ["S6", "S7"], "min": 0.3},
    }
    weights = least_variance(groups=groups)
    assert weights[:2].sum() == pytest.approx(0.2, abs=1e-6)
    assert weights[6:].sum() == pytest.approx(0.3, abs=1e-6)


def test_limits_that_contradict_each_other_are_a_reason():
    groups = {"a": {"symbols": ["S0", "S1"], "min": 0.6}, "b": {"symbols": ["S1"], "max": 0.1}}
    with pytest.raises(ModelFailed, match="no weights meet the constraints together"):
        least_variance(groups=groups, bounds={"*": {"max": 0.4}})


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"bounds": {"*": {"max": 0.1}}}, r"the largest weights sum to 0\.8, less than 1"),
        ({"bounds": {"*": {"min": 0.2}}}, r"the least weights sum to 1\.6, more than 1"),
        (
            {"bounds": {"S1": {"min": 0.5, "max": 0.4}}},
            r"S1 must be at least 0\.5 and at most 0\.4",
        ),
        ({"bounds": {"IBM": {"max": 0.4}}}, "bounds: 'IBM' is none of the symbols"),
        ({"bounds": {"S1": {"most": 0.4}}}, "bounds of S1 have no part 'most'"),
        ({"bounds": {"S1": {"max": None}}}, "max in bounds of S1 is no finite number"),
        ({"bounds": 1}, "bounds is no object"),
        ({"groups": {"g": {"symbols": ["IBM"]}}}, "group g: 'IBM' is none of the symbols"),
        ({"groups": {"g": {"max": 0.5}}}, "group g names no symbols"),
        ({"groups": {"g": {"symbols": ["S1"], "min": 2, "max": 1}}}, "group g must be at least 2"),
        ({"long_only": "yes"}, "long_only is neither true nor false"),
        ({"turnover": "much"}, "turnover is no finite number"),
        ({"leverage": 2}, "there is no constraint 'leverage'"),
    ],
)
def test_what_cannot_be_met_or_understood_is_a_reason(given, reason):
    with pytest.raises(ModelFailed, match=reason):
        read_constraints(given, SYMBOLS, HELD)


def test_broken_names_the_limit():
    limit = read_constraints(
        {
            "bounds": {"*": {"max": 0.5}},
            "turnover": 1,
            "groups": {"g": {"symbols": ["S0"], "max": 0.3}},
        },
        SYMBOLS,
        HELD,
    )
    assert limit.broken(np.full(8, 0.125)) == ""
    assert limit.broken(np.full(8, 0.2)) == "the sum"
    assert limit.broken(np.eye(8)[0]) == "the bounds"
    assert limit.broken(np.array([0.5, 0.5, 0, 0, 0, 0, 0, 0])) == "the turnover"
    assert limit.broken(np.array([0.4, *[0.6 / 7] * 7])) == "group g"
