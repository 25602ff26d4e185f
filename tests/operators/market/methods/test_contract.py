"""The contract suite on our methods."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from operators.market.kernels import cornish_fisher, ewma, garch, moments, order_statistics, ring
from tests.operators.market.methods import contract
from tests.operators.market.methods.contract import METHODS
from tests.operators.market.methods.series import random_returns, series

RETURNS = random_returns(150)


@pytest.mark.parametrize("name", METHODS)
def test_our_methods_keep_the_contract(name: str) -> None:
    contract.check(METHODS[name], RETURNS)


def test_garch_keeps_it_with_parameters() -> None:
    contract.check(contract.fitted_garch, RETURNS)


@pytest.mark.parametrize("name", METHODS)
@settings(max_examples=40)
@given(returns=series(0, 3 * contract.WINDOW))
def test_revaluing_equals_updating_bit_for_bit(name: str, returns: list[float]) -> None:
    contract.check_revaluation(METHODS[name], returns)


@pytest.mark.parametrize("name", METHODS)
def test_a_method_carries_its_name(name: str) -> None:
    assert METHODS[name]().name == name


@pytest.mark.parametrize("name", METHODS)
def test_a_figure_becomes_valid_with_the_window(name: str) -> None:
    method = contract.fitted_garch() if name == "garch-normal" else METHODS[name]()
    valid = []
    # Symmetric with an excess kurtosis of 1.24: Cornish-Fisher does not refuse their shape.
    for ret in [-0.02, *([0.005, -0.005] * (contract.WINDOW // 2 - 1)), 0.02]:
        method.update(ret)
        figure = method.forecast(0.95)
        valid.append(figure is not None and figure.valid)
    assert valid == [False] * (contract.WINDOW - 1) + [True]


def test_kernels_are_compiled_for_the_types_that_they_name() -> None:
    for kernel in (
        ring.remember,
        order_statistics.insert,
        order_statistics.tail,
        order_statistics.age_weighted_tail,
        ewma.step,
        ewma.standardise,
        moments.push,
        cornish_fisher.forecast,
        garch.advance,
    ):
        assert len(kernel.signatures) == 1
        assert not kernel._can_compile  # no other types would be compiled at a call
