"""The last order ids: what is remembered, and that a snapshot shares nothing that changes."""

from __future__ import annotations

import pickle

import pytest

from operators.market.controls.order_ids import OrderIds


@pytest.mark.parametrize("capacity", [1, 3, 99, 100, 250, 1000])
def test_the_last_ids_are_known_and_hardly_more(capacity: int) -> None:
    ids = OrderIds(capacity)
    for i in range(3 * capacity + 7):
        assert str(i) not in ids
        ids.add(str(i))
        remembered = [j for j in range(i + 1) if str(j) in ids] if i % 50 == 0 else []
        if remembered:
            assert remembered == list(range(remembered[0], i + 1))
            assert min(i + 1, capacity) <= len(remembered) <= capacity + max(1, capacity // 100)


def test_a_restart_continues_exactly() -> None:
    whole, parted = OrderIds(250), OrderIds(250)
    for i in range(1000):
        whole.add(str(i))
        parted.add(str(i))
        if i % 7 == 0:
            kept = pickle.loads(pickle.dumps(parted.snapshot()))
            parted = OrderIds(250)
            parted.restore(kept)
            assert parted.snapshot() == whole.snapshot()
    assert [str(i) in parted for i in range(1000)] == [str(i) in whole for i in range(1000)]


def test_a_snapshot_is_a_copy() -> None:
    ids = OrderIds(3)
    ids.add("a")
    kept = ids.snapshot()
    then = pickle.dumps(kept)
    for order_id in "bcdefg":
        ids.add(order_id)
    assert pickle.dumps(kept) == then
