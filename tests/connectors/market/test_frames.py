from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.market.decode import TickDecoder
from connectors.market.frames import encode_frame
from connectors.market.json_ticks import ticks_json
from connectors.market.tick_columns import TickColumns
from state.market.ticks import QUOTE, TRADE, TickBlock
from state.records import DeadLetter
from tests.connectors.market.batches import AHEAD_NS, NOW_NS, messages, rows, some_ticks


def decode(*values: bytes) -> TickBlock:
    return TickDecoder(AHEAD_NS).decode(messages(values))


def only_dead(*values: bytes) -> DeadLetter:
    block = decode(*values)
    assert len(block) == 0
    (letter,) = block.dead
    return letter


def resealed(frame: bytes) -> bytes:
    """Return the frame with the checksum that belongs to its bytes."""
    return frame[:8] + struct.pack("<I", zlib.crc32(frame[12:])) + frame[12:]


def changed(frame: bytes, at: int, replacement: bytes) -> bytes:
    return resealed(frame[:at] + replacement + frame[at + len(replacement) :])


def trades(count: int = 3, **columns: Any) -> TickColumns:
    values: dict[str, Any] = {"price": [1.5 + i for i in range(count)], "size": 2.0} | columns
    return TickColumns.of([TRADE] * count, 0, ["IBM"], [NOW_NS] * count, **values)


def test_a_frame_says_the_same_as_its_ticks_in_json():
    ticks = some_ticks(3000)
    from_frame, from_json = decode(encode_frame(ticks)), decode(*ticks_json(ticks).to_pylist())
    assert not from_frame.dead
    assert rows(from_frame) == rows(from_json)
    assert from_frame.sequence.tolist() == list(range(3000))
    assert set(from_frame.offset.tolist()) == {100}


def test_a_frame_carries_only_the_strings_that_occur_in_it():
    some = some_ticks(3000).take(slice(0, 2))
    frame = encode_frame(some)
    assert len(frame) < 32 + 64 * 2 + 100
    assert set(decode(frame).symbols) == {some.symbols[code] for code in some.symbol}


def test_an_empty_frame_has_no_ticks():
    block = decode(encode_frame(trades(0)))
    assert (len(block), block.dead) == (0, [])


@given(cut=st.integers(0, 400))
@settings(max_examples=60)
def test_a_truncated_frame_is_malformed(cut):
    frame = encode_frame(some_ticks(5))
    letter = only_dead(frame[: 1 + cut % (len(frame) - 1)])
    assert letter.error == "Malformed"


def test_trailing_bytes_are_malformed():
    assert only_dead(encode_frame(trades()) + b"\0").error == "Malformed"


@pytest.mark.parametrize(("at", "version_or_flags"), [(4, b"\2\0"), (6, b"\1\0")])
def test_an_unknown_version_or_flag_is_malformed(at, version_or_flags):
    letter = only_dead(changed(encode_frame(trades()), at, version_or_flags))
    assert letter.error == "Malformed"
    assert "version" in letter.reason


@given(st.integers(0, 10_000), st.integers(0, 7))
@settings(max_examples=150)
def test_a_flipped_bit_is_never_taken_for_data(place, bit):
    frame = bytearray(encode_frame(some_ticks(20)))
    frame[place % len(frame)] ^= 1 << bit
    letter = only_dead(bytes(frame))
    assert letter.error in ("Malformed", "BadChecksum")
    assert letter.value == bytes(frame)


def test_a_damaged_column_is_a_bad_checksum():
    frame = bytearray(encode_frame(trades()))
    frame[-1] ^= 1
    assert only_dead(bytes(frame)).error == "BadChecksum"


@given(st.lists(st.tuples(st.integers(12, 2000), st.integers(0, 255)), max_size=6))
@settings(max_examples=300)
def test_any_bytes_under_a_right_checksum_are_ticks_or_dead_letters(changes):
    """Each tick of the frame comes out once, whatever the frame says."""
    frame = bytearray(encode_frame(some_ticks(10)))
    for place, byte in changes:
        frame[12 + (place - 12) % (len(frame) - 12)] = byte
    block = decode(resealed(bytes(frame)))
    if [letter for letter in block.dead if letter.value.startswith(b"\x89")]:
        assert (len(block), len(block.dead)) == (0, 1)
    else:
        sequences = block.sequence.tolist() + [d.coordinates.sequence for d in block.dead]
        assert sorted(sequences) == list(range(10))


HEADER, COLUMNS = 32, 32 + 1 + 3 + 1 + 1
"""Where the dictionary ("IBM", "", "") and the columns of `trades` begin."""


@pytest.mark.parametrize(
    ("at", "replacement"),
    [
        (COLUMNS + 3 * 56, b"\1\0"),  # a symbol's code
        (COLUMNS + 3 * 58, b"\1\0"),  # a venue's
        (COLUMNS + 3 * 60, b"\1\0"),  # a condition's
        (COLUMNS + 3 * 62, b"\0"),  # kind: heartbeats are no frames' business
        (COLUMNS + 3 * 62, b"\3"),
        (COLUMNS + 3 * 63, b"\3"),  # side
        (HEADER, b"\0"),  # an empty symbol
        (HEADER, b"\4"),  # a string that runs into the next
        (HEADER, b"\xff"),
        (HEADER + 1, b"\n"),  # a control character
        (HEADER + 1, b"\xff"),  # not UTF-8
        (HEADER + 3, b"\xc3"),  # a character that is cut
    ],
)
def test_a_frame_whose_codes_or_strings_are_wrong_is_malformed(at, replacement):
    assert only_dead(changed(encode_frame(trades()), at, replacement)).error == "Malformed"


BAD_TICKS = [
    ({"price": [1.5, np.nan, 2.5]}, "OutOfRange", "price"),
    ({"price": [1.5, np.inf, 2.5]}, "OutOfRange", "price"),
    ({"price": [1.5, -1.0, 2.5]}, "OutOfRange", "price"),
    ({"price": [1.5, 0.0, 2.5]}, "OutOfRange", "price"),
    ({"size": [1.0, np.nan, 2.0]}, "OutOfRange", "size"),
    ({"size": [1.0, 0.0, 2.0]}, "OutOfRange", "size"),
    ({"recv_ns": [0, -5, 0]}, "OutOfRange", "recv_ns"),
    ({"seq": [0, -2, 0]}, "OutOfRange", "seq"),
]


@pytest.mark.parametrize(("columns", "error", "field"), BAD_TICKS)
def test_a_bad_tick_of_a_frame_is_a_dead_letter_of_its_own(columns, error, field):
    block = decode(encode_frame(trades(**columns)))
    assert block.sequence.tolist() == [0, 2]
    (letter,) = block.dead
    assert letter.error == error
    assert field in letter.reason
    assert letter.coordinates == ("market.ticks", 0, 100, 1)
    assert orjson.loads(letter.value)["symbol"] == "IBM"


@pytest.mark.parametrize("ts_ns", [0, -1, 2**62 + 1, NOW_NS + AHEAD_NS + 1])
def test_times_are_judged_tick_by_tick(ts_ns):
    ticks = trades()
    ticks.ts_ns[0] = ts_ns
    block = decode(encode_frame(ticks))
    assert block.sequence.tolist() == [1, 2]
    (letter,) = block.dead
    assert letter.error == ("FromTheFuture" if NOW_NS < ts_ns < 2**62 else "OutOfRange")
    assert orjson.loads(letter.value)["ts_ns"] == ts_ns


def test_quotes_without_sides_and_with_nan_are_dead():
    ticks = TickColumns.of(
        [QUOTE] * 4, 0, ["A"], [NOW_NS] * 4, price=[0, np.nan, 1, -1.0], size=1, ask=[0, 1, -1, 1]
    )
    assert [d.error for d in decode(encode_frame(ticks)).dead] == ["OutOfRange"] * 4


def test_what_a_frame_says_of_an_absent_side_is_ignored():
    ticks = TickColumns.of(
        [QUOTE, TRADE], 0, ["A"], [NOW_NS] * 2, [-0.0, 1.0], [9, 1], ask=[2, 3], ask_size=-0.0
    )
    block = decode(encode_frame(ticks))
    assert block.sequence.tolist() == [0, 1]
    assert block.price.tobytes() == np.array([0.0, 1.0]).tobytes()
    assert block.size.tobytes() == np.array([0.0, 1.0]).tobytes()
    assert block.ask.tobytes() == np.array([2.0, 0.0]).tobytes()
    assert block.ask_size.tobytes() == np.zeros(2).tobytes()


def test_an_encoder_refuses_what_no_frame_can_say():
    with pytest.raises(ValueError, match="at most 65536"):
        encode_frame(trades(65_537, price=1.0))
    with pytest.raises(ValueError, match="outside its list"):
        encode_frame(TickColumns.of([TRADE], 1, ["IBM"], [NOW_NS], 1.0, 1.0))
    with pytest.raises(ValueError, match="more than 32 bytes"):
        encode_frame(TickColumns.of([TRADE], 0, ["x" * 33], [NOW_NS], 1.0, 1.0))
