"""JSON of the output topics into rows: all of it, exactly, or a dead letter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.postgres.decode import HistoryDecoder, RowsBlock
from state.market.outputs import OUTPUTS
from state.outputs import Kind
from tests.connectors.postgres.rows import ONE_OF_EACH, T0, TABLES, json_of, messages

BARS = TABLES["market.bars"]
SCHEMAS = Path(__file__).parents[3] / "docs/schemas"


def decode(output: str, *values: bytes, **options: Any) -> RowsBlock:
    topic = output if "." in output else f"market.{output}"
    return HistoryDecoder(TABLES[topic]).decode(messages(topic, list(values), **options))


def changed(output: str, **fields: Any) -> bytes:
    return orjson.dumps(ONE_OF_EACH[f"market.{output}"] | fields)


def test_every_output_has_a_table() -> None:
    every = [output.topic for output in OUTPUTS]
    assert list(TABLES) == every
    assert set(ONE_OF_EACH) == set(every)


@pytest.mark.parametrize("topic", TABLES)
def test_a_table_has_the_fields_of_the_schema(topic: str) -> None:
    system, _, output = topic.partition(".")
    found = sorted(SCHEMAS.joinpath(system).glob(f"{output}.v*.json"))
    names = {column.name for column in TABLES[topic].columns}
    for path in found:
        schema = orjson.loads(path.read_bytes())
        optional = {column.name for column in TABLES[topic].columns if column.optional}
        assert set(schema["required"]) | optional == names
    assert found


@pytest.mark.parametrize("value", [None, {"BAC": 0.5}])
def test_risk_with_fields_that_it_need_not_have(value: dict[str, float] | None) -> None:
    record = ONE_OF_EACH["market.risk"]
    fuller = record | {"marginal": value, "incremental": value}
    bare, full = decode("risk", *json_of([record, fuller])).rows
    assert bare[-3:-1] == (None, None)
    assert full[-3:-1] == (orjson.dumps(value).decode(),) * 2


@pytest.mark.parametrize("output", ONE_OF_EACH)
def test_a_record_becomes_a_row_of_its_columns(output: str) -> None:
    record = ONE_OF_EACH[output]
    block = decode(output, *json_of([record]), generation=7)
    assert block.dead == []
    names = [column.name for column in block.table.columns]
    (row,) = block.rows
    assert (row[0], row[-1]) == (7, 1)
    found = dict(zip(names, row[1:-1], strict=True))
    for column in block.table.columns:
        if column.kind in (Kind.JSON, Kind.DOCUMENT) and found[column.name] is not None:
            found[column.name] = orjson.loads(found[column.name])
        if column.optional and found[column.name] is None:
            del found[column.name]
    assert found == record


def test_a_block_says_what_it_covers_and_paces_nothing() -> None:
    block = decode("bars", b"{", changed("bars"))
    assert (len(block), block.ranges, block.newest) == (1, {0: (100, 102)}, {})


def test_bad_records_become_dead_letters_and_good_ones_go_on() -> None:
    good = changed("signals")
    bad = b'{"id":'
    block = decode("signals", good, bad, good)
    assert len(block.rows) == 2
    (letter,) = block.dead
    assert str(letter.coordinates) == "market.signals/0/101/0"
    assert (letter.value, letter.key, letter.error) == (bad, b"k", "Malformed")
    assert letter.timestamp_ns == T0 // 10**6 * 10**6


@pytest.mark.parametrize(
    ("output", "value", "error", "reason"),
    [
        ("bars", b"", "Malformed", "no JSON"),
        ("bars", b"\xff", "Malformed", "no JSON"),
        ("bars", b"[]", "WrongType", "no JSON object"),
        ("bars", b"{}", "WrongType", "id is missing"),
        ("bars", changed("bars", surprise=1), "WrongType", "'surprise' is no column"),
        ("bars", changed("bars", open=None), "WrongType", "open is no number"),
        ("bars", changed("bars", open="1"), "WrongType", "open is no number"),
        ("bars", changed("bars", open=True), "WrongType", "open is no number"),
        ("bars", changed("bars", open=2**53 + 1), "OutOfRange", "open is no exact double"),
        ("bars", changed("bars", trades=1.0), "WrongType", "trades is no whole number"),
        ("bars", changed("bars", trades=2**63), "OutOfRange", "trades does not fit"),
        ("bars", changed("bars", start_ns=-1), "OutOfRange", "start_ns is before 1970"),
        ("bars", changed("bars", symbol="A\0"), "OutOfRange", "symbol holds a NUL"),
        ("bars", changed("bars", symbol="é" * 501), "OutOfRange", "more than 1000 bytes"),
        ("bars", changed("bars", symbol=5), "WrongType", "symbol is no text"),
        ("risk", changed("risk", valid=1), "WrongType", "neither true nor false"),
        ("risk", changed("risk", components=5), "WrongType", "no object or array"),
        ("risk", changed("risk", components={"\0": 1}), "OutOfRange", "holds a NUL"),
        ("risk", changed("risk", components=["\0"]), "OutOfRange", "holds a NUL"),
    ],
)
def test_what_the_database_would_refuse_is_a_dead_letter(
    output: str, value: bytes, error: str, reason: str
) -> None:
    block = decode(output, value)
    assert block.rows == []
    (letter,) = block.dead
    assert letter.error == error
    assert reason in letter.reason


def test_an_escaped_backslash_before_u0000_is_no_nul() -> None:
    block = decode("risk", changed("risk", components={"\\u0000": 1.0}))
    assert block.dead == []


def test_whole_numbers_are_taken_for_doubles() -> None:
    (row,) = decode("bars", changed("bars", open=7)).rows
    opened = row[1 + [c.name for c in BARS.columns].index("open")]
    assert (opened, type(opened)) == (7.0, float)


@pytest.mark.parametrize(
    ("headers", "error"),
    [
        ([], "WrongType"),
        ([("headrace-generation", b"")], "OutOfRange"),
        ([("headrace-generation", b"0")], "OutOfRange"),
        ([("headrace-generation", b"-1")], "OutOfRange"),
        ([("headrace-generation", b"2147483648")], "OutOfRange"),
        ([("headrace-generation", b"9" * 5000)], "OutOfRange"),
    ],
)
def test_a_message_without_a_generation_is_a_dead_letter(
    headers: list[tuple[str, bytes]], error: str
) -> None:
    (letter,) = decode("bars", changed("bars"), headers=headers).dead
    assert letter.error == error


def test_a_heartbeat_is_no_record() -> None:
    block = decode("bars", b"", headers=[("headrace-heartbeat", bytes(8))])
    assert (block.rows, block.dead) == ([], [])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.binary()
    | st.fixed_dictionaries(dict.fromkeys(ONE_OF_EACH["market.risk"], JSON)).map(orjson.dumps)
    | st.builds(
        lambda fields: orjson.dumps(fields, option=orjson.OPT_NON_STR_KEYS),
        st.dictionaries(
            st.sampled_from(sorted(ONE_OF_EACH["market.risk"])), st.integers(0, 9) | st.text()
        ),
    )
)
def test_any_bytes_become_a_row_or_a_dead_letter(value: bytes) -> None:
    block = decode("risk", value)
    assert len(block.rows) + len(block.dead) == 1
