"""Pairs whose symbols come from different partitions, in whatever order these hand over."""

from __future__ import annotations

import itertools
import math
import pickle

import numpy as np
import pytest
from pydantic import ValidationError

from flows.market.settings import Market, Signals
from flows.market.signals import pairs_of
from operators.market.handover import Close, Handover
from operators.market.pair_signals import PairSignals
from operators.outputs import Emission
from state.clock import NS
from tests.contracts.operators import assert_plain

PAIRS = Signals(pairs={"A-B": ("A", "B"), "C-A": ("C", "A")}, pairs_min_observations=3)


def made() -> PairSignals:
    return pairs_of(Market(signals=PAIRS))


def handovers(partition: int, symbols: str, count: int, missing: int = -1) -> list[Handover]:
    """Return a bar of each symbol in every second, but none in the second ``missing``."""
    rng = np.random.default_rng(partition)
    found = []
    for second in range(1, count + 1):
        closes = [
            Close(second * NS, symbol, 0.0, True, 10.0 + rng.random())
            for symbol in symbols
            if second != missing
        ]
        found.append(Handover("t", 2, {partition: second * NS}, closes, []))
    return found


def accepted(pairs: PairSignals, given: list[Handover]) -> list[Emission]:
    return [record for handover in given for record in pairs.accept(handover)]


def test_the_order_in_which_partitions_come_changes_nothing() -> None:
    first, second = handovers(0, "A", 20), handovers(1, "BC", 20)
    alternating = [h for both in zip(first, second, strict=True) for h in both]
    expected = accepted(made(), alternating)
    assert [(r[0], r[3]) for r in expected[:2]] == [
        ("features", "A-B|pairs"), ("features", "C-A|pairs"),
    ]  # fmt: skip
    assert [r[1] // NS for r in expected] == [s for s in range(4, 21) for _ in range(2)]
    for order in (first + second, second + first):
        assert accepted(made(), order) == expected


def test_a_pair_steps_only_where_both_have_a_bar() -> None:
    given = [handovers(0, "A", 20, missing=10), handovers(1, "BC", 20)]
    found = accepted(made(), list(itertools.chain(*given)))
    assert {r[1] // NS for r in found} == set(range(4, 21)) - {10}


def test_nothing_comes_before_the_slowest_partition() -> None:
    pairs = made()
    assert accepted(pairs, handovers(0, "ABC", 20)) == []
    assert len(accepted(pairs, handovers(1, "", 7))) == 2 * (7 - 3)


def test_a_restored_merge_goes_on_bit_for_bit_and_its_snapshot_is_a_copy() -> None:
    given = [*handovers(0, "A", 20)[:12], *handovers(1, "BC", 20), *handovers(0, "A", 20)[12:]]
    whole = made()
    expected = accepted(whole, given)
    for cut in (0, 5, 15, 33):
        pairs = made()
        found = accepted(pairs, given[:cut])
        kept = pairs.snapshot()
        assert_plain(kept)
        then = pickle.dumps(kept)
        accepted(pairs, given[cut:])
        assert pickle.dumps(kept) == then
        other = made()
        other.restore(pickle.loads(then))
        assert found + accepted(other, given[cut:]) == expected
    assert len(pickle.dumps(whole.snapshot())) < 1000


def test_the_value_is_that_of_the_filter_of_the_pair() -> None:
    records = accepted(made(), [*handovers(0, "A", 20), *handovers(1, "BC", 20)])
    for _, ts_ns, identity, _, record in records:
        assert identity == record["id"] == f"{record['symbol']}|pairs|{ts_ns}"
        details = record["details"]
        assert record["value"] == details["innovation"] / math.sqrt(details["variance"])


def test_a_pair_of_one_symbol_is_refused() -> None:
    with pytest.raises(ValidationError, match="odd has one symbol twice"):
        Market(signals=Signals(pairs={"odd": ("A", "A")}))
