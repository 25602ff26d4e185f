from __future__ import annotations

import json
import struct

import numpy as np
import orjson
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from connectors.json import parse_json
from connectors.market import bounds, layout
from connectors.market.columns import Columns
from connectors.market.decode import TickDecoder
from connectors.market.interning import Interner
from connectors.market.json_ticks import ticks_json
from connectors.market.kernels.frames import decode_frame, intern_dictionary
from connectors.market.kernels.interning import intern_all, intern_words
from connectors.market.kernels.objects import decode_json
from connectors.market.kernels.pacing import pacing_times
from connectors.market.kernels.writing import measure_json, write_json
from connectors.market.ticks import Tick, tick_of
from state.errors import BadRecord
from tests.connectors.market.batches import AHEAD_NS, NOW_NS, messages, rows, some_ticks

TRADE = {
    "type": "trade", "symbol": "IBM", "ts_ns": NOW_NS, "recv_ns": NOW_NS + 1, "price": 185.25,
    "size": 100, "side": "buy", "venue": "N", "condition": "@", "seq": 7,
}  # fmt: skip
QUOTE = {
    "type": "quote", "symbol": "IBM", "ts_ns": NOW_NS, "recv_ns": NOW_NS + 1, "bid": 185.2,
    "bid_size": 3, "ask": 185.3, "ask_size": 4.5, "venue": "N", "seq": 8,
}  # fmt: skip


def without(fields: dict[str, object], *names: str) -> dict[str, object]:
    return {name: value for name, value in fields.items() if name not in names}


def by_definition(value: bytes) -> Tick | tuple[str, str]:
    """Return the tick, or the error's name and reason, without any kernel."""
    try:
        return tick_of(parse_json(value), NOW_NS + AHEAD_NS)
    except BadRecord as error:
        return type(error).__name__, str(error)


def decoded(values: list[bytes]) -> list[Tick | tuple[str, str]]:
    """Return what the decoder makes of each message."""
    block = TickDecoder(AHEAD_NS).decode(messages(values))
    found: list[Tick | tuple[str, str]] = [("", "lost")] * len(values)
    for offset, row in zip(block.offset.tolist(), rows(block), strict=True):
        found[offset - 100] = row
    for letter in block.dead:
        found[letter.coordinates.offset - 100] = (letter.error, letter.reason)
    return found


def kernel_status(values: list[bytes]) -> list[int]:
    batch, columns, strings = messages(values), Columns.empty(len(values)), Interner()
    decode_json(
        batch.data, batch.starts, batch.keyed, batch.timestamp_ns, AHEAD_NS, 0, strings.table,
        columns.arrays, columns.status,
    )  # fmt: skip
    statuses: list[int] = columns.status.tolist()
    return statuses


def bits(tick: Tick | tuple[str, str]) -> object:
    """Return a value that differs where any bit does: -0.0 from 0.0, one NaN from another."""
    if not isinstance(tick, Tick):
        return tick
    return (*tick[:8], struct.pack("<4d", *tick[8:]))


def assert_as_defined(values: list[bytes]) -> None:
    assert [bits(t) for t in decoded(values)] == [bits(by_definition(v)) for v in values]


def test_kernels_are_compiled():
    for kernel in (
        decode_json, decode_frame, intern_words, intern_all, intern_dictionary,
        pacing_times, measure_json, write_json,
    ):  # fmt: skip
        assert len(kernel.signatures) == 1


def test_every_field_of_a_trade_is_read():
    assert decoded([orjson.dumps(TRADE)]) == [
        Tick(1, "IBM", "N", "@", 1, NOW_NS, NOW_NS + 1, 7, 185.25, 100.0, 0.0, 0.0)
    ]


def test_every_field_of_a_quote_is_read():
    assert decoded([orjson.dumps(QUOTE)]) == [
        Tick(2, "IBM", "N", "", 0, NOW_NS, NOW_NS + 1, 8, 185.2, 3.0, 185.3, 4.5)
    ]


def test_optional_fields_may_be_missing_or_null():
    bare = without(TRADE, "recv_ns", "side", "venue", "condition", "seq")
    nulls = bare | dict.fromkeys(("recv_ns", "side", "venue", "condition", "seq"))
    expected = Tick(1, "IBM", "", "", 0, NOW_NS, 0, -1, 185.25, 100.0, 0.0, 0.0)
    assert decoded([orjson.dumps(bare), orjson.dumps(nulls)]) == [expected, expected]


@pytest.mark.parametrize("absent", [{}, {"ask": None, "ask_size": 5}, {"ask": 0, "ask_size": 9}])
def test_a_quote_may_speak_of_one_side(absent):
    quote = without(QUOTE, "ask", "ask_size") | absent
    (tick,) = decoded([orjson.dumps(quote)])
    assert isinstance(tick, Tick)
    assert tick[8:] == (185.2, 3.0, 0.0, 0.0)


def test_a_withdrawn_side_keeps_its_price():
    (tick,) = decoded([orjson.dumps(QUOTE | {"bid_size": 0})])
    assert isinstance(tick, Tick)
    assert tick[8:] == (185.2, 0.0, 185.3, 4.5)


def test_unknown_fields_are_ignored():
    extra = {"x": [1, {"y": None}], "bid": "no quote", "q": float(1)}
    assert decoded([orjson.dumps(TRADE | extra)]) == decoded([orjson.dumps(TRADE)])


def test_the_last_of_two_fields_with_one_name_counts_even_where_it_is_null():
    (found,) = decoded([orjson.dumps(TRADE)[:-1] + b',"price":null}'])
    assert found == ("WrongType", "price is missing")


def test_the_last_of_two_fields_with_one_name_counts():
    assert decoded([b'{"price":1.5,' + orjson.dumps(TRADE)[1:]]) == decoded([orjson.dumps(TRADE)])


BAD = [
    (b"", "Malformed", "the message is empty"),
    (b"{", "Malformed", "no JSON"),
    (b"[]", "Malformed", "not an object"),
    (b'"trade"', "Malformed", "not an object"),
    (b"\xff\xfe", "Malformed", "no JSON"),
    (orjson.dumps(TRADE)[:-1], "Malformed", "no JSON"),
    (orjson.dumps(TRADE) + b"}", "Malformed", "no JSON"),
    (orjson.dumps(TRADE).replace(b"185.25", b"NaN"), "Malformed", "no JSON"),
    (orjson.dumps(TRADE).replace(b"185.25", b"-Infinity"), "Malformed", "no JSON"),
    (orjson.dumps(TRADE).replace(b"185.25", b"0185.25"), "Malformed", "no JSON"),
    (orjson.dumps(TRADE).replace(b"185.25", b"185."), "Malformed", "no JSON"),
    (orjson.dumps(TRADE).replace(b":7}", b":07}"), "Malformed", "no JSON"),
    (orjson.dumps(TRADE).replace(b'"seq"', b'"seq\0"'), "Malformed", "no JSON"),
    (orjson.dumps(TRADE | {"x": "x" * 10_000_000}), "Malformed", "at most 65536"),
    (orjson.dumps(without(TRADE, "type")), "WrongType", "type is missing"),
    (orjson.dumps(TRADE | {"type": 1}), "WrongType", "type is not a string"),
    (orjson.dumps(TRADE | {"type": "Trade"}), "OutOfRange", "type is none of"),
    (orjson.dumps(without(TRADE, "symbol")), "WrongType", "symbol is missing"),
    (orjson.dumps(TRADE | {"symbol": None}), "WrongType", "symbol is missing"),
    (orjson.dumps(TRADE | {"symbol": 5}), "WrongType", "symbol is not a string"),
    (orjson.dumps(TRADE | {"symbol": ""}), "OutOfRange", "symbol is empty"),
    (orjson.dumps(TRADE | {"symbol": "x" * 33}), "OutOfRange", "symbol is longer"),
    (orjson.dumps(TRADE | {"symbol": "ö" * 17}), "OutOfRange", "symbol is longer"),
    (orjson.dumps(TRADE | {"symbol": "a\0"}), "OutOfRange", "symbol holds a control"),
    (orjson.dumps(TRADE | {"symbol": "a\x7f"}), "OutOfRange", "symbol holds a control"),
    (orjson.dumps(TRADE | {"venue": "x" * 17}), "OutOfRange", "venue is longer"),
    (orjson.dumps(TRADE | {"condition": "x" * 33}), "OutOfRange", "condition is longer"),
    (orjson.dumps(without(TRADE, "ts_ns")), "WrongType", "ts_ns is missing"),
    (orjson.dumps(TRADE | {"ts_ns": "1"}), "WrongType", "ts_ns is not an integer"),
    (orjson.dumps(TRADE | {"ts_ns": 1.0}), "WrongType", "ts_ns is not an integer"),
    (orjson.dumps(TRADE | {"ts_ns": True}), "WrongType", "ts_ns is not an integer"),
    (orjson.dumps(TRADE | {"ts_ns": 0}), "OutOfRange", "ts_ns is below"),
    (orjson.dumps(TRADE | {"ts_ns": 2**64 - 1}), "OutOfRange", "ts_ns is below"),
    (orjson.dumps(TRADE | {"ts_ns": NOW_NS + AHEAD_NS + 1}), "FromTheFuture", "ts_ns is too far"),
    (orjson.dumps(TRADE | {"recv_ns": -1}), "OutOfRange", "recv_ns is below"),
    (orjson.dumps(TRADE | {"recv_ns": 1.5}), "WrongType", "recv_ns is not an integer"),
    (orjson.dumps(TRADE | {"seq": -1}), "OutOfRange", "seq is below"),
    (orjson.dumps(TRADE | {"seq": 2**63}), "OutOfRange", "seq is below"),
    (orjson.dumps(TRADE | {"seq": "7"}), "WrongType", "seq is not an integer"),
    (orjson.dumps(without(TRADE, "price")), "WrongType", "price is missing"),
    (orjson.dumps(TRADE | {"price": "1"}), "WrongType", "price is not a number"),
    (orjson.dumps(TRADE | {"price": True}), "WrongType", "price is not a number"),
    (orjson.dumps(TRADE | {"price": None}), "WrongType", "price is missing"),
    (orjson.dumps(TRADE | {"price": 0}), "OutOfRange", "price is not between"),
    (orjson.dumps(TRADE | {"price": -1.5}), "OutOfRange", "price is not between"),
    (orjson.dumps(TRADE | {"price": 1e16}), "OutOfRange", "price is not between"),
    (orjson.dumps(TRADE | {"price": 1e-16}), "OutOfRange", "price is not between"),
    (orjson.dumps(without(TRADE, "size")), "WrongType", "size is missing"),
    (orjson.dumps(TRADE | {"size": 0}), "OutOfRange", "size is not between"),
    (orjson.dumps(TRADE | {"side": "BUY"}), "OutOfRange", "side is neither"),
    (orjson.dumps(TRADE | {"side": ""}), "OutOfRange", "side is neither"),
    (orjson.dumps(TRADE | {"side": 1}), "WrongType", "side is not a string"),
    (orjson.dumps(without(QUOTE, "bid", "ask")), "OutOfRange", "neither bid nor ask"),
    (orjson.dumps(QUOTE | {"bid": 0, "ask": None}), "OutOfRange", "neither bid nor ask"),
    (orjson.dumps(QUOTE | {"bid": -2}), "OutOfRange", "bid is not between"),
    (orjson.dumps(QUOTE | {"ask": "3"}), "WrongType", "ask is not a number"),
    (orjson.dumps(without(QUOTE, "ask_size")), "WrongType", "ask_size is missing"),
    (orjson.dumps(QUOTE | {"ask_size": -1}), "OutOfRange", "ask_size is not between"),
    (orjson.dumps(QUOTE | {"bid": None, "bid_size": "1"}), "WrongType", "bid_size is not a number"),
]


@pytest.mark.parametrize(
    ("value", "error", "reason"), BAD, ids=[f"{b[2]} {i}" for i, b in enumerate(BAD)]
)
def test_a_bad_message_is_a_dead_letter_that_names_the_field(value, error, reason):
    good = orjson.dumps(TRADE)
    batch = messages([good, value, good])
    block = TickDecoder(AHEAD_NS).decode(batch)
    assert block.offset.tolist() == [100, 102]
    (letter,) = block.dead
    assert (letter.error, letter.coordinates.offset) == (error, 101)
    assert reason in letter.reason
    assert (letter.value, letter.key, letter.timestamp_ns) == (value, b"key", NOW_NS)


def test_a_reason_never_quotes_the_message():
    secret = "hunter2"
    values = [orjson.dumps(TRADE | {name: {secret: secret}}) for name in TRADE]
    values += [orjson.dumps(TRADE | {name: secret}) for name in TRADE] + [secret.encode()]
    letters = TickDecoder(AHEAD_NS).decode(messages(values)).dead
    assert len(letters) > 10
    assert not any(secret in letter.reason for letter in letters)


PLAIN = st.text(st.characters(codec="ascii", exclude_categories=["Cc"], exclude_characters='"\\'))
TEXTS = PLAIN | st.text(max_size=40) | st.sampled_from(["", "IBM", "x" * 32, "x" * 33, "y" * 16])
INTEGERS = (
    st.integers(0, 2**64)
    | st.integers()
    | st.sampled_from([NOW_NS, NOW_NS + AHEAD_NS, NOW_NS + AHEAD_NS + 1, 2**62, 2**63 - 1, 2**63])
)
SPELLINGS = (
    st.floats(allow_nan=False, allow_infinity=False).map(repr)
    | st.integers(0, 2**60).map(str)
    | st.from_regex(r"\A-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,22})?([eE][+-]?[0-9]{1,3})?\Z")
    | st.from_regex(r"\A[0-9]{1,4}\.[0-9]{1,4}\Z")
    | st.sampled_from(["0", "-0.0", "00", "1.", ".5", "1e5", "9007199254740993", "1e-15", "1e15"])
)
SPACE = st.sampled_from(["", "", "", " ", "\n", "\t \r"])


@st.composite
def spelled(draw: st.DrawFn) -> bytes:
    """Draw a message in any order of fields, white space and spelling of numbers."""
    fields: dict[str, str] = {
        name: json.dumps(value) for name, value in draw(st.sampled_from([TRADE, QUOTE])).items()
    }
    for name in draw(st.lists(st.sampled_from(sorted(TRADE | QUOTE)), max_size=3)):
        if name in ("type", "symbol", "side", "venue", "condition"):
            value = json.dumps(draw(TEXTS), ensure_ascii=draw(st.booleans()))
        elif name in ("ts_ns", "recv_ns", "seq"):
            value = draw(st.sampled_from(["", "", "", "0", "-"])) + str(draw(INTEGERS))
        else:
            value = draw(SPELLINGS)
        fields[name] = draw(st.sampled_from([value, value, value, "null", "true", "[]"]))
    for name in draw(st.lists(st.sampled_from(sorted(fields)), max_size=2)):
        fields.pop(name, None)
    members = draw(st.permutations(sorted(fields.items())))
    if members and draw(st.integers(0, 9)) == 0:
        members = [*members, (members[0][0], draw(st.sampled_from(["null", "1", '"N"'])))]
    if draw(st.integers(0, 9)) == 0:
        members = [
            *members,
            (draw(st.sampled_from(["price", "x", "seq\0", "typ", "conditiom"])), "1"),
        ]
    text = draw(SPACE) + "{"
    for i, (name, value) in enumerate(members):
        comma = "," if i else ""
        text += f'{comma}{draw(SPACE)}"{name}"{draw(SPACE)}:{draw(SPACE)}{value}{draw(SPACE)}'
    return (text + "}" + draw(SPACE)).encode(errors="surrogatepass")


@given(st.lists(spelled(), min_size=1, max_size=8))
@settings(max_examples=400)
def test_the_kernel_agrees_with_the_definition_on_any_spelling(values):
    assert_as_defined(values)


@given(
    st.lists(spelled(), min_size=1, max_size=4),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255), st.integers(0, 2)), max_size=4),
)
@settings(max_examples=400)
def test_the_kernel_agrees_with_the_definition_on_damaged_messages(values, damages):
    damaged = []
    for value in values:
        data = bytearray(value)
        for place, byte, how in damages:
            at = place % (len(data) + 1)
            if how == 0:
                data[at : at + 1] = bytes([byte])
            elif how == 1:
                data[at:at] = bytes([byte])
            else:
                del data[at:]
                data.append(0x7B)
        damaged.append(bytes(data).replace(b"\x89", b"\x88"))
    assert_as_defined([v for v in damaged if v and v[0] != 0])  # such a one is Avro


@given(st.lists(st.binary(min_size=1, max_size=60), min_size=1, max_size=10))
@settings(max_examples=200)
def test_random_bytes_are_dead_letters(values):
    assert_as_defined([b" " + value for value in values])


@given(st.lists(SPELLINGS, min_size=1, max_size=20))
@settings(max_examples=300)
@example(["0.1", "123456789.125", "9007199254740992", "9007199254740993", "1e22", "1e23", "1e-22"])
def test_doubles_are_the_same_to_the_last_bit(spellings):
    text = orjson.dumps(TRADE)
    assert_as_defined([text.replace(b"185.25", s.encode()) for s in spellings])


def test_plain_messages_never_leave_the_kernel():
    """Else the tests above would compare the definition with itself."""
    values = [
        orjson.dumps(TRADE), orjson.dumps(QUOTE), json.dumps(TRADE, indent=2).encode(),
        orjson.dumps(dict(reversed(QUOTE.items()))),
        orjson.dumps(without(TRADE, "recv_ns", "side", "venue", "condition", "seq")),
        orjson.dumps(QUOTE | {"bid": None, "bid_size": None}),
        orjson.dumps(TRADE).replace(b"185.25", b"1.8525e+2"),
        orjson.dumps(TRADE | {"symbol": "x" * 32, "venue": "v" * 16, "condition": "c" * 32}),
        orjson.dumps(TRADE | {"price": 0.00001}),
    ]  # fmt: skip
    assert kernel_status(values) == [layout.DONE] * len(values)
    assert_as_defined(values)


def test_a_message_is_not_read_beyond_its_end():
    whole = orjson.dumps(TRADE)
    values = [part for cut in range(1, len(whole)) for part in (whole[:cut], whole[cut:])]
    assert_as_defined([*values, whole])


def test_more_strings_than_the_table_had_room_for():
    values = [orjson.dumps(TRADE | {"symbol": f"S{i}"}) for i in range(5000)]
    block = TickDecoder(AHEAD_NS).decode(messages(values))
    assert [t.symbol for t in rows(block)] == [f"S{i}" for i in range(5000)]
    assert not block.dead


def test_a_block_carries_only_the_strings_that_occur_in_it():
    decoder = TickDecoder(AHEAD_NS)
    decoder.decode(messages([orjson.dumps(TRADE | {"symbol": "OTHER", "venue": "X"})]))
    bad = orjson.dumps(TRADE | {"symbol": "BAD", "price": -1})
    block = decoder.decode(messages([orjson.dumps(TRADE), bad, orjson.dumps(QUOTE)]))
    assert block.symbols == ["IBM"]
    assert block.venues == ["N"]
    assert block.conditions == ["@", ""]


def test_the_table_of_strings_is_emptied_when_it_has_grown_large():
    decoder, strings = TickDecoder(AHEAD_NS), 100_000
    text = b'{"type":"trade","symbol":"%d","ts_ns":1,"price":1,"size":1}'
    decoder.decode(messages([text % i for i in range(strings + 1)]))
    capacity = decoder._strings.capacity
    block = decoder.decode(messages([text % 7, text % strings]))
    assert block.symbols == ["7", str(strings)]
    assert decoder._strings.capacity < capacity // 10


def test_written_ticks_read_back_the_same():
    ticks = some_ticks(2000)
    written = ticks_json(ticks)
    assert written.type == pa.large_binary()
    block = TickDecoder(AHEAD_NS).decode(messages(written.to_pylist()))
    assert not block.dead
    for name in ("kind", "ts_ns", "recv_ns", "seq", "price", "size", "ask", "ask_size", "side"):
        np.testing.assert_array_equal(getattr(block, name), getattr(ticks, name), name)
    for codes, texts in (("symbol", "symbols"), ("venue", "venues"), ("condition", "conditions")):
        read = [getattr(block, texts)[c] for c in getattr(block, codes)]
        assert read == [getattr(ticks, texts)[c] for c in getattr(ticks, codes)]


@given(st.lists(st.floats(bounds.LEAST_PRICE, bounds.MOST_PRICE), min_size=1, max_size=50))
@settings(max_examples=100)
def test_written_doubles_read_back_to_the_last_bit(prices):
    ticks = some_ticks(1).take(np.zeros(len(prices), int))
    ticks.kind[:] = 1
    ticks.price[:], ticks.size[:] = prices, 1
    block = TickDecoder(AHEAD_NS).decode(messages(ticks_json(ticks).to_pylist()))
    assert block.price.tobytes() == np.array(prices).tobytes()


def test_no_ticks_are_written_as_nothing():
    assert ticks_json(some_ticks(5).take(slice(0, 0))).to_pylist() == []


def test_what_is_no_number_is_written_as_null():
    ticks = some_ticks(3)
    ticks.kind[:] = 1
    ticks.price[:] = np.nan, np.inf, 1.5
    prices = [orjson.loads(value)["price"] for value in ticks_json(ticks).to_pylist()]
    assert prices == [None, None, 1.5]


def test_long_columns_are_written_in_order():
    ticks = some_ticks(100_000)
    written = [orjson.loads(value)["ts_ns"] for value in ticks_json(ticks).to_pylist()]
    assert written == ticks.ts_ns.tolist()


def test_absent_fields_are_left_out():
    ticks = some_ticks(500)
    for value in ticks_json(ticks).to_pylist():
        fields = orjson.loads(value)
        assert None not in fields.values()
        assert ("bid" in fields) == ("bid_size" in fields)
        assert not {"price", "size", "side", "condition"} & set(fields) or fields["type"] == "trade"
