"""What was recorded beyond the horizon is late, and visits that are over are forgotten after it."""

from __future__ import annotations

import random
from functools import partial
from typing import Any

import orjson

from connectors.hl7.message import Message
from operators.adt.held import Held
from operators.adt.timeline import PARTS, Timeline
from operators.outputs import Outputs
from state.adt.facts import Oddity
from state.adt.outputs import OUTPUTS
from tests.operators.adt.domains import history
from tests.operators.adt.tables import Tables, tables, told
from tests.reference.adt import timeline
from tests.reference.adt.rows import table

DAY = 86_400 * 10**9
SHORT = {"window_ns": DAY // 24, "corrected_ns": DAY, "horizon_ns": 10 * DAY}
"""A horizon of ten days."""
COLUMNS = ("kind", "patient", "visit", "location", "start", "end", "field")
"""Of an anomaly, in the order of the reference."""


def adt(trigger: str, day: int, hour: int = 8, visit: str = "1", more: str = "") -> bytes:
    """Return a message of an hour of a day of March 2024."""
    time = f"202403{day:02}{hour:02}"
    return "\r".join((
        rf"MSH|^~\&|PAS|GH|||{time}||ADT^{trigger}|{trigger}{time}{visit}|P|2.5",
        f"EVN|{trigger}|{time}||||{time}",
        f"PID|1||P{visit}^^^GH^MR||Doe",
        f"PV1|1|I|W^1^A{'|' * 16}V{visit}",
        *filter(None, [more]),
    )).encode()  # fmt: skip


def beats(day: int) -> list[bytes]:
    """Return messages that move the clock through a day, so that each part of the pages is seen."""
    return [
        rf"MSH|^~\&|PAS|GH|||202403{day:02}{hour:02}||ADT^A20|{day}{hour}|P|2.5"
        f"\rEVN|A20|202403{day:02}{hour:02}\rNPU|Z^1^A|U".encode()
        for hour in range(PARTS)
    ]


def run(*raws: bytes) -> tuple[Timeline, dict[str, Any], list[dict[str, Any]]]:
    """Return the logic, the tables and the late messages."""
    outputs, logic, found, late = Outputs(OUTPUTS), Timeline(32, **SHORT), Tables(), []
    for block in told(raws):
        list(logic.process(block, outputs))
        for batch in outputs.take():
            if batch.output == "late":
                late += [orjson.loads(value) for value in batch.values]
            else:
                found.take([batch])
    return logic, found.rows(), late


def test_what_is_beyond_the_horizon_is_late():
    _, found, late = run(adt("A01", 11), adt("A03", 1, 7), adt("A01", 1, 8, visit="2"))
    assert [row["reason"] for row in late] == ["BeyondHorizon"]
    assert late[0]["message"] == "adt.raw:0:1"
    assert {row["visit"] for row in found["location_visits"]} == {"V1^^^GH", "V2^^^GH"}


def test_a_visit_that_is_over_is_forgotten_and_its_rows_stay():
    obx = "OBX|1|NM|K^^LN||5|mmol/L|||||F|||2024030109"
    result = adt("R01", 1, 9, more=f"OBR|1||F1\r{obx}").replace(b"ADT^R01", b"ORU^R01")
    stay = [adt("A01", 1), result, adt("A03", 2)]
    before, shown, _ = run(*stay)
    logic, found, _ = run(*stay, *beats(23))
    assert before.describe("V1")
    assert logic.describe("V1") == {}
    assert len(logic.entities) == 3, "the person, the bed Z and the clock"
    for name in ("location_visits", "encounters", "patients", "observations"):
        assert found[name] == shown[name] != []


def test_a_daily_message_at_one_hour_lets_all_be_forgotten():
    raws = []
    for day in range(1, 31):
        raws += [adt("A01", day, 7, str(day)), adt("A03", day, 8, str(day))]
    logic, _, _ = run(*raws)
    assert [bool(logic.describe(f"V{day}")) for day in (1, 8, 12, 30)] == [False, False, True, True]


def test_results_of_a_visit_that_no_admission_told_are_forgotten_too():
    obx = "OBX|1|NM|K^^LN||5|mmol/L|||||F|||2024030109"
    result = adt("R01", 1, 9, more=f"OBR|1||F1\r{obx}").replace(b"ADT^R01", b"ORU^R01")
    logic, found, _ = run(result, *beats(23))
    assert len(found["observations"]) == 1
    assert len(logic.entities) == 2, "the bed Z and the clock"
    final = result.replace(b"20240301", b"20240312").replace(b"||F|||20240312", b"||F|||20240301")
    preliminary = result.replace(b"||F|||", b"||P|||").replace(b"PID|1", b"PID|2")
    stay = [adt("A01", 1), adt("A03", 1, 9), final]
    _, found, _ = run(*stay, *beats(22), preliminary.replace(b"|2024030109|", b"|2024031309|"))
    assert [row["status"] for row in found["observations"]] == ["final"]


def test_who_is_still_there_is_not_forgotten():
    logic, found, _ = run(adt("A01", 1), *beats(25))
    assert logic.describe("V1")
    _, after, _ = run(adt("A01", 1), *beats(25), adt("A03", 26))
    assert found["location_visits"][0]["end"] is None
    assert after["location_visits"][0]["end"] == "2024-03-26T08:00:00Z"


def test_a_number_that_was_merged_is_the_survivor_s_for_good():
    merge = adt("A40", 2, visit="2", more="MRG|P1^^^GH^MR")
    raws = [adt("A01", 1), adt("A03", 1, 9), merge, *beats(23), adt("A01", 24, 3, visit="1")]
    _, found, _ = run(*raws)
    assert {row["patient"] for row in found["location_visits"]} == {"P2^^^GH"}


def test_a_bed_that_was_left_long_ago_is_free_and_another_s():
    first = [adt("A01", 1), adt("A03", 2), *beats(23)]
    _, found, _ = run(*first, adt("A01", 24, visit="2"))
    assert [row["patient"] for row in found["beds"] if row["location"] == "W^1^A"] == ["P2^^^GH"]
    assert not found["anomalies"]


def test_within_the_horizon_nothing_changes():
    rng = random.Random(4)
    for number in range(100):
        raws = history(rng)
        assert tables(raws, make=partial(Timeline, **SHORT)) == tables(raws), f"{number}: {raws}"


def odd(day: int, visit: str = "1") -> bytes:
    """Return a message of a trigger that HL7 does not know."""
    return adt("A99", day, visit=visit)


def strange(logic: Timeline) -> list[Oddity]:
    """Return what is kept of what is strange in messages."""
    held = [logic.entities.get(name) for name in logic.entities]
    families = [each.read() for each in held if isinstance(each, Held)]
    return [each for family in families for each in family.strange()]


def test_what_is_strange_in_a_message_is_forgotten_and_its_row_stays():
    nobody = odd(1).replace(b"PID|1||P1^^^GH^MR", b"PID|1")
    before, shown, _ = run(odd(1), nobody)
    logic, found, _ = run(odd(1), nobody, *beats(23))
    assert len(strange(before)) == 2
    assert strange(logic) == []
    assert len(logic.entities) == 2, "the bed Z and the clock"
    assert found["anomalies"] == shown["anomalies"]
    assert [row["kind"] for row in found["anomalies"]] == ["trigger_unknown"] * 2


def test_what_is_told_again_counts_from_the_last_time():
    """The clinical time is the same, so it is one anomaly."""
    again = odd(1).replace(b"EVN|A99|2024030108", b"EVN|A99|2024031208")
    logic, found, _ = run(odd(1), again, *beats(23))
    assert [each.recorded_ns for each in strange(logic)] == [1_710_230_400 * 10**9]
    assert [row["kind"] for row in found["anomalies"]] == ["trigger_unknown"]


def test_a_merge_moves_what_is_strange_within_the_horizon_and_leaves_what_is_forgotten():
    def merge(day: int) -> bytes:
        return adt("A40", day, 23, visit="2", more="MRG|P1^^^GH^MR")

    for raws in ([odd(1), merge(10)], [merge(10), odd(1)]):
        _, found, _ = run(*raws)
        assert [row["patient"] for row in found["anomalies"]] == ["P2^^^GH"]
    _, found, late = run(odd(1), *beats(23), merge(23))
    assert [row["patient"] for row in found["anomalies"]] == ["P1^^^GH"]
    assert not late


def test_the_state_of_what_is_strange_is_bounded_by_the_horizon():
    sizes = []
    for days in (24, 30):
        logic, found, _ = run(*(odd(day, str(day)) for day in range(1, days + 1)))
        assert len(found["anomalies"]) == days
        sizes.append(len(strange(logic)))
        assert len(logic.entities) == sizes[-1] + 1, "one of each, and the clock"
    assert sizes == [sizes[0]] * 2


def test_after_the_horizon_the_rows_are_those_of_the_reference_and_nothing_strange_is_kept():
    rng = random.Random(5)
    seen = 0
    for number in range(150):
        raws = history(rng)
        wanted = timeline([Message(raw) for raw in raws]).anomalies
        shuffled = rng.sample(raws, len(raws))
        logic, found, late = run(*shuffled, *beats(28))
        assert (strange(logic), late) == ([], []), f"{number}: {raws}"
        rows = [{name: row[name] for name in COLUMNS} for row in found["anomalies"]]
        assert table(rows) == wanted, f"{number}: {raws}"
        seen += any(row["kind"].startswith("t") for row in found["anomalies"])
    assert seen > 20
