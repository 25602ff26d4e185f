"""Messages by column, as they come from a real broker."""

from __future__ import annotations

import pytest
from confluent_kafka import Message, Producer

from connectors.kafka.marks import Mark
from connectors.kafka.messages import to_messages
from connectors.kafka.reading import Objects
from state.errors import Broken
from state.records import Header, Messages
from tests import producing
from tests.connectors.kafka.rig import MARK, Rig, Rows, decode, read
from tests.waiting import PATIENCE_S


def consume(rig: Rig, count: int):
    """Return one block with all messages, straight from a consumer."""
    rig.way = "objects"
    reader = rig.open()._reader
    assert isinstance(reader, Objects)
    found: list[Message] = []
    while len(found) < count:
        found += reader._consumer.consume(count, 1)
    position = dict.fromkeys(range(9), 0)
    return found, to_messages(found, rig.topic, rig.partitions, position, MARK)


def test_columns_hold_what_was_produced(rig):
    r = rig(partitions=2)
    producer = producing.producer(r.cluster.bootstrap)
    producer.produce(r.topic, b"one", b"k1", 0, timestamp=1_700_000_000_123)
    producer.produce(r.topic, b"three", None, 1, timestamp=5)
    producer.produce(r.topic, b"", b"", 1, timestamp=6, headers=[("a", b"x"), ("b", None)])
    producer.produce(r.topic, None, b"k4", 1, timestamp=7)
    producer.flush(PATIENCE_S)
    _, messages = consume(r, 4)
    rows = {
        (int(messages.partition[i]), int(messages.offset[i])): (
            messages.value(i),
            messages.keys[i],
            bool(messages.keyed[i]),
            int(messages.timestamp_ns[i]),
            messages.headers.get(i),
        )
        for i in range(len(messages))
    }
    assert rows == {
        (0, 0): (b"one", b"k1", True, 1_700_000_000_123_000_000, None),
        (1, 0): (b"three", None, False, 5_000_000, None),
        (1, 1): (b"", b"", True, 6_000_000, [("a", b"x"), ("b", b"")]),
        (1, 2): (b"", b"k4", True, 7_000_000, None),
    }
    assert messages.ranges == {0: (0, 1), 1: (0, 3)}
    assert (messages.topic, messages.partitions) == (r.topic, 2)


def test_a_heartbeat_keeps_its_header_and_its_empty_value(rig):
    r = rig()
    r.write([(0, b"", [("headrace-heartbeat", (77).to_bytes(8, "big"))])])
    _, messages = consume(r, 1)
    assert messages.value(0) == b""
    assert messages.headers == {0: [("headrace-heartbeat", (77).to_bytes(8, "big"))]}


@pytest.mark.parametrize(
    ("origin", "offset"),
    [
        ("{topic}/0/42", 42),
        ("{topic}/0/9223372036854775807", (1 << 63) - 1),
        ("{topic}/0/9223372036854775808", 1),
        ("{topic}/0/" + "9" * 500, 1),
        ("{topic}/1/42", 1),
        ("another/0/42", 1),
        ("{topic}/0/-3", 1),
        ("{topic}/0/", 1),
        ("{topic}/0/４", 1),
        ("42", 1),
        ("", 1),
    ],
)
def test_an_origin_header_gives_the_offset_where_it_is_sound(rig, origin, offset):
    r = rig()
    told = origin.replace("{topic}", r.topic).encode()
    headers = MARK.put(r.topic, 0, b"k", b"retried", [("headrace-origin", told)])
    r.write([(0, b"first"), (0, b"retried", headers)])
    _, messages = consume(r, 2)
    assert messages.offset.tolist() == [0, offset]
    assert messages.ranges == {0: (0, 2)}, "the range is of real offsets"


@pytest.mark.parametrize("way", ["columns", "objects"])
def test_headers_that_name_coordinates_count_beside_the_mark_alone(rig, way):
    r = rig(partitions=2, way=way)
    told = [("headrace-origin", f"{r.topic}/0/42".encode()), ("headrace-retry", b"1")]
    ours = MARK.put(r.topic, 0, b"k", b"a", told)
    others = [
        told,
        Mark(b"another key").put(r.topic, 0, b"k", b"a", told),
        MARK.put(r.topic, 1, b"k", b"a", told),
        MARK.put(r.topic, 0, None, b"a", told),
        MARK.put(r.topic, 0, b"k", b"b", told),
        [*ours, ("headrace-sequence", b"7")],
        [("headrace-mark", b"")],
    ]
    r.write([(0, b"a", ours)])
    r.write([(0, b"a", [*headers, ("other", b"x")]) for headers in others])
    kept: dict[int, list[Header] | None] = {}

    def decoder(messages: Messages) -> Rows:
        kept.update({at: messages.headers.get(i) for i, at in enumerate(messages.offset.tolist())})
        return decode(messages)

    offsets = [offset for _, offset, _ in read(r.open(r.source(decoder=decoder)), 8)]
    assert offsets == [42, *range(1, 8)]
    assert kept[42] == ours
    assert [kept[offset] for offset in range(1, 8)] == [[("other", b"x")]] * 7


def test_a_message_that_comes_twice_is_a_broken_invariant(rig):
    r = rig()
    r.write([(0, b"a"), (0, b"b")])
    found, _ = consume(r, 2)
    with pytest.raises(Broken, match="offset 0 again"):
        to_messages([*found, found[0]], r.topic, 1, {0: 0})
    with pytest.raises(Broken, match="offset 0 again"):
        to_messages(found, r.topic, 1, {0: 1})


def test_a_range_spans_the_gaps_that_transactions_leave(rig):
    r = rig()
    producer = Producer({"bootstrap.servers": r.cluster.bootstrap, "transactional.id": r.topic})
    producer.init_transactions(10)
    for value in (b"a", b"b"):
        producer.begin_transaction()
        producer.produce(r.topic, value, partition=0)
        producer.commit_transaction(10)
    part = r.open()
    rows = read(part, 2)
    assert rows == [(0, 0, b"a"), (0, 2, b"b")]
    assert part.snapshot()[4] == {0: 3}


def test_a_message_of_10_mb_passes(rig):
    r = rig(config={"max_message_bytes": "12000000"})
    large = b"x" * 10_000_000
    r.write([(0, b"before"), (0, large), (0, b"after")])
    assert [value for _, _, value in read(r.open(), 3)] == [b"before", large, b"after"]
