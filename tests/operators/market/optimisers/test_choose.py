"""Target weights from the input of a request, by every objective."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from operators.market.model_failed import ModelFailed
from operators.market.optimisers.choose import OBJECTIVES, target
from operators.market.optimisers.problem import read_problem
from tests.operators.market.optimisers.cases import SYMBOLS, returns

VIEW: dict[str, Any] = {
    "view": "v",
    "assets": {"S1": 1, "S6": -1},
    "return": 0.002,
    "confidence": 0.5,
}
LIMITS = {
    "bounds": {"*": {"max": 0.2}},
    "turnover": 0.9,
    "groups": {"first": {"symbols": ["S0", "S1"], "max": 0.25}},
}
each_objective = pytest.mark.parametrize("objective", OBJECTIVES)
by_covariance = pytest.mark.parametrize(
    "objective", ["min-variance", "max-sharpe", "black-litterman"]
)


def asked(objective, data=None, **more):
    found = returns() if data is None else data
    symbols = [f"S{place}" for place in range(found.shape[1])]
    return {"objective": objective, "symbols": symbols, "returns": found.tolist(), **more}


def weigh(objective, data=None, **more):
    return target(read_problem(asked(objective, data, **more)))


@each_objective
def test_weights_sum_to_one_and_are_long(objective):
    found = weigh(objective, views=[VIEW])
    assert found.weights.sum() == pytest.approx(1, abs=1e-9)
    assert found.weights.min() >= 0.0
    assert found.notes == []


@each_objective
def test_every_objective_keeps_to_every_constraint(objective):
    given = asked(
        objective, views=[VIEW], current=dict.fromkeys(SYMBOLS, 0.125), constraints=LIMITS
    )
    problem = read_problem(given)
    assert problem.constraints.broken(target(problem).weights) == ""


@pytest.mark.parametrize(("objective", "solver"), [("risk-parity", "ccd"), ("hrp", "bisection")])
def test_a_note_says_that_weights_were_moved_within_the_constraints(objective, solver):
    free = weigh(objective)
    bound = float(free.weights.max()) - 0.01
    moved = weigh(objective, constraints={"bounds": {"*": {"max": bound}}})
    assert moved.solver == free.solver == solver
    assert moved.notes == [
        "moved to the nearest weights within the constraints by clarabel: the bounds did not hold"
    ]
    assert moved.weights.max() == pytest.approx(bound, abs=1e-6)


# Not of HRP: which branch of a tree is left depends on the order, and halves are cut by counting.
# A request's symbols are ascending, so its weights are determined all the same.
@pytest.mark.parametrize("objective", [name for name in OBJECTIVES if name != "hrp"])
def test_the_order_of_assets_does_not_matter(objective):
    turned = {"S1": "S6", "S6": "S1"}
    view = {**VIEW, "assets": {turned[s]: x for s, x in VIEW["assets"].items()}}
    order = [0, 6, 2, 3, 4, 5, 1, 7]
    before = weigh(objective, views=[VIEW])
    after = weigh(objective, returns()[:, order], views=[view])
    np.testing.assert_allclose(after.weights[order], before.weights, atol=1e-6)


@each_objective
def test_an_asset_alone_has_all(objective):
    assert weigh(objective, returns()[:, :1]).weights.tolist() == [1.0]


def test_black_litterman_without_views_is_the_equilibrium():
    np.testing.assert_allclose(weigh("black-litterman").weights, 0.125, atol=1e-6)
    market = {symbol: place + 1.0 for place, symbol in enumerate(SYMBOLS)}
    found = weigh("black-litterman", equilibrium=market)
    np.testing.assert_allclose(found.weights, np.arange(1, 9) / 36, atol=1e-6)


def test_a_view_moves_weight_to_its_asset():
    found = weigh("black-litterman", views=[VIEW])
    assert found.weights[1] > 0.2
    assert found.weights[6] < 0.1


def test_confidence_of_cvar_changes_the_weights():
    wide, narrow = weigh("min-cvar", confidence=0.8), weigh("min-cvar", confidence=0.99)
    assert np.abs(wide.weights - narrow.weights).max() > 0.01
    assert wide.shrinkage is None


@by_covariance
def test_assets_that_move_as_one_are_a_reason_unless_shrunk(objective):
    data = np.column_stack([returns(), returns()[:, 7]])
    with pytest.raises(ModelFailed, match="1 of 9 eigenvalues of the covariance are 0"):
        weigh(objective, data, shrinkage="none")
    found = weigh(objective, data)
    assert 0 < found.shrinkage < 1
    assert found.weights[7] == pytest.approx(found.weights[8], abs=1e-6)


@by_covariance
def test_fewer_returns_than_assets_are_a_reason_unless_shrunk(objective):
    few = 4e-4 + 0.01 * np.random.default_rng(1).normal(size=(25, 40))
    # Ten and more assets, so that the names are ascending as text.
    symbols = [f"S{place:02}" for place in range(40)]
    given = {"objective": objective, "symbols": symbols, "returns": few.tolist()}
    with pytest.raises(ModelFailed, match="returns are too few"):
        target(read_problem({**given, "shrinkage": "none"}))
    assert target(read_problem(given)).weights.sum() == pytest.approx(1)


@pytest.mark.parametrize("objective", ["risk-parity", "hrp"])
def test_what_needs_no_inverse_goes_on_with_a_note(objective):
    data = np.column_stack([returns(), returns()[:, 7]])
    found = weigh(objective, data, shrinkage="none")
    assert found.notes == ["the covariance was singular: 1 of 9 eigenvalues were raised"]
    assert found.weights.sum() == pytest.approx(1)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"objective": "most-money"}, "there is no objective 'most-money': choose one of"),
        ({"objective": None}, "objective is no text"),
        ({"symbols": ["B", "A"]}, "symbols are not ascending and different"),
        ({"symbols": []}, "symbols is no list"),
        ({"returns": [[0.1] * 8] * 19}, "19 returns: at least 20 are needed"),
        ({"returns": [[0.1] * 7] * 30}, r"returns has the shape \(30, 7\): 8 columns are needed"),
        ({"returns": [[0.1] * 8, [0.1]]}, "returns is no table of numbers"),
        ({"returns": [[*[0.1] * 7, None]] * 30}, "return 0 of asset 7 is no finite number"),
        ({"returns": [[0.0] * 8] * 30}, "the returns are all 0"),
        ({"returns": [[1e200] * 8] * 30}, "a double cannot hold their squares"),
        ({"returns": "many"}, "returns is no table of numbers"),
        ({"current": {"S1": None}}, "current of S1 is no finite number"),
        ({"equilibrium": {"S1": -1.0}}, "the equilibrium weights .* more than 0"),
        ({"views": {}}, "views is no list of objects"),
        ({"confidence": 1}, "confidence is 1: it must lie between 0 and 1"),
        ({"objective": "min-cvar", "confidence": 0.999}, "600 returns have no tail of 0.001"),
    ],
)
def test_what_cannot_be_used_is_a_reason(change, reason):
    with pytest.raises(ModelFailed, match=reason):
        target(read_problem({**asked("min-variance"), **change}))
