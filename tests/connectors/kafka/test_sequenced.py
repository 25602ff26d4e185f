"""Messages of the sequenced topic into rows, and what cannot be used into dead letters."""

from __future__ import annotations

import numpy as np
import pytest

from connectors.kafka.sequenced import SequencedDecoder
from connectors.kafka.sequencer import SOURCE_HEADER
from connectors.kafka.sink import COUNTER_HEADER, GENERATION_HEADER, LENGTH_HEADER
from state.errors import OutOfRange
from state.records import HEARTBEAT_HEADER, Coordinates, DeadLetter, Header, Messages
from state.sequenced import Sequenced

SOURCE = (SOURCE_HEADER, b"market.orders/3/17")
GOOD = b'{"type":"order"}'


def messages(*given: tuple[bytes, list[Header]]) -> Messages:
    values = [value for value, _ in given]
    return Messages(
        topic="market.sequenced",
        partitions=1,
        partition=np.zeros(len(values), np.int32),
        offset=np.arange(100, 100 + len(values)),
        timestamp_ns=np.arange(len(values)) * 1_000_000,
        keyed=np.ones(len(values), np.bool_),
        data=np.frombuffer(b"".join(values), np.uint8),
        starts=np.cumsum([0, *map(len, values)]),
        keys=[b"k"] * len(values),
        headers={row: headers for row, (_, headers) in enumerate(given) if headers},
        ranges={0: (100, 100 + len(values))},
    )


def test_a_row_tells_where_the_message_came_from():
    block = SequencedDecoder().decode(messages((GOOD, [SOURCE]), (GOOD, [SOURCE])))
    place = Coordinates("market.sequenced", 0, 101)
    source = Coordinates("market.orders", 3, 17)
    expected = Sequenced(place, source, 1_000_000, "", 0, b"k", GOOD, {"type": "order"})
    assert block.rows[1] == expected
    assert (len(block), block.dead) == (2, [])
    assert (block.ranges, block.newest) == ({0: (100, 102)}, {0: 1_000_000})


def test_a_record_of_a_flow_tells_its_run_and_its_number():
    headers = [SOURCE, (COUNTER_HEADER, b"merge/42"), (GENERATION_HEADER, b"2")]
    (row,) = SequencedDecoder().decode(messages((GOOD, headers))).rows
    assert (row.run, row.counter) == ("2/merge", 42)


def test_a_row_whose_content_is_no_use_becomes_a_dead_letter_too():
    (row,) = SequencedDecoder().decode(messages((GOOD, [SOURCE]))).rows
    letter = row.dead(OutOfRange("why"))
    expected = DeadLetter(row.source, row.ts_ns, b"k", GOOD, "OutOfRange", "why")
    assert letter == expected


def test_heartbeats_are_passed_over():
    beat = (b"", [(HEARTBEAT_HEADER, bytes(8))])
    block = SequencedDecoder().decode(messages(beat, (GOOD, [SOURCE]), beat))
    assert [row.coordinates.offset for row in block.rows] == [101]
    assert block.dead == []


@pytest.mark.parametrize(
    ("value", "headers", "reason"),
    [
        (GOOD, [], "headrace-source is missing"),
        (GOOD, [(SOURCE_HEADER, b"market.orders/1")], "headrace-source"),
        (GOOD, [(SOURCE_HEADER, b"market.orders/1/-1")], "headrace-source"),
        (GOOD, [(SOURCE_HEADER, b"market.orders/1/" + b"9" * 19)], "headrace-source"),
        (GOOD, [(SOURCE_HEADER, b"\xff/x/\xff")], "headrace-source"),
        (GOOD, [SOURCE, (COUNTER_HEADER, b"7")], None),
        (GOOD, [SOURCE, (COUNTER_HEADER, b"0/x")], "headrace-counter"),
        (b"", [SOURCE, (LENGTH_HEADER, b"99999999")], "too large"),
        (b"", [SOURCE], "no JSON"),
        (b"{", [SOURCE], "no JSON"),
        (b"[1]", [SOURCE], "not an object"),
        (b'{"a":NaN}', [SOURCE], "no JSON"),
        (b'{"a":"' + b"x" * 70_000 + b'"}', [SOURCE], None),
        (b'{"a":"' + b"x" * 300_000 + b'"}', [SOURCE], "300008 bytes"),
    ],
)
def test_what_cannot_be_used_is_a_dead_letter_and_the_rest_goes_on(value, headers, reason):
    block = SequencedDecoder().decode(messages((value, headers), (GOOD, [SOURCE])))
    if reason is None:
        assert len(block.rows) == 2
        return
    assert [row.coordinates.offset for row in block.rows] == [101]
    (letter,) = block.dead
    assert reason in letter.reason
    assert (letter.error, letter.value, letter.key) == ("Malformed", value, b"k")
    known = SOURCE in headers
    place = (
        Coordinates("market.orders", 3, 17) if known else Coordinates("market.sequenced", 0, 100)
    )
    assert letter.coordinates == place
