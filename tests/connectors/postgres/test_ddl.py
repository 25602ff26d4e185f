"""Tables are derived from declarations: as the migrations make them, and for new outputs."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import sql
from pydantic import SecretStr

from connectors.postgres import ddl
from connectors.postgres.client import Connection, Database
from connectors.postgres.keeping import Keeping
from connectors.postgres.layouts import APACHE, NATIVE, TIMESCALE
from connectors.postgres.migrate import FOLDER, migrate, migrations, pending
from connectors.postgres.reader import records
from connectors.postgres.tables import Table
from connectors.web.channels import Source
from flows.engine.systems import declared_outputs
from state.clock import DAY_NS
from state.errors import Misuse
from state.market.outputs import OUTPUTS
from state.outputs import Column, Kind, Output, to_json
from tests.connectors.postgres.rows import MADE, T0, TABLES, YEAR_NS
from tests.connectors.postgres.wards import BEDS, SEALED, VISITS, bed, envelope, filled, sink_of


def shape(connection: Connection, table: str) -> dict[str, Any]:
    """Return what is known of a table: columns, partition key, indexes and views by name."""
    columns = connection.execute(
        "SELECT attname, format_type(atttypid, atttypmod), attnotnull FROM pg_attribute "
        "WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
        [table],
    ).fetchall()
    partitioned = connection.execute("SELECT pg_get_partkeydef(%s::regclass)", [table]).fetchone()
    indexes = connection.execute(
        "SELECT c.relname, pg_get_indexdef(c.oid, 0, true) FROM pg_index i "
        "JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = %s::regclass ORDER BY 1",
        [table],
    ).fetchall()
    views = {
        suffix: connection.execute(
            "SELECT pg_get_viewdef(to_regclass(%s), true)", [f"{table}_{suffix}"]
        ).fetchone()
        for suffix in ("current", "latest")
    }
    return {
        # The migrations have added columns in another order than outputs declare them today.
        "columns": sorted(columns),
        "partitioned": partitioned,
        "indexes": [(name, text.replace("derived.", "")) for name, text in indexes],
        "views": {name: _columns_aside(found) for name, found in views.items()},
    }


def _columns_aside(view: Any) -> Any:
    text = (view or (None,))[0]
    if text is None:
        return None
    lines = " ".join(text.replace("derived.", "").split())
    head, _, rest = lines.partition(" FROM ")
    return sorted(head.removeprefix("SELECT ").split(", ")), rest.partition(" WHERE ")[2]


@pytest.mark.parametrize("topic", TABLES)
def test_what_is_derived_is_what_the_migrations_make(topic: str, connection: Connection) -> None:
    table = TABLES[topic]
    migrate(connection, OUTPUTS)
    made = shape(connection, table.name)
    connection.execute("CREATE SCHEMA derived; SET search_path = derived, public")
    for statement in ddl.statements(table, NATIVE):
        connection.execute(statement)
    assert shape(connection, table.name) == made
    assert made["partitioned"] == ('RANGE ("time")',)
    assert made["views"]["current"] is not None
    assert (made["views"]["latest"] is not None) == table.output.keyed


@pytest.mark.parametrize("layout", [APACHE, TIMESCALE])
def test_hypertables_and_compression_are_those_of_the_migrations(layout: str) -> None:
    written = " ".join(b" ".join(m.sql for m in migrations(FOLDER, layout)).decode().split())
    for table in TABLES.values():
        if table.name in MADE:
            continue
        made = [each.as_string(None).replace('"', "") for each in ddl.statements(table, layout)]
        (hypertable,) = [each for each in made if "create_hypertable" in each]
        assert f"create_hypertable('{table.name}', 'time'" in hypertable
        assert f"create_hypertable('{table.name}', 'time'" in written
        compression = [each for each in made if "timescaledb.compress" in each]
        assert len(compression) == (layout == TIMESCALE)
        for each in compression:
            assert each in written


def test_a_new_output_has_its_table_without_a_migration(database: str) -> None:
    with Database(SecretStr(database)).connect() as connection:
        migrate(connection, OUTPUTS)
        assert pending(connection, [*OUTPUTS, BEDS, SEALED]) == [
            "table wards_beds", "table wards_sealed",
        ]  # fmt: skip
        made = [*OUTPUTS, BEDS, SEALED]
        assert migrate(connection, made) == ["table wards_beds", "table wards_sealed"]
        assert (migrate(connection, made), pending(connection, made)) == ([], [])
        stored = connection.execute("SELECT name, layout FROM headrace_tables ORDER BY 1")
        names = [*sorted(MADE), "wards_beds", "wards_sealed"]
        assert stored.fetchall() == [(name, NATIVE) for name in names]
        names = [name for _, name, _ in _columns(connection, "wards_sealed")]
        fields = ["id", "key", "key_id", "sealed", "ts_ns"]
        assert names == ["generation", "time", *fields, "counter"]


def test_programs_that_start_together_make_a_table_once(database: str) -> None:
    def start(_: int) -> list[str]:
        with Database(SecretStr(database)).connect() as connection:
            return migrate(connection, [BEDS])

    with ThreadPoolExecutor(4) as pool:
        done = [name for made in pool.map(start, range(4)) for name in made]
    assert done.count("table wards_beds") == 1


def test_a_declaration_that_differs_from_its_table_is_an_error(connection: Connection) -> None:
    migrate(connection, [BEDS])
    more = replace(BEDS, columns=(*BEDS.columns, Column("nurse", Kind.TEXT)))
    with pytest.raises(Misuse, match="the table wards_beds has another column nurse than"):
        migrate(connection, [more])


def test_a_declaration_names_its_own_columns() -> None:
    with pytest.raises(ValueError, match=r"the output wards\.beds has no column nurse"):
        replace(BEDS, filters=("nurse",))
    with pytest.raises(ValueError, match="both key and message_key"):
        replace(BEDS, message_key="ward")


def test_records_of_a_new_output_come_back_once_and_go_with_the_retention(database: str) -> None:
    keeping = Keeping(retention=40 * DAY_NS, compress_after=YEAR_NS)
    sink = sink_of(database, keeping)
    written = [bed(number, f"W{number}", T0 + number) for number in range(5)]
    for _ in range(2):
        sink.write_batch([filled(BEDS, written)])
    with Database(SecretStr(database)).connect() as connection:
        found = [to_json(record) for record in records(connection, Table(BEDS), 1)]
        assert found == [to_json(record) for record in written]
        sink.write_batch([filled(BEDS, [bed(9, "W9", T0 + YEAR_NS)], first=6)])
        assert [record["bed"] for record in records(connection, Table(BEDS), 1)] == ["B9"]
    sink.close()


def test_a_sealed_output_is_stored_as_its_envelopes(database: str) -> None:
    sink = sink_of(database)
    written = [envelope(f"V{number}", number) for number in range(3)]
    for _ in range(2):
        sink.write_batch([filled(SEALED, written)])
    sink.close()
    with Database(SecretStr(database)).connect() as connection:
        found = [to_json(record) for record in records(connection, Table(SEALED), 1)]
    assert found == [to_json(record) for record in written]
    assert sum(b"V1" in record for record in found) == 0


@given(
    st.tuples(
        st.text(min_size=1).filter(lambda text: "\0" not in text),
        st.integers(-(2**63), 2**63 - 1),
        st.builds(
            lambda digits, exponent: float(f"{digits}e{exponent}"),
            st.integers(-(10**15) + 1, 10**15 - 1).filter(bool),
            st.integers(-30, 30),
        ).filter(lambda value: not 1e15 <= abs(value) < 1e16),
        st.booleans(),
    )
)
def test_a_key_in_sql_is_the_key_of_the_sinks(server: Connection, key: tuple[Any, ...]) -> None:
    record = dict(zip(("ward", "number", "share", "open"), key, strict=True))
    query = sql.SQL(
        "SELECT {} FROM (SELECT %s::text AS ward, %s::bigint AS number, "
        "%s::double precision AS share, %s::boolean AS open) last"
    ).format(ddl.key_text(Table(VISITS), "last"))
    found = server.execute(query, key).fetchone()
    assert found == (Source.of(VISITS).table_key(record),)


def _columns(connection: Connection, table: str) -> list[tuple[int, str, str]]:
    return connection.execute(
        "SELECT attnum, attname, format_type(atttypid, atttypmod) FROM pg_attribute "
        "WHERE attrelid = %s::regclass AND attnum > 0 ORDER BY 1",
        [table],
    ).fetchall()


@pytest.fixture(scope="module")
def server(postgres: Any) -> Any:
    with Database(SecretStr(postgres.dsn)).connect() as opened:
        yield opened


def test_every_output_names_known_columns() -> None:
    assert all(isinstance(output, Output) and output.columns for output in OUTPUTS)


@pytest.mark.parametrize("output", declared_outputs(), ids=lambda output: output.topic)
def test_no_column_of_an_output_has_the_name_of_one_of_history(output: Output) -> None:
    names = [name for name, _, _ in ddl.columns(Table(output))]
    assert len(names) == len(set(names))
