from __future__ import annotations

import pickle
import random
import tracemalloc
from dataclasses import fields

import numpy as np
import orjson
import pytest

from connectors.market.decode import TickDecoder
from connectors.market.frames import encode_frame
from connectors.market.json_ticks import ticks_json
from state.clock import MAX_HEARTBEAT_NS
from state.market.ticks import HEARTBEAT, TickBlock
from state.records import HEARTBEAT_HEADER, RETRY_HEADER, SEQUENCE_HEADER, Header, Messages
from tests.connectors.market.batches import AHEAD_NS, NOW_NS, messages, rows, some_ticks

TRADE = b'{"type":"trade","symbol":"A","ts_ns":%d,"price":1.5,"size":2}' % NOW_NS
COLUMNS = {
    "partition": np.int32, "offset": np.int64, "sequence": np.int32, "timestamp_ns": np.int64,
    "kind": np.uint8, "symbol": np.int32, "venue": np.int32, "condition": np.int32,
    "side": np.uint8, "ts_ns": np.int64, "recv_ns": np.int64, "price": np.float64,
    "size": np.float64, "ask": np.float64, "ask_size": np.float64, "seq": np.int64,
    "retried": np.bool_,
}  # fmt: skip


def decode(batch: Messages) -> TickBlock:
    return TickDecoder(AHEAD_NS).decode(batch)


def beat(ts_ns: int) -> list[Header]:
    return [(HEARTBEAT_HEADER, ts_ns.to_bytes(8, "big", signed=True))]


def mixed(seed: int = 3) -> Messages:
    """Return JSON, frames, heartbeats and everything bad, over three partitions."""
    chance = random.Random(seed)
    values: list[bytes] = []
    headers: dict[int, list[Header]] = {}
    keyless = []
    for i in range(120):
        ticks = some_ticks(chance.randrange(1, 30), seed=i)
        kind = chance.randrange(8)
        if kind == 0:
            values.append(b"")
            headers[i] = beat(NOW_NS + i)
            keyless.append(i)
        elif kind == 1:
            values.append(encode_frame(ticks))
        elif kind == 2:
            ticks.price[0] = np.nan
            values.append(encode_frame(ticks))
        elif kind == 3:
            values.append(encode_frame(ticks)[:-1])
        elif kind == 4:
            values.append(chance.choice([b"{}", b"", b"\x89", TRADE[:-1]]))
        else:
            values.append(ticks_json(ticks).to_pylist()[0])
            if kind == 5:
                headers[i] = [(RETRY_HEADER, b""), (SEQUENCE_HEADER, b"17")]
    return messages(
        values,
        partition=[chance.randrange(3) for _ in values],
        keyless=keyless,
        headers=headers,
    )


def part(batch: Messages, start: int, stop: int) -> Messages:
    base = batch.starts[start]
    return Messages(
        batch.topic, batch.partitions, batch.partition[start:stop], batch.offset[start:stop],
        batch.timestamp_ns[start:stop], batch.keyed[start:stop],
        batch.data[base : batch.starts[stop]], batch.starts[start : stop + 1] - base,
        batch.keys[start:stop],
        {row - start: h for row, h in batch.headers.items() if start <= row < stop},
    )  # fmt: skip


def content(block: TickBlock) -> list[object]:
    coordinates = [block.coordinates(i) for i in range(len(block))]
    return list(
        zip(
            coordinates,
            block.timestamp_ns.tolist(),
            block.retried.tolist(),
            rows(block),
            strict=True,
        )
    )


def test_columns_have_the_types_and_layout_that_kernels_expect():
    for block in (decode(mixed()), decode(messages([TRADE])), decode(messages([]))):
        for name, dtype in COLUMNS.items():
            column = getattr(block, name)
            assert (column.dtype, column.shape) == (dtype, (len(block),)), name
            assert column.flags.c_contiguous, name
            assert column.flags.writeable, name


def test_formats_may_be_mixed_and_rows_keep_the_order_of_the_messages():
    batch = mixed()
    block = decode(batch)
    assert {letter.error for letter in block.dead} >= {"Malformed", "OutOfRange"}
    order = list(zip(block.offset.tolist(), block.sequence.tolist(), strict=True))
    offsets = [offset for offset, _ in order]
    assert offsets == sorted(offsets)
    whole = {
        d.coordinates.offset
        for d in block.dead
        if d.value == batch.value(d.coordinates.offset - 100)
    }
    assert whole | set(offsets) == set(batch.offset.tolist())
    np.testing.assert_array_equal(block.partition, batch.partition[block.offset - 100])


@pytest.mark.parametrize("size", [1, 7, 50])
def test_the_cut_of_a_batch_changes_nothing(size):
    batch = mixed()
    whole = decode(batch)
    decoder = TickDecoder(AHEAD_NS)
    blocks = [
        decoder.decode(part(batch, start, min(start + size, len(batch))))
        for start in range(0, len(batch), size)
    ]
    assert [row for block in blocks for row in content(block)] == content(whole)
    dead = [letter for block in blocks for letter in block.dead]
    assert sorted(dead, key=lambda d: d.coordinates) == sorted(
        whole.dead, key=lambda d: d.coordinates
    )


def test_a_block_survives_pickling():
    block = decode(mixed())
    copy = pickle.loads(pickle.dumps(block))
    for field in fields(TickBlock):
        np.testing.assert_array_equal(getattr(copy, field.name), getattr(block, field.name))


def test_a_block_shares_no_memory_with_its_messages():
    batch = mixed()
    block = decode(batch)
    for column in COLUMNS:
        for theirs in (batch.partition, batch.offset, batch.timestamp_ns, batch.data):
            assert not np.shares_memory(getattr(block, column), theirs)


def test_a_heartbeat_is_a_row_and_needs_no_key():
    block = decode(messages([TRADE, b""], keyless=[1], headers={1: beat(NOW_NS + 9)}))
    assert block.kind.tolist() == [1, HEARTBEAT]
    assert block.ts_ns.tolist() == [NOW_NS, NOW_NS + 9]
    assert (block.symbol[1], block.venue[1], block.condition[1]) == (-1, -1, -1)
    assert block.newest == {0: NOW_NS + 9}


@pytest.mark.parametrize(
    ("headers", "error"),
    [
        ([], "Malformed"),
        ([(HEARTBEAT_HEADER, b"1")], "Malformed"),
        (beat(0), "OutOfRange"),
        (beat(-5), "OutOfRange"),
        (beat(MAX_HEARTBEAT_NS + 1), "OutOfRange"),
        (beat(NOW_NS + AHEAD_NS + 1), "FromTheFuture"),
    ],
)
def test_a_bad_heartbeat_is_a_dead_letter_and_moves_nothing(headers, error):
    block = decode(messages([b"", TRADE], headers={0: headers}))
    assert [letter.error for letter in block.dead] == [error]
    assert block.newest == {0: NOW_NS}


@pytest.mark.parametrize("value", [TRADE, encode_frame(some_ticks(2)), b"", b"junk"])
def test_a_message_without_a_key_is_dead(value):
    block = decode(messages([TRADE, value], keyless=[1]))
    assert len(block) == 1
    (letter,) = block.dead
    assert (letter.error, letter.key, letter.value) == ("NoKey", None, value)


def test_the_bounds_of_max_ahead_are_exact():
    at, beyond = (TRADE.replace(b"%d" % NOW_NS, b"%d" % (NOW_NS + AHEAD_NS + i)) for i in (0, 1))
    block = decode(messages([at, beyond]))
    assert block.ts_ns.tolist() == [NOW_NS + AHEAD_NS]
    assert [letter.error for letter in block.dead] == ["FromTheFuture"]


def test_newest_is_by_partition():
    later = TRADE.replace(b"%d" % NOW_NS, b"%d" % (NOW_NS + 7))
    block = decode(messages([TRADE, later, TRADE, TRADE[:-1]], partition=[0, 2, 2, 1]))
    assert block.newest == {0: NOW_NS, 2: NOW_NS + 7}


def test_ranges_are_passed_on():
    assert decode(messages([b"junk"])).ranges == {0: (100, 101)}


def test_a_bad_tick_of_a_frame_can_be_retried_alone():
    ticks = some_ticks(5)
    ticks.ts_ns[3] = NOW_NS + AHEAD_NS + 1
    (letter,) = decode(messages([encode_frame(ticks)])).dead
    retry = {0: [(RETRY_HEADER, b""), (SEQUENCE_HEADER, b"%d" % letter.coordinates.sequence)]}
    batch = messages([letter.value], timestamp_ns=NOW_NS + 10**12, headers=retry)
    block = decode(batch)
    assert block.coordinates(0) == letter.coordinates
    assert block.retried.tolist() == [True]
    assert rows(block) == [
        rows(TickDecoder(2 * AHEAD_NS).decode(messages([encode_frame(ticks)])))[3]
    ]


def test_a_retried_frame_is_retried_whole():
    frame = encode_frame(some_ticks(4))
    retry = {1: [(RETRY_HEADER, b""), (SEQUENCE_HEADER, b"0")]}
    block = decode(messages([TRADE, frame, TRADE], headers=retry))
    assert block.retried.tolist() == [False, True, True, True, True, False]
    assert block.sequence.tolist() == [0, 0, 1, 2, 3, 0]


def test_a_retry_that_fails_again_keeps_its_coordinates():
    retry = [(RETRY_HEADER, b""), (SEQUENCE_HEADER, b"9")]
    (letter,) = decode(messages([b"{}"], headers={0: retry})).dead
    assert letter.coordinates == ("market.ticks", 0, 100, 9)


def test_a_sequence_counts_only_on_a_retried_message():
    assert decode(messages([TRADE], headers={0: [(SEQUENCE_HEADER, b"9")]})).sequence[0] == 0


@pytest.mark.parametrize("text", [b"", b"x", b"-1", b"1.0", "²".encode(), b"9" * 10])
def test_a_retry_with_a_bad_sequence_is_malformed(text):
    block = decode(messages([TRADE], headers={0: [(RETRY_HEADER, b""), (SEQUENCE_HEADER, text)]}))
    assert len(block) == 0
    assert [letter.error for letter in block.dead] == ["Malformed"]


def test_bad_records_take_no_good_ones_with_them():
    values = [TRADE, b"x" * 10_000_000, TRADE, b"\x89" * 10_000_000, TRADE]
    block = decode(messages(values))
    assert block.offset.tolist() == [100, 102, 104]
    assert [letter.value for letter in block.dead] == [values[1], values[3]]


def test_writable_messages_decode_the_same():
    batch = mixed()
    expected = content(decode(batch))
    batch.data = batch.data.copy()
    assert content(decode(batch)) == expected


def test_decoding_leaves_no_memory_behind():
    """The kernels count no references, so a slip would show here."""
    batch = messages([*ticks_json(some_ticks(2000)).to_pylist(), encode_frame(some_ticks(500))])
    decoder = TickDecoder(AHEAD_NS)
    decoder.decode(batch)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(20):
        decoder.decode(batch)
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert after - before < 100_000


def test_values_that_are_only_known_to_the_definition_still_count():
    extra = orjson.dumps(orjson.loads(TRADE) | {"note": "ö"})
    assert rows(decode(messages([TRADE])))[0] == rows(decode(messages([extra])))[0]


def test_a_source_is_paced_by_the_newest_time_and_by_the_least_of_the_last_64():
    hour_ns = 3600 * 10**9
    decoder = TickDecoder(2 * hour_ns)

    def paced(*offsets_ns: int) -> tuple[int, int]:
        values = [orjson.dumps(orjson.loads(TRADE) | {"ts_ns": NOW_NS + ns}) for ns in offsets_ns]
        block = decoder.decode(messages(values))
        (newest,), (least,) = block.newest.values(), block.least.values()
        return newest - NOW_NS, least - NOW_NS

    assert paced(0, 1) == (1, 0)
    assert paced(hour_ns) == (hour_ns, 0), "one clock that is ahead"
    assert paced(*[hour_ns] * 60) == (hour_ns, 0)
    assert paced(hour_ns, hour_ns + 1) == (hour_ns + 1, 1)
    assert paced(hour_ns + 2) == (hour_ns + 2, hour_ns), "all of them are"
