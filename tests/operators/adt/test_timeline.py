"""The timeline of a domain: any order of arrival, any cut and any restart tell the same."""

from __future__ import annotations

import random
from itertools import permutations
from typing import Any

import orjson
import pytest

from operators.adt import timeline
from operators.adt.held import Held
from operators.adt.timeline import Timeline
from operators.outputs import Outputs
from state.adt.facts import Told
from state.adt.outputs import OUTPUTS
from state.errors import SnapshotRefused
from state.rows import RowBlock
from tests.contracts import logics as contract
from tests.operators.adt.domains import history
from tests.operators.adt.tables import Rows, tables, told


def message(trigger: str, clock: str, body: str, recorded: str = "") -> bytes:
    """Return a message about patient 1 and visit V1; times are HHMM of one day."""
    at, noted = f"20240305{clock}", f"20240305{recorded or clock}"
    head = rf"MSH|^~\&|PAS|GH|||{noted}||ADT^{trigger}|1|P|2.5"
    return f"{head}\rEVN|{trigger}|{noted}||||{at}\r{body}".encode()


def visit(location: str, patient: str = "1", number: str = "V1", mother: str = "") -> str:
    """Return PID and PV1."""
    return f"PID|1||{patient}{'|' * 18}{mother}\rPV1|1|I|{location}{'|' * 16}{number}"


ADMITTED = message("A01", "0800", visit("W^1^A"))
MOVED = message("A02", "1000", visit("W^2^B"))
CANCELLED = message("A11", "0800", visit("W^1^A"), "1200")
AGAIN = message("A01", "1300", visit("W^9^Z"))
MERGED = message("A40", "1400", "PID|1||2\rMRG|1")


def beds(found: dict[str, Rows]) -> list[str]:
    return [row["location"] for row in found["location_visits"]]


@pytest.mark.parametrize(
    ("raws", "wanted"),
    [
        ([ADMITTED, MOVED], ["W^1^A", "W^2^B"]),
        ([ADMITTED, MOVED, CANCELLED], []),
        ([ADMITTED, MOVED, CANCELLED, AGAIN, MERGED], ["W^9^Z"]),
    ],
    ids=["stay", "cancelled", "again"],
)
def test_every_order_of_arrival_gives_one_table(raws, wanted):
    whole = tables(raws)
    assert beds(whole) == wanted
    for order in permutations(raws):
        assert tables(order) == whole
        assert tables([*order, *order]) == whole


def test_a_merge_takes_the_visits_along_and_the_old_key_away():
    found = tables([ADMITTED, MERGED])
    assert [row["patient"] for row in found["location_visits"]] == ["2^^^GH"]
    assert [row["patient"] for row in found["encounters"]] == ["2^^^GH"]
    assert found["anomalies"] == []


def test_two_patients_in_one_bed_are_strange_until_one_of_them_never_came():
    other = message("A01", "0900", visit("W^1^A", "2", "V2"))
    double = tables([ADMITTED, other])["anomalies"]
    assert [(row["kind"], row["patient"], row["start"]) for row in double] == [
        ("double_booked", patient, "2024-03-05T09:00:00Z") for patient in ("1^^^GH", "2^^^GH")
    ]
    never = message("A11", "0900", visit("W^1^A", "2", "V2"), "0930")
    assert tables([ADMITTED, other, never])["anomalies"] == []
    assert tables([ADMITTED, other, MERGED])["anomalies"] == []


def test_a_mother_and_her_newborn_may_share_a_bed():
    newborn = message("A01", "0900", visit("W^1^A", "2", "V2", mother="1"))
    assert tables([ADMITTED, newborn])["anomalies"] == []
    assert tables([newborn, ADMITTED])["anomalies"] == []
    twin = message("A01", "0900", visit("W^1^A", "3", "V3", mother="1"))
    assert tables([twin, newborn])["anomalies"] == []


def test_the_number_of_a_visit_that_another_patient_has_is_strange():
    other = message("A01", "0900", visit("W^3^A", "2"))
    found = tables([ADMITTED, other])
    assert [row["kind"] for row in found["anomalies"]] == ["visit_reused"] * 2
    assert len(found["encounters"]) == 2
    assert tables([ADMITTED, other, MERGED])["anomalies"] == []


def test_another_hospital_has_beds_and_numbers_of_its_own():
    elsewhere = message("A01", "0900", visit("W^1^A", "2^^^X", "V1^^^X")).replace(b"|GH|", b"|NH|")
    here = message("A01", "0800", visit("W^1^A", "1^^^X", "V1^^^X"))
    found = tables([here, elsewhere])
    assert found["anomalies"] == []
    assert [(row["domain"], row["location"]) for row in found["beds"]] == [
        ("GH", "W^1^A"), ("NH", "W^1^A"),
    ]  # fmt: skip


def test_a_bed_tells_its_status_and_who_is_in_it():
    status = message("A20", "0700", "NPU|W^1^A|C")
    [bed] = tables([status])["beds"]
    assert (bed["status"], bed["patient"], bed["since"]) == ("C", None, "2024-03-05T07:00:00Z")
    [bed] = tables([status, ADMITTED])["beds"]
    assert (bed["status"], bed["patient"], bed["since"]) == (
        "C", "1^^^GH", "2024-03-05T08:00:00Z",
    )  # fmt: skip
    assert tables([ADMITTED, CANCELLED])["beds"] == []
    older = message("A20", "0600", "NPU|W^1^A|O", "1200")
    assert tables([status, older]) == tables([status])


def test_a_visit_counts_its_changes_and_names_the_messages_behind_it():
    outputs, logic = Outputs(OUTPUTS), Timeline(8)
    records = []
    for block in told([ADMITTED, ADMITTED, MOVED, CANCELLED]):
        list(logic.process(block, outputs))
        records += [
            orjson.loads(value)
            for batch in outputs.take()
            if batch.output == "location_visits"
            for value in batch.values
        ]
    assert [(r.get("version"), r.get("because")) for r in records] == [
        (1, ["adt.raw:0:0"]),
        (2, ["adt.raw:0:0", "adt.raw:0:2"]),
        (None, None),
    ]
    assert records[-1]["retracted"]
    assert records[-1]["key"] == "V1^^^GH|1^^^GH|GH"
    assert records[-1]["id"] == "V1^^^GH|1^^^GH|GH|3"


def test_a_visit_is_shown_with_the_trigger_and_the_time_of_each_message():
    outputs, logic = Outputs(OUTPUTS), Timeline(8)
    for block in told([ADMITTED, MOVED, MERGED]):
        list(logic.process(block, outputs))
    assert logic.describe("V9") == {}
    assert logic.describe("V1") == logic.describe("V1^^^GH")
    [shown] = logic.describe("V1")["visits"]
    assert (shown["patient"], shown["encounter"]["status"]) == ("2^^^GH", "in-progress")
    assert [row["location"] for row in shown["stays"]] == ["W^1^A", "W^2^B"]
    assert [(each["trigger"], each["message"]) for each in shown["because"]] == [
        ("A01", "adt.raw:0:0"), ("A02", "adt.raw:0:1"), ("merge", "adt.raw:0:2"),
    ]  # fmt: skip


def test_a_cancelled_visit_and_one_of_two_of_a_number_are_shown_once():
    outputs, logic = Outputs(OUTPUTS), Timeline(8)
    other = message("A01", "0900", visit("W^3^A", number="V1^^^B"))
    for block in told([ADMITTED, CANCELLED, other]):
        list(logic.process(block, outputs))
    shown = logic.describe("V1")["visits"]
    assert [(each["visit"], each["encounter"]["status"]) for each in shown] == [
        ("V1^^^B", "in-progress"), ("V1^^^GH", "cancelled"),
    ]  # fmt: skip


def test_a_hall_that_is_called_a_bed_costs_what_is_new_in_it():
    """Each arrival is a double booking with all before it, and no pair is looked at again."""
    raws = [message("A01", "0900", visit("ED^HALL^1", f"P{n}", f"V{n}")) for n in range(150)]
    outputs, logic, blocks = Outputs(OUTPUTS), Timeline(8), told(raws)
    for block in blocks[:-1]:
        list(logic.process(block, outputs))
    outputs.take()
    list(logic.process(blocks[-1], outputs))
    emitted = {batch.output: len(batch) for batch in outputs.take()}
    assert emitted["anomalies"] == 1, "the others have been double booked since then, too"


def test_families_stay_open_while_messages_are_about_them(monkeypatch):
    monkeypatch.setattr(timeline, "MOST_OPEN", 4)  # two statements of each patient
    raws = [message("A01", "0900", visit("W^1^A", f"P{n}", f"V{n}")) for n in range(4)]
    logic = Timeline(1)
    for block in told([*raws, raws[2]]):
        list(logic.process(block, Outputs(OUTPUTS)))
    logic.entities.dump(0)
    held = {name: logic.entities.get(name) for name in logic.entities}
    families = {name: each for name, each in held.items() if isinstance(each, Held)}
    still_open = [name for name, each in families.items() if each._family is not None]
    assert [name.rpartition("\x1f")[2] for name in still_open] == ["P2^^^GH", "P3^^^GH"]


def test_what_is_read_and_not_changed_rests_as_bytes_again(monkeypatch):
    monkeypatch.setattr(timeline, "MOST_OPEN", 0)
    first = Timeline(2)
    for block in told([ADMITTED, MOVED]):
        list(first.process(block, Outputs(OUTPUTS)))
    second = Timeline(2)
    for page in first.entities.filled():
        second.entities.load(page, first.entities.dump(page))
    for block in told([MOVED]):
        list(second.process(block, Outputs(OUTPUTS)))
    held = [second.entities.get(name) for name in second.entities]
    assert sorted(type(each).__name__ for each in held) == ["Clock", "Held"]
    assert [each._family for each in held if isinstance(each, Held)] == [None]
    assert second.entities.take_touched() == []


def stream(seed: int) -> list[RowBlock[Told]]:
    """Return blocks of a message each, of histories that belong together, in any order, twice."""
    rng = random.Random(seed)
    raws = [raw for _ in range(30) for raw in history(rng)]
    raws += rng.sample(raws, 30)
    rng.shuffle(raws)
    found = []
    for offset, raw in enumerate(raws):
        try:
            found += told([raw], offset)
        except ValueError:
            continue
    return found


def test_the_timeline_keeps_the_contract_of_logics():
    contract.check(lambda: Timeline(16), stream(1), OUTPUTS)


def test_what_another_program_kept_is_refused():
    pages: Any = Timeline(4).entities
    with pytest.raises(SnapshotRefused, match="form of patients"):
        pages.load(0, {"V1": ([(1, 2, "", "A01", "P1", "V1", "W^1^A")], True)})
