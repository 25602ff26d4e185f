"""Words that several outputs share, and what their schemas say of them."""

from __future__ import annotations

import re

import pytest

from operators.market.records import interval_name
from state.clock import NS
from state.market.columns import BAR_ID, INTERVAL


@pytest.mark.parametrize(
    ("interval_ns", "name"),
    [(1, "1ns"), (1000, "1us"), (10**6, "1ms"), (NS, "1s"), (60 * NS, "1m"), (3600 * NS, "1h"),
     (86400 * NS, "1d"), (2 * 86400 * NS, "2d"), (90 * NS, "90s")],
)  # fmt: skip
def test_every_name_of_an_interval_is_one_of_the_schemas(interval_ns: int, name: str) -> None:
    assert interval_name(interval_ns) == name
    assert re.fullmatch(INTERVAL["pattern"], name)
    assert re.fullmatch(BAR_ID["pattern"], f"A|B|{name}|0")
