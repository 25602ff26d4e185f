"""Requests and answers: what is asked comes back, and a failure is an answer too."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.market.models import answer, garch_request, weights_request
from state.errors import WrongType
from state.outputs import to_json
from tests.operators.market.optimisers.cases import SYMBOLS, returns

DATA = returns(count=200)
COLUMNS = dict(zip(SYMBOLS, DATA.T, strict=True))
VIEW = {"view": "v", "assets": {"S1": 1.0}, "return": 0.01, "confidence": 0.5}


def weights(objective="min-variance", **more) -> dict[str, Any]:
    request = weights_request(
        "portfolio:P", 5, 7, objective, COLUMNS, dict.fromkeys(SYMBOLS, 0.125), **more
    )
    return json.loads(to_json(request))  # type: ignore[no-any-return]  # as it comes from a topic


def garch() -> dict[str, Any]:
    return json.loads(to_json(garch_request("symbol:S0", 5, 7, DATA[:, 0])))  # type: ignore[no-any-return]  # as above


def test_an_answer_carries_the_requests_id_and_counts_from_its_time():
    for request, model, scope in (
        (weights(), "weights", "portfolio:P"),
        (garch(), "garch", "symbol:S0"),
    ):
        found = answer(request)
        assert found["id"] == request["id"]
        assert request["id"].startswith(f"{model}|{scope}|5|")
        assert (found["ts_ns"], found["model"], found["scope"]) == (7, model, scope)
        assert (found["status"], found["reason"]) == ("ok", "")


def test_garch_gives_its_parameters():
    assert set(answer(garch())["output"]) == {"mu", "omega", "alpha", "beta"}


def test_weights_give_solver_shrinkage_and_notes():
    output = answer(weights())["output"]
    assert list(output["weights"]) == list(SYMBOLS)
    assert sum(output["weights"].values()) == pytest.approx(1)
    assert output["solver"] == "clarabel"
    assert 0 < output["shrinkage"] < 1
    assert output["notes"] == []


@pytest.mark.parametrize("objective", ["max-sharpe", "min-cvar", "risk-parity", "black-litterman"])
def test_an_answer_is_the_same_every_time_and_as_json(objective):
    request = weights(objective, views=[VIEW])
    first = to_json(answer(request))
    assert to_json(answer(request)) == first
    assert json.loads(first)["status"] == "ok"
    assert b"null" not in first.replace(b'"shrinkage":null', b"")


def test_more_settings_of_a_request_are_used():
    plain = answer(weights("black-litterman"))["output"]["weights"]
    market = {symbol: float(place + 1) for place, symbol in enumerate(SYMBOLS)}
    tilted = answer(weights("black-litterman", more={"equilibrium": market}))["output"]["weights"]
    assert tilted["S7"] == pytest.approx(8 / 36, abs=1e-6)
    assert plain["S7"] == pytest.approx(1 / 8, abs=1e-6)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"model": "arima"}, "there is no model 'arima': choose garch or weights"),
        ({"input": {}}, "symbols is no list of names"),
        ({"model": "garch", "input": {"returns": [[1.0]]}}, "returns is no list of numbers"),
        ({"model": "garch", "input": {"returns": [0.1, None]}}, "2 returns: at least 100"),
        ({"model": "garch", "input": {"returns": [*[0.1] * 200, None]}}, "return 200 is no finite"),
    ],
)
def test_what_cannot_be_computed_is_a_failed_answer(change, reason):
    found = answer({**weights(), **change})
    assert found["status"] == "failed"
    assert reason in found["reason"]
    assert "\n" not in found["reason"]
    assert found["output"] == {}
    assert found["id"].startswith("weights|portfolio:P|5|")


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"constraints": {"bounds": {"*": {"max": 0.1}}}}, "the largest weights sum to 0.8"),
        ({"constraints": {"turnover": 0, "bounds": {"S0": {"max": 0}}}}, "no weights meet"),
        ({"more": {"shrinkage": "none"}}, "eigenvalues of the covariance are 0"),
    ],
)
def test_infeasible_and_ill_conditioned_inputs_are_failed_answers(more, reason):
    request = weights(**more)
    for row in request["input"]["returns"]:
        row[7] = row[6]
    found = answer(request)
    assert (found["status"], found["output"]) == ("failed", {})
    assert reason in found["reason"]


@pytest.mark.parametrize("field", ["id", "ts_ns", "counts_from_ns", "model", "scope", "input"])
def test_what_is_no_request_raises(field):
    with pytest.raises(WrongType, match=field):
        answer({name: item for name, item in weights().items() if name != field})
    with pytest.raises(WrongType, match=field):
        answer({**weights(), field: None})


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["*", "S0", "S1", "max", "symbols", "g"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)
paths = st.sampled_from(
    [
        *([name] for name in ("objective", "symbols", "returns", "current", "views", "shrinkage")),
        *([name] for name in ("constraints", "confidence", "equilibrium")),
        ["returns", 3],
        ["returns", 3, 1],
        ["views", 0],
        ["views", 0, "assets"],
        ["views", 0, "confidence"],
        ["current", "S0"],
        ["constraints", "bounds"],
        ["constraints", "groups"],
        ["constraints", "turnover"],
    ]
)


@settings(max_examples=150)
@given(st.sampled_from(["hrp", "risk-parity", "black-litterman", "min-variance"]), paths, anything)
def test_no_input_makes_it_raise(objective, path, item):
    request = weights(objective, views=[VIEW], constraints={"turnover": 2})
    place = request["input"]
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = item
    found = answer(request)
    assert found["status"] in {"ok", "failed"}
    assert (found["status"] == "failed") == bool(found["reason"])
    if found["status"] == "ok":
        assert sum(found["output"]["weights"].values()) == pytest.approx(1)


def test_the_hot_path_loads_no_solver():
    code = "import sys, operators.market.models\nprint(*sys.modules)"
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root
    )
    loaded = {"cvxpy", "clarabel", "scs", "skfolio", "sklearn", "arch", "pandas"}
    assert loaded.isdisjoint(done.stdout.split())


def test_one_blas_thread_or_many_give_the_same_bits():
    import threadpoolctl  # type: ignore[import-untyped]  # it ships no types

    with threadpoolctl.threadpool_limits(2):
        two = to_json(answer(weights()))
    with threadpoolctl.threadpool_limits(1):
        one = to_json(answer(weights()))
    assert one == two


def test_columns_are_in_the_order_of_the_symbols():
    turned = dict(reversed(COLUMNS.items()))
    request = weights_request("portfolio:P", 5, 7, "hrp", turned, {})
    assert request["input"]["symbols"] == list(SYMBOLS)
    np.testing.assert_array_equal(request["input"]["returns"], DATA)
