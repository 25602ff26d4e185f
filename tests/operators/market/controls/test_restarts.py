"""Restarts, snapshots and bounds, over entries at random."""

from __future__ import annotations

import copy
import pickle
import random
from dataclasses import replace

import orjson
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from operators.market.controls.controls import Controls
from operators.market.controls.entries import Emitted
from operators.market.controls.limits import ControlSettings
from state.clock import NS
from tests.operators.market.controls.random_entries import SMALL, applied, entries
from tests.operators.market.controls.stage import WIDE, Stage, state_of


@pytest.mark.parametrize("seed", range(5))
def test_a_restart_anywhere_continues_exactly(seed: int) -> None:
    rng = random.Random(seed)
    whole, parted = Controls(SMALL), Controls(SMALL)
    reasons = set()
    for entry in entries(seed, 2500):
        body = copy.deepcopy(entry.body)
        expected = applied(whole, entry)
        assert applied(parted, entry) == expected
        assert entry.body == body, "an entry is not changed"
        reasons |= {e.record.get("reason") for e in expected if isinstance(e, Emitted)}
        if rng.random() < 0.1:
            kept = pickle.loads(pickle.dumps(parted.snapshot()))
            parted = Controls(SMALL)
            parted.restore(kept)
            assert parted.snapshot() == whole.snapshot()
    assert {"NONE", "POSITION_LIMIT", "DUPLICATE_ORDER", "MALFORMED", "ACCOUNT_HALTED"} <= reasons
    assert {"STALE_DATA", "SYMBOL_PAUSED", "PRICE_COLLAR", "ACCOUNT_REDUCING"} <= reasons


def test_a_snapshot_is_a_copy_of_plain_values() -> None:
    controls = Controls(SMALL)
    stream = entries(1, 800)
    for entry in stream[:400]:
        applied(controls, entry)
    kept = controls.snapshot()
    then = pickle.dumps(kept)
    for entry in stream[400:]:
        applied(controls, entry)
    assert pickle.dumps(kept) == then
    assert b"operators" not in then, "no instance is pickled"


def test_records_are_json_and_their_ids_are_unique() -> None:
    controls = Controls(SMALL)
    ids = []
    for entry in entries(2, 1500):
        found = applied(controls, entry)
        for emitted in found if isinstance(found, list) else []:
            assert orjson.loads(orjson.dumps(emitted.record)) == emitted.record
            ids.append((emitted.output, emitted.record["id"]))
    assert len(set(ids)) == len(ids)


def test_memory_is_bounded() -> None:
    s = Stage(ControlSettings(limits=WIDE, order_ids=20, max_accounts=20, symbol_ttl_ns=60 * NS))
    sizes = []
    for period in range(6):
        for i in range(600):
            name = f"{period}.{i:03}"
            s.quote(symbol=name)
            s.order(name, account=f"a{i % 30}", symbol=name)
            s.cancel(name, account=f"a{i % 30}")
        s.wait(61)
        s.beat()
        sizes.append(len(state_of(s.controls)))
    assert max(sizes[2:]) <= 1.02 * max(sizes[:2]), sizes


@hypothesis_settings(max_examples=60)
@given(data=st.data())
def test_no_order_of_fills_takes_a_position_beyond_its_limit(data: st.DataObject) -> None:
    """Whatever was accepted, filled in part and in any order, while cancels go on."""
    s = Stage(ControlSettings(limits=replace(WIDE, max_position=10.0)))
    s.quote()
    left: dict[str, tuple[str, int]] = {}
    for i in range(data.draw(st.integers(1, 40))):
        act = data.draw(st.sampled_from(["order", "order", "fill", "fill", "cancel"]))
        if act == "order":
            side, lots = data.draw(st.sampled_from(["buy", "sell"])), data.draw(st.integers(1, 60))
            if s.order(str(i), side=side, quantity=lots / 10)["decision"] == "accept":
                left[str(i)] = (side, lots)
        elif left:
            order_id = data.draw(st.sampled_from(sorted(left)))
            side, lots = left.pop(order_id)
            if act == "cancel":
                s.cancel(order_id)
                continue
            part = data.draw(st.integers(1, lots))
            if part < lots:
                left[order_id] = (side, lots - part)
            held = s.fill(order_id, side=side, quantity=part / 10)["position"]
            assert -10.0 <= held <= 10.0


@hypothesis_settings(max_examples=60)
@given(data=st.data())
def test_while_reducing_no_fill_takes_a_position_away_from_nothing(data: st.DataObject) -> None:
    s = Stage()
    s.quote()
    start = data.draw(st.integers(-50, 50).filter(bool))
    held = s.fill("0", side="buy" if start > 0 else "sell", quantity=abs(start) / 10)["position"]
    s.control("state", state="REDUCING")
    left: list[tuple[str, str, int]] = []
    for i in range(data.draw(st.integers(1, 30))):
        fills = data.draw(st.booleans())
        if left and fills:
            order_id, side, lots = left.pop(data.draw(st.integers(0, len(left) - 1)))
            part = data.draw(st.integers(1, lots))
            if part < lots:
                left.append((order_id, side, lots - part))
            now = s.fill(order_id, side=side, quantity=part / 10)["position"]
            assert abs(now) < abs(held)
            assert now * held >= 0.0
            held = now
            continue
        side, lots = data.draw(st.sampled_from(["buy", "sell"])), data.draw(st.integers(1, 30))
        if s.order(str(i + 1), side=side, quantity=lots / 10)["decision"] == "accept":
            left.append((str(i + 1), side, lots))
