"""OMOP's rows in a real PostgreSQL: those of a recomputation, whatever came how often and when."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson
import psycopg
import pytest
from pydantic import SecretStr

from connectors.adt.omop.sink import OmopPartition
from connectors.adt.omop.vocabulary import Vocabulary
from connectors.kafka.sink import RETRACTED_HEADER
from connectors.postgres.client import Connection, Database
from connectors.postgres.decode import HistoryDecoder, RowsBlock
from connectors.postgres.tables import Table
from operators.adt.omop import person_id, rows
from operators.adt.timeline import Timeline
from operators.outputs import Outputs
from state.adt.omop import OUTPUTS, TABLES, Rows
from state.adt.outputs import OUTPUTS as DECLARED
from state.lifecycle import Lifecycle
from state.outputs import Output
from state.records import OutputBatch
from state.sealing import Keyring, Seal
from tests.connectors.postgres.rows import messages
from tests.operators.adt.tables import told

SEAL = Seal(Keyring({"k1": b"1" * 32}, "k1", b"i" * 32))
BY_NAME = {output.name: output for output in DECLARED}


def message(trigger: str, hour: int, patient: str, location: str = "", **more: str) -> bytes:
    """Return a message about visit V<patient> of a patient; ``more`` are other segments."""
    at = f"20240305{hour:02}0000"
    of_class = more.pop("patient_class", "I")
    visit = f"PV1|1|{of_class}|{location}{'|' * 16}V{patient}"
    lines = [
        rf"MSH|^~\&|PAS|GH|||{at}||{trigger}|1|P|2.5",
        f"EVN|{trigger[4:]}|{at}||||{at}",
        f"PID|1||{patient}^^^GH^MR||||1965020{patient[-1]}|F",
        *([visit] if location else []),
        *(f"{name}|{text}" for name, text in more.items()),
    ]
    return "\r".join(lines).encode()


ARRIVED = message("ADT^A01", 8, "1", "ED^1^A", patient_class="E", DG1="1||I50.9^x^I10C|||A")
MOVED = message("ADT^A06", 9, "1", "4W^1^A")
OTHER = message("ADT^A01", 8, "2", "4W^2^B")
RESULT = message(
    "ORU^R01", 10, "1", "4W^1^A", OBR="1||F1|718-7^Hb^LN", OBX="1|NM|718-7^Hb^LN||118|g/L|||||F"
)
TEXT = message("ORU^R01", 11, "2", "4W^2^B", OBR="1||F2|5778-6^Hue^LN",
               OBX="1|ST|5778-6^Hue^LN||amber||||||F")  # fmt: skip
CANCELLED = message("ADT^A11", 8, "2", "4W^2^B")
MERGED = message("ADT^A40", 12, "2", MRG="1^^^GH^MR")
LEFT = message("ADT^A03", 13, "1", "4W^1^A")
WHOLE = [ARRIVED, OTHER, MOVED, RESULT, TEXT, LEFT]


def batches(raws: Sequence[bytes]) -> list[OutputBatch]:
    """Return what the flow gives for messages, of the outputs that rows are made of."""
    outputs, logic = Outputs(DECLARED), Timeline(1)
    for block in told(raws):
        list(logic.process(block, outputs))
    return [batch for batch in outputs.take() if batch.output in OUTPUTS]


def blocks(found: Iterable[OutputBatch], generation: int = 1) -> list[RowsBlock]:
    """Return each record as the history flow has it, sealed."""
    made = []
    for batch in found:
        output = BY_NAME[batch.output]
        decoder = HistoryDecoder(Table(output))
        for row, value in enumerate(SEAL.batch(output, batch).values):
            counter = f"{batch.origin}/{batch.first + row}".encode()
            headers = [("headrace-counter", counter)]
            headers.append(("headrace-generation", str(generation).encode()))
            if row in batch.retracted:
                headers.append((RETRACTED_HEADER, b"1"))
            made.append(decoder.decode(messages(output.topic, [value], headers)))
    assert not any(block.dead for block in made)
    return made


def wanted(found: Iterable[OutputBatch]) -> dict[str, set[str]]:
    """Return what the tables have to hold: a recomputation from the last record of each key."""
    last: dict[tuple[str, str], dict[str, Any]] = {}
    for batch in found:
        for row, key in enumerate(batch.keys):
            place = batch.output, key
            last.pop(place, None)
            if row not in batch.retracted:
                last[place] = orjson.loads(batch.values[row])
    persons: dict[int, dict[str, list[Any]]] = {}
    for (output, _), record in last.items():
        of_person = persons.setdefault(person_id(record), {})
        of_person.setdefault(output, []).append(record)
    return shown([rows(each) for each in persons.values()])


def shown(found: Iterable[Rows]) -> dict[str, set[str]]:
    held: dict[str, set[str]] = {table: set() for table in TABLES}
    for each in found:
        for table in TABLES:
            held[table] |= {_line(row) for row in each[table]}
    return held


def held(connection: Connection) -> dict[str, set[str]]:
    """Return what the tables hold, columns that are NULL left out."""
    found = {}
    for table in TABLES:
        cursor = connection.execute(f"SELECT * FROM omop.{table}")
        names = [column.name for column in cursor.description or ()]
        lines = [_line(dict(zip(names, row, strict=True))) for row in cursor.fetchall()]
        assert len(set(lines)) == len(lines)
        found[table] = set(lines)
    return found


def _line(row: dict[str, Any]) -> str:
    told = {
        name: float(value) if name == "value_as_number" else value
        for name, value in row.items()
        if value is not None
    }
    return repr(sorted(told.items()))


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with Database(SecretStr(database)).connect() as opened:
        yield opened


@pytest.fixture
def sink(database: str) -> Iterator[OmopPartition]:
    made = partition(database)
    yield made
    made.close()


def partition(dsn: str) -> OmopPartition:
    made = (rows, person_id)
    return OmopPartition(Database(SecretStr(dsn)), SEAL, made, Vocabulary(), Lifecycle())


CASES = {
    "a stay": WHOLE,
    "a cancel": [*WHOLE, CANCELLED],
    "a merge": [*WHOLE, MERGED],
    "late and a merge": [MERGED, TEXT, RESULT, MOVED, LEFT, ARRIVED, OTHER],
}


@pytest.mark.parametrize("raws", CASES.values(), ids=CASES)
@pytest.mark.parametrize("size", [1, 5, 100])
def test_the_tables_are_those_of_a_recomputation_however_records_come(
    raws: list[bytes], size: int, sink: OmopPartition, connection: Connection
) -> None:
    found = batches(raws)
    said = blocks(found)
    # The outputs are topics of their own: of one the order is kept, of several it is not.
    chance = random.Random(size)
    queues = [[b for b in said if b.table.output.name == name] for name in OUTPUTS]
    mixed = []
    while queues := [queue for queue in queues if queue]:
        mixed.append(chance.choice(queues).pop(0))
    for start in range(0, len(mixed), size):
        sink.write_batch(mixed[start : start + size])
        if start % 2:
            sink.write_batch(mixed[max(0, start - size) : start + size])  # as after a crash
    assert held(connection) == wanted(found)
    assert held(connection)["visit_occurrence"]


def test_what_is_read_again_from_the_start_changes_nothing(
    sink: OmopPartition, connection: Connection, database: str
) -> None:
    found = batches([*WHOLE, MERGED, CANCELLED])
    said = blocks(found)
    sink.write_batch(said)
    for first in said:  # a record that was taken back since does not come again, not for a moment
        again = partition(database)
        again.write_batch([first])
        again.close()
        assert held(connection) == wanted(found)


def test_a_merge_takes_the_rows_of_the_former_person_away(
    sink: OmopPartition, connection: Connection
) -> None:
    sink.write_batch(blocks(batches(WHOLE)))
    assert count(connection, "person") == 2
    (before,) = ids(connection, "V1^^^GH")
    sink.write_batch(blocks(batches([*WHOLE, MERGED])))
    (after,) = ids(connection, "V1^^^GH")
    assert count(connection, "person") == 1
    assert before != after
    assert count(connection, "measurement") == count(connection, "observation") == 1
    visits = connection.execute("SELECT count(DISTINCT person_id) FROM omop.visit_occurrence")
    assert visits.fetchone() == (1,)


def test_emergency_and_inpatient_are_one_visit_with_two_details(
    sink: OmopPartition, connection: Connection
) -> None:
    sink.write_batch(blocks(batches(WHOLE)))
    visit = connection.execute(
        "SELECT visit_concept_id, visit_type_concept_id FROM omop.visit_occurrence "
        "WHERE visit_source_value LIKE 'V1%'"
    )
    assert visit.fetchall() == [(262, 32817)]
    details = connection.execute(
        "SELECT d.visit_detail_concept_id, p.visit_detail_source_value FROM omop.visit_detail d "
        "LEFT JOIN omop.visit_detail p ON p.visit_detail_id = d.preceding_visit_detail_id "
        "JOIN omop.visit_occurrence v ON v.visit_occurrence_id = d.visit_occurrence_id "
        "WHERE v.visit_source_value LIKE 'V1%' ORDER BY d.visit_detail_start_datetime"
    )
    assert details.fetchall() == [(9203, None), (9201, "ED^1^A")]


def test_a_newer_generation_begins_anew_and_nothing_is_taken_of_an_older_one(
    sink: OmopPartition, connection: Connection
) -> None:
    newer = batches([OTHER])
    sink.write_batch(blocks(batches(WHOLE)))
    sink.write_batch(blocks(newer, generation=2))
    assert held(connection) == wanted(newer)
    sink.write_batch(blocks(batches(WHOLE)))
    assert held(connection) == wanted(newer)


def test_two_shards_meet_at_one_person(database: str, connection: Connection) -> None:
    found = batches([*WHOLE, MERGED])
    said = blocks(found)
    sinks = [partition(database) for _ in range(2)]
    shares = [[b for b in said if (b.table.output.name in OUTPUTS[:2]) == half]
              for half in (True, False)]  # fmt: skip

    def write(place: int) -> None:
        for block in shares[place]:
            sinks[place].write_batch([block])

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(write, range(2)))
    for each in sinks:
        each.close()
    assert held(connection) == wanted(found)


def test_a_lost_connection_loses_nothing(
    sink: OmopPartition, connection: Connection, database: str
) -> None:
    found = batches(WHOLE)
    said = blocks(found)
    sink.write_batch(said[:3])
    connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    sink.write_batch(said[3:])
    assert held(connection) == wanted(found)


def test_a_record_of_other_keys_is_left_out_and_told_without_its_content(
    sink: OmopPartition, connection: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    said = blocks(batches(WHOLE))
    name = "sealed"
    place = 1 + [column.name for column in said[0].table.columns].index(name)
    row = list(said[0].rows[0])
    row[place] = row[place][:-8] + "AAAAAAA="
    said[0].rows[0] = tuple(row)
    sink.write_batch(said)
    sink.write_batch(said)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "1965" not in caplog.text


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE omop.person SET year_of_birth = NULL",
        "UPDATE omop.visit_occurrence SET person_id = 1",
        "UPDATE omop.visit_detail SET visit_occurrence_id = NULL",
        "UPDATE omop.visit_detail SET preceding_visit_detail_id = 1",
        "UPDATE omop.condition_occurrence SET condition_concept_id = 12345",
        "UPDATE omop.measurement SET measurement_date = NULL",
    ],
)
def test_the_constraints_of_the_cdm_hold(
    statement: str, sink: OmopPartition, connection: Connection
) -> None:
    sink.write_batch(blocks(batches(WHOLE)))
    with pytest.raises(psycopg.errors.IntegrityError):
        connection.execute(statement.encode())


def count(connection: Connection, table: str) -> int:
    row = connection.execute(f"SELECT count(*) FROM omop.{table}").fetchone()
    assert row is not None
    return int(row[0])


def ids(connection: Connection, visit: str) -> list[int]:
    found = connection.execute(
        "SELECT visit_occurrence_id FROM omop.visit_occurrence WHERE visit_source_value = %s",
        [visit],
    )
    return [row[0] for row in found.fetchall()]


def test_every_output_that_rows_are_made_of_is_declared() -> None:
    declared: dict[str, Output] = BY_NAME
    assert set(OUTPUTS) <= declared.keys()
