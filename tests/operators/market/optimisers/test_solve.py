"""The chain of solvers."""

from __future__ import annotations

import numpy as np
import pytest

from operators.market.model_failed import ModelFailed
from operators.market.optimisers import convex, solve
from tests.operators.market.optimisers.cases import limits, returns

COVARIANCE = np.cov(returns(), rowvar=False)
CLARABEL, SCS = solve.SOLVERS
TIRED = ("CLARABEL", {"max_iter": 1})


def test_the_second_solver_steps_in_and_finds_the_same(monkeypatch):
    limit = limits(bounds={"*": {"max": 0.3}})
    first, name = convex.min_variance(COVARIANCE, limit)
    assert name == "clarabel"
    monkeypatch.setattr(solve, "SOLVERS", (TIRED, SCS))
    second, name = convex.min_variance(COVARIANCE, limit)
    assert name == "scs"
    np.testing.assert_allclose(first, second, atol=1e-4)


def test_scs_solves_the_linear_program_too(monkeypatch):
    first, _ = convex.min_cvar(returns(), 0.05, limits())
    monkeypatch.setattr(solve, "SOLVERS", (TIRED, SCS))
    second, name = convex.min_cvar(returns(), 0.05, limits())
    assert name == "scs"
    np.testing.assert_allclose(first, second, atol=1e-4)


def test_the_reason_says_what_each_solver_said(monkeypatch):
    tired = (TIRED, ("SCS", {"max_iters": 1}))
    monkeypatch.setattr(solve, "SOLVERS", tired)
    with pytest.raises(ModelFailed, match=r"no solver found weights: clarabel: .*, scs: "):
        convex.min_variance(COVARIANCE, limits())


def test_no_solver_is_stopped_by_time():
    for _, options in solve.SOLVERS:
        assert not [name for name in options if "time" in name]
        assert [name for name in options if name.startswith("max_iter")]


def test_what_a_solver_proves_impossible_is_not_asked_again(monkeypatch):
    asked = []

    class Problem:
        status = "infeasible"

        def solve(self, solver, **options):
            asked.append(solver)

    with pytest.raises(ModelFailed, match="impossible"):
        solve.solve(Problem(), "impossible")
    assert asked == ["CLARABEL"]


@pytest.mark.parametrize(
    ("found", "reason"),
    [(np.full(8, np.nan), "not finite"), ([0.9, *[0.1 / 7] * 7], "the bounds|the sum")],
)
def test_weights_that_break_a_limit_are_not_accepted(found, reason):
    with pytest.raises(ModelFailed, match=reason):
        solve.accepted(found, limits(bounds={"*": {"max": 0.3}}))


def test_dust_becomes_zero():
    weights = solve.accepted([1.0, -3e-11, 2e-11, *[0.0] * 5], limits())
    assert weights.tolist() == [1.0, *[0.0] * 7]
