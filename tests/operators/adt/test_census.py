"""The census is that of the rows of all visits, in whatever order messages come."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import permutations
from typing import Any

import pytest
from orjson import loads

from operators.adt.census import Census, Presence
from operators.adt.timeline import Timeline
from operators.outputs import Outputs
from state.adt.outputs import OUTPUTS
from state.clock import DAY_NS, HOUR_NS
from tests.operators.adt.domains import history
from tests.operators.adt.tables import Rows, tables, told
from tests.operators.adt.test_attributes import Restored

HOUR = timedelta(hours=1)


def adt(trigger: str, time: str, bed: str, visit: str = "1", kind: str = "I") -> bytes:
    """Return a message of 5 March 2024 at an HHMM, recorded then."""
    return "\r".join((
        rf"MSH|^~\&|PAS|GH|||20240305{time}||ADT^{trigger}|{trigger}{time}{visit}|P|2.5",
        f"EVN|{trigger}|20240305{time}||||20240305{time}",
        f"PID|1||{visit}^^^GH^MR",
        f"PV1|1|{kind}|{bed}{'|' * 16}V{visit}",
    )).encode()  # fmt: skip


def beat(time: str) -> bytes:
    """Return a message that only moves the clock: a bed is clean."""
    head = rf"MSH|^~\&|PAS|GH|||20240305{time}||ADT^A20|{time}|P|2.5"
    return f"{head}\rEVN|A20|20240305{time}\rNPU|Z^1^A|U".encode()


def by_place(rows: Rows, *names: str) -> dict[tuple[str, int], Any]:
    """Return some fields by ward and hour of the day."""
    return {
        (row["ward"], datetime.fromisoformat(row["start"]).hour): tuple(row[n] for n in names)
        for row in rows
    }


def test_an_hour_is_told_when_it_is_over():
    assert tables([adt("A01", "0810", "W^1^A"), beat("0859")])["census"] == []
    [row] = tables([adt("A01", "0810", "W^1^A"), beat("0900")])["census"]
    assert row == {
        "domain": "GH",
        "ward": "W",
        "start": "2024-03-05T08:00:00Z",
        "end": "2024-03-05T09:00:00Z",
        "occupied": 1,
        "boarding": 0,
        "patient_s": 3000,
        "boarding_s": 0,
        "admissions": 1,
        "discharges": 0,
        "transfers_in": 0,
        "transfers_out": 0,
    }


def test_who_moves_leaves_one_ward_and_comes_to_another():
    raws = [adt("A01", "0810", "W^1^A"), adt("A02", "0830", "U^1^A"), adt("A02", "0840", "U^2^A")]
    raws += [adt("A03", "1000", "U^2^A"), beat("1200")]
    names = ("occupied", "admissions", "transfers_out", "transfers_in", "discharges")
    assert by_place(tables(raws)["census"], *names) == {
        ("W", 8): (0, 1, 1, 0, 0),
        ("U", 8): (1, 0, 0, 1, 0),
        ("U", 9): (1, 0, 0, 0, 0),
        ("U", 10): (0, 0, 0, 0, 1),
    }


def test_an_inpatient_in_an_emergency_bed_waits_for_a_bed():
    raws = [
        adt("A04", "0800", "ED^1^A", kind="E"),
        adt("A06", "0845", "ED^1^A"),
        adt("A02", "1015", "W^1^A"),
        beat("1100"),
    ]
    found = tables(raws)
    assert by_place(found["census"], "boarding", "boarding_s") == {
        ("ED", 8): (1, 900),
        ("ED", 9): (1, 3600),
        ("ED", 10): (0, 900),
        ("W", 10): (0, 0),
    }
    [encounter] = found["encounters"]
    assert (encounter["boarding_s"], encounter["transfers"]) == (5400, 1)


def test_who_is_nowhere_for_a_while_leaves_a_ward_and_comes_back():
    raws = [adt("A01", "0810", "W^1^A"), adt("A02", "0850", '""'), adt("A02", "1010", "W^2^A")]
    names = ("occupied", "transfers_out", "transfers_in", "patient_s")
    assert by_place(tables([*raws, beat("1100")])["census"], *names) == {
        ("W", 8): (0, 1, 0, 2400),
        ("W", 10): (1, 0, 1, 3000),
    }


@pytest.mark.parametrize("kind", ["O", "B", "R"])
def test_who_becomes_an_inpatient_elsewhere_than_in_an_emergency_does_not_wait(kind):
    raws = [adt("A04", "0800", "W^1^A", kind=kind), adt("A06", "0845", "W^1^A")]
    found = tables([*raws, adt("A02", "0850", "W^2^A"), beat("0900")])
    assert by_place(found["census"], "boarding", "boarding_s") == {("W", 8): (0, 0)}
    assert [each["boarding_s"] for each in found["encounters"]] == [0]


def test_a_wait_counts_after_a_move_within_the_ward_and_to_the_end_of_an_hour():
    comes = [adt("A04", "0800", "ED^1^A", kind="E"), adt("A06", "0815", "ED^1^A")]
    names = ("occupied", "boarding", "boarding_s", "transfers_out")
    within = tables([*comes, adt("A02", "0845", "ED^2^A"), beat("0900")])
    assert by_place(within["census"], *names) == {("ED", 8): (1, 0, 1800, 0)}
    sharp = tables([*comes, adt("A02", "0900", "W^1^A"), beat("1000")])["census"]
    assert by_place(sharp, *names) == {
        ("ED", 8): (1, 1, 2700, 0),
        ("ED", 9): (0, 0, 0, 1),
        ("W", 9): (1, 0, 0, 0),
    }
    assert [each["boarding_s"] for each in tables(comes)["encounters"]] == [0], "it lasts"


def test_a_late_message_corrects_what_was_told():
    outputs, logic = Outputs(OUTPUTS), Timeline(8)
    raws = [adt("A01", "0810", "W^1^A"), beat("1000"), adt("A03", "0930", "W^1^A")]
    raws += [adt("A11", "1005", "W^1^A")]
    said = []
    for block in told(raws):
        list(logic.process(block, outputs))
        said += [batch for batch in outputs.take() if batch.output == "census"]
    versions = [
        (len(batch.retracted), *(value.count(b'"version":2') for value in batch.values))
        for batch in said
    ]
    # Hours 8 and 9; hour 9 again; none of the two, for the admission was an error.
    assert versions == [(0, 0, 0), (0, 1), (2, 0, 0)]
    deltas = [[loads(each).get("delta") for each in batch.values] for batch in said[:2]]
    assert deltas == [[None, None], [-1]]


def test_what_is_too_late_corrects_nothing():
    make = partial(Timeline, window_ns=3600 * 10**9, corrected_ns=2 * 3600 * 10**9)
    late = [beat("0800"), beat("1200"), adt("A01", "0710", "W^1^A"), beat("1300")]
    hours = {hour for _, hour in by_place(tables(late, make=make)["census"])}
    assert hours == {10, 11, 12}


def test_a_clock_that_leaps_tells_the_last_week_alone():
    far = beat("0800").replace(b"20240305", b"20240705")
    outputs, logic, count = Outputs(OUTPUTS), Timeline(8), 0
    for block in told([adt("A01", "0810", "W^1^A"), far]):
        list(logic.process(block, outputs))
        count += sum(len(b.values) for b in outputs.take() if b.output == "census")
    assert count == 7 * 24


def test_random_histories_have_the_census_of_their_rows():
    rng = random.Random(1)
    for number in range(150):
        raws = [*history(rng), beat("2300")]
        found = tables(raws)
        wanted = brute(found["location_visits"], found["encounters"])
        assert sorted(found["census"], key=_order) == wanted, f"{number}: {raws}"
        assert tables(raws, make=Restored) == found, f"{number}: {raws}"
        rng.shuffle(raws)
        assert tables(raws) == found, f"{number}: {raws}"


def test_a_census_keeps_nothing_of_a_ward_or_an_end_that_no_visit_has():
    """A ward is any text, and a discharge may be typed a century ahead: each was kept for good."""
    census = Census(HOUR_NS, 7 * DAY_NS)
    for n in range(50):
        stays = (Presence(f"W{n}", 0, None, admitted=True, discharged=False, boarding=()),)
        ends = (stays[0]._replace(end_ns=(n + 1) * 10**6 * HOUR_NS),)
        for before, after in (((), stays), (stays, ends), (ends, ())):
            census.follow([(("P", "V"), before, after)])
            census.advance((2 * n + 1) * HOUR_NS)
    assert not any((census._visits, census._moving, census._staying, census._ended))


def test_all_orders_of_a_day_give_one_census():
    raws = [adt("A01", "0810", "W^1^A"), adt("A02", "0930", "U^1^A"), adt("A12", "0940", "W^1^A")]
    raws += [adt("A01", "0910", "W^2^A", "2"), beat("1100")]
    found = tables(raws)["census"]
    assert all(tables(order)["census"] == found for order in permutations(raws))


def brute(rows: Rows, encounters: Rows) -> Rows:
    """Return the census of the rows of visits, minute by minute."""
    found: dict[tuple[str, datetime], dict[str, int]] = {}
    left = {(row["patient"], row["visit"]): row["discharged"] for row in encounters}
    for stays in _visits(rows):
        left_at = left.get((stays[0]["patient"], stays[0]["visit"]))
        for at, stay in enumerate(stays):
            for name, when in _events(stays, at, left_at):
                _add(found, _place(stay, when), name)
            for minute in _minutes(stay):
                _add(found, _place(stay, minute), "patient_s", 60)
                if _boards(stays, at):
                    _add(found, _place(stay, minute), "boarding_s", 60)
            for hour in _hours(stay):
                _add(found, _place(stay, hour), "occupied")
                if _boards(stays, at):
                    _add(found, _place(stay, hour), "boarding")
    counted = ("occupied", "boarding", "patient_s", "boarding_s", "admissions", "discharges",
               "transfers_in", "transfers_out")  # fmt: skip
    lines = [
        {
            "domain": "GH",
            "ward": ward,
            "start": _iso(hour),
            "end": _iso(hour + HOUR),
            **{name: counts.get(name, 0) for name in counted},
        }
        for (ward, hour), counts in found.items()
    ]
    return sorted(lines, key=_order)


def _order(row: dict[str, Any]) -> tuple[str, str]:
    return row["ward"], row["start"]


def _visits(rows: Rows) -> list[Rows]:
    keys = sorted({(row["patient"], row["visit"]) for row in rows})
    return [
        sorted((r for r in rows if (r["patient"], r["visit"]) == key), key=lambda r: r["start"])
        for key in keys
    ]


def _events(stays: Rows, at: int, left: str | None) -> list[tuple[str, datetime]]:
    before = stays[at - 1] if at else None
    after = stays[at + 1] if at + 1 < len(stays) else None
    found = []
    if not _goes_on(before, stays[at]):
        found.append(("admissions" if before is None else "transfers_in", _start(stays[at])))
    end = _end(stays[at])
    if end is not None and not _goes_on(stays[at], after):
        is_last = after is None and stays[at]["end"] == left
        found.append(("discharges" if is_last else "transfers_out", end))
    return [(name, when) for name, when in found if when < NOW]


def _goes_on(one: dict[str, Any] | None, two: dict[str, Any] | None) -> bool:
    if one is None or two is None:
        return False
    return _ward(one) == _ward(two) and one["end"] == two["start"]


def _boards(stays: Rows, at: int) -> bool:
    if not at:
        return False
    one, two = stays[at - 1], stays[at]
    same = one["location"] == two["location"] and one["end"] == two["start"]
    return same and (one["class"], two["class"]) == ("E", "I")


NOW = datetime(2024, 3, 5, 23, tzinfo=UTC)


def _hours(stay: dict[str, Any]) -> list[datetime]:
    """Return the hours at whose end the patient is there."""
    hours = [NOW.replace(hour=hour) for hour in range(23)]
    end = _end(stay) or NOW + HOUR
    return [each for each in hours if _start(stay) < each + HOUR <= end]


def _minutes(stay: dict[str, Any]) -> list[datetime]:
    end, minute, found = min(_end(stay) or NOW, NOW), _start(stay), []
    while minute < end:
        found.append(minute)
        minute += timedelta(minutes=1)
    return found


def _place(stay: dict[str, Any], when: datetime) -> tuple[str, datetime]:
    return _ward(stay), when.replace(minute=0, second=0)


def _ward(stay: dict[str, Any]) -> str:
    ward, *rest = stay["location"].split("^")
    return f"{ward}^^^{rest[2]}" if len(rest) > 2 else ward


def _add(found: Any, place: tuple[str, datetime], name: str, by: int = 1) -> None:
    counts = found.setdefault(place, {})
    counts[name] = counts.get(name, 0) + by


def _start(stay: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(stay["start"])


def _end(stay: dict[str, Any]) -> datetime | None:
    return datetime.fromisoformat(stay["end"]) if stay["end"] else None


def _iso(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")
