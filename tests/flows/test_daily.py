"""The merge of events: what a dead letter brings twice counts once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest

from connectors.market.events import EventDecoder
from operators.market.daily.logics import EventMerge
from operators.outputs import Outputs
from state.clock import NS
from state.records import RETRY_HEADER
from tests.connectors.market.batches import AHEAD_NS, NOW_NS, messages

SPLIT = {"type": "split", "symbol": "A", "ratio": 2.0, "ts_ns": NOW_NS}


def offered(logic: EventMerge, offset: int, body: dict[str, Any], retried: bool) -> list[Any]:
    """Give one message to the merge; return the types of the events that are complete."""
    headers = {0: [(RETRY_HEADER, b"1")]} if retried else {}
    given = messages([orjson.dumps(body)], first_offset=offset, headers=headers)
    block = EventDecoder(AHEAD_NS).decode(replace(given, partitions=1))
    moments = logic.process(block, Outputs())
    return [item[-1]["type"] for _, items in moments for item in items]


@pytest.mark.parametrize("restart", [False, True])
def test_a_letter_that_is_sent_again_twice_counts_once(restart: bool) -> None:
    logic = EventMerge(["market.ticks"])
    later = {"type": "closes", "prices": {"A": 1.0}}
    assert offered(logic, 9, later | {"ts_ns": NOW_NS}, retried=False) == []
    assert offered(logic, 7, SPLIT, retried=True) == []
    if restart:
        before, logic = logic, EventMerge(["market.ticks"])
        logic.restore(before.snapshot())
    found = offered(logic, 10, later | {"ts_ns": NOW_NS + 1}, retried=False)
    found += offered(logic, 7, SPLIT, retried=True)
    found += offered(logic, 8, SPLIT, retried=True)
    found += offered(logic, 11, later | {"ts_ns": NOW_NS + NS}, retried=False)
    assert found == ["split", "closes", "split", "closes"]
