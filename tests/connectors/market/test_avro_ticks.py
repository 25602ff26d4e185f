from __future__ import annotations

import struct
from decimal import Decimal
from io import BytesIO
from typing import Any

import numpy as np
import orjson
import pytest
from fastavro import parse_schema, schemaless_writer
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.avro.schemas import SchemaDirectory
from connectors.market.avro_ticks import TICK_SCHEMA, encode_avro
from connectors.market.decode import TickDecoder
from connectors.market.frames import encode_frame
from connectors.market.json_ticks import ticks_json
from connectors.market.tick_columns import TickColumns
from state.market.ticks import QUOTE, TRADE, TickBlock
from state.records import HEARTBEAT_HEADER, RETRY_HEADER, SEQUENCE_HEADER, DeadLetter
from tests.connectors.market.batches import AHEAD_NS, NOW_NS, messages, rows, some_ticks

OURS = 7
TRADE_FIELDS = {"type": "trade", "symbol": "IBM", "ts_ns": NOW_NS, "price": 181.5, "size": 100}


@pytest.fixture(scope="module")
def schemas(tmp_path_factory):
    directory = tmp_path_factory.mktemp("schemas")
    (directory / f"{OURS}.avsc").write_text(TICK_SCHEMA)
    return directory


@pytest.fixture
def decode(schemas):
    def decode(*values: bytes, **columns: Any) -> TickBlock:
        decoder = TickDecoder(AHEAD_NS, SchemaDirectory(schemas, "market.schemas"))
        return decoder.decode(messages(values, **columns))

    return decode


@pytest.fixture
def write(schemas):
    """``write(identity, fields, record)`` stores a schema and returns a message of it."""

    def write(identity: int, fields: list[Any], record: dict[str, Any], **schema: Any) -> bytes:
        whole = {"type": "record", "name": "com.example.Print", "fields": fields, **schema}
        (schemas / f"{identity}.avsc").write_text(orjson.dumps(whole).decode())
        stream = BytesIO()
        schemaless_writer(stream, parse_schema(whole), record)
        return struct.pack(">xI", identity) + stream.getvalue()

    return write


def only_dead(block: TickBlock) -> DeadLetter:
    assert len(block) == 0
    (letter,) = block.dead
    return letter


def field(name: str, kind: Any, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, **more}


TRADE_SCHEMA = [
    field("type", "string"), field("symbol", "string"), field("ts_ns", "long"),
    field("price", "double"), field("size", "double"),
]  # fmt: skip


def test_a_message_is_a_zero_byte_the_id_and_the_record():
    one = TickColumns.of([TRADE], [0], ["IBM"], [NOW_NS], [181.5], [100.0])
    (value,) = encode_avro(one, 258)
    assert value[:5] == b"\0\0\0\1\2"
    assert value[5:10] == b"\0\6IBM"  # the first of an enumeration, a string of three


def test_avro_says_the_same_as_json(decode):
    ticks = some_ticks(3000)
    from_avro, from_json = decode(*encode_avro(ticks, OURS)), decode(*ticks_json(ticks).to_pylist())
    assert (from_avro.dead, from_json.dead) == ([], [])
    assert rows(from_avro) == rows(from_json)
    assert from_avro.offset.tolist() == from_json.offset.tolist()
    assert set(from_avro.sequence.tolist()) == {0}


numbers = st.floats(width=64) | st.sampled_from([0.0, -0.0, 1e-15, 1e15, 1e16, -1.0, 100.0])
texts = st.text(max_size=40) | st.sampled_from(["IBM", "", "N", "\x00", "é" * 20])
integers = st.integers(-(2**63), 2**63 - 1) | st.integers(NOW_NS, NOW_NS + 2 * AHEAD_NS)


@st.composite
def any_fields(draw) -> dict[str, Any]:
    """Any record that our schema has, good or bad."""
    maybe: dict[str, Any] = {
        "recv_ns": integers, "seq": integers, "side": st.sampled_from(["buy", "sell"]),
        "venue": texts, "condition": texts,
    }  # fmt: skip
    maybe |= dict.fromkeys(["price", "size", "bid", "bid_size", "ask", "ask_size"], numbers)
    kind = draw(st.sampled_from(["trade", "quote"]))
    fields = {"type": kind, "symbol": draw(texts), "ts_ns": draw(integers)}
    for name, values in maybe.items():
        if draw(st.booleans()):
            fields[name] = draw(values)
    return fields


def is_json(value: Any) -> bool:
    """Return whether JSON can say it: neither NaN nor an infinity."""
    return not isinstance(value, float) or bool(np.isfinite(value))


@given(st.lists(any_fields(), max_size=5))
@settings(max_examples=300)
def test_good_or_bad_records_are_judged_as_in_json(schemas, records):
    decoder = TickDecoder(AHEAD_NS, SchemaDirectory(schemas, "market.schemas"))
    records = [r for r in records if all(map(is_json, r.values()))]
    avro = [message(record) for record in records]
    from_avro = decoder.decode(messages(avro))
    from_json = decoder.decode(messages([orjson.dumps(record) for record in records]))
    assert rows(from_avro) == rows(from_json)
    said = [(d.coordinates, d.error, d.reason) for d in from_avro.dead]
    assert said == [(d.coordinates, d.error, d.reason) for d in from_json.dead]


def message(record: dict[str, Any]) -> bytes:
    stream = BytesIO()
    schemaless_writer(stream, parse_schema(orjson.loads(TICK_SCHEMA)), record)
    return struct.pack(">xI", OURS) + stream.getvalue()


@given(st.sampled_from(["price", "size"]), st.sampled_from([np.nan, np.inf, -np.inf]))
@settings(max_examples=6)
def test_what_json_cannot_say_is_out_of_range(schemas, name, value):
    decoder = TickDecoder(AHEAD_NS, SchemaDirectory(schemas, "market.schemas"))
    letter = only_dead(decoder.decode(messages([message(TRADE_FIELDS | {name: value})])))
    assert (letter.error, letter.reason.split()[0]) == ("OutOfRange", name)


@given(st.lists(st.sampled_from(["json", "avro", "frame", "heartbeat", "bad"]), max_size=12),
       st.integers(1, 5))  # fmt: skip
@settings(max_examples=150)
def test_a_mix_of_formats_is_the_same_however_it_is_cut(schemas, kinds, step):
    decoder = TickDecoder(AHEAD_NS, SchemaDirectory(schemas, "market.schemas"))
    ticks = some_ticks(40)
    values, headers = [], {}
    for i, kind in enumerate(kinds):
        if kind == "heartbeat":
            headers[i] = [(HEARTBEAT_HEADER, NOW_NS.to_bytes(8, "big"))]
        one = ticks.take(slice(i, i + 1))
        values.append({
            "json": ticks_json(one).to_pylist()[0],
            "avro": encode_avro(one, OURS)[0],
            "frame": encode_frame(ticks.take(slice(i, i + 3))),
            "heartbeat": b"",
            "bad": encode_avro(one, OURS)[0][:-1],
        }[kind])  # fmt: skip
    whole = decoder.decode(messages(values, headers=headers))
    found: list[Any] = []
    dead: list[DeadLetter] = []
    for first in range(0, len(values), step):
        part = values[first : first + step]
        mine = {i - first: h for i, h in headers.items() if first <= i < first + len(part)}
        block = decoder.decode(messages(part, first_offset=100 + first, headers=mine))
        found += zip(rows(block), block.offset.tolist(), block.sequence.tolist(), strict=True)
        dead += block.dead
    assert found == list(
        zip(rows(whole), whole.offset.tolist(), whole.sequence.tolist(), strict=True)
    )
    assert dead == whole.dead
    assert len(dead) == kinds.count("bad")
    expected = sum({"frame": 3, "bad": 0}.get(kind, 1) for kind in kinds)
    assert len(found) == expected


def test_every_truncation_is_a_dead_letter_with_its_bytes(decode):
    for value in encode_avro(some_ticks(6), OURS):
        for end in range(1, len(value)):
            letter = only_dead(decode(value[:end]))
            assert letter.error == "Malformed"
            assert letter.value == value[:end]


def test_bytes_behind_the_record_are_malformed(decode):
    letter = only_dead(decode(encode_avro(some_ticks(1), OURS)[0] + b"\0\0"))
    assert (letter.error, letter.reason) == ("Malformed", "2 bytes follow the Avro record")


ERRORS = {"Malformed", "WrongType", "OutOfRange", "FromTheFuture", "UnknownSchema"}


def test_whatever_a_byte_is_changed_to_the_message_is_a_tick_or_a_dead_letter(decode):
    seen = set()
    for value in encode_avro(some_ticks(4), OURS):
        changed = [
            value[:at] + bytes([byte]) + value[at + 1 :]
            for at in range(1, len(value))
            for byte in range(256)
        ]
        block = decode(*changed)
        assert len(block) + len(block.dead) == len(changed)
        seen |= {letter.error for letter in block.dead}
    assert seen >= ERRORS - {"WrongType"}
    assert seen <= ERRORS


@given(st.binary(max_size=200))
@settings(max_examples=500)
def test_any_bytes_are_a_tick_or_a_dead_letter(schemas, payload):
    decoder = TickDecoder(AHEAD_NS, SchemaDirectory(schemas, "market.schemas"))
    block = decoder.decode(messages([struct.pack(">xI", OURS) + payload]))
    assert len(block) + len(block.dead) == 1
    assert {letter.error for letter in block.dead} <= ERRORS


def test_a_branch_that_the_union_does_not_have_is_malformed(decode):
    value = message(TRADE_FIELDS)
    recv = value.index(b"\0", 5 + 1 + 4 + 8)  # the first null behind type, symbol and time
    for branch in (b"\4", b"\6", b"\x7e"):
        damaged = value[:recv] + branch + value[recv + 1 :]
        assert only_dead(decode(damaged)).error == "Malformed"


@pytest.mark.parametrize("index", [b"\1", b"\3", b"\x81\0"])
def test_a_branch_or_symbol_is_not_counted_from_the_end(decode, write, index):
    value = message(TRADE_FIELDS | {"side": "sell"})
    assert decode(value).dead == []
    side = value.index(b"\2\2", 5)  # the branch that is not null, and the second symbol
    recv = value.index(b"\0", 5 + 1 + 4 + 8)
    for at in (5, recv, side + 1):
        assert only_dead(decode(value[:at] + index + value[at + 1 :])).error == "Malformed"
    note = {"type": "array", "items": ["null", {"type": "record", "name": "N", "fields": []}]}
    known = write(16, [*TRADE_SCHEMA, field("notes", note)], TRADE_FIELDS | {"notes": [None, {}]})
    assert decode(known).dead == []
    assert only_dead(decode(known[:-2] + index + known[-1:])).error == "Malformed"


def test_an_id_without_a_schema_is_a_dead_letter_that_says_so(decode):
    letter = only_dead(decode(struct.pack(">xI", 404) + b"x"))
    assert letter.error == "UnknownSchema"
    assert letter.reason == "there is no schema 404.avsc in market.schemas"


def test_without_schemas_avro_is_a_dead_letter_that_names_the_setting():
    value = encode_avro(some_ticks(1), OURS)[0]
    letter = only_dead(TickDecoder(AHEAD_NS).decode(messages([value])))
    assert letter.error == "UnknownSchema"
    assert "market.schemas is not set" in letter.reason
    assert letter.value == value


def test_a_schema_that_comes_later_is_found_by_the_next_batch(schemas, write, decode):
    decoder = TickDecoder(AHEAD_NS, SchemaDirectory(schemas, "market.schemas"))
    value = write(9, TRADE_SCHEMA, TRADE_FIELDS)
    path = schemas / "9.avsc"
    text = path.read_text()
    path.unlink()
    assert [d.error for d in decoder.decode(messages([value] * 2)).dead] == ["UnknownSchema"] * 2
    path.write_text(text)
    assert decoder.decode(messages([value])).dead == []
    path.unlink()  # what an id means never changes: it is not read again
    assert decoder.decode(messages([value])).dead == []


def test_a_keyless_message_and_one_too_large_are_dead(decode):
    value = encode_avro(some_ticks(1), OURS)[0]
    assert only_dead(decode(value, keyless=[0])).error == "NoKey"
    assert only_dead(decode(value + bytes(65_536))).error == "Malformed"


def test_a_retried_message_keeps_its_sequence_and_is_marked(decode):
    headers = {0: [(RETRY_HEADER, b"1"), (SEQUENCE_HEADER, b"5")]}
    block = decode(encode_avro(some_ticks(1), OURS)[0], headers=headers)
    assert (block.sequence.tolist(), block.retried.tolist()) == ([5], [True])


def test_a_writer_may_order_add_and_leave_out_fields(write, decode):
    fields = [
        field("note", {"type": "array", "items": {"type": "map", "values": ["null", "bytes"]}}),
        field("size", "int"),
        field("price", "float"),
        field("expiry", {"type": "int", "logicalType": "date"}),
        field("ts_ns", {"type": "long", "logicalType": "timestamp-nanos"}),
        field("symbol", ["null", "string"]),
        field("type", {"type": "enum", "name": "Kind", "symbols": ["quote", "trade"]}),
    ]
    record = TRADE_FIELDS | {"note": [{"a": None, "b": b"x"}], "expiry": 2**31 - 1}
    block = decode(write(11, fields, record))
    assert block.dead == []
    assert rows(block) == rows(decode(orjson.dumps(TRADE_FIELDS)))


def test_a_field_of_another_name_is_ours_by_its_alias(write, decode):
    fields = [*TRADE_SCHEMA[:3], field("last", "double", aliases=["price"]), TRADE_SCHEMA[4]]
    record = {name: TRADE_FIELDS[name] for name in ("type", "symbol", "ts_ns", "size")}
    block = decode(write(12, fields, record | {"last": 181.5}))
    assert rows(block) == rows(decode(orjson.dumps(TRADE_FIELDS)))


def test_an_alias_never_takes_a_field_that_is_there(write, decode):
    fields = [*TRADE_SCHEMA, field("last", "double", aliases=["price"])]
    block = decode(write(13, fields, TRADE_FIELDS | {"last": 9.0}))
    assert block.price.tolist() == [181.5]


@pytest.mark.parametrize(
    ("identity", "name", "kind", "value", "reason"),
    [
        (20, "ts_ns", {"type": "long", "logicalType": "timestamp-micros"}, 10**15,
         "ts_ns is not an integer"),
        (21, "price", {"type": "bytes", "logicalType": "decimal", "precision": 6, "scale": 2},
         Decimal("1.50"), "price is not a number"),
        (22, "symbol", "bytes", b"IBM", "symbol is not a string"),
        (23, "size", "boolean", True, "size is not a number"),
        (24, "ts_ns", "double", 1e18, "ts_ns is not an integer"),
        (25, "price", ["null", "double"], None, "price is missing"),
    ],
)  # fmt: skip
def test_a_field_of_another_type_is_named(write, decode, identity, name, kind, value, reason):
    fields = [field(f["name"], kind) if f["name"] == name else f for f in TRADE_SCHEMA]
    letter = only_dead(decode(write(identity, fields, TRADE_FIELDS | {name: value})))
    assert (letter.error, letter.reason) == ("WrongType", reason)


def of_arrays(items: Any) -> str:
    array = {"type": "array", "items": items}
    return orjson.dumps({"type": "record", "name": "x", "fields": [field("a", array)]}).decode()


NODE = {"type": "record", "name": "N", "fields": [field("next", ["null", "N"])]}


@pytest.mark.parametrize(
    ("identity", "text", "reason"),
    [
        (30, "{", "is no Avro schema"),
        (31, '{"type": "record", "name": "x", "fields": [{"name": "a"}]}', "is no Avro schema"),
        (32, '{"type": "nothing"}', "is no Avro schema"),
        (33, '"long"', "is not one of a record"),
        (34, '["null", "long"]', "is not one of a record"),
        (35, orjson.dumps(NODE).decode(), "contains itself"),
        (36, of_arrays("null"), "has an array of what takes no byte"),
        (37, of_arrays({"type": "fixed", "name": "f", "size": 0}),
         "has an array of what takes no byte"),
        (38, "[" * 5000, "is no Avro schema"),
    ],
)  # fmt: skip
def test_a_schema_that_is_of_no_use_makes_dead_letters(schemas, decode, identity, text, reason):
    (schemas / f"{identity}.avsc").write_text(text)
    letter = only_dead(decode(struct.pack(">xI", identity) + b"\2" * 50))
    assert (letter.error, letter.reason) == ("Malformed", f"schema {identity} {reason}")


def test_quotes_of_one_side_and_of_none(decode):
    ticks = TickColumns.of([QUOTE] * 2, 0, ["A"], [NOW_NS] * 2, [1.5, 0.0], [2.0, 0.0])
    block = decode(*encode_avro(ticks, OURS))
    assert rows(block)[0].price == 1.5
    assert [d.reason for d in block.dead] == ["neither bid nor ask is given"]
