"""The contract suite on every logic of ours."""

from __future__ import annotations

import pytest

from tests.contracts import logics as contract
from tests.contracts.cases import CASES


@pytest.mark.parametrize("name", CASES)
def test_it_keeps_the_contract(name: str) -> None:
    case = CASES[name]
    contract.check(case.make, case.items(), case.outputs)
