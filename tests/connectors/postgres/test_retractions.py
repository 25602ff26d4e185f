"""A key that is taken away is gone from the latest rows; history keeps what was."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from connectors.kafka.sink import RETRACTED_HEADER
from connectors.postgres.client import Connection
from connectors.postgres.decode import HistoryDecoder
from connectors.postgres.history import Page, Position, page
from connectors.postgres.keeping import Keeping
from connectors.postgres.reader import records
from connectors.postgres.sink import PostgresPartition
from connectors.postgres.tables import Table
from state.clock import DAY_NS
from state.outputs import to_json
from state.retraction import retraction
from tests.connectors.postgres.rows import T0, YEAR_NS, messages
from tests.connectors.postgres.wards import BEDS, SEALED, bed, envelope, filled, sink_of
from tests.connectors.postgres.writing import count

EVER = (0, 2**63 - 1)
WARD = "north"


@pytest.fixture
def sink(database: str) -> Iterator[PostgresPartition]:
    made = sink_of(database)
    yield made
    made.close()


def gone(number: int, ts_ns: int) -> dict[str, Any]:
    """The retraction of a bed."""
    return retraction(BEDS, ts_ns, f"gone|B{number}|{ts_ns}", f"{WARD}|B{number}")


def latest(connection: Connection) -> list[tuple[str, str | None]]:
    rows = connection.execute("SELECT bed, patient FROM wards_beds_latest ORDER BY bed").fetchall()
    return [(name, patient) for name, patient in rows]


def test_the_last_row_of_a_key_is_shown_until_it_is_taken_away(
    sink: PostgresPartition, connection: Connection
) -> None:
    # All of one event time, as messages of one second are: the counter tells which word is newer.
    sink.write_batch([filled(BEDS, [bed(1, WARD, T0, "A") | {"id": "z"}, bed(2, WARD, T0, "B")])])
    sink.write_batch([filled(BEDS, [bed(1, WARD, T0, "C") | {"id": "a"}], first=3)])
    assert latest(connection) == [("B1", "C"), ("B2", "B")]
    sink.write_batch([filled(BEDS, [gone(1, T0)], first=4)])
    assert latest(connection) == [("B2", "B")]
    sink.write_batch([filled(BEDS, [bed(1, WARD, T0, "D") | {"id": "m"}], first=5)])
    assert latest(connection) == [("B1", "D"), ("B2", "B")]
    kept = [record["patient"] for record in records(connection, Table(BEDS), 1)]
    assert sorted(kept) == ["A", "B", "C", "D"]


@pytest.mark.parametrize("size", [1, 7, 4096])
def test_however_words_are_cut_and_repeated_the_latest_are_those_of_a_replay(
    size: int, sink: PostgresPartition, connection: Connection
) -> None:
    chance = random.Random(7)
    held: dict[str, str | None] = {}
    words = []
    for number in range(300):
        which = chance.randrange(12)
        if chance.random() < 0.3:
            words.append(gone(which, T0 + number // 9))
            words[-1]["id"] += f"|{number}"
            held.pop(f"B{which}", None)
        else:
            words.append(bed(which, WARD, T0 + number // 9, str(number)) | {"id": f"{number}"})
            held[f"B{which}"] = str(number)
    for start in range(0, len(words), size):
        part = filled(BEDS, words[start : start + size], first=start + 1)
        sink.write_batch([part])
        if start % 3 == 0:
            sink.write_batch([part])  # as after a crash
    assert latest(connection) == sorted(held.items())
    retracted = sum("retracted" in word for word in words)
    assert count(connection, "headrace_retractions") == retracted
    assert count(connection, "wards_beds") == len(words) - retracted


def test_a_retraction_before_its_row_is_not_its_end(
    sink: PostgresPartition, connection: Connection
) -> None:
    later, earlier = filled(BEDS, [bed(1, WARD, T0)], first=2), filled(BEDS, [gone(1, T0)])
    sink.write_batch([later])
    sink.write_batch([earlier])
    assert latest(connection) == [("B1", None)]


def test_a_generation_sees_its_own_retractions(
    sink: PostgresPartition, connection: Connection
) -> None:
    block = filled(BEDS, [bed(1, WARD, T0), gone(1, T0 + 1)])
    block.retractions = [each._replace(generation=2) for each in block.retractions]
    sink.write_batch([block])
    assert latest(connection) == [("B1", None)]


def test_pages_show_retractions_where_they_are_asked_for(
    sink: PostgresPartition, connection: Connection
) -> None:
    words = [bed(1, WARD, T0), bed(2, WARD, T0), gone(1, T0 + 1000), bed(2, WARD, T0 + 2000, "X")]
    other = bed(7, "south", T0 + 3000) | {"id": "same"}
    twin = retraction(BEDS, T0 + 3000, "same", "south|B7")
    words += [gone(2, T0 + 2000), other, twin]
    sink.write_batch([filled(BEDS, words)])
    # At one time by id: "gone|…" is before "north|…".
    whole = [words[n] for n in (0, 1, 2, 4, 3)] + [other, twin]
    for limit in (1, 2, 3, 100):
        found: list[dict[str, Any]] = []
        after: Position | None = None
        while True:
            part, after = page(connection, Table(BEDS), {}, *EVER, limit, after, retractions=True)
            found += part
            if after is None:
                break
        assert [to_json(record) for record in found] == [to_json(record) for record in whole]
    only = page(connection, Table(BEDS), {"ward": frozenset([WARD])}, *EVER, 9, retractions=True)
    assert only.records == whole[:5]
    one = {"bed": frozenset(["B1"])}
    assert page(connection, Table(BEDS), one, *EVER, 9, retractions=True).records == [
        words[0],
        words[2],
    ]
    assert page(connection, Table(BEDS), {}, *EVER, 9).records == [
        word for word in whole if "retracted" not in word
    ]
    assert page(connection, Table(BEDS), {}, T0 + 1000, T0 + 2000, 9, retractions=True) == Page(
        [words[2]], None
    )


def test_a_sealed_retraction_takes_its_key_away_and_comes_back_as_it_was(
    sink: PostgresPartition, connection: Connection
) -> None:
    first, second = envelope("V1", 0), envelope("V2", 1)
    taken = envelope("V1", 2, retracted=True)
    sink.write_batch([filled(SEALED, [first, second, taken])])
    rows = connection.execute("SELECT key FROM wards_sealed_latest").fetchall()
    assert rows == [(second["key"],)]
    found = page(connection, Table(SEALED), {}, *EVER, 9, retractions=True).records
    assert [to_json(each) for each in found] == [to_json(e) for e in (first, second, taken)]


def test_retractions_go_after_the_rows_that_they_end(database: str, connection: Connection) -> None:
    sink = sink_of(database, Keeping(retention=40 * DAY_NS, compress_after=YEAR_NS))
    sink.write_batch([filled(BEDS, [bed(1, WARD, T0), gone(1, T0 + 1)])])
    sink.write_batch([filled(BEDS, [bed(2, WARD, T0 + 45 * DAY_NS)], first=3)])
    # October is not over yet for the retention, so its row is there, and so is what ends it.
    assert (count(connection, "wards_beds"), latest(connection)) == (2, [("B2", None)])
    # A native partition may be a year, so what ends its rows is kept two years longer.
    sink.write_batch([filled(BEDS, [bed(3, WARD, T0 + 4 * YEAR_NS)], first=4)])
    assert count(connection, "wards_beds") == 1
    assert count(connection, "headrace_retractions") == 0
    sink.close()


@pytest.mark.parametrize(
    ("change", "headers", "reason"),
    [
        ({"retracted": False}, {}, "retracted is not true"),
        ({"ward": WARD}, {}, "'ward' is no field of a retraction"),
        ({"key": "k" * 2001}, {}, "key has more than 2000 bytes"),
        ({"key": None}, {}, "key is no text"),
        ({"ts_ns": -1}, {}, "ts_ns is before 1970"),
        ({}, {"headrace-counter": None}, "the header headrace-counter of a retraction is missing"),
        ({}, {"headrace-counter": b"0/x"}, "is no place in an output"),
        ({}, {"headrace-generation": None}, "the header headrace-generation is missing"),
    ],
)
def test_a_retraction_that_cannot_be_used_is_a_dead_letter(
    change: dict[str, Any], headers: dict[str, bytes | None], reason: str
) -> None:
    given: dict[str, bytes | None] = {
        "headrace-counter": b"0/1",
        "headrace-generation": b"1",
        RETRACTED_HEADER: b"1",
    }
    said = [(name, value) for name, value in (given | headers).items() if value is not None]
    value = to_json(gone(1, T0) | change)
    block = HistoryDecoder(Table(BEDS)).decode(messages(BEDS.topic, [value], said))
    (letter,) = block.dead
    assert reason in letter.reason
    assert (block.rows, block.retractions) == ([], [])
