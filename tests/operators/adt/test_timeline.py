"""The timeline of a visit: any order of arrival, any cut and any restart tell the same."""

from __future__ import annotations

import random
from itertools import permutations
from typing import Any

import orjson
import pytest

from connectors.adt.messages import parse
from operators.adt.timeline import Timeline, stays
from operators.outputs import Outputs
from state.adt.facts import Fact, Told
from state.adt.outputs import OUTPUTS
from state.errors import BadRecord
from state.records import Coordinates
from state.rows import RowBlock
from tests.contracts import logics as contract

S = 1_000_000_000


def fact(trigger: str, clinical_s: int, recorded_s: int, location: str = "W^1^A") -> Fact:
    return Fact(clinical_s * S, recorded_s * S, "", trigger, "P1", "V1", location)


STAY = [fact("A01", 10, 11), fact("A02", 20, 21, "W^2^B"), fact("A02", 30, 31, "W^3^C")]
CANCELLED = [*STAY, fact("A11", 10, 40)]
AGAIN = [*CANCELLED, fact("A01", 50, 51, "W^9^Z")]


def block(facts: list[Fact], first: int = 0) -> RowBlock[Told]:
    rows = [Told(Coordinates("adt.raw", 0, first + n), each) for n, each in enumerate(facts)]
    return RowBlock("adt.raw", 1, rows)


def table(facts: list[Fact]) -> dict[str, Any]:
    """Return what is in the table after these facts came in this order."""
    outputs, logic = Outputs(OUTPUTS), Timeline(8)
    found: dict[str, Any] = {}
    for n, each in enumerate(facts):
        list(logic.process(block([each], n), outputs))
        for batch in outputs.take():
            for row, key in enumerate(batch.keys):
                found[key] = orjson.loads(batch.values[row])
                if row in batch.retracted:
                    del found[key]
    return found


def test_a_stay_has_a_row_for_each_bed() -> None:
    assert [(s["location"], s["from_ns"], s["to_ns"]) for s in stays(STAY)] == [
        ("W^1^A", 10 * S, 20 * S),
        ("W^2^B", 20 * S, 30 * S),
        ("W^3^C", 30 * S, None),
    ]


@pytest.mark.parametrize(
    ("facts", "beds"), [(STAY, 3), (CANCELLED, 0), (AGAIN, 1)], ids=["stay", "cancelled", "again"]
)
def test_every_order_of_arrival_gives_one_table(facts: list[Fact], beds: int) -> None:
    whole = table(facts)
    assert [len(record["stays"]) for record in whole.values()] == ([beds] if beds else [])
    for order in permutations(facts):
        assert table(list(order)) == whole
        assert table([*order, *order]) == whole


def test_a_cancel_takes_the_key_out_once() -> None:
    outputs, logic = Outputs(OUTPUTS), Timeline(8)
    list(logic.process(block([*CANCELLED, *CANCELLED]), outputs))
    (batch,) = outputs.take()
    assert sorted(batch.retracted) == [3]
    assert len(batch) == 4
    assert orjson.loads(batch.values[3]) == {
        "id": batch.ids[3], "key": "V1", "retracted": True, "ts_ns": 40 * S,
    }  # fmt: skip


def visits(seed: int) -> list[RowBlock[Told]]:
    """Return blocks of one message each, of visits whose messages come in any order, twice."""
    rng = random.Random(seed)
    facts = [
        each._replace(visit=f"V{v}", patient=f"P{v}", location=f"W^{v}^{n}")
        for v in range(40)
        for n, each in enumerate(rng.choice((STAY, CANCELLED, AGAIN)))
    ]
    facts += rng.sample(facts, 30)
    rng.shuffle(facts)
    return [block([each], n) for n, each in enumerate(facts)]


def test_the_timeline_keeps_the_contract_of_logics() -> None:
    contract.check(lambda: Timeline(16), visits(1), OUTPUTS)


def test_a_message_is_read_by_its_own_delimiters() -> None:
    message = (
        b"MSH|^~\\&|A|H|||20240102030405||ADT^A02|1|P|2.3\rEVN|A02|20240102030500|||"
        b"|20240102030000\rPID|1||4711^^^H\rPV1|1|I|W^2^B" + b"|" * 16 + b"V7^^^H\r"
    )
    [found] = parse(message)
    assert (found.trigger, found.patient, found.visit) == ("A02", "4711", "V7")
    assert found.location == "W^2^B"
    assert found.recorded_ns - found.clinical_ns == 300 * S
    [other] = parse(message.replace(b"|", b"#").replace(b"^", b"!"))
    assert other._replace(digest=found.digest) == found


def test_times_that_do_not_exist_are_not_used_and_an_old_sender_s_trigger_is() -> None:
    message = (
        b"MSH|^~\\&|A|H|||20240102030405-0500||ADT\rEVN|A02|20240102030500|||"
        b"|20240102036100\rPID|1||4711\rPV1|1|I|W" + b"|" * 16 + b"V7\r"
    )
    [found] = parse(message)
    assert found.trigger == "A02"
    assert found.clinical_ns == found.recorded_ns
    assert found.recorded_ns // S % 86_400 == (8 * 60 + 5) * 60, "in the zone of MSH-7"


@pytest.mark.parametrize(
    "message",
    [b"", b"MSH", b"PID|1", b"\xff", b"MSH|^~\\&|A|H|||20240102||ADT^A01\rPID|1||4711\rPV1|1"],
)
def test_what_cannot_be_used_is_refused_without_repeating_it(message: bytes) -> None:
    with pytest.raises(BadRecord) as refused:
        list(parse(message))
    assert "4711" not in str(refused.value)


@pytest.mark.parametrize("place", ["EVN-2", "EVN-6", "PV1-44", "PV1-45"])
@pytest.mark.parametrize("time", ["99991231", "00010101", "14920101", "23000101"])
def test_a_date_that_means_none_stops_nothing(place: str, time: str) -> None:
    """Senders write such dates where they know none."""
    fields = {
        name: time if name == place else "" for name in ("EVN-2", "EVN-6", "PV1-44", "PV1-45")
    }
    message = (
        f"MSH|^~\\&|A|H|||20240102030405||ADT^A03|1|P|2.3\rEVN|A03|{fields['EVN-2']}||||"
        f"{fields['EVN-6']}\rPID|1||4711\rPV1|1|I|W{'|' * 16}V7{'|' * 25}{fields['PV1-44']}|"
        f"{fields['PV1-45']}"
    )
    [found] = parse(message.encode())
    assert found.visit == "V7"
    assert found.clinical_ns == found.recorded_ns == 1_704_164_645 * S
    table([found, fact("A01", 10, 11)._replace(visit="V7")])


def test_the_bed_swap_of_one_visit_is_in_the_order_of_its_message() -> None:
    swap = b"MSH|^~\\&|A|H|||20240102||ADT^A17|1|P|2.3\r" + b"".join(
        b"PID|1||1\rPV1|1|I|W^%d%sV1\r" % (bed, b"|" * 16) for bed in (1, 2)
    )
    facts = list(parse(swap))
    assert [each.location for each in facts] == ["W^1", "W^2"]
    assert stays(facts) == stays(facts[::-1])
    assert facts[0].digest < facts[1].digest


def test_segments_in_any_place_and_the_first_number_that_can_be_used() -> None:
    message = (
        b"MSH|^~\\&|A|H|||20240102||ADT^A01|1|P|2.3\rPV1|1|I|W"
        + b"|" * 16
        + b'V7\rPID|1||""~90^^^N^NI'
        b"~1001^^^H^MR\r"
    )
    [found] = parse(message)
    assert (found.patient, found.visit, found.location) == ("1001", "V7", "W")


def test_in_a_swap_the_bed_before_is_the_other_s_new_one() -> None:
    swap = (
        b"MSH|^~\\&|A|H|||20240102||ADT^A17|1|P|2.3\rPID|1||1\rPV1|1|I|W^1" + b"|" * 16 + b"V1\r"
        b"PID|1||2\rPV1|1|I|W^2|||W^9" + b"|" * 13 + b"V2\r"
    )
    facts = [(each.visit, each.location, each.prior) for each in parse(swap)]
    assert facts == [("V1", "W^1", "W^2"), ("V2", "W^2", "W^9")]
